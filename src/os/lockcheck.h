/* SPDX-License-Identifier: MIT */
/*
 * os/lockcheck.h - finds the task that waits while it holds a lock of the operating system.
 *
 * Such a lock belongs to the thread, not to the task: the next task on the thread that wants it
 * blocks the thread, and with it perhaps the task that would unlock it. Nothing goes wrong until it
 * does. So builds with the CMake option SEAM_LOCK_CHECK put themselves in front of pthread's mutexes
 * and read-write locks, note what is locked on the stack of a task, and report when that stack is
 * left. Others pay nothing.
 *
 * Invariants
 *   1. A note exists only of a lock that was taken by code on a task's stack, and goes with its
 *      unlocking or with the task. What a thread locked before it began to run tasks is its own.
 *   2. Each place of locking is reported once.
 */
#pragma once

#include <stdint.h>

#include "os/stack.h"

#ifndef SM_LOCK_CHECK
#define SM_LOCK_CHECK 0
#endif

#if SM_LOCK_CHECK

/* The task called name, spawned at a code address, is about to leave stack. Writes to the standard
 * error output. The task itself. */
void sm_lockcheck_leave(const struct sm_stack *stack, const char *name, const void *spawned_at);

/* The stack's task has ended. Any thread. */
void sm_lockcheck_end(const struct sm_stack *stack);

/* How many places of locking have been reported. Any thread. */
uint64_t sm_lockcheck_reports(void);

#else

static inline void sm_lockcheck_leave(
        const struct sm_stack *stack, const char *name, const void *spawned_at)
{
    (void)stack;
    (void)name;
    (void)spawned_at;
}

static inline void sm_lockcheck_end(const struct sm_stack *stack)
{
    (void)stack;
}

static inline uint64_t sm_lockcheck_reports(void)
{
    return 0;
}

#endif
