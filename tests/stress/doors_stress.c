/* SPDX-License-Identifier: MIT */
#include <sched.h>
#include <stdlib.h>
#include <string.h>
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
    CHECK(stats.blockers <= 4 * blockers + 64);
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

/* ---- classes ---- */

enum { CLASSES = 5 };

struct melee {
    seam_job_class *classes[CLASSES]; /* the first is NULL */
    atomic_int begun;
    atomic_int ended;
};

struct fight {
    struct melee *melee;
    struct dice dice;
    int depth;
    bool may_be_refused;
};

static int fight_on(void *arg);

static int fight_in_job(void *arg)
{
    struct fight *fight = arg;
    atomic_fetch_add(&fight->melee->begun, 1);
    unsigned what = (unsigned)roll(&fight->dice, 4);
    if (what == 0) (void)usleep((useconds_t)roll(&fight->dice, 90));
    if (what == 1) (void)seam_sleep(seam_after(roll(&fight->dice, 90) * SEAM_MICROSECOND));
    if (what == 2 && fight->depth < 3) (void)fight_on(fight);
    atomic_fetch_add(&fight->melee->ended, 1);
    return 3;
}

/* One job, from wherever we are. */
static int fight_on(void *arg)
{
    struct fight *fight = arg;
    seam_job_class *job_class = fight->melee->classes[roll(&fight->dice, CLASSES)];
    int64_t deadline_ns = roll_deadline(&fight->dice, 200);
    struct fight inner = {fight->melee, fight->dice, fight->depth + 1, fight->may_be_refused};
    (void)roll(&fight->dice, 2); /* the job rolls on from the same dice; we go another way */
    int result = -1;
    int r = seam_block(job_class, fight_in_job, &inner, &result, deadline_ns);
    if (r == 0) {
        CHECK_EQ(result, 3);
    } else {
        bool is_refusal = r == -ETIMEDOUT || r == -EAGAIN || r == -ECANCELED;
        CHECK(is_refusal || (r == -ESHUTDOWN && fight->may_be_refused));
        CHECK_EQ(result, -1);
    }
    return r;
}

static int fight_often(void *arg)
{
    struct fight *fight = arg;
    for (int i = 0; i < 40; i++) {
        (void)fight_on(fight);
    }
    return 0;
}

static void melee_init(struct melee *melee, seam_runtime *runtime)
{
    *melee = (struct melee){};
    static const struct seam_job_class_options options[] = {
            {.name = "narrow", .threads_max = 2, .queue_max = 3},
            {.name = "urgent", .threads_max = 1, .priority = 5},
            {.name = "jumpy", .threads_max = 2, .interruptible = true},
    };
    melee->classes[1] = seam_runtime_jobs(runtime, SEAM_JOBS_CPU);
    for (int i = 2; i < CLASSES; i++) {
        CHECK_OK(seam_job_class_new(runtime, &options[i - 2], &melee->classes[i]));
    }
}

/* Goal: whatever class a job is in, it runs once or not at all, and no slot is lost: at the end
 * nothing runs, waits or is in line. Method: jobs inside jobs in random classes, with more callers
 * than slots; and the end of the runtime in the middle of it. */
static void fight_in_crowd(uint32_t workers, bool stops_early)
{
    const struct seam_options options = {.workers = workers, .blockers_max = 3};
    seam_runtime *runtime = NULL;
    CHECK_OK(seam_runtime_new(&options, &runtime));
    struct melee melee;
    melee_init(&melee, runtime);
    struct fight fights[16];
    struct seam_scope *root = seam_runtime_root(runtime);
    struct seam_scope scope;
    if (!stops_early) CHECK_OK(seam_scope_begin(&scope, runtime, SEAM_FOREVER));
    for (unsigned i = 0; i < 16; i++) {
        fights[i] = (struct fight){&melee, dice_for(i), 0, stops_early};
        struct seam_scope *where = stops_early ? root : &scope;
        CHECK_OK(seam_spawn(where, fight_often, &fights[i], NULL, NULL));
    }
    while (stops_early && atomic_load(&melee.ended) < 50) {
        CHECK_EQ(sched_yield(), 0);
    }
    if (!stops_early) CHECK_OK(seam_scope_end(&scope));
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    CHECK_EQ(atomic_load(&melee.begun), atomic_load(&melee.ended));
    uint64_t done = 0;
    for (int i = 0; i < CLASSES; i++) {
        struct seam_job_stats stats;
        seam_job_class *job_class = melee.classes[i];
        if (job_class == NULL) job_class = seam_runtime_jobs(runtime, SEAM_JOBS_USER);
        seam_job_class_stats_read(job_class, &stats);
        CHECK_EQ(stats.running + stats.waiting + stats.queued, 0);
        done += stats.done;
    }
    /* Some ran in place, some were cancelled between their thread and their function. */
    CHECK(done > 0);
    seam_runtime_free(runtime);
}

TEST(jobs_of_all_classes_inside_each_other_lose_no_slot)
{
    fight_in_crowd(2, false);
}

TEST(jobs_of_all_classes_inside_each_other_lose_no_slot_when_the_runtime_ends)
{
    fight_in_crowd(2, true);
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
    memset(parcels, 0, sizeof parcels);
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
