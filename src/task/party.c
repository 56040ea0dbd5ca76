/* SPDX-License-Identifier: MIT */
#include "task/party.h"

#include <sched.h>

#include "base/panic.h"
#include "os/os.h"
#include "task/runner.h"
#include "task/task.h"
#include "task/thread.h"
#include "time/clock.h"

enum { SPINS = 100 }; /* a claimer that has a CPU is done by then */

static bool claim_unless_shielded(struct sm_party *party, unsigned depth)
{
    /* seq_cst: pairs with the seq_cst exchange in publish() (task/wait.c). A canceller has set the
     * scope's flag before it looks here; the party looks at the flag after it has published. */
    uint32_t word = sm_load_seq_cst(&party->word);
    for (;;) {
        if ((word & SM_PARTY_STATE_MASK) != SM_PARTY_WAITING) return false;
        if (depth <= word >> SM_PARTY_SHIELD_SHIFT) return false;

        uint32_t flags = word & (SM_PARTY_SLEEPS | SM_PARTY_POLLS | SM_PARTY_DRIVES);
        /* seq_cst: pairs with the seq_cst exchange in publish(), which carries the party's frame to
         * us, with the failing CAS of whoever comes second, and with the seq_cst load in
         * sleep_in_poller() (sched/worker.c): a driver that misses our claim is seen sleeping. */
        if (sm_cas_weak_seq_cst(&party->word, &word, SM_PARTY_CLAIMED | flags)) return true;
    }
}

bool sm_party_claim_for_cancel(struct sm_party *party, unsigned depth)
{
    return claim_unless_shielded(party, depth);
}

bool sm_party_claim(struct sm_party *party)
{
    return claim_unless_shielded(party, UINT32_MAX);
}

bool sm_party_change_flags(struct sm_party *party, uint32_t set, uint32_t clear)
{
    uint32_t word = sm_load_relaxed(&party->word); /* relaxed: the CAS decides */
    while ((word & SM_PARTY_STATE_MASK) == SM_PARTY_WAITING) {
        /* acq_rel: pairs with the CAS in claim_unless_shielded(): the claimer sees how to wake us. */
        if (sm_cas_weak_acq_rel(&party->word, &word, (word | set) & ~clear)) return true;
    }
    return false;
}

void sm_party_wait_for_done(struct sm_party *party)
{
    /* acquire: pairs with the release in complete_thread(). */
    for (unsigned i = 0; sm_load_acquire(&party->word) != SM_PARTY_DONE; i++) {
        if (i < SPINS) {
            sm_spin_pause();
        } else {
            (void)sched_yield(); /* the claimer has lost its CPU, perhaps to us */
        }
    }
}

static void complete_thread(struct sm_thread *thread)
{
    _Atomic(uint32_t) *word = &thread->party.word;
    /* relaxed: the flags do not change while the party is claimed. */
    uint32_t flags = sm_load_relaxed(word);
    if ((flags & SM_PARTY_DRIVES) == 0) sm_clock_busy();

    /* These two must come first: once the word says DONE, the thread may end, and its descriptor
     * and the runtime it drives with it. A thread that sees the signal before the word waits for
     * the word. */
    if ((flags & SM_PARTY_POLLS) != 0) sm_thread_poke(thread);
    if ((flags & SM_PARTY_DRIVES) != 0) sm_runner_wake_driver(thread);

    /* release: pairs with the acquire in sm_party_wait_for_done(). It carries the result and
     * whatever was written into the waiter's frame. */
    sm_store_release(word, SM_PARTY_DONE);
    if ((flags & SM_PARTY_SLEEPS) != 0) sm_os.futex_wake(word, 1);
}

void sm_party_complete(struct sm_party *party, int result)
{
    party->result = result;
    if (sm_likely(party->is_task)) {
        sm_runner_ready(sm_container_of(party, struct sm_task, party));
    } else {
        complete_thread(sm_container_of(party, struct sm_thread, party));
    }
}

struct sm_waiter *sm_waiters_claim_first(struct sm_list *queue)
{
    for (;;) {
        struct sm_list *link = sm_list_first(queue);
        if (link == NULL) return NULL;

        struct sm_waiter *waiter = sm_container_of(link, struct sm_waiter, link);
        sm_list_remove(link);
        if (sm_likely(sm_party_claim(waiter->party))) return waiter;
    }
}

void sm_waiters_claim_all(struct sm_list *queue, struct sm_list *claimed)
{
    sm_list_init(claimed);
    struct sm_waiter *waiter = NULL;
    while ((waiter = sm_waiters_claim_first(queue)) != NULL) {
        sm_list_push_back(claimed, &waiter->link);
    }
}

void sm_waiters_complete_all(struct sm_list *claimed, int result)
{
    struct sm_list *link = NULL;
    while ((link = sm_list_first(claimed)) != NULL) {
        sm_list_remove(link); /* before its frame can go */
        sm_party_complete(sm_container_of(link, struct sm_waiter, link)->party, result);
    }
}
