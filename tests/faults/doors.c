/* SPDX-License-Identifier: MIT */
/*
 * The doors between threads and tasks, and bridges.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "seam.h"

#include "faults.h"

static int64_t soon(void)
{
    return seam_after(2 * SEAM_MILLISECOND);
}

static int begin(const struct seam_options *options, seam_runtime **out_runtime)
{
    return (int)MAY(seam_runtime_new(options, out_runtime), RUNTIME_ERRORS);
}

static SEAM_SUSPENDS void end(seam_runtime *runtime)
{
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_runtime_free(runtime);
}

static const struct seam_options current_thread = {.current_thread = true};
static const struct seam_options one_worker = {.workers = 1, .quiet_incidents = true};

/* ---- what is called ---- */

static int be_two(void *arg)
{
    (void)arg;
    return 2;
}

static SEAM_SUSPENDS int wait_until_cancelled(void *arg)
{
    (void)arg;
    return seam_sleep(SEAM_FOREVER);
}

/* The context of an owned call, given back by whoever has it last. */
static void give_back(void *arg, int result)
{
    (void)result;
    free(arg);
}

static void *a_context(void)
{
    void *context = malloc(1);
    CHECK(context != NULL);
    return context;
}

static void keep(void *context, long r)
{
    if (r == 0) free(context); /* it is ours again */
}

/* ---- into a runtime ---- */

static SEAM_SUSPENDS int call_each_way(seam_runtime *runtime)
{
    int result = 0;
    int r = (int)MAY(seam_call(runtime, be_two, NULL, &result, SEAM_FOREVER), ENOMEM);
    if (r == 0) CHECK_EQ(result, 2);
    if (r < 0) return r;
    r = seam_call(runtime, wait_until_cancelled, NULL, &result, soon());
    if (r == 0) CHECK_EQ(result, -ECANCELED);
    if (r != 0 && r != -ETIMEDOUT) return (int)MAY(r, ENOMEM);

    void *context = a_context();
    r = (int)MAY(
            seam_call_owned(runtime, be_two, context, give_back, &result, SEAM_FOREVER), ENOMEM);
    keep(context, r);
    if (r < 0) return r;
    context = a_context();
    r = seam_call_owned(runtime, wait_until_cancelled, context, give_back, &result, soon());
    keep(context, r);
    return r == -ETIMEDOUT ? 0 : (int)MAY(r, ENOMEM);
}

static SEAM_SUSPENDS int call_from_task(void *arg)
{
    return call_each_way(arg);
}

/* From a thread, from a task of another runtime, and into one that must be driven. */
static int call(void)
{
    seam_runtime *workers = NULL;
    seam_runtime *driven = NULL;
    int r = begin(&one_worker, &workers);
    if (r < 0) return r;
    r = begin(&current_thread, &driven);
    if (r < 0) {
        end(workers);
        return r;
    }
    int result = 0;
    r = call_each_way(workers);
    if (r == 0) r = call_each_way(driven);
    if (r == 0)
        r = (int)MAY(seam_call(workers, call_from_task, driven, &result, SEAM_FOREVER), ENOMEM);
    if (r == 0) r = result;
    if (r == 0)
        r = (int)MAY(seam_call(driven, call_from_task, workers, &result, SEAM_FOREVER), ENOMEM);
    if (r == 0) r = result;
    end(driven);
    end(workers);
    return r;
}

TEST(a_call_outlives_each_failure)
{
    each_fault(call);
}

/* ---- to the pool ---- */

/* Gives its slot back while it waits for another, of a class with one slot. */
static SEAM_SUSPENDS int block_again(void *arg)
{
    seam_job_class *single = arg;
    int result = 0;
    CHECK_OK(seam_sleep(soon()));
    int r = (int)MAY(seam_block(single, be_two, NULL, &result, SEAM_FOREVER), ENOMEM);
    return r < 0 ? r : result;
}

static SEAM_SUSPENDS int block_each_way(void *arg)
{
    seam_job_class *single = arg;
    int result = 0;
    int r = (int)MAY(seam_block(NULL, be_two, NULL, &result, SEAM_FOREVER), ENOMEM);
    if (r == 0) r = (int)MAY(seam_block(NULL, block_again, single, &result, SEAM_FOREVER), ENOMEM);
    if (r == 0) r = result < 0 ? result : 0;
    if (r < 0) return r;
    r = seam_block(single, be_two, NULL, &result, SEAM_NOW);
    if (r != 0 && r != -EAGAIN) return (int)MAY(r, ENOMEM);

    void *context = a_context();
    r = (int)MAY(
            seam_block_owned(single, be_two, context, give_back, &result, SEAM_FOREVER), ENOMEM);
    keep(context, r);
    if (r < 0) return r;
    context = a_context();
    r = seam_block_owned(NULL, wait_until_cancelled, context, give_back, &result, soon());
    keep(context, r);
    return r == -ETIMEDOUT ? 0 : (int)MAY(r, ENOMEM);
}

