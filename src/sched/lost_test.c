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
#include <time.h>
#include <unistd.h>

#include "seam.h"

#include "base/atomic.h"
#include "base/sanitizer.h"
#include "check/check.h"
#include "os/os.h"
#include "sched/inspect.h"

struct scene {
    int fds[2];
    _Atomic(int) flag;
    seam_runtime *runtime;
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

/* ---- ids ---- */

static struct sm_os real;

/* A worker's thread that has not said who it is when another is lost. */
struct latecomer {
    seam_runtime *runtime;
    void *(*run)(void *);
    void *arg;
    _Atomic(uint32_t) starts;
    _Atomic(uint32_t) arrived; /* tasks, each on a thread of its own */
};
static struct latecomer latecomer;

/* In the first's place another is started once it has gone: then we may. */
static void *come_late(void *unused)
{
    (void)unused;
    while (sm_load_relaxed(&latecomer.starts) < 4) { /* relaxed: only waited for */
        (void)sched_yield();
    }
    return latecomer.run(latecomer.arg);
}

/* The workers, the monitor, and who comes in place of the first. */
static int start_the_second_late(pthread_t *out_thread, void *(*run)(void *), void *arg)
{
    if (sm_add_relaxed(&latecomer.starts, 1) != 1) return real.thread_start(out_thread, run, arg);
    latecomer.run = run;
    latecomer.arg = arg;
    return real.thread_start(out_thread, come_late, NULL);
}

static int end_the_thread(void *arg)
{
    (void)arg;
    pthread_exit(NULL);
}

static void note_if_self(void *arg, int tid)
{
    if (tid == sm_os_thread_id()) (*(int *)arg)++;
}

static int look_for_this_thread(void *arg)
{
    (void)arg;
    (void)sm_add_relaxed(&latecomer.arrived, 1);      /* relaxed: only waited for */
    while (sm_load_relaxed(&latecomer.arrived) < 2) { /* relaxed: as above */
        (void)sched_yield();
    }
    int found = 0;
    sm_runtime_each_thread(latecomer.runtime, note_if_self, &found);
    CHECK_EQ(found, 1);
    return 0;
}

TEST(threads_are_known_by_their_ids_though_one_was_lost_before_another_ran)
{
    if (SM_TSAN) CHECK_SKIP("ThreadSanitizer aborts when a thread ends on the stack of a task");
    real = sm_os;
    sm_os.thread_start = start_the_second_late;
    const struct seam_options options = {.workers = 2, .quiet_incidents = true};
    CHECK_OK(seam_runtime_new(&options, &latecomer.runtime));
    seam_runtime *runtime = latecomer.runtime;
    int result = 0;
    CHECK_OK(seam_call(runtime, end_the_thread, NULL, &result, SEAM_FOREVER));
    CHECK_EQ(result, -EPIPE);
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, runtime, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, look_for_this_thread, NULL, NULL, NULL));
    CHECK_OK(seam_spawn(&scope, look_for_this_thread, NULL, NULL, NULL));
    CHECK_OK(seam_scope_end(&scope));
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_runtime_free(runtime);
    sm_os = real;
}

/* ---- no thread to be had ---- */

static _Atomic(int) refusals_left;

static int start_at_last(pthread_t *out_thread, void *(*run)(void *), void *arg)
{
    if (sm_sub_relaxed(&refusals_left, 1) > 0) return -EAGAIN;
    return real.thread_start(out_thread, run, arg);
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
    real = sm_os;
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
    sm_os = real;
}

/* No thread can be had for good; and when that is found out, the one that blocked comes back. */
enum { ALLOWED, REFUSED, COMES_BACK };
static struct scene *forsaken;

static int start_while_allowed(pthread_t *out_thread, void *(*run)(void *), void *arg)
{
    /* relaxed: the flag is all there is. */
    if (sm_load_relaxed(&forsaken->flag) == ALLOWED) {
        return real.thread_start(out_thread, run, arg);
    }
    if (sm_exchange_release(&forsaken->flag, COMES_BACK) == REFUSED) (void)let_go(forsaken);
    return -EAGAIN;
}

static int block_and_come_back(void *arg)
{
    const struct scene *scene = arg;
    char byte = 0;
    seam_blocking_begin();
    CHECK_EQ(read(scene->fds[0], &byte, 1), 1);
    seam_blocking_end();
    return 0;
}

