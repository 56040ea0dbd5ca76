/* SPDX-License-Identifier: MIT */
#include "sched/queue.h"

#include <pthread.h>

#include "check/check.h"

/* ---- fifo ---- */

TEST(a_fifo_gives_what_it_got_in_order)
{
    struct sm_fifo fifo = {};
    struct sm_task tasks[3];
    CHECK(sm_fifo_pop(&fifo) == NULL);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 3; i++) {
            sm_fifo_push(&fifo, &tasks[i]);
        }
        CHECK(sm_fifo_peek(&fifo) == &tasks[0]);
        for (int i = 0; i < 3; i++) {
            CHECK(sm_fifo_pop(&fifo) == &tasks[i]);
        }
        CHECK(sm_fifo_pop(&fifo) == NULL);
    }
}

/* ---- ring ---- */

static struct sm_task many[4 * SM_RING_SLOTS];

TEST(a_ring_takes_as_many_as_it_has_slots)
{
    struct sm_ring ring = {};
    for (int i = 0; i < SM_RING_SLOTS; i++) {
        CHECK(sm_ring_push(&ring, &many[i]));
    }
    CHECK(!sm_ring_push(&ring, &many[SM_RING_SLOTS]));
    CHECK_EQ(sm_ring_count(&ring), SM_RING_SLOTS);
    for (int i = 0; i < SM_RING_SLOTS; i++) {
        CHECK(sm_ring_pop(&ring) == &many[i]);
    }
    CHECK(sm_ring_pop(&ring) == NULL);
}

/* A ring whose indexes are about to wrap around. */
static struct sm_ring ring_at(uint32_t index)
{
    struct sm_ring ring = {};
    sm_store_relaxed(&ring.head, index);
    sm_store_relaxed(&ring.tail, index);
    return ring;
}

TEST(a_ring_keeps_its_order_where_its_indexes_wrap)
{
    struct sm_ring ring = ring_at(UINT32_MAX - 100);
    for (int i = 0; i < SM_RING_SLOTS; i++) {
        CHECK(sm_ring_push(&ring, &many[i]));
    }
    CHECK(!sm_ring_push(&ring, &many[SM_RING_SLOTS]));
    for (int i = 0; i < SM_RING_SLOTS; i++) {
        CHECK(sm_ring_pop(&ring) == &many[i]);
    }
    CHECK_EQ(sm_ring_count(&ring), 0);
}

TEST(a_thief_takes_the_older_half_in_order)
{
    struct sm_ring ring = ring_at(UINT32_MAX - 2);
    struct sm_ring into = ring_at(UINT32_MAX - 1);
    for (int i = 0; i < 7; i++) {
        CHECK(sm_ring_push(&ring, &many[i]));
    }
    CHECK_EQ(sm_ring_steal(&ring, &into), 4);
    for (int i = 0; i < 4; i++) {
        CHECK(sm_ring_pop(&into) == &many[i]);
    }
    for (int i = 4; i < 7; i++) {
        CHECK(sm_ring_pop(&ring) == &many[i]);
    }
    CHECK_EQ(sm_ring_steal(&ring, &into), 0);
    CHECK(sm_ring_push(&ring, &many[0]));
    CHECK_EQ(sm_ring_steal(&ring, &into), 1);
    CHECK(sm_ring_pop(&into) == &many[0]);
}

/* ---- contention ---- */

enum { THIEVES = 3, TASKS = 40000 };

static struct sm_ring shared;
static struct sm_task prey[TASKS];
static _Atomic(unsigned char) times_seen[TASKS];
static _Atomic(uint32_t) seen_count;

static void see(struct sm_task *task)
{
    /* Written before it was pushed: what is seen here was carried by the ring. */
    CHECK(task->arg == task);
    task->arg = NULL;
    (void)sm_add_relaxed(&times_seen[task - prey], 1);
    (void)sm_add_relaxed(&seen_count, 1);
}

static void *steal_all(void *arg)
{
    (void)arg;
    static _Thread_local struct sm_ring own;
    while (sm_load_relaxed(&seen_count) < TASKS) {
        (void)sm_ring_steal(&shared, &own);
        for (struct sm_task *task = sm_ring_pop(&own); task != NULL; task = sm_ring_pop(&own)) {
            see(task);
        }
    }
    return NULL;
}

/*
 * Goal: a task is taken by exactly one, and comes with what its producer wrote. Method: an owner
 * that pushes and pops, thieves that steal all the time, indexes that wrap in between; everybody
 * counts what they get. Under TSan this also fails if an order in the ring is weakened.
 */
TEST_ONCE(owner_and_thieves_get_every_task_once)
{
    shared = ring_at(UINT32_MAX - TASKS / 2);
    pthread_t thieves[THIEVES];
    for (int i = 0; i < THIEVES; i++) {
        CHECK_EQ(pthread_create(&thieves[i], NULL, steal_all, NULL), 0);
    }
    uint64_t dice = check_seed() | 1;
    for (int i = 0; i < TASKS;) {
        prey[i].arg = &prey[i];
        if (sm_ring_push(&shared, &prey[i])) i++;
        dice = dice * UINT64_C(6364136223846793005) + 1;
        if (dice >> 62 != 0) continue;
        struct sm_task *task = sm_ring_pop(&shared);
        if (task != NULL) see(task);
    }
    struct sm_task *task = NULL;
    while ((task = sm_ring_pop(&shared)) != NULL) {
        see(task);
    }
    for (int i = 0; i < THIEVES; i++) {
        CHECK_EQ(pthread_join(thieves[i], NULL), 0);
    }
    for (int i = 0; i < TASKS; i++) {
        CHECK_EQ(sm_load_relaxed(&times_seen[i]), 1);
    }
}
