/* SPDX-License-Identifier: MIT */
/*
 * seam/scope.h - who waits for whom, until when, and how to stop them all.
 *
 * A scope lives in its owner's stack frame. It owns the tasks spawned into it, may carry a
 * deadline, and does not end before they have ended: what a task borrows from the frames above the
 * scope is there for as long as the task is. Scopes nest, and only scopes are cancelled.
 *
 *     cancel, or deadline              every wait inside returns -ECANCELED, now and from now on,
 *          |                           in the owner and in all tasks and scopes below
 *          v
 *     +- scope -------------------+
 *     | owner's own waits         |    a shield keeps a section of clean-up code waiting normally
 *     | task   task   +- scope -+ |
 *     |               | task    | |
 *     |               +---------+ |
 *     +---------------------------+    seam_scope_end() tells what happened: 0, -ETIMEDOUT if it
 *                                      was this scope's own deadline, -ECANCELED otherwise
 */
#pragma once

#include <stdint.h>

#include "seam/attr.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Memory for a scope. Lives in the owner's frame, from begin to end; do not copy it. */
struct seam_scope {
    uint64_t reserved[32];
};

/** Memory for a shield, in the frame of the code it protects. */
struct seam_shield {
    uint64_t reserved[4];
};

/**
 * seam_scope_begin() - Open a scope inside the caller's.
 *
 * @scope:       memory for it; kept until seam_scope_end()
 * @runtime:     where its tasks will run; NULL: the calling task's runtime, or the default one
 * @deadline_ns: when the scope cancels itself; SEAM_FOREVER for never
 *
 * Until seam_scope_end(), the caller's own waits belong to @scope too. Scopes of one owner end in
 * the opposite order of their beginning.
 *
 * Return: 0, or
 *   -ENOMEM, -EAGAIN, -EMFILE, -ENFILE, -ENOSPC  the default runtime had to be started and could not
 *                be
 *   -ESHUTDOWN   @runtime is stopping
 *   -EOWNERDEAD  this is a forked child
 *   On error the scope is not open and must not be ended.
 *
 * Context: any.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API int seam_scope_begin(struct seam_scope *scope, seam_runtime *runtime, int64_t deadline_ns);

/**
 * seam_scope_end() - Wait for every task of a scope, and close it.
 *
 * @scope: opened by the caller, and the innermost one that is open
 *
 * Waits for as long as it takes: cancellation and deadlines make the tasks end early, they do not
 * make this call return early. Handles of tasks that nobody joined become invalid.
 *
 * Return: 0, or
 *   -ETIMEDOUT   the deadline of this very scope had passed before the last task ended
 *   -ECANCELED   the scope was cancelled otherwise: by seam_scope_cancel(), from an outer scope,
 *                or because the runtime stops
 *   -EINVAL      @scope is a root scope, or the caller did not open it; nothing happened
 *   -EOWNERDEAD  this is a forked child; the tasks exist in the parent only
 *
 * Context: any.  Suspends.
 * Thread-safe: no: the owner only.
 * Since: 0.1
 */
SEAM_API SEAM_SUSPENDS int seam_scope_end(struct seam_scope *scope);

/**
 * seam_scope_cancel() - Ask everything in a scope to stop.
 *
 * @scope: open
 *
 * Waits inside @scope, under way or to come, return -ECANCELED. Nothing is interrupted or unwound.
 * Cancelling again changes nothing.
 *
 * Return: 0, or
 *   -EINVAL      @scope is a root scope: stop the runtime instead
 *   -EOWNERDEAD  this is a forked child
 *
 * Context: any.  Never suspends.
 * Thread-safe: yes, as long as @scope is known to be open.
 * Since: 0.1
 */
SEAM_API int seam_scope_cancel(struct seam_scope *scope);

/**
 * seam_cancelled() - Has the caller been asked to stop?
 *
 * For code that computes for long without waiting.
 *
 * Return: 0, or
 *   -ECANCELED   a scope that the caller runs in has been cancelled and no shield is in force
 *
 * Context: any.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API int seam_cancelled(void);

/**
 * seam_shield_begin() - Let the code that follows wait in spite of cancellation.
 *
 * @shield: memory for it; kept until seam_shield_end()
 *
 * Waits of the caller inside the shield are not cancelled from outside it. Scopes opened inside
 * can be cancelled as usual, and their deadlines hold: that is how clean-up is given a bound.
 *
 * Context: any.  Never suspends.
 * Thread-safe: no: the caller's own.
 * Since: 0.1
 */
SEAM_API void seam_shield_begin(struct seam_shield *shield);

/**
 * seam_shield_end() - End the shield begun last.
 *
 * @shield: begun by the caller, the innermost one
 *
 * A cancellation that arrived meanwhile is met at the next wait.
 *
 * Context: any.  Never suspends.
 * Thread-safe: no: the caller's own.
 * Since: 0.1
 */
SEAM_API void seam_shield_end(struct seam_shield *shield);

#ifdef __cplusplus
}
#endif
