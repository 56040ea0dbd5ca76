/* SPDX-License-Identifier: MIT */
/*
 * boundary/blocked.c - tasks that block their thread, and the work that is behind them: rows l, l2.
 *
 * Not on current-thread: there two tasks never run at once, so what a blocked thread waits for
 * cannot happen; seam/runtime.h promises no more.
 */
#include <pthread.h>

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
ON_WORKERS(a_child_runs_while_its_parent_blocks_the_thread)
{
    CHECK_OK(seam_run(options, block_for_a_child, NULL));
}

ON_WORKERS(a_child_runs_while_its_parent_blocks_a_thread_of_the_runtime)
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
    for (uint32_t i = 0; i < options->workers; i++) {
        CHECK_OK(seam_spawn(&scope, block_for_a_child, NULL, NULL, NULL));
    }
    CHECK_OK(seam_scope_end(&scope));
    return 0;
}

/* Row l: all workers blocked at once. Tokio hangs. */
ON_WORKERS(children_run_while_all_workers_are_blocked)
{
    CHECK_OK(seam_run(options, block_as_many_as_there_are_workers, (void *)(uintptr_t)options));
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
    for (uint32_t i = 0; i < prisoner->options->workers; i++) {
        gate_open(&prisoner->gate);
    }
    return 0;
}

ON_WORKERS(a_call_from_a_thread_runs_while_all_workers_are_blocked)
{
    struct prisoner prisoner;
    prisoner_init(&prisoner, options);
    struct outside outside = {.runtime = new_runtime(options), .prisoner = &prisoner};
    pthread_t threads[8];
    for (uint32_t i = 0; i < options->workers; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, block_runtime, &outside), 0);
    }
    CHECK_OK(seam_event_wait(&prisoner.is_blocked, SEAM_FOREVER));
    CHECK_OK(seam_call(outside.runtime, open_for_all, &prisoner, NULL, SEAM_FOREVER));
    for (uint32_t i = 0; i < options->workers; i++) {
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
    for (uint32_t i = 0; i < prisoner->options->workers; i++) {
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

ON_WORKERS(a_sleeper_wakes_while_all_workers_are_blocked)
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

ON_WORKERS(a_reader_wakes_while_all_workers_are_blocked)
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
ON_WORKERS(a_thread_that_is_blocked_in_its_own_runtime_leaves_other_runtimes_alone)
{
    struct prisoner prisoner;
    prisoner_init(&prisoner, options);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, call_be_blocked, &prisoner), 0);
    CHECK_OK(seam_run(options, end_while_blocked, &prisoner));
    CHECK_EQ(pthread_join(thread, NULL), 0);
    prisoner_fini(&prisoner);
}
