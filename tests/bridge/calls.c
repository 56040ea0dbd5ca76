/* SPDX-License-Identifier: MIT */
/*
 * bridge/calls.c - what a synchronous library expects of its bridge, whoever calls.
 */
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "boundary/flavours.h"
#include "bridge/doors.h"
#include "time/clock.h"

/* ---- from everywhere ---- */

struct sum {
    int a;
    int b;
    int sum;
};

static int add(void *arg)
{
    struct sum *sum = arg;
    sum->sum = sum->a + sum->b;
    return sum->sum;
}

/* A synchronous function of the library, which borrows its caller's frame. */
static int add_synchronously(seam_bridge *bridge, int a, int b)
{
    struct sum sum = {.a = a, .b = b};
    struct seam_reply reply;
    CHECK_OK(seam_bridge_call(bridge, add, &sum, &reply, SEAM_FOREVER));
    CHECK_EQ(reply.result, a + b);
    CHECK_EQ(sum.sum, a + b);
    CHECK_EQ(reply.frame_count, 0);
    CHECK_EQ(reply.message[0], '\0');
    return reply.result;
}

static int add_in_task(void *arg)
{
    return add_synchronously(arg, 1, 2);
}

static int add_in_pool(void *arg)
{
    int result = 0;
    CHECK_OK(seam_block(NULL, add_in_task, arg, &result, SEAM_FOREVER));
    return result;
}

static seam_bridge *compared_with; /* qsort() passes no context on */

static int compare(const void *a, const void *b)
{
    CHECK_EQ(add_synchronously(compared_with, 20, 22), 42);
    return *(const int *)a - *(const int *)b;
}

static int add_below_qsort(void *arg)
{
    int numbers[] = {3, 1, 2};
    compared_with = arg;
    qsort(numbers, 3, sizeof numbers[0], compare);
    return 0;
}

ON_EVERY_BRIDGE(a_plain_thread_calls)
{
    struct door door;
    door_open(&door, kind, 0);
    CHECK_EQ(add_synchronously(door.bridge, 1, 2), 3);
    door_close(&door);
}

ON_EVERY_BRIDGE(a_task_of_another_runtime_a_pool_job_and_a_callback_call)
{
    struct door door;
    door_open(&door, kind, 0);
    CHECK_EQ(seam_run(&kind->runtime, add_in_task, door.bridge), 3);
    CHECK_EQ(seam_run(&kind->runtime, add_in_pool, door.bridge), 3);
    CHECK_OK(seam_run(&kind->runtime, add_below_qsort, door.bridge));
    door_close(&door);
}

/* ---- the caller's runtime goes on ---- */

struct ticker {
    seam_bridge *bridge;
    int ticks;
    struct seam_event ticked;
};

static int tick(void *arg)
{
    struct ticker *ticker = arg;
    for (int i = 0; i < 3; i++) {
        CHECK_OK(seam_yield());
        ticker->ticks++;
    }
    seam_event_set(&ticker->ticked);
    return 0;
}

static int wait_for_ticks(void *arg)
{
    struct ticker *ticker = arg;
    CHECK_OK(seam_event_wait(&ticker->ticked, SEAM_FOREVER));
    return ticker->ticks;
}

static int call_beside_a_ticker(void *arg)
{
    struct ticker ticker = {.bridge = arg, .ticked = SEAM_EVENT_INIT};
    struct seam_scope scope;
    struct seam_reply reply;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, tick, &ticker, NULL, NULL));
    CHECK_OK(seam_bridge_call(ticker.bridge, wait_for_ticks, &ticker, &reply, SEAM_FOREVER));
    CHECK_EQ(reply.result, 3);
    return seam_scope_end(&scope);
}

