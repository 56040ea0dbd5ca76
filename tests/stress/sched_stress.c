/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "stress/stress.h"

/* ---- roles that change hands ---- */

struct ferry {
    int pipe[2];
    atomic_int passed;
    int rounds;
};

/* Blocks its thread, not just itself: only a task that runs meanwhile can let it go. */
static int read_with_thread(void *arg)
{
    struct ferry *ferry = arg;
    for (int i = 0; i < ferry->rounds; i++) {
        char byte = 0;
        CHECK_EQ(read(ferry->pipe[0], &byte, 1), 1);
        CHECK_EQ(byte, 'x');
        CHECK_OK(seam_yield()); /* comes back to a role that is gone */
        atomic_fetch_add(&ferry->passed, 1);
    }
    return 0;
}

static int write_when_read(void *arg)
{
    struct ferry *ferry = arg;
    for (int i = 0; i < ferry->rounds; i++) {
        CHECK_EQ(write(ferry->pipe[1], "x", 1), 1);
        while (atomic_load(&ferry->passed) <= i) {
            CHECK_OK(seam_yield());
        }
    }
    return 0;
}

enum { FERRIES = 4 };

static int run_ferries(void *arg)
{
    struct ferry *ferries = arg;
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    for (int i = 0; i < FERRIES; i++) {
        CHECK_OK(seam_spawn(&scope, read_with_thread, &ferries[i], NULL, NULL));
        CHECK_OK(seam_spawn(&scope, write_when_read, &ferries[i], NULL, NULL));
    }
    return seam_scope_end(&scope);
}

static void open_ferries(struct ferry *ferries, int rounds)
{
    for (int i = 0; i < FERRIES; i++) {
        ferries[i].rounds = rounds;
        CHECK_EQ(pipe2(ferries[i].pipe, O_CLOEXEC), 0);
    }
}

static void close_ferries(struct ferry *ferries)
{
    for (int i = 0; i < FERRIES; i++) {
        CHECK_EQ(atomic_load(&ferries[i].passed), ferries[i].rounds);
        CHECK_EQ(close(ferries[i].pipe[0]), 0);
        CHECK_EQ(close(ferries[i].pipe[1]), 0);
    }
}

/*
 * Goal: a task that blocks its thread holds up nobody: its worker's role is handed over, and the
 * task continues where the role is now. Method: what it blocks on is answered by a task of the same
 * worker; without the hand-over the test hangs.
 */
static void ferry(uint32_t workers, enum seam_steal steal, int rounds)
{
    struct ferry ferries[FERRIES] = {};
    open_ferries(ferries, rounds);
    seam_runtime *runtime = start_runtime(workers, steal);
    int result = -1;
    CHECK_OK(seam_call(runtime, run_ferries, ferries, &result, SEAM_FOREVER));
    CHECK_OK(result);
    struct seam_runtime_stats stats;
    seam_runtime_stats_read(runtime, &stats);
    printf("%llu hand-overs, %u threads\n", (unsigned long long)stats.handovers, stats.threads);
    /* With others who steal, the answer may come from them, every time. */
    bool needs_handover = workers == 1 || steal == SEAM_STEAL_NONE;
    CHECK(!needs_handover || stats.handovers > 0);
    stop_runtime(runtime);
    close_ferries(ferries);
}

TEST(a_blocked_task_holds_up_nobody_on_one_worker)
{
    ferry(1, SEAM_STEAL_DEFAULT, 20);
}

TEST(a_blocked_task_holds_up_nobody_on_three_workers)
{
    ferry(3, SEAM_STEAL_DEFAULT, 20);
}

TEST(a_blocked_task_holds_up_nobody_where_nothing_is_stolen)
{
    ferry(2, SEAM_STEAL_NONE, 20);
}

TEST(a_blocked_task_holds_up_nobody_where_everything_is_stolen)
{
    ferry(2, SEAM_STEAL_FULL, 20);
}

