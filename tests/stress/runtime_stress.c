/* SPDX-License-Identifier: MIT */
#include <sched.h>
#include <unistd.h>

#include "stress/stress.h"

/* ---- start and stop with work in flight ---- */

struct work {
    seam_runtime *runtime;
    struct seam_event never;
    struct seam_event soon;
    seam_chan *chan;
    atomic_int begun;
    atomic_int ended;
};

static int be_in_flight(void *arg)
{
    struct work *work = arg;
    struct dice dice = dice_for((uint64_t)atomic_fetch_add(&work->begun, 1));
    uint64_t value = 0;
    int r = 0;
    while (r == 0 || r == -ETIMEDOUT || r == -EAGAIN) {
        switch (roll(&dice, 6)) {
        case 0: r = seam_yield(); break;
        case 1: r = seam_event_wait(&work->never, SEAM_FOREVER); break;
        case 2: r = seam_sleep(seam_after(roll(&dice, 100) * SEAM_MICROSECOND)); break;
        case 3: r = seam_chan_send(work->chan, &value, roll_deadline(&dice, 50)); break;
        case 4: r = seam_chan_recv(work->chan, &value, roll_deadline(&dice, 50)); break;
        default:
            (void)seam_spawn(seam_runtime_root(work->runtime), be_in_flight, work, NULL, NULL);
            r = seam_event_wait(&work->soon, SEAM_FOREVER);
        }
    }
    CHECK_EQ(r, -ECANCELED);
    atomic_fetch_add(&work->ended, 1);
    return 0;
}

static void start_and_stop(const struct seam_options *options, int rounds)
{
    struct dice dice = dice_for(1);
    for (int round = 0; round < rounds; round++) {
        struct work work = {};
        CHECK_OK(seam_chan_new(sizeof(uint64_t), roll(&dice, 2), &work.chan));
        CHECK_OK(seam_runtime_new(options, &work.runtime));
        for (unsigned i = roll(&dice, 20); i > 0; i--) {
            struct seam_scope *root = seam_runtime_root(work.runtime);
            CHECK_OK(seam_spawn(root, be_in_flight, &work, NULL, NULL));
        }
        if (roll(&dice, 2) == 0) (void)usleep(roll(&dice, 300));
        if (roll(&dice, 4) == 0) {
            int r = seam_runtime_stop(work.runtime, NULL, seam_after(roll(&dice, 100) * 1000));
            CHECK(r == 0 || r == -ETIMEDOUT);
        }
        CHECK_OK(seam_runtime_stop(work.runtime, NULL, SEAM_FOREVER));
        struct seam_runtime_stats stats;
        seam_runtime_stats_read(work.runtime, &stats);
        CHECK_EQ(stats.tasks_live, 0);
        CHECK_EQ(atomic_load(&work.begun), atomic_load(&work.ended));
        CHECK_ERR(seam_spawn(seam_runtime_root(work.runtime), be_in_flight, &work, NULL, NULL),
                ESHUTDOWN);
        seam_runtime_free(work.runtime);
        seam_chan_free(work.chan);
    }
}

TEST(a_runtime_can_be_stopped_with_work_in_flight)
{
    const struct seam_options options = {.workers = 3};
    start_and_stop(&options, 50);
}

TEST(a_runtime_whose_tasks_move_can_be_stopped_with_work_in_flight)
{
    const struct seam_options options = {.workers = 3, .steal = SEAM_STEAL_FULL};
    start_and_stop(&options, 50);
}

TEST(a_runtime_without_threads_can_be_stopped_with_work_in_flight)
{
    const struct seam_options options = {.current_thread = true};
    start_and_stop(&options, 50);
}

/* ---- those who wake a runtime's last task ---- */

enum { LAST_ROUNDS = 100 };

struct last {
    struct seam_event events[LAST_ROUNDS]; /* a slow setter may still be at an earlier one */
    atomic_int round;
};

static int wait_for_last(void *arg)
{
    return seam_event_wait(arg, SEAM_FOREVER);
}

static void *set_events(void *arg)
{
    struct last *last = arg;
    int seen = 0;
    for (;;) {
        int round = 0;
        while ((round = atomic_load(&last->round)) == seen) {
            (void)sched_yield();
        }
        if (round < 0) return NULL;
        seen = round;
        seam_event_set(&last->events[round]);
    }
}

