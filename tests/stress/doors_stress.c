/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <unistd.h>

#include "stress/stress.h"

enum { CALLERS = 8, CALLS_EACH = 300 };

/* ---- seam_call() ---- */

static int add_one(void *arg)
{
    int *number = arg; /* in the caller's frame */
    (*number)++;
    if (*number % 3 == 0) (void)seam_yield();
    return *number;
}

static void call_often(struct crowd *crowd, unsigned index)
{
    struct dice dice = dice_for(index);
    for (int i = 0; i < CALLS_EACH; i++) {
        int number = i;
        int result = -1;
        int64_t deadline_ns = roll_deadline(&dice, 200);
        int r = seam_call(crowd->runtime, add_one, &number, &result, deadline_ns);
        if (r == 0) {
            CHECK_EQ(result, i + 1);
            CHECK_EQ(number, i + 1);
        } else {
            CHECK(r == -ETIMEDOUT || r == -EAGAIN);
            CHECK_EQ(number, i);
            CHECK_EQ(result, -1);
        }
    }
}

static void *call_often_thread(void *arg)
{
    const struct member *member = arg;
    call_often(member->crowd, member->index);
    return NULL;
}

static void call_from_threads(seam_runtime *runtime)
{
    struct crowd crowd = {.runtime = runtime};
    for (unsigned i = 0; i < CALLERS; i++) {
        crowd.members[i] = (struct member){&crowd, i};
        void *member = &crowd.members[i];
        CHECK_EQ(pthread_create(&crowd.threads[i], NULL, call_often_thread, member), 0);
    }
    for (unsigned i = 0; i < CALLERS; i++) {
        CHECK_EQ(pthread_join(crowd.threads[i], NULL), 0);
    }
    stop_runtime(runtime);
}

TEST(eight_threads_call_into_one_runtime)
{
    call_from_threads(start_runtime(2, SEAM_STEAL_DEFAULT));
}

TEST(eight_threads_take_turns_at_driving_a_runtime_without_threads)
{
    const struct seam_options options = {.current_thread = true};
    seam_runtime *runtime = NULL;
    CHECK_OK(seam_runtime_new(&options, &runtime));
    call_from_threads(runtime);
}

/* ---- seam_block() ---- */

static int block_a_little(void *arg)
{
    int *number = arg;
    if (*number % 4 == 0) (void)usleep((useconds_t)(*number % 90));
    if (*number % 4 == 1) (void)seam_sleep(seam_after(*number % 90 * SEAM_MICROSECOND));
    (*number)++;
    return *number;
}

struct storm {
    struct seam_scope *scope;
    atomic_int ran;
    atomic_int refused;
};

static int block_often(void *arg)
{
    struct storm *storm = arg;
    struct dice dice = dice_for((uint64_t)seam_now_ns());
    for (int i = 0; i < 50; i++) {
        int number = i;
        int result = -1;
        struct seam_scope scope;
        int64_t limit_ns = roll(&dice, 2) == 0 ? SEAM_FOREVER
                                               : seam_after(roll(&dice, 200) * SEAM_MICROSECOND);
        CHECK_OK(seam_scope_begin(&scope, NULL, limit_ns));
        int r = seam_block(NULL, block_a_little, &number, &result, roll_deadline(&dice, 200));
        CHECK(r == 0 || r == -ETIMEDOUT || r == -EAGAIN || r == -ECANCELED);
        CHECK_EQ(number, r == 0 ? i + 1 : i);
        CHECK_EQ(result, r == 0 ? i + 1 : -1);
        (void)seam_scope_end(&scope);
        atomic_fetch_add(r == 0 ? &storm->ran : &storm->refused, 1);
    }
    return 0;
}

/* Goal: a blocking job runs once or not at all, and has ended when its caller goes on. Method: more
 * callers than threads in the pool, with deadlines, cancellation and SEAM_NOW at random. */
static void block_in_storm(uint32_t workers, uint32_t blockers, bool current_thread)
{
    const struct seam_options options = {.workers = current_thread ? 0 : workers,
            .blockers_max = blockers,
            .current_thread = current_thread};
    seam_runtime *runtime = NULL;
    CHECK_OK(seam_runtime_new(&options, &runtime));
    for (int round = 0; round < 3; round++) {
        struct storm storm = {};
        struct seam_scope scope;
        CHECK_OK(seam_scope_begin(&scope, runtime, SEAM_FOREVER));
        for (int i = 0; i < 16; i++) {
            CHECK_OK(seam_spawn(&scope, block_often, &storm, NULL, NULL));
        }
        if (round == 2) CHECK_OK(seam_scope_cancel(&scope));
        (void)seam_scope_end(&scope);
        CHECK_EQ(atomic_load(&storm.ran) + atomic_load(&storm.refused), 800);
    }
    struct seam_runtime_stats stats;
    seam_runtime_stats_read(runtime, &stats);
    CHECK(stats.blockers <= blockers);
    stop_runtime(runtime);
}

