/* SPDX-License-Identifier: MIT */
/*
 * sched/queue.h - the two queues of runnable tasks that every worker has.
 *
 *     fifo   tasks that stay with this worker        owner only, unbounded, no atomics
 *     ring   tasks that an idle worker may take      256 slots; the owner pushes, anybody pops
 *
 * Most of what runs has run before on this worker and is bound to it: it goes through the fifo, and
 * costs no locked instruction. What has not begun yet, and under SEAM_STEAL_FULL everything, goes
 * through the ring.
 *
 * Ring invariants
 *   1. tail - head is between 0 and 256; slots [head, tail) hold tasks.
 *   2. Only the owner moves tail. head moves by CAS only, by whoever takes the tasks in between.
 *   3. A slot is overwritten only after head has passed it; so a thief that has copied slots knows
 *      by its CAS on head whether what it copied was still there.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "task/task.h"

/* The head is atomic only so that the monitor may ask whether the queue is empty. */
struct sm_fifo {
    _Atomic(struct sm_task *) head;
    struct sm_task *tail;
};

static inline struct sm_task *sm_fifo_peek(const struct sm_fifo *fifo)
{
    /* relaxed: the owner wrote it itself; the monitor only guesses. */
    return sm_load_relaxed(&fifo->head);
}

static inline void sm_fifo_push(struct sm_fifo *fifo, struct sm_task *task)
{
    task->next = NULL;
    if (sm_fifo_peek(fifo) == NULL) {
        sm_store_relaxed(&fifo->head, task); /* relaxed: owner only */
    } else {
        fifo->tail->next = task;
    }
    fifo->tail = task;
}

static inline struct sm_task *sm_fifo_pop(struct sm_fifo *fifo)
{
    struct sm_task *task = sm_fifo_peek(fifo);
    if (task != NULL) sm_store_relaxed(&fifo->head, task->next); /* relaxed: owner only */
    return task;
}

enum { SM_RING_SLOTS = 256 };

struct sm_ring {
    _Alignas(64) _Atomic(uint32_t) head;
    _Alignas(64) _Atomic(uint32_t) tail;
    _Atomic(struct sm_task *) slots[SM_RING_SLOTS];
};

/* False if the ring is full. Owner only. */
static inline bool sm_ring_push(struct sm_ring *ring, struct sm_task *task)
{
    uint32_t tail = sm_load_relaxed(&ring->tail); /* relaxed: only we write it */
    /* acquire: pairs with the release in sm_ring_pop() and sm_ring_steal(): who moved head past a
     * slot has read it. */
    if (tail - sm_load_acquire(&ring->head) == SM_RING_SLOTS) return false;

    sm_store_relaxed(&ring->slots[tail % SM_RING_SLOTS], task); /* relaxed: published by tail */
    /* release: pairs with the acquire in sm_ring_pop() and sm_ring_steal(). It carries the task. */
    sm_store_release(&ring->tail, tail + 1);
    return true;
}

/* The oldest task, or NULL. Owner only. */
static inline struct sm_task *sm_ring_pop(struct sm_ring *ring)
{
    uint32_t head = sm_load_relaxed(&ring->head); /* relaxed: a guess that the CAS checks */
    for (;;) {
        if (head == sm_load_relaxed(&ring->tail)) return NULL; /* relaxed: only we write it */
        struct sm_task *task = sm_load_relaxed(&ring->slots[head % SM_RING_SLOTS]);
        /* acq_rel: pairs with the CAS of thieves in sm_ring_steal(): one of us gets the task. */
        if (sm_cas_weak_acq_rel(&ring->head, &head, head + 1)) return task;
    }
}

/* How many tasks there are, roughly. Any thread. */
static inline uint32_t sm_ring_count(const struct sm_ring *ring)
{
    /* relaxed, and head first: an answer a moment old; never negative. */
    uint32_t head = sm_load_relaxed(&ring->head);
    return sm_load_relaxed(&ring->tail) - head;
}

/* Move half of what from holds, at least one, to the empty ring into, whose owner calls. Returns
 * how many. */
uint32_t sm_ring_steal(struct sm_ring *from, struct sm_ring *into);
