/* SPDX-License-Identifier: MIT */
/*
 * arch/context.h - a stack that can be left and come back to.
 *
 *     a thread's own stack                    another stack
 *     sm_context_adopt(&home)                 sm_context_init(&task, ..., entry, arg)
 *     sm_context_switch(&home, &task)  --->   entry(arg)
 *         (continues)                  <---   sm_context_switch(&task, &home)
 *     sm_context_switch(&home, &task)  --->       (continues)
 *
 *   a context is     from                          sm_context_switch() may
 *   fresh            sm_context_init()             enter it
 *   running          the switch that entered it    leave it, on the thread that entered it
 *   parked           the switch that left it       enter it, from any thread
 *   retired          sm_context_fini()             do nothing with it: init it, or forget it
 *
 * Invariants
 *   1. At most one thread runs on a context; entering one that is running is not detected.
 *   2. Whoever enters a parked context has synchronised with the thread that left it, after the
 *      switch away was complete. The switch itself orders nothing between threads.
 *   3. The switch keeps no thread-local address. A function that calls it must not either.
 *
 * The switch cannot fail, makes no system call (generic/ excepted: two), and knows no tasks.
 */
#pragma once

#include <stddef.h>

#include "arch/fiber.h"
#include "arch/switch.h"

typedef void sm_context_entry(void *arg);

struct sm_context {
    void *sp;              /* where its registers are saved; stale while it is running */
    struct sm_fiber fiber; /* what sanitizers want to know; empty otherwise */
};

#if !SM_ASAN && !SM_TSAN
_Static_assert(sizeof(struct sm_context) == sizeof(void *), "the task header is counted in bytes");
#endif

/*
 * The first switch to the context calls entry(arg) on the given stack; entry never returns, it
 * switches away for the last time. Any thread; never fails. The stack is used from its top, may
 * have served another context before, and must be left alone until the last switch away.
 */
void sm_context_init(struct sm_context *context, void *stack_low, size_t stack_bytes,
        sm_context_entry *entry, void *arg);

/* The context will not be entered again, or never was. From another context; any thread; never
 * fails. Not for an adopted one: that ends with its thread. */
void sm_context_fini(struct sm_context *context);

/* Describe the stack the calling thread runs on, so that it can be left and come back to.
 * Never fails. */
void sm_context_adopt(struct sm_context *context);

/* Leave from, which must be the running one, for to. Returns when somebody switches to from,
 * possibly on another thread. Never fails. */
static inline void sm_context_switch(struct sm_context *from, struct sm_context *to)
{
    sm_fiber_leave(&from->fiber, &to->fiber);
    sm_switch_stack(&from->sp, to->sp);
    sm_fiber_arrive(&from->fiber);
}
