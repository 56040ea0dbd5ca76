/* SPDX-License-Identifier: MIT */
/* rsyncd.conf, and the lists of hosts in it. */
#include "config.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct config *config = NULL;
    struct fault fault = {};
    int r = config_parse((const char *)bytes, len, &config, &fault);
    if (r < 0) {
        FUZZ_CHECK(fault.text[0] != '\0' && config == NULL);
        return 0;
    }
    for (size_t i = 0; i < config->modules_count; i++) {
        const struct config_module *module = &config->modules[i];
        FUZZ_CHECK(module->name != NULL && module->path != NULL && module->comment != NULL);
        FUZZ_CHECK(config_find_module(config, module->name) == module);
        (void)config_admits(module, "192.0.2.1", "host.example.org");
        (void)config_admits(module, "2001:db8::1", NULL);
        (void)filter_excludes(&module->filter, "a/b", false);
    }
    for (size_t i = 0; i < config->warnings_count; i++) {
        FUZZ_CHECK(config->warnings[i].line > 0 && config->warnings[i].text[0] != '\0');
    }
    config_free(config);
    return 0;
}
