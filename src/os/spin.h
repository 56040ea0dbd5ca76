/* SPDX-License-Identifier: MIT */
/*
 * os/spin.h - how long to look for an answer before sleeping in the kernel for it.
 *
 * Looking pays when the other side is running: its answer is a microsecond away, and a sleeper's
 * wake-up 15 to 35. So every wait learns from those before: an answer in time doubles what the next
 * may spend, a miss halves it. Two sides that have both stopped looking would never find out that
 * they could meet again, as each sees only the other's wake-ups: one miss in 32 is followed by a
 * long look, longer than a wake-up takes. That costs at most a microsecond and a half per wait.
 */
#pragma once

#include <stdbool.h>

#include "base/atomic.h"

enum {
    SM_SPIN_MIN = 8, /* pauses of about 25 ns */
    SM_SPIN_MAX = 1024,
    SM_SPIN_LONG = 2048,
    SM_SPIN_LONG_EVERY = 32, /* misses */
};

/* What one waiting place has learnt. Zeroed memory is one that has learnt nothing yet. */
struct sm_spin {
    unsigned budget;
    unsigned misses;
};

/* How many pauses the wait that begins now may spend. */
static inline unsigned sm_spin_budget(const struct sm_spin *spin)
{
    if (spin->misses % SM_SPIN_LONG_EVERY == SM_SPIN_LONG_EVERY - 1) return SM_SPIN_LONG;
    return spin->budget > SM_SPIN_MIN ? spin->budget : SM_SPIN_MIN;
}

static inline void sm_spin_learn(struct sm_spin *spin, bool was_answered)
{
    if (was_answered) {
        spin->misses = 0;
        spin->budget = spin->budget < SM_SPIN_MIN ? 2 * SM_SPIN_MIN : 2 * spin->budget;
        if (spin->budget > SM_SPIN_MAX) spin->budget = SM_SPIN_MAX;
    } else {
        spin->misses++;
        spin->budget /= 2;
    }
}
