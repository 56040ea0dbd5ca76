/* SPDX-License-Identifier: MIT */
#include "sched/lost.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "seam.h"

#include "base/atomic.h"
#include "base/sanitizer.h"
#include "check/check.h"
#include "os/os.h"

struct scene {
    int fds[2];
    _Atomic(int) flag;
};

/* It blocks until it has been overtaken, and never comes back. */
static int block_and_end_the_thread(void *arg)
{
    const struct scene *scene = arg;
    char byte = 0;
    seam_blocking_begin();
    CHECK_EQ(read(scene->fds[0], &byte, 1), 1);
    pthread_exit(NULL);
}

static int let_go(void *arg)
{
    const struct scene *scene = arg;
    CHECK_EQ(write(scene->fds[1], "x", 1), 1);
    return 0;
}

static int compute(void *arg)
{
    struct scene *scene = arg;
    while (sm_load_relaxed(&scene->flag) == 0) {
    }
    return 0;
}

static int raise_flag(void *arg)
{
    struct scene *scene = arg;
    sm_store_relaxed(&scene->flag, 1);
    return 0;
}

static void run_both(seam_runtime *runtime, struct scene *scene, seam_fn *first, seam_fn *second)
{
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, runtime, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, first, scene, NULL, NULL));
    CHECK_OK(seam_spawn(&scope, second, scene, NULL, NULL));
    CHECK_OK(seam_scope_end(&scope));
}

/* Goal: threads that have ended while they were astray are not held for such that compute.
 * Method: as many of them as there are CPUs; then one that computes must be overtaken. */
TEST(a_thread_that_was_lost_astray_is_not_astray_for_ever)
{
    if (SM_TSAN) CHECK_SKIP("ThreadSanitizer aborts when a thread ends on the stack of a task");
    struct scene scene = {};
    CHECK_OK(pipe2(scene.fds, O_CLOEXEC));
    const struct seam_options options = {.workers = 1, .quiet_incidents = true};
    seam_runtime *runtime = NULL;
    CHECK_OK(seam_runtime_new(&options, &runtime));
    for (unsigned i = 0; i < sm_os_cpu_count(); i++) {
        run_both(runtime, &scene, block_and_end_the_thread, let_go);
    }
    run_both(runtime, &scene, compute, raise_flag);
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    struct seam_runtime_stats stats;
    seam_runtime_stats_read(runtime, &stats);
    CHECK_EQ(stats.threads_lost, sm_os_cpu_count());
    seam_runtime_free(runtime);
    CHECK_OK(close(scene.fds[0]));
    CHECK_OK(close(scene.fds[1]));
}
