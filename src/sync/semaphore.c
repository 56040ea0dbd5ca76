/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "seam/sync.h"

#include "task/scope.h"
#include "task/task.h"
#include "task/wait.h"

/* Lives in memory declared as struct seam_semaphore, whose static initialiser sets the first 64
 * bits: they are the units. There are never units and waiters at once. */
struct __attribute__((may_alias)) semaphore {
    uint64_t units; /* under the lock */
    struct sm_lock lock;
    struct sm_list waiters;
};
_Static_assert(sizeof(struct semaphore) <= sizeof(struct seam_semaphore), "see seam/sync.h");

static struct semaphore *semaphore_of(struct seam_semaphore *semaphore)
{
    return (struct semaphore *)(void *)semaphore;
}

void seam_semaphore_init(struct seam_semaphore *semaphore, uint32_t units)
{
    *semaphore = (struct seam_semaphore)SEAM_SEMAPHORE_INIT(units);
}

static int acquire(struct semaphore *semaphore, struct sm_thread *thread, int64_t deadline_ns)
{
    struct sm_party *party = sm_thread_party(thread);
    if (sm_party_is_cancelled(party)) return -ECANCELED;

    sm_lock(&semaphore->lock);
    if (semaphore->units > 0) {
        semaphore->units--;
        sm_unlock(&semaphore->lock);
        return 0;
    }
    int r = sm_wait_refused(deadline_ns);
    if (r < 0) {
        sm_unlock(&semaphore->lock);
        return r;
    }
    struct sm_waiter waiter = {.party = party};
    const struct sm_wait wait = {
            .reason = "semaphore",
            .deadline_ns = deadline_ns,
            .unlock = sm_wait_unlock,
            .object = &semaphore->lock,
    };
    return sm_wait_on_queue(&semaphore->lock, &semaphore->waiters, &waiter, &wait);
}

int seam_semaphore_acquire(struct seam_semaphore *semaphore, int64_t deadline_ns)
{
    struct sm_thread *thread = sm_enter();
    if (thread == NULL) return -EOWNERDEAD;
    int r = acquire(semaphore_of(semaphore), thread, deadline_ns);
    sm_leave();
    return r;
}

int seam_semaphore_post(struct seam_semaphore *public_semaphore)
{
    if (sm_enter() == NULL) return -EOWNERDEAD;

    struct semaphore *semaphore = semaphore_of(public_semaphore);
    sm_lock(&semaphore->lock);
    int r = 0;
    struct sm_waiter *waiter = sm_waiters_claim_first(&semaphore->waiters);
    struct sm_party *party = waiter != NULL ? waiter->party : NULL;
    if (party == NULL && semaphore->units == INT32_MAX) {
        r = -EOVERFLOW;
    } else if (party == NULL) {
        semaphore->units++;
    }
    sm_unlock(&semaphore->lock);
    if (party != NULL) sm_party_complete(party, 0);
    sm_leave();
    return r;
}
