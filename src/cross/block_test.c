/* SPDX-License-Identifier: MIT */
/*
 * seam_block() where the caller may block: a deadline without a runtime.
 */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "seam.h"

#include "check/check.h"
#include "time/clock.h"

enum { START_NS = 1000 };
#define HOUR (3600 * SEAM_SECOND)

static int count_threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks != NULL);
    if (tasks == NULL) return -1;
    int count = 0;
    for (const struct dirent *entry = NULL; (entry = readdir(tasks)) != NULL;) {
        if (entry->d_name[0] != '.') count++;
    }
    CHECK_OK(closedir(tasks));
    return count;
}

static SEAM_SUSPENDS int sleep_and_count_threads(void *arg)
{
    CHECK_EQ(count_threads(), *(int *)arg);
    return seam_sleep(SEAM_FOREVER);
}

/* A machine that is busy may let the deadline pass before fn begins: then again, with more time. */
static void check_ends_at_the_deadline(seam_fn *fn, void *arg, int64_t lasts_ns)
{
    int result = 0;
    int64_t deadline_ns = 0;
    int r = -ETIMEDOUT;
    for (; r == -ETIMEDOUT; lasts_ns *= 2) {
        deadline_ns = seam_after(lasts_ns);
        r = seam_block(NULL, fn, arg, &result, deadline_ns);
    }
    CHECK_OK(r);
    CHECK_ERR(result, ECANCELED);
    CHECK(seam_now_ns() >= deadline_ns);
    if (sm_clock_is_virtual()) CHECK_EQ(seam_now_ns(), deadline_ns);
}

TEST(a_thread_that_blocks_with_a_deadline_is_cancelled_at_it_and_no_thread_is_started)
{
    int threads = count_threads();
    check_ends_at_the_deadline(sleep_and_count_threads, &threads, SEAM_MILLISECOND);
    CHECK_EQ(count_threads(), threads);
}

static SEAM_SUSPENDS int sleep_for_ever(void *unused)
{
    (void)unused;
    return seam_sleep(SEAM_FOREVER);
}

static SEAM_SUSPENDS int read_for_ever(void *unused)
{
    (void)unused;
    int fds[2];
    CHECK_OK(pipe(fds));
    int r = seam_await_fd(fds[0], SEAM_READABLE, SEAM_FOREVER);
    CHECK_OK(seam_close(fds[0]));
    CHECK_OK(seam_close(fds[1]));
    return r;
}

static SEAM_SUSPENDS int ask_until_cancelled(void *unused)
{
    (void)unused;
    int r = 0;
    while (r == 0) {
        r = seam_cancelled();
    }
    return r;
}

/* The inner one has its own deadline, before the outer's or after it. */
static SEAM_SUSPENDS int block_longer(void *unused)
{
    (void)unused;
    int result = 0;
    CHECK_OK(seam_block(NULL, sleep_for_ever, NULL, &result, seam_after(2 * HOUR)));
    return result;
}

static SEAM_SUSPENDS int block_shorter(void *unused)
{
    (void)unused;
    int64_t deadline_ns = seam_after(HOUR / 2);
    int result = 0;
    CHECK_OK(seam_block(NULL, sleep_for_ever, NULL, &result, deadline_ns));
    CHECK_ERR(result, ECANCELED);
    CHECK_EQ(seam_now_ns(), deadline_ns);
    CHECK_OK(seam_cancelled());
    return seam_sleep(SEAM_FOREVER);
}

static SEAM_SUSPENDS int drive(void *unused)
{
    (void)unused;
    int r = seam_run(&(struct seam_options){.current_thread = true}, sleep_for_ever, NULL);
    CHECK_ERR(seam_cancelled(), ECANCELED);
    return r;
}

static SEAM_SUSPENDS int yield_once(void *unused)
{
    (void)unused;
    return seam_yield();
}

static SEAM_SUSPENDS int drive_and_sleep(void *unused)
{
    CHECK_OK(seam_run(&(struct seam_options){.current_thread = true}, yield_once, unused));
    return sleep_for_ever(unused);
}

/* The thread does not look at the clock itself: its wait for the end of a scope is not cancelled. */
static SEAM_SUSPENDS int wait_for_tasks(void *unused)
{
    (void)unused;
    seam_runtime *runtime = NULL;
    CHECK_OK(seam_runtime_new(&(struct seam_options){.workers = 2}, &runtime));
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, runtime, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, sleep_for_ever, NULL, NULL, NULL));
    int r = seam_scope_end(&scope);
    struct seam_shield shield;
    seam_shield_begin(&shield);
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_shield_end(&shield);
    seam_runtime_free(runtime);
    return r;
}

static seam_fn *const waits[] = {sleep_for_ever, read_for_ever, block_longer, drive, wait_for_tasks,
        /* What wants to be in time before it is late is for virtual time. */
        block_shorter, drive_and_sleep};
enum { VIRTUAL_WAITS = sizeof waits / sizeof waits[0], REAL_WAITS = VIRTUAL_WAITS - 2 };

static void *wait_in_virtual_time(void *unused)
{
    sm_clock_make_virtual(START_NS);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < VIRTUAL_WAITS; i++) {
            check_ends_at_the_deadline(waits[i], NULL, HOUR);
        }
    }
    sm_clock_make_real();
    return unused;
}

static void *wait_in_real_time(void *unused)
{
    check_ends_at_the_deadline(ask_until_cancelled, NULL, SEAM_MILLISECOND);
    for (int i = 0; i < REAL_WAITS; i++) {
        check_ends_at_the_deadline(waits[i], NULL, SEAM_MILLISECOND);
    }
    return unused;
}

/* One that ends, and with it the descriptor that a thread keeps to wait for descriptors. */
static void run_in_thread(void *(*run)(void *))
{
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, run, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

TEST(whatever_a_thread_waits_for_ends_at_the_deadline_of_its_block_in_virtual_time)
{
    run_in_thread(wait_in_virtual_time);
}

TEST(whatever_a_thread_waits_for_ends_at_the_deadline_of_its_block)
{
    run_in_thread(wait_in_real_time);
}

static SEAM_SUSPENDS int return_seven(void *unused)
{
    (void)unused;
    return 7;
}

TEST(a_block_that_ends_in_time_leaves_no_deadline_behind)
{
    sm_clock_make_virtual(START_NS);
    int result = 0;
    CHECK_OK(seam_block(NULL, return_seven, NULL, &result, seam_after(HOUR)));
    CHECK_EQ(result, 7);
    CHECK_OK(seam_sleep(seam_after(2 * HOUR)));
    CHECK_OK(seam_cancelled());
    sm_clock_make_real();
}
