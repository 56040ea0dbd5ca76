/* SPDX-License-Identifier: MIT */
/*
 * bridge/doors.h - one test, on every kind of bridge.
 *
 *     ON_EVERY_BRIDGE(a_call_returns) { struct door door; door_open(&door, kind, 1); ... }
 *
 * seven tests: views of runtimes that are current-thread or have 1, 2 and 8 workers, and bridges
 * with 1, 2 and 8 workers of their own. Sides wait for each other; nothing sleeps, and time, where
 * it matters, is virtual.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "seam.h"

#include "check/check.h"

struct kind {
    struct seam_options runtime;
    bool is_private;
};

#define ON_KIND(name, suffix, ...) \
    TEST(name##_##suffix) \
    { \
        name(&(struct kind){__VA_ARGS__}); \
    }

#define ON_EVERY_BRIDGE(name) \
    static void name(const struct kind *kind); \
    ON_KIND(name, through_a_view_of_the_current_thread, .runtime.current_thread = true) \
    ON_KIND(name, through_a_view_of_one_worker, .runtime.workers = 1) \
    ON_KIND(name, through_a_view_of_two_workers, .runtime.workers = 2) \
    ON_KIND(name, through_a_view_of_eight_workers, .runtime.workers = 8) \
    ON_KIND(name, through_one_worker_of_its_own, .runtime.workers = 1, .is_private = true) \
    ON_KIND(name, through_two_workers_of_its_own, .runtime.workers = 2, .is_private = true) \
    ON_KIND(name, through_eight_workers_of_its_own, .runtime.workers = 8, .is_private = true) \
    static void name(const struct kind *kind)

struct door {
    seam_runtime *runtime; /* NULL: the bridge's own */
    seam_bridge *bridge;
};

static inline void door_open_with(
        struct door *door, const struct kind *kind, struct seam_bridge_options options)
{
    *door = (struct door){};
    if (options.name == NULL) options.name = "store";
    if (kind->is_private) {
        options.workers = kind->runtime.workers;
    } else {
        CHECK_OK(seam_runtime_new(&kind->runtime, &door->runtime));
        options.runtime = door->runtime;
    }
    CHECK_OK(seam_bridge_new(&options, &door->bridge));
}

static inline void door_open(struct door *door, const struct kind *kind, uint32_t in_flight_max)
{
    door_open_with(door, kind, (struct seam_bridge_options){.in_flight_max = in_flight_max});
}

static inline void door_close(struct door *door)
{
    struct seam_bridge_report report;
    CHECK_OK(seam_bridge_close(door->bridge, &report, SEAM_FOREVER));
    CHECK_EQ(report.left, 0);
    seam_bridge_free(door->bridge);
    if (door->runtime == NULL) return;
    CHECK_OK(seam_runtime_stop(door->runtime, NULL, SEAM_FOREVER));
    seam_runtime_free(door->runtime);
}

/* Two sides that meet: each says that it is there, and waits for the other. */
struct meeting {
    struct seam_event inside; /* fn has begun */
    struct seam_event go_on;  /* fn may end */
};

#define MEETING_INIT \
    { \
        SEAM_EVENT_INIT, SEAM_EVENT_INIT \
    }

static inline int stay_until_told(void *arg)
{
    struct meeting *meeting = arg;
    seam_event_set(&meeting->inside);
    return seam_event_wait(&meeting->go_on, SEAM_FOREVER);
}

static inline int do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static inline int must_not_run(void *arg)
{
    (void)arg;
    CHECK(false);
    return 0;
}