static SEAM_SUSPENDS int block_side_by_side(void *arg)
{
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    seam_task *tasks[4] = {NULL};
    int r = 0;
    for (int i = 0; i < 4 && r == 0; i++) {
        r = (int)MAY(seam_spawn(&scope, block_each_way, arg, NULL, &tasks[i]), ENOMEM);
    }
    for (int i = 0; i < 4 && tasks[i] != NULL; i++) {
        int result = 0;
        CHECK_OK(seam_join(tasks[i], &result, SEAM_FOREVER));
        if (result < 0) r = result;
    }
    CHECK_OK(seam_scope_end(&scope));
    return r;
}

static int block_in(const struct seam_options *options)
{
    seam_runtime *runtime = NULL;
    int r = begin(options, &runtime);
    if (r < 0) return r;
    const struct seam_job_class_options one_at_a_time = {.threads_max = 1};
    seam_job_class *single = NULL;
    r = (int)MAY(seam_job_class_new(runtime, &one_at_a_time, &single), ENOMEM);
    int result = 0;
    if (r == 0)
        r = (int)MAY(seam_call(runtime, block_side_by_side, single, &result, SEAM_FOREVER), ENOMEM);
    if (r == 0) r = result;
    /* From a thread a class that is named means its pool. */
    if (r == 0) r = (int)MAY(seam_block(single, be_two, NULL, &result, SEAM_FOREVER), ENOMEM);
    end(runtime);
    return r;
}

static int block(void)
{
    int r = block_in(&one_worker);
    return r < 0 ? r : block_in(&current_thread);
}

TEST(blocking_jobs_outlive_each_failure)
{
    each_fault(block);
}

/* ---- interruption ---- */

struct stubborn {
    seam_job_class *job_class;
    struct seam_event has_begun;
    int fds[2];
};

/* The first signal comes too early to interrupt anything: it must be sent again. */
static int read_late(void *arg)
{
    struct stubborn *stubborn = arg;
    seam_event_set(&stubborn->has_begun);
    while (seam_cancelled() == 0) {
        (void)usleep(100);
    }
    (void)usleep(500);
    char byte = 0;
    return read(stubborn->fds[0], &byte, 1) < 0 ? -errno : 0;
}

static SEAM_SUSPENDS int run_stubborn(void *arg)
{
    struct stubborn *stubborn = arg;
    int result = 0;
    int r = (int)MAY(
            seam_block(stubborn->job_class, read_late, arg, &result, SEAM_FOREVER), ENOMEM);
    if (r == 0) CHECK_EQ(result, -EINTR);
    seam_event_set(&stubborn->has_begun);
    return r;
}

static SEAM_SUSPENDS int interrupt_job(void *arg)
{
    struct stubborn stubborn = {.job_class = arg, .has_begun = SEAM_EVENT_INIT};
    CHECK_OK(pipe(stubborn.fds));
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    seam_task *task = NULL;
    int r = (int)MAY(seam_spawn(&scope, run_stubborn, &stubborn, NULL, &task), ENOMEM);
    if (r == 0) CHECK_OK(seam_event_wait(&stubborn.has_begun, SEAM_FOREVER));
    CHECK_OK(seam_scope_cancel(&scope));
    struct seam_shield shield;
    seam_shield_begin(&shield);
    if (r == 0) CHECK_OK(seam_join(task, &r, SEAM_FOREVER));
    seam_shield_end(&shield);
    (void)seam_scope_end(&scope);
    CHECK_OK(close(stubborn.fds[0]));
    CHECK_OK(close(stubborn.fds[1]));
    return r;
}

static int interrupt(void)
{
    seam_runtime *runtime = NULL;
    int r = begin(&one_worker, &runtime);
    if (r < 0) return r;
    const struct seam_job_class_options options = {.interruptible = true};
    seam_job_class *impatient = NULL;
    r = (int)MAY(seam_job_class_new(runtime, &options, &impatient), ENOMEM);
    int result = 0;
    if (r == 0)
        r = (int)MAY(seam_call(runtime, interrupt_job, impatient, &result, SEAM_FOREVER), ENOMEM);
    if (r == 0) r = result;
    end(runtime);
    return r;
}

