/* SPDX-License-Identifier: MIT */
/*
 * sync/chan.c - a ring of values, and a queue of those who wait at either end.
 *
 * Invariants, under the lock
 *   1. Receivers wait only while the ring is empty; senders only while it is full. Capacity 0: only
 *      one of the two queues has claimable waiters.
 *   2. A sender that finds a receiver hands it the value; the ring is not touched. A receiver that
 *      takes from a full ring lets the first waiting sender fill the place: order is kept.
 *   3. Once closed, nobody waits.
 */
#include "seam/chan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cast.h"
#include "base/panic.h"
#include "task/scope.h"
#include "task/task.h"
#include "task/wait.h"

enum { VALUE_BYTES_MAX = 65536, CAPACITY_MAX = 1 << 24 };

struct seam_chan {
    struct sm_lock lock;
    bool is_closed;
    size_t value_bytes;
    size_t capacity;
    size_t first; /* place of the oldest value */
    size_t count;
    struct sm_list receivers; /* waiter->value: where to */
    struct sm_list senders;   /* waiter->value: where from */
    char values[];
};

int seam_chan_new(size_t value_bytes, size_t capacity, seam_chan **out_chan)
{
    if (value_bytes > VALUE_BYTES_MAX || capacity > CAPACITY_MAX) return -EINVAL;
    seam_chan *chan = malloc(sizeof *chan + value_bytes * capacity);
    if (chan == NULL) return -ENOMEM;

    *chan = (seam_chan){.value_bytes = value_bytes, .capacity = capacity};
    sm_list_init(&chan->receivers);
    sm_list_init(&chan->senders);
    *out_chan = chan;
    return 0;
}

void seam_chan_free(seam_chan *chan)
{
    if (chan == NULL) return;
    sm_assert(sm_list_is_empty(&chan->receivers));
    sm_assert(sm_list_is_empty(&chan->senders));
    free(chan);
}

/* Most values are a word or a pointer: spare them the call. */
static void copy_value(const seam_chan *chan, void *to, const void *from)
{
    if (chan->value_bytes == sizeof(uint64_t)) {
        memcpy(to, from, sizeof(uint64_t));
    } else if (chan->value_bytes > 0) {
        memcpy(to, from, chan->value_bytes);
    }
}

static void put(seam_chan *chan, const void *value)
{
    size_t place = chan->first + chan->count;
    if (place >= chan->capacity) place -= chan->capacity;
    copy_value(chan, chan->values + place * chan->value_bytes, value);
    chan->count++;
}

static void take(seam_chan *chan, void *out_value)
{
    copy_value(chan, out_value, chan->values + chan->first * chan->value_bytes);
    if (++chan->first == chan->capacity) chan->first = 0;
    chan->count--;
}

enum { MUST_WAIT = 1 };

/* Send if it can be done now: 0, MUST_WAIT or -EPIPE. *out_woken: whom to complete. Under the lock. */
static int send_now(seam_chan *chan, const void *value, struct sm_party **out_woken)
{
    if (chan->is_closed) return -EPIPE;
    struct sm_waiter *receiver = sm_waiters_claim_first(&chan->receivers);
    if (receiver != NULL) {
        copy_value(chan, receiver->value, value);
        *out_woken = receiver->party;
        return 0;
    }
    if (chan->count == chan->capacity) return MUST_WAIT;
    put(chan, value);
    return 0;
}

static int recv_now(seam_chan *chan, void *out_value, struct sm_party **out_woken)
{
    if (chan->count > 0) {
        take(chan, out_value);
        struct sm_waiter *sender = sm_waiters_claim_first(&chan->senders);
        if (sender != NULL) {
            put(chan, sender->value);
            *out_woken = sender->party;
        }
        return 0;
    }
    struct sm_waiter *sender = sm_waiters_claim_first(&chan->senders);
    if (sender != NULL) {
        copy_value(chan, out_value, sender->value);
        *out_woken = sender->party;
        return 0;
    }
    return chan->is_closed ? -EPIPE : MUST_WAIT;
}

/* Both directions. value is where from if it is sent, where to if not. */
static int pass(seam_chan *chan, bool sends, void *value, int64_t deadline_ns)
{
    struct sm_thread *thread = sm_thread_self();
    struct sm_party *party = sm_thread_party(thread);
    if (sm_party_is_cancelled(party)) return -ECANCELED;

    struct sm_party *woken = NULL;
    sm_lock(&chan->lock);
    int r = sends ? send_now(chan, value, &woken) : recv_now(chan, value, &woken);
    int refused = r == MUST_WAIT ? sm_wait_refused(deadline_ns) : r;
    if (r != MUST_WAIT || refused < 0) {
        sm_unlock(&chan->lock);
        if (woken != NULL) sm_party_complete(woken, 0);
        return refused;
    }
    struct sm_waiter waiter = {.party = party, .value = value};
    const struct sm_wait wait = {
            .reason = sends ? "chan send" : "chan recv",
            .deadline_ns = deadline_ns,
            .unlock = sm_wait_unlock,
            .object = &chan->lock,
    };
    struct sm_list *queue = sends ? &chan->senders : &chan->receivers;
    return sm_wait_on_queue(&chan->lock, queue, &waiter, &wait);
}

int seam_chan_send(seam_chan *chan, const void *value, int64_t deadline_ns)
{
    if (sm_enter() == NULL) return -EOWNERDEAD;
    int r = pass(chan, true, sm_drop_const(value), deadline_ns); /* only read */
    sm_leave();
    return r;
}

int seam_chan_recv(seam_chan *chan, void *out_value, int64_t deadline_ns)
{
    if (sm_enter() == NULL) return -EOWNERDEAD;
    int r = pass(chan, false, out_value, deadline_ns);
    sm_leave();
    return r;
}

void seam_chan_close(seam_chan *chan)
{
    if (sm_enter() == NULL) return;
    struct sm_list receivers;
    struct sm_list senders;
    sm_lock(&chan->lock);
    chan->is_closed = true;
    sm_waiters_claim_all(&chan->receivers, &receivers);
    sm_waiters_claim_all(&chan->senders, &senders);
    sm_unlock(&chan->lock);
    sm_waiters_complete_all(&receivers, -EPIPE);
    sm_waiters_complete_all(&senders, -EPIPE);
    sm_leave();
}
