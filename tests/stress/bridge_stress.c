/* SPDX-License-Identifier: MIT */
/*
 * Goal: every call through a bridge returns exactly once and says the truth about its function, which
 * runs at most once, whatever happens to the bridge meanwhile. Method: callers of every kind with
 * random deadlines, plain and owned, nested and not, on a bridge with fewer places than callers that
 * is closed with random deadlines and opened again under them.
 */
#include <stdlib.h>

#include "stress/stress.h"

enum { CALLERS = 12, CALLS_EACH = 200, PLACES = 3 };

struct site {
    seam_bridge *bridge;
    seam_runtime *runtime; /* of the callers that are tasks, and of the bridge if it is a view */
    seam_runtime *view;    /* NULL: the bridge has its own */
    _Atomic(unsigned) busy;
};

struct request {
    struct site *site;
    struct dice dice;
    int runs;
    int destroyed;
};

static int nothing_more(void *arg)
{
    (void)arg;
    return 0;
}

static int work(void *arg)
{
    struct request *request = arg;
    request->runs++;
    switch (roll(&request->dice, 5)) {
    case 0: (void)seam_yield(); break;
    case 1: (void)seam_sleep(seam_after(roll(&request->dice, 100) * SEAM_MICROSECOND)); break;
    case 2:
        /* Inside, so it never waits for a place and is let in while the bridge closes; only who is
         * cancelled already is refused. */
        CHECK(seam_bridge_call(request->site->bridge, nothing_more, NULL, NULL, SEAM_FOREVER)
                != -ETIMEDOUT);
        break;
    case 3: return seam_fail(-EIO, "dice fell on %d", 3);
    default: break;
    }
    return 1;
}

static void check_error(int r, int64_t deadline_ns)
{
    bool is_refusal = r == -ESHUTDOWN || r == -EOWNERDEAD;
    bool is_deadline = deadline_ns <= SEAM_NOW ? r == -EAGAIN : r == -ETIMEDOUT;
    CHECK(is_refusal || (is_deadline && deadline_ns != SEAM_FOREVER));
}

static void call_once(struct site *site, struct dice *dice)
{
    struct request request = {.site = site, .dice = *dice};
    struct seam_reply reply;
    int64_t deadline_ns = roll_deadline(dice, 200);
    int r = seam_bridge_call(site->bridge, work, &request, &reply, deadline_ns);
    CHECK_EQ(request.runs, r == 0 ? 1 : 0);
    if (r < 0) check_error(r, deadline_ns);
    if (r == 0) CHECK_EQ(reply.frame_count > 0, reply.result == -EIO);
}

static void put_down(void *arg, int result)
{
    (void)result;
    struct request *request = arg;
    CHECK(request->runs <= 1);
    request->destroyed++;
    (void)atomic_fetch_sub(&request->site->busy, 1);
    CHECK_EQ(request->destroyed, 1);
    free(request);
}

static void call_once_owned(struct site *site, struct dice *dice)
{
    struct request *request = malloc(sizeof *request);
    CHECK(request != NULL);
    *request = (struct request){.site = site, .dice = *dice};
    struct seam_reply reply;
    int64_t deadline_ns = roll_deadline(dice, 200);
    (void)atomic_fetch_add(&site->busy, 1);
    int r = seam_bridge_call_owned(site->bridge, work, request, put_down, &reply, deadline_ns);
    if (r < 0) {
        check_error(r, deadline_ns);
        return;
    }
    CHECK_EQ(request->runs, 1);
    CHECK_EQ(request->destroyed, 0);
    put_down(request, 0);
}

static void call_often(struct crowd *crowd, unsigned index)
{
    struct site *site = crowd->arg;
    struct dice dice = dice_for(index);
    for (int i = 0; i < CALLS_EACH; i++) {
        if (roll(&dice, 3) == 0) {
            call_once_owned(site, &dice);
        } else {
            call_once(site, &dice);
        }
    }
    (void)atomic_fetch_sub(&site->busy, 1);
}

