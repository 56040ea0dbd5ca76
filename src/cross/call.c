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
#include "cross/service.h"
#include "sched/runtime.h"
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

/* How the call ended, given how its scope did. */
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
    int r = seam_block(call_as_thread, sm_drop_const(call), &result, SEAM_FOREVER);
    return r < 0 ? r : result;
}

int seam_call(seam_runtime *runtime, seam_fn *fn, void *arg, int *out_result, int64_t deadline_ns)
{
    if (sm_os_is_forked_child()) return -EOWNERDEAD;
    if (is_driven_by_others(runtime)) {
        const struct indirect call = {runtime, fn, arg, out_result, deadline_ns};
        return call_from_pool(&call);
    }
    struct seam_scope scope;
    int r = seam_scope_begin(&scope, runtime, deadline_ns);
    if (r < 0) return r;

    struct call call = {.fn = fn, .arg = arg};
    if (is_task_of(sm_scope_of(&scope)->runtime)) {
        (void)run_call(&call);
    } else {
        static const struct seam_task_options options = {.name = "call"};
        r = seam_spawn(&scope, run_call, &call, &options, NULL);
    }
    int ended = seam_scope_end(&scope);
    return r < 0 ? r : settle(&call, ended, deadline_ns, out_result);
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
    int r = seam_block(call_owned_as_thread, sm_drop_const(owned), &result, SEAM_FOREVER);
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
    if (r == 0) r = seam_spawn(seam_runtime_root(runtime), serve, owned, &options, NULL);
    if (r == 0) {
        (void)sm_enter(); /* spawning has left */
        r = sm_owned_wait(owned, out_result, deadline_ns, runtime->is_driven ? runtime : NULL);
    } else {
        r = sm_owned_refuse(owned, r);
    }
    sm_leave();
    return r;
}
