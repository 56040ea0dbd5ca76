/* SPDX-License-Identifier: MIT */
#include "sched/inbox.h"

#include <pthread.h>

#include "check/check.h"

TEST(a_batch_comes_out_in_the_order_it_went_in)
{
    struct sm_inbox inbox = {};
    struct sm_task tasks[3];
    CHECK(sm_inbox_is_empty(&inbox));
    for (int i = 0; i < 3; i++) {
        sm_inbox_push(&inbox, &tasks[i]);
    }
    CHECK(!sm_inbox_is_empty(&inbox));
    struct sm_task *task = sm_inbox_take_all(&inbox);
    for (int i = 0; i < 3; i++) {
        CHECK(task == &tasks[i]);
        task = task->next;
    }
    CHECK(task == NULL);
}

TEST(what_was_taken_is_no_longer_there)
{
    struct sm_inbox inbox = {};
    struct sm_task task;
    sm_inbox_push(&inbox, &task);
    CHECK(sm_inbox_take_all(&inbox) == &task);
    CHECK(sm_inbox_is_empty(&inbox));
    CHECK(sm_inbox_take_all(&inbox) == NULL);
    sm_inbox_push(&inbox, &task);
    CHECK(sm_inbox_take_all(&inbox) == &task);
    CHECK(task.next == NULL);
}

enum { PRODUCERS = 4, TASKS_EACH = 10000 };

static struct sm_inbox shared_inbox;
static struct sm_task shared_tasks[PRODUCERS][TASKS_EACH];

static void *produce(void *arg)
{
    struct sm_task *tasks = arg;
    for (int i = 0; i < TASKS_EACH; i++) {
        tasks[i].arg = &tasks[i];
        sm_inbox_push(&shared_inbox, &tasks[i]);
    }
    return NULL;
}

/*
 * Goal: nothing is lost, doubled, or seen before it was written, and no producer overtakes itself.
 * Method: the producers stamp each task before pushing it; the owner checks every stamp. Under TSan
 * this also fails if either order in inbox.c is weakened.
 */
TEST(many_producers_each_arrive_complete_and_in_order)
{
    pthread_t threads[PRODUCERS];
    for (int i = 0; i < PRODUCERS; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, produce, shared_tasks[i]), 0);
    }

    long next_serial[PRODUCERS] = {};
    for (int left = PRODUCERS * TASKS_EACH; left > 0;) {
        struct sm_task *task = sm_inbox_take_all(&shared_inbox);
        for (; task != NULL; task = task->next, left--) {
            long place = task - &shared_tasks[0][0];
            CHECK(task->arg == task);
            CHECK_EQ(place % TASKS_EACH, next_serial[place / TASKS_EACH]);
            next_serial[place / TASKS_EACH]++;
        }
    }

    for (int i = 0; i < PRODUCERS; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
    CHECK(sm_inbox_take_all(&shared_inbox) == NULL);
}
