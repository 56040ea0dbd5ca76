/* SPDX-License-Identifier: MIT */
/*
 * boundary/os_lock.c - a lock of the operating system held across a wait: row k.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "boundary/flavours.h"
#include "os/lockcheck.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;

/* What is written to the standard error output while fn runs as the first task. */
static void capture(const struct seam_options *options, seam_fn *fn, char *text, size_t bytes)
{
    int ends[2];
    CHECK_OK(pipe2(ends, O_CLOEXEC));
    int before = (int)CHECK_OK(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
    CHECK_OK(dup2(ends[1], STDERR_FILENO));
    int r = seam_run(options, fn, NULL);
    CHECK_OK(dup2(before, STDERR_FILENO));
    CHECK_OK(close(before));
    CHECK_OK(close(ends[1]));
    CHECK_OK(r);
    size_t len = 0;
    ssize_t got = 0;
    while (len < bytes - 1 && (got = read(ends[0], text + len, bytes - 1 - len)) > 0) {
        len += (size_t)got;
    }
    text[len] = '\0';
    CHECK_OK(close(ends[0]));
}

/* One task holds the mutex and waits until another has found it locked. */
struct look {
    struct seam_event is_locked;
    struct seam_event is_over;
};
enum { LOOKS = 2 };

static void lock_and_wait(struct look *look)
{
    CHECK_EQ(pthread_mutex_lock(&mutex), 0);
    seam_event_set(&look->is_locked);
    CHECK_OK(seam_event_wait(&look->is_over, SEAM_FOREVER));
    CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
}

/* The same place twice. */
static int hold_and_wait(void *arg)
{
    struct look *looks = arg;
    for (int i = 0; i < LOOKS; i++) {
        lock_and_wait(&looks[i]);
    }
    return 0;
}

static int find_it_locked(void *arg)
{
    struct look *looks = arg;
    for (int i = 0; i < LOOKS; i++) {
        CHECK_OK(seam_event_wait(&looks[i].is_locked, SEAM_FOREVER));
        /* Another thread, or our own, has it: the plain lock would wait for ever. */
        CHECK_EQ(pthread_mutex_trylock(&mutex), EBUSY);
        seam_event_set(&looks[i].is_over);
    }
    return 0;
}

static int wait_beside_each_other(void *arg)
{
    (void)arg;
    struct look looks[LOOKS] = {};
    struct seam_scope scope;
    const struct seam_task_options named = {.name = "careless"};
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, hold_and_wait, looks, &named, NULL));
    CHECK_OK(seam_spawn(&scope, find_it_locked, looks, NULL, NULL));
    return (int)CHECK_OK(seam_scope_end(&scope));
}

/* Row k. With Tokio the program hangs, and nobody says why. */
TEST_ONCE(a_mutex_that_is_held_across_a_wait_is_reported_once_with_both_places)
{
    if (!SM_LOCK_CHECK) CHECK_SKIP("built without SEAM_LOCK_CHECK");
    char text[16384];
    const struct seam_options options = {.current_thread = true};
    capture(&options, wait_beside_each_other, text, sizeof text);
    CHECK_EQ((long long)sm_lockcheck_reports(), 1);
    const char *report = strstr(text, "task \"careless\"");
    CHECK(report != NULL);
    CHECK(strstr(report + 1, "task \"careless\"") == NULL);
    CHECK(strstr(text, "seam_mutex") != NULL);
    /* A backtrace of several frames after each of the two lines. */
    const char *locked = strstr(text, "locked here:\n");
    CHECK(locked != NULL);
    const char *waits = strstr(locked, "waits here:\n");
    CHECK(waits != NULL);
    int lines_between = 0;
    for (const char *at = locked; (at = strchr(at, '\n')) < waits; at++) {
        lines_between++;
    }
    CHECK(lines_between >= 4);
    CHECK(strchr(strchr(waits, '\n') + 1, '\n') != NULL);
}

static int yield_with_a_read_lock(void *arg)
{
    (void)arg;
    CHECK_EQ(pthread_rwlock_rdlock(&rwlock), 0);
    CHECK_OK(seam_yield());
    CHECK_EQ(pthread_rwlock_unlock(&rwlock), 0);
    return 0;
}

