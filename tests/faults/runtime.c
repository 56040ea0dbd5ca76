/* SPDX-License-Identifier: MIT */
/*
 * Runtimes of every kind: their beginning, what runs in them, their end.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include "seam.h"

#include "base/atomic.h"
#include "faults.h"

static const struct seam_options current_thread = {.current_thread = true};
static const struct seam_options one_worker = {.workers = 1, .quiet_incidents = true};
static const struct seam_options two_workers = {.workers = 2, .quiet_incidents = true};

static int64_t soon(void)
{
    return seam_after(2 * SEAM_MILLISECOND);
}

/* ---- tasks ---- */

static int be_one(void *arg)
{
    (void)arg;
    return 1;
}

static SEAM_SUSPENDS int nap(void *arg)
{
    (void)arg;
    int r = seam_sleep(soon());
    return r < 0 ? r : 1;
}

static SEAM_SUSPENDS int sleep_until_cancelled(void *arg)
{
    (void)arg;
    CHECK_ERR(seam_sleep(SEAM_FOREVER), ECANCELED);
    return 0;
}

enum { TASKS = 100 };

/* More than a slab of stacks holds, with handles and without, of two sizes. */
static SEAM_SUSPENDS int spawn_and_join(void *arg)
{
    (void)arg;
    const struct seam_task_options large = {.stack_bytes = (size_t)256 * 1024};
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    seam_task *tasks[TASKS] = {NULL};
    int r = 0;
    for (int i = 0; i < TASKS && r == 0; i++) {
        r = (int)MAY(seam_spawn(&scope, nap, NULL, i == 1 ? &large : NULL, &tasks[i]), ENOMEM);
    }
    if (r == 0) r = (int)MAY(seam_spawn(&scope, be_one, NULL, NULL, NULL), ENOMEM);
    for (int i = 0; i < TASKS && tasks[i] != NULL; i++) {
        int result = 0;
        CHECK_OK(seam_join(tasks[i], &result, SEAM_FOREVER));
        CHECK_EQ(result, 1);
    }
    CHECK_OK(seam_scope_end(&scope));
    return r;
}

static SEAM_SUSPENDS int cancel_some(void *arg)
{
    (void)arg;
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, soon()));
    int r = (int)MAY(seam_spawn(&scope, sleep_until_cancelled, NULL, NULL, NULL), ENOMEM);
    int ended = seam_scope_end(&scope);
    CHECK(ended == -ETIMEDOUT || (r < 0 && ended == 0));

    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    r = (int)MAY(seam_spawn(&scope, sleep_until_cancelled, NULL, NULL, NULL), ENOMEM);
    CHECK_OK(seam_scope_cancel(&scope));
    CHECK_ERR(seam_scope_end(&scope), ECANCELED);
    return r;
}

/* ---- what is done with a runtime ---- */

static SEAM_SUSPENDS int use(seam_runtime *runtime)
{
    int result = 0;
    int r = (int)MAY(seam_call(runtime, spawn_and_join, NULL, &result, SEAM_FOREVER), ENOMEM);
    if (r == 0) r = result;
    if (r == 0) r = (int)MAY(seam_call(runtime, cancel_some, NULL, &result, SEAM_FOREVER), ENOMEM);
    return r < 0 ? r : result;
}

/* Detached tasks are there when it ends, parked. */
static SEAM_SUSPENDS int begin_use_and_end(const struct seam_options *options)
{
    seam_runtime *runtime = NULL;
    int r = (int)MAY(seam_runtime_new(options, &runtime), RUNTIME_ERRORS);
    if (r < 0) return r;

    r = use(runtime);
    struct seam_scope *root = seam_runtime_root(runtime);
    for (int i = 0; i < 3 && r >= 0; i++) {
        r = (int)MAY(seam_spawn(root, sleep_until_cancelled, NULL, NULL, NULL), ENOMEM);
    }
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_runtime_free(runtime);
    return r;
}

static int with_no_thread(void)
{
    return begin_use_and_end(&current_thread);
}

static int with_one_worker(void)
{
    return begin_use_and_end(&one_worker);
}

static int with_two_workers(void)
{
    return begin_use_and_end(&two_workers);
}

TEST(a_current_thread_runtime_outlives_each_failure)
{
    each_fault(with_no_thread);
}

TEST(a_runtime_with_one_worker_outlives_each_failure)
{
    each_fault(with_one_worker);
}

TEST(a_runtime_with_two_workers_outlives_each_failure)
{
    each_fault(with_two_workers);
}

/* ---- seam_run() ---- */

/* From the task of one into another runtime, driven and not. */
static SEAM_SUSPENDS int run_inside(void *arg)
{
    int r = spawn_and_join(arg);
    if (r >= 0) r = (int)MAY(seam_run(&current_thread, cancel_some, NULL), RUNTIME_ERRORS);
    if (r >= 0) r = (int)MAY(seam_run(&two_workers, cancel_some, NULL), RUNTIME_ERRORS);
    if (r >= 0) r = begin_use_and_end(&one_worker);
    return r;
}

