/* SPDX-License-Identifier: MIT */
#include <sched.h>
#include <stdio.h>

#include "stress/stress.h"

/* ---- a tree of scopes that is cancelled while it grows ---- */

enum { DEPTH_MAX = 4, FANOUT = 3, ROUNDS = 25 };

struct forest {
    seam_runtime *runtime;
    struct seam_event never;
    atomic_uint begun;
    atomic_uint ended;
    atomic_uint shielded; /* waits that a shield kept from being cancelled */
};

struct twig {
    struct forest *forest;
    unsigned depth;
    uint64_t who;
};

static int grow(void *arg);

/* A wait that only a cancellation or its own short deadline ends. */
static void wait_a_little(struct forest *forest, struct dice *dice)
{
    int64_t deadline_ns = seam_after(roll(dice, 300) * SEAM_MICROSECOND);
    switch (roll(dice, 4)) {
    case 0: (void)seam_yield(); return;
    case 1: (void)seam_sleep(deadline_ns); return;
    default: {
        int r = seam_event_wait(&forest->never, deadline_ns);
        CHECK(r == -ETIMEDOUT || r == -EAGAIN || r == -ECANCELED);
    }
    }
}

/* Whatever has been cancelled outside, a shielded wait goes to its end. */
static void wait_behind_shield(struct forest *forest, struct dice *dice)
{
    struct seam_shield shield;
    seam_shield_begin(&shield);
    CHECK_OK(seam_cancelled());
    int64_t deadline_ns = seam_after(roll(dice, 100) * SEAM_MICROSECOND);
    int r = seam_event_wait(&forest->never, deadline_ns);
    CHECK(r == -ETIMEDOUT);
    CHECK(seam_now_ns() >= deadline_ns);
    seam_shield_end(&shield);
    atomic_fetch_add(&forest->shielded, 1);
}

static void open_scope(const struct twig *twig, struct dice *dice)
{
    struct forest *forest = twig->forest;
    struct seam_scope scope;
    int64_t limit_ns =
            roll(dice, 2) == 0 ? SEAM_FOREVER : seam_after(roll(dice, 500) * SEAM_MICROSECOND);
    CHECK_OK(seam_scope_begin(&scope, forest->runtime, limit_ns));
    struct twig twigs[FANOUT];
    seam_task *tasks[FANOUT] = {};
    for (unsigned i = 0; i < FANOUT; i++) {
        twigs[i] = (struct twig){forest, twig->depth + 1, twig->who * (FANOUT + 1) + i + 1};
        seam_task **out_task = roll(dice, 2) == 0 ? &tasks[i] : NULL;
        CHECK_OK(seam_spawn(&scope, grow, &twigs[i], NULL, out_task));
        if (roll(dice, 8) == 0) CHECK_OK(seam_scope_cancel(&scope));
    }
    for (unsigned i = 0; i < FANOUT; i++) {
        if (tasks[i] == NULL || roll(dice, 2) == 0) continue;
        int result = -1;
        int r = seam_join(tasks[i], &result, roll_deadline(dice, 200));
        CHECK(r == -ETIMEDOUT || r == -EAGAIN || r == -ECANCELED || (r == 0 && result == 7));
    }
    int r = seam_scope_end(&scope);
    CHECK(r == 0 || r == -ECANCELED || (r == -ETIMEDOUT && limit_ns != SEAM_FOREVER));
}

static int grow(void *arg)
{
    const struct twig *twig = arg;
    struct forest *forest = twig->forest;
    struct dice dice = dice_for(twig->who);
    atomic_fetch_add(&forest->begun, 1);
    wait_a_little(forest, &dice);
    if (roll(&dice, 4) == 0) wait_behind_shield(forest, &dice);
    if (twig->depth < DEPTH_MAX && roll(&dice, 2) == 0) open_scope(twig, &dice);
    wait_a_little(forest, &dice);
    atomic_fetch_add(&forest->ended, 1);
    return 7;
}

static void *cancel_soon(void *arg)
{
    struct dice dice = dice_for(4711);
    (void)seam_sleep(seam_after(roll(&dice, 400) * SEAM_MICROSECOND));
    CHECK_OK(seam_scope_cancel(arg));
    return NULL;
}

