/* SPDX-License-Identifier: MIT */
/*
 * boundary/flavours.h - one test, on every kind of runtime.
 *
 *     ON_EVERY_RUNTIME(a_call_suspends) { ... options ... }     four tests: current-thread, 1, 2, 8
 *     ON_WORKERS(a_blocked_worker_...) { ... options ... }      three: without current-thread
 *     ON_OVERTAKEN(a_child_runs_...) { ... options ... }        four: current-thread asks for it
 *
 * The suite is the table of situations in which Tokio panics or hangs, one test per row; what
 * Tokio 1.53.1 does stands above each. Nothing here sleeps or asks a clock: sides wait for each
 * other, and what never ends is ended by the time limit.
 */
#pragma once

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

#include "seam.h"

#include "check/check.h"

#define ON_FLAVOUR(name, flavour, ...) \
    TEST(name##_##flavour) \
    { \
        name(&(struct seam_options){__VA_ARGS__}); \
    }

#define ON_WORKERS(name) \
    static void name(const struct seam_options *options); \
    ON_FLAVOUR(name, on_one_worker, .workers = 1) \
    ON_FLAVOUR(name, on_two_workers, .workers = 2) \
    ON_FLAVOUR(name, on_eight_workers, .workers = 8) \
    static void name(const struct seam_options *options)

#define ON_EVERY_RUNTIME(name) \
    static void name(const struct seam_options *options); \
    ON_FLAVOUR(name, on_current_thread, .current_thread = true) \
    ON_WORKERS(name)

#define ON_OVERTAKEN(name) \
    static void name(const struct seam_options *options); \
    ON_FLAVOUR(name, on_current_thread, .current_thread = true, .overtake = SEAM_OVERTAKE_ON) \
    ON_WORKERS(name)

/* pthread_self(), asked anew each time: it is declared such that a compiler may keep the answer across
 * a wait. */
static inline pthread_t this_thread(void)
{
    pthread_t (*volatile ask)(void) = pthread_self;
    return ask();
}

/* How many tasks can run at once. */
static inline uint32_t role_count(const struct seam_options *options)
{
    return options->current_thread ? 1 : options->workers;
}

/* Something a thread can block on although it knows nothing of seam. */
struct gate {
    int fds[2];
};

static inline void gate_init(struct gate *gate)
{
    CHECK_OK(pipe2(gate->fds, O_CLOEXEC));
}

static inline void gate_fini(struct gate *gate)
{
    CHECK_OK(close(gate->fds[0]));
    CHECK_OK(close(gate->fds[1]));
}

static inline void gate_open(struct gate *gate)
{
    CHECK_EQ(write(gate->fds[1], "", 1), 1);
}

/* Block the thread until somebody opens the gate; the next has to wait for the next opening. */
static inline void gate_pass(struct gate *gate)
{
    char byte = 0;
    ssize_t got = 0;
    do {
        got = read(gate->fds[0], &byte, 1);
    } while (got < 0 && errno == EINTR);
    CHECK_EQ(got, 1);
}

static inline seam_runtime *new_runtime(const struct seam_options *options)
{
    seam_runtime *runtime = NULL;
    CHECK_OK(seam_runtime_new(options, &runtime));
    return runtime;
}

static inline void end_runtime(seam_runtime *runtime)
{
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_runtime_free(runtime);
}

/* That many callers are in line. */
static inline void wait_until_queued(seam_job_class *job_class, uint32_t wanted)
{
    struct seam_job_stats stats = {};
    while (stats.queued < wanted) {
        CHECK_EQ(sched_yield(), 0);
        seam_job_class_stats_read(job_class, &stats);
    }
}
