/* SPDX-License-Identifier: MIT */
/*
 * boundary/ends.c - runtimes that end while somebody needs them: rows f, n and p.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "boundary/flavours.h"

static int wait_for_ever(void *arg)
{
    return seam_event_wait(arg, SEAM_FOREVER);
}

static int do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

/* ---- f: a runtime ended by a task ---- */

static int end_another(void *arg)
{
    const struct seam_options *options = arg;
    seam_runtime *runtime = new_runtime(options);
    struct seam_event never = SEAM_EVENT_INIT;
    CHECK_OK(seam_spawn(seam_runtime_root(runtime), wait_for_ever, &never, NULL, NULL));
    end_runtime(runtime);
    return 0;
}

/* Row f. Tokio panics when the last handle is dropped in a task: "Cannot drop a runtime in a
 * context where blocking is not allowed". */
ON_EVERY_RUNTIME(a_task_may_end_another_runtime)
{
    CHECK_OK(seam_run(options, end_another, (void *)(uintptr_t)options));
}

static int stop_own(void *arg)
{
    CHECK_ERR(seam_runtime_stop(arg, NULL, SEAM_FOREVER), EINPROGRESS);
    struct seam_event never = SEAM_EVENT_INIT;
    CHECK_ERR(seam_event_wait(&never, SEAM_FOREVER), ECANCELED);
    CHECK_ERR(seam_spawn(seam_runtime_root(arg), do_nothing, NULL, NULL, NULL), ESHUTDOWN);
    return 0;
}

ON_EVERY_RUNTIME(a_task_may_begin_the_end_of_its_own_runtime)
{
    seam_runtime *runtime = new_runtime(options);
    CHECK_OK(seam_call(runtime, stop_own, runtime, NULL, SEAM_FOREVER));
    end_runtime(runtime);
}

static int stop_own_from_the_pool(void *arg)
{
    int result = 0;
    CHECK_OK(seam_block(NULL, stop_own, arg, &result, SEAM_FOREVER));
    return result;
}

ON_EVERY_RUNTIME(a_pool_job_may_begin_the_end_of_its_own_runtime)
{
    seam_runtime *runtime = new_runtime(options);
    CHECK_OK(seam_call(runtime, stop_own_from_the_pool, runtime, NULL, SEAM_FOREVER));
    end_runtime(runtime);
}

static int stop_while_cancelled(void *arg)
{
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_scope_cancel(&scope));
    CHECK_ERR(seam_runtime_stop(arg, NULL, SEAM_FOREVER), ECANCELED);
    /* Cancelled, but the runtime is stopping all the same. */
    CHECK_ERR(seam_spawn(seam_runtime_root(arg), do_nothing, NULL, NULL, NULL), ESHUTDOWN);
    CHECK_ERR(seam_scope_end(&scope), ECANCELED);
    return 0;
}

ON_EVERY_RUNTIME(a_cancelled_task_still_begins_the_end_of_another_runtime)
{
    seam_runtime *runtime = new_runtime(options);
    struct seam_event never = SEAM_EVENT_INIT;
    CHECK_OK(seam_spawn(seam_runtime_root(runtime), wait_for_ever, &never, NULL, NULL));
    CHECK_OK(seam_run(options, stop_while_cancelled, runtime));
    end_runtime(runtime);
}

struct stubborn {
    struct seam_event runs;
    struct seam_event may_end;
};

static int ignore_the_end(void *arg)
{
    struct stubborn *stubborn = arg;
    struct seam_shield shield;
    seam_shield_begin(&shield);
    seam_event_set(&stubborn->runs);
    CHECK_OK(seam_event_wait(&stubborn->may_end, SEAM_FOREVER));
    seam_shield_end(&shield);
    return 0;
}

static void *call_stubborn(void *arg)
{
    struct stubborn *stubborn = ((void **)arg)[1];
    CHECK_OK(seam_call(((void **)arg)[0], ignore_the_end, stubborn, NULL, SEAM_FOREVER));
    return NULL;
}

ON_EVERY_RUNTIME(stopping_has_a_deadline_and_can_be_asked_for_again)
{
    seam_runtime *runtime = new_runtime(options);
    struct stubborn stubborn = {};
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, call_stubborn, (void *[]){runtime, &stubborn}), 0);
    CHECK_OK(seam_event_wait(&stubborn.runs, SEAM_FOREVER));
    CHECK_ERR(seam_runtime_stop(runtime, NULL, SEAM_NOW), EAGAIN);
    CHECK_ERR(seam_runtime_stop(runtime, NULL, seam_after(SEAM_MILLISECOND)), ETIMEDOUT);
    CHECK_ERR(seam_call(runtime, do_nothing, NULL, NULL, SEAM_FOREVER), ESHUTDOWN);
    seam_event_set(&stubborn.may_end);
    end_runtime(runtime);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* ---- n: a runtime that has ended ---- */

