/* SPDX-License-Identifier: MIT */
/*
 * sched/worker.h - a worker: the role that a thread holds while it runs tasks.
 *
 *        other threads            the thread that holds the role
 *     ----------------------      ------------------------------------------------------------
 *     inbox  ---- take all --->   fifo (tasks of this worker)  \
 *     ring   <--- steal half ---  ring (not begun yet)          > next task ---> run it
 *     wake   ----------------->   backlog (when the ring is full) /
 *                                 bound (on one thread only) and
 *                                 poller, timers: every 200 us, and when there is nothing to run
 *
 * Nothing is in a place that only a running thread can empty: fifo, backlog, poller and timers are
 * owner-only, but the role itself can be taken from a thread that is blocked (task/thread.h,
 * sched/monitor.h), and with it all of them.
 *
 * A task switches straight to the next one. The thread's own stack runs only when there is nothing
 * to switch to, when it is time to look at the poller, or when the role is gone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "io/poller.h"
#include "os/stack.h"
#include "sched/inbox.h"
#include "sched/queue.h"
#include "task/task.h"
#include "task/thread.h"
#include "time/clock.h"
#include "time/timer.h"

/* Figures that the holder of the role counts and anybody may read. */
struct sm_worker_stats {
    _Atomic(uint64_t) spawned;
    _Atomic(uint64_t) finished;
    _Atomic(uint64_t) switches; /* also the tick by which the monitor sees that the role lives */
    _Atomic(uint64_t) steals;
    _Atomic(uint64_t) polls;
    _Atomic(uint64_t) parks;
};

/* Stacks of finished tasks, latest first, for the next ones; and the right to more. */
struct sm_stack_cache {
    struct sm_stack *free;
    uint32_t free_count;
    uint32_t credits; /* stacks that sm_stack_reserve() has promised us */
};

/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): ring, inbox: own cache lines */
struct sm_worker {
    struct sm_role role; /* first: a role is a worker's */
    struct seam_runtime *runtime;
    uint32_t index;

    /* The holder's alone. */
    uint32_t until_look; /* switches left before we look at clock, poller and timers */
    bool ring_first;     /* take turns between ring and fifo */
    struct sm_fifo fifo;
    struct sm_fifo backlog;
    struct sm_fifo bound;   /* runnable, on one thread only; see sched/bound.h */
    struct sm_fifo aside;   /* likewise, and that thread is not at hand */
    struct sm_thread *heir; /* who must have the role next; NULL: nobody in particular */
    bool is_heir_guest;     /* it drives; else it was a spare */
    bool bound_first; /* take turns between bound and the others: the last was a bound one's */
    struct sm_stack_cache stacks[SM_STACK_CLASS_COUNT];
    int64_t looked_ns;
    uint32_t look_every;     /* how many switches make about 200 us, lately */
    struct sm_task *running; /* switched to last; it lives while the holder is outside */
    struct sm_thread
            *absent; /* current-thread: the driver for whom the holder stands in; NULL: none */
    uint32_t absent_returns; /* its returns, when it was overtaken */
    struct sm_spin spin;
    uint32_t random;
    struct sm_poller poller;
    struct sm_task errand; /* for sched/inspect.c, while is_asked */

    /* Anybody's. */
    struct sm_worker_stats stats;
    struct sm_ring ring;
    _Alignas(64) struct sm_inbox inbox;
    _Atomic(uint32_t) senders;     /* other threads between push and wake: the worker must stay */
    _Atomic(uint32_t) is_sleeping; /* in the kernel, or on the way: wake it after pushing */
    _Atomic(uint32_t) wanted;      /* look again at what is aside */
    _Atomic(uint32_t) is_asked;    /* the errand is on its way; set by who stops the runtime */
    struct sm_timer_heap timers;
    struct sm_clock_heap clock_heap;
};

static inline struct sm_worker *sm_worker_of(struct sm_thread *thread)
{
    return (struct sm_worker *)(void *)thread->role;
}

/* 0, or -EMFILE, -ENOMEM and the like, with nothing left behind. */
int sm_worker_init(struct sm_worker *worker, struct seam_runtime *runtime, uint32_t index);
void sm_worker_fini(struct sm_worker *worker);

enum sm_worker_end {
    SM_WORKER_DONE, /* the condition holds; the role is still ours */
    SM_WORKER_LOST, /* the role was taken while a task of ours was outside for long */
    SM_WORKER_BACK, /* the driver we stand in for has come back; the role is still ours */
    SM_WORKER_HEIR, /* worker->heir must have the role, which is still ours */
};

/*
 * Run tasks with the role that thread holds, until party (may be NULL) is done or the runtime's
 * threads are told to end. On a thread's own stack.
 */
enum sm_worker_end sm_worker_run(struct sm_thread *thread, struct sm_party *party);

/* Has the driver come back for whom the holder stands in? Holder only. */
static inline bool sm_worker_is_wanted_back(const struct sm_worker *worker)
{
    /* relaxed: after it, and before it looks for us, the driver sends its task to our inbox; that
     * carries it. */
    return worker->absent != NULL
            && sm_load_relaxed(&worker->absent->returns) != worker->absent_returns;
}

/* Run what can run without sleeping, for about limit_ns. True if there is more, or if the role was
 * lost: thread->role says. */
bool sm_worker_run_some(struct sm_thread *thread, int64_t limit_ns);

/* Nobody will hold the role for a while: have the poller's descriptor show when somebody should. */
void sm_worker_rest(struct sm_worker *worker);

/* Take the free role, if it is free. */
bool sm_worker_try_hold(struct sm_worker *worker, struct sm_thread *thread);
void sm_worker_let_go(struct sm_worker *worker, struct sm_thread *thread);

/* Give the role from thread to a spare, which waits for it and will be signalled. */
void sm_worker_pass_on(struct sm_worker *worker, struct sm_thread *thread, struct sm_thread *heir);

/* Give a task that has not begun to this worker; or one that has, which it is bound to. Any thread.*/
void sm_worker_send(struct sm_worker *worker, struct sm_task *task);

/* The same by somebody who keeps the runtime from ending meanwhile. */
void sm_worker_deliver(struct sm_worker *worker, struct sm_task *task);

/* Run fn(arg) on the stack of a task that is parked here, which stays parked. fn must not suspend. The
 * holder only, on its own stack. */
void sm_worker_visit(struct sm_task *task, sm_after_fn *fn, void *arg);

/* Queue a task that has not begun. The holder only. */
void sm_worker_push_fresh(struct sm_worker *worker, struct sm_task *task);

/* Make worker look at its inbox, timers and stop flags soon. Any thread. */
void sm_worker_wake(struct sm_worker *worker);

/* Is there anything it could do if its thread were not busy? A guess. Any thread. */
bool sm_worker_has_work(struct sm_worker *worker, int64_t now_ns);

/* Make sure that a task that is spawned now will get a stack. False: there is no memory. Holder
 * only. */
bool sm_worker_take_credit(struct sm_worker *worker, unsigned stack_class);
