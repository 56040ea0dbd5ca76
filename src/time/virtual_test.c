/* SPDX-License-Identifier: MIT */
/*
 * Virtual time seen through the whole runtime: sleeps, deadlines and scopes are exact, and instant.
 */
#include "seam.h"

#include "check/check.h"
#include "time/clock.h"

enum { START_NS = 1000 };
#define HOUR (3600 * SEAM_SECOND)

static int sleep_an_hour(void *arg)
{
    (void)arg;
    int64_t then_ns = seam_now_ns();
    CHECK_OK(seam_sleep(then_ns + HOUR));
    CHECK_EQ(seam_now_ns(), then_ns + HOUR);
    return 0;
}

static int wait_for_nothing(void *arg)
{
    struct seam_event never = SEAM_EVENT_INIT;
    int64_t deadline_ns = *(int64_t *)arg;
    CHECK_ERR(seam_event_wait(&never, deadline_ns), ETIMEDOUT);
    CHECK_EQ(seam_now_ns(), deadline_ns);
    return 0;
}

static int sleep_at_once(void *arg)
{
    (void)arg;
    struct seam_scope scope;
    int64_t then_ns = seam_now_ns();
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    for (int i = 0; i < 50; i++) {
        CHECK_OK(seam_spawn(&scope, sleep_an_hour, NULL, NULL, NULL));
    }
    CHECK_OK(seam_scope_end(&scope));
    CHECK_EQ(seam_now_ns(), then_ns + HOUR);
    return 0;
}

static int wait_one_after_the_other(void *arg)
{
    (void)arg;
    int64_t deadlines_ns[20];
    struct seam_scope scope;
    int64_t then_ns = seam_now_ns();
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    for (int i = 0; i < 20; i++) {
        deadlines_ns[i] = then_ns + (i * 7 % 20 + 1) * HOUR;
        CHECK_OK(seam_spawn(&scope, wait_for_nothing, &deadlines_ns[i], NULL, NULL));
    }
    CHECK_OK(seam_scope_end(&scope));
    CHECK_EQ(seam_now_ns(), then_ns + 20 * HOUR);
    return 0;
}

static int sleep_in_scope_with_deadline(void *arg)
{
    (void)arg;
    struct seam_scope scope;
    int64_t then_ns = seam_now_ns();
    CHECK_OK(seam_scope_begin(&scope, NULL, then_ns + HOUR));
    CHECK_ERR(seam_sleep(then_ns + 2 * HOUR), ECANCELED);
    CHECK_EQ(seam_now_ns(), then_ns + HOUR);
    CHECK_ERR(seam_scope_end(&scope), ETIMEDOUT);
    return 0;
}

static int sleep_on_thread(void *arg)
{
    (void)arg;
    int result = -1;
    int64_t then_ns = seam_now_ns();
    CHECK_OK(seam_block(NULL, sleep_an_hour, NULL, &result, SEAM_FOREVER));
    CHECK_OK(result);
    CHECK_EQ(seam_now_ns(), then_ns + HOUR);
    return 0;
}

static int do_everything(void *arg)
{
    CHECK_OK(sleep_an_hour(arg));
    CHECK_OK(sleep_at_once(arg));
    CHECK_OK(wait_one_after_the_other(arg));
    CHECK_OK(sleep_in_scope_with_deadline(arg));
    CHECK_OK(sleep_on_thread(arg));
    return 0;
}

/* Everything takes hours, exactly, and the test is over at once. Again and again: whoever miscounts
 * the busy makes time stand still. */
static void live_through_it(const struct seam_options *options)
{
    sm_clock_make_virtual(START_NS);
    for (int round = 0; round < 10; round++) {
        int64_t then_ns = seam_now_ns();
        CHECK_OK(seam_run(options, do_everything, NULL));
        CHECK_EQ(seam_now_ns(), then_ns + 24 * HOUR);
    }
    for (int round = 0; round < 10; round++) {
        seam_runtime *runtime = NULL;
        CHECK_OK(seam_runtime_new(options, &runtime));
        int64_t then_ns = seam_now_ns();
        CHECK_OK(seam_call(runtime, do_everything, NULL, NULL, SEAM_FOREVER));
        CHECK_EQ(seam_now_ns(), then_ns + 24 * HOUR);
        CHECK_OK(sleep_an_hour(NULL));
        CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
        seam_runtime_free(runtime);
        CHECK_OK(sleep_an_hour(NULL)); /* nobody who has gone is counted */
    }
    sm_clock_make_real();
}

TEST(virtual_hours_pass_at_once_on_the_current_thread)
{
    const struct seam_options options = {.current_thread = true};
    live_through_it(&options);
}

TEST(virtual_hours_pass_at_once_on_one_worker)
{
    const struct seam_options options = {.workers = 1};
    live_through_it(&options);
}

TEST(virtual_hours_pass_at_once_on_four_workers)
{
    const struct seam_options options = {.workers = 4};
    live_through_it(&options);
}

TEST(virtual_hours_pass_at_once_for_tasks_that_move)
{
    const struct seam_options options = {.workers = 3, .steal = SEAM_STEAL_FULL};
    live_through_it(&options);
}

/* The deadline of a call reaches the function, exactly. */
static int sleep_two_hours(void *arg)
{
    *(int64_t *)arg = seam_now_ns();
    int r = seam_sleep(seam_now_ns() + 2 * HOUR);
    *(int64_t *)arg = seam_now_ns() - *(int64_t *)arg;
    return r;
}

TEST(the_deadline_of_a_call_is_exact)
{
    sm_clock_make_virtual(START_NS);
    const struct seam_options options = {.workers = 2};
    seam_runtime *runtime = NULL;
    CHECK_OK(seam_runtime_new(&options, &runtime));
    int64_t slept_ns = 0;
    int result = 0;
    int64_t deadline_ns = seam_after(HOUR);
    CHECK_OK(seam_call(runtime, sleep_two_hours, &slept_ns, &result, deadline_ns));
    CHECK_EQ(result, -ECANCELED);
    CHECK_EQ(slept_ns, HOUR);
    CHECK_EQ(seam_now_ns(), deadline_ns);
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_runtime_free(runtime);
    sm_clock_make_real();
}

/* A plain thread's waits are on virtual time, too, inside a scope or not. */
TEST(a_thread_waits_on_virtual_time)
{
    sm_clock_make_virtual(START_NS);
    const struct seam_options options = {.workers = 1};
    seam_runtime *runtime = NULL;
    CHECK_OK(seam_runtime_new(&options, &runtime));
    CHECK_OK(sleep_an_hour(NULL));
    struct seam_event never = SEAM_EVENT_INIT;
    struct seam_scope scope;
    int64_t then_ns = seam_now_ns();
    CHECK_OK(seam_scope_begin(&scope, runtime, then_ns + HOUR));
    CHECK_ERR(seam_event_wait(&never, then_ns + 2 * HOUR), ECANCELED);
    CHECK_EQ(seam_now_ns(), then_ns + HOUR);
    CHECK_ERR(seam_scope_end(&scope), ETIMEDOUT);
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_runtime_free(runtime);
    sm_clock_make_real();
}
