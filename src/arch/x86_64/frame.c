/* SPDX-License-Identifier: MIT */
#include <stdint.h>

#include "arch/switch.h"

const char sm_switch_name[] = "x86_64";

void sm_switch_root(void);

/* What sm_switch_stack() pops, lowest address first; and zeros for those who look beyond. */
struct frame {
    uintptr_t r15;
    uintptr_t r14;
    uintptr_t r13; /* sm_switch_root() passes this ... */
    uintptr_t r12; /* ... to this */
    uintptr_t rbx;
    uintptr_t rbp;
    uintptr_t rip;
    uintptr_t end[2]; /* two, so that what is left is a multiple of 16 below the top */
};

void *sm_switch_prepare(void *top, void (*entry)(void *arg), void *arg)
{
    struct frame *frame = (struct frame *)top - 1;
    *frame = (struct frame){
            .r12 = (uintptr_t)entry,
            .r13 = (uintptr_t)arg,
            .rip = (uintptr_t)sm_switch_root,
    };
    return frame;
}
