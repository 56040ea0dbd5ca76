/* SPDX-License-Identifier: MIT */
#include "task/task.h"

#include <errno.h>
#include <sched.h>
#include <stddef.h>

#include "seam/task.h"
#include "seam/time.h"

#include "sched/bound.h"
#include "sched/runtime.h"
#include "sync/inside.h"
#include "task/scope.h"
#include "task/wait.h"

/* What seam_spawn() was asked for. */
struct plan {
    seam_fn *fn;
    void *arg;
    const char *name;
    const void *spawned_at;
    struct sm_scope *home;
    uint8_t stack_class;
    bool is_thread_bound;
    enum sm_task_keeper keeper;
};

/* Promises are fetched by the handful: with each alone, threads that call at once would meet. */
enum { CREDITS_FETCHED = 16 };

/* The promise of a stack, from the worker whose role we hold or from the process; and back. */
static bool take_credit(struct sm_thread *thread, struct sm_worker *own, unsigned stack_class)
{
    if (own != NULL) return sm_worker_take_credit(own, stack_class);
    uint8_t *credits = &thread->stack_credits[stack_class];
    if (*credits == 0) {
        uint32_t wanted = sm_stack_is_scarce() ? 1 : CREDITS_FETCHED;
        *credits = (uint8_t)sm_stack_reserve((enum sm_stack_class)stack_class, wanted);
    }
    if (*credits == 0) return false;
    (*credits)--;
    return true;
}

static void return_credit(struct sm_thread *thread, struct sm_worker *own, unsigned stack_class)
{
    if (own != NULL) {
        own->stacks[stack_class].credits++;
    } else {
        thread->stack_credits[stack_class]++; /* it came from there */
    }
}

static int choose_class(const struct seam_runtime *runtime, const struct seam_task_options *options,
        uint8_t *out_class)
{
    *out_class = runtime->stack_class;
    if (options == NULL) return 0;
    for (size_t i = 0; i < sizeof options->reserved / sizeof options->reserved[0]; i++) {
        if (options->reserved[i] != 0) return -EINVAL;
    }
    if (options->stack_bytes == 0) return 0;

    enum sm_stack_class class = SM_STACK_64K;
    int r = sm_stack_class_for(options->stack_bytes, &class);
    if (r == 0) *out_class = (uint8_t) class;
    return r;
}

/* Count and list the task, unless scope or runtime has closed. Whoever stops the runtime closes it
 * before it takes the locks of its scopes: so it waits for the task, or we see that it closed. */
static int admit(struct sm_scope *scope, struct sm_task *task)
{
    int r = 0;
    sm_lock(&scope->lock);
    if (scope->is_open != SM_SCOPE_OPEN) {
        r = -EINVAL;
    } else if (!sm_runtime_is_open(scope->runtime)) {
        r = -ESHUTDOWN;
    } else {
        sm_list_push_back(&scope->tasks, &task->in_home);
        scope->live++;
    }
    sm_unlock(&scope->lock);
    return r;
}

static int promise_stack(struct sm_thread *thread, struct sm_worker *own, const struct plan *plan)
{
    if (take_credit(thread, own, plan->stack_class)) return 0;
    sm_runtime_call_in_stacks(plan->home->runtime);
    return -ENOMEM;
}

static void init_header(struct sm_task *task, const struct plan *plan)
{
    *task = (struct sm_task){
            .party = {.depth = 1, .scope_depth = 1, .scope = plan->home, .is_task = true},
            .fn = plan->fn,
            .arg = plan->arg,
            .name = plan->name,
            .spawned_at = plan->spawned_at,
            .home = plan->home,
            .stack_class = plan->stack_class,
            .is_thread_bound = plan->is_thread_bound,
            .keeper = (uint8_t)plan->keeper,
    };
}

/* A task that can be queued: with a header, the promise of a stack, and a place in its scope. */
static int make(struct sm_thread *thread, struct sm_worker *own, const struct plan *plan,
        struct sm_task **out_task)
{
    int r = promise_stack(thread, own, plan);
    if (r < 0) return r;
    struct sm_task *task = sm_task_alloc(thread);
    if (task == NULL) {
        return_credit(thread, own, plan->stack_class);
        return -ENOMEM;
    }
    init_header(task, plan);
    r = admit(plan->home, task);
    if (r < 0) {
        sm_task_dispose(task, thread);
        return_credit(thread, own, plan->stack_class);
        return r;
    }
    *out_task = task;
    return 0;
}

static int spawn(struct sm_thread *thread, const struct plan *plan, seam_task **out_task)
{
    struct seam_runtime *runtime = plan->home->runtime;
    struct sm_worker *own = thread->role != NULL ? sm_worker_of(thread) : NULL;
    if (own != NULL && own->runtime != runtime) own = NULL;

    struct sm_task *task = NULL;
    int r = make(thread, own, plan, &task);
    if (r < 0) return r;
    if (out_task != NULL) *out_task = (seam_task *)task;
    if (own != NULL) {
        sm_count_relaxed(&own->stats.spawned, 1);
        sm_worker_push_fresh(own, task);
    } else {
        (void)sm_add_relaxed(&runtime->spawned_outside, 1);
        sm_worker_send(sm_runtime_choose_worker(runtime), task);
    }
    return 0;
}