/* A worker thread behind a channel blocks the caller's thread, and with it the tick. */
ON_EVERY_BRIDGE(a_ticker_beside_the_caller_ticks_during_the_call)
{
    struct door door;
    door_open(&door, kind, 0);
    const struct seam_options options = {.current_thread = true};
    CHECK_OK(seam_run(&options, call_beside_a_ticker, door.bridge));
    if (door.runtime != NULL) {
        struct seam_reply reply;
        CHECK_OK(seam_bridge_call(
                door.bridge, call_beside_a_ticker, door.bridge, &reply, SEAM_FOREVER));
        CHECK_EQ(reply.result, 0);
    }
    door_close(&door);
}

struct pair {
    seam_bridge *bridge;
    struct seam_semaphore here;
    struct seam_event both;
    _Atomic(int) count;
};

static int meet(void *arg)
{
    struct pair *pair = arg;
    if (atomic_fetch_add(&pair->count, 1) == 1) seam_event_set(&pair->both);
    int r = seam_event_wait(&pair->both, SEAM_FOREVER);
    return r == 0 ? 42 : r;
}

static int call_to_meet(void *arg)
{
    struct pair *pair = arg;
    struct seam_reply reply;
    CHECK_OK(seam_bridge_call(pair->bridge, meet, pair, &reply, SEAM_FOREVER));
    CHECK_EQ(reply.result, 42);
    return 0;
}

static int call_twice_at_once(void *arg)
{
    struct pair pair = {.bridge = arg, .both = SEAM_EVENT_INIT};
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, call_to_meet, &pair, NULL, NULL));
    CHECK_OK(seam_spawn(&scope, call_to_meet, &pair, NULL, NULL));
    return seam_scope_end(&scope);
}

ON_EVERY_BRIDGE(both_workers_of_a_runtime_call_at_once)
{
    struct door door;
    door_open(&door, kind, 0);
    const struct seam_options two = {.workers = 2};
    CHECK_OK(seam_run(&two, call_twice_at_once, door.bridge));
    door_close(&door);
}

/* ---- threads ---- */

static int count_threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks != NULL);
    int count = 0;
    while (readdir(tasks) != NULL)
        count++;
    CHECK_EQ(closedir(tasks), 0);
    return count;
}

static void call_and_count_threads(const struct kind *kind, int calls)
{
    struct door door;
    door_open(&door, kind, 0);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(add_synchronously(door.bridge, i, i), 2 * i);
    int before = count_threads();
    for (int i = 0; i < calls; i++)
        CHECK_EQ(add_synchronously(door.bridge, i, i), 2 * i);
    CHECK(count_threads() <= before);
    door_close(&door);
}

ON_EVERY_BRIDGE(a_thousand_calls_need_no_more_threads_than_five)
{
    call_and_count_threads(kind, 1000);
}

TEST(ten_thousand_calls_need_no_more_threads_than_five)
{
    check_time_limit(60);
    call_and_count_threads(&(struct kind){.is_private = true, .runtime.workers = 2}, 10000);
}

/* The runner finds that no thread is left behind; that the bridge had one is found here. */
TEST(a_closed_bridge_has_no_thread)
{
    int before = count_threads();
    struct door door;
    door_open(&door, &(struct kind){.is_private = true, .runtime.workers = 1}, 0);
    CHECK(count_threads() > before);
    door_close(&door);
    while (count_threads() > before)
        (void)sched_yield();
}

static int has_name(void *arg)
{
    char name[32] = "";
    FILE *comm = fopen("/proc/thread-self/comm", "re");
    CHECK(comm != NULL);
    CHECK(fgets(name, sizeof name, comm) != NULL);
    CHECK_EQ(fclose(comm), 0);
    name[strcspn(name, "\n")] = '\0';
    CHECK_EQ(strcmp(name, arg), 0);
    return 0;
}

