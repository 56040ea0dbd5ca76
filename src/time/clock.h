/* SPDX-License-Identifier: MIT */
/*
 * time/clock.h - virtual time for tests: it stands still while anybody runs, and jumps to the next
 * deadline when nobody can.
 *
 * Everyone who may run is counted as busy: threads that use the library, workers, pool threads.
 * Whoever goes to sleep takes itself off the count; whoever wakes somebody puts the sleeper back on
 * before it runs, so there is no gap. When the count reaches zero, the last one out moves the clock
 * to the earliest deadline of all registered heaps and fires what is due.
 *
 * On real time every function here is a test of one variable.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "time/timer.h"

extern bool sm_clock_virtual;

static inline bool sm_clock_is_virtual(void)
{
    return __builtin_expect(sm_clock_virtual, 0);
}

/* Go over to virtual time, the caller being the only one busy. Only while no runtime exists. */
void sm_clock_make_virtual(int64_t start_ns);
void sm_clock_make_real(void);

/* One actor more, or one less, that may run. The last one out lets time pass. */
void sm_clock_busy_slow(void);
void sm_clock_idle_slow(void);

static inline void sm_clock_busy(void)
{
    if (sm_clock_is_virtual()) sm_clock_busy_slow();
}

static inline void sm_clock_idle(void)
{
    if (sm_clock_is_virtual()) sm_clock_idle_slow();
}

/* A timer that belongs to no worker. On real time its owner has to look whether it is due. fire()
 * may complete threads, but no tasks: a worker that goes to sleep would not see them. */
void sm_clock_add_timer(struct sm_timer *timer);

/* A worker's timers, for as long as the worker exists. wake() is called when time has moved to a
 * deadline of the heap: the worker then fires what is due. It says whether the worker slept. */
struct sm_clock_heap {
    struct sm_list link;
    struct sm_timer_heap *heap;
    bool (*wake)(struct sm_clock_heap *self);
    bool (*has_events)(struct sm_clock_heap *self); /* the kernel has something for it */
};
void sm_clock_register(struct sm_clock_heap *heap);
void sm_clock_unregister(struct sm_clock_heap *heap);

/* Spinning for another thread cannot help: there is one CPU, or time is virtual. */
bool sm_clock_spins_are_pointless(void);
