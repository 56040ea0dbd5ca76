/* SPDX-License-Identifier: MIT */
/*
 * bridge/metrics.c - what a bridge counts, and that it counts right. Time is virtual.
 */
#include <pthread.h>

#include "bridge/doors.h"
#include "time/clock.h"

static uint64_t total(const uint64_t latency[SEAM_BRIDGE_BUCKETS])
{
    uint64_t sum = 0;
    for (int i = 0; i < SEAM_BRIDGE_BUCKETS; i++)
        sum += latency[i];
    return sum;
}

static struct seam_bridge_caller_stats stats_of(
        const seam_bridge *bridge, enum seam_bridge_caller caller)
{
    struct seam_bridge_stats stats;
    seam_bridge_stats_read(bridge, &stats);
    return stats.by_caller[caller];
}

/* ---- by caller ---- */

static int fail(void *arg)
{
    (void)arg;
    return -EIO;
}

static int call_four_times(void *arg)
{
    for (int i = 0; i < 3; i++) {
        CHECK_OK(seam_bridge_call(arg, do_nothing, NULL, NULL, SEAM_FOREVER));
    }
    CHECK_OK(seam_bridge_call(arg, fail, NULL, NULL, SEAM_FOREVER));
    return 0;
}

static int call_four_times_in_pool(void *arg)
{
    return seam_block(NULL, call_four_times, arg, NULL, SEAM_FOREVER);
}

static void check_four(const seam_bridge *bridge, enum seam_bridge_caller caller)
{
    struct seam_bridge_caller_stats stats = stats_of(bridge, caller);
    CHECK_EQ(stats.calls, 4);
    CHECK_EQ(stats.failures, 1);
    CHECK_EQ(stats.timeouts + stats.cancels + stats.refused + stats.lost + stats.abandoned, 0);
    CHECK(total(stats.latency) > 0);
}

ON_EVERY_BRIDGE(calls_are_counted_by_kind_of_caller)
{
    struct door door;
    door_open(&door, kind, 0);
    CHECK_OK(call_four_times(door.bridge));
    check_four(door.bridge, SEAM_CALLER_THREAD);
    const struct seam_options options = {.workers = 2};
    CHECK_OK(seam_run(&options, call_four_times, door.bridge));
    check_four(door.bridge, SEAM_CALLER_OTHER_TASK);
    CHECK_OK(seam_run(&options, call_four_times_in_pool, door.bridge));
    check_four(door.bridge, SEAM_CALLER_POOL);
    CHECK_EQ(stats_of(door.bridge, SEAM_CALLER_TASK).calls, 0);
    CHECK_OK(seam_bridge_call(door.bridge, call_four_times, door.bridge, NULL, SEAM_FOREVER));
    check_four(door.bridge, SEAM_CALLER_TASK);
    CHECK_EQ(stats_of(door.bridge, SEAM_CALLER_THREAD).calls, 5);
    door_close(&door);
}

/* ---- time ---- */

static int sleep_for(void *arg)
{
    return seam_sleep(seam_after(*(const int64_t *)arg));
}

ON_EVERY_BRIDGE(the_histogram_has_a_bucket_for_each_power_of_two)
{
    sm_clock_make_virtual(1000);
    struct door door;
    door_open(&door, kind, 0);
    for (int i = 1; i < SEAM_BRIDGE_BUCKETS + 2; i++) {
        int64_t ns = INT64_C(1) << i;
        CHECK_OK(seam_bridge_call(door.bridge, sleep_for, &ns, NULL, SEAM_FOREVER));
    }
    struct seam_bridge_caller_stats stats = stats_of(door.bridge, SEAM_CALLER_THREAD);
    CHECK_EQ(stats.latency[0], 0);
    for (int i = 1; i < SEAM_BRIDGE_BUCKETS - 1; i++)
        CHECK_EQ(stats.latency[i], 1);
    CHECK_EQ(stats.latency[SEAM_BRIDGE_BUCKETS - 1], 3);
    door_close(&door);
    sm_clock_make_real();
}

struct look {
    seam_bridge *bridge;
    struct seam_bridge_stats stats;
};

static int look_after_a_second(void *arg)
{
    struct look *look = arg;
    CHECK_OK(seam_sleep(seam_after(SEAM_SECOND)));
    seam_bridge_stats_read(look->bridge, &look->stats);
    return 0;
}

ON_EVERY_BRIDGE(the_oldest_call_has_an_age)
{
    sm_clock_make_virtual(1000);
    struct door door;
    door_open(&door, kind, 0);
    struct look look = {.bridge = door.bridge};
    CHECK_OK(seam_bridge_call(door.bridge, look_after_a_second, &look, NULL, SEAM_FOREVER));
    CHECK_EQ(look.stats.oldest_ns, SEAM_SECOND);
    CHECK_EQ(look.stats.in_flight, 1);
    CHECK_EQ(look.stats.in_flight_high, 1);
    CHECK_EQ(look.stats.in_flight_max, 1024);
    seam_bridge_stats_read(door.bridge, &look.stats);
    CHECK_EQ(look.stats.oldest_ns, 0);
    CHECK_EQ(look.stats.in_flight, 0);
    door_close(&door);
    sm_clock_make_real();
}

/* ---- what did not go well ---- */

static void put_down(void *arg, int result)
{
    (void)arg;
    (void)result;
}

static int wait_for_ever(void *arg)
{
    return seam_event_wait(arg, SEAM_FOREVER);
}

static int be_cancelled(void *arg)
{
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_scope_cancel(&scope));
    CHECK_ERR(seam_bridge_call(arg, must_not_run, NULL, NULL, SEAM_FOREVER), ECANCELED);
    CHECK_ERR(seam_scope_end(&scope), ECANCELED);
    return 0;
}

ON_EVERY_BRIDGE(deadlines_cancellations_and_refusals_are_counted)
{
    sm_clock_make_virtual(1000);
    struct door door;
    door_open(&door, kind, 0);
    struct seam_event never = SEAM_EVENT_INIT;
    /* Missed before it began; while it ran; and by an owned call. */
    CHECK_ERR(seam_bridge_call(door.bridge, must_not_run, NULL, NULL, seam_now_ns()), ETIMEDOUT);
    CHECK_OK(seam_bridge_call(door.bridge, wait_for_ever, &never, NULL, seam_after(SEAM_SECOND)));
    CHECK_ERR(seam_bridge_call_owned(
                      door.bridge, wait_for_ever, &never, put_down, NULL, seam_after(SEAM_SECOND)),
            ETIMEDOUT);
    CHECK_OK(seam_run(&kind->runtime, be_cancelled, door.bridge));
    CHECK_OK(seam_bridge_close(door.bridge, NULL, SEAM_FOREVER));
    CHECK_ERR(seam_bridge_call(door.bridge, must_not_run, NULL, NULL, SEAM_FOREVER), ESHUTDOWN);

    struct seam_bridge_caller_stats stats = stats_of(door.bridge, SEAM_CALLER_THREAD);
    CHECK_EQ(stats.timeouts, 3);
    CHECK_EQ(stats.abandoned, 1);
    CHECK_EQ(stats.refused, 1);
    CHECK_EQ(stats.calls, 1);
    CHECK_EQ(stats_of(door.bridge, SEAM_CALLER_OTHER_TASK).cancels, 1);
    door_close(&door);
    sm_clock_make_real();
}