TEST(fifteen_characters_name_the_bridge_and_its_thread_and_sixteen_are_refused)
{
    seam_bridge *bridge = NULL;
    char name[] = "0123456789abcdef";
    CHECK_ERR(seam_bridge_new(&(struct seam_bridge_options){.name = name}, &bridge), EINVAL);
    CHECK_ERR(seam_bridge_new(&(struct seam_bridge_options){.name = ""}, &bridge), EINVAL);
    CHECK_ERR(seam_bridge_new(&(struct seam_bridge_options){}, &bridge), EINVAL);
    CHECK(bridge == NULL);
    name[15] = '\0';
    CHECK_OK(seam_bridge_new(&(struct seam_bridge_options){.name = name}, &bridge));
    CHECK_OK(seam_bridge_call(bridge, has_name, name, NULL, SEAM_FOREVER));
    CHECK_OK(seam_bridge_close(bridge, NULL, SEAM_FOREVER));
    seam_bridge_free(bridge);
}

/* ---- at once ---- */

enum { CROWD = 64 };

static int sleep_a_quarter(void *arg)
{
    (void)arg;
    return seam_sleep(seam_after(250 * SEAM_MILLISECOND));
}

static void *call_to_sleep(void *arg)
{
    CHECK_OK(seam_bridge_call(arg, sleep_a_quarter, NULL, NULL, SEAM_FOREVER));
    sm_clock_idle();
    return NULL;
}

/* Virtual: the sum of all sleeps is the longest of them, exactly. */
ON_EVERY_BRIDGE(sixty_four_callers_wait_a_quarter_second_together)
{
    sm_clock_make_virtual(1000);
    struct door door;
    door_open(&door, kind, 0);
    pthread_t threads[CROWD];
    int64_t then_ns = seam_now_ns();
    for (int i = 0; i < CROWD; i++) {
        sm_clock_busy();
        CHECK_EQ(pthread_create(&threads[i], NULL, call_to_sleep, door.bridge), 0);
    }
    sm_clock_idle(); /* who joins threads does not run */
    for (int i = 0; i < CROWD; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    sm_clock_busy();
    CHECK_EQ(seam_now_ns(), then_ns + 250 * SEAM_MILLISECOND);
    door_close(&door);
    sm_clock_make_real();
}

/* A function that blocks its thread, in the kernel and without telling anybody. */
static int pass_the_gate(void *arg)
{
    gate_pass(arg);
    return 0;
}

static int open_the_gate(void *arg)
{
    gate_open(arg);
    return 0;
}

struct blocker {
    seam_bridge *bridge;
    struct gate gate;
};

static void *call_to_block(void *arg)
{
    struct blocker *blocker = arg;
    CHECK_OK(seam_bridge_call(blocker->bridge, pass_the_gate, &blocker->gate, NULL, SEAM_FOREVER));
    return NULL;
}

static void block_beside_others(const struct kind *kind)
{
    struct door door;
    door_open(&door, kind, 0);
    struct blocker blocker = {.bridge = door.bridge};
    gate_init(&blocker.gate);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, call_to_block, &blocker), 0);
    struct seam_bridge_stats stats = {};
    while (stats.in_flight == 0)
        seam_bridge_stats_read(door.bridge, &stats);
    CHECK_OK(seam_bridge_call(door.bridge, open_the_gate, &blocker.gate, NULL, SEAM_FOREVER));
    CHECK_EQ(pthread_join(thread, NULL), 0);
    gate_fini(&blocker.gate);
    door_close(&door);
}

/* The gate opens only from inside, and there is one worker. */
TEST(a_call_that_blocks_its_worker_holds_up_no_other)
{
    block_beside_others(&(struct kind){.runtime.workers = 1});
    block_beside_others(&(struct kind){.runtime.workers = 1, .is_private = true});
}

/* ---- failing ---- */

static int break_down(void *arg)
{
    return seam_fail(-EIO, "shelf %d is %s", *(const int *)arg, "empty");
}

static int break_down_in_a_task_of_its_own(void *arg)
{
    struct seam_scope scope;
    seam_task *task = NULL;
    int result = 0;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, break_down, arg, NULL, &task));
    CHECK_OK(seam_join(task, &result, SEAM_FOREVER));
    CHECK_OK(seam_scope_end(&scope));
    return result;
}

