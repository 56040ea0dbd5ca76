/* SPDX-License-Identifier: MIT */
/*
 * sched/bound.h - tasks that run on one thread only.
 *
 * A task is bound while it has pins (seam_pin_begin(), or thread_bound of its options). Its stage is
 * then SM_TASK_BOUND, and the record of its stack says which thread that is. It keeps its worker, too:
 *
 *     A thread with bound tasks holds their worker's role, or none. It may be overtaken like any
 *     other, and becomes a spare like any other, but is given no other worker's role.
 *
 * So nothing has to be sent after a thread: its tasks wait at the worker, and the role comes to it.
 *
 *     wakes       push_ready()   to worker->bound, never to the ring
 *     is found    by its thread: runs. By another, which holds the role meanwhile:
 *                   its thread is at hand      the holder gives it the role (worker->heir)
 *                   its thread has ended       bound to the holder instead, and runs
 *                   else                       to worker->aside
 *     its thread  comes to be at hand, or ends: sm_bound_ask(), and what is aside is looked at again
 *
 * At hand: a thread of the runtime, among the spares; somebody else's that drives, enlisted as
 * driver and not driving. Who is neither is astray, or will drive again, or never: then its tasks go
 * on with whoever runs the others when the runtime is stopped.
 *
 *   what                                        who
 *   bound, aside, heir                          the holder of the role
 *   stage; the binding in the stack's record    who runs the task, or holds its role while it is queued
 *   bound_count of a thread                     any, atomically: the records that name it
 *   wanted                                      any; the holder takes it back
 */
#pragma once

#include "sched/worker.h"

/* Bind task, which runs on thread, to it; and no longer. The thread itself, inside. */
void sm_bound_bind(struct sm_task *task, struct sm_thread *thread);
void sm_bound_unbind(struct sm_task *task);

/* The next of worker's bound tasks that thread, the holder, may run; or NULL. Then worker->heir says if
 * the role must go to another thread. */
struct sm_task *sm_bound_next(struct sm_worker *worker, struct sm_thread *thread);

/* Look again at what was set aside. The holder. */
void sm_bound_reconsider(struct sm_worker *worker);

/* A thread that tasks of worker may be bound to is at hand now, or has ended. Any thread. */
void sm_bound_ask(struct sm_worker *worker);

/* Is any bound to thread? Others may bind more to it no longer, only fewer: itself, or under the
 * runtime's lock one that is a spare. */
static inline bool sm_thread_has_bound(const struct sm_thread *thread)
{
    return sm_load_relaxed(&thread->bound_count) != 0; /* relaxed: see above */
}