static void close_and_reopen(struct site *site)
{
    struct dice dice = dice_for(CALLERS);
    /* Until the callers have gone, and what they have abandoned. */
    while (atomic_load(&site->busy) > 0) {
        struct seam_bridge_report report;
        int64_t deadline_ns = roll_deadline(&dice, 300);
        CHECK_OK(seam_bridge_close(site->bridge, &report, deadline_ns));
        CHECK_EQ(report.left, 0);
        CHECK_OK(seam_bridge_reopen(site->bridge, site->view));
        (void)seam_sleep(seam_after(roll(&dice, 500) * SEAM_MICROSECOND));
    }
}

static void run_site(struct site *site)
{
    const struct seam_bridge_options options = {
            .name = "site",
            .runtime = site->view,
            .in_flight_max = PLACES,
            .grace_ns = 60 * SEAM_SECOND,
    };
    CHECK_OK(seam_bridge_new(&options, &site->bridge));
    struct crowd crowd = {.runtime = site->runtime, .fn = call_often, .arg = site};
    atomic_store(&site->busy, CALLERS);
    crowd_start(&crowd, CALLERS);
    close_and_reopen(site);
    CHECK_OK(crowd_join(&crowd));
    CHECK_OK(seam_bridge_close(site->bridge, NULL, SEAM_FOREVER));
    struct seam_bridge_stats stats;
    seam_bridge_stats_read(site->bridge, &stats);
    CHECK(stats.in_flight_high <= PLACES);
    CHECK_EQ(stats.in_flight, 0);
    CHECK_EQ(stats.queued, 0);
    seam_bridge_free(site->bridge);
    stop_runtime(site->runtime);
}

TEST(a_private_bridge_is_closed_and_reopened_under_its_callers)
{
    struct site site = {.runtime = start_runtime(2, SEAM_STEAL_DEFAULT)};
    run_site(&site);
}

TEST(a_view_is_closed_and_reopened_under_its_callers)
{
    struct site site = {.runtime = start_runtime(2, SEAM_STEAL_DEFAULT)};
    site.view = site.runtime;
    run_site(&site);
}

TEST(a_view_of_tasks_that_move_is_closed_and_reopened_under_its_callers)
{
    struct site site = {.runtime = start_runtime(8, SEAM_STEAL_FULL)};
    site.view = site.runtime;
    run_site(&site);
}

/* ---- a runtime that dies under its views ---- */

static void call_until_dead(struct crowd *crowd, unsigned index)
{
    struct site *site = crowd->arg;
    struct dice dice = dice_for(index);
    int r = 0;
    while (r != -EOWNERDEAD) {
        struct request request = {.site = site, .dice = dice};
        r = seam_bridge_call(site->bridge, work, &request, NULL, SEAM_FOREVER);
        CHECK_EQ(request.runs, r == 0 ? 1 : 0);
        if (r != -EOWNERDEAD) CHECK_OK(r);
        (void)roll(&dice, 2);
    }
}

TEST(when_its_runtime_is_stopped_every_caller_of_a_view_is_told)
{
    struct site site = {.runtime = start_runtime(2, SEAM_STEAL_DEFAULT)};
    site.view = start_runtime(2, SEAM_STEAL_DEFAULT);
    const struct seam_bridge_options options = {
            .name = "site", .runtime = site.view, .in_flight_max = PLACES};
    CHECK_OK(seam_bridge_new(&options, &site.bridge));
    struct crowd crowd = {.runtime = site.runtime, .fn = call_until_dead, .arg = &site};
    crowd_start(&crowd, CALLERS);
    CHECK_OK(seam_sleep(seam_after(2 * SEAM_MILLISECOND)));
    stop_runtime(site.view);
    CHECK_OK(crowd_join(&crowd));
    CHECK_OK(seam_bridge_close(site.bridge, NULL, SEAM_FOREVER));
    seam_bridge_free(site.bridge);
    stop_runtime(site.runtime);
}
