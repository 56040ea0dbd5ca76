/* SPDX-License-Identifier: MIT */
#include "cross/pool.h"

#include <errno.h>

#include "seam.h"

#include "base/atomic.h"
#include "check/check.h"
#include "os/os.h"
#include "sched/runtime.h"

enum { JOBS = 20 };

static seam_runtime *runtime;

/* Blocks its thread, until everybody may go. */
struct gate {
    struct sm_job job;
    _Atomic(uint32_t) *is_open;
    _Atomic(uint32_t) *serial;
    _Atomic(uint32_t) has_run;
    uint32_t turn; /* the how manieth it was */
};

static void pass_gate(struct sm_job *job)
{
    struct gate *gate = sm_container_of(job, struct gate, job);
    gate->turn = sm_add_relaxed(gate->serial, 1);
    while (sm_load_relaxed(gate->is_open) == 0) {
        (void)sm_os.futex_wait(gate->is_open, 0, INT64_MAX);
    }
    sm_store_release(&gate->has_run, 1); /* pairs with the acquire in wait_for() */
}

static void open_gate(_Atomic(uint32_t) *is_open)
{
    sm_store_relaxed(is_open, 1);
    sm_os.futex_wake(is_open, INT32_MAX);
}

static void wait_for(struct gate *gate)
{
    while (sm_load_acquire(&gate->has_run) == 0) { /* pairs with the release in pass_gate() */
        CHECK_OK(seam_yield());
    }
}

static void start(uint32_t blockers)
{
    const struct seam_options options = {.current_thread = true, .blockers_max = blockers};
    CHECK_OK(seam_runtime_new(&options, &runtime));
}

static void stop(void)
{
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_runtime_free(runtime);
}

TEST(jobs_beyond_the_threads_wait_in_line_and_are_served_in_order)
{
    start(2);
    _Atomic(uint32_t) is_open = 0;
    _Atomic(uint32_t) serial = 0;
    static struct gate gates[JOBS];
    for (int i = 0; i < JOBS; i++) {
        gates[i] = (struct gate){.job = {.run = pass_gate}, .is_open = &is_open, .serial = &serial};
        CHECK_OK(sm_pool_submit(runtime->pool, &gates[i].job, false));
        CHECK(sm_pool_thread_count(runtime->pool) <= 2);
    }
    while (sm_load_relaxed(&serial) < 2) {
        CHECK_OK(seam_yield());
    }
    CHECK_EQ(gates[JOBS - 1].job.state, SM_JOB_QUEUED);
    struct gate refused = {.job = {.run = pass_gate}};
    CHECK_ERR(sm_pool_submit(runtime->pool, &refused.job, true), EAGAIN);
    open_gate(&is_open);
    for (int i = 0; i < JOBS; i++) {
        wait_for(&gates[i]);
        /* Two threads: whoever took a job may be overtaken by the other before it counts. */
        CHECK(gates[i].turn <= (uint32_t)i + 1);
        CHECK(gates[i].turn + 1 >= (uint32_t)i);
    }
    stop();
}

TEST(a_job_is_withdrawn_from_the_line_or_not_at_all)
{
    start(1);
    _Atomic(uint32_t) is_open = 0;
    _Atomic(uint32_t) serial = 0;
    struct gate gates[3];
    for (int i = 0; i < 3; i++) {
        gates[i] = (struct gate){.job = {.run = pass_gate}, .is_open = &is_open, .serial = &serial};
        CHECK_OK(sm_pool_submit(runtime->pool, &gates[i].job, false));
    }
    while (sm_load_relaxed(&serial) < 1) {
        CHECK_OK(seam_yield());
    }
    CHECK(sm_pool_withdraw(runtime->pool, &gates[1].job));
    CHECK(!sm_pool_withdraw(runtime->pool, &gates[1].job));
    CHECK(!sm_pool_withdraw(runtime->pool, &gates[0].job));
    open_gate(&is_open);
    wait_for(&gates[0]);
    wait_for(&gates[2]);
    CHECK_EQ(sm_load_relaxed(&gates[1].has_run), 0);
    stop();
}

