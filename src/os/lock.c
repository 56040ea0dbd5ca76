/* SPDX-License-Identifier: MIT */
#include "os/lock.h"

#include "os/os.h"

enum { SPINS = 40 }; /* about 1 us: longer than any holder needs that has a CPU */

void sm_lock_slow(struct sm_lock *lock)
{
    for (int i = 0; i < SPINS; i++) {
        sm_spin_pause();
        uint32_t open = 0;
        /* relaxed: only a guess, the CAS decides. */
        if (sm_load_relaxed(&lock->word) != 0) continue;
        /* acquire: pairs with the release in sm_unlock(). */
        if (sm_cas_acquire(&lock->word, &open, 1)) return;
    }
    /* acquire: pairs with the release in sm_unlock(). Whoever takes the lock from here leaves a 2,
     * since others may sleep beside it; one wake too many is the price of a single word. */
    while (sm_exchange_acquire(&lock->word, 2) != 0) {
        (void)sm_os.futex_wait(&lock->word, 2, INT64_MAX);
    }
}

void sm_unlock_slow(struct sm_lock *lock)
{
    sm_os.futex_wake(&lock->word, 1);
}
