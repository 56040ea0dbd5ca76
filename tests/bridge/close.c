/* SPDX-License-Identifier: MIT */
/*
 * bridge/close.c - bridges that close, die, and open again.
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bridge/doors.h"
#include "cross/bridge.h"
#include "time/clock.h"

/* A caller on a thread of its own. */
struct caller {
    seam_bridge *bridge;
    seam_fn *fn;
    struct meeting meeting;
    int r;
    struct seam_reply reply;
    pthread_t thread;
};

static void *call(void *arg)
{
    struct caller *caller = arg;
    caller->r = seam_bridge_call(
            caller->bridge, caller->fn, &caller->meeting, &caller->reply, SEAM_FOREVER);
    sm_clock_idle();
    return NULL;
}

static void caller_begin(struct caller *caller, seam_bridge *bridge, seam_fn *fn)
{
    *caller = (struct caller){.bridge = bridge, .fn = fn, .meeting = MEETING_INIT};
    sm_clock_busy();
    CHECK_EQ(pthread_create(&caller->thread, NULL, call, caller), 0);
}

static void caller_end(struct caller *caller, int r)
{
    sm_clock_idle();
    CHECK_EQ(pthread_join(caller->thread, NULL), 0);
    sm_clock_busy();
    CHECK_EQ(caller->r, r);
}

static void wait_for_line(const seam_bridge *bridge)
{
    struct seam_bridge_stats stats = {};
    while (stats.queued == 0) {
        seam_bridge_stats_read(bridge, &stats);
        (void)sched_yield();
    }
}

/* ---- draining ---- */

static int end_in_three_seconds(void *arg)
{
    struct meeting *meeting = arg;
    seam_event_set(&meeting->inside);
    int r = seam_sleep(seam_after(3 * SEAM_SECOND));
    return r == 0 ? 5 : r;
}

/* Dropping a Tokio runtime drops what runs at its next await. */
ON_EVERY_BRIDGE(a_closing_bridge_lets_its_calls_end)
{
    sm_clock_make_virtual(1000);
    struct door door;
    struct caller caller;
    struct seam_bridge_report report;
    door_open(&door, kind, 0);
    caller_begin(&caller, door.bridge, end_in_three_seconds);
    CHECK_OK(seam_event_wait(&caller.meeting.inside, SEAM_FOREVER));
    CHECK_OK(seam_bridge_close(door.bridge, &report, seam_after(4 * SEAM_SECOND)));
    CHECK_EQ(report.drained, 1);
    CHECK_EQ(report.cancelled, 0);
    CHECK_EQ(report.left, 0);
    caller_end(&caller, 0);
    CHECK_EQ(caller.reply.result, 5);
    CHECK_ERR(seam_bridge_call(door.bridge, must_not_run, NULL, NULL, SEAM_FOREVER), ESHUTDOWN);
    door_close(&door);
    sm_clock_make_real();
}

ON_EVERY_BRIDGE(what_has_not_ended_by_the_deadline_is_cancelled_exactly_then)
{
    sm_clock_make_virtual(1000);
    struct door door;
    struct caller caller;
    struct seam_bridge_report report;
    door_open(&door, kind, 0);
    caller_begin(&caller, door.bridge, stay_until_told);
    CHECK_OK(seam_event_wait(&caller.meeting.inside, SEAM_FOREVER));
    int64_t deadline_ns = seam_after(4 * SEAM_SECOND);
    CHECK_OK(seam_bridge_close(door.bridge, &report, deadline_ns));
    CHECK_EQ(seam_now_ns(), deadline_ns);
    CHECK_EQ(report.drained, 0);
    CHECK_EQ(report.cancelled, 1);
    caller_end(&caller, 0);
    CHECK_EQ(caller.reply.result, -ECANCELED);
    door_close(&door);
    sm_clock_make_real();
}

static int stay_in_spite_of_cancellation(void *arg)
{
    struct meeting *meeting = arg;
    struct seam_shield shield;
    seam_shield_begin(&shield);
    seam_event_set(&meeting->inside);
    int r = seam_event_wait(&meeting->go_on, SEAM_FOREVER);
    seam_shield_end(&shield);
    return r;
}