/* The thread that called seam_run() loses its role like any other, and comes back at the end. */
TEST(a_blocked_task_holds_up_nobody_when_main_is_the_worker)
{
    for (int round = 0; round < 4; round++) {
        struct ferry ferries[FERRIES] = {};
        open_ferries(ferries, 6);
        const struct seam_options options = {.workers = 1 + (uint32_t)round % 2};
        CHECK_OK(seam_run(&options, run_ferries, ferries));
        close_ferries(ferries);
    }
}

/* The first task blocks at once, when everybody else has gone to sleep: the monitor, too. */
static int write_byte(void *arg)
{
    const struct ferry *ferry = arg;
    return (int)write(ferry->pipe[1], "x", 1);
}

static int block_on_child(void *arg)
{
    struct ferry *ferry = arg;
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, write_byte, ferry, NULL, NULL));
    char byte = 0;
    CHECK_EQ(read(ferry->pipe[0], &byte, 1), 1);
    return seam_scope_end(&scope);
}

TEST(the_first_task_may_block_on_its_child)
{
    struct ferry ferry = {};
    CHECK_EQ(pipe2(ferry.pipe, O_CLOEXEC), 0);
    for (uint32_t round = 0; round < 30; round++) {
        const struct seam_options options = {.workers = 1 + round % 3};
        CHECK_OK(seam_run(&options, block_on_child, &ferry));
    }
    (void)close(ferry.pipe[0]);
    (void)close(ferry.pipe[1]);
}

/* ---- storms of spawns ---- */

enum { STORM_TASKS = 1500 };

static int count_one(void *arg)
{
    atomic_int *count = arg;
    atomic_fetch_add(count, 1);
    return 0;
}

static void spawn_many(struct crowd *crowd, unsigned index)
{
    struct dice dice = dice_for(index);
    atomic_int count = 0;
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, crowd->runtime, SEAM_FOREVER));
    for (int i = 0; i < STORM_TASKS; i++) {
        CHECK_OK(seam_spawn(&scope, count_one, &count, NULL, NULL));
        if (roll(&dice, 500) == 0) (void)seam_yield();
    }
    CHECK_OK(seam_scope_end(&scope));
    CHECK_EQ(atomic_load(&count), STORM_TASKS);
}

static void storm(uint32_t workers, enum seam_steal steal)
{
    struct crowd crowd = {.fn = spawn_many};
    crowd.runtime = start_runtime(workers, steal);
    crowd_start(&crowd, 8);
    CHECK_OK(crowd_join(&crowd));
    struct seam_runtime_stats stats;
    seam_runtime_stats_read(crowd.runtime, &stats);
    CHECK_EQ(stats.tasks_spawned, 8 * STORM_TASKS + 4);
    stop_runtime(crowd.runtime);
}

TEST(every_task_of_a_storm_runs_once)
{
    storm(3, SEAM_STEAL_DEFAULT);
}

TEST(every_task_of_a_storm_runs_once_where_nothing_is_stolen)
{
    storm(3, SEAM_STEAL_NONE);
}

TEST(every_task_of_a_storm_runs_once_where_everything_is_stolen)
{
    storm(3, SEAM_STEAL_FULL);
}

/*
 * Goal: what does not fit into a worker's ring is not forgotten when thieves have emptied the ring.
 * Method: bursts longer than the ring, then silence: nobody would wake a worker that fell asleep
 * with tasks left over.
 */
static int spawn_burst(void *arg)
{
    atomic_int *count = arg;
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    for (int i = 0; i < 600; i++) {
        CHECK_OK(seam_spawn(&scope, count_one, count, NULL, NULL));
    }
    return seam_scope_end(&scope);
}

TEST(a_burst_longer_than_the_ring_is_run_to_its_end)
{
    seam_runtime *runtime = start_runtime(4, SEAM_STEAL_DEFAULT);
    atomic_int count = 0;
    for (int round = 1; round <= 60; round++) {
        CHECK_OK(seam_call(runtime, spawn_burst, &count, NULL, SEAM_FOREVER));
        CHECK_EQ(atomic_load(&count), round * 600);
    }
    stop_runtime(runtime);
}
