/* SPDX-License-Identifier: MIT */
/*
 * liveness/pins_test.c - tasks that stay on one thread, while roles go from thread to thread.
 *
 * Every step of a bound task asks which thread it is on. Around it, others block their threads, so that their
 * workers are served by other threads meanwhile. Nothing here sleeps to be on time: who blocks is let
 * go by a task that can only run on another thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/sanitizer.h"
#include "boundary/flavours.h"

#define ON_STEALING(name) \
    static void name(const struct seam_options *options); \
    ON_FLAVOUR(name, on_current_thread, .current_thread = true, .overtake = SEAM_OVERTAKE_ON, \
            .quiet_incidents = true) \
    ON_FLAVOUR(name, on_one_worker, .workers = 1) \
    ON_FLAVOUR(name, on_two_workers, .workers = 2) \
    ON_FLAVOUR(name, on_eight_workers, .workers = 8) \
    ON_FLAVOUR(name, on_two_workers_that_steal_all, .workers = 2, .steal = SEAM_STEAL_FULL) \
    ON_FLAVOUR(name, on_eight_workers_that_steal_all, .workers = 8, .steal = SEAM_STEAL_FULL) \
    static void name(const struct seam_options *options)

static const struct seam_task_options bound = {.name = "bound", .thread_bound = true};

static void check_thread(pthread_t thread)
{
    CHECK(pthread_equal(thread, this_thread()));
}

static int open_gate(void *arg)
{
    gate_open(arg);
    return 0;
}

/* Block the thread until a child has run, which it does on another thread. */
static void block_for_a_child(void)
{
    struct gate gate;
    gate_init(&gate);
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, open_gate, &gate, NULL, NULL));
    gate_pass(&gate);
    CHECK_OK(seam_scope_end(&scope));
    gate_fini(&gate);
}

static int block_again_and_again(void *arg)
{
    const atomic_int *left = arg;
    while (atomic_load(left) > 0) {
        block_for_a_child();
        CHECK_OK(seam_yield());
    }
    return 0;
}

/* ---- every way to wait ---- */

enum { BOUND = 6, ROUNDS = 10 };

static int do_nothing(void *arg)
{
    (void)arg;
    return 7;
}

static void wait_in_every_way(pthread_t thread)
{
    CHECK_OK(seam_yield());
    check_thread(thread);
    CHECK_OK(seam_sleep(seam_after(20 * SEAM_MICROSECOND)));
    check_thread(thread);
    struct seam_scope scope;
    seam_task *child = NULL;
    int result = 0;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, do_nothing, NULL, NULL, &child));
    CHECK_OK(seam_join(child, &result, SEAM_FOREVER));
    CHECK_EQ(result, 7);
    check_thread(thread);
    CHECK_OK(seam_scope_end(&scope));
    check_thread(thread);
    CHECK_OK(seam_block(NULL, do_nothing, NULL, NULL, SEAM_FOREVER));
    check_thread(thread);
    block_for_a_child();
    CHECK_OK(seam_yield());
    check_thread(thread);
}

static int stay_by_option(void *arg)
{
    pthread_t thread = this_thread();
    for (int i = 0; i < ROUNDS; i++) {
        wait_in_every_way(thread);
    }
    atomic_fetch_sub((atomic_int *)arg, 1);
    return 0;
}

static int stay_by_pin(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        seam_pin_begin();
        wait_in_every_way(this_thread());
        seam_pin_end();
        CHECK_OK(seam_yield());
    }
    atomic_fetch_sub((atomic_int *)arg, 1);
    return 0;
}

static int stay_beside_blockers(void *arg)
{
    const struct seam_options *options = arg;
    atomic_int left = BOUND;
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    for (uint32_t i = 0; i < role_count(options); i++) {
        CHECK_OK(seam_spawn(&scope, block_again_and_again, &left, NULL, NULL));
    }
    for (int i = 0; i < BOUND / 2; i++) {
        CHECK_OK(seam_spawn(&scope, stay_by_option, &left, &bound, NULL));
        CHECK_OK(seam_spawn(&scope, stay_by_pin, &left, NULL, NULL));
    }
    return seam_scope_end(&scope);
}

ON_STEALING(bound_tasks_stay_on_their_threads_while_others_block_them)
{
    CHECK_OK(seam_run(options, stay_beside_blockers, (void *)(uintptr_t)options));
}

