/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "seam/sync.h"

#include "task/scope.h"
#include "task/task.h"
#include "task/wait.h"

/* Lives in memory declared as struct seam_event. */
struct __attribute__((may_alias)) event {
    struct sm_lock lock;
    bool is_set; /* under the lock */
    struct sm_list waiters;
};
_Static_assert(sizeof(struct event) <= sizeof(struct seam_event), "see seam/sync.h");

static struct event *event_of(struct seam_event *event)
{
    return (struct event *)(void *)event;
}

void seam_event_init(struct seam_event *event)
{
    *event = (struct seam_event)SEAM_EVENT_INIT;
}

void seam_event_set(struct seam_event *public_event)
{
    struct event *event = event_of(public_event);
    if (sm_enter() == NULL) return;

    sm_lock(&event->lock);
    event->is_set = true;
    struct sm_list claimed;
    sm_waiters_claim_all(&event->waiters, &claimed);
    sm_unlock(&event->lock);
    /* The event may live in the frame of one who waited for it: it is not touched any more. */
    sm_waiters_complete_all(&claimed, 0);
    sm_leave();
}

void seam_event_reset(struct seam_event *public_event)
{
    struct event *event = event_of(public_event);
    if (sm_enter() == NULL) return;

    sm_lock(&event->lock);
    event->is_set = false;
    sm_unlock(&event->lock);
    sm_leave();
}

static int wait_for(struct event *event, struct sm_thread *thread, int64_t deadline_ns)
{
    struct sm_party *party = sm_thread_party(thread);
    if (sm_party_is_cancelled(party)) return -ECANCELED;

    /* Locked even if it is set: see seam_event_set(). */
    sm_lock(&event->lock);
    int r = event->is_set ? 0 : sm_wait_refused(deadline_ns);
    if (event->is_set || r < 0) {
        sm_unlock(&event->lock);
        return r;
    }
    struct sm_waiter waiter = {.party = party};
    const struct sm_wait wait = {
            .reason = "event",
            .deadline_ns = deadline_ns,
            .unlock = sm_wait_unlock,
            .object = &event->lock,
    };
    return sm_wait_on_queue(&event->lock, &event->waiters, &waiter, &wait);
}

int seam_event_wait(struct seam_event *event, int64_t deadline_ns)
{
    struct sm_thread *thread = sm_enter();
    if (thread == NULL) return -EOWNERDEAD;
    int r = wait_for(event_of(event), thread, deadline_ns);
    sm_leave();
    return r;
}
