/* SPDX-License-Identifier: MIT */
/*
 * sched/inbox.h - how a task reaches a worker from another thread.
 *
 *     any thread                                  the holder of the role
 *     sm_inbox_push() ---CAS---> newest ---exchange---> sm_inbox_take_all()
 *
 * Producers see a stack, newest first; the owner gets batches, oldest first. The owner never
 * takes one task, it takes them all. That is what makes the inbox immune to ABA, and what lets a
 * producer forget a task the moment push returns.
 *
 * Invariants
 *   1. A task is in at most one inbox. While it is there, only the inbox touches task->next.
 *   2. Only the owner takes.
 *   3. Whoever pushes must wake the owner if it sleeps (sm_worker_wake).
 */
#pragma once

#include <stdbool.h>

#include "base/atomic.h"
#include "task/task.h"

struct sm_inbox {
    _Atomic(struct sm_task *) newest; /* NULL when empty */
};

static inline bool sm_inbox_is_empty(const struct sm_inbox *inbox)
{
    /* seq_cst: pairs with the seq_cst CAS in sm_inbox_push(). A worker that is going to sleep has
     * said so before it looks here; the pusher looks whether it sleeps after it has pushed. */
    return sm_load_seq_cst(&inbox->newest) == NULL;
}

/* Hand task to the owner. Any thread. Never suspends, never fails. */
void sm_inbox_push(struct sm_inbox *inbox, struct sm_task *task);

/* Everything pushed so far, linked oldest first; NULL if nothing was.
 * Owner only. Never suspends, never fails. */
struct sm_task *sm_inbox_take_all(struct sm_inbox *inbox);
