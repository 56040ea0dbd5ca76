/* SPDX-License-Identifier: MIT */
/*
 * boundary/calls.c - synchronous code that needs what tasks do: rows a, b, g and q.
 */
#include <pthread.h>

#include "boundary/flavours.h"

/* ---- a and b: a call inside a task ---- */

struct rendezvous {
    struct seam_event asked;
    struct seam_event answered;
};

static int answer(void *arg)
{
    struct rendezvous *rendezvous = arg;
    int r = seam_event_wait(&rendezvous->asked, SEAM_FOREVER);
    seam_event_set(&rendezvous->answered);
    return r;
}

static int ask(void *arg)
{
    struct rendezvous *rendezvous = arg;
    seam_event_set(&rendezvous->asked);
    int r = seam_event_wait(&rendezvous->answered, SEAM_FOREVER);
    return r == 0 ? 42 : r;
}

/* A plain function that knows nothing of who calls it, and needs the runtime. */
static int ask_synchronously(struct rendezvous *rendezvous)
{
    int result = 0;
    CHECK_OK(seam_call(NULL, ask, rendezvous, &result, SEAM_FOREVER));
    return result;
}

static int ask_beside_an_answerer(void *arg)
{
    (void)arg;
    struct rendezvous rendezvous = {SEAM_EVENT_INIT, SEAM_EVENT_INIT};
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, answer, &rendezvous, NULL, NULL));
    int result = ask_synchronously(&rendezvous);
    CHECK_OK(seam_scope_end(&scope));
    return result;
}

/* Row a. Tokio panics: "Cannot start a runtime from within a runtime". */
ON_EVERY_RUNTIME(a_call_inside_a_task_suspends_the_task_and_its_worker_goes_on)
{
    seam_runtime *runtime = new_runtime(options);
    int result = 0;
    CHECK_OK(seam_call(runtime, ask_beside_an_answerer, NULL, &result, SEAM_FOREVER));
    CHECK_EQ(result, 42);
    end_runtime(runtime);
}

/* Row b, the same below main()'s door. Tokio panics. */
ON_EVERY_RUNTIME(a_call_inside_seam_run_suspends_the_task_and_its_worker_goes_on)
{
    CHECK_EQ(seam_run(options, ask_beside_an_answerer, NULL), 42);
}

/* ---- g: a current-thread runtime that nobody drives ---- */

static int sleep_a_little(void *arg)
{
    (void)arg;
    int r = seam_sleep(seam_after(SEAM_MILLISECOND));
    return r == 0 ? 7 : r;
}

/* Row g. Tokio hangs: Handle::block_on() does not drive timers or I/O. */
ON_EVERY_RUNTIME(a_call_drives_a_runtime_that_nobody_else_drives)
{
    seam_runtime *runtime = new_runtime(options);
    int result = 0;
    CHECK_OK(seam_call(runtime, sleep_a_little, NULL, &result, SEAM_FOREVER));
    CHECK_EQ(result, 7);
    end_runtime(runtime);
}

static void pass_nothing_to(void *arg, int result)
{
    (void)arg;
    (void)result;
}

ON_EVERY_RUNTIME(an_owned_call_drives_a_runtime_that_nobody_else_drives)
{
    seam_runtime *runtime = new_runtime(options);
    int result = 0;
    CHECK_OK(
            seam_call_owned(runtime, sleep_a_little, NULL, pass_nothing_to, &result, SEAM_FOREVER));
    CHECK_EQ(result, 7);
    end_runtime(runtime);
}

static int call_the_other(void *arg)
{
    int result = 0;
    CHECK_OK(seam_call(arg, sleep_a_little, NULL, &result, SEAM_FOREVER));
    return result;
}

ON_EVERY_RUNTIME(a_task_of_another_runtime_can_call_one_that_nobody_drives)
{
    seam_runtime *runtime = new_runtime(options);
    CHECK_EQ(seam_run(options, call_the_other, runtime), 7);
    end_runtime(runtime);
}

static int call_the_other_owned(void *arg)
{
    int result = 0;
    CHECK_OK(seam_call_owned(arg, sleep_a_little, NULL, pass_nothing_to, &result, SEAM_FOREVER));
    return result;
}

ON_EVERY_RUNTIME(a_task_of_another_runtime_can_make_an_owned_call_to_one_that_nobody_drives)
{
    seam_runtime *runtime = new_runtime(options);
    CHECK_EQ(seam_run(options, call_the_other_owned, runtime), 7);
    end_runtime(runtime);
}

