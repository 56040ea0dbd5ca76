/* SPDX-License-Identifier: MIT */
/*
 * stress.h - dice, and a crowd of tasks and plain threads that do the same thing at once.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "seam.h"

#include "check/check.h"

/* Everybody has dice of their own, made from the test's seed. */
struct dice {
    uint64_t state;
};

static inline struct dice dice_for(uint64_t who)
{
    uint64_t state = (check_seed() + who + 1) * UINT64_C(0x9e3779b97f4a7c15);
    return (struct dice){.state = state != 0 ? state : 1};
}

/* 0 to sides - 1. */
static inline unsigned roll(struct dice *dice, unsigned sides)
{
    dice->state ^= dice->state << 13;
    dice->state ^= dice->state >> 7;
    dice->state ^= dice->state << 17;
    return (unsigned)(dice->state >> 33) % sides;
}

/* A deadline that may be met or missed: none, now, or up to limit_us ahead. */
static inline int64_t roll_deadline(struct dice *dice, unsigned limit_us)
{
    switch (roll(dice, 4)) {
    case 0: return SEAM_NOW;
    case 1: return SEAM_FOREVER;
    default: return seam_after((int64_t)roll(dice, limit_us) * SEAM_MICROSECOND);
    }
}

static inline seam_runtime *start_runtime(uint32_t workers, enum seam_steal steal)
{
    const struct seam_options options = {.workers = workers, .steal = steal};
    seam_runtime *runtime = NULL;
    CHECK_OK(seam_runtime_new(&options, &runtime));
    return runtime;
}

static inline void stop_runtime(seam_runtime *runtime)
{
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_runtime_free(runtime);
}

enum { CROWD_MAX = 64 };

struct crowd;

struct member {
    struct crowd *crowd;
    unsigned index;
};

/* Members run fn(crowd, index): every second one is a plain thread, the others are tasks. */
struct crowd {
    seam_runtime *runtime;
    void (*fn)(struct crowd *crowd, unsigned index);
    void *arg;
    unsigned count;
    struct seam_scope scope;
    pthread_t threads[CROWD_MAX];
    struct member members[CROWD_MAX];
};

static inline int crowd_task(void *arg)
{
    const struct member *member = arg;
    member->crowd->fn(member->crowd, member->index);
    return 0;
}

static inline void *crowd_thread(void *arg)
{
    (void)crowd_task(arg);
    return NULL;
}

static inline void crowd_start(struct crowd *crowd, unsigned count)
{
    CHECK(count <= CROWD_MAX);
    crowd->count = count;
    CHECK_OK(seam_scope_begin(&crowd->scope, crowd->runtime, SEAM_FOREVER));
    for (unsigned i = 0; i < count; i++) {
        crowd->members[i] = (struct member){crowd, i};
        if (i % 2 == 0) {
            CHECK_OK(seam_spawn(&crowd->scope, crowd_task, &crowd->members[i], NULL, NULL));
        } else {
            int r = pthread_create(&crowd->threads[i], NULL, crowd_thread, &crowd->members[i]);
            CHECK_EQ(r, 0);
        }
    }
}

/* What the crowd's scope ended with. */
static inline int crowd_join(struct crowd *crowd)
{
    for (unsigned i = 1; i < crowd->count; i += 2) {
        CHECK_EQ(pthread_join(crowd->threads[i], NULL), 0);
    }
    return seam_scope_end(&crowd->scope);
}
