/* SPDX-License-Identifier: MIT */
/*
 * seam/task.h - functions that run beside each other.
 *
 * A task is an ordinary C function on a stack of its own. When it must wait it is set aside and its
 * worker runs another. Every task belongs to a scope (seam/scope.h), which does not end before it.
 *
 *     struct seam_scope scope;
 *     r = seam_scope_begin(&scope, NULL, SEAM_FOREVER);
 *     if (r < 0) return r;
 *     for (int i = 0; i < count; i++) {
 *         r = seam_spawn(&scope, fetch, &jobs[i], NULL, NULL);
 *         if (r < 0) break;
 *     }
 *     (void)seam_scope_end(&scope);        waits for all of them
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "seam/attr.h"

#ifdef __cplusplus
extern "C" {
#endif

struct seam_scope;

/** What may be said about a new task. Zero in any field asks for the default. */
struct seam_task_options {
    const char *name;   /* shown in reports; kept until the task ends; default: "task" */
    size_t stack_bytes; /* at most 1 MiB; default: the runtime's */
    bool thread_bound; /* runs on one thread only, the one that first runs it: see seam_pin_begin() */
    uint64_t reserved[4]; /* zero */
};

/**
 * seam_spawn() - Start a task.
 *
 * @scope:    the scope that will own the task; of the caller, or open to it
 * @fn:       body of the task
 * @arg:      passed to @fn; borrowed until the task ends, which is before @scope ends
 * @options:  NULL for all defaults
 * @out_task: NULL if nobody will join; else receives the task, which may be joined once and is
 *            valid until joined or until @scope ends, whichever is first; untouched on error
 *
 * The task starts soon: on this worker, or on an idle one. In a cancelled scope it still starts,
 * so that it can let go of what @arg owns, and finds itself cancelled at its first wait.
 *
 * Return: 0, or
 *   -ENOMEM      no memory for the task or for its stack; nothing was started. Workers that keep
 *                stacks for later have been told to give them back: a later try may find some
 *   -EINVAL      stack_bytes is above 1 MiB, or @scope is not open
 *   -ESHUTDOWN   the runtime of @scope is stopping
 *   -EOWNERDEAD  this is a forked child
 *
 * Context: any.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API int seam_spawn(struct seam_scope *scope, seam_fn *fn, void *arg,
        const struct seam_task_options *options, seam_task **out_task);

/**
 * seam_join() - Wait until a task has ended, and take its result.
 *
 * @task:        a task that seam_spawn() handed out; taken when 0 is returned
 * @out_result:  receives what the task's function returned; may be NULL; untouched on error
 * @deadline_ns: how long to wait
 *
 * Return: 0, or
 *   -ETIMEDOUT   the task has not ended; it may be joined again
 *   -EAGAIN      the same, with SEAM_NOW
 *   -ECANCELED   the caller's scope was cancelled; the task may be joined again
 *   -EDEADLK     the caller is @task
 *   -EOWNERDEAD  this is a forked child
 *
 * Context: any.  Suspends.
 * Thread-safe: no: one joiner at a time.
 * Since: 0.1
 */
SEAM_API SEAM_SUSPENDS int seam_join(seam_task *task, int *out_result, int64_t deadline_ns);

/**
 * seam_yield() - Let other tasks run.
 *
 * The caller goes to the end of its worker's queue. On a plain thread this is sched_yield().
 *
 * Return: 0, or
 *   -ECANCELED   the caller's scope was cancelled; others may have run all the same
 *   -EOWNERDEAD  this is a forked child
 *
 * Context: any.  Suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API SEAM_SUSPENDS int seam_yield(void);

/**
 * seam_task_name() - The name of the task that calls, for messages.
 *
 * Return: the name given to seam_spawn(), borrowed; NULL outside tasks
 *
 * Context: any.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API const char *seam_task_name(void);

/**
 * seam_pin_begin() - Stay on this thread, whatever the task waits for.
 *
 * For libraries that keep something in the thread from one call to the next, where the task waits in
 * between: an error queue, a locale, a graphics context. Else a task may go on on another thread
 * whenever it calls something of ours: the worker may have a new thread since this one blocked or
 * computed for long, and with SEAM_STEAL_FULL the task may have a new worker.
 *
 * From the return of this function to the matching seam_pin_end() the task runs on one thread, and only
 * there. May be nested; the outermost pair counts. A task with thread_bound in its options has a pin of
 * its own. Several tasks may be bound to one thread. What is left at the task's end is taken back.
 *
 * What it costs: while that thread is blocked or computes in another task, a task bound to it waits,
 * although others go on; and where two threads have tasks bound to them at one worker, each turn is a
 * change of thread. A thread from outside that drives a runtime runs tasks only while it drives:
 * those bound to it wait for that. Pins are for a few tasks.
 *
 * It is kept as long as there is such a thread. If it ends, or if it does not drive any more while the
 * runtime is being stopped, the task goes on on another thread and is bound to that one.
 *
 * Elsewhere than in a task, and in a forked child, it does nothing.
 *
 * Context: any.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API void seam_pin_begin(void);

/**
 * seam_pin_end() - Be free to go on on any thread.
 *
 * Without a pin it does nothing.
 *
 * Context: any.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API void seam_pin_end(void);

#ifdef __cplusplus
}
#endif