static int end_the_last_thread(void *arg)
{
    struct scene *scene = arg;
    sm_store_relaxed(&scene->flag, REFUSED);
    pthread_exit(NULL);
}

static void lose_who_stands_in(const struct seam_options *options, seam_fn *first, seam_fn *second)
{
    struct scene scene = {.flag = ALLOWED};
    CHECK_OK(pipe2(scene.fds, O_CLOEXEC));
    forsaken = &scene;
    real = sm_os;
    sm_os.thread_start = start_while_allowed;
    CHECK_OK(seam_runtime_new(options, &scene.runtime));
    seam_runtime *runtime = scene.runtime;
    run_both(runtime, &scene, first, second);
    int result = -1;
    CHECK_OK(seam_call(runtime, do_nothing, NULL, &result, SEAM_FOREVER));
    CHECK_EQ(result, 0);
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    struct seam_runtime_stats stats;
    seam_runtime_stats_read(runtime, &stats);
    CHECK_EQ(stats.threads_lost, 1);
    CHECK_EQ(sm_load_relaxed(&scene.flag), COMES_BACK); /* relaxed: the others have ended */
    seam_runtime_free(runtime);
    sm_os = real;
    CHECK_OK(close(scene.fds[0]));
    CHECK_OK(close(scene.fds[1]));
}

TEST(a_thread_that_comes_back_takes_the_role_that_a_lost_one_left)
{
    if (SM_TSAN) CHECK_SKIP("ThreadSanitizer aborts when a thread ends on the stack of a task");
    const struct seam_options options = {.workers = 1, .quiet_incidents = true};
    lose_who_stands_in(&options, block_and_come_back, end_the_last_thread);
}

TEST(a_driver_that_comes_back_goes_on_when_who_stood_in_for_it_was_lost)
{
    if (SM_TSAN) CHECK_SKIP("ThreadSanitizer aborts when a thread ends on the stack of a task");
    const struct seam_options options = {
            .current_thread = true, .overtake = SEAM_OVERTAKE_ON, .quiet_incidents = true};
    lose_who_stands_in(&options, block_and_come_back, end_the_last_thread);
}

/* Another driver's call, while the first is blocked. */
static int lose_who_stands_in_and_go_on(void *arg)
{
    struct scene *scene = arg;
    sm_store_relaxed(&scene->flag, COMES_BACK); /* relaxed: as above */
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, end_the_thread, NULL, NULL, NULL));
    CHECK_OK(seam_scope_end(&scope));
    return 0;
}

static void *call_as_the_second(void *arg)
{
    struct scene *scene = arg;
    int result = -1;
    seam_fn *fn = lose_who_stands_in_and_go_on;
    CHECK_OK(seam_call(scene->runtime, fn, scene, &result, SEAM_FOREVER));
    CHECK_EQ(result, 0);
    (void)let_go(scene);
    return NULL;
}

static int block_beside_another_driver(void *arg)
{
    pthread_t second;
    CHECK_EQ(pthread_create(&second, NULL, call_as_the_second, arg), 0);
    (void)block_and_come_back(arg);
    CHECK_EQ(pthread_join(second, NULL), 0);
    return 0;
}

TEST(a_driver_that_waits_goes_on_when_who_stood_in_for_another_was_lost)
{
    if (SM_TSAN) CHECK_SKIP("ThreadSanitizer aborts when a thread ends on the stack of a task");
    const struct seam_options options = {
            .current_thread = true, .overtake = SEAM_OVERTAKE_ON, .quiet_incidents = true};
    lose_who_stands_in(&options, block_beside_another_driver, do_nothing);
}

/* ---- a contest for the role of a thread that ends ---- */

/*
 * The monitor has found the thread outside, and stops; the thread ends, finds that it has its role
 * still, and stops; the monitor contests the role, and stops before it looks whether the thread is
 * inside. If now the thread gave the role to another, the monitor would give it to a third.
 *
 *   from        to          by
 *   CALM        ARMED       the thread, marked, with another task behind it: the monitor may look
 *   ARMED       FOUND       the monitor, as it asks for the CPU time of a thread that is outside
 *   FOUND       ENDING      the thread, on its way out, with its role
 *   ENDING      CONTESTED   the monitor, between the contest and the look
 *   CONTESTED   PASSED      the thread, as it waits for the contest to be over; or the other task, if
 *                           it does not
 *   PASSED      OVER        the monitor, about to sleep
 *
 * Who waits sleeps, and nobody counts: however slow they are, they take the same steps.
 */