static int break_down_in_the_pool(void *arg)
{
    int result = 0;
    CHECK_OK(seam_block(NULL, break_down, arg, &result, SEAM_FOREVER));
    return result;
}

static int return_seven(void *arg)
{
    (void)arg;
    return 7;
}

static void check_failure(seam_bridge *bridge, seam_fn *fn)
{
    int shelf = 12;
    struct seam_reply reply;
    CHECK_OK(seam_bridge_call(bridge, fn, &shelf, &reply, SEAM_FOREVER));
    CHECK_EQ(reply.result, -EIO);
    CHECK_EQ(strcmp(reply.message, "shelf 12 is empty"), 0);
    CHECK(reply.frame_count > 0);
    CHECK(reply.frames[0] != NULL);
    /* The bridge is none the worse for it, and the reply forgets. */
    CHECK_OK(seam_bridge_call(bridge, return_seven, NULL, &reply, SEAM_FOREVER));
    CHECK_EQ(reply.result, 7);
    CHECK_EQ(reply.message[0], '\0');
}

/* Behind a channel of requests and replies, a panic and a shutdown look alike: the reply is lost. */
ON_EVERY_BRIDGE(a_failure_brings_its_message_and_backtrace_and_the_next_call_works)
{
    struct door door;
    door_open(&door, kind, 0);
    check_failure(door.bridge, break_down);
    check_failure(door.bridge, break_down_in_a_task_of_its_own);
    check_failure(door.bridge, break_down_in_the_pool);
    CHECK_EQ(seam_fail(-EIO, "nobody listens"), -EIO);
    door_close(&door);
}

struct inner {
    seam_bridge *bridge;
    struct seam_reply reply;
};

static int fail_inside(void *arg)
{
    int shelf = 3;
    struct inner *inner = arg;
    CHECK_OK(seam_bridge_call(inner->bridge, break_down, &shelf, &inner->reply, SEAM_FOREVER));
    return 0;
}

ON_EVERY_BRIDGE(a_failure_is_told_to_the_innermost_call)
{
    struct door door;
    door_open(&door, kind, 1);
    struct inner inner = {.bridge = door.bridge};
    struct seam_reply reply;
    CHECK_OK(seam_bridge_call(door.bridge, fail_inside, &inner, &reply, SEAM_FOREVER));
    CHECK_EQ(reply.result, 0);
    CHECK_EQ(reply.message[0], '\0');
    CHECK_EQ(strcmp(inner.reply.message, "shelf 3 is empty"), 0);
    door_close(&door);
}

/* ---- inner tasks ---- */

static int count(void *arg)
{
    (void)seam_yield();
    atomic_fetch_add((_Atomic(int) *)arg, 1);
    return 0;
}

static int spawn_eight(void *arg)
{
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    for (int i = 0; i < 8; i++)
        CHECK_OK(seam_spawn(&scope, count, arg, NULL, NULL));
    CHECK_OK(seam_scope_end(&scope));
    return atomic_load((_Atomic(int) *)arg);
}

ON_EVERY_BRIDGE(a_call_runs_eight_tasks_and_they_have_ended_when_it_returns)
{
    struct door door;
    door_open(&door, kind, 0);
    _Atomic(int) ended = 0;
    struct seam_reply reply;
    CHECK_OK(seam_bridge_call(door.bridge, spawn_eight, &ended, &reply, SEAM_FOREVER));
    CHECK_EQ(reply.result, 8);
    door_close(&door);
}

/* ---- deadlines ---- */

static int wait_for_ever(void *arg)
{
    return seam_event_wait(arg, SEAM_FOREVER);
}

ON_EVERY_BRIDGE(the_deadline_of_a_call_cancels_what_it_calls_exactly_then)
{
    sm_clock_make_virtual(1000);
    struct door door;
    door_open(&door, kind, 0);
    struct seam_event never = SEAM_EVENT_INIT;
    struct seam_reply reply;
    int64_t deadline_ns = seam_after(5 * SEAM_SECOND);
    CHECK_OK(seam_bridge_call(door.bridge, wait_for_ever, &never, &reply, deadline_ns));
    CHECK_EQ(reply.result, -ECANCELED);
    CHECK_EQ(seam_now_ns(), deadline_ns);
    CHECK_ERR(seam_bridge_call(door.bridge, must_not_run, NULL, NULL, deadline_ns), ETIMEDOUT);
    door_close(&door);
    sm_clock_make_real();
}

