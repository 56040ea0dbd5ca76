/* SPDX-License-Identifier: MIT */
#include "sched/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "seam.h"

#include "base/atomic.h"
#include "check/check.h"
#include "os/os.h"

static int nothing(void *arg)
{
    (void)arg;
    return 3;
}

static void use_and_free(seam_runtime *runtime)
{
    int result = 0;
    CHECK_OK(seam_call(runtime, nothing, NULL, &result, SEAM_FOREVER));
    CHECK_EQ(result, 3);
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_runtime_free(runtime);
}

/* ---- options ---- */

TEST(options_out_of_range_are_refused)
{
    const struct seam_options wrong[] = {
            {.workers = SM_WORKERS_MAX + 1},
            {.workers = 2, .current_thread = true},
            {.steal = (enum seam_steal)(SEAM_STEAL_FULL + 1)},
            {.overtake = (enum seam_overtake)(SEAM_OVERTAKE_ON + 1)},
            {.monitor_period_ns = SM_PERIOD_MIN_NS - 1},
            {.monitor_period_ns = SM_PERIOD_MAX_NS + 1},
            {.blockers_max = 65537},
            {.stack_bytes = (1 << 20) + 1},
            {.reserved = {[7] = 1}},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        seam_runtime *runtime = NULL;
        CHECK_ERR(seam_runtime_new(&wrong[i], &runtime), EINVAL);
        CHECK(runtime == NULL);
        CHECK_ERR(seam_run(&wrong[i], nothing, NULL), EINVAL);
    }
}

/* ---- what cannot be had ----
 *
 * Each construction is made to fail at its first, its second ... step, until one succeeds. The
 * runner sees descriptors, threads and memory that were left behind.
 */

static const struct seam_options three_workers = {.workers = 3};
static const struct seam_options no_threads = {.current_thread = true};

TEST(a_runtime_for_which_there_are_no_descriptors_leaves_nothing_behind)
{
    (void)sm_thread_self(); /* AddressSanitizer reads a file for it, once */
    int lowest_free_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK_EQ(close((int)CHECK_OK(lowest_free_fd)), 0);
    struct rlimit before;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    const struct seam_options *const options[] = {&three_workers, &no_threads};
    for (int i = 0; i < 2; i++) {
        seam_runtime *runtime = NULL;
        int r = -EMFILE;
        int fds_allowed = 0;
        for (; r == -EMFILE; fds_allowed++) {
            struct rlimit tight = before;
            tight.rlim_cur = (rlim_t)lowest_free_fd + (rlim_t)fds_allowed;
            CHECK_EQ(setrlimit(RLIMIT_NOFILE, &tight), 0);
            r = seam_runtime_new(options[i], &runtime);
        }
        CHECK_OK(r);
        CHECK_EQ(fds_allowed - 1, i == 0 ? 6 : 2);
        use_and_free(runtime);
    }
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static struct sm_os real;
static _Atomic(int) threads_allowed;
static _Atomic(int) maps_allowed;

static int start_a_few(pthread_t *out_thread, void *(*run)(void *), void *arg)
{
    if (sm_sub_relaxed(&threads_allowed, 1) <= 0) return -EAGAIN;
    return real.thread_start(out_thread, run, arg);
}

static void *map_a_few(size_t bytes)
{
    if (sm_sub_relaxed(&maps_allowed, 1) <= 0) return NULL;
    return real.map(bytes);
}

TEST(a_runtime_for_which_there_are_no_threads_leaves_nothing_behind)
{
    real = sm_os;
    sm_os.thread_start = start_a_few;
    seam_runtime *runtime = NULL;
    int r = -EAGAIN;
    int allowed = 0;
    for (; r == -EAGAIN; allowed++) {
        sm_store_relaxed(&threads_allowed, allowed);
        r = seam_runtime_new(&three_workers, &runtime);
    }
    CHECK_OK(r);
    CHECK_EQ(allowed - 1, 4); /* and the monitor */
    use_and_free(runtime);

    /* The caller is one of them. */
    r = -EAGAIN;
    for (allowed = 0; r == -EAGAIN; allowed++) {
        sm_store_relaxed(&threads_allowed, allowed);
        r = seam_run(&three_workers, nothing, NULL);
    }
    CHECK_EQ(r, 3);
    CHECK_EQ(allowed - 1, 3);
    sm_store_relaxed(&threads_allowed, 0);
    CHECK_EQ(seam_run(&no_threads, nothing, NULL), 3);
    sm_os = real;
}

TEST(a_runtime_for_which_there_is_no_memory_leaves_nothing_behind)
{
    real = sm_os;
    (void)sm_thread_self(); /* takes a page for the process, once */
    sm_os.map = map_a_few;
    const struct seam_options *const options[] = {&three_workers, &no_threads};
    for (int i = 0; i < 2; i++) {
        seam_runtime *runtime = NULL;
        int r = -ENOMEM;
        int allowed = 0;
        for (; r == -ENOMEM; allowed++) {
            sm_store_relaxed(&maps_allowed, allowed);
            r = seam_runtime_new(options[i], &runtime);
        }
        CHECK_OK(r);
        CHECK_EQ(allowed - 1, i == 0 ? 3 : 1); /* workers, and two for what the monitor notes */
        sm_store_relaxed(&maps_allowed, 1000);
        use_and_free(runtime);
    }
    sm_os = real;
}

/* A task that needs a thread to be taken over, and there is none: the others wait until there is. */
struct shortage {
    int fds[2];
    _Atomic(int) told;
    bool is_mended; /* by the callback: else it ends the block itself */
};

static void let_go_when_told(const struct seam_incident *incident, void *arg)
{
    struct shortage *shortage = arg;
    if (incident->kind != SEAM_INCIDENT_NO_THREAD) return;
    CHECK(!incident->is_handed_over);
    if (sm_add_relaxed(&shortage->told, 1) > 0) return;
    if (shortage->is_mended) {
        sm_store_relaxed(&threads_allowed, 1);
    } else {
        CHECK_EQ(write(shortage->fds[1], "x", 1), 1);
    }
}

static int block_and_go_on(void *arg)
{
    const struct shortage *shortage = arg;
    char byte = 0;
    CHECK_EQ(read(shortage->fds[0], &byte, 1), 1);
    return seam_yield();
}

static int let_go(void *arg)
{
    const struct shortage *shortage = arg;
    return shortage->is_mended ? (int)write(shortage->fds[1], "x", 1) : 0;
}

static void block_in_a_shortage(struct shortage *shortage, struct seam_runtime_stats *out_stats)
{
    real = sm_os;
    sm_os.thread_start = start_a_few;
    sm_store_relaxed(&threads_allowed, 2); /* a worker and the monitor */
    CHECK_EQ(pipe2(shortage->fds, O_CLOEXEC), 0);
    const struct seam_options options = {
            .workers = 1, .on_incident = let_go_when_told, .incident_arg = shortage};
    seam_runtime *runtime = NULL;
    CHECK_OK(seam_runtime_new(&options, &runtime));
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, runtime, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, block_and_go_on, shortage, NULL, NULL));
    CHECK_OK(seam_spawn(&scope, let_go, shortage, NULL, NULL));
    CHECK_OK(seam_scope_end(&scope));
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_runtime_stats_read(runtime, out_stats);
    seam_runtime_free(runtime);
    sm_os = real;
    CHECK_EQ(sm_load_relaxed(&shortage->told), 1); /* however often it was tried */
    (void)close(shortage->fds[0]);
    (void)close(shortage->fds[1]);
}