TEST(blocking_jobs_run_once_or_not_at_all)
{
    block_in_storm(3, 4, false);
}

TEST(blocking_jobs_run_once_or_not_at_all_through_one_thread)
{
    block_in_storm(2, 1, false);
}

TEST(blocking_jobs_of_a_runtime_without_threads_run_once_or_not_at_all)
{
    block_in_storm(1, 3, true);
}

/* ---- the owned forms ---- */

enum { ABANDONED_CALLS = 150 };

struct parcel {
    atomic_int destroyed;
    atomic_int ran;
    int64_t works_ns;
};

static void destroy_parcel(void *arg, int result)
{
    struct parcel *parcel = arg;
    CHECK_EQ(result, atomic_load(&parcel->ran) != 0 ? 5 : -ECANCELED);
    CHECK_EQ(atomic_fetch_add(&parcel->destroyed, 1), 0);
}

static int work_on_parcel(void *arg)
{
    struct parcel *parcel = arg;
    (void)seam_sleep(seam_after(parcel->works_ns));
    CHECK_EQ(atomic_load(&parcel->destroyed), 0);
    atomic_store(&parcel->ran, 1);
    return 5;
}

static struct parcel parcels[16][ABANDONED_CALLS];

struct abandoner {
    seam_runtime *runtime;
    unsigned index;
    bool blocks;
};

static int abandon_often(void *arg)
{
    const struct abandoner *abandoner = arg;
    struct dice dice = dice_for(abandoner->index);
    for (int i = 0; i < ABANDONED_CALLS; i++) {
        struct parcel *parcel = &parcels[abandoner->index][i];
        parcel->works_ns = roll(&dice, 100) * SEAM_MICROSECOND;
        int64_t deadline_ns = roll_deadline(&dice, 150);
        struct seam_scope scope;
        int64_t limit_ns = roll(&dice, 2) == 0 ? SEAM_FOREVER
                                               : seam_after(roll(&dice, 150) * SEAM_MICROSECOND);
        CHECK_OK(seam_scope_begin(&scope, abandoner->runtime, limit_ns));
        int result = -1;
        int r = abandoner->blocks ? seam_block_owned(
                        NULL, work_on_parcel, parcel, destroy_parcel, &result, deadline_ns)
                                  : seam_call_owned(abandoner->runtime, work_on_parcel, parcel,
                                          destroy_parcel, &result, deadline_ns);
        if (r == 0) {
            CHECK_EQ(result, 5);
            CHECK_EQ(atomic_fetch_add(&parcel->destroyed, 1), 0); /* ours again */
        } else {
            CHECK(r == -ETIMEDOUT || r == -EAGAIN || r == -ECANCELED);
        }
        (void)seam_scope_end(&scope);
    }
    return 0;
}

/* Goal: what is owned is given back, or destroyed after its function has ended, exactly once. */
static void abandon(bool blocks, uint32_t workers)
{
    const struct seam_options options = {.workers = workers, .blockers_max = 4};
    seam_runtime *runtime = NULL;
    CHECK_OK(seam_runtime_new(&options, &runtime));
    struct abandoner abandoners[16];
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, runtime, SEAM_FOREVER));
    for (unsigned i = 0; i < 16; i++) {
        abandoners[i] = (struct abandoner){runtime, i, blocks};
        CHECK_OK(seam_spawn(&scope, abandon_often, &abandoners[i], NULL, NULL));
    }
    CHECK_OK(seam_scope_end(&scope));
    stop_runtime(runtime); /* the abandoned have ended, too */
    for (int i = 0; i < 16; i++) {
        for (int j = 0; j < ABANDONED_CALLS; j++) {
            CHECK_EQ(atomic_load(&parcels[i][j].destroyed), 1);
        }
    }
}

TEST(abandoned_calls_are_destroyed_exactly_once)
{
    abandon(false, 3);
}

TEST(abandoned_blocking_calls_are_destroyed_exactly_once)
{
    abandon(true, 2);
}
