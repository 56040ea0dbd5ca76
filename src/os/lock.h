/* SPDX-License-Identifier: MIT */
/*
 * os/lock.h - the lock inside every object that tasks and threads share.
 *
 * Held for a few dozen instructions, never while anything waits, never while user code runs. It
 * spins briefly, because the holder is about to let go, and then sleeps in the kernel, because the
 * holder may have lost its CPU. Zeroed memory is an open lock.
 *
 * A task that parks leaves the lock of what it waits for held, and the context that runs next opens
 * it (task/wait.h): that is why a lock is not tied to the thread that took it.
 */
#pragma once

#include <stdint.h>

#include "base/atomic.h"

struct sm_lock {
    _Atomic(uint32_t) word; /* 0 open, 1 held, 2 held and somebody may sleep */
};

void sm_lock_slow(struct sm_lock *lock);
void sm_unlock_slow(struct sm_lock *lock);

static inline void sm_lock(struct sm_lock *lock)
{
    uint32_t open = 0;
    /* acquire: pairs with the release in sm_unlock(). It carries all that the last holder did. */
    if (sm_likely(sm_cas_acquire(&lock->word, &open, 1))) return;
    sm_lock_slow(lock);
}

static inline void sm_unlock(struct sm_lock *lock)
{
    /* release: pairs with the acquire in sm_lock() and sm_lock_slow(). It carries what the lock
     * protects. */
    if (sm_unlikely(sm_exchange_release(&lock->word, 0) == 2)) sm_unlock_slow(lock);
}