ON_STEALING(bound_tasks_stay_on_the_threads_of_a_runtime)
{
    seam_runtime *runtime = new_runtime(options);
    CHECK_OK(seam_call(
            runtime, stay_beside_blockers, (void *)(uintptr_t)options, NULL, SEAM_FOREVER));
    end_runtime(runtime);
}

static int stay_beside_one_who_computes(void *arg)
{
    (void)arg;
    atomic_int left = 2;
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, stay_by_option, &left, &bound, NULL));
    CHECK_OK(seam_spawn(&scope, stay_by_pin, &left, NULL, NULL));
    /* Not on the threads that they are bound to for ever: to these it would be as if blocked. */
    while (atomic_load(&left) > 0) {
        int64_t end_ns = seam_after(3 * SEAM_MILLISECOND);
        while (seam_now_ns() < end_ns) {
        }
        CHECK_OK(seam_yield());
    }
    return seam_scope_end(&scope);
}

ON_OVERTAKEN(bound_tasks_stay_on_their_threads_while_others_compute)
{
    CHECK_OK(seam_run(options, stay_beside_one_who_computes, NULL));
}

/* ---- the option, and nesting ---- */

/* On one worker a thread that has blocked finds that another one serves: who is free goes on there. */
static bool moves_when_it_blocks(void)
{
    pthread_t before = this_thread();
    block_for_a_child();
    CHECK_OK(seam_yield());
    return !pthread_equal(before, this_thread());
}

/* It may come back to where it was: its new thread may be overtaken, too, by the old one. */
static void move(void)
{
    while (!moves_when_it_blocks()) {
    }
}

static int nest_pins(void *arg)
{
    (void)arg;
    move();
    seam_pin_end(); /* there is none */
    move();
    seam_pin_begin();
    CHECK(!moves_when_it_blocks());
    seam_pin_begin();
    seam_pin_end();
    CHECK(!moves_when_it_blocks());
    seam_pin_end();
    move();
    return 0;
}

static int pin_although_bound(void *arg)
{
    (void)arg;
    seam_pin_end(); /* not its own */
    CHECK(!moves_when_it_blocks());
    seam_pin_begin();
    seam_pin_end();
    seam_pin_end();
    CHECK(!moves_when_it_blocks());
    return 0;
}

static void on_one_worker(seam_fn *fn, void *arg, const struct seam_task_options *options)
{
    seam_runtime *runtime = new_runtime(&(struct seam_options){.workers = 1});
    seam_task *task = NULL;
    int result = -1;
    CHECK_OK(seam_spawn(seam_runtime_root(runtime), fn, arg, options, &task));
    CHECK_OK(seam_join(task, &result, SEAM_FOREVER));
    CHECK_EQ(result, 0);
    end_runtime(runtime);
}

TEST(pins_nest_and_a_task_without_any_moves)
{
    on_one_worker(nest_pins, NULL, NULL);
}

TEST(a_task_that_was_spawned_bound_stays_bound_whatever_it_unpins)
{
    on_one_worker(pin_although_bound, NULL, &bound);
}

/* ---- two tasks, one thread ---- */

struct pair {
    struct gate gate;
    struct seam_event event;
    atomic_bool is_blocked;
    atomic_int woken;
    pthread_t thread;
};

static int wait_for_the_thread(void *arg)
{
    struct pair *pair = arg;
    pair->thread = this_thread();
    CHECK_OK(seam_event_wait(&pair->event, SEAM_FOREVER));
    CHECK(!atomic_load(&pair->is_blocked));
    check_thread(pair->thread);
    atomic_fetch_add(&pair->woken, 1);
    return 0;
}

/* On the thread that stands in. */
static int wake_who_cannot_run(void *arg)
{
    struct pair *pair = arg;
    seam_event_set(&pair->event);
    for (int i = 0; i < 500; i++) {
        CHECK_OK(seam_yield());
    }
    CHECK_EQ(atomic_load(&pair->woken), 0);
    atomic_store(&pair->is_blocked, false);
    gate_open(&pair->gate);
    return 0;
}

static int block_their_thread(void *arg)
{
    struct pair *pair = arg;
    check_thread(pair->thread);
    atomic_store(&pair->is_blocked, true);
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, wake_who_cannot_run, pair, NULL, NULL));
    gate_pass(&pair->gate);
    CHECK_OK(seam_scope_end(&scope));
    check_thread(pair->thread);
    return 0;
}