/* ---- threads that cannot be had ---- */

static int (*real_thread_start)(pthread_t *out_thread, void *(*run)(void *), void *arg);
static _Atomic(int) threads_allowed;

static int start_a_few(pthread_t *out_thread, void *(*run)(void *), void *arg)
{
    if (sm_sub_relaxed(&threads_allowed, 1) <= 0) return -EAGAIN;
    return real_thread_start(out_thread, run, arg);
}

static int count_up(void *arg)
{
    return ++*(int *)arg;
}

static int block_once(void *arg)
{
    int result = 0;
    int r = seam_block(NULL, count_up, arg, &result, SEAM_FOREVER);
    return r < 0 ? r : result;
}

static int block_from_many(void *arg)
{
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    for (int i = 0; i < JOBS; i++) {
        CHECK_OK(seam_spawn(&scope, block_once, arg, NULL, NULL));
    }
    return seam_scope_end(&scope);
}

TEST(where_no_thread_can_be_started_the_caller_is_told)
{
    start(4);
    real_thread_start = sm_os.thread_start;
    sm_os.thread_start = start_a_few;
    int count = 0;
    int result = 0;
    CHECK_OK(seam_call(runtime, block_once, &count, &result, SEAM_FOREVER));
    CHECK_EQ(result, -ENOMEM);
    CHECK_EQ(count, 0);

    /* One thread is enough to serve them all, one after the other. */
    sm_store_relaxed(&threads_allowed, 1);
    CHECK_OK(seam_call(runtime, block_from_many, &count, &result, SEAM_FOREVER));
    CHECK_OK(result);
    CHECK_EQ(count, JOBS);
    CHECK_EQ(sm_pool_thread_count(runtime->pool), 1);
    sm_os.thread_start = real_thread_start;
    stop();
}

/* ---- the end ---- */

static _Atomic(uint32_t) may_end;
static _Atomic(uint32_t) destroyed;

static int outlast_the_runtime(void *arg)
{
    CHECK_OK(seam_scope_cancel(arg)); /* the caller gives up now that we have begun */
    while (sm_load_relaxed(&may_end) == 0) {
        (void)sm_os.futex_wait(&may_end, 0, INT64_MAX);
    }
    struct seam_scope late;
    CHECK_ERR(seam_scope_begin(&late, NULL, SEAM_FOREVER), ESHUTDOWN);
    return 9;
}

static void note_destruction(void *arg, int result)
{
    CHECK(arg != NULL);
    CHECK_EQ(result, 9);
    sm_store_relaxed(&destroyed, 1);
    sm_os.futex_wake(&destroyed, 1);
}

static int abandon_job(void *arg)
{
    (void)arg;
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_ERR(seam_block_owned(
                      NULL, outlast_the_runtime, &scope, note_destruction, NULL, SEAM_FOREVER),
            ECANCELED);
    CHECK_ERR(seam_scope_end(&scope), ECANCELED);
    return 0;
}

/* Goal: a job that nobody waits for may outlive the runtime, whose memory it keeps, and is destroyed
 * when it ends. Method: the job ends when the runtime has been freed; sanitizers and the runner see
 * what is touched or left behind. */
TEST(an_abandoned_job_may_outlive_its_runtime)
{
    const struct seam_options options = {.workers = 1, .grace_ns = SEAM_MILLISECOND};
    CHECK_OK(seam_runtime_new(&options, &runtime));
    CHECK_OK(seam_call(runtime, abandon_job, NULL, NULL, SEAM_FOREVER));
    stop();
    CHECK_EQ(sm_load_relaxed(&destroyed), 0);
    open_gate(&may_end);
    while (sm_load_relaxed(&destroyed) == 0) {
        (void)sm_os.futex_wait(&destroyed, 0, INT64_MAX);
    }
}
