/* SPDX-License-Identifier: MIT */
/*
 * boundary/blocked.c - tasks that block their thread, and the work behind them: rows c, d, l, l2.
 *
 * On current-thread with SEAM_OVERTAKE_ON: else two tasks never run at once there, and what a
 * blocked thread waits for cannot happen.
 */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "boundary/flavours.h"

enum { ROUNDS = 5 };

static int open_gate(void *arg)
{
    gate_open(arg);
    return 0;
}

/* Start a child, and block the thread until it has run. */
static int block_for_a_child(void *arg)
{
    (void)arg;
    struct gate gate;
    gate_init(&gate);
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_OK(seam_spawn(&scope, open_gate, &gate, NULL, NULL));
        gate_pass(&gate);
    }
    CHECK_OK(seam_scope_end(&scope));
    gate_fini(&gate);
    return 0;
}

/* Row l with one worker, row l2 with more: a worker is idle and the child is the blocked task's
 * next. Tokio hangs, with four workers too: the child is in a slot that nobody may steal from. */
ON_OVERTAKEN(a_child_runs_while_its_parent_blocks_the_thread)
{
    CHECK_OK(seam_run(options, block_for_a_child, NULL));
}

ON_OVERTAKEN(a_child_runs_while_its_parent_blocks_a_thread_of_the_runtime)
{
    seam_runtime *runtime = new_runtime(options);
    CHECK_OK(seam_call(runtime, block_for_a_child, NULL, NULL, SEAM_FOREVER));
    end_runtime(runtime);
}

static int block_as_many_as_there_are_workers(void *arg)
{
    const struct seam_options *options = arg;
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    for (uint32_t i = 0; i < role_count(options); i++) {
        CHECK_OK(seam_spawn(&scope, block_for_a_child, NULL, NULL, NULL));
    }
    CHECK_OK(seam_scope_end(&scope));
    return 0;
}

/* Row l: all workers blocked at once. Tokio hangs. */
ON_OVERTAKEN(children_run_while_all_workers_are_blocked)
{
    CHECK_OK(seam_run(options, block_as_many_as_there_are_workers, (void *)(uintptr_t)options));
}

/* ---- the same, where the parent computes ---- */

static int set_flag(void *arg)
{
    atomic_store((atomic_int *)arg, 1);
    return 0;
}

static int compute_until_a_child_has_run(void *arg)
{
    (void)arg;
    atomic_int flag = 0;
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, set_flag, &flag, NULL, NULL));
    while (atomic_load(&flag) == 0) {
    }
    return seam_scope_end(&scope);
}

static int compute_on_all_workers(void *arg)
{
    const struct seam_options *options = arg;
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    for (uint32_t i = 0; i < role_count(options); i++) {
        CHECK_OK(seam_spawn(&scope, compute_until_a_child_has_run, NULL, NULL, NULL));
    }
    return seam_scope_end(&scope);
}

ON_OVERTAKEN(children_run_while_all_workers_compute)
{
    CHECK_OK(seam_run(options, compute_on_all_workers, (void *)(uintptr_t)options));
}

/* Not as many as there are workers: where nothing is stolen, they would all be on one, and more
 * compute there than may be overtaken. */
ON_OVERTAKEN(a_child_runs_while_its_parent_computes_and_nothing_is_stolen)
{
    struct seam_options alone = *options;
    alone.steal = SEAM_STEAL_NONE;
    CHECK_OK(seam_run(&alone, compute_until_a_child_has_run, NULL));
}

/* ---- what else waits behind a blocked thread ---- */

struct prisoner {
    struct gate gate;
    struct seam_event is_blocked; /* or is about to be */
    const struct seam_options *options;
    int fds[2];
};

static void prisoner_init(struct prisoner *prisoner, const struct seam_options *options)
{
    *prisoner = (struct prisoner){.options = options};
    gate_init(&prisoner->gate);
    CHECK_OK(pipe2(prisoner->fds, O_CLOEXEC));
}

static void prisoner_fini(struct prisoner *prisoner)
{
    gate_fini(&prisoner->gate);
    CHECK_OK(close(prisoner->fds[0]));
    CHECK_OK(close(prisoner->fds[1]));
}

static int be_blocked(void *arg)
{
    struct prisoner *prisoner = arg;
    seam_event_set(&prisoner->is_blocked);
    gate_pass(&prisoner->gate);
    return 0;
}

