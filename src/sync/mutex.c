/* SPDX-License-Identifier: MIT */
/*
 * sync/mutex.c - one word for those who need not wait, a queue for those who do.
 *
 *   word     0 free    1 held    3 held, and the queue may not be empty
 *
 * Unlocking frees the word and then wakes the first waiter, which has to try again: a newcomer may
 * be faster, and the lock is not idle while the waiter wakes up. A waiter that has been passed over
 * for 1 ms says so, and the next unlock hands the lock to it without freeing the word.
 */
#include <errno.h>

#include "seam/sync.h"
#include "seam/time.h"

#include "base/panic.h"
#include "task/task.h"
#include "task/wait.h"

enum { FREE = 0, HELD = 1, CONTENDED = 3 };
enum { PATIENCE_NS = 1000 * 1000, SPINS = 30 };
enum { TRY_AGAIN = 0, HANDED_OVER = 1 }; /* what a waiter is told */

/* Lives in memory declared as struct seam_mutex. */
struct __attribute__((may_alias)) mutex {
    _Atomic(uint32_t) word;
    struct sm_lock lock;
    struct sm_list waiters; /* under lock; waiter->value: not NULL if its patience is at an end */
};
_Static_assert(sizeof(struct mutex) <= sizeof(struct seam_mutex), "see seam/sync.h");

static struct mutex *mutex_of(struct seam_mutex *mutex)
{
    return (struct mutex *)(void *)mutex;
}

void seam_mutex_init(struct seam_mutex *mutex)
{
    *mutex = (struct seam_mutex)SEAM_MUTEX_INIT;
}

static bool try_lock(struct mutex *mutex)
{
    uint32_t word = FREE;
    /* acquire: pairs with the release in seam_mutex_unlock(). It carries what the mutex protects. */
    if (!sm_cas_acquire(&mutex->word, &word, HELD)) return false;
    /* relaxed: for some this is the only use of seam before a fork, and the child must be told. */
    if (sm_unlikely(!sm_load_relaxed(&sm_os_is_parent_marked))) sm_os_mark_parent();
    return true;
}

/* Queue up, unless the mutex is free now. TRY_AGAIN, HANDED_OVER or an error. */
static int wait_once(
        struct mutex *mutex, struct sm_thread *thread, bool is_impatient, int64_t deadline_ns)
{
    sm_lock(&mutex->lock);
    /* acquire: pairs with the release in seam_mutex_unlock(): we may have become the holder. The
     * mark makes the holder look at the queue; it stays although the queue may be empty. */
    if (sm_exchange_acquire(&mutex->word, CONTENDED) == FREE) {
        sm_unlock(&mutex->lock);
        return HANDED_OVER;
    }
    struct sm_waiter waiter = {.party = sm_thread_party(thread)};
    if (is_impatient) waiter.value = &waiter;
    const struct sm_wait wait = {
            .reason = "mutex",
            .deadline_ns = deadline_ns,
            .ignores_cancel = true,
            .unlock = sm_wait_unlock,
            .object = &mutex->lock,
    };
    return sm_wait_on_queue(&mutex->lock, &mutex->waiters, &waiter, &wait);
}

static int lock_slow(struct mutex *mutex, int64_t deadline_ns)
{
    if (sm_os_is_forked_child()) return -EOWNERDEAD;
    int r = sm_wait_refused(deadline_ns);
    if (r < 0) return r;

    struct sm_thread *thread = sm_enter();
    if (thread == NULL) return -EOWNERDEAD;
    int64_t patient_until_ns = sm_now_ns() + PATIENCE_NS;
    bool is_impatient = false;
    do {
        r = wait_once(mutex, sm_thread_self(), is_impatient, deadline_ns);
        is_impatient = sm_now_ns() >= patient_until_ns;
    } while (r == TRY_AGAIN);
    sm_leave();
    return r < 0 ? r : 0;
}

int seam_mutex_lock(struct seam_mutex *public_mutex, int64_t deadline_ns)
{
    struct mutex *mutex = mutex_of(public_mutex);
    if (sm_likely(try_lock(mutex))) return 0;
    if (deadline_ns > SEAM_NOW) {
        for (int i = 0; i < SPINS; i++) {
            sm_spin_pause();
            /* relaxed: only a guess, the CAS decides. */
            if (sm_load_relaxed(&mutex->word) == FREE && try_lock(mutex)) return 0;
        }
    }
    return lock_slow(mutex, deadline_ns);
}

static void wake_next(struct mutex *mutex)
{
    if (sm_enter() == NULL) return;
    sm_lock(&mutex->lock);
    struct sm_waiter *waiter = sm_waiters_claim_first(&mutex->waiters);
    struct sm_party *party = NULL;
    int result = TRY_AGAIN;
    if (waiter != NULL) {
        party = waiter->party;
        if (waiter->value != NULL) result = HANDED_OVER;
    }
    /* release: pairs with the acquire in try_lock() and wait_once(). Freed under the lock of the
     * queue, so that nobody queues up behind a mutex that has just become free. */
    if (result == TRY_AGAIN) sm_store_release(&mutex->word, FREE);
    sm_unlock(&mutex->lock);
    if (party != NULL) sm_party_complete(party, result);
    sm_leave();
}

void seam_mutex_unlock(struct seam_mutex *public_mutex)
{
    struct mutex *mutex = mutex_of(public_mutex);
    uint32_t word = HELD;
    /* release: pairs with the acquire in try_lock(). It carries what the mutex protects. */
    if (sm_likely(sm_cas_release(&mutex->word, &word, FREE))) return;
    if (word == FREE) sm_panic("a mutex that is unlocked is locked", __FILE__, __LINE__);
    wake_next(mutex);
}
