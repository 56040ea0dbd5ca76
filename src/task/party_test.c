/* SPDX-License-Identifier: MIT */
#include "task/party.h"

#include <pthread.h>

#include "check/check.h"
#include "task/thread.h"
#include "task/wait.h"

static struct sm_party waiting(uint32_t shield)
{
    struct sm_party party = {};
    sm_store_relaxed(&party.word, SM_PARTY_WAITING | shield << SM_PARTY_SHIELD_SHIFT);
    return party;
}

TEST(a_party_is_claimed_only_while_it_waits_and_only_once)
{
    struct sm_party party = {};
    CHECK(!sm_party_claim(&party));
    party = waiting(0);
    CHECK(sm_party_claim(&party));
    CHECK(!sm_party_claim(&party));
    CHECK_EQ(sm_load_relaxed(&party.word) & SM_PARTY_STATE_MASK, SM_PARTY_CLAIMED);
    sm_store_relaxed(&party.word, SM_PARTY_DONE);
    CHECK(!sm_party_claim(&party));
}

TEST(a_claim_keeps_the_flags_that_say_how_to_wake)
{
    struct sm_party party = waiting(3);
    uint32_t flags = SM_PARTY_SLEEPS | SM_PARTY_POLLS | SM_PARTY_DRIVES;
    sm_store_relaxed(&party.word, sm_load_relaxed(&party.word) | flags | SM_PARTY_RETRY);
    CHECK(sm_party_claim(&party));
    CHECK_EQ(sm_load_relaxed(&party.word), SM_PARTY_CLAIMED | flags);
}

TEST(a_shield_stops_cancellations_from_outside_it_and_nothing_else)
{
    struct sm_party party = waiting(2);
    CHECK(!sm_party_claim_for_cancel(&party, 1));
    CHECK(!sm_party_claim_for_cancel(&party, 2));
    CHECK(sm_party_claim_for_cancel(&party, 3));
    party = waiting(2);
    CHECK(sm_party_claim(&party));
    party = waiting(SM_PARTY_UNCANCELLABLE);
    CHECK(!sm_party_claim_for_cancel(&party, UINT16_MAX));
    CHECK(sm_party_claim(&party));
}

TEST(whoever_cannot_be_claimed_is_dropped_from_the_queue)
{
    struct sm_party parties[] = {{}, waiting(0), waiting(0)};
    struct sm_waiter waiters[3] = {};
    struct sm_list queue;
    sm_list_init(&queue);
    for (int i = 0; i < 3; i++) {
        waiters[i].party = &parties[i];
        sm_list_push_back(&queue, &waiters[i].link);
    }
    CHECK(sm_waiters_claim_first(&queue) == &waiters[1]);
    CHECK(sm_list_is_empty(&waiters[0].link));
    struct sm_list claimed;
    sm_waiters_claim_all(&queue, &claimed);
    CHECK(sm_list_first(&claimed) == &waiters[2].link);
    CHECK(sm_list_is_empty(&queue));
}

/* ---- threads ---- */

enum { ROUNDS = 2000, CLAIMERS = 3 };

/* A place to wait in: many try to answer the same wait, each in its own name. */
struct place {
    struct sm_lock lock;
    struct sm_list queue;
    _Atomic(int) is_over;
    _Atomic(int) answered;
};

static void *answer(void *arg)
{
    struct place *place = arg;
    (void)sm_thread_self();
    while (sm_load_acquire(&place->is_over) == 0) { /* pairs with the release below */
        sm_lock(&place->lock);
        struct sm_waiter *waiter = sm_waiters_claim_first(&place->queue);
        if (waiter != NULL) {
            /* Between claim and completion the waiter's frame is ours. */
            *(int *)waiter->value = *(int *)waiter->value + 1;
        }
        struct sm_party *party = waiter != NULL ? waiter->party : NULL;
        sm_unlock(&place->lock);
        if (party == NULL) continue;
        (void)sm_add_relaxed(&place->answered, 1);
        sm_party_complete(party, 7);
    }
    return NULL;
}

/*
 * Goal: a wait ends once, by a claimer or by its own deadline; and a waiter whose time is up while
 * it is being claimed waits for the claimer, who may be writing into its frame. Method: deadlines
 * about as long as an answer takes; the frame says who was there.
 */
TEST_ONCE(a_wait_ends_once_and_not_before_its_claimer_is_done)
{
    static struct place place;
    sm_list_init(&place.queue);
    pthread_t claimers[CLAIMERS];
    for (int i = 0; i < CLAIMERS; i++) {
        CHECK_EQ(pthread_create(&claimers[i], NULL, answer, &place), 0);
    }
    struct sm_thread *thread = sm_enter();
    int answered = 0;
    for (int round = 0; round < ROUNDS; round++) {
        int touched = 0;
        struct sm_waiter waiter = {.party = &thread->party, .value = &touched};
        const struct sm_wait wait = {
                .reason = "test",
                .deadline_ns = sm_now_ns() + INT64_C(200) * (round % 50),
                .unlock = sm_wait_unlock,
                .object = &place.lock,
        };
        sm_lock(&place.lock);
        int r = sm_wait_on_queue(&place.lock, &place.queue, &waiter, &wait);
        CHECK(r == 7 || r == -ETIMEDOUT);
        CHECK_EQ(touched, r == 7);
        if (r < 0) CHECK(sm_now_ns() >= wait.deadline_ns);
        answered += r == 7;
    }
    sm_leave();
    sm_store_release(&place.is_over, 1); /* pairs with the acquire above */
    for (int i = 0; i < CLAIMERS; i++) {
        CHECK_EQ(pthread_join(claimers[i], NULL), 0);
    }
    CHECK_EQ(sm_load_relaxed(&place.answered), answered);
}

TEST(a_call_that_must_not_wait_says_why)
{
    CHECK_EQ(sm_wait_refused(INT64_MAX), 0);
    CHECK_EQ(sm_wait_refused(0), -EAGAIN);
    CHECK_EQ(sm_wait_refused(-5), -EAGAIN);
    CHECK_EQ(sm_wait_refused(1), -ETIMEDOUT);
    CHECK_EQ(sm_wait_refused(sm_now_ns() + 1000000000), 0);
}