int sm_scope_begin_with_task(struct sm_thread *thread, struct sm_scope *scope,
        seam_runtime *runtime, int64_t deadline_ns, struct sm_framed_task *task)
{
    const struct plan plan = {
            .fn = task->fn,
            .arg = task->arg,
            .name = task->name,
            .spawned_at = task->spawned_at,
            .home = scope,
            .stack_class = runtime->stack_class,
            .keeper = SM_KEEPER_FRAME,
    };
    int r = promise_stack(thread, NULL, &plan);
    if (r < 0) return r;
    init_header(&task->header, &plan);
    r = sm_scope_begin(thread, scope, runtime, deadline_ns, &task->header);
    if (r < 0) {
        return_credit(thread, NULL, plan.stack_class);
        return r;
    }
    /* The runtime does not end before its guest's scope does. */
    sm_worker_deliver(sm_runtime_choose_worker(runtime), &task->header);
    return 0;
}

int seam_spawn(struct seam_scope *public_scope, seam_fn *fn, void *arg,
        const struct seam_task_options *options, seam_task **out_task)
{
    struct sm_thread *thread = sm_enter();
    if (thread == NULL) return -EOWNERDEAD;

    struct sm_scope *scope = sm_scope_of(public_scope);
    struct plan plan = {
            .fn = fn,
            .arg = arg,
            .name = options != NULL && options->name != NULL ? options->name : "task",
            .spawned_at = __builtin_return_address(0),
            .home = scope,
            .is_thread_bound = options != NULL && options->thread_bound,
            .keeper = out_task != NULL ? SM_KEEPER_HANDLE : SM_KEEPER_NOBODY,
    };
    int r = scope->is_open == SM_SCOPE_OPEN ? 0 : -EINVAL;
    if (r == 0) r = choose_class(scope->runtime, options, &plan.stack_class);
    if (r == 0) r = spawn(thread, &plan, out_task);
    sm_leave();
    return r;
}

/* The wait was over before the task. */
static void give_up_joining(struct sm_scope *home, struct sm_task *task)
{
    sm_lock(&home->lock);
    task->joiner = NULL;
    struct sm_party *ender = sm_scope_count_down(home);
    sm_unlock(&home->lock);
    if (ender != NULL) sm_party_complete(ender, 0);
}

/* 0 when the task has finished. */
static int wait_for_end(struct sm_thread *thread, struct sm_task *task, int64_t deadline_ns)
{
    struct sm_party *party = sm_thread_party(thread);
    if (thread->task == task) return -EDEADLK;
    if (sm_party_is_cancelled(party)) return -ECANCELED;

    struct sm_scope *home = task->home;
    sm_lock(&home->lock);
    int r = task->has_finished ? 0 : sm_wait_refused(deadline_ns);
    /* Off the list under the lock: now it is ours to dispose of, not the end of the scope's. */
    if (task->has_finished) sm_list_remove(&task->in_home);
    if (task->has_finished || r < 0) {
        sm_unlock(&home->lock);
        return r;
    }
    struct sm_waiter waiter = {.party = party};
    task->joiner = &waiter;
    home->live++; /* until the task has finished for us, or we have been back: see sm_task_finish() */
    const struct sm_wait wait = {
            .reason = "join",
            .deadline_ns = deadline_ns,
            .to_drive = home->runtime->is_driven ? home->runtime : NULL,
            .unlock = sm_wait_unlock,
            .object = &home->lock,
    };
    r = sm_wait(&wait);
    if (r < 0) give_up_joining(home, task);
    return r;
}

int seam_join(seam_task *public_task, int *out_result, int64_t deadline_ns)
{
    struct sm_thread *thread = sm_enter();
    if (thread == NULL) return -EOWNERDEAD;

    struct sm_task *task = sm_task_of(public_task);
    int r = wait_for_end(thread, task, deadline_ns);
    if (r == 0) {
        if (out_result != NULL) *out_result = task->party.result;
        sm_task_dispose(task, sm_thread_self());
    }
    sm_leave();
    return r;
}

/* Under SEAM_STEAL_FULL a runnable task may be taken at once, so it must be off its stack first. */
static void make_ready(void *arg)
{
    sm_runner_ready(arg);
}

int seam_yield(void)
{
    struct sm_thread *thread = sm_enter();
    if (thread == NULL) return -EOWNERDEAD;

    if (thread->task != NULL) {
        sm_runner_suspend(thread, make_ready, thread->task);
    } else {
        (void)sched_yield();
    }
    /* The thread may be another one now. */
    int r = sm_party_is_cancelled(sm_thread_party(sm_thread_self())) ? -ECANCELED : 0;
    sm_leave();
    return r;
}

const char *seam_task_name(void)
{
    struct sm_thread *thread = sm_thread_self_if_known();
    return thread != NULL && thread->task != NULL ? thread->task->name : NULL;
}

void seam_pin_begin(void)
{
    struct sm_thread *thread = sm_enter();
    if (thread == NULL) return;
    struct sm_task *task = thread->task;
    if (task != NULL && task->stack->pins++ == 0) sm_bound_bind(task, thread);
    sm_leave();
}

void seam_pin_end(void)
{
    const struct sm_thread *thread = sm_enter();
    if (thread == NULL) return;
    struct sm_task *task = thread->task;
    if (task != NULL && task->stack->pins > task->is_thread_bound && --task->stack->pins == 0) {
        sm_bound_unbind(task);
    }
    sm_leave();
}