static void count_destroyed(void *arg, int result)
{
    CHECK_EQ(result, -ECANCELED);
    (*(int *)arg)++;
}

/* Row n. Tokio: the JoinHandle reports "cancelled", as if the task had begun. */
ON_EVERY_RUNTIME(what_is_started_in_a_runtime_that_has_stopped_is_refused)
{
    seam_runtime *runtime = new_runtime(options);
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));

    struct seam_scope scope;
    seam_task *task = NULL;
    int destroyed = 0;
    CHECK_ERR(seam_scope_begin(&scope, runtime, SEAM_FOREVER), ESHUTDOWN);
    CHECK_ERR(seam_spawn(seam_runtime_root(runtime), do_nothing, NULL, NULL, &task), ESHUTDOWN);
    CHECK(task == NULL);
    CHECK_ERR(seam_call(runtime, do_nothing, NULL, NULL, SEAM_FOREVER), ESHUTDOWN);
    CHECK_ERR(seam_call_owned(runtime, do_nothing, &destroyed, count_destroyed, NULL, SEAM_FOREVER),
            ESHUTDOWN);
    CHECK_EQ(destroyed, 1);
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_runtime_free(runtime);
}

static int use_a_dead_one(void *arg)
{
    struct seam_scope scope;
    int destroyed = 0;
    CHECK_ERR(seam_scope_begin(&scope, arg, SEAM_FOREVER), ESHUTDOWN);
    CHECK_ERR(seam_spawn(seam_runtime_root(arg), do_nothing, NULL, NULL, NULL), ESHUTDOWN);
    CHECK_ERR(seam_call(arg, do_nothing, NULL, NULL, SEAM_FOREVER), ESHUTDOWN);
    CHECK_ERR(seam_call_owned(arg, do_nothing, &destroyed, count_destroyed, NULL, SEAM_FOREVER),
            ESHUTDOWN);
    CHECK_EQ(destroyed, 1);
    return 0;
}

ON_EVERY_RUNTIME(a_task_is_refused_by_another_runtime_that_has_stopped)
{
    seam_runtime *runtime = new_runtime(options);
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    CHECK_OK(seam_run(options, use_a_dead_one, runtime));
    seam_runtime_free(runtime);
}

enum { CALLERS = 4 };

/* Callers and a stopper meet in every order; nobody hangs, everybody gets an answer. */
static void *call_until_refused(void *arg)
{
    int r = 0;
    while (r == 0) {
        r = seam_call(arg, do_nothing, NULL, NULL, SEAM_FOREVER);
    }
    CHECK(r == -ESHUTDOWN || r == -ECANCELED);
    return NULL;
}

ON_EVERY_RUNTIME(callers_that_meet_the_end_of_a_runtime_are_told)
{
    seam_runtime *runtime = new_runtime(options);
    pthread_t callers[CALLERS];
    for (int i = 0; i < CALLERS; i++) {
        CHECK_EQ(pthread_create(&callers[i], NULL, call_until_refused, runtime), 0);
    }
    CHECK_OK(seam_call(runtime, do_nothing, NULL, NULL, SEAM_FOREVER));
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    for (int i = 0; i < CALLERS; i++) {
        CHECK_EQ(pthread_join(callers[i], NULL), 0);
    }
    seam_runtime_free(runtime);
}

static void forget(void *arg, int result)
{
    (void)arg;
    (void)result;
}

static void *call_owned_until_refused(void *arg)
{
    int r = 0;
    while (r == 0) {
        r = seam_call_owned(arg, do_nothing, NULL, forget, NULL, SEAM_FOREVER);
    }
    CHECK(r == -ESHUTDOWN || r == -ECANCELED);
    return NULL;
}

ON_EVERY_RUNTIME(owned_callers_that_meet_the_end_of_a_runtime_are_told)
{
    seam_runtime *runtime = new_runtime(options);
    pthread_t callers[CALLERS];
    for (int i = 0; i < CALLERS; i++) {
        CHECK_EQ(pthread_create(&callers[i], NULL, call_owned_until_refused, runtime), 0);
    }
    CHECK_OK(seam_call(runtime, do_nothing, NULL, NULL, SEAM_FOREVER));
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    for (int i = 0; i < CALLERS; i++) {
        CHECK_EQ(pthread_join(callers[i], NULL), 0);
    }
    seam_runtime_free(runtime);
}

static void *stop_too(void *arg)
{
    CHECK_OK(seam_runtime_stop(arg, NULL, SEAM_FOREVER));
    return NULL;
}

