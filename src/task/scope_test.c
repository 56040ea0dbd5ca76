/* SPDX-License-Identifier: MIT */
#include "task/scope.h"

#include <pthread.h>
#include <sched.h>

#include "seam.h"

#include "check/check.h"
#include "sched/runtime.h"
#include "time/clock.h"

static seam_runtime *runtime;

static void begin(struct seam_scope *scope, int64_t deadline_ns)
{
    CHECK_OK(seam_scope_begin(scope, runtime, deadline_ns));
}

/* On virtual time, so that nothing depends on the machine. */
static void start(void)
{
    sm_clock_make_virtual(SEAM_SECOND);
    const struct seam_options options = {.workers = 1};
    CHECK_OK(seam_runtime_new(&options, &runtime));
}

static void stop(void)
{
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_runtime_free(runtime);
    sm_clock_make_real();
}

TEST(a_cancelled_scope_cancels_the_scopes_inside_and_not_those_outside)
{
    start();
    struct seam_scope outer;
    struct seam_scope middle;
    struct seam_scope inner;
    begin(&outer, SEAM_FOREVER);
    begin(&middle, SEAM_FOREVER);
    begin(&inner, SEAM_FOREVER);
    CHECK_OK(seam_cancelled());
    CHECK_OK(seam_scope_cancel(&middle));
    CHECK_OK(seam_scope_cancel(&middle));
    CHECK_ERR(seam_cancelled(), ECANCELED);
    CHECK_ERR(seam_scope_end(&inner), ECANCELED);
    CHECK_ERR(seam_cancelled(), ECANCELED);
    CHECK_ERR(seam_scope_end(&middle), ECANCELED);
    CHECK_OK(seam_cancelled());
    CHECK_OK(seam_scope_end(&outer));
    stop();
}

TEST(a_scope_that_begins_in_a_cancelled_one_is_cancelled)
{
    start();
    struct seam_scope outer;
    struct seam_scope inner;
    begin(&outer, SEAM_FOREVER);
    CHECK_OK(seam_scope_cancel(&outer));
    begin(&inner, SEAM_FOREVER);
    CHECK_ERR(seam_sleep(SEAM_FOREVER), ECANCELED);
    CHECK_ERR(seam_scope_end(&inner), ECANCELED);
    CHECK_ERR(seam_scope_end(&outer), ECANCELED);
    stop();
}

TEST(a_scope_whose_deadline_has_passed_begins_timed_out)
{
    start();
    struct seam_scope scope;
    begin(&scope, SEAM_NOW);
    CHECK_ERR(seam_cancelled(), ECANCELED);
    CHECK_ERR(seam_scope_end(&scope), ETIMEDOUT);
    stop();
}

TEST(the_scope_whose_deadline_fired_says_so_and_those_inside_were_cancelled)
{
    start();
    struct seam_scope outer;
    struct seam_scope inner;
    begin(&outer, seam_after(SEAM_SECOND));
    begin(&inner, seam_after(3 * SEAM_SECOND));
    CHECK_ERR(seam_sleep(seam_after(2 * SEAM_SECOND)), ECANCELED);
    CHECK_ERR(seam_scope_end(&inner), ECANCELED);
    CHECK_ERR(seam_scope_end(&outer), ETIMEDOUT);
    stop();
}

/* Nobody drives the runtime whose timers the deadlines are among. */
TEST(a_thread_that_computes_sees_its_deadlines_without_anybody_to_fire_them)
{
    const struct seam_options options = {.current_thread = true};
    CHECK_OK(seam_runtime_new(&options, &runtime));
    struct seam_scope outer;
    struct seam_scope inner;
    int64_t deadline_ns = seam_after(SEAM_MILLISECOND);
    begin(&outer, deadline_ns);
    begin(&inner, deadline_ns);
    while (seam_now_ns() < deadline_ns) {
    }
    CHECK_ERR(seam_cancelled(), ECANCELED);
    CHECK_ERR(seam_scope_end(&inner), ETIMEDOUT);
    CHECK_ERR(seam_cancelled(), ECANCELED);
    CHECK_ERR(seam_scope_end(&outer), ETIMEDOUT);

    /* Of two behind a shield, the one inside it counts, though the other is earlier. */
    struct seam_shield shield;
    begin(&outer, deadline_ns + 1);
    seam_shield_begin(&shield);
    CHECK_OK(seam_cancelled());
    begin(&inner, seam_after(SEAM_MILLISECOND));
    while (seam_cancelled() == 0) {
    }
    CHECK_ERR(seam_scope_end(&inner), ETIMEDOUT);
    seam_shield_end(&shield);
    CHECK_ERR(seam_scope_end(&outer), ETIMEDOUT);
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_runtime_free(runtime);
}

TEST(a_cancellation_before_the_deadline_is_what_is_reported)
{
    start();
    struct seam_scope scope;
    begin(&scope, seam_after(SEAM_SECOND));
    CHECK_OK(seam_scope_cancel(&scope));
    struct seam_shield shield;
    seam_shield_begin(&shield);
    CHECK_OK(seam_sleep(seam_after(2 * SEAM_SECOND)));
    seam_shield_end(&shield);
    CHECK_ERR(seam_scope_end(&scope), ECANCELED);
    stop();
}

