/* SPDX-License-Identifier: MIT */
/*
 * exits/plugin.c - a plugin that has a runtime and a bridge of its own. Built twice: one that ends
 * them when it is unloaded, and one that stays loaded (-z nodelete) and leaves them running.
 */
#include "exits/plugin.h"

#include <errno.h>

#include "seam.h"

static seam_runtime *runtime;
static seam_bridge *bridge;
static int progress;

static int run_for_ever(void *arg)
{
    int *steps = arg;
    int r = 0;
    while (r == 0) {
        (*steps)++;
        r = seam_sleep(seam_after(SEAM_MICROSECOND));
    }
    return r;
}

static int pass(void *arg)
{
    (void)arg;
    return 0;
}

static int block_for_ever(void *arg)
{
    int r = 0;
    while (r == 0) {
        r = seam_block(NULL, pass, arg, NULL, SEAM_FOREVER);
    }
    return r;
}

int plugin_begin(void)
{
    static const struct seam_options options = {.workers = 2, .name = "plugin"};
    int r = seam_bridge_new(&(struct seam_bridge_options){.name = "plugin"}, &bridge);
    if (r == 0) r = seam_runtime_new(&options, &runtime);
    if (r == 0) r = seam_spawn(seam_runtime_root(runtime), run_for_ever, &progress, NULL, NULL);
    if (r == 0) r = seam_spawn(seam_runtime_root(runtime), block_for_ever, NULL, NULL, NULL);
    return r;
}

int plugin_call(void)
{
    int r = seam_call(runtime, pass, NULL, NULL, SEAM_FOREVER);
    return r == 0 ? seam_bridge_call(bridge, pass, NULL, NULL, SEAM_FOREVER) : r;
}

#if PLUGIN_STOPS
__attribute__((destructor)) static void stop(void)
{
    struct seam_stop_report report;
    if (runtime == NULL) return;
    int r = seam_runtime_stop(runtime, &report, SEAM_FOREVER);
    if (r < 0 || report.left_count > 0) __builtin_trap();
    seam_runtime_free(runtime);
    if (seam_bridge_close(bridge, NULL, SEAM_FOREVER) < 0) __builtin_trap();
    seam_bridge_free(bridge);
}
#endif