enum { CALM, ARMED, FOUND, ENDING, CONTESTED, PASSED, OVER };
static _Atomic(uint32_t) stage;
static _Thread_local bool is_victim;

static uint32_t stage_now(void)
{
    return sm_load_acquire(&stage); /* acquire: pairs with the release in go_to() */
}

static void wait_for_stage(uint32_t wanted)
{
    uint32_t now = 0;
    while ((now = stage_now()) < wanted) {
        (void)real.futex_wait(&stage, now, INT64_MAX);
    }
}

static void go_to(uint32_t next)
{
    sm_store_release(&stage, next); /* release: pairs with the acquire in stage_now() */
    real.futex_wake(&stage, INT32_MAX);
}

static bool is_monitor(void)
{
    char name[16] = "";
    (void)prctl(PR_GET_NAME, name);
    return strcmp(name, "contest-mon") == 0;
}

/* The monitor sleeps until there is something for it to see, and looks once. */
static int sleep_until_armed(_Atomic(uint32_t) *word, uint32_t expected, int64_t deadline_ns)
{
    if (!is_monitor()) return real.futex_wait(word, expected, deadline_ns);
    if (stage_now() <= ARMED) {
        wait_for_stage(ARMED);
        return -ETIMEDOUT;
    }
    if (stage_now() == PASSED) go_to(OVER);
    return real.futex_wait(word, expected, INT64_MAX);
}

static void *next_symbol(_Atomic(void *) *cache, const char *name)
{
    void *next = sm_load_relaxed(cache); /* relaxed: the address is all there is */
    if (next == NULL) next = dlsym(RTLD_NEXT, name);
    sm_store_relaxed(cache, next); /* relaxed: likewise */
    return next;
}

/* In front of libc's: the monitor asks for the CPU time of who is outside, and takes roles later. */
/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the header keeps __clock_id */
int clock_gettime(clockid_t clock, struct timespec *out_time)
{
    static _Atomic(void *) cache;
    bool is_of_thread = clock < 0;
    if (is_of_thread && stage_now() == ARMED && is_monitor()) {
        go_to(FOUND);
        wait_for_stage(ENDING);
    }
    return ((__typeof__(&clock_gettime))next_symbol(&cache, "clock_gettime"))(clock, out_time);
}

/* Likewise: a thread that is lost calls it before it gives its role away. */
/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): likewise */
int pthread_detach(pthread_t thread)
{
    static _Atomic(void *) cache;
    if (is_victim && stage_now() == FOUND) {
        go_to(ENDING);
        wait_for_stage(CONTESTED);
    }
    return ((__typeof__(&pthread_detach))next_symbol(&cache, "pthread_detach"))(thread);
}

/* Likewise: and this while its role is contested. */
int sched_yield(void)
{
    static _Atomic(void *) cache;
    if (is_victim && stage_now() == CONTESTED) go_to(PASSED);
    return ((__typeof__(&sched_yield))next_symbol(&cache, "sched_yield"))();
}

/* Likewise: the monitor calls it in the middle of a contest. */
/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): likewise */
long syscall(long number, ...)
{
    static _Atomic(void *) cache;
    long args[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++) {
        args[i] = va_arg(list, long);
    }
    va_end(list);
    if (number == SYS_membarrier && stage_now() == ENDING) {
        go_to(CONTESTED);
        wait_for_stage(PASSED);
    }
    return ((__typeof__(&syscall))next_symbol(&cache, "syscall"))(
            number, args[0], args[1], args[2], args[3], args[4], args[5]);
}

static int run_through_the_contest(void *arg)
{
    (void)arg;
    if (stage_now() == CONTESTED) go_to(PASSED);
    wait_for_stage(OVER);
    return 0;
}

static int end_the_thread_in_a_contest(void *arg)
{
    CHECK_OK(seam_spawn(arg, run_through_the_contest, NULL, NULL, NULL));
    seam_blocking_begin();
    is_victim = true;
    go_to(ARMED);
    wait_for_stage(FOUND);
    pthread_exit(NULL);
}

TEST_ONCE(a_role_that_is_contested_while_its_thread_ends_is_given_away_once)
{
    if (SM_TSAN) CHECK_SKIP("ThreadSanitizer aborts when a thread ends on the stack of a task");
    real = sm_os;
    sm_os.futex_wait = sleep_until_armed;
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
