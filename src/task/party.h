/* SPDX-License-Identifier: MIT */
/*
 * task/party.h - somebody who can wait: a task, or a plain thread.
 *
 * Every wait in seam, for whatever and by whomever, is decided by one word: whoever moves it from
 * WAITING to CLAIMED, and there is exactly one such, ends the wait and says with what result.
 *
 *     RUNNING ---> WAITING ---> CLAIMED ---> DONE ---> RUNNING
 *
 *   from      to        by                    who
 *   RUNNING   WAITING   sm_wait()             the party, once nobody can meet it half-way: a task
 *                                             has left its stack, the object's lock is still held
 *   WAITING   CLAIMED   sm_party_claim()      a waker that holds the lock of the object waited for,
 *                                             a timer, a canceller, or the party's own time-out
 *   CLAIMED   DONE      sm_party_complete()   whoever claimed it, after handing over the value.
 *                                             A task is queued instead: to run again is its DONE
 *   DONE      RUNNING   sm_wait()             the party
 *
 * Between CLAIMED and DONE the party cannot go on, so the claimer may write into its frame. The
 * word of a thread lives in memory that is never unmapped: a waker may touch it last.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/list.h"

enum {
    SM_PARTY_RUNNING = 0,
    SM_PARTY_WAITING = 1,
    SM_PARTY_CLAIMED = 2,
    SM_PARTY_DONE = 3,
    SM_PARTY_STATE_MASK = 3,
    SM_PARTY_SLEEPS = 1 << 2,  /* a thread, in futex_wait() or about to be */
    SM_PARTY_POLLS = 1 << 3,   /* a thread, in poll() on its event descriptor */
    SM_PARTY_DRIVES = 1 << 4,  /* a thread that runs a worker's loop meanwhile */
    SM_PARTY_RETRY = 1 << 5,   /* a role has become free: try to drive it */
    SM_PARTY_SHIELD_SHIFT = 8, /* above: depth of the innermost shield, 0 for none */
};

/* The shield depth of a wait that no cancellation ends. */
#define SM_PARTY_UNCANCELLABLE (UINT32_MAX >> SM_PARTY_SHIELD_SHIFT)

struct sm_scope;

struct sm_party {
    _Atomic(uint32_t) word;
    int32_t result;         /* written by the claimer, read by the party */
    struct sm_scope *scope; /* innermost; NULL for a thread outside all scopes */
    uint16_t depth;         /* scopes and shields it has opened, + 1 */
    uint16_t scope_depth;   /* depth of scope as seen from here; 1: the one it was spawned into */
    uint16_t shield_depth;  /* depth of the innermost shield; 0: none */
    bool is_task;
};

/* Somebody's place in an object's queue; lives in the frame of the one who waits. Under the lock
 * of the object. */
struct sm_waiter {
    struct sm_list link;
    struct sm_party *party;
    void *value; /* what the claimer reads from or writes to */
};

/* End party's wait, if it has not been ended: true if the caller now owes sm_party_complete().
 * Any thread that knows party to be alive; never suspends. */
bool sm_party_claim(struct sm_party *party);

/* As sm_party_claim(), for the cancellation of a scope at this depth of the party's: false also
 * where a shield is in between. */
bool sm_party_claim_for_cancel(struct sm_party *party, unsigned depth);

/* Let a claimed party go on, with result as the value of its sm_wait(). Its frame, and for a task
 * everything but the header, may be gone when this returns. Any thread; never suspends. */
void sm_party_complete(struct sm_party *party, int result);

/* Set and clear flags of a waiting thread's word; false, and nothing changed, if its wait has been
 * ended. The thread itself, or who knows that it cannot leave the wait meanwhile. */
bool sm_party_change_flags(struct sm_party *party, uint32_t set, uint32_t clear);

/* Claimed, but not yet done: spin until the claimer, a few instructions away, says so. The party's
 * own thread. */
void sm_party_wait_for_done(struct sm_party *party);

/* Take the first waiter that can still be claimed off the queue, claimed; NULL if there is none.
 * Those that a timer or a canceller was faster with are dropped. Under the object's lock. */
struct sm_waiter *sm_waiters_claim_first(struct sm_list *queue);

/* Take all waiters that can be claimed off the queue and onto claimed, an empty list. Under the
 * object's lock. */
void sm_waiters_claim_all(struct sm_list *queue, struct sm_list *claimed);

/* Complete them. After the object's lock was opened: the object may be gone with the first. */
void sm_waiters_complete_all(struct sm_list *claimed, int result);
