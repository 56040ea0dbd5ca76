/* SPDX-License-Identifier: MIT */
/*
 * seam/cross.h - the doors between tasks and threads. Start here.
 *
 *     thread --- seam_call() ----> task      run fn as a task of a runtime, wait for it
 *     task ----- seam_block() ---> thread    run fn on a thread that may block, wait for it
 *
 * Both work from everywhere: from a task they suspend it, from a thread they block it. A call
 * reports its own failure and the function's result separately: 0 means that fn ran to its end,
 * and what it returned is in *out_result.
 *
 * Deadlines and borrowed frames. fn may use the caller's frame through arg, so a callee that has
 * started is always waited for: when the deadline passes, it is cancelled, and the call returns
 * when it has ended. The _owned forms take a context that belongs to nobody's frame, and may
 * therefore return at the deadline.
 */
#pragma once

#include <stdint.h>

#include "seam/attr.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Takes back the context of an abandoned call; result is fn's, or -ECANCELED if it never ran. */
typedef void seam_destroy_fn(void *arg, int result);

/**
 * seam_call() - Run a function as a task of a runtime, and wait for it.
 *
 * @runtime:     where to run it; NULL: the calling task's own runtime, or the default one
 * @fn:          what to run
 * @arg:         passed to @fn; borrowed until the call returns
 * @out_result:  receives what @fn returned, or -EPIPE if it ended its thread instead; may be NULL;
 *               untouched on error
 * @deadline_ns: when @fn is cancelled
 *
 * From a task of @runtime itself, @fn runs at once, in the caller, inside a scope of its own. From
 * elsewhere it becomes a task. If @runtime is a current-thread runtime that nobody drives, the
 * calling thread drives it until @fn has ended.
 *
 * Return: 0 when @fn ran to its end, however late, or
 *   -ETIMEDOUT   the deadline passed before @fn began; it did not run
 *   -EAGAIN      the same, with SEAM_NOW
 *   -ECANCELED   the caller was cancelled before @fn began; it did not run
 *   -ESHUTDOWN   @runtime is stopping; @fn did not run
 *   -ENOMEM      no memory for the task; @fn did not run
 *   -EOWNERDEAD  this is a forked child; @fn did not run
 *   and, when the default runtime had to be started, the errors of seam_run()
 *
 * Context: any.  Suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API SEAM_SUSPENDS int seam_call(
        seam_runtime *runtime, seam_fn *fn, void *arg, int *out_result, int64_t deadline_ns);

/**
 * seam_call_owned() - As seam_call(), but return at the deadline whatever happens.
 *
 * @runtime:     as for seam_call()
 * @fn:          what to run
 * @arg:         passed to @fn; taken, unless 0 is returned
 * @destroy:     called with @arg and @fn's result when the call was abandoned and @fn has ended;
 *               not NULL. Runs in a task of @runtime or in the caller, and must not wait
 * @out_result:  as for seam_call()
 * @deadline_ns: when @fn is cancelled, and the call returns
 *
 * Where the caller itself drives a current-thread runtime, a callee that computes without waiting
 * holds it up beyond the deadline.
 *
 * Return: 0 when @fn ran to its end in time; @arg is the caller's again. Any error of seam_call()
 * otherwise; @destroy has been called, or will be, exactly once:
 *   -ETIMEDOUT, -EAGAIN, -ECANCELED  @fn did not run, or runs still and has been cancelled
 *
 * Context: any.  Suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API SEAM_SUSPENDS int seam_call_owned(seam_runtime *runtime, seam_fn *fn, void *arg,
        seam_destroy_fn *destroy, int *out_result, int64_t deadline_ns);

/**
 * seam_block() - Run code that may block its thread, without holding up other tasks.
 *
 * @job_class:   what kind of job it is; NULL: SEAM_JOBS_USER of the calling task's runtime
 * @fn:          getaddrinfo(), fsync(), a library you cannot change
 * @arg:         passed to @fn; borrowed until the call returns
 * @out_result:  receives what @fn returned; may be NULL; untouched on error
 * @deadline_ns: when @fn is cancelled
 *
 * @fn runs on a thread of a blocking pool while the caller waits: the pool of the runtime that
 * @job_class belongs to. When the class has as many jobs running as it may, the job waits in line
 * (seam/jobs.h). Where the caller may block anyway, @fn runs at once, in the caller: from a thread
 * or a job when no class is named, and from a job of that very class. No runtime is needed for that,
 * and none is started.
 *
 * @fn is not a task but may call everything in seam; while it waits there, it gives its slot back.
 * Code that is blocked in the kernel cannot be stopped half-way: when @fn has begun, its end is
 * waited for; what it waits for in seam is cancelled, and if @job_class is interruptible, its system
 * calls return EINTR.
 *
 * Return: 0 when @fn ran to its end, however late, or
 *   -ETIMEDOUT   the deadline passed before @fn began; it did not run
 *   -EAGAIN      the line is full (queue_max) or, with SEAM_NOW, @fn would have to wait in it; @fn
 *                did not run
 *   -ECANCELED   the caller was cancelled before @fn began; it did not run
 *   -ENOMEM      no thread could be started, and none is left that does not wait for something
 *                itself; @fn did not run
 *   -ESHUTDOWN   the runtime of @job_class is stopping; @fn did not run
 *   -EOWNERDEAD  this is a forked child; @fn did not run
 *
 * Context: any.  Suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API SEAM_SUSPENDS int seam_block(
        seam_job_class *job_class, seam_fn *fn, void *arg, int *out_result, int64_t deadline_ns);

/**
 * seam_block_owned() - As seam_block(), but return at the deadline whatever happens.
 *
 * @job_class:   as for seam_block(); NULL from a thread: SEAM_JOBS_USER of the default runtime
 * @fn:          what to run
 * @arg:         passed to @fn; taken, unless 0 is returned
 * @destroy:     as for seam_call_owned(), but runs on the pool's thread or in the caller
 * @out_result:  receives what @fn returned; may be NULL; untouched on error
 * @deadline_ns: when the call returns
 *
 * From a thread, too, @fn runs on a thread of a pool.
 *
 * Return: 0 when @fn ran to its end in time; @arg is the caller's again. Any error of seam_block()
 * otherwise; @destroy has been called, or will be, exactly once. When the default runtime had to
 * be started for a thread, also the errors of seam_run()
 *
 * Context: any.  Suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API SEAM_SUSPENDS int seam_block_owned(seam_job_class *job_class, seam_fn *fn, void *arg,
        seam_destroy_fn *destroy, int *out_result, int64_t deadline_ns);

#ifdef __cplusplus
}
#endif
