/* SPDX-License-Identifier: MIT */
/*
 * base/point.h - where a simulation may let another thread go on.
 *
 * A library built with SM_SIM calls sm_sim_point() before each atomic operation; src/sim is what
 * answers. In every other build all of this is nothing.
 */
#pragma once

#include <stdbool.h>

#ifdef SM_SIM

/* Written while the process has one thread only. */
extern bool sm_sim_is_active;

/* Implemented above, in src/sim. A thread that is not simulated comes back at once. */
void sm_sim_point_slow(void);

/* What the system says of a thread that is simulated is that it sleeps: what would it say else? */
bool sm_sim_thread_is_runnable(int tid, bool really);

/* What the system says of where one that is simulated sleeps is always the same: nothing then. */
bool sm_sim_has_thread(int tid);

/* Under most seeds: whoever spins only makes the moments that matter rarer. */
bool sm_sim_spins_are_pointless(void);

static inline void sm_sim_point(void)
{
    if (__builtin_expect(sm_sim_is_active, 0)) sm_sim_point_slow();
}

#define SM_POINT(operation) (sm_sim_point(), (operation))

#else

static inline void sm_sim_point(void) {}

static inline bool sm_sim_thread_is_runnable(int tid, bool really)
{
    (void)tid;
    return really;
}

static inline bool sm_sim_has_thread(int tid)
{
    (void)tid;
    return false;
}

static inline bool sm_sim_spins_are_pointless(void)
{
    return false;
}

#define SM_POINT(operation) (operation)

#endif
