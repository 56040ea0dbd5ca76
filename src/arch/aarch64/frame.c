/* SPDX-License-Identifier: MIT */
#include <stdint.h>

#include "arch/switch.h"

const char sm_switch_name[] = "aarch64";

void sm_switch_root(void);

/* What sm_switch_stack() loads, lowest address first. */
struct frame {
    uintptr_t x29;
    uintptr_t x30;
    uintptr_t x19; /* sm_switch_root() calls this ... */
    uintptr_t x20; /* ... with this */
    uintptr_t x21_to_x28[8];
    double d8_to_d15[8];
};

_Static_assert(sizeof(struct frame) == 160, "switch.S says how long a frame is");

void *sm_switch_prepare(void *top, void (*entry)(void *arg), void *arg)
{
    struct frame *frame = (struct frame *)top - 1;
    *frame = (struct frame){
            .x19 = (uintptr_t)entry,
            .x20 = (uintptr_t)arg,
            .x30 = (uintptr_t)sm_switch_root,
    };
    return frame;
}