/*
 * Goal: however cancellations, deadlines, spawns, joins and shields meet, every task that began
 * ends before its scope, and nothing is touched afterwards. Method: random trees; a thread cancels
 * the root of the tree while it grows.
 */
static void grow_and_cancel(uint32_t workers, enum seam_steal steal)
{
    struct forest forest = {.runtime = start_runtime(workers, steal)};
    for (uint64_t round = 0; round < ROUNDS; round++) {
        struct seam_scope scope;
        CHECK_OK(seam_scope_begin(&scope, forest.runtime, SEAM_FOREVER));
        struct twig twigs[FANOUT];
        pthread_t canceller;
        CHECK_EQ(pthread_create(&canceller, NULL, cancel_soon, &scope), 0);
        for (uint64_t i = 0; i < FANOUT; i++) {
            twigs[i] = (struct twig){&forest, 1, (round * FANOUT + i) << 20};
            CHECK_OK(seam_spawn(&scope, grow, &twigs[i], NULL, NULL));
        }
        CHECK_EQ(pthread_join(canceller, NULL), 0);
        CHECK_ERR(seam_scope_end(&scope), ECANCELED);
        CHECK_EQ(atomic_load(&forest.begun), atomic_load(&forest.ended));
    }
    stop_runtime(forest.runtime);
}

TEST(a_tree_of_scopes_can_be_cancelled_while_it_grows)
{
    grow_and_cancel(3, SEAM_STEAL_DEFAULT);
}

TEST(a_tree_of_tasks_that_move_can_be_cancelled_while_it_grows)
{
    grow_and_cancel(3, SEAM_STEAL_FULL);
}

TEST(a_tree_on_one_worker_can_be_cancelled_while_it_grows)
{
    grow_and_cancel(1, SEAM_STEAL_NONE);
}

/* ---- many threads use one runtime from outside ---- */

static void come_and_go(struct crowd *crowd, unsigned index)
{
    struct dice dice = dice_for(index);
    struct forest *forest = crowd->arg;
    for (int i = 0; i < 60; i++) {
        const struct twig twig = {forest, DEPTH_MAX - 1, index * 1000u + (unsigned)i};
        open_scope(&twig, &dice);
    }
}

TEST(scopes_of_many_owners_come_and_go)
{
    struct forest forest = {.runtime = start_runtime(2, SEAM_STEAL_DEFAULT)};
    struct crowd crowd = {.runtime = forest.runtime, .fn = come_and_go, .arg = &forest};
    crowd_start(&crowd, 8);
    CHECK_OK(crowd_join(&crowd));
    CHECK_EQ(atomic_load(&forest.begun), atomic_load(&forest.ended));
    stop_runtime(forest.runtime);
}

/* ---- a deadline against an end ---- */

struct race {
    struct seam_event event;
    int64_t deadline_ns;
    atomic_int outcome;
};

static int wait_in_race(void *arg)
{
    struct race *race = arg;
    int r = seam_event_wait(&race->event, race->deadline_ns);
    CHECK(r == 0 || r == -ETIMEDOUT || r == -EAGAIN);
    if (r == -ETIMEDOUT) CHECK(seam_now_ns() >= race->deadline_ns);
    return r;
}

/* Goal: a deadline that passes just when the wait is answered ends it once. Method: a thread sets
 * the event as close to the deadline as it can. */
TEST(a_deadline_and_an_answer_end_a_wait_once)
{
    seam_runtime *runtime = start_runtime(2, SEAM_STEAL_DEFAULT);
    int outcomes[2] = {};
    for (int round = 0; round < 300; round++) {
        struct race race = {.deadline_ns = seam_after(60 * SEAM_MICROSECOND)};
        struct seam_scope scope;
        CHECK_OK(seam_scope_begin(&scope, runtime, SEAM_FOREVER));
        seam_task *task = NULL;
        CHECK_OK(seam_spawn(&scope, wait_in_race, &race, NULL, &task));
        while (seam_now_ns() < race.deadline_ns + (round % 30 - 5) * 10 * SEAM_MICROSECOND) {
        }
        seam_event_set(&race.event);
        int result = 1;
        CHECK_OK(seam_join(task, &result, SEAM_FOREVER));
        outcomes[result == 0]++;
        CHECK_OK(seam_scope_end(&scope));
    }
    printf("%d in time, %d late\n", outcomes[1], outcomes[0]);
    stop_runtime(runtime);
}