TEST(a_role_that_no_thread_can_take_stays_with_its_holder)
{
    struct shortage shortage = {};
    struct seam_runtime_stats stats;
    block_in_a_shortage(&shortage, &stats);
    CHECK_EQ(stats.handovers, 0);
    CHECK_EQ(stats.without_thread, 1);
}

TEST(a_role_that_no_thread_could_take_is_taken_when_there_is_one)
{
    struct shortage shortage = {.is_mended = true};
    struct seam_runtime_stats stats;
    block_in_a_shortage(&shortage, &stats);
    CHECK_EQ(stats.handovers, 1);
    CHECK_EQ(stats.without_thread, 1);
    CHECK_EQ(stats.blocked, 1);
}

/* ---- stopping ---- */

TEST(stopping_twice_and_from_inside_is_fine)
{
    seam_runtime *runtime = NULL;
    CHECK_OK(seam_runtime_new(&three_workers, &runtime));
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_NOW));
    CHECK_ERR(seam_call(runtime, nothing, NULL, NULL, SEAM_FOREVER), ESHUTDOWN);
    seam_runtime_free(runtime);
    CHECK_OK(seam_runtime_stop(NULL, NULL, SEAM_NOW));
    seam_runtime_free(NULL);
}

static int hold_on(void *arg)
{
    struct seam_event *may_end = arg;
    struct seam_shield shield;
    seam_shield_begin(&shield);
    int r = seam_event_wait(may_end, SEAM_FOREVER);
    seam_shield_end(&shield);
    return r;
}

TEST(a_stop_that_times_out_can_be_continued)
{
    seam_runtime *runtime = NULL;
    CHECK_OK(seam_runtime_new(&three_workers, &runtime));
    struct seam_event may_end = SEAM_EVENT_INIT;
    CHECK_OK(seam_spawn(seam_runtime_root(runtime), hold_on, &may_end, NULL, NULL));
    CHECK_ERR(seam_runtime_stop(runtime, NULL, SEAM_NOW), EAGAIN);
    CHECK_ERR(seam_runtime_stop(runtime, NULL, seam_after(SEAM_MILLISECOND)), ETIMEDOUT);
    seam_event_set(&may_end);
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_runtime_free(runtime);
}