static int share_a_thread(void *arg)
{
    struct pair *pair = arg;
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, wait_for_the_thread, pair, &bound, NULL));
    CHECK_OK(seam_yield());
    CHECK_OK(seam_spawn(&scope, block_their_thread, pair, &bound, NULL));
    CHECK_OK(seam_scope_end(&scope));
    CHECK_EQ(atomic_load(&pair->woken), 1);
    return 0;
}

static void share(const struct seam_options *options)
{
    struct pair pair = {};
    gate_init(&pair.gate);
    CHECK_OK(seam_run(options, share_a_thread, &pair));
    gate_fini(&pair.gate);
}

TEST(a_bound_task_waits_while_another_blocks_their_thread)
{
    share(&(struct seam_options){.workers = 1});
}

TEST(a_bound_task_waits_while_another_blocks_their_driver)
{
    share(&(struct seam_options){
            .current_thread = true, .overtake = SEAM_OVERTAKE_ON, .quiet_incidents = true});
}

/* ---- two threads, one worker ---- */

enum { TURNS = 200 };

struct table {
    struct seam_event *mine;
    struct seam_event *others;
};

static void play(const struct table *table)
{
    pthread_t thread = this_thread();
    for (int i = 0; i < TURNS; i++) {
        CHECK_OK(seam_event_wait(table->mine, SEAM_FOREVER));
        seam_event_reset(table->mine);
        check_thread(thread);
        seam_event_set(table->others);
    }
}

struct match {
    struct seam_event events[2];
    struct gate gate;
    pthread_t thread;
};

/* While the other player's thread is blocked. */
static int play_on_another_thread(void *arg)
{
    struct match *match = arg;
    seam_pin_begin();
    CHECK(!pthread_equal(match->thread, this_thread()));
    gate_open(&match->gate);
    play(&(struct table){&match->events[1], &match->events[0]});
    seam_pin_end();
    return 0;
}

static int play_against_another_thread(void *arg)
{
    (void)arg;
    struct match match = {.thread = this_thread()};
    gate_init(&match.gate);
    seam_pin_begin();
    match.thread = this_thread();
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, play_on_another_thread, &match, NULL, NULL));
    gate_pass(&match.gate);
    seam_event_set(&match.events[0]);
    play(&(struct table){&match.events[0], &match.events[1]});
    CHECK_OK(seam_scope_end(&scope));
    check_thread(match.thread);
    seam_pin_end();
    gate_fini(&match.gate);
    return 0;
}

ON_STEALING(tasks_that_are_bound_to_two_threads_wake_each_other)
{
    CHECK_OK(seam_run(options, play_against_another_thread, NULL));
}

ON_STEALING(tasks_that_are_bound_to_two_threads_of_a_runtime_wake_each_other)
{
    seam_runtime *runtime = new_runtime(options);
    CHECK_OK(seam_call(runtime, play_against_another_thread, NULL, NULL, SEAM_FOREVER));
    end_runtime(runtime);
}

/* ---- drivers ---- */

static const struct seam_options overtaken = {
        .current_thread = true, .overtake = SEAM_OVERTAKE_ON, .quiet_incidents = true};

struct guest {
    struct seam_event event;
    struct seam_event has_begun;
    atomic_int done;
    pthread_t thread;
    seam_runtime *runtime;
    int wanted; /* what its wait returns */
    struct gate gate;
};

static int wait_as_guest(void *arg)
{
    struct guest *guest = arg;
    seam_pin_begin();
    guest->thread = this_thread();
    seam_event_set(&guest->has_begun);
    CHECK_EQ(seam_event_wait(&guest->event, SEAM_FOREVER), guest->wanted);
    if (guest->wanted == 0) {
        check_thread(guest->thread);
        CHECK(!moves_when_it_blocks());
    }
    atomic_fetch_add(&guest->done, 1);
    return 0;
}

static int play_and_tell(void *arg)
{
    CHECK_OK(play_against_another_thread(NULL));
    const uint64_t one = 1;
    return write(*(int *)arg, &one, sizeof one) == sizeof one ? 0 : -errno;
}