/* ---- join against finish ---- */

static int yield_some(void *arg)
{
    for (uintptr_t i = (uintptr_t)arg; i > 0; i--) {
        (void)seam_yield();
    }
    return (int)(uintptr_t)arg;
}

static void spawn_and_join(struct crowd *crowd, unsigned index)
{
    struct dice dice = dice_for(index);
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, crowd->runtime, SEAM_FOREVER));
    for (int i = 0; i < 300; i++) {
        uintptr_t turns = roll(&dice, 4);
        seam_task *task = NULL;
        CHECK_OK(seam_spawn(&scope, yield_some, (void *)turns, NULL, &task));
        if (roll(&dice, 8) == 0) continue; /* nobody joins: the scope's end lets go of it */
        int result = -1;
        int r = -EAGAIN;
        while (r < 0) {
            r = seam_join(task, &result, roll_deadline(&dice, 60));
            CHECK(r == 0 || r == -EAGAIN || r == -ETIMEDOUT);
            if (r == -EAGAIN) (void)seam_yield();
        }
        CHECK_EQ(result, turns);
    }
    CHECK_OK(seam_scope_end(&scope));
}

TEST(joining_races_with_finishing_and_gets_the_result)
{
    struct crowd crowd = {.fn = spawn_and_join};
    crowd.runtime = start_runtime(3, SEAM_STEAL_DEFAULT);
    crowd_start(&crowd, 8);
    CHECK_OK(crowd_join(&crowd));
    stop_runtime(crowd.runtime);
}

TEST(joining_tasks_that_move_gets_the_result)
{
    struct crowd crowd = {.fn = spawn_and_join};
    crowd.runtime = start_runtime(3, SEAM_STEAL_FULL);
    crowd_start(&crowd, 8);
    CHECK_OK(crowd_join(&crowd));
    stop_runtime(crowd.runtime);
}

/* ---- handles that nobody joins ---- */

enum { HANDLES = 40 };

struct handles {
    seam_runtime *runtime;
    atomic_int begun;
};

static int end_at_once(void *arg)
{
    (void)arg;
    return 0;
}

static int leave_handles(void *arg)
{
    struct handles *handles = arg;
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, handles->runtime, SEAM_FOREVER));
    seam_task *tasks[HANDLES];
    for (int i = 0; i < HANDLES; i++) {
        CHECK_OK(seam_spawn(&scope, end_at_once, NULL, NULL, &tasks[i]));
    }
    atomic_fetch_add(&handles->begun, 1);
    return seam_scope_end(&scope);
}

/* Goal: the end of a scope may dispose of the handles in it while a cancellation from further out
 * walks over them. Method: both at once, with many handles. */
TEST(handles_that_nobody_joined_may_go_while_the_scope_is_cancelled)
{
    struct dice dice = dice_for(3);
    struct handles handles = {.runtime = start_runtime(2, SEAM_STEAL_DEFAULT)};
    for (int round = 0; round < 150; round++) {
        atomic_store(&handles.begun, 0);
        struct seam_scope scope;
        CHECK_OK(seam_scope_begin(&scope, handles.runtime, SEAM_FOREVER));
        for (int i = 0; i < 4; i++) {
            CHECK_OK(seam_spawn(&scope, leave_handles, &handles, NULL, NULL));
        }
        int wanted = (int)roll(&dice, 5);
        while (atomic_load(&handles.begun) < wanted) {
            (void)sched_yield();
        }
        CHECK_OK(seam_scope_cancel(&scope));
        CHECK_ERR(seam_scope_end(&scope), ECANCELED);
    }
    stop_runtime(handles.runtime);
}