TEST(a_job_that_is_cancelled_is_interrupted_in_spite_of_each_failure)
{
    each_fault(interrupt);
}

/* ---- bridges ---- */

static int fail_with_message(void *arg)
{
    (void)arg;
    return seam_fail(-EDOM, "no such %s", "thing");
}

static SEAM_SUSPENDS int use_bridge(seam_bridge *bridge)
{
    struct seam_reply reply;
    int r = (int)MAY(
            seam_bridge_call(bridge, fail_with_message, NULL, &reply, SEAM_FOREVER), ENOMEM);
    if (r == 0) CHECK_EQ(reply.result, -EDOM);
    if (r < 0) return r;
    void *context = a_context();
    r = (int)MAY(seam_bridge_call_owned(bridge, be_two, context, give_back, &reply, SEAM_FOREVER),
            ENOMEM);
    keep(context, r);
    if (r < 0) return r;
    context = a_context();
    r = seam_bridge_call_owned(bridge, wait_until_cancelled, context, give_back, &reply, soon());
    keep(context, r);
    return r == -ETIMEDOUT ? 0 : (int)MAY(r, ENOMEM);
}

static SEAM_SUSPENDS int use_bridge_in_task(void *arg)
{
    return use_bridge(arg);
}

/* Open, used from a thread and a task, closed, opened again, closed. */
static int live_of_bridge(const struct seam_bridge_options *options, seam_runtime *other)
{
    seam_bridge *bridge = NULL;
    int r = (int)MAY(seam_bridge_new(options, &bridge), RUNTIME_ERRORS);
    if (r < 0) return r;
    struct seam_bridge_report report;
    int result = 0;
    r = use_bridge(bridge);
    if (r == 0)
        r = (int)MAY(seam_call(other, use_bridge_in_task, bridge, &result, SEAM_FOREVER), ENOMEM);
    if (r == 0) r = result;
    CHECK_OK(seam_bridge_close(bridge, &report, SEAM_FOREVER));
    if (r == 0) r = (int)MAY(seam_bridge_reopen(bridge, options->runtime), RUNTIME_ERRORS);
    if (r == 0) r = use_bridge(bridge);
    CHECK_OK(seam_bridge_close(bridge, &report, SEAM_NOW));
    seam_bridge_free(bridge);
    return r;
}

static SEAM_SUSPENDS int close_in_task(void *arg)
{
    return (int)MAY(seam_bridge_close(arg, NULL, SEAM_FOREVER), ENOMEM);
}

static int close_from_task(seam_runtime *other)
{
    const struct seam_bridge_options own = {.name = "own"};
    seam_bridge *bridge = NULL;
    int r = (int)MAY(seam_bridge_new(&own, &bridge), RUNTIME_ERRORS);
    if (r < 0) return r;
    int result = 0;
    r = (int)MAY(seam_call(other, close_in_task, bridge, &result, SEAM_FOREVER), ENOMEM);
    if (r == 0) r = result;
    CHECK_OK(seam_bridge_close(bridge, NULL, SEAM_FOREVER));
    seam_bridge_free(bridge);
    return r;
}

static int bridges(void)
{
    seam_runtime *runtime = NULL;
    int r = begin(&one_worker, &runtime);
    if (r < 0) return r;
    const struct seam_bridge_options own = {.name = "own", .workers = 1};
    const struct seam_bridge_options view = {
            .name = "view", .runtime = runtime, .in_flight_max = 1};
    r = live_of_bridge(&own, runtime);
    if (r == 0) r = live_of_bridge(&view, runtime);
    if (r == 0) r = close_from_task(runtime);
    end(runtime);
    return r;
}

TEST(a_bridge_outlives_each_failure)
{
    each_fault(bridges);
}

/* ---- stopping from a task ---- */

static SEAM_SUSPENDS int begin_and_stop(void *arg)
{
    (void)arg;
    seam_runtime *runtime = NULL;
    int r = begin(&one_worker, &runtime);
    if (r < 0) return r;
    r = (int)MAY(seam_runtime_stop(runtime, NULL, SEAM_FOREVER), ENOMEM);
    if (r < 0) CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_runtime_free(runtime);
    return r;
}

static int stop_in_task(void)
{
    return (int)MAY(seam_run(&one_worker, begin_and_stop, NULL), RUNTIME_ERRORS);
}

TEST(a_task_stops_a_runtime_in_spite_of_each_failure)
{
    each_fault(stop_in_task);
}