static int run_each(void)
{
    int r = (int)MAY(seam_run(&current_thread, run_inside, NULL), RUNTIME_ERRORS);
    if (r >= 0) r = (int)MAY(seam_run(&two_workers, run_inside, NULL), RUNTIME_ERRORS);
    return r;
}

TEST(a_program_in_seam_run_outlives_each_failure)
{
    each_fault(run_each);
}

/* ---- the default runtime ---- */

static int use_default(void)
{
    seam_runtime *runtime = NULL;
    int r = (int)MAY(seam_runtime_default(&runtime), RUNTIME_ERRORS);
    if (r < 0) return r;
    r = use(NULL);
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, soon()));
    if (r >= 0) r = (int)MAY(seam_spawn(&scope, sleep_until_cancelled, NULL, NULL, NULL), ENOMEM);
    (void)seam_scope_end(&scope);
    return r;
}

TEST(the_default_runtime_is_there_after_each_failure)
{
    check_leaves_a_runtime();
    each_fault(use_default);
}

/* ---- embedding ---- */

static int drive_by_polling(seam_runtime *runtime, const int *left)
{
    struct pollfd ready = {.fd = -1, .events = POLLIN};
    while (ready.fd < 0) {
        ready.fd = (int)MAY(seam_runtime_fd(runtime), ENOMEM, EMFILE, ENFILE, ENOSPC);
    }
    while (*left > 0) {
        CHECK_EQ(poll(&ready, 1, -1), 1);
        CHECK_OK(seam_runtime_poll(runtime));
    }
    return 0;
}

static SEAM_SUSPENDS int nap_and_count(void *arg)
{
    int *left = arg;
    int r = nap(NULL);
    (*left)--;
    return r;
}

static int embed(void)
{
    seam_runtime *runtime = NULL;
    int r = (int)MAY(seam_runtime_new(&current_thread, &runtime), RUNTIME_ERRORS);
    if (r < 0) return r;
    int left = 0;
    for (int i = 0; i < 5 && r == 0; i++) {
        r = (int)MAY(
                seam_spawn(seam_runtime_root(runtime), nap_and_count, &left, NULL, NULL), ENOMEM);
        if (r == 0) left++;
    }
    (void)drive_by_polling(runtime, &left);
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_runtime_free(runtime);
    return r;
}

TEST(a_foreign_loop_hears_of_everything_in_spite_of_each_failure)
{
    each_fault(embed);
}

/* ---- the report at the end ---- */

struct lingering {
    struct seam_event has_begun;
    struct seam_event may_end;
    _Atomic(bool) spins;
};

static SEAM_SUSPENDS int linger(void *arg)
{
    struct lingering *lingering = arg;
    struct seam_shield shield;
    seam_shield_begin(&shield);
    CHECK_OK(seam_event_wait(&lingering->may_end, SEAM_FOREVER));
    seam_shield_end(&shield);
    return 0;
}

static int linger_in_a_job(void *arg)
{
    struct lingering *lingering = arg;
    seam_event_set(&lingering->has_begun);
    while (sm_load_relaxed(&lingering->spins)) {
        (void)usleep(100);
    }
    return 0;
}

static SEAM_SUSPENDS int block_for_a_while(void *arg)
{
    struct lingering *lingering = arg;
    int r = (int)MAY(seam_block(NULL, linger_in_a_job, arg, NULL, SEAM_FOREVER), ENOMEM);
    if (r < 0) seam_event_set(&lingering->has_begun);
    return r;
}

static void report(seam_runtime *runtime, struct lingering *lingering)
{
    struct seam_stop_report report;
    int null_fd = (int)CHECK_OK(open("/dev/null", O_WRONLY | O_CLOEXEC));
    int r = seam_runtime_stop(runtime, &report, SEAM_NOW);
    CHECK(r == 0 || r == -EAGAIN);
    seam_stop_report_print(&report, null_fd);
    CHECK_OK(close(null_fd));
    sm_store_relaxed(&lingering->spins, false);
    seam_event_set(&lingering->may_end);
    CHECK_OK(seam_runtime_stop(runtime, &report, SEAM_FOREVER));
    seam_runtime_free(runtime);
}

static int stop_with_report(void)
{
    seam_runtime *runtime = NULL;
    int r = (int)MAY(seam_runtime_new(&two_workers, &runtime), RUNTIME_ERRORS);
    if (r < 0) return r;
    struct lingering lingering = {SEAM_EVENT_INIT, SEAM_EVENT_INIT, true};
    struct seam_scope *root = seam_runtime_root(runtime);
    r = (int)MAY(seam_spawn(root, linger, &lingering, NULL, NULL), ENOMEM);
    if (r == 0) r = (int)MAY(seam_spawn(root, block_for_a_while, &lingering, NULL, NULL), ENOMEM);
    if (r == 0) CHECK_OK(seam_event_wait(&lingering.has_begun, SEAM_FOREVER));
    report(runtime, &lingering);
    return r;
}

TEST(a_stop_reports_who_is_left_in_spite_of_each_failure)
{
    each_fault(stop_with_report);
}