TEST(scopes_end_in_the_opposite_order_and_only_by_their_owner)
{
    start();
    struct seam_scope outer;
    struct seam_scope inner;
    begin(&outer, SEAM_FOREVER);
    begin(&inner, SEAM_FOREVER);
    CHECK_ERR(seam_scope_end(&outer), EINVAL);
    CHECK_OK(seam_scope_end(&inner));
    CHECK_ERR(seam_scope_end(&inner), EINVAL);
    CHECK_OK(seam_scope_end(&outer));
    CHECK_ERR(seam_scope_end(seam_runtime_root(runtime)), EINVAL);
    CHECK_ERR(seam_scope_cancel(seam_runtime_root(runtime)), EINVAL);
    stop();
}

/* ---- shields ---- */

TEST(a_shield_lets_waits_pass_and_what_begins_inside_can_be_cancelled)
{
    start();
    struct seam_scope outer;
    struct seam_scope inner;
    struct seam_shield shield;
    begin(&outer, SEAM_FOREVER);
    CHECK_OK(seam_scope_cancel(&outer));
    seam_shield_begin(&shield);
    CHECK_OK(seam_cancelled());
    CHECK_OK(seam_sleep(seam_after(SEAM_SECOND)));
    begin(&inner, seam_after(SEAM_SECOND));
    CHECK_OK(seam_cancelled());
    CHECK_ERR(seam_sleep(SEAM_FOREVER), ECANCELED);
    CHECK_ERR(seam_scope_end(&inner), ETIMEDOUT);
    CHECK_OK(seam_cancelled());
    seam_shield_end(&shield);
    CHECK_ERR(seam_cancelled(), ECANCELED);
    CHECK_ERR(seam_scope_end(&outer), ECANCELED);
    stop();
}

TEST(a_shield_inside_an_inner_scope_covers_the_outer_ones_too)
{
    start();
    struct seam_scope outer;
    struct seam_scope inner;
    struct seam_shield shields[2];
    begin(&outer, SEAM_FOREVER);
    begin(&inner, SEAM_FOREVER);
    seam_shield_begin(&shields[0]);
    seam_shield_begin(&shields[1]);
    CHECK_OK(seam_scope_cancel(&outer));
    CHECK_OK(seam_sleep(seam_after(SEAM_SECOND)));
    seam_shield_end(&shields[1]);
    CHECK_OK(seam_sleep(seam_after(SEAM_SECOND)));
    seam_shield_end(&shields[0]);
    CHECK_ERR(seam_sleep(seam_after(SEAM_SECOND)), ECANCELED);
    CHECK_ERR(seam_scope_end(&inner), ECANCELED);
    CHECK_ERR(seam_scope_end(&outer), ECANCELED);
    stop();
}

static int sleep_for_a_second(void *arg)
{
    (void)arg;
    return seam_sleep(seam_after(SEAM_SECOND));
}

TEST(tasks_of_a_shielded_scope_are_not_cancelled_from_outside_the_shield)
{
    start();
    struct seam_scope outer;
    struct seam_scope inner;
    struct seam_shield shield;
    begin(&outer, SEAM_FOREVER);
    seam_shield_begin(&shield);
    begin(&inner, SEAM_FOREVER);
    seam_task *task = NULL;
    CHECK_OK(seam_spawn(&inner, sleep_for_a_second, NULL, NULL, &task));
    CHECK_OK(seam_scope_cancel(&outer));
    int result = -1;
    CHECK_OK(seam_join(task, &result, SEAM_FOREVER));
    CHECK_OK(result);
    CHECK_OK(seam_scope_end(&inner));
    seam_shield_end(&shield);
    CHECK_ERR(seam_scope_end(&outer), ECANCELED);
    stop();
}

static int shield_and_sleep(void *arg)
{
    struct seam_shield shield;
    seam_shield_begin(&shield);
    int r = seam_sleep(seam_after(SEAM_SECOND));
    seam_shield_end(&shield);
    CHECK_OK(r);
    *(int *)arg = seam_sleep(seam_after(SEAM_SECOND));
    return r;
}

TEST(a_task_shields_itself_from_its_scope)
{
    start();
    struct seam_scope scope;
    begin(&scope, SEAM_FOREVER);
    int after_shield = 0;
    CHECK_OK(seam_spawn(&scope, shield_and_sleep, &after_shield, NULL, NULL));
    CHECK_OK(seam_scope_cancel(&scope));
    CHECK_ERR(seam_scope_end(&scope), ECANCELED);
    CHECK_EQ(after_shield, -ECANCELED);
    stop();
}

/* ---- guests ---- */

static int stop_it(void *arg)
{
    (void)arg;
    int r = seam_runtime_stop(runtime, NULL, SEAM_FOREVER);
    CHECK_ERR(r, EINPROGRESS); /* from inside: it begins to stop */
    return 0;
}

