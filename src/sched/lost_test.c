/* SPDX-License-Identifier: MIT */
#include "sched/lost.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
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

/* ---- no thread to be had ---- */

static int (*real_thread_start)(pthread_t *out_thread, void *(*run)(void *), void *arg);
static _Atomic(int) refusals_left;

static int start_at_last(pthread_t *out_thread, void *(*run)(void *), void *arg)
{
    if (sm_sub_relaxed(&refusals_left, 1) > 0) return -EAGAIN;
    return real_thread_start(out_thread, run, arg);
}

static int end_the_thread(void *unused)
{
    (void)unused;
    pthread_exit(NULL);
}

static int do_nothing(void *unused)
{
    (void)unused;
    return 0;
}

TEST(a_thread_that_is_lost_is_replaced_as_soon_as_there_is_another)
{
    if (SM_TSAN) CHECK_SKIP("ThreadSanitizer aborts when a thread ends on the stack of a task");
    const struct seam_options options = {.workers = 1, .quiet_incidents = true};
    seam_runtime *runtime = NULL;
    CHECK_OK(seam_runtime_new(&options, &runtime));
    real_thread_start = sm_os.thread_start;
    sm_os.thread_start = start_at_last;
    sm_store_relaxed(&refusals_left, 3);
    int result = 0;
    CHECK_OK(seam_call(runtime, end_the_thread, NULL, &result, SEAM_FOREVER));
    CHECK_EQ(result, -EPIPE);
    CHECK_OK(seam_call(runtime, do_nothing, NULL, &result, SEAM_FOREVER));
    CHECK_EQ(result, 0);
    CHECK(sm_load_relaxed(&refusals_left) < 0);
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_runtime_free(runtime);
    sm_os.thread_start = real_thread_start;
}

/* ---- a contest for the role of a thread that ends ---- */

/*
 * The monitor has found the thread outside, and stops; the thread ends, finds that it has its role
 * still, and stops; the monitor contests the role, and stops before it looks whether the thread is
 * inside. If now the thread gave the role to another, the monitor would give it to a third.
 */
enum { CALM, ARMED, FOUND, ENDING, CONTESTED, OVER };
static _Atomic(uint32_t) stage;
static _Atomic(uint32_t) has_other_run;
static int calls_in_loop; /* the monitor's own, as is the next */
static bool is_loop_armed;
static struct sm_os real;

static void wait_for_stage(uint32_t wanted)
{
    /* acquire: pairs with the release in go_to(). */
    while (sm_load_acquire(&stage) < wanted) {
        (void)sched_yield();
    }
}

static void go_to(uint32_t next)
{
    sm_store_release(&stage, next); /* release: pairs with the acquire in wait_for_stage() */
}

static bool is_monitor(void)
{
    char name[16] = "";
    (void)prctl(PR_GET_NAME, name);
    return strcmp(name, "contest-mon") == 0;
}

static int begin_loop(_Atomic(uint32_t) *word, uint32_t expected, int64_t deadline_ns)
{
    int r = real.futex_wait(word, expected, deadline_ns);
    if (!is_monitor()) return r;
    calls_in_loop = 0;
    is_loop_armed =
            sm_load_acquire(&stage) == ARMED; /* acquire: pairs with the release in go_to() */
    return r;
}

/* The loop asks for the time, then who is about to take a role. */
static int64_t stop_before_the_contest(void)
{
    /* relaxed: whoever has armed it is not seen too late, for then it is not the loop's yet. */
    if (sm_load_relaxed(&stage) != CALM && is_monitor()) {
        calls_in_loop++;
        if (is_loop_armed && calls_in_loop == 2) {
            go_to(FOUND);
            wait_for_stage(ENDING);
        } else if (sm_load_relaxed(&stage) == CONTESTED) { /* relaxed: our own */
            go_to(OVER);
        }
    }
    return real.now_ns();
}

/* In front of libc's: a thread that is lost calls it before it gives its role away. */
/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the header keeps __th */
int pthread_detach(pthread_t thread)
{
    int (*next)(pthread_t) = (int (*)(pthread_t))dlsym(RTLD_NEXT, "pthread_detach");
    if (sm_load_relaxed(&stage) == FOUND) { /* relaxed: only the victim comes here */
        go_to(ENDING);
        wait_for_stage(CONTESTED);
    }
    return next(thread);
}

/* Likewise: the monitor calls it in the middle of a contest. */
/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): likewise */
long syscall(long number, ...)
{
    enum { PATIENCE = 20000 };
    long args[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++) {
        args[i] = va_arg(list, long);
    }
    va_end(list);
    /* relaxed: the monitor has waited for it. */
    if (number == SYS_membarrier && sm_load_relaxed(&stage) == ENDING) {
        go_to(CONTESTED);
        for (int i = 0; i < PATIENCE && sm_load_relaxed(&has_other_run) == 0; i++) {
            (void)sched_yield();
        }
    }
    static _Atomic(void *) cache;
    void *next = sm_load_relaxed(&cache); /* relaxed: the address is all there is */
    if (next == NULL) next = dlsym(RTLD_NEXT, "syscall");
    sm_store_relaxed(&cache, next); /* relaxed: likewise */
    return ((__typeof__(&syscall))next)(
            number, args[0], args[1], args[2], args[3], args[4], args[5]);
}

static int run_through_the_contest(void *arg)
{
    (void)arg;
    sm_store_relaxed(&has_other_run, 1); /* relaxed: a hint */
    wait_for_stage(OVER);
    return 0;
}

static int end_the_thread_in_a_contest(void *arg)
{
    CHECK_OK(seam_spawn(arg, run_through_the_contest, NULL, NULL, NULL));
    seam_blocking_begin();
    go_to(ARMED);
    wait_for_stage(FOUND);
    pthread_exit(NULL);
}

TEST(a_role_that_is_contested_while_its_thread_ends_is_given_away_once)
{
    if (SM_TSAN) CHECK_SKIP("ThreadSanitizer aborts when a thread ends on the stack of a task");
    real = sm_os;
    sm_os.futex_wait = begin_loop;
    sm_os.now_ns = stop_before_the_contest;
    const struct seam_options options = {.workers = 1, .quiet_incidents = true, .name = "contest"};
    seam_runtime *runtime = NULL;
    CHECK_OK(seam_runtime_new(&options, &runtime));
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, runtime, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, end_the_thread_in_a_contest, &scope, NULL, NULL));
    CHECK_OK(seam_scope_end(&scope));
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    struct seam_runtime_stats stats;
    seam_runtime_stats_read(runtime, &stats);
    CHECK_EQ(stats.threads_lost, 1);
    CHECK_EQ(stats.handovers, 0); /* the monitor has not got it */
    seam_runtime_free(runtime);
}