static void *call_be_blocked(void *arg)
{
    struct prisoner *prisoner = arg;
    CHECK_OK(seam_run(prisoner->options, be_blocked, prisoner));
    return NULL;
}

struct outside {
    seam_runtime *runtime;
    struct prisoner *prisoner;
};

static void *block_runtime(void *arg)
{
    struct outside *outside = arg;
    CHECK_OK(seam_call(outside->runtime, be_blocked, outside->prisoner, NULL, SEAM_FOREVER));
    return NULL;
}

/* As many blocked tasks as workers; then a thread calls, and its call lets them all go. */
static int open_for_all(void *arg)
{
    struct prisoner *prisoner = arg;
    for (uint32_t i = 0; i < role_count(prisoner->options); i++) {
        gate_open(&prisoner->gate);
    }
    return 0;
}

ON_OVERTAKEN(a_call_from_a_thread_runs_while_all_workers_are_blocked)
{
    struct prisoner prisoner;
    prisoner_init(&prisoner, options);
    struct outside outside = {.runtime = new_runtime(options), .prisoner = &prisoner};
    pthread_t threads[8];
    for (uint32_t i = 0; i < role_count(options); i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, block_runtime, &outside), 0);
    }
    CHECK_OK(seam_event_wait(&prisoner.is_blocked, SEAM_FOREVER));
    CHECK_OK(seam_call(outside.runtime, open_for_all, &prisoner, NULL, SEAM_FOREVER));
    for (uint32_t i = 0; i < role_count(options); i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
    end_runtime(outside.runtime);
    prisoner_fini(&prisoner);
}

static int open_after_a_sleep(void *arg)
{
    CHECK_OK(seam_sleep(seam_after(SEAM_MILLISECOND)));
    return open_for_all(arg);
}

static int open_after_a_read(void *arg)
{
    struct prisoner *prisoner = arg;
    char byte = 0;
    CHECK_EQ(seam_read(prisoner->fds[0], &byte, 1, SEAM_FOREVER), 1);
    return open_for_all(arg);
}

/* Run waiter beside as many blocked tasks as there are workers. */
static void block_beside(struct prisoner *prisoner, seam_fn *waiter)
{
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, waiter, prisoner, NULL, NULL));
    CHECK_OK(seam_yield());
    for (uint32_t i = 0; i < role_count(prisoner->options); i++) {
        CHECK_OK(seam_spawn(&scope, be_blocked, prisoner, NULL, NULL));
    }
    CHECK_OK(seam_scope_end(&scope));
}

static int block_beside_a_sleeper(void *arg)
{
    block_beside(arg, open_after_a_sleep);
    return 0;
}

static int block_beside_a_reader(void *arg)
{
    block_beside(arg, open_after_a_read);
    return 0;
}

ON_OVERTAKEN(a_sleeper_wakes_while_all_workers_are_blocked)
{
    struct prisoner prisoner;
    prisoner_init(&prisoner, options);
    CHECK_OK(seam_run(options, block_beside_a_sleeper, &prisoner));
    prisoner_fini(&prisoner);
}

static void *feed_the_reader(void *arg)
{
    struct prisoner *prisoner = arg;
    CHECK_OK(seam_event_wait(&prisoner->is_blocked, SEAM_FOREVER));
    CHECK_EQ(write(prisoner->fds[1], "", 1), 1);
    return NULL;
}

ON_OVERTAKEN(a_reader_wakes_while_all_workers_are_blocked)
{
    struct prisoner prisoner;
    prisoner_init(&prisoner, options);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, feed_the_reader, &prisoner), 0);
    CHECK_OK(seam_run(options, block_beside_a_reader, &prisoner));
    CHECK_EQ(pthread_join(thread, NULL), 0);
    prisoner_fini(&prisoner);
}

static int end_while_blocked(void *arg)
{
    struct prisoner *prisoner = arg;
    CHECK_OK(seam_event_wait(&prisoner->is_blocked, SEAM_FOREVER));
    gate_open(&prisoner->gate);
    return 0;
}

/* The thread that drives is the one that is blocked, and another thread's call needs the role. */
ON_OVERTAKEN(a_thread_that_is_blocked_in_its_own_runtime_leaves_other_runtimes_alone)
{
    struct prisoner prisoner;
    prisoner_init(&prisoner, options);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, call_be_blocked, &prisoner), 0);
    CHECK_OK(seam_run(options, end_while_blocked, &prisoner));
    CHECK_EQ(pthread_join(thread, NULL), 0);
    prisoner_fini(&prisoner);
}

