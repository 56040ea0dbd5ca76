/* SPDX-License-Identifier: MIT */
/*
 * liveness/programs_test.c - random programs that block threads, compute, spawn, wait and cancel.
 *
 * Goal: whatever tasks do to their threads, those behind them go on. Method: programs made from a
 * seed, in which every step ends if those it depends on run, and whose outcome is known beforehand:
 * the same dice are thrown once to count the steps and once to do them. A program that stands still
 * is ended by the time limit, and the seed printed.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "stress/stress.h"

enum {
    PROGRAMS = 4,
    DEPTH_MAX = 3,
    STEPS_MAX = 4,
    ROOTS = 3,
    VALUES = 5,
    BURNS_MAX = 400000, /* up to a millisecond or two */
};

struct program {
    atomic_long done; /* steps */
    int to_echo[2];   /* a thread outside sends back what it gets */
    int from_echo[2];
};

/* One task's part: its dice decide everything. */
struct part {
    struct program *program; /* NULL: only count the steps */
    uint64_t seed;
    unsigned depth;
    bool may_pin;
    int fd; /* -1, or where to write a byte at the end */
    long count;
};

static void play(struct part *part);

/* pthread_self(), asked anew each time: it is declared such that a compiler may keep the answer across
 * a wait. */
static inline pthread_t this_thread(void)
{
    pthread_t (*volatile ask)(void) = pthread_self;
    return ask();
}

/* A part that is bound to a thread does not wait for itself: what blocks the thread started to do so
 * after the part was bound, and the part below that it waits for began later still. */
static int play_as_task(void *arg)
{
    struct part *part = arg;
    bool is_pinned = part->may_pin && part->seed % 3 == 0;
    if (is_pinned) seam_pin_begin();
    pthread_t thread = this_thread();
    play(part);
    if (is_pinned) {
        CHECK(pthread_equal(thread, this_thread()));
        seam_pin_end();
    }
    if (part->fd >= 0) CHECK_EQ(write(part->fd, "x", 1), 1);
    return 0;
}

static struct part part_below(const struct part *part, struct dice *dice)
{
    return (struct part){
            .program = part->program,
            .seed = roll(dice, 1u << 30) + 1,
            .depth = part->depth + 1,
            .may_pin = part->may_pin,
            .fd = -1,
    };
}

static void read_byte(int fd)
{
    char byte = 0;
    CHECK_EQ(read(fd, &byte, 1), 1);
}

/* ---- the steps; each throws the same dice whether it is done or counted ---- */

static void burn(struct part *part, struct dice *dice)
{
    unsigned burns = roll(dice, BURNS_MAX);
    volatile unsigned sum = 0;
    for (unsigned i = 0; part->program != NULL && i < burns; i++) {
        sum = sum + i;
    }
}

/* Run a part as a task, while we do wait_for() on the reading end of its pipe. */
static void run_below(struct part *part, struct dice *dice, int (*wait_for)(void *fd))
{
    struct part below = part_below(part, dice);
    if (part->program == NULL) {
        play(&below);
        part->count += below.count;
        return;
    }
    int fds[2];
    CHECK_OK(pipe2(fds, O_CLOEXEC));
    below.fd = fds[1];
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, play_as_task, &below, NULL, NULL));
    CHECK_OK(wait_for(&fds[0]));
    CHECK_OK(seam_scope_end(&scope));
    CHECK_OK(close(fds[0]));
    CHECK_OK(close(fds[1]));
}

static int block_thread(void *fd)
{
    read_byte(*(int *)fd);
    return 0;
}

static int block_pool_thread(void *fd)
{
    return seam_block(NULL, block_thread, fd, NULL, SEAM_FOREVER);
}

static int wait_as_task(void *fd)
{
    char byte = 0;
    int r = (int)seam_read(*(int *)fd, &byte, 1, SEAM_FOREVER);
    CHECK_OK(seam_release(*(int *)fd));
    return r;
}

static int wait_for_nothing(void *fd)
{
    (void)fd;
    return 0;
}

static void block_on_thread(struct part *part)
{
    if (part->program == NULL) return;
    CHECK_EQ(write(part->program->to_echo[1], "x", 1), 1);
    read_byte(part->program->from_echo[0]); /* anybody's byte will do */
}

static int send_values(void *arg)
{
    seam_chan *chan = *(seam_chan **)arg;
    for (int i = 1; i <= VALUES; i++) {
        CHECK_OK(seam_chan_send(chan, &i, SEAM_FOREVER));
    }
    seam_chan_close(chan);
    return 0;
}

static void pass_values(struct part *part, struct dice *dice)
{
    unsigned capacity = roll(dice, 3);
    if (part->program == NULL) return;
    seam_chan *chan = NULL;
    CHECK_OK(seam_chan_new(sizeof(int), capacity, &chan));
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, send_values, (void *)&chan, NULL, NULL));
    int value = 0;
    for (int i = 1; i <= VALUES; i++) {
        CHECK_OK(seam_chan_recv(chan, &value, SEAM_FOREVER));
        CHECK_EQ(value, i);
    }
    CHECK_ERR(seam_chan_recv(chan, &value, SEAM_FOREVER), EPIPE);
    CHECK_OK(seam_scope_end(&scope));
    seam_chan_free(chan);
}

static int wait_to_be_cancelled(void *arg)
{
    CHECK_ERR(seam_event_wait(arg, SEAM_FOREVER), ECANCELED);
    return 0;
}

