/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <sched.h>

#include "seam.h"

#include "base/atomic.h"
#include "check/check.h"
#include "os/os.h"
#include "time/clock.h"

/* ---- the default runtime ---- */

enum { ASKERS = 4 };

static struct sm_os real;
static _Atomic(uint32_t) sleepers;
static _Atomic(uint32_t) starts;

static int count_sleepers(_Atomic(uint32_t) *word, uint32_t expected, int64_t deadline_ns)
{
    (void)sm_add_relaxed(&sleepers, 1);
    return real.futex_wait(word, expected, deadline_ns);
}

/* The first thread ever is refused, once everybody else waits to hear how it went. */
static int refuse_the_first(pthread_t *out_thread, void *(*run)(void *), void *arg)
{
    if (sm_add_relaxed(&starts, 1) > 0) return real.thread_start(out_thread, run, arg);
    while (sm_load_relaxed(&sleepers) < ASKERS - 1) {
    }
    return -EAGAIN;
}

struct asker {
    pthread_t thread;
    int r;
    seam_runtime *runtime;
};

static void *ask(void *arg)
{
    struct asker *asker = arg;
    asker->r = seam_runtime_default(&asker->runtime);
    return NULL;
}

/* Goal: who asks while somebody builds waits for the outcome, and a refusal is only that one's. */
TEST_ONCE(a_default_runtime_that_could_not_be_built_is_built_by_the_next_who_asks)
{
    check_leaves_a_runtime();
    real = sm_os;
    sm_os.futex_wait = count_sleepers;
    sm_os.thread_start = refuse_the_first;
    struct asker askers[ASKERS] = {};
    for (int i = 0; i < ASKERS; i++) {
        CHECK_EQ(pthread_create(&askers[i].thread, NULL, ask, &askers[i]), 0);
    }
    int refused = 0;
    seam_runtime *runtime = NULL;
    for (int i = 0; i < ASKERS; i++) {
        CHECK_EQ(pthread_join(askers[i].thread, NULL), 0);
        refused += askers[i].r == -EAGAIN;
        if (askers[i].r == -EAGAIN) continue;
        CHECK_OK(askers[i].r);
        CHECK(runtime == NULL || runtime == askers[i].runtime);
        runtime = askers[i].runtime;
    }
    CHECK_EQ(refused, 1);
    CHECK_OK(seam_runtime_default(&askers[0].runtime));
    CHECK(askers[0].runtime == runtime);
}

/* ---- joins while the runtime goes ---- */

struct late_join {
    seam_task *task;
    struct seam_event may_end;
    pthread_t thread;
    int r;
};

static _Thread_local bool dawdles;
static _Atomic(uint32_t) is_unmapped;

/* A thread that was woken gives everybody else time to go on, to the end if they can. */
static int wake_up_slowly(_Atomic(uint32_t) *word, uint32_t expected, int64_t deadline_ns)
{
    if (!dawdles) return real.futex_wait(word, expected, deadline_ns);
    (void)sm_add_relaxed(&sleepers, 1);
    int r = real.futex_wait(word, expected, deadline_ns);
    for (int i = 0; i < 10000 && sm_load_relaxed(&is_unmapped) == 0; i++) {
        (void)sched_yield();
    }
    return r;
}

static void note_and_unmap(void *memory, size_t bytes)
{
    real.unmap(memory, bytes);
    sm_store_relaxed(&is_unmapped, 1);
}

static void *join_late(void *arg)
{
    struct late_join *join = arg;
    dawdles = true;
    join->r = seam_join(join->task, NULL, seam_after(10 * SEAM_SECOND));
    return NULL;
}

static int end_when_told(void *arg)
{
    struct late_join *join = arg;
    struct seam_shield shield;
    seam_shield_begin(&shield);
    int r = seam_event_wait(&join->may_end, SEAM_FOREVER);
    seam_shield_end(&shield);
    return r;
}

/* Cancelled by the stop, whose thread runs it: so the joiner cannot drive, and sleeps. */
static int begin_the_join(void *arg)
{
    struct late_join *join = arg;
    CHECK_ERR(seam_sleep(SEAM_FOREVER), ECANCELED);
    sm_store_relaxed(&sleepers, 0);
    CHECK_EQ(pthread_create(&join->thread, NULL, join_late, join), 0);
    while (sm_load_relaxed(&sleepers) == 0) {
    }
    seam_event_set(&join->may_end);
    return 0;
}

/* Goal: a thread whose join ends with the runtime's last task is done with the runtime before others
 * may free it. Method: the thread takes its time, the one that stops and frees does not. */