struct baggage {
    struct seam_event never;
    int destroyed;
    int result;
};

static void put_down(void *arg, int result)
{
    struct baggage *baggage = arg;
    baggage->destroyed++;
    baggage->result = result;
}

ON_EVERY_BRIDGE(an_owned_call_returns_at_its_deadline_and_its_context_is_destroyed_once)
{
    sm_clock_make_virtual(1000);
    struct door door;
    door_open(&door, kind, 0);
    struct baggage baggage = {.never = SEAM_EVENT_INIT};
    int64_t deadline_ns = seam_after(5 * SEAM_SECOND);
    struct seam_reply reply;
    CHECK_OK(seam_bridge_call_owned(
            door.bridge, do_nothing, &baggage, put_down, &reply, deadline_ns));
    CHECK_EQ(reply.result, 0);
    CHECK_EQ(baggage.destroyed, 0);
    CHECK_ERR(seam_bridge_call_owned(
                      door.bridge, wait_for_ever, &baggage, put_down, NULL, deadline_ns),
            ETIMEDOUT);
    CHECK_EQ(seam_now_ns(), deadline_ns);
    door_close(&door);
    CHECK_EQ(baggage.destroyed, 1);
    CHECK_EQ(baggage.result, -ECANCELED);
    sm_clock_make_real();
}

static int call_while_cancelled(void *arg)
{
    struct baggage baggage = {.never = SEAM_EVENT_INIT};
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_scope_cancel(&scope));
    CHECK_ERR(seam_bridge_call(arg, must_not_run, NULL, NULL, SEAM_FOREVER), ECANCELED);
    CHECK_ERR(seam_bridge_call_owned(arg, must_not_run, &baggage, put_down, NULL, SEAM_FOREVER),
            ECANCELED);
    CHECK_EQ(baggage.destroyed, 1);
    CHECK_ERR(seam_scope_end(&scope), ECANCELED);
    return 0;
}

ON_EVERY_BRIDGE(a_cancelled_caller_does_not_call)
{
    struct door door;
    door_open(&door, kind, 0);
    CHECK_OK(seam_run(&kind->runtime, call_while_cancelled, door.bridge));
    door_close(&door);
}

struct canceller {
    seam_bridge *bridge;
    struct meeting meeting;
    struct seam_scope scope;
};

static int call_to_stay(void *arg)
{
    struct canceller *canceller = arg;
    struct seam_reply reply;
    CHECK_OK(seam_bridge_call(
            canceller->bridge, stay_until_told, &canceller->meeting, &reply, SEAM_FOREVER));
    CHECK_EQ(reply.result, -ECANCELED);
    return 0;
}

static int cancel_a_call(void *arg)
{
    struct canceller canceller = {.bridge = arg, .meeting = MEETING_INIT};
    CHECK_OK(seam_scope_begin(&canceller.scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&canceller.scope, call_to_stay, &canceller, NULL, NULL));
    struct seam_shield shield;
    seam_shield_begin(&shield);
    CHECK_OK(seam_event_wait(&canceller.meeting.inside, SEAM_FOREVER));
    seam_shield_end(&shield);
    CHECK_OK(seam_scope_cancel(&canceller.scope));
    CHECK_ERR(seam_scope_end(&canceller.scope), ECANCELED);
    return 0;
}

ON_EVERY_BRIDGE(cancelling_the_caller_cancels_what_it_calls)
{
    struct door door;
    door_open(&door, kind, 0);
    CHECK_OK(seam_run(&kind->runtime, cancel_a_call, door.bridge));
    door_close(&door);
}