TEST_ONCE(a_read_lock_that_is_held_across_a_yield_is_reported)
{
    if (!SM_LOCK_CHECK) CHECK_SKIP("built without SEAM_LOCK_CHECK");
    char text[16384];
    const struct seam_options options = {.workers = 1};
    capture(&options, yield_with_a_read_lock, text, sizeof text);
    CHECK_EQ((long long)sm_lockcheck_reports(), 1);
    CHECK(strstr(text, "holds the OS lock") != NULL);
}

/* Steps of two readers of one lock, each on a thread of its own. */
static _Atomic(int) step;

static void wait_for_step(int wanted)
{
    while (atomic_load(&step) < wanted) {
        (void)sched_yield();
    }
}

static int read_first(void *arg)
{
    (void)arg;
    CHECK_EQ(pthread_rwlock_rdlock(&rwlock), 0);
    atomic_store(&step, 1);
    wait_for_step(2);
    CHECK_EQ(pthread_rwlock_unlock(&rwlock), 0);
    atomic_store(&step, 3);
    return (int)CHECK_OK(seam_yield());
}

static int read_second(void *arg)
{
    (void)arg;
    wait_for_step(1);
    CHECK_EQ(pthread_rwlock_rdlock(&rwlock), 0);
    atomic_store(&step, 2);
    wait_for_step(3);
    CHECK_OK(seam_yield());
    CHECK_EQ(pthread_rwlock_unlock(&rwlock), 0);
    return 0;
}

static int read_together(void *arg)
{
    (void)arg;
    struct seam_scope scope;
    const struct seam_task_options first = {.name = "first"};
    const struct seam_task_options second = {.name = "second"};
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, read_first, NULL, &first, NULL));
    CHECK_OK(seam_spawn(&scope, read_second, NULL, &second, NULL));
    return (int)CHECK_OK(seam_scope_end(&scope));
}

TEST_ONCE(of_two_readers_the_one_is_reported_that_waits_with_the_lock)
{
    if (!SM_LOCK_CHECK) CHECK_SKIP("built without SEAM_LOCK_CHECK");
    char text[16384];
    const struct seam_options options = {.workers = 2, .quiet_incidents = true};
    capture(&options, read_together, text, sizeof text);
    CHECK(strstr(text, "task \"second\"") != NULL);
    CHECK(strstr(text, "task \"first\"") == NULL);
    CHECK_EQ((long long)sm_lockcheck_reports(), 1);
}

static int unlock_and_wait(void *arg)
{
    struct seam_mutex *ours = arg;
    CHECK_EQ(pthread_mutex_lock(&mutex), 0);
    CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
    CHECK_EQ(pthread_mutex_trylock(&mutex), 0);
    CHECK_EQ(pthread_mutex_trylock(&mutex), EBUSY);
    CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
    CHECK_OK(seam_mutex_lock(ours, SEAM_FOREVER));
    CHECK_OK(seam_sleep(seam_after(SEAM_MILLISECOND)));
    seam_mutex_unlock(ours);
    return 0;
}

static int end_with_it(void *arg)
{
    (void)arg;
    CHECK_EQ(pthread_rwlock_rdlock(&rwlock), 0);
    return 0;
}

/* The stack of a task that ended with a lock is another's: that one is not to blame. */
static int wait_after_others(void *arg)
{
    struct seam_scope scope;
    for (int i = 0; i < 2; i++) {
        CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
        CHECK_OK(seam_spawn(&scope, end_with_it, NULL, NULL, NULL));
        CHECK_OK(seam_scope_end(&scope));
        CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
        CHECK_OK(seam_spawn(&scope, unlock_and_wait, arg, NULL, NULL));
        CHECK_OK(seam_scope_end(&scope));
    }
    return 0;
}

ON_EVERY_RUNTIME(locks_that_tasks_do_not_hold_across_waits_are_not_reported)
{
    /* A thread may hold what it likes while it runs tasks: its own stack is not suspended. */
    pthread_mutex_t outside = PTHREAD_MUTEX_INITIALIZER;
    struct seam_mutex ours = SEAM_MUTEX_INIT;
    CHECK_EQ(pthread_mutex_lock(&outside), 0);
    CHECK_OK(seam_run(options, wait_after_others, &ours));
    CHECK_EQ(pthread_mutex_unlock(&outside), 0);
    CHECK_EQ((long long)sm_lockcheck_reports(), 0);
}