TEST(a_runtime_does_not_end_before_a_thread_that_joined_has_left)
{
    real = sm_os;
    sm_os.futex_wait = wake_up_slowly;
    sm_os.unmap = note_and_unmap;
    seam_runtime *runtime = NULL;
    CHECK_OK(seam_runtime_new(&(struct seam_options){.current_thread = true}, &runtime));
    struct late_join join = {.may_end = SEAM_EVENT_INIT};
    struct seam_scope *root = seam_runtime_root(runtime);
    CHECK_OK(seam_spawn(root, end_when_told, &join, NULL, &join.task));
    CHECK_OK(seam_spawn(root, begin_the_join, &join, NULL, NULL));
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_runtime_free(runtime);
    CHECK_EQ(pthread_join(join.thread, NULL), 0);
    CHECK_OK(join.r);
    sm_os = real;
}

struct short_join {
    seam_task *task;
    int64_t deadline_ns;
    int r;
};

static _Thread_local bool is_counted;

static int count_counted(_Atomic(uint32_t) *word, uint32_t expected, int64_t deadline_ns)
{
    if (is_counted) (void)sm_add_relaxed(&sleepers, 1);
    return real.futex_wait(word, expected, deadline_ns);
}

static void *join_for_a_while(void *arg)
{
    struct short_join *join = arg;
    is_counted = true;
    join->r = seam_join(join->task, NULL, join->deadline_ns);
    (void)sm_add_relaxed(&sleepers, 1); /* it may have been too late for sleeping */
    return NULL;
}

static int sleep_until_cancelled(void *arg)
{
    (void)arg;
    return seam_sleep(SEAM_FOREVER);
}

static void stop_at_the_deadline(struct short_join *join)
{
    seam_runtime *runtime = NULL;
    CHECK_OK(seam_runtime_new(&(struct seam_options){.workers = 1}, &runtime));
    struct seam_scope *root = seam_runtime_root(runtime);
    CHECK_OK(seam_spawn(root, sleep_until_cancelled, NULL, NULL, &join->task));
    sm_store_relaxed(&sleepers, 0);
    join->deadline_ns = seam_after(300 * SEAM_MICROSECOND);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, join_for_a_while, join), 0);
    while (sm_load_relaxed(&sleepers) == 0) {
    }
    while (seam_now_ns() < join->deadline_ns) {
    }
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_runtime_free(runtime);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* Goal: a join that gives up while the runtime stops touches nothing that has gone. Method: both at
 * once, many times; sanitizers see what was touched. */
TEST(a_join_that_gives_up_meets_a_runtime_that_stops)
{
    real = sm_os;
    sm_os.futex_wait = count_counted;
    for (int round = 0; round < 300; round++) {
        struct short_join join = {};
        stop_at_the_deadline(&join);
        CHECK(join.r == 0 || join.r == -ETIMEDOUT);
    }
    sm_os = real;
}

/* ---- errands ---- */

enum { DRIVERS = 2 * 1 + 32, STOPPERS = 16 };

static _Atomic(uint32_t) inside;
static struct seam_event go_on = SEAM_EVENT_INIT;

static int wait_to_go_on(void *arg)
{
    (void)arg;
    (void)sm_add_relaxed(&inside, 1);
    return seam_event_wait(&go_on, SEAM_FOREVER);
}

static int go_nowhere(void *arg)
{
    (void)arg;
    CHECK(false);
    return 0;
}

static void note_it_did_not_run(void *arg, int result)
{
    (*(int *)arg)++;
    CHECK_EQ(result, -ECANCELED);
}

static int call_and_wait(void *arg)
{
    CHECK_OK(seam_call(arg, wait_to_go_on, NULL, NULL, SEAM_FOREVER));
    return 0;
}

static int call_behind_many(void *arg)
{
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    for (int i = 0; i < DRIVERS; i++) {
        CHECK_OK(seam_spawn(&scope, call_and_wait, arg, NULL, NULL));
    }
    while (sm_load_relaxed(&inside) < DRIVERS) {
        CHECK_OK(seam_yield());
    }
    int destroyed = 0;
    int64_t until_ns = seam_after(SEAM_SECOND);
    CHECK_ERR(seam_call(arg, go_nowhere, NULL, NULL, until_ns), ETIMEDOUT);
    CHECK_EQ(seam_now_ns(), until_ns);
    CHECK_ERR(seam_call(arg, go_nowhere, NULL, NULL, until_ns), ETIMEDOUT);
    CHECK_ERR(seam_call(arg, go_nowhere, NULL, NULL, SEAM_NOW), EAGAIN);
    until_ns = seam_after(SEAM_SECOND);
    CHECK_ERR(seam_call_owned(arg, go_nowhere, &destroyed, note_it_did_not_run, NULL, until_ns),
            ETIMEDOUT);
    CHECK_EQ(destroyed, 1);
    seam_event_set(&go_on);
    return seam_scope_end(&scope);
}