/* The last to tell may do so on a thread that stands in, which leaves the loop nothing to do. */
TEST(tasks_that_are_bound_to_a_foreign_loop_run_in_it)
{
    enum { MATCHES = 3 };
    seam_runtime *runtime = new_runtime(&overtaken);
    int told_fd = (int)CHECK_OK(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    for (int i = 0; i < MATCHES; i++) {
        CHECK_OK(seam_spawn(seam_runtime_root(runtime), play_and_tell, &told_fd, NULL, NULL));
    }
    uint64_t done = 0;
    while (done < MATCHES) {
        struct pollfd wanted[] = {
                {.fd = seam_runtime_fd(runtime), .events = POLLIN},
                {.fd = told_fd, .events = POLLIN},
        };
        CHECK_OK(poll(wanted, 2, -1));
        uint64_t more = 0;
        if (read(told_fd, &more, sizeof more) == sizeof more) done += more;
        int r = seam_runtime_poll(runtime);
        CHECK(r >= 0 || r == -EBUSY);
    }
    end_runtime(runtime);
    CHECK_OK(close(told_fd));
}

/* Drives meanwhile: the main thread's task must come back to the main thread. */
static int wake_the_guest(void *arg)
{
    struct guest *guest = arg;
    CHECK(!pthread_equal(guest->thread, this_thread()));
    gate_open(&guest->gate);
    seam_event_set(&guest->event);
    while (atomic_load(&guest->done) == 0) {
        CHECK_OK(seam_yield());
    }
    return 0;
}

static void *drive_elsewhere(void *arg)
{
    struct guest *guest = arg;
    CHECK_OK(seam_call(guest->runtime, wake_the_guest, guest, NULL, SEAM_FOREVER));
    return NULL;
}

static int wait_until_begun(void *arg)
{
    struct guest *guest = arg;
    return seam_event_wait(&guest->has_begun, SEAM_FOREVER);
}

static void begin_as_guest(seam_runtime *runtime, struct guest *guest, seam_task **out_task)
{
    guest->runtime = runtime;
    CHECK_OK(seam_spawn(seam_runtime_root(runtime), wait_as_guest, guest, NULL, out_task));
    CHECK_OK(seam_call(runtime, wait_until_begun, guest, NULL, SEAM_FOREVER));
    check_thread(guest->thread);
}

TEST(a_driver_hands_over_to_the_thread_that_a_task_is_bound_to)
{
    seam_runtime *runtime = new_runtime(&overtaken);
    struct guest guest = {};
    gate_init(&guest.gate);
    seam_task *task = NULL;
    begin_as_guest(runtime, &guest, &task);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, drive_elsewhere, &guest), 0);
    gate_pass(&guest.gate);
    CHECK_OK(seam_join(task, NULL, SEAM_FOREVER));
    CHECK_EQ(pthread_join(thread, NULL), 0);
    end_runtime(runtime);
    gate_fini(&guest.gate);
}

static void *stop_elsewhere(void *arg)
{
    const struct guest *guest = arg;
    CHECK_OK(seam_runtime_stop(guest->runtime, NULL, SEAM_FOREVER));
    return NULL;
}

TEST(a_task_whose_driver_is_elsewhere_ends_when_the_runtime_is_stopped)
{
    seam_runtime *runtime = new_runtime(&overtaken);
    struct guest guest = {.wanted = -ECANCELED};
    begin_as_guest(runtime, &guest, NULL);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, stop_elsewhere, &guest), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(atomic_load(&guest.done), 1);
    seam_runtime_free(runtime);
}

static void *begin_elsewhere(void *arg)
{
    struct guest *guest = arg;
    CHECK_OK(seam_call(guest->runtime, wait_until_begun, guest, NULL, SEAM_FOREVER));
    return NULL;
}

static int end_as_orphan(void *arg)
{
    struct guest *guest = arg;
    seam_pin_begin();
    guest->thread = this_thread();
    seam_event_set(&guest->has_begun);
    CHECK_OK(seam_event_wait(&guest->event, SEAM_FOREVER));
    CHECK(!moves_when_it_blocks());
    return 0;
}

TEST(a_task_whose_driver_has_ended_goes_on_with_the_next)
{
    seam_runtime *runtime = new_runtime(&overtaken);
    struct guest guest = {.runtime = runtime};
    seam_task *task = NULL;
    CHECK_OK(seam_spawn(seam_runtime_root(runtime), end_as_orphan, &guest, NULL, &task));
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, begin_elsewhere, &guest), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    seam_event_set(&guest.event);
    CHECK_OK(seam_join(task, NULL, SEAM_FOREVER));
    end_runtime(runtime);
}

