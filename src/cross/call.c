/* SPDX-License-Identifier: MIT */
/*
 * cross/call.c - from anywhere into a runtime: a call is a scope with one task in it.
 *
 * The scope gives everything a call needs: the deadline, the caller's cancellation, and the promise
 * that the task has ended before the caller's frame goes. From a task of the same runtime there is
 * nothing to cross: the function runs in place, in a scope of its own.
 */
#include <errno.h>
#include <stdlib.h>

#include "seam/cross.h"
#include "seam/runtime.h"
#include "seam/scope.h"
#include "seam/task.h"
#include "seam/time.h"

#include "base/cast.h"
#include "cross/block.h"
#include "cross/service.h"
#include "sched/runtime.h"
#include "sync/inside.h"
#include "task/wait.h"

struct call {
    seam_fn *fn;
    void *arg;
    int result;
    bool has_run;
};

static int run_call(void *arg)
{
    struct call *call = arg;
    /* Cancelled before it began: it does not begin. */
    if (seam_cancelled() < 0) return -ECANCELED;
    call->has_run = true;
    call->result = -EPIPE; /* unless it returns */
    call->result = call->fn(call->arg);
    return 0;
}

static bool is_task_of(const seam_runtime *runtime)
{
    struct sm_thread *thread = sm_thread_self();
    return thread->task != NULL && sm_runtime_current(thread) == runtime;
}

/* Is the caller a task, which cannot drive the runtime that it calls? */
static bool is_driven_by_others(const seam_runtime *runtime)
{
    return runtime != NULL && runtime->is_driven && sm_thread_self()->task != NULL
            && !is_task_of(runtime);
}

/* What the caller is told, given how the scope ended, or that it did not begin. */
static int settle(const struct call *call, int ended, int64_t deadline_ns, int *out_result)
{
    if (!call->has_run) {
        return ended == -ETIMEDOUT && deadline_ns <= SEAM_NOW ? -EAGAIN : ended;
    }
    if (out_result != NULL) *out_result = call->result;
    return 0;
}

/* A call from a task into a runtime that only runs while somebody drives it. */
struct indirect {
    seam_runtime *runtime;
    seam_fn *fn;
    void *arg;
    int *out_result;
    int64_t deadline_ns;
};

SEAM_SUSPENDS static int call_as_thread(void *arg)
{
    const struct indirect *call = arg;
    return seam_call(call->runtime, call->fn, call->arg, call->out_result, call->deadline_ns);
}

SEAM_SUSPENDS static int call_from_pool(const struct indirect *call)
{
    int result = 0;
    int r = sm_block_errand(
            SM_ERRAND_DRIVE, call_as_thread, sm_drop_const(call), &result, call->deadline_ns);
    return r < 0 ? r : result;
}

/* fn runs at once, in the caller, in a scope of its own. Inside, and outside while it runs. */
static int call_in_place(
        struct sm_thread *thread, seam_runtime *runtime, struct call *call, int64_t deadline_ns)
{
    struct sm_scope scope;
    int r = sm_scope_begin(thread, &scope, runtime, deadline_ns, NULL);
    if (r < 0) return r;
    sm_leave();
    (void)run_call(call);
    thread = sm_enter(); /* it may be another one now */
    /* fn has come back in a forked child as well: there its scope is nobody's. */
    return thread != NULL ? sm_scope_end(thread, &scope) : 0;
}

/* fn runs as a task; its header and its scope are in this frame. */
static int call_across(struct sm_thread *thread, seam_runtime *runtime, struct call *call,
        int64_t deadline_ns, const void *called_at)
{
    struct sm_scope scope;
    struct sm_framed_task task;
    task.fn = run_call;
    task.arg = call;
    task.name = "call";
    task.spawned_at = called_at;
    int r = sm_scope_begin_with_task(thread, &scope, runtime, deadline_ns, &task);
    return r < 0 ? r : sm_scope_end(thread, &scope);
}

int seam_call(seam_runtime *runtime, seam_fn *fn, void *arg, int *out_result, int64_t deadline_ns)
{
    struct sm_thread *thread = sm_enter();
    if (thread == NULL) return -EOWNERDEAD;
    if (is_driven_by_others(runtime)) {
        sm_leave();
        const struct indirect call = {runtime, fn, arg, out_result, deadline_ns};
        return call_from_pool(&call);
    }
    struct call call = {.fn = fn, .arg = arg};
    int ended = sm_scope_runtime(thread, &runtime);
    if (ended == 0 && is_task_of(runtime)) {
        ended = call_in_place(thread, runtime, &call, deadline_ns);
    } else if (ended == 0) {
        ended = call_across(thread, runtime, &call, deadline_ns, __builtin_return_address(0));
    }
    sm_leave();
    return settle(&call, ended, deadline_ns, out_result);
}

/* The owned form, from a task into a runtime that only runs while somebody drives it. */
struct indirect_owned {
    struct indirect call;
    seam_destroy_fn *destroy;
};

SEAM_SUSPENDS static int call_owned_as_thread(void *arg)
{
    const struct indirect_owned *owned = arg;
    const struct indirect *call = &owned->call;
    return seam_call_owned(call->runtime, call->fn, call->arg, owned->destroy, call->out_result,
            call->deadline_ns);
}

SEAM_SUSPENDS static int call_owned_from_pool(const struct indirect_owned *owned)
{
    int result = 0;
    int r = sm_block_errand(SM_ERRAND_DRIVE, call_owned_as_thread, sm_drop_const(owned), &result,
            owned->call.deadline_ns);
    if (r == 0) return result;
    owned->destroy(owned->call.arg, -ECANCELED);
    return r;
}

static int serve(void *arg)
{
    struct sm_owned *owned = arg;
    sm_owned_run(owned, sm_runtime_current(sm_thread_self()));
    return 0;
}

int seam_call_owned(seam_runtime *runtime, seam_fn *fn, void *arg, seam_destroy_fn *destroy,
        int *out_result, int64_t deadline_ns)
{
    if (is_driven_by_others(runtime)) {
        const struct indirect_owned call = {{runtime, fn, arg, out_result, deadline_ns}, destroy};
        return call_owned_from_pool(&call);
    }
    struct sm_owned *owned = NULL;
    int r = sm_owned_new(fn, arg, destroy, &owned);
    if (r < 0) return r;

    struct sm_thread *thread = sm_enter();
    if (thread == NULL) return sm_owned_refuse(owned, -EOWNERDEAD);
    if (runtime == NULL) runtime = sm_runtime_current(thread);
    if (runtime == NULL) r = seam_runtime_default(&runtime);
    if (r == 0) r = sm_owned_check(deadline_ns);
    static const struct seam_task_options options = {.name = "owned call"};
    /* Asked first: when what we spawn has ended, the runtime may be stopped, and freed. */
    seam_runtime *to_drive = r == 0 && runtime->is_driven ? runtime : NULL;
    if (r == 0) r = seam_spawn(seam_runtime_root(runtime), serve, owned, &options, NULL);
    if (r == 0) {
        (void)sm_enter(); /* spawning has left */
        r = sm_owned_wait(owned, out_result, deadline_ns, to_drive);
    } else {
        r = sm_owned_refuse(owned, r);
    }
    sm_leave();
    return r;
}
