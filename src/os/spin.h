/* SPDX-License-Identifier: MIT */
/*
 * os/spin.h - how long to look for an answer before sleeping in the kernel for it.
 *
 * Looking pays when the other side is running: its answer is a microsecond away, and a sleeper's
 * wake-up 15 to 35. So every wait learns from those before: an answer in time doubles what the next
 * may spend, a miss halves it, down to nothing. Two sides that have both stopped looking would never
 * find out that they could meet again, as each sees only the other's wake-ups: one sleep in 32 that
 * another thread has ended is followed by a long look, longer than a wake-up takes. That costs at
 * most a microsecond and a half per sleep.
 */
#pragma once

#include <stdbool.h>

#include "base/atomic.h"

enum {
    SM_SPIN_FIRST = 16, /* pauses of about 25 ns */
    SM_SPIN_MAX = 1024,
    SM_SPIN_LONG = 2048,
    SM_SPIN_LONG_EVERY = 32, /* sleeps */
};

/* What one waiting place has learnt. Zeroed memory is one that has learnt nothing yet. */
struct sm_spin {
    unsigned budget;
    unsigned
            sleeps; /* that another thread has ended, since the last look that helped or was long */
};

/* How many pauses the wait that begins now may spend. */
static inline unsigned sm_spin_budget(const struct sm_spin *spin)
{
    return spin->sleeps >= SM_SPIN_LONG_EVERY ? SM_SPIN_LONG : spin->budget;
}

/* The look is over. */
static inline void sm_spin_learn(struct sm_spin *spin, bool was_answered)
{
    if (!was_answered) {
        spin->budget /= 2;
        if (spin->sleeps >= SM_SPIN_LONG_EVERY) spin->sleeps = 0;
        return;
    }
    spin->sleeps = 0;
    spin->budget = spin->budget < SM_SPIN_FIRST ? SM_SPIN_FIRST : 2 * spin->budget;
    if (spin->budget > SM_SPIN_MAX) spin->budget = SM_SPIN_MAX;
}

/* A sleep has been ended by another thread: looking might have found it. */
static inline void sm_spin_slept(struct sm_spin *spin)
{
    spin->sleeps++;
}