ON_EVERY_BRIDGE(who_does_not_heed_cancellation_is_waited_for_until_the_grace_ends)
{
    sm_clock_make_virtual(1000);
    struct door door;
    struct caller caller;
    struct seam_bridge_report report;
    door_open_with(&door, kind, (struct seam_bridge_options){.grace_ns = 2 * SEAM_SECOND});
    caller_begin(&caller, door.bridge, stay_in_spite_of_cancellation);
    CHECK_OK(seam_event_wait(&caller.meeting.inside, SEAM_FOREVER));
    int64_t then_ns = seam_now_ns();
    CHECK_ERR(seam_bridge_close(door.bridge, &report, SEAM_NOW), ETIMEDOUT);
    CHECK_EQ(seam_now_ns(), then_ns + 2 * SEAM_SECOND);
    CHECK_EQ(report.cancelled, 1);
    CHECK_EQ(report.left, 1);
    CHECK_ERR(seam_bridge_reopen(door.bridge, NULL), EBUSY);
    seam_event_set(&caller.meeting.go_on);
    CHECK_OK(seam_bridge_close(door.bridge, &report, SEAM_FOREVER));
    CHECK_EQ(report.cancelled, 1);
    CHECK_EQ(report.left, 0);
    caller_end(&caller, 0);
    door_close(&door);
    sm_clock_make_real();
}

ON_EVERY_BRIDGE(who_waits_in_line_is_turned_away_at_once)
{
    struct door door;
    struct caller inside;
    struct caller in_line;
    door_open(&door, kind, 1);
    caller_begin(&inside, door.bridge, stay_until_told);
    CHECK_OK(seam_event_wait(&inside.meeting.inside, SEAM_FOREVER));
    caller_begin(&in_line, door.bridge, must_not_run);
    wait_for_line(door.bridge);
    struct seam_bridge_report report;
    CHECK_OK(seam_bridge_close(door.bridge, &report, SEAM_NOW));
    CHECK_EQ(report.refused, 1);
    CHECK_EQ(report.cancelled, 1);
    caller_end(&in_line, -ESHUTDOWN);
    caller_end(&inside, 0);
    door_close(&door);
}

/* ---- from inside ---- */

static int close_from_inside(void *arg)
{
    CHECK_ERR(seam_bridge_close(arg, NULL, SEAM_FOREVER), EINPROGRESS);
    /* What has begun may finish its work through the bridge. */
    CHECK_OK(seam_bridge_call(arg, do_nothing, NULL, NULL, SEAM_FOREVER));
    return 0;
}

ON_EVERY_BRIDGE(a_bridge_closed_from_inside_is_closing_and_lets_the_call_finish)
{
    struct door door;
    door_open(&door, kind, 1);
    struct seam_reply reply;
    CHECK_OK(seam_bridge_call(door.bridge, close_from_inside, door.bridge, &reply, SEAM_FOREVER));
    CHECK_EQ(reply.result, 0);
    CHECK_ERR(seam_bridge_call(door.bridge, must_not_run, NULL, NULL, SEAM_FOREVER), ESHUTDOWN);
    door_close(&door);
}

static int close_as_task(void *arg)
{
    CHECK_OK(seam_bridge_close(arg, NULL, SEAM_FOREVER));
    CHECK_OK(seam_bridge_close(arg, NULL, SEAM_NOW));
    return 0;
}

ON_EVERY_BRIDGE(a_task_closes_a_bridge)
{
    struct door door;
    door_open(&door, kind, 0);
    CHECK_OK(seam_run(&kind->runtime, close_as_task, door.bridge));
    door_close(&door);
}

/* ---- again ---- */

static int return_seven(void *arg)
{
    (void)arg;
    return 7;
}

static void check_serves(seam_bridge *bridge)
{
    struct seam_reply reply;
    CHECK_OK(seam_bridge_call(bridge, return_seven, NULL, &reply, SEAM_FOREVER));
    CHECK_EQ(reply.result, 7);
}

/* A worker behind a channel that has died stays dead. */
ON_EVERY_BRIDGE(a_closed_bridge_serves_again_when_it_is_reopened)
{
    struct door door;
    door_open(&door, kind, 0);
    CHECK_ERR(seam_bridge_reopen(door.bridge, door.runtime), EBUSY);
    for (int i = 0; i < 3; i++) {
        check_serves(door.bridge);
        CHECK_OK(seam_bridge_close(door.bridge, NULL, SEAM_FOREVER));
        CHECK_ERR(seam_bridge_call(door.bridge, must_not_run, NULL, NULL, SEAM_NOW), ESHUTDOWN);
        CHECK_OK(seam_bridge_reopen(door.bridge, i == 1 ? NULL : door.runtime));
    }
    check_serves(door.bridge);
    door_close(&door);
}

static int call_the_dead(void *arg)
{
    CHECK_ERR(seam_bridge_call(arg, must_not_run, NULL, NULL, SEAM_FOREVER), EOWNERDEAD);
    return 0;
}

TEST(a_view_outlives_its_runtime_and_moves_to_another)
{
    struct door door;
    door_open(&door, &(struct kind){.runtime.workers = 2}, 0);
    CHECK_OK(seam_runtime_stop(door.runtime, NULL, SEAM_FOREVER));
    CHECK_OK(call_the_dead(door.bridge));
    CHECK_ERR(seam_bridge_reopen(door.bridge, door.runtime), ESHUTDOWN);
    seam_runtime_free(door.runtime);
    CHECK_OK(call_the_dead(door.bridge));
    const struct seam_options options = {.workers = 1};
    CHECK_OK(seam_run(&options, call_the_dead, door.bridge));
    CHECK_OK(seam_runtime_new(&options, &door.runtime));
    CHECK_OK(seam_bridge_reopen(door.bridge, door.runtime));
    check_serves(door.bridge);
    door_close(&door);
}

