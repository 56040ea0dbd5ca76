/* SPDX-License-Identifier: MIT */
/*
 * os/overflow.h - say who it was when a stack overflows, and then let things take their course.
 *
 *     a task runs into its guard page
 *         SIGSEGV, on the thread's alternate stack: the task's own has no room left
 *             one line on descriptor 2:
 *                 seam: stack overflow in task 'NAME' (stack 64 KiB, spawned at PATH+0x1a2b)
 *             the handler that was there before us; if there was none, the process dies of SIGSEGV
 *
 * A fault anywhere else goes to the previous handler at once and unchanged.
 * PATH+0x1a2b is what addr2line -e PATH 0x1a2b wants.
 *
 * Invariants
 *   1. The handler takes no lock, allocates nothing and keeps errno.
 *   2. A thread without an alternate stack dies silently: begin every thread that runs tasks.
 */
#pragma once

#include <stddef.h>

struct sm_stack;

/* What there is to say about the owner of a stack. */
struct sm_overflow_culprit {
    const char *name;       /* NULL if it has none; its first 64 bytes are shown */
    const void *spawned_at; /* an address in the code that made it, or NULL */
};

/* Fill in what is known of an owner, which is a stack's owner field and not NULL. Called in the
 * signal handler, perhaps with the owner's stack destroyed: read memory, do nothing else. */
typedef void sm_overflow_describe(const void *owner, struct sm_overflow_culprit *out_culprit);

/* Handle SIGSEGV and SIGBUS for the process, keeping what was there; describe may be NULL. Again:
 * only replaces describe. Any thread; never suspends; a negative errno if sigaction() fails. */
int sm_overflow_install(sm_overflow_describe *describe);

/* Put back what was there, where our handler is still the current one. Where somebody has put his
 * own over it, ours stays and passes everything on. */
void sm_overflow_uninstall(void);

/* Give the calling thread an alternate stack unless it has one; take ours away again. Begin fails
 * with -ENOMEM; end never fails. Not on a task's stack. */
int sm_overflow_thread_begin(void);
void sm_overflow_thread_end(void);

/* Write the one line about this stack to descriptor 2. Signal handlers too. */
void sm_overflow_report(const struct sm_stack *stack);

/* The code address as "path+0xoffset", or as "0xaddress" where no file is mapped; always ended by
 * NUL, cut to fit. Signal handlers too. Returns the length. */
size_t sm_overflow_format_pc(const void *pc, char *buf, size_t bytes);
