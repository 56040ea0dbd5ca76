/* SPDX-License-Identifier: MIT */
#include "sched/bound.h"

#include "sched/runtime.h"

void sm_bound_bind(struct sm_task *task, struct sm_thread *thread)
{
    struct sm_stack *stack = task->stack;
    stack->bound_to = thread;
    /* relaxed: our own thread's, which is alive. */
    stack->bound_life = sm_load_relaxed(&thread->life);
    stack->is_bound_to_guest = thread->serves != sm_worker_of(thread)->runtime;
    task->stage = SM_TASK_BOUND;
    (void)sm_add_relaxed(&thread->bound_count, 1); /* relaxed: published with the role */
}

void sm_bound_unbind(struct sm_task *task)
{
    struct sm_thread *thread = task->stack->bound_to;
    task->stack->bound_to = NULL;
    task->stage = SM_TASK_STARTED;
    (void)sm_sub_relaxed(&thread->bound_count, 1); /* relaxed: as above */
}

/* Under the runtime's lock. */
static bool is_spare(struct seam_runtime *runtime, const struct sm_thread *thread)
{
    for (struct sm_list *link = runtime->spares.next; link != &runtime->spares; link = link->next) {
        if (link == &thread->link) return true;
    }
    return false;
}

/* Under the runtime's lock. */
static bool is_enlisted(struct seam_runtime *runtime, const struct sm_thread *thread)
{
    for (struct sm_list *link = runtime->drivers.next; link != &runtime->drivers;
            link = link->next) {
        if (link == &thread->driving) return true;
    }
    return false;
}

/* May thread be given the role? Takes it off the spares if it is one of them. */
static bool choose_heir(struct sm_worker *worker, struct sm_thread *thread)
{
    struct seam_runtime *runtime = worker->runtime;
    sm_lock(&runtime->lock);
    bool was_spare = is_spare(runtime, thread);
    if (was_spare) sm_list_remove(&thread->link);
    bool is_guest = !was_spare && worker->poller.is_driven
            && is_enlisted(runtime, thread)
            /* relaxed: who stops driving says so, and then asks. */
            && (sm_load_relaxed(&thread->party.word) & SM_PARTY_DRIVES) == 0;
    sm_unlock(&runtime->lock);
    if (!was_spare && !is_guest) return false;
    worker->heir = thread;
    worker->is_heir_guest = is_guest;
    worker->bound_first = false; /* the next turn is a bound one's: it is given the role for that */
    return true;
}

/* Will the thread never come for its task? A guest that does not drive cannot be relied upon where
 * the runtime is being stopped. */
static bool is_forsaken(struct sm_worker *worker, const struct sm_stack *stack)
{
    struct seam_runtime *runtime = worker->runtime;
    const struct sm_thread *thread = stack->bound_to;
    /* acquire: pairs with the release in sm_thread_end_life(). */
    if (sm_load_acquire(&thread->life) != stack->bound_life) return true;
    if (!stack->is_bound_to_guest || sm_runtime_is_open(runtime)) return false;
    if (thread == worker->absent) return false;
    sm_lock(&runtime->lock);
    bool will_come = is_enlisted(runtime, thread);
    sm_unlock(&runtime->lock);
    return !will_come;
}

/* Of the bound task that is first in line: is it thread's to run, perhaps from now on? */
static bool is_ours(struct sm_worker *worker, struct sm_task *task, struct sm_thread *thread)
{
    const struct sm_stack *stack = task->stack;
    /* relaxed: our own. */
    bool is_alive = stack->bound_life == sm_load_relaxed(&thread->life);
    if (stack->bound_to == thread && is_alive) return true;
    if (!is_forsaken(worker, stack)) return false;
    sm_bound_unbind(task);
    sm_bound_bind(task, thread);
    return true;
}

void sm_bound_reconsider(struct sm_worker *worker)
{
    struct sm_task *task = NULL;
    while ((task = sm_fifo_pop(&worker->aside)) != NULL) {
        sm_fifo_push(&worker->bound, task);
    }
}

struct sm_task *sm_bound_next(struct sm_worker *worker, struct sm_thread *thread)
{
    /* seq_cst: pairs with the store in sm_bound_ask(): what happened before it is seen below. */
    if (sm_load_relaxed(&worker->wanted) != 0 && sm_exchange_seq_cst(&worker->wanted, 0) != 0) {
        sm_bound_reconsider(worker);
    }
    struct sm_task *task = NULL;
    while ((task = sm_fifo_peek(&worker->bound)) != NULL) {
        if (is_ours(worker, task, thread)) return sm_fifo_pop(&worker->bound);
        if (choose_heir(worker, task->stack->bound_to)) return NULL;
        sm_fifo_push(&worker->aside, sm_fifo_pop(&worker->bound));
    }
    return NULL;
}

void sm_bound_ask(struct sm_worker *worker)
{
    /* seq_cst: pairs with the exchange in sm_bound_next(), and with the load in sleep_in_poller()
     * (sched/worker.c), for the order against is_sleeping. */
    sm_store_seq_cst(&worker->wanted, 1);
    sm_worker_wake(worker);
}