/* ---- the end ---- */

/* The thread is lost, with a task of its own; the other one goes on elsewhere, and stays there. */
static int lose_the_thread(void *arg)
{
    const struct guest *guest = arg;
    check_thread(guest->thread);
    pthread_exit(NULL);
}

static int lose_a_thread(void *arg)
{
    struct guest *guest = arg;
    seam_task *orphan = NULL;
    seam_task *loser = NULL;
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, end_as_orphan, guest, &bound, &orphan));
    CHECK_OK(seam_event_wait(&guest->has_begun, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, lose_the_thread, guest, &bound, &loser));
    int result = 0;
    CHECK_OK(seam_join(loser, &result, SEAM_FOREVER));
    CHECK_EQ(result, -EPIPE);
    seam_event_set(&guest->event);
    CHECK_OK(seam_join(orphan, NULL, SEAM_FOREVER));
    return seam_scope_end(&scope);
}

TEST(a_task_whose_thread_is_lost_goes_on_and_stays_on_another)
{
    if (SM_TSAN) CHECK_SKIP("ThreadSanitizer aborts when a thread ends on the stack of a task");
    struct guest guest = {};
    on_one_worker(lose_a_thread, &guest, NULL);
}

/* Bound, runnable, and its thread blocked: cancelled and stopped all the same, once it is let go. */
static int wait_to_be_cancelled(void *arg)
{
    struct pair *pair = arg;
    seam_pin_begin();
    pair->thread = this_thread();
    atomic_fetch_add(&pair->woken, 1);
    CHECK_ERR(seam_event_wait(&pair->event, SEAM_FOREVER), ECANCELED);
    CHECK(!atomic_load(&pair->is_blocked));
    check_thread(pair->thread);
    return 0;
}

static int cancel_from_another_thread(void *arg)
{
    struct pair *pair = arg;
    CHECK(!pthread_equal(pair->thread, this_thread()));
    atomic_store(&pair->is_blocked, false);
    gate_open(&pair->gate);
    return 0;
}

static int cancel_while_blocked(void *arg)
{
    struct pair *pair = arg;
    struct seam_scope other;
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&other, NULL, SEAM_FOREVER));
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, wait_to_be_cancelled, pair, NULL, NULL));
    while (atomic_load(&pair->woken) == 0) {
        CHECK_OK(seam_yield());
    }
    atomic_store(&pair->is_blocked, true);
    CHECK_OK(seam_spawn(&other, cancel_from_another_thread, pair, NULL, NULL));
    CHECK_OK(seam_scope_cancel(&scope));
    gate_pass(&pair->gate);
    CHECK_ERR(seam_scope_end(&scope), ECANCELED);
    CHECK_OK(seam_scope_end(&other));
    return 0;
}

TEST(a_bound_task_is_cancelled_while_its_thread_is_blocked)
{
    struct pair pair = {};
    gate_init(&pair.gate);
    on_one_worker(cancel_while_blocked, &pair, NULL);
    gate_fini(&pair.gate);
}

static int be_stopped(void *arg)
{
    struct guest *guest = arg;
    seam_pin_begin();
    pthread_t thread = this_thread();
    atomic_fetch_add(&guest->done, 1);
    CHECK_ERR(seam_event_wait(&guest->event, SEAM_FOREVER), ECANCELED);
    check_thread(thread);
    struct seam_shield shield;
    seam_shield_begin(&shield);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_OK(seam_yield());
        check_thread(thread);
    }
    seam_shield_end(&shield);
    return 0;
}

ON_STEALING(bound_tasks_come_to_their_end_when_the_runtime_is_stopped)
{
    enum { TASKS = 20 };
    seam_runtime *runtime = new_runtime(options);
    struct guest guest = {};
    for (int i = 0; i < TASKS; i++) {
        CHECK_OK(seam_spawn(
                seam_runtime_root(runtime), be_stopped, &guest, i % 2 == 0 ? &bound : NULL, NULL));
    }
    CHECK_OK(seam_call(
            runtime, stay_beside_blockers, (void *)(uintptr_t)options, NULL, SEAM_FOREVER));
    while (atomic_load(&guest.done) < TASKS) {
        CHECK_OK(seam_call(runtime, do_nothing, NULL, NULL, SEAM_FOREVER));
    }
    end_runtime(runtime);
}