ON_EVERY_RUNTIME(a_runtime_may_be_stopped_from_several_threads_at_once)
{
    seam_runtime *runtime = new_runtime(options);
    struct seam_event never = SEAM_EVENT_INIT;
    CHECK_OK(seam_spawn(seam_runtime_root(runtime), wait_for_ever, &never, NULL, NULL));
    pthread_t stoppers[CALLERS];
    for (int i = 0; i < CALLERS; i++) {
        CHECK_EQ(pthread_create(&stoppers[i], NULL, stop_too, runtime), 0);
    }
    for (int i = 0; i < CALLERS; i++) {
        CHECK_EQ(pthread_join(stoppers[i], NULL), 0);
    }
    seam_runtime_free(runtime);
}

struct watched {
    seam_runtime *runtime;
    _Atomic(bool) has_stopped;
};

static void *watch_figures(void *arg)
{
    struct watched *watched = arg;
    while (!atomic_load(&watched->has_stopped)) {
        struct seam_runtime_stats stats;
        seam_runtime_stats_read(watched->runtime, &stats);
        CHECK(stats.tasks_live <= stats.tasks_spawned);
    }
    return NULL;
}

static int use_the_pool(void *arg)
{
    return seam_block(NULL, do_nothing, arg, NULL, SEAM_FOREVER);
}

ON_EVERY_RUNTIME(the_figures_may_be_read_while_a_runtime_stops)
{
    struct watched watched = {.runtime = new_runtime(options)};
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, watch_figures, &watched), 0);
    CHECK_OK(seam_call(watched.runtime, use_the_pool, NULL, NULL, SEAM_FOREVER));
    CHECK_OK(seam_runtime_stop(watched.runtime, NULL, SEAM_FOREVER));
    atomic_store(&watched.has_stopped, true);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    seam_runtime_free(watched.runtime);
}

static void *poll_until_stopped(void *arg)
{
    int r = 0;
    while (r >= 0 || r == -EBUSY) {
        r = seam_runtime_poll(arg);
    }
    CHECK_EQ(r, -ESHUTDOWN);
    return NULL;
}

/* On current-thread only: others are not polled. */
TEST(a_thread_that_polls_a_runtime_is_told_of_its_end)
{
    seam_runtime *runtime = new_runtime(&(struct seam_options){.current_thread = true});
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, poll_until_stopped, runtime), 0);
    CHECK_OK(seam_call(runtime, do_nothing, NULL, NULL, SEAM_FOREVER));
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    CHECK_EQ(pthread_join(thread, NULL), 0);
    seam_runtime_free(runtime);
}

/* ---- p: a job that was given up ---- */

struct job {
    struct gate gate;
    struct gate begun;
    struct gate destroyed;
    int result;
};

static int block_at_the_gate(void *arg)
{
    struct job *job = arg;
    gate_open(&job->begun);
    gate_pass(&job->gate);
    return 5;
}

static void note_destroyed(void *arg, int result)
{
    struct job *job = arg;
    job->result = result;
    gate_open(&job->destroyed);
}

static SEAM_SUSPENDS bool is_open(const struct gate *gate)
{
    return seam_await_fd(gate->fds[0], SEAM_READABLE, SEAM_NOW) > 0;
}

static int give_up(void *arg)
{
    struct job *job = arg;
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    /* With a deadline only, the job might not have begun when it passes; then it is given back. Which
     * of the two it was may show a little later. */
    while (!is_open(&job->begun)) {
        CHECK_ERR(seam_block_owned(NULL, block_at_the_gate, job, note_destroyed, NULL,
                          seam_after(20 * SEAM_MILLISECOND)),
                ETIMEDOUT);
        while (!is_open(&job->begun) && !is_open(&job->destroyed)) {
            (void)seam_yield();
        }
        if (is_open(&job->destroyed)) {
            gate_pass(&job->destroyed);
            CHECK_EQ(job->result, -ECANCELED);
        }
    }
    CHECK_OK(seam_scope_end(&scope));
    return 0;
}

/* Row p, a time-out around spawn_blocking(). In Tokio it fires, but dropping the runtime then waits
 * for the job, for ever here: the gate opens only after the runtime has ended. */
ON_EVERY_RUNTIME(a_job_that_was_given_up_does_not_hold_the_end_beyond_the_grace)
{
    struct job job = {};
    gate_init(&job.gate);
    gate_init(&job.begun);
    gate_init(&job.destroyed);
    struct seam_options impatient = *options;
    impatient.grace_ns = 1;
    seam_runtime *runtime = new_runtime(&impatient);
    CHECK_OK(seam_call(runtime, give_up, &job, NULL, SEAM_FOREVER));
    end_runtime(runtime);
    gate_open(&job.gate);
    gate_pass(&job.destroyed);
    CHECK_EQ(job.result, 5);
    gate_fini(&job.gate);
    gate_fini(&job.begun);
    gate_fini(&job.destroyed);
}
