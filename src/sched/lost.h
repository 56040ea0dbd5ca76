/* SPDX-License-Identifier: MIT */
/*
 * sched/lost.h - what becomes of a task whose thread is ended under it.
 *
 * A task, or a library below it, calls pthread_exit() on a worker's thread. The C library jumps to
 * that thread's own stack and ends it; the task's stack is left as it was, and nobody will ever
 * return to it. What is lost is that stack and the rest of the function, not the runtime:
 *
 *     the thread, on its way out      gives the task a new stack and nothing to do but to bury
 *                                     itself, and its role to another thread; if there is none
 *                                     to be had, the monitor goes on trying, and who comes back to
 *                                     the role has it
 *     the task, on the new stack      closes the scopes it has left open, innermost first, each
 *                                     cancelled and waited for; and ends with -EPIPE
 *
 * The old stack is never used again: what still borrows from its frames must find them. Mutexes that
 * the task held stay held.
 *
 * It works because user code runs outside the runtime: the thread holds none of our locks and is in
 * none of our queues. Where that does not hold the program ends with a message: a thread that was
 * ended inside the runtime, which only cancellation can do, and that is disabled in our threads;
 * a thread of somebody else's that drives a runtime, whose own frames go with it (task/thread.c); and
 * no memory for the new stack.
 */
#pragma once

/* A thread of a runtime is being ended by pthread_exit(); its clean-up handler, on its own stack. */
void sm_thread_lost(void *runtime_of_thread);
