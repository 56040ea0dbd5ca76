/* SPDX-License-Identifier: MIT */
/*
 * base/spin.h - how long is it worth looking again before going to sleep?
 *
 * Spinning pays when the answer comes from a thread that runs right now. Every wait that was answered
 * in time doubles what the next one may spend, every other halves it.
 */
#pragma once

#include <stdbool.h>

#include "base/atomic.h"

enum { SM_SPIN_MIN = 8, SM_SPIN_MAX = 1024 };

struct sm_spin {
    unsigned budget; /* only the thread that spins touches it */
};

#define SM_SPIN_INIT \
    { \
        .budget = SM_SPIN_MAX / 4 \
    }

/* Look until is_over(arg), or until it does not seem worth it any more (false). */
static inline bool sm_spin_until(struct sm_spin *spin, bool (*is_over)(void *arg), void *arg)
{
    for (unsigned i = 0; i < spin->budget; i++) {
        if (is_over(arg)) {
            if (spin->budget < SM_SPIN_MAX) spin->budget *= 2;
            return true;
        }
        sm_spin_pause();
    }
    if (spin->budget > SM_SPIN_MIN) spin->budget /= 2;
    return false;
}
