/* SPDX-License-Identifier: MIT */
/*
 * task/task.h - the task: a header that lives until it is joined, and a stack while it runs.
 *
 * The life of a task
 *
 *     FRESH ----> STARTED ----> FINISHED ----> (freed)
 *                  |   ^           ^
 *                  v   |           |
 *                  BOUND ----------+
 *
 *   from      to        by                  who
 *   FRESH     STARTED   the scheduler       the worker that first picks it, giving it a stack
 *   STARTED   BOUND     sm_bound_bind()     itself: it has pins. The scheduler, where it is to begin
 *                                           with one. See sched/bound.h
 *   BOUND     STARTED   sm_bound_unbind()   itself: it has none. Then as any other, also where it ends
 *   STARTED   FINISHED  sm_task_finish()    the context that runs after it: its stack has been left
 *   STARTED   FRESH     sm_thread_lost()    its thread, which is being ended under it: to close what it
 *                                           has left open, on another stack (sched/lost.h)
 *   FINISHED  freed     sm_task_finish()    if nobody holds a handle
 *                       seam_join()         whoever takes the result
 *                       scope end           if nobody did
 *
 * In between it waits and runs as its party's word says (party.h). While it is runnable it is on
 * one queue of one worker, linked through next; while it runs or waits it is on none. Its stack is
 * touched by the thread that runs it and by nobody else; while it is parked, by nobody.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "seam/attr.h"

#include "arch/context.h"
#include "base/cast.h"
#include "base/list.h"
#include "os/lock.h"
#include "os/stack.h"
#include "task/party.h"
#include "task/thread.h"

/* Who disposes of the header of a task that has finished. */
enum sm_task_keeper {
    SM_KEEPER_NOBODY, /* nobody knows it: sm_task_finish() does */
    SM_KEEPER_HANDLE, /* somebody may join it: whoever does, or the end of its scope */
    SM_KEEPER_FRAME,  /* it is in the frame of whoever waits for the end of its scope */
};

enum sm_task_stage {
    SM_TASK_FRESH,
    SM_TASK_STARTED,
    SM_TASK_BOUND, /* started, and runs on one thread only */
    SM_TASK_FINISHED,
    SM_TASK_ERRAND, /* no task: fn(arg) is for the worker that finds it in its inbox */
};

struct sm_worker;

enum { SM_TASK_BEGAN_SHIFT = 20 };

struct sm_task {
    struct sm_context context;
    union {
        struct sm_task *next; /* in a run queue, an inbox or a free list */
        const char *reason;   /* while it waits: why, for whoever looks at a stuck program */
    };
    struct sm_party party;              /* result also holds what fn returned, once it has */
    _Atomic(struct sm_worker *) worker; /* where it runs; set when it does, by who does it */
    struct sm_stack *stack;             /* NULL unless STARTED or BOUND */
    seam_fn *fn;
    void *arg;
    struct sm_waiter *joiner; /* under home's lock; NULL: nobody waits */
    const char *name;
    const void *spawned_at;      /* code address, for reports */
    struct sm_scope *home;       /* the scope that owns it */
    struct sm_list in_home;      /* home->tasks; under home's lock */
    uint8_t stage;               /* enum sm_task_stage; of whoever runs it */
    uint8_t stack_class     : 7; /* enum sm_stack_class */
    uint8_t is_thread_bound : 1; /* to begin BOUND; both are for good */
    uint8_t keeper;              /* enum sm_task_keeper */
    bool has_finished;           /* for joiners; under home's lock */
    _Atomic(uint32_t) began;     /* when, in steps of 2^20 ns; 0: not known */
};

/* What a task costs besides its stack. */
#if !SM_ASAN && !SM_TSAN
_Static_assert(sizeof(struct sm_task) <= 128, "two cache lines");
#endif

/* A header, or NULL; and back. thread is the calling one: the role it holds, if any, keeps some at
 * hand. Headers are reused, never unmapped. */
struct sm_task *sm_task_alloc(struct sm_thread *thread);
void sm_task_dispose(struct sm_task *task, struct sm_thread *thread);

/* Give back what a role keeps at hand. */
void sm_task_empty_cache(struct sm_role *role);

/* The end of a task, from the context that runs after it: gives the result to the joiner, and the
 * scope one task less. task may be gone afterwards. Inside; never suspends. */
void sm_task_finish(struct sm_task *task);

static inline struct sm_task *sm_task_of(const seam_task *task)
{
    return sm_drop_const(task); /* the runtime's own memory behind the public type */
}

/* Who waits when this thread does. */
static inline struct sm_party *sm_thread_party(struct sm_thread *thread)
{
    return thread->task != NULL ? &thread->task->party : &thread->party;
}
