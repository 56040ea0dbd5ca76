/* SPDX-License-Identifier: MIT */
#include "sched/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "seam.h"

#include "base/atomic.h"
#include "check/check.h"
#include "os/os.h"

/* The monitor looks when the test allows it to, and not before; unless it is roused. */
static struct sm_os real;
static _Atomic(uint32_t) looks_allowed;
static _Atomic(uint32_t) sleeps_begun;
static _Atomic(uint32_t) last_periods; /* that it would have slept for */

static bool is_monitor(void)
{
    char name[16] = "";
    (void)prctl(PR_GET_NAME, name);
    return strcmp(name, "looks-mon") == 0;
}

static int sleep_until_allowed(_Atomic(uint32_t) *word, uint32_t expected, int64_t deadline_ns)
{
    if (!is_monitor()) return real.futex_wait(word, expected, deadline_ns);
    /* It has asked for the time a moment ago: a little is missing. The period is a second. */
    int64_t length_ns = deadline_ns - sm_now_ns();
    sm_store_relaxed(&last_periods, (uint32_t)(length_ns / SEAM_SECOND + 1));
    /* acq_rel: pairs with the acquire in look_once(). */
    uint32_t number = sm_add_acq_rel(&sleeps_begun, 1) + 1;
    while (sm_load_relaxed(&looks_allowed) < number && sm_load_relaxed(word) == expected) {
        (void)sched_yield();
    }
    return sm_load_relaxed(word) == expected ? -ETIMEDOUT : 0;
}

static void look_once(void)
{
    uint32_t number = sm_load_relaxed(&sleeps_begun);
    sm_store_relaxed(&looks_allowed, number);
    /* acquire: pairs with the addition in sleep_until_allowed(). */
    while (sm_load_acquire(&sleeps_begun) <= number) {
        (void)sched_yield();
    }
}

/* ---- how soon it looks again ---- */

struct scene {
    int fds[2];
    struct seam_scope scope;
    _Atomic(int) thread_id;
    _Atomic(uint32_t) may_block;
    _Atomic(uint32_t) blocks;
};

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int64_t cpu_ns(void)
{
    return sm_os_clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* With another task behind it: run until told to, compute a little more, and block. */
static int run_and_block(void *arg)
{
    enum { A_LITTLE_NS = 100 * 1000 };
    struct scene *scene = arg;
    CHECK_OK(seam_spawn(&scene->scope, nothing, NULL, NULL, NULL));
    sm_store_relaxed(&scene->thread_id, sm_os_thread_id());
    while (sm_load_relaxed(&scene->may_block) == 0) {
    }
    int64_t end_ns = cpu_ns() + A_LITTLE_NS;
    while (cpu_ns() < end_ns) {
    }
    sm_store_relaxed(&scene->blocks, 1);
    char byte = 0;
    CHECK_EQ(read(scene->fds[0], &byte, 1), 1);
    return 0;
}

static void wait_until(_Atomic(uint32_t) *word)
{
    while (sm_load_relaxed(word) == 0) {
        (void)sched_yield();
    }
}

/* The task blocks between two looks. How soon does the next look come after that which finds it so?
 * 0: it has computed for too long, and was overtaken for that. */
static uint32_t periods_after_a_block(seam_runtime *runtime)
{
    struct scene scene = {};
    CHECK_OK(pipe2(scene.fds, O_CLOEXEC));
    CHECK_OK(seam_scope_begin(&scene.scope, runtime, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scene.scope, run_and_block, &scene, NULL, NULL));
    while (sm_load_relaxed(&scene.thread_id) == 0) {
        (void)sched_yield();
    }
    look_once(); /* one may be under way that has not seen the task */
    look_once();
    sm_store_relaxed(&scene.may_block, 1);
    wait_until(&scene.blocks);
    while (sm_os_thread_is_runnable(sm_load_relaxed(&scene.thread_id))) {
        (void)sched_yield();
    }
    look_once();
    struct seam_runtime_stats stats;
    seam_runtime_stats_read(runtime, &stats);
    uint32_t periods = stats.handovers == 0 ? sm_load_relaxed(&last_periods) : 0;
    CHECK_EQ(write(scene.fds[1], "x", 1), 1);
    CHECK_OK(seam_scope_end(&scene.scope));
    CHECK_OK(close(scene.fds[0]));
    CHECK_OK(close(scene.fds[1]));
    return periods;
}

/* Goal: help comes after four periods at most, also for a thread that has computed before it blocks:
 * whoever is seen asleep, with work waiting, is looked at again after one. */
TEST_ONCE(a_thread_that_has_just_blocked_is_looked_at_again_soon)
{
    real = sm_os;
    sm_os.futex_wait = sleep_until_allowed;
    uint32_t periods = 0;
    while (periods == 0) {
        const struct seam_options options = {.workers = 1,
                .name = "looks",
                .monitor_period_ns = SEAM_SECOND,
                .quiet_incidents = true};
        seam_runtime *runtime = NULL;
        CHECK_OK(seam_runtime_new(&options, &runtime));
        periods = periods_after_a_block(runtime);
        CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
        seam_runtime_free(runtime);
    }
    CHECK_EQ(periods, 1);
}