/* ---- the way back ---- */

/* Row c, block_in_place() on current_thread. Tokio panics: "can call blocking only when running on
 * the multi-threaded runtime". Here the task waits for a pool thread, and the others run. */
static int pass_gate(void *arg)
{
    gate_pass(arg);
    return 0;
}

static int pass_gate_in_pool(void *arg)
{
    struct gate *gate = arg;
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, open_gate, gate, NULL, NULL));
    CHECK_OK(seam_block(NULL, pass_gate, gate, NULL, SEAM_FOREVER));
    return seam_scope_end(&scope);
}

ON_EVERY_RUNTIME(a_task_blocks_in_the_pool_while_others_run)
{
    struct gate gate;
    gate_init(&gate);
    CHECK_OK(seam_run(options, pass_gate_in_pool, &gate));
    gate_fini(&gate);
}

/* Row d, block_in_place() in a task that is bound to its thread. Tokio panics, as in row c. Here the
 * others go on with another thread, and the task stays on its own. */
static int block_where_it_is(void *arg)
{
    (void)arg;
    pthread_t thread = this_thread();
    struct gate gate;
    gate_init(&gate);
    for (int i = 0; i < ROUNDS; i++) {
        seam_blocking_begin();
        CHECK_OK(block_for_a_child(NULL));
        seam_blocking_end();
        CHECK(pthread_equal(thread, this_thread()));
        CHECK_OK(pass_gate_in_pool(&gate));
        CHECK(pthread_equal(thread, this_thread()));
    }
    gate_fini(&gate);
    return 0;
}

static int spawn_bound_blockers(void *arg)
{
    const struct seam_options *options = arg;
    static const struct seam_task_options bound = {.thread_bound = true};
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    for (uint32_t i = 0; i < role_count(options); i++) {
        CHECK_OK(seam_spawn(&scope, block_where_it_is, NULL, &bound, NULL));
    }
    return seam_scope_end(&scope);
}

ON_OVERTAKEN(a_task_that_is_bound_to_its_thread_blocks_it_while_others_run)
{
    CHECK_OK(seam_run(options, spawn_bound_blockers, (void *)(uintptr_t)options));
}

/* A runtime that is current-thread, and whose drivers are overtaken. */
static const struct seam_options overtaken = {.current_thread = true, .overtake = SEAM_OVERTAKE_ON};

TEST(a_driver_that_was_overtaken_drives_again)
{
    seam_runtime *runtime = new_runtime(&overtaken);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_OK(seam_call(runtime, block_for_a_child, NULL, NULL, SEAM_FOREVER));
        CHECK_OK(seam_call(runtime, compute_until_a_child_has_run, NULL, NULL, SEAM_FOREVER));
    }
    struct seam_runtime_stats stats;
    seam_runtime_stats_read(runtime, &stats);
    CHECK(stats.handovers >= 2 * ROUNDS);
    CHECK(stats.blocked >= ROUNDS);
    end_runtime(runtime);
}

static int block_and_count(void *arg)
{
    CHECK_OK(block_for_a_child(NULL));
    CHECK_OK(seam_yield()); /* perhaps on the thread that stands in */
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

/* A foreign loop comes back from every poll, also from one in which a task has blocked it, and hears
 * from the descriptor when there is more to do. */
TEST(a_foreign_loop_that_was_overtaken_polls_again)
{
    enum { TASKS = 4 };
    seam_runtime *runtime = new_runtime(&overtaken);
    atomic_int count = 0;
    for (int i = 0; i < TASKS; i++) {
        CHECK_OK(seam_spawn(seam_runtime_root(runtime), block_and_count, &count, NULL, NULL));
    }
    while (atomic_load(&count) < TASKS) {
        struct pollfd wanted = {.fd = seam_runtime_fd(runtime), .events = POLLIN};
        CHECK_EQ(poll(&wanted, 1, -1), 1);
        int r = seam_runtime_poll(runtime);
        CHECK(r >= 0 || r == -EBUSY);
    }
    end_runtime(runtime);
}

/* The default: two tasks never run at once on current-thread, whatever the first does. */
TEST(nobody_watches_a_driver_who_has_not_asked_for_it)
{
    seam_runtime *runtime = new_runtime(&(struct seam_options){.current_thread = true});
    struct seam_runtime_stats stats;
    seam_runtime_stats_read(runtime, &stats);
    CHECK_EQ(stats.threads, 0);
    end_runtime(runtime);
}
