/* SPDX-License-Identifier: MIT */
#include "sched/lost.h"

#include <errno.h>
#include <sched.h>

#include "seam/scope.h"

#include "base/panic.h"
#include "sched/bound.h"
#include "sched/runtime.h"
#include "task/scope.h"
#include "task/task.h"
#include "task/thread.h"
#include "time/clock.h"

/* The rest of a lost task, as the task itself, on a new stack. */
SEAM_SUSPENDS static int bury(void *arg)
{
    struct sm_task *task = arg;
    while (task->party.scope != task->home) {
        struct sm_scope *scope = task->party.scope;
        if (scope->lost != NULL) {
            scope->lost(scope);
            continue;
        }
        (void)seam_scope_cancel((struct seam_scope *)scope);
        (void)seam_scope_end((struct seam_scope *)scope);
    }
    /* A call's: it waits in its caller's frame for us to finish, who closes it then. */
    if (task->home->lost != NULL) task->home->lost(task->home);
    return -EPIPE;
}

/* Enter the runtime, in a thread that has left its task for good: true if its role is still ours.
 * As sm_enter(), without rejoining. */
static bool enter_for_good(struct sm_thread *thread, struct sm_role *role)
{
    sm_store_relaxed(&thread->inside, 1); /* relaxed: see sm_enter() */
    sm_compiler_barrier();
    struct sm_thread *holder = NULL;
    /* acquire: pairs with the release in sm_role_take(), as in sm_enter_slow(). */
    while ((holder = sm_load_acquire(&role->holder)) == SM_ROLE_CONTESTED) {
        (void)sched_yield();
    }
    return holder == thread;
}

/* Have the role in our hands, as who takes it from another: nobody runs it, nobody takes it. */
static void take_from_self(struct sm_thread *thread, struct sm_role *role)
{
    struct sm_thread *holder = thread;
    /* Not a plain store: a taker that contests the role sees us inside and writes us back.
     * acq_rel: pairs with the acquire in sm_enter_slow(): as in sm_role_take(). */
    while (!sm_cas_acq_rel(&role->holder, &holder, SM_ROLE_CONTESTED)) {
        holder = thread;
        (void)sched_yield();
    }
}

/* Have it begin again, with bury(). */
static void prepare_burial(struct sm_task *task)
{
    if (sm_stack_reserve((enum sm_stack_class)task->stack_class, 1) != 1) {
        sm_panic("memory to bury a task whose thread was ended", __FILE__, __LINE__);
    }
    if (task->stage == SM_TASK_BOUND) sm_bound_unbind(task);
    task->is_thread_bound = false;
    sm_context_fini(&task->context);
    task->stack->owner = NULL; /* and never put back */
    task->stack = NULL;
    task->fn = bury;
    task->arg = task;
    task->stage = SM_TASK_FRESH;
    task->party.shield_depth = 0;
}

/* The system has no thread to take our place, and the role is in our hands. Callers who drive need none.
 * Else it is left to the monitor, since there may be a thread as soon as we have gone, and to those who
 * come back to it. Where nobody watches there are none of these, and we go on trying. */
static void leave_orphan(struct sm_worker *worker)
{
    struct seam_runtime *runtime = worker->runtime;
    if (runtime->is_driven) {
        sm_runtime_rest_role(runtime, worker);
        return;
    }
    sm_lock(&runtime->lock);
    bool is_watched = runtime->monitor.has_thread;
    sm_unlock(&runtime->lock);
    if (is_watched) {
        /* release: pairs with the acquire in sm_runtime_adopt() and sm_enter_slow(). It carries all
         * that is owner-only; and it is our last touch. */
        sm_store_release(&worker->role.holder, SM_ROLE_ORPHAN);
        return;
    }
    while (!sm_runtime_give_role(runtime, worker, NULL)) {
        sm_os_nap();
    }
}

void sm_thread_lost(void *runtime_of_thread)
{
    if (sm_os_is_forked_child()) return; /* nothing here is ours, and we were the only thread */
    struct seam_runtime *runtime = runtime_of_thread;
    struct sm_thread *thread = sm_thread_self();
    struct sm_task *task = thread->task;
    if (task == NULL || thread->native != &thread->own
            || sm_load_relaxed(&thread->inside) != 0) { /* relaxed: our own */
        sm_panic("a worker's thread was ended inside the runtime", __FILE__, __LINE__);
    }
    sm_fiber_jumped(&task->context.fiber, &thread->own.fiber);
    struct sm_worker *worker = sm_worker_of(thread);
    bool has_role = enter_for_good(thread, &worker->role);
    /* It comes back to nothing, but it is not astray any more: see sched/incident.c. */
    if (!has_role) sm_count_relaxed(&thread->returns, 1);
    thread->task = NULL;
    thread->role = NULL;
    prepare_burial(task);
    sm_thread_end_life(thread);
    sm_add_relaxed(&runtime->threads_lost, 1);
    sm_runtime_forget_this_thread(runtime);
    /* From here on the runtime may end without us; but not while its role is in our hands, since
     * then nobody buries the task. */
    if (has_role) take_from_self(thread, &worker->role);
    /* Before the task is sent, which keeps the runtime from ending. */
    sm_bound_ask(worker);
    sm_worker_send(worker, task);
    if (has_role && !sm_runtime_give_role(runtime, worker, NULL)) leave_orphan(worker);
    sm_store_relaxed(&thread->inside, 0); /* relaxed: it holds no role */
    sm_clock_idle();
    sm_thread_end();
}
