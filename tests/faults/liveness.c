/* SPDX-License-Identifier: MIT */
/*
 * Tasks that hold up others, and what takes their place.
 */
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "seam.h"

#include "base/atomic.h"
#include "base/sanitizer.h"
#include "faults.h"

static int be_one(void *arg)
{
    (void)arg;
    return 1;
}

/* ---- blocked and busy tasks ---- */

struct held_up {
    int fds[2];
    _Atomic(bool) may_stop;
};

static int read_raw(void *arg)
{
    const struct held_up *held_up = arg;
    char byte = 0;
    CHECK_EQ(read(held_up->fds[0], &byte, 1), 1);
    return 0;
}

static int spin(void *arg)
{
    struct held_up *held_up = arg;
    while (!sm_load_relaxed(&held_up->may_stop)) {
    }
    return 0;
}

/* Only another thread can run this: the only worker's sits in the others. */
static int free_others(void *arg)
{
    struct held_up *held_up = arg;
    sm_store_relaxed(&held_up->may_stop, true);
    CHECK_EQ(write(held_up->fds[1], "x", 1), 1);
    return 0;
}

static SEAM_SUSPENDS int hold_up(seam_fn *deed)
{
    struct held_up held_up = {.may_stop = false};
    CHECK_OK(pipe2(held_up.fds, O_CLOEXEC));
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    int r = (int)MAY(seam_spawn(&scope, free_others, &held_up, NULL, NULL), ENOMEM);
    if (r == 0) CHECK_OK(deed(&held_up));
    CHECK_OK(seam_scope_end(&scope));
    CHECK_OK(close(held_up.fds[0]));
    CHECK_OK(close(held_up.fds[1]));
    return r;
}

static SEAM_SUSPENDS int hold_up_both_ways(void *arg)
{
    (void)arg;
    int r = hold_up(read_raw);
    return r == 0 ? hold_up(spin) : r;
}

static void ignore_incident(const struct seam_incident *incident, void *arg)
{
    (void)incident;
    (void)arg;
}

static int hold_up_one_worker(void)
{
    const struct seam_options options = {
            .workers = 1, .on_incident = ignore_incident, .quiet_incidents = true};
    seam_runtime *runtime = NULL;
    int r = (int)MAY(seam_runtime_new(&options, &runtime), RUNTIME_ERRORS);
    if (r < 0) return r;
    int result = 0;
    r = (int)MAY(seam_call(runtime, hold_up_both_ways, NULL, &result, SEAM_FOREVER), ENOMEM);
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_runtime_free(runtime);
    return r < 0 ? r : result;
}

TEST(work_behind_a_task_that_holds_it_up_goes_on_in_spite_of_each_failure)
{
    each_fault(hold_up_one_worker);
}

static int hold_up_current_thread(void)
{
    const struct seam_options options = {
            .current_thread = true, .overtake = SEAM_OVERTAKE_ON, .quiet_incidents = true};
    return (int)MAY(seam_run(&options, hold_up_both_ways, NULL), RUNTIME_ERRORS);
}

TEST(work_behind_a_task_that_holds_up_the_calling_thread_goes_on_in_spite_of_each_failure)
{
    each_fault(hold_up_current_thread);
}

/* ---- lines about incidents ---- */

static int block_for_long(void *arg)
{
    (void)arg;
    (void)usleep(20 * 1000);
    return 0;
}

static SEAM_SUSPENDS int be_shown(void *arg)
{
    (void)arg;
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    int r = (int)MAY(seam_spawn(&scope, be_one, NULL, NULL, NULL), ENOMEM);
    (void)block_for_long(NULL);
    CHECK_OK(seam_scope_end(&scope));
    return r;
}

/* Nobody reads what is said meanwhile. */
static int show_incident(void)
{
    int errors = (int)CHECK_OK(dup(STDERR_FILENO));
    int null_fd = (int)CHECK_OK(open("/dev/null", O_WRONLY | O_CLOEXEC));
    CHECK_OK(dup2(null_fd, STDERR_FILENO));
    const struct seam_options options = {.workers = 1};
    int r = (int)MAY(seam_run(&options, be_shown, NULL), RUNTIME_ERRORS);
    CHECK_OK(dup2(errors, STDERR_FILENO));
    CHECK_OK(close(null_fd));
    CHECK_OK(close(errors));
    return r;
}

TEST(an_incident_is_shown_in_spite_of_each_failure)
{
    each_fault(show_incident);
}

/* ---- threads that tasks end ---- */

static int end_the_thread(void *arg)
{
    (void)arg;
    pthread_exit(NULL);
}

static int lose_thread(void)
{
    const struct seam_options options = {.workers = 1, .quiet_incidents = true};
    seam_runtime *runtime = NULL;
    int r = (int)MAY(seam_runtime_new(&options, &runtime), RUNTIME_ERRORS);
    if (r < 0) return r;
    int result = 0;
    r = (int)MAY(seam_call(runtime, end_the_thread, NULL, &result, SEAM_FOREVER), ENOMEM);
    if (r == 0) CHECK_EQ(result, -EPIPE);
    if (r == 0) r = (int)MAY(seam_call(runtime, be_one, NULL, &result, SEAM_FOREVER), ENOMEM);
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_runtime_free(runtime);
    return r;
}

TEST(a_thread_that_a_task_ends_is_replaced_in_spite_of_each_failure)
{
    if (SM_TSAN) CHECK_SKIP("ThreadSanitizer aborts when a thread ends on the stack of a task");
    each_fault(lose_thread);
}
