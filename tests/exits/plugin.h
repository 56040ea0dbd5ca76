/* SPDX-License-Identifier: MIT */
/* exits/plugin.h - what a plugin exports. */
#pragma once

#define PLUGIN_API __attribute__((visibility("default")))

/* Start a runtime with tasks that run for ever. */
PLUGIN_API int plugin_begin(void);

/* A call into it. */
PLUGIN_API int plugin_call(void);

typedef int plugin_fn(void);