struct owned_arg {
    struct seam_event never;
    int destroyed;
    int result;
};

static void note_the_end(void *arg, int result)
{
    struct owned_arg *owned = arg;
    owned->destroyed++;
    owned->result = result;
}

static int call_the_other_owned_while_cancelled(void *arg)
{
    struct owned_arg owned = {.never = SEAM_EVENT_INIT};
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_scope_cancel(&scope));
    CHECK_ERR(seam_call_owned(arg, sleep_a_little, &owned, note_the_end, NULL, SEAM_FOREVER),
            ECANCELED);
    CHECK_EQ(owned.destroyed, 1);
    CHECK_EQ(owned.result, -ECANCELED);
    CHECK_ERR(seam_scope_end(&scope), ECANCELED);
    return 0;
}

ON_EVERY_RUNTIME(a_cancelled_owned_call_to_another_runtime_destroys_its_context_once)
{
    seam_runtime *runtime = new_runtime(options);
    CHECK_OK(seam_run(options, call_the_other_owned_while_cancelled, runtime));
    end_runtime(runtime);
}

/* The first caller drives, and its own function ends first: the second must take over. */
struct relay {
    seam_runtime *runtime;
    struct seam_event first_runs;
    struct seam_event second_runs;
    struct seam_event first_ended;
};

static int run_first(void *arg)
{
    struct relay *relay = arg;
    seam_event_set(&relay->first_runs);
    return seam_event_wait(&relay->second_runs, SEAM_FOREVER);
}

static int run_second(void *arg)
{
    struct relay *relay = arg;
    seam_event_set(&relay->second_runs);
    int r = seam_event_wait(&relay->first_ended, SEAM_FOREVER);
    return r == 0 ? sleep_a_little(NULL) : r;
}

static void *call_first(void *arg)
{
    struct relay *relay = arg;
    int result = 0;
    CHECK_OK(seam_call(relay->runtime, run_first, relay, &result, SEAM_FOREVER));
    CHECK_EQ(result, 0);
    seam_event_set(&relay->first_ended);
    return NULL;
}

ON_EVERY_RUNTIME(when_the_caller_that_drove_leaves_another_caller_drives)
{
    struct relay relay = {.runtime = new_runtime(options)};
    pthread_t first;
    CHECK_EQ(pthread_create(&first, NULL, call_first, &relay), 0);
    CHECK_OK(seam_event_wait(&relay.first_runs, SEAM_FOREVER));
    int result = 0;
    CHECK_OK(seam_call(relay.runtime, run_second, &relay, &result, SEAM_FOREVER));
    CHECK_EQ(result, 7);
    CHECK_EQ(pthread_join(first, NULL), 0);
    end_runtime(relay.runtime);
}

/* ---- q: the deadline belongs to the call ---- */

static int wait_for_ever(void *arg)
{
    return seam_event_wait(arg, SEAM_FOREVER);
}

static int call_with_a_deadline(void *arg)
{
    struct seam_event never = SEAM_EVENT_INIT;
    int result = -ECANCELED;
    int r = seam_call(arg, wait_for_ever, &never, &result, seam_after(5 * SEAM_MILLISECOND));
    CHECK(r == 0 || r == -ETIMEDOUT); /* the latter on a machine so busy that it did not begin */
    CHECK_EQ(result, -ECANCELED);
    return 0;
}

/* Row q, timeout(50 ms, handle.block_on(f)). Tokio evaluates the argument first and is blocked for
 * as long as f takes, for ever here. */
ON_EVERY_RUNTIME(the_deadline_of_a_call_reaches_what_it_calls)
{
    seam_runtime *runtime = new_runtime(options);
    CHECK_OK(call_with_a_deadline(runtime));
    end_runtime(runtime);
    CHECK_OK(seam_run(options, call_with_a_deadline, NULL));
}

ON_EVERY_RUNTIME(the_deadline_of_a_call_from_a_task_reaches_into_another_runtime)
{
    seam_runtime *runtime = new_runtime(options);
    CHECK_OK(seam_run(options, call_with_a_deadline, runtime));
    end_runtime(runtime);
}

static int must_not_run(void *arg)
{
    (void)arg;
    CHECK(false);
    return 0;
}

