/* SPDX-License-Identifier: MIT */
/*
 * The portable switch. What is called a stack pointer is the address of a ucontext_t, which lies
 * on the stack it describes: at the top of a fresh one, in a frame of sm_switch_stack() on one that
 * was left. So a context needs no memory of its own here either.
 */
#include "arch/switch.h"

#include <stdint.h>
#include <stdlib.h>
#include <ucontext.h>

#include "base/panic.h"

const char sm_switch_name[] = "ucontext";

struct start {
    ucontext_t registers; /* first: its address is the stack pointer */
    void (*entry)(void *arg);
    void *arg;
};

void sm_switch_stack(void **out_sp, void *sp)
{
    ucontext_t here = {}; /* uc_stack too: ASan's swapcontext() reads it */
    *out_sp = &here;
    sm_assert(swapcontext(&here, sp) == 0);
}

/* makecontext() passes ints, so the address of the start comes in two halves. */
static void begin(unsigned high, unsigned low)
{
    uintptr_t address = ((uintptr_t)high << 16 << 16) | low;
    const struct start *start = (const struct start *)address; /* NOLINT: made from a pointer */
    start->entry(start->arg);
    abort();
}

void *sm_switch_prepare(void *top, void (*entry)(void *arg), void *arg)
{
    /* Down by one start and to a multiple of 64, which suits vector state on every processor. */
    char *place = (char *)top - sizeof(struct start);
    place -= (uintptr_t)place % 64;

    struct start *start = (struct start *)(void *)place;
    *start = (struct start){.entry = entry, .arg = arg};
    sm_assert(getcontext(&start->registers) == 0);

    /* The true size of the stack is not known here, and only its top matters: below it is what
     * makecontext() itself needs and a little more. */
    size_t bytes_below = 512;
    start->registers.uc_stack.ss_sp = place - bytes_below;
    start->registers.uc_stack.ss_size = bytes_below;

    uintptr_t address = (uintptr_t)start;
    makecontext(&start->registers, (void (*)(void))begin, 2, (unsigned)(address >> 16 >> 16),
            (unsigned)address);
    return start;
}