static const struct seam_options one_job = {.workers = 1, .blockers_max = 1};

/* Method: as many tasks are in calls as there may be threads for such calls. */
TEST_ONCE(a_call_into_a_driven_runtime_waits_for_a_thread_no_longer_than_its_deadline)
{
    sm_clock_make_virtual(1000);
    const struct seam_options options = {.current_thread = true};
    seam_runtime *driven = NULL;
    CHECK_OK(seam_runtime_new(&options, &driven));
    CHECK_OK(seam_run(&one_job, call_behind_many, driven));
    CHECK_OK(seam_runtime_stop(driven, NULL, SEAM_FOREVER));
    seam_runtime_free(driven);
    sm_clock_make_real();
}

static int stop_it(void *arg)
{
    CHECK_OK(seam_runtime_stop(arg, NULL, SEAM_FOREVER));
    return 0;
}

static int stay_shielded(void *arg)
{
    struct seam_shield shield;
    seam_shield_begin(&shield);
    (void)wait_to_go_on(arg);
    seam_shield_end(&shield);
    return 0;
}

static int stop_behind_many(void *arg)
{
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    for (int i = 0; i < STOPPERS; i++) {
        CHECK_OK(seam_spawn(&scope, stop_it, arg, NULL, NULL));
    }
    /* By then they wait for what the pool's threads do. */
    CHECK_OK(seam_sleep(seam_after(SEAM_SECOND)));
    int64_t until_ns = seam_after(SEAM_SECOND);
    CHECK_ERR(seam_runtime_stop(arg, NULL, until_ns), ETIMEDOUT);
    CHECK_EQ(seam_now_ns(), until_ns);
    CHECK_ERR(seam_runtime_stop(arg, NULL, until_ns), ETIMEDOUT);
    CHECK_ERR(seam_runtime_stop(arg, NULL, SEAM_NOW), EAGAIN);
    seam_event_set(&go_on);
    return seam_scope_end(&scope);
}

TEST_ONCE(a_task_that_stops_a_runtime_waits_for_a_thread_no_longer_than_its_deadline)
{
    sm_clock_make_virtual(1000);
    seam_runtime *other = NULL;
    CHECK_OK(seam_runtime_new(&one_job, &other));
    CHECK_OK(seam_spawn(seam_runtime_root(other), stay_shielded, NULL, NULL, NULL));
    while (sm_load_relaxed(&inside) < 1) {
        (void)sched_yield();
    }
    CHECK_OK(seam_run(&one_job, stop_behind_many, other));
    CHECK_OK(seam_runtime_stop(other, NULL, SEAM_FOREVER));
    seam_runtime_free(other);
    sm_clock_make_real();
}

/* NOLINTNEXTLINE(readability-non-const-parameter): a member of sm_os */
static int refuse_threads(pthread_t *out_thread, void *(*run)(void *), void *arg)
{
    (void)out_thread;
    (void)run;
    (void)arg;
    return -EAGAIN;
}

struct doomed {
    seam_runtime *runtime;
    seam_bridge *bridge;
};

static int end_without_threads(void *arg)
{
    const struct doomed *doomed = arg;
    real = sm_os;
    sm_os.thread_start = refuse_threads;
    CHECK_ERR(seam_runtime_stop(doomed->runtime, NULL, SEAM_FOREVER), ENOMEM);
    CHECK_ERR(seam_runtime_stop(doomed->runtime, NULL, SEAM_NOW), ENOMEM);
    CHECK_ERR(seam_bridge_close(doomed->bridge, NULL, SEAM_FOREVER), ENOMEM);
    CHECK_ERR(seam_call(doomed->runtime, go_nowhere, NULL, NULL, SEAM_FOREVER), ESHUTDOWN);
    CHECK_ERR(seam_bridge_call(doomed->bridge, go_nowhere, NULL, NULL, SEAM_FOREVER), ESHUTDOWN);
    sm_os.thread_start = real.thread_start;
    CHECK_OK(seam_bridge_close(doomed->bridge, NULL, SEAM_FOREVER));
    CHECK_OK(seam_runtime_stop(doomed->runtime, NULL, SEAM_FOREVER));
    return 0;
}

TEST(a_task_that_can_have_no_thread_to_end_a_runtime_is_told_and_may_try_again)
{
    struct doomed doomed = {};
    const struct seam_bridge_options options = {.name = "doomed"};
    CHECK_OK(seam_runtime_new(&one_job, &doomed.runtime));
    CHECK_OK(seam_bridge_new(&options, &doomed.bridge));
    CHECK_OK(seam_run(&one_job, end_without_threads, &doomed));
    seam_bridge_free(doomed.bridge);
    seam_runtime_free(doomed.runtime);
}
