/* SPDX-License-Identifier: MIT */
/*
 * arch/switch.h - what every architecture provides. The build picks one folder:
 *
 *     x86_64/, aarch64/   switch.S and frame.c: hand-written, one sixtieth of the time of
 *     generic/            switch.c: ucontext, for every other processor, and to compare with
 *
 * Saved are the registers a called function must preserve, and nothing else: the compiler knows
 * that a call may change the others. Not saved are the floating-point control words (MXCSR and the
 * x87 control word, FPCR): they belong to the thread. A task that changes the rounding mode must
 * restore it before it waits, or it changes the mode of whoever runs there next, and may itself
 * resume on a thread that has another. Saving them would more than double the cost of a switch.
 * (ucontext saves them and the signal mask as well; nothing may rely on that.)
 */
#pragma once

/* Which folder was built: "x86_64", "aarch64" or "ucontext". For metrics and debuggers. */
extern const char sm_switch_name[];

/*
 * Push the saved registers on the current stack, put the stack pointer in *out_sp, take sp as the
 * stack pointer, and pop. Returns when somebody switches to *out_sp, perhaps on another thread.
 */
void sm_switch_stack(void **out_sp, void *sp);

/*
 * Write below top what sm_switch_stack() will pop, so that switching there calls entry(arg) on an
 * empty stack whose unwinding ends at the call. Returns the stack pointer to switch to.
 */
void *sm_switch_prepare(void *top, void (*entry)(void *arg), void *arg);