static int call_too_late(void *arg)
{
    int result = 1;
    CHECK_ERR(seam_call(arg, must_not_run, NULL, &result, SEAM_NOW), EAGAIN);
    CHECK_ERR(seam_call(arg, must_not_run, NULL, &result, seam_now_ns()), ETIMEDOUT);
    CHECK_EQ(result, 1);
    return 0;
}

ON_EVERY_RUNTIME(what_is_called_after_its_deadline_does_not_run)
{
    seam_runtime *runtime = new_runtime(options);
    CHECK_OK(call_too_late(runtime));
    CHECK_OK(seam_run(options, call_too_late, runtime));
    CHECK_OK(seam_run(options, call_too_late, NULL));
    end_runtime(runtime);
}

static int wait_inside_a_deadline(void *arg)
{
    struct seam_scope scope;
    struct seam_event never = SEAM_EVENT_INIT;
    CHECK_OK(seam_scope_begin(&scope, arg, seam_after(SEAM_MILLISECOND)));
    CHECK_ERR(seam_event_wait(&never, SEAM_FOREVER), ECANCELED);
    CHECK_ERR(seam_scope_end(&scope), ETIMEDOUT);
    return 0;
}

/* The scope names a runtime, but the wait is the thread's own: nobody drives the runtime, and the
 * deadline holds all the same. */
ON_EVERY_RUNTIME(the_deadline_of_a_threads_scope_ends_its_own_waits)
{
    seam_runtime *runtime = new_runtime(options);
    CHECK_OK(wait_inside_a_deadline(runtime));
    end_runtime(runtime);
}

static int read_inside_a_deadline(void *arg)
{
    struct gate gate;
    gate_init(&gate);
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, arg, seam_after(SEAM_MILLISECOND)));
    char byte = 0;
    CHECK_ERR(seam_read(gate.fds[0], &byte, 1, SEAM_FOREVER), ECANCELED);
    CHECK_ERR(seam_scope_end(&scope), ETIMEDOUT);
    CHECK_OK(seam_release(gate.fds[0]));
    gate_fini(&gate);
    return 0;
}

static void *read_in_a_thread(void *arg)
{
    CHECK_OK(read_inside_a_deadline(arg));
    return NULL;
}

/* In a thread that ends: one that has polled once keeps a descriptor for the next time. */
ON_EVERY_RUNTIME(the_deadline_of_a_threads_scope_ends_its_own_reads)
{
    seam_runtime *runtime = new_runtime(options);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, read_in_a_thread, runtime), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_OK(seam_run(options, read_inside_a_deadline, NULL));
    end_runtime(runtime);
}

ON_EVERY_RUNTIME(the_deadline_of_a_tasks_scope_in_another_runtime_ends_its_own_waits)
{
    seam_runtime *runtime = new_runtime(options);
    CHECK_OK(seam_run(options, wait_inside_a_deadline, runtime));
    end_runtime(runtime);
}

static int wait_inside_an_inherited_deadline(void *arg)
{
    struct seam_event never = SEAM_EVENT_INIT;
    return seam_event_wait(&never, SEAM_FOREVER) == -ECANCELED ? seam_scope_cancel(arg) : 1;
}

/* A blocking job's deadline ends what the job waits for in seam. */
static int block_with_a_deadline(void *arg)
{
    (void)arg;
    struct seam_event never = SEAM_EVENT_INIT;
    int result = -ECANCELED;
    int r = seam_block(NULL, wait_for_ever, &never, &result, seam_after(5 * SEAM_MILLISECOND));
    CHECK(r == 0 || r == -ETIMEDOUT); /* as above */
    CHECK_EQ(result, -ECANCELED);
    return 0;
}

ON_EVERY_RUNTIME(the_deadline_of_a_blocking_job_ends_its_waits)
{
    CHECK_OK(seam_run(options, block_with_a_deadline, NULL));
}

static int cancel_while_another_waits(void *arg)
{
    (void)arg;
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    seam_task *task = NULL;
    CHECK_OK(seam_spawn(&scope, wait_inside_an_inherited_deadline, &scope, NULL, &task));
    CHECK_OK(seam_yield());
    CHECK_OK(seam_scope_cancel(&scope));
    CHECK_ERR(seam_scope_end(&scope), ECANCELED);
    return 0;
}

ON_EVERY_RUNTIME(a_cancelled_task_may_cancel_its_own_scope_again)
{
    CHECK_OK(seam_run(options, cancel_while_another_waits, NULL));
}