static void cancel(struct part *part)
{
    if (part->program == NULL) return;
    struct seam_event never = SEAM_EVENT_INIT;
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, wait_to_be_cancelled, &never, NULL, NULL));
    CHECK_OK(seam_spawn(&scope, wait_to_be_cancelled, &never, NULL, NULL));
    CHECK_OK(seam_yield());
    CHECK_OK(seam_scope_cancel(&scope));
    CHECK_ERR(seam_scope_end(&scope), ECANCELED);
}

static void step(struct part *part, struct dice *dice)
{
    bool is_leaf = part->depth >= DEPTH_MAX;
    switch (roll(dice, is_leaf ? 6 : 10)) {
    case 0: burn(part, dice); break;
    case 1: block_on_thread(part); break;
    case 2: pass_values(part, dice); break;
    case 3: cancel(part); break;
    case 4:
        if (part->program != NULL) CHECK_OK(seam_yield());
        break;
    case 5:
        if (part->program != NULL) CHECK_OK(seam_sleep(seam_after(100 * SEAM_MICROSECOND)));
        break;
    case 6: run_below(part, dice, block_pool_thread); break;
    case 7: run_below(part, dice, wait_as_task); break;
    case 8: run_below(part, dice, wait_for_nothing); break;
    default: run_below(part, dice, block_thread); break;
    }
    part->count++;
    if (part->program != NULL) atomic_fetch_add(&part->program->done, 1);
}

static void play(struct part *part)
{
    struct dice dice = dice_for(part->seed);
    unsigned steps = 1 + roll(&dice, STEPS_MAX);
    for (unsigned i = 0; i < steps; i++) {
        step(part, &dice);
    }
}

/* ---- whole programs ---- */

static void *echo(void *arg)
{
    const struct program *program = arg;
    char byte = 0;
    while (read(program->to_echo[0], &byte, 1) == 1) {
        CHECK_EQ(write(program->from_echo[1], &byte, 1), 1);
    }
    return NULL;
}

struct plan {
    struct program *program;
    uint64_t seed;
    bool may_pin;
    long steps;
};

static int run_plan(void *arg)
{
    struct plan *plan = arg;
    struct part roots[ROOTS];
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    for (unsigned i = 0; i < ROOTS; i++) {
        struct part counted = {.seed = plan->seed * ROOTS + i, .fd = -1};
        play(&counted);
        plan->steps += counted.count;
        roots[i] = (struct part){
                .program = plan->program, .seed = counted.seed, .may_pin = plan->may_pin, .fd = -1};
        CHECK_OK(seam_spawn(&scope, play_as_task, &roots[i], NULL, NULL));
    }
    return seam_scope_end(&scope);
}

static void run_program(seam_runtime *runtime, uint64_t seed, bool may_pin)
{
    struct program program = {};
    CHECK_OK(pipe2(program.to_echo, O_CLOEXEC));
    CHECK_OK(pipe2(program.from_echo, O_CLOEXEC));
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, echo, &program), 0);

    struct plan plan = {.program = &program, .seed = seed, .may_pin = may_pin};
    CHECK_OK(seam_call(runtime, run_plan, &plan, NULL, SEAM_FOREVER));
    CHECK_EQ(atomic_load(&program.done), plan.steps);

    CHECK_OK(close(program.to_echo[1]));
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_OK(close(program.to_echo[0]));
    CHECK_OK(close(program.from_echo[0]));
    CHECK_OK(close(program.from_echo[1]));
}

static void run_programs(struct seam_options options)
{
    options.quiet_incidents = true;
    seam_runtime *runtime = NULL;
    CHECK_OK(seam_runtime_new(&options, &runtime));
    for (uint64_t i = 0; i < PROGRAMS; i++) {
        run_program(runtime, i, i % 2 == 1);
    }
    struct seam_runtime_stats stats;
    seam_runtime_stats_read(runtime, &stats);
    printf("%llu tasks, %llu hand-overs, %u threads\n", (unsigned long long)stats.tasks_spawned,
            (unsigned long long)stats.handovers, stats.threads);
    stop_runtime(runtime);
}

#define ON_SHAPE(shape, ...) \
    TEST(every_program_comes_to_its_end_##shape) \
    { \
        run_programs((struct seam_options){__VA_ARGS__}); \
    }

ON_SHAPE(on_one_worker, .workers = 1)
ON_SHAPE(on_two_workers, .workers = 2)
ON_SHAPE(on_eight_workers, .workers = 8)
ON_SHAPE(on_one_worker_that_steals_all, .workers = 1, .steal = SEAM_STEAL_FULL)
ON_SHAPE(on_two_workers_that_steal_all, .workers = 2, .steal = SEAM_STEAL_FULL)
ON_SHAPE(on_eight_workers_that_steal_all, .workers = 8, .steal = SEAM_STEAL_FULL)
ON_SHAPE(on_two_workers_that_do_not_steal, .workers = 2, .steal = SEAM_STEAL_NONE)
ON_SHAPE(on_eight_workers_that_do_not_steal, .workers = 8, .steal = SEAM_STEAL_NONE)
ON_SHAPE(on_current_thread, .current_thread = true, .overtake = SEAM_OVERTAKE_ON)

/* Two threads call, and each may find itself driving, overtaken, or waiting for the other. No pins: a
 * part that is bound to a thread which has what it wanted would wait for that to drive again. */
static void *run_programs_of_another(void *arg)
{
    run_program(arg, PROGRAMS, false);
    return NULL;
}

TEST(every_program_comes_to_its_end_where_two_threads_drive)
{
    const struct seam_options options = {
            .current_thread = true, .overtake = SEAM_OVERTAKE_ON, .quiet_incidents = true};
    seam_runtime *runtime = NULL;
    CHECK_OK(seam_runtime_new(&options, &runtime));
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, run_programs_of_another, runtime), 0);
    run_program(runtime, 0, false);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    stop_runtime(runtime);
}