TEST(a_runtime_that_is_stopped_cancels_the_calls_of_its_views)
{
    struct door door;
    struct caller caller;
    door_open(&door, &(struct kind){.runtime.workers = 2}, 0);
    caller_begin(&caller, door.bridge, stay_until_told);
    CHECK_OK(seam_event_wait(&caller.meeting.inside, SEAM_FOREVER));
    CHECK_OK(seam_runtime_stop(door.runtime, NULL, SEAM_FOREVER));
    caller_end(&caller, 0);
    CHECK_EQ(caller.reply.result, -ECANCELED);
    CHECK_OK(call_the_dead(door.bridge));
    door_close(&door);
}

/* ---- where nothing works any more ---- */

ON_EVERY_BRIDGE(in_a_forked_child_every_call_says_that_the_owner_is_dead)
{
    struct door door;
    door_open(&door, kind, 0);
    check_serves(door.bridge);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        struct seam_bridge_stats stats;
        seam_bridge_stats_read(door.bridge, &stats);
        CHECK_EQ(stats.in_flight_max, 0);
        CHECK_OK(call_the_dead(door.bridge));
        CHECK_ERR(seam_bridge_close(door.bridge, NULL, SEAM_FOREVER), EOWNERDEAD);
        CHECK_ERR(seam_bridge_reopen(door.bridge, NULL), EOWNERDEAD);
        seam_bridge_free(door.bridge);
        _exit(EXIT_SUCCESS);
    }
    int status = -1;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    door_close(&door);
}

static seam_bridge *at_exit;
static pthread_key_t key;

static void call_as_thread_ends(void *arg)
{
    struct seam_reply reply;
    *(int *)arg = seam_bridge_call(at_exit, return_seven, NULL, &reply, SEAM_FOREVER);
}

static void *set_key(void *arg)
{
    CHECK_EQ(pthread_setspecific(key, arg), 0);
    return NULL;
}

ON_EVERY_BRIDGE(a_destructor_of_a_thread_calls)
{
    struct door door;
    door_open(&door, kind, 0);
    at_exit = door.bridge;
    CHECK_EQ(pthread_key_create(&key, call_as_thread_ends), 0);
    int r = -1;
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, set_key, &r), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(r, 0);
    CHECK_EQ(pthread_key_delete(key), 0);
    door_close(&door);
}

/* ---- several who close it ---- */

static void *close_patiently(void *arg)
{
    CHECK_OK(seam_bridge_close(arg, NULL, SEAM_FOREVER));
    sm_clock_idle();
    return NULL;
}

static void wait_for_closer(seam_bridge *bridge)
{
    bool is_there = false;
    while (!is_there) {
        sm_lock(&bridge->lock);
        is_there = bridge->closer != NULL;
        sm_unlock(&bridge->lock);
        (void)sched_yield();
    }
}

static void close_beside_a_patient_one(const struct kind *kind, int64_t patience_ns, int r)
{
    sm_clock_make_virtual(1000);
    struct door door;
    struct caller caller;
    door_open(&door, kind, 0);
    caller_begin(&caller, door.bridge, stay_until_told);
    CHECK_OK(seam_event_wait(&caller.meeting.inside, SEAM_FOREVER));
    pthread_t patient;
    sm_clock_busy();
    CHECK_EQ(pthread_create(&patient, NULL, close_patiently, door.bridge), 0);
    wait_for_closer(door.bridge);
    struct seam_bridge_report report = {.left = 7};
    int64_t deadline_ns = patience_ns > 0 ? seam_after(patience_ns) : SEAM_NOW;
    CHECK_ERR(seam_bridge_close(door.bridge, &report, deadline_ns), r);
    CHECK_EQ(report.cancelled, 1);
    CHECK(report.left <= 1);
    sm_clock_idle();
    CHECK_EQ(pthread_join(patient, NULL), 0);
    sm_clock_busy();
    caller_end(&caller, 0);
    CHECK_EQ(caller.reply.result, -ECANCELED);
    door_close(&door);
    sm_clock_make_real();
}

ON_EVERY_BRIDGE(the_deadline_of_each_who_closes_is_kept)
{
    close_beside_a_patient_one(kind, SEAM_SECOND, ETIMEDOUT);
}

ON_EVERY_BRIDGE(who_closes_at_once_cancels_beside_one_who_waits)
{
    close_beside_a_patient_one(kind, 0, EAGAIN);
}
