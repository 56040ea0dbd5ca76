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
        CHECK_EQ(fds_allowed - 1, i == 0 ? 6 : 3);
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
        CHECK_EQ(allowed - 1, i == 0 ? 2 : 1); /* workers, and what the monitor notes of them */
        sm_store_relaxed(&maps_allowed, 1000);
        use_and_free(runtime);
    }
    sm_os = real;
}

/* A task that needs a thread to be taken over, and there is none: it goes on when it can. */
static int block_and_go_on(void *arg)
{
    const int *fds = arg;
    char byte = 0;
    CHECK_EQ(read(fds[0], &byte, 1), 1);
    return seam_yield();
}

static void *write_late(void *arg)
{
    const int *fds = arg;
    (void)usleep(20 * 1000); /* long enough for the monitor to try, several times */
    CHECK_EQ(write(fds[1], "x", 1), 1);
    return NULL;
}

TEST(a_role_that_no_thread_can_take_stays_with_its_holder)
{
    real = sm_os;
    sm_os.thread_start = start_a_few;
    sm_store_relaxed(&threads_allowed, 2); /* a worker and the monitor */
    const struct seam_options options = {.workers = 1};
    seam_runtime *runtime = NULL;
    CHECK_OK(seam_runtime_new(&options, &runtime));
    int fds[2];
    CHECK_EQ(pipe2(fds, O_CLOEXEC), 0);
    pthread_t writer;
    CHECK_EQ(pthread_create(&writer, NULL, write_late, fds), 0);
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, runtime, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, block_and_go_on, fds, NULL, NULL));
    CHECK_OK(seam_spawn(&scope, nothing, NULL, NULL, NULL));
    CHECK_OK(seam_scope_end(&scope));
    struct seam_runtime_stats stats;
    seam_runtime_stats_read(runtime, &stats);
    CHECK_EQ(stats.handovers, 0);
    CHECK_EQ(pthread_join(writer, NULL), 0);
    (void)close(fds[0]);
    (void)close(fds[1]);
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_runtime_free(runtime);
    sm_os = real;
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
