/* SPDX-License-Identifier: MIT */
/*
 * exits/plugin_test.c - a program that knows nothing of seam opens plugins that use it, and closes
 * them while their tasks run.
 *
 * The code of a task must stay mapped. A plugin has two ways: stop its runtime before it goes, in its
 * destructor at the latest; or stay, linked with -z nodelete. The library itself stays.
 */
#include "exits/plugin.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>

#include "check/check.h"

enum { ROUNDS = 10 };

static plugin_fn *find(void *plugin, const char *name)
{
    union {
        void *symbol;
        plugin_fn *fn;
    } found = {.symbol = dlsym(plugin, name)};
    CHECK(found.fn != NULL);
    return found.fn;
}

static bool is_loaded(const char *path)
{
    void *plugin = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    if (plugin != NULL) CHECK_EQ(dlclose(plugin), 0);
    return plugin != NULL;
}

static void *open_and_begin(const char *path)
{
    void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (plugin == NULL) check_that(false, dlerror(), __FILE__, __LINE__);
    CHECK_OK(find(plugin, "plugin_begin")());
    CHECK_OK(find(plugin, "plugin_call")());
    return plugin;
}

/* The runner sees that no thread is left. */
TEST(a_plugin_that_stops_its_runtime_in_its_destructor_is_unloaded)
{
    for (int i = 0; i < ROUNDS; i++) {
        void *plugin = open_and_begin(PLUGIN_THAT_STOPS);
        CHECK_EQ(dlclose(plugin), 0);
        CHECK(!is_loaded(PLUGIN_THAT_STOPS));
        CHECK(is_loaded(SEAM_LIBRARY));
    }
}

TEST(a_plugin_that_stays_keeps_its_runtime)
{
    check_leaves_a_runtime();
    void *plugin = open_and_begin(PLUGIN_THAT_STAYS);
    plugin_fn *call = find(plugin, "plugin_call");
    CHECK_EQ(dlclose(plugin), 0);
    CHECK(is_loaded(PLUGIN_THAT_STAYS));
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_OK(call());
    }
}