TEST(a_runtime_that_stops_cancels_its_guests_and_refuses_new_ones)
{
    start();
    struct seam_scope scope;
    begin(&scope, SEAM_FOREVER);
    CHECK_OK(seam_spawn(&scope, stop_it, NULL, NULL, NULL));
    CHECK_ERR(seam_sleep(SEAM_FOREVER), ECANCELED);
    struct seam_scope late;
    CHECK_ERR(seam_scope_begin(&late, runtime, SEAM_FOREVER), ESHUTDOWN);
    CHECK_ERR(seam_spawn(&scope, stop_it, NULL, NULL, NULL), ESHUTDOWN);
    CHECK_ERR(seam_runtime_stop(runtime, NULL, SEAM_FOREVER), EINPROGRESS); /* we are a guest */
    CHECK_ERR(seam_scope_end(&scope), ECANCELED);
    CHECK_ERR(seam_scope_begin(&late, runtime, SEAM_FOREVER), ESHUTDOWN);
    stop();
}

static int hold_guest(void *arg)
{
    seam_runtime *other = arg;
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, other, SEAM_FOREVER));
    CHECK_ERR(seam_sleep(SEAM_FOREVER), ECANCELED);
    struct seam_shield shield;
    seam_shield_begin(&shield);
    CHECK_OK(seam_sleep(seam_after(SEAM_SECOND)));
    seam_shield_end(&shield);
    CHECK_ERR(seam_scope_end(&scope), ECANCELED);
    return 0;
}

/* A task of one runtime is the guest of another: either that stops cancels its scope, and the
 * stopped one waits until the scope has ended. */
TEST(a_stop_waits_for_guests_that_are_tasks_of_other_runtimes)
{
    start();
    const struct seam_options options = {.workers = 1};
    seam_runtime *other = NULL;
    CHECK_OK(seam_runtime_new(&options, &other));
    struct seam_scope scope;
    begin(&scope, SEAM_FOREVER);
    CHECK_OK(seam_spawn(&scope, hold_guest, other, NULL, NULL));
    CHECK_OK(seam_sleep(seam_after(SEAM_SECOND)));
    int64_t then_ns = seam_now_ns();
    CHECK_OK(seam_runtime_stop(other, NULL, SEAM_FOREVER));
    CHECK_EQ(seam_now_ns(), then_ns + SEAM_SECOND);
    seam_runtime_free(other);
    CHECK_OK(seam_scope_end(&scope));
    stop();
}

static _Atomic(uint32_t) has_come;
static _Atomic(uint32_t) may_go;

static void *be_a_guest(void *arg)
{
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, arg, SEAM_FOREVER));
    sm_store_relaxed(&has_come, 1);
    while (sm_load_relaxed(&may_go) == 0) {
        (void)sched_yield();
    }
    CHECK_ERR(seam_scope_end(&scope), ECANCELED);
    return NULL;
}

/* Goal: a guest that the stop has met does not touch the root when it does not count any more: the
 * runtime may be gone. Method: it is held up at the root's lock. */
TEST_ONCE(a_guest_counts_until_it_has_looked_at_the_root)
{
    const struct seam_options options = {.workers = 1};
    CHECK_OK(seam_runtime_new(&options, &runtime));
    pthread_t guest;
    CHECK_EQ(pthread_create(&guest, NULL, be_a_guest, runtime), 0);
    while (sm_load_relaxed(&has_come) == 0) {
        (void)sched_yield();
    }
    CHECK_ERR(seam_runtime_stop(runtime, NULL, SEAM_NOW), EAGAIN);
    struct sm_scope *root = sm_runtime_root(runtime);
    sm_lock(&root->lock);
    sm_store_relaxed(&may_go, 1);
    while (sm_load_relaxed(&root->lock.word) != 2) {
        (void)sched_yield();
    }
    bool is_empty = sm_scope_root_is_empty(root);
    sm_unlock(&root->lock);
    CHECK(!is_empty);
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    CHECK_EQ(pthread_join(guest, NULL), 0);
    seam_runtime_free(runtime);
}

/* ---- tasks ---- */

TEST(a_scope_that_has_ended_takes_no_tasks)
{
    start();
    struct seam_scope scope;
    begin(&scope, SEAM_FOREVER);
    CHECK_OK(seam_scope_end(&scope));
    CHECK_ERR(seam_spawn(&scope, sleep_for_a_second, NULL, NULL, NULL), EINVAL);
    stop();
}

TEST(a_task_in_a_cancelled_scope_begins_and_finds_itself_cancelled)
{
    start();
    struct seam_scope scope;
    begin(&scope, SEAM_FOREVER);
    CHECK_OK(seam_scope_cancel(&scope));
    seam_task *task = NULL;
    CHECK_OK(seam_spawn(&scope, sleep_for_a_second, NULL, NULL, &task));
    CHECK_ERR(seam_join(task, NULL, SEAM_FOREVER), ECANCELED);
    struct seam_shield shield;
    int result = 0;
    seam_shield_begin(&shield);
    CHECK_OK(seam_join(task, &result, SEAM_FOREVER));
    seam_shield_end(&shield);
    CHECK_EQ(result, -ECANCELED);
    CHECK_ERR(seam_scope_end(&scope), ECANCELED);
    stop();
}