/* Goal: a thread may still be inside seam_event_set() when the task it has let go ends, and with it
 * the runtime, whose memory and descriptors are gone then. */
TEST(whoever_wakes_the_last_task_of_a_runtime_does_not_touch_it_afterwards)
{
    static struct last last;
    pthread_t setters[2];
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(pthread_create(&setters[i], NULL, set_events, &last), 0);
    }
    const struct seam_options options = {.workers = 1};
    for (int round = 1; round < LAST_ROUNDS; round++) {
        seam_runtime *runtime = NULL;
        CHECK_OK(seam_runtime_new(&options, &runtime));
        struct seam_scope scope;
        CHECK_OK(seam_scope_begin(&scope, runtime, SEAM_FOREVER));
        CHECK_OK(seam_spawn(&scope, wait_for_last, &last.events[round], NULL, NULL));
        if (round % 3 != 0) (void)seam_yield();
        atomic_store(&last.round, round);
        CHECK_OK(seam_scope_end(&scope));
        stop_runtime(runtime);
    }
    atomic_store(&last.round, -1);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(pthread_join(setters[i], NULL), 0);
    }
}

/* ---- scopes that begin while the runtime stops ---- */

struct door {
    seam_runtime *runtime;
    atomic_bool is_open;
};

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static void *begin_scopes(void *arg)
{
    struct door *door = arg;
    struct dice dice = dice_for((uint64_t)(uintptr_t)&dice);
    atomic_store(&door->is_open, true);
    for (;;) {
        struct seam_scope scope;
        int64_t limit_ns = roll(&dice, 2) == 0 ? SEAM_FOREVER : seam_after(3600 * SEAM_SECOND);
        int r = seam_scope_begin(&scope, door->runtime, limit_ns);
        if (r == -ESHUTDOWN) return NULL;
        CHECK_OK(r);
        r = seam_spawn(&scope, nothing, NULL, NULL, NULL);
        CHECK(r == 0 || r == -ESHUTDOWN);
        r = seam_scope_end(&scope);
        CHECK(r == 0 || r == -ECANCELED);
    }
}

/* Goal: a scope either begins before the stop, which waits for it, or is refused. */
TEST(scopes_that_begin_while_the_runtime_stops_are_waited_for_or_refused)
{
    struct dice dice = dice_for(2);
    for (int round = 0; round < 60; round++) {
        struct door doors[3];
        pthread_t threads[3];
        seam_runtime *runtime = start_runtime(1 + (uint32_t)round % 2, SEAM_STEAL_DEFAULT);
        for (int i = 0; i < 3; i++) {
            doors[i] = (struct door){.runtime = runtime};
            CHECK_EQ(pthread_create(&threads[i], NULL, begin_scopes, &doors[i]), 0);
        }
        for (int i = 0; i < 3; i++) {
            while (!atomic_load(&doors[i].is_open)) {
                (void)sched_yield();
            }
        }
        if (roll(&dice, 2) == 0) (void)usleep(roll(&dice, 100));
        CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
        for (int i = 0; i < 3; i++) {
            CHECK_EQ(pthread_join(threads[i], NULL), 0);
        }
        seam_runtime_free(runtime);
    }
}

/* ---- figures, read while everything changes ---- */

static void *read_figures(void *arg)
{
    struct door *door = arg;
    while (!atomic_load(&door->is_open)) {
        struct seam_runtime_stats stats;
        seam_runtime_stats_read(door->runtime, &stats);
    }
    return NULL;
}

static int block_once(void *arg)
{
    return seam_block(NULL, nothing, arg, NULL, SEAM_FOREVER);
}

TEST(figures_may_be_read_while_a_runtime_stops)
{
    for (int round = 0; round < 20; round++) {
        struct door door = {.runtime = start_runtime(2, SEAM_STEAL_DEFAULT)};
        pthread_t reader;
        CHECK_EQ(pthread_create(&reader, NULL, read_figures, &door), 0);
        for (int i = 0; i < 4; i++) {
            CHECK_OK(seam_call(door.runtime, block_once, NULL, NULL, SEAM_FOREVER));
        }
        CHECK_OK(seam_runtime_stop(door.runtime, NULL, SEAM_FOREVER));
        atomic_store(&door.is_open, true);
        CHECK_EQ(pthread_join(reader, NULL), 0);
        seam_runtime_free(door.runtime);
    }
}
