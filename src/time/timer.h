/* SPDX-License-Identifier: MIT */
/*
 * time/timer.h - what is due, earliest first: a data structure that asks no clock.
 *
 * A pairing heap whose nodes live in the frames of those who wait, so that adding a timer cannot
 * fail, costs O(1), and removing one costs O(log n) amortised. The heap is guarded by a lock of its
 * own: a timer may be added and removed by any thread.
 *
 * Invariants
 *   1. A timer is in at most one heap. timer->heap says in which it is or was last; is_waiting,
 *      guarded by that heap's lock, says whether it still is.
 *   2. No timer is due before its parent.
 *   3. A worker's heap is fired only by whoever holds the worker's role. Hence fire() may take the
 *      locks of scopes although a task that holds one adds timers: to its own worker's heap, which
 *      nobody fires meanwhile.
 *   4. fire() runs under the heap's lock, after the timer has left the heap. Hence whoever has
 *      removed a timer knows that it has not fired and never will, or that it has fired to the end.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "os/lock.h"

struct sm_timer_heap;

struct sm_timer {
    int64_t deadline_ns;
    struct sm_timer_heap *heap; /* set by sm_timer_add(); NULL: never added */
    struct sm_timer *child;     /* first child */
    struct sm_timer *next;      /* next sibling */
    struct sm_timer *prev;      /* previous sibling, or the parent of a first child */
    bool is_waiting;
    void (*fire)(struct sm_timer *timer); /* must not touch any timer heap */
};

struct sm_timer_heap {
    struct sm_lock lock;
    struct sm_timer *root;
    _Atomic(int64_t) next_ns; /* deadline of root, INT64_MAX if none; written under the lock */
};

void sm_timer_heap_init(struct sm_timer_heap *heap);

/* Add timer, which is in no heap. True if it is now the earliest: whoever sleeps until the heap's
 * next deadline must be woken. Any thread. */
bool sm_timer_add(struct sm_timer_heap *heap, struct sm_timer *timer);

/* Take timer out if it is still waiting. False if it has fired, or was never added. Any thread, one
 * at a time for each timer. */
bool sm_timer_remove(struct sm_timer *timer);

/* Fire all that is due at now_ns, earliest first. Returns how many. Any thread. */
unsigned sm_timer_fire_due(struct sm_timer_heap *heap, int64_t now_ns);

/* Panics if an invariant is broken. Any thread. */
void sm_timer_heap_check(struct sm_timer_heap *heap);
