/* SPDX-License-Identifier: MIT */
#include "cross/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "seam.h"

#include "base/atomic.h"
#include "check/check.h"
#include "os/os.h"
#include "sched/runtime.h"

enum { JOBS = 20 };

static seam_runtime *runtime;

/* Blocks its thread, until everybody may go. */
struct gate {
    struct sm_job job;
    _Atomic(uint32_t) *is_open;
    _Atomic(uint32_t) *serial;
    _Atomic(uint32_t) has_run;
    uint32_t turn;             /* the how manieth it was */
    const struct gate *before; /* in the line, or NULL; it must have been taken */
};

static void pass_gate(struct sm_job *job)
{
    struct gate *gate = sm_container_of(job, struct gate, job);
    gate->turn = sm_add_relaxed(gate->serial, 1);
    /* Of two that were taken in order, the second may count first: so ask who is left in the line. */
    if (gate->before != NULL) CHECK(gate->before->job.state != SM_JOB_QUEUED);
    while (sm_load_relaxed(gate->is_open) == 0) {
        (void)sm_os.futex_wait(gate->is_open, 0, INT64_MAX);
    }
    sm_store_release(&gate->has_run, 1); /* pairs with the acquire in wait_for() */
}

static void open_gate(_Atomic(uint32_t) *is_open)
{
    sm_store_relaxed(is_open, 1);
    sm_os.futex_wake(is_open, INT32_MAX);
}

static void wait_for(struct gate *gate)
{
    while (sm_load_acquire(&gate->has_run) == 0) { /* pairs with the release in pass_gate() */
        CHECK_OK(seam_yield());
    }
}

static void start(uint32_t blockers)
{
    const struct seam_options options = {.current_thread = true, .blockers_max = blockers};
    CHECK_OK(seam_runtime_new(&options, &runtime));
}

static void stop_and_keep(void)
{
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
}

static void stop(void)
{
    stop_and_keep();
    seam_runtime_free(runtime);
}

TEST(jobs_beyond_the_threads_wait_in_line_and_are_served_in_order)
{
    start(2);
    _Atomic(uint32_t) is_open = 0;
    _Atomic(uint32_t) serial = 0;
    static struct gate gates[JOBS];
    for (int i = 0; i < JOBS; i++) {
        gates[i] = (struct gate){.job = {.run = pass_gate},
                .is_open = &is_open,
                .serial = &serial,
                .before = i > 0 ? &gates[i - 1] : NULL};
        CHECK_OK(
                sm_pool_submit(sm_pool_class(runtime->pool, SEAM_JOBS_USER), &gates[i].job, false));
        CHECK(sm_pool_thread_count(runtime->pool) <= 2);
    }
    while (sm_load_relaxed(&serial) < 2) {
        CHECK_OK(seam_yield());
    }
    CHECK_EQ(gates[JOBS - 1].job.state, SM_JOB_QUEUED);
    struct gate refused = {.job = {.run = pass_gate}};
    CHECK_ERR(sm_pool_submit(sm_pool_class(runtime->pool, SEAM_JOBS_USER), &refused.job, true),
            EAGAIN);
    open_gate(&is_open);
    for (int i = 0; i < JOBS; i++) {
        wait_for(&gates[i]);
    }
    stop();
}

TEST(a_job_is_withdrawn_from_the_line_or_not_at_all)
{
    start(1);
    _Atomic(uint32_t) is_open = 0;
    _Atomic(uint32_t) serial = 0;
    struct gate gates[3];
    for (int i = 0; i < 3; i++) {
        gates[i] = (struct gate){.job = {.run = pass_gate}, .is_open = &is_open, .serial = &serial};
        CHECK_OK(
                sm_pool_submit(sm_pool_class(runtime->pool, SEAM_JOBS_USER), &gates[i].job, false));
    }
    while (sm_load_relaxed(&serial) < 1) {
        CHECK_OK(seam_yield());
    }
    CHECK(sm_pool_withdraw(&gates[1].job));
    CHECK(!sm_pool_withdraw(&gates[1].job));
    CHECK(!sm_pool_withdraw(&gates[0].job));
    open_gate(&is_open);
    wait_for(&gates[0]);
    wait_for(&gates[2]);
    CHECK_EQ(sm_load_relaxed(&gates[1].has_run), 0);
    stop();
}

/* ---- classes ---- */

static void submit(seam_job_class *job_class, struct gate *gate, _Atomic(uint32_t) *is_open,
        _Atomic(uint32_t) *serial)
{
    *gate = (struct gate){.job = {.run = pass_gate}, .is_open = is_open, .serial = serial};
    CHECK_OK(sm_pool_submit(job_class, &gate->job, false));
}

static void wait_until(const _Atomic(uint32_t) *count, uint32_t wanted)
{
    while (sm_load_relaxed(count) < wanted) {
        CHECK_OK(seam_yield());
    }
}

static seam_job_class *new_class(uint32_t threads_max, uint32_t queue_max, uint32_t priority)
{
    const struct seam_job_class_options options = {
            .threads_max = threads_max, .queue_max = queue_max, .priority = priority};
    seam_job_class *job_class = NULL;
    CHECK_OK(seam_job_class_new(runtime, &options, &job_class));
    return job_class;
}

static struct seam_job_stats stats_of(seam_job_class *job_class)
{
    struct seam_job_stats stats;
    seam_job_class_stats_read(job_class, &stats);
    return stats;
}

TEST(a_class_runs_no_more_jobs_at_once_than_it_may)
{
    start(8);
    seam_job_class *narrow = new_class(2, 0, 0);
    _Atomic(uint32_t) is_open = 0;
    _Atomic(uint32_t) serial = 0;
    static struct gate gates[JOBS];
    for (int i = 0; i < JOBS; i++) {
        submit(narrow, &gates[i], &is_open, &serial);
    }
    wait_until(&serial, 2);
    CHECK_EQ(stats_of(narrow).running, 2);
    CHECK_EQ(stats_of(narrow).queued, JOBS - 2);
    open_gate(&is_open);
    for (int i = 0; i < JOBS; i++) {
        wait_for(&gates[i]);
    }
    stop_and_keep();
    CHECK_EQ(stats_of(narrow).done, JOBS);
    CHECK_EQ(stats_of(narrow).running, 0);
    seam_runtime_free(runtime);
}

TEST(a_class_that_has_no_job_running_may_run_one_whatever_others_do)
{
    start(1);
    _Atomic(uint32_t) is_open = 0;
    _Atomic(uint32_t) is_always_open = 1;
    _Atomic(uint32_t) serial = 0;
    struct gate busy[2];
    submit(seam_runtime_jobs(runtime, SEAM_JOBS_USER), &busy[0], &is_open, &serial);
    submit(seam_runtime_jobs(runtime, SEAM_JOBS_USER), &busy[1], &is_open, &serial);
    struct gate file;
    submit(seam_runtime_jobs(runtime, SEAM_JOBS_FILES), &file, &is_always_open, &serial);
    wait_for(&file);
    CHECK_EQ(stats_of(seam_runtime_jobs(runtime, SEAM_JOBS_USER)).queued, 1);
    open_gate(&is_open);
    wait_for(&busy[0]);
    wait_for(&busy[1]);
    stop();
}

TEST(a_full_line_turns_the_next_away)
{
    start(8);
    seam_job_class *narrow = new_class(1, 1, 0);
    _Atomic(uint32_t) is_open = 0;
    _Atomic(uint32_t) serial = 0;
    struct gate gates[3];
    submit(narrow, &gates[0], &is_open, &serial);
    submit(narrow, &gates[1], &is_open, &serial);
    gates[2] = (struct gate){.job = {.run = pass_gate}};
    CHECK_ERR(sm_pool_submit(narrow, &gates[2].job, false), EAGAIN);
    CHECK_EQ(stats_of(narrow).refused, 1);
    open_gate(&is_open);
    wait_for(&gates[0]);
    wait_for(&gates[1]);
    stop();
}

/* ---- slots that are given back ---- */

struct sleeper {
    struct sm_job job;
    struct seam_event event;
    _Atomic(uint32_t) has_run;
};

static void sleep_in_job(struct sm_job *job)
{
    struct sleeper *sleeper = sm_container_of(job, struct sleeper, job);
    CHECK_OK(seam_event_wait(&sleeper->event, SEAM_FOREVER));
    sm_store_release(&sleeper->has_run, 1); /* pairs with the acquire below */
}

/* Goal: a waiting job's slot is free for others, and the job need not wait for it to come back. */
TEST(a_job_that_waits_gives_its_slot_back_and_goes_on_at_once)
{
    start(1);
    seam_job_class *user = seam_runtime_jobs(runtime, SEAM_JOBS_USER);
    struct sleeper sleeper = {.job = {.run = sleep_in_job}};
    CHECK_OK(sm_pool_submit(user, &sleeper.job, false));
    while (stats_of(user).waiting == 0) {
        CHECK_OK(seam_yield());
    }
    _Atomic(uint32_t) is_open = 0;
    _Atomic(uint32_t) serial = 0;
    struct gate gates[2];
    submit(user, &gates[0], &is_open, &serial);
    submit(user, &gates[1], &is_open, &serial);
    wait_until(&serial, 1);

    struct sm_pool_job jobs[2];
    CHECK_EQ(sm_pool_jobs(runtime->pool, jobs, 1), 2); /* more than there is room for */
    CHECK_EQ(sm_pool_jobs(runtime->pool, jobs, 2), 2);
    CHECK(jobs[0].is_waiting != jobs[1].is_waiting);
    CHECK_EQ(strcmp(jobs[0].class_name, "user"), 0);

    seam_event_set(&sleeper.event);
    while (sm_load_acquire(&sleeper.has_run) == 0) { /* pairs with the release in sleep_in_job() */
        CHECK_OK(seam_yield());
    }
    CHECK_EQ(stats_of(user).waiting, 0);
    CHECK_EQ(sm_load_relaxed(&gates[0].has_run), 0);
    open_gate(&is_open);
    wait_for(&gates[0]);
    wait_for(&gates[1]);
    stop();
}

/* ---- signals ---- */

enum { ROUNDS = 50 };

struct reader {
    seam_job_class *job_class;
    struct seam_event has_begun;
    int fds[2];
    int result;
};

static int read_byte(void *arg)
{
    struct reader *reader = arg;
    seam_event_set(&reader->has_begun);
    char byte = 0;
    return read(reader->fds[0], &byte, 1) == 1 ? 1 : -errno;
}

static int read_in_job(void *arg)
{
    struct reader *reader = arg;
    int r = seam_block(reader->job_class, read_byte, reader, &reader->result, SEAM_FOREVER);
    CHECK(r == 0 || r == -ECANCELED);
    return 0;
}

/* The second job gets the thread of the first, at the time when the signals for it end. */
static void interrupt_one_of_two(struct reader *first, struct reader *second)
{
    struct seam_scope scope;
    struct seam_scope other;
    CHECK_OK(seam_scope_begin(&other, runtime, SEAM_FOREVER));
    CHECK_OK(seam_scope_begin(&scope, runtime, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, read_in_job, first, NULL, NULL));
    CHECK_OK(seam_event_wait(&first->has_begun, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&other, read_in_job, second, NULL, NULL));
    CHECK_OK(seam_scope_cancel(&scope));
    CHECK_ERR(seam_scope_end(&scope), ECANCELED);
    CHECK_EQ(first->result, -EINTR);
    CHECK_OK(seam_event_wait(&second->has_begun, SEAM_FOREVER));
    CHECK_EQ(write(second->fds[1], "", 1), 1);
    CHECK_OK(seam_scope_end(&other));
    CHECK_EQ(second->result, 1);
}

TEST(an_interruption_never_hits_the_next_job_on_the_thread)
{
    const struct seam_options options = {.workers = 2};
    CHECK_OK(seam_runtime_new(&options, &runtime));
    const struct seam_job_class_options one = {.threads_max = 1, .interruptible = true};
    struct reader readers[2] = {};
    CHECK_OK(seam_job_class_new(runtime, &one, &readers[0].job_class));
    readers[1].job_class = readers[0].job_class;
    for (int i = 0; i < 2; i++) {
        CHECK_OK(pipe2(readers[i].fds, O_CLOEXEC));
    }
    for (int i = 0; i < ROUNDS; i++) {
        seam_event_reset(&readers[0].has_begun);
        seam_event_reset(&readers[1].has_begun);
        interrupt_one_of_two(&readers[0], &readers[1]);
    }
    for (int i = 0; i < 2; i++) {
        CHECK_OK(close(readers[i].fds[0]));
        CHECK_OK(close(readers[i].fds[1]));
    }
    stop();
}

/* ---- threads that cannot be had ---- */

static int (*real_thread_start)(pthread_t *out_thread, void *(*run)(void *), void *arg);
static _Atomic(int) threads_allowed;

static int start_a_few(pthread_t *out_thread, void *(*run)(void *), void *arg)
{
    if (sm_sub_relaxed(&threads_allowed, 1) <= 0) return -EAGAIN;
    return real_thread_start(out_thread, run, arg);
}

static int count_up(void *arg)
{
    return ++*(int *)arg;
}

static int block_once(void *arg)
{
    int result = 0;
    int r = seam_block(NULL, count_up, arg, &result, SEAM_FOREVER);
    return r < 0 ? r : result;
}

static int block_from_many(void *arg)
{
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    for (int i = 0; i < JOBS; i++) {
        CHECK_OK(seam_spawn(&scope, block_once, arg, NULL, NULL));
    }
    return seam_scope_end(&scope);
}

TEST(where_no_thread_can_be_started_the_caller_is_told)
{
    start(4);
    real_thread_start = sm_os.thread_start;
    sm_os.thread_start = start_a_few;
    int count = 0;
    int result = 0;
    CHECK_OK(seam_call(runtime, block_once, &count, &result, SEAM_FOREVER));
    CHECK_EQ(result, -ENOMEM);
    CHECK_EQ(count, 0);

    /* One thread is enough to serve them all, one after the other. */
    sm_store_relaxed(&threads_allowed, 1);
    CHECK_OK(seam_call(runtime, block_from_many, &count, &result, SEAM_FOREVER));
    CHECK_OK(result);
    CHECK_EQ(count, JOBS);
    CHECK_EQ(sm_pool_thread_count(runtime->pool), 1);
    sm_os.thread_start = real_thread_start;
    stop();
}

static int count_below(void *arg)
{
    int result = 0;
    int r = seam_block(
            seam_runtime_jobs(runtime, SEAM_JOBS_FILES), count_up, arg, &result, SEAM_FOREVER);
    return r < 0 ? r : result;
}

static int block_twice(void *arg)
{
    int result = 0;
    CHECK_OK(seam_block(NULL, count_below, arg, &result, SEAM_FOREVER));
    return result;
}

TEST(a_job_inside_a_job_is_refused_where_no_second_thread_can_be_started)
{
    start(4);
    real_thread_start = sm_os.thread_start;
    sm_os.thread_start = start_a_few;
    sm_store_relaxed(&threads_allowed, 1);
    int count = 0;
    int result = 0;
    CHECK_OK(seam_call(runtime, block_twice, &count, &result, SEAM_FOREVER));
    CHECK_EQ(result, -ENOMEM);
    CHECK_EQ(count, 0);
    sm_os.thread_start = real_thread_start;
    stop();
}

static _Atomic(int) signals;

static void count_signal(int signal)
{
    (void)signal;
    (void)sm_add_relaxed(&signals, 1);
}

/* The first signal has come before there is anything to interrupt. */
static int read_after_signal(void *arg)
{
    struct reader *reader = arg;
    seam_event_set(&reader->has_begun);
    while (sm_load_relaxed(&signals) == 0) {
        (void)sched_yield();
    }
    return read_byte(arg);
}

static int block_in_read(void *arg)
{
    struct reader *reader = arg;
    CHECK_OK(seam_block(
            reader->job_class, read_after_signal, reader, &reader->result, SEAM_FOREVER));
    return 0;
}

static int interrupt_reader(void *arg)
{
    struct reader *reader = arg;
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, block_in_read, reader, NULL, NULL));
    CHECK_OK(seam_event_wait(&reader->has_begun, SEAM_FOREVER));
    CHECK_OK(seam_scope_cancel(&scope));
    CHECK_ERR(seam_scope_end(&scope), ECANCELED);
    return 0;
}

TEST(a_job_is_interrupted_again_where_no_thread_can_be_started_to_do_so)
{
    const struct sigaction action = {.sa_handler = count_signal, .sa_flags = SA_ONSTACK};
    CHECK_OK(sigaction(SIGURG, &action, NULL));
    start(4);
    real_thread_start = sm_os.thread_start;
    sm_os.thread_start = start_a_few;
    sm_store_relaxed(&threads_allowed, 1);
    const struct seam_job_class_options options = {.interruptible = true};
    struct reader reader = {.has_begun = SEAM_EVENT_INIT};
    CHECK_OK(seam_job_class_new(runtime, &options, &reader.job_class));
    CHECK_OK(pipe2(reader.fds, O_CLOEXEC));
    CHECK_OK(seam_call(runtime, interrupt_reader, &reader, NULL, SEAM_FOREVER));
    CHECK_EQ(reader.result, -EINTR);
    CHECK_OK(close(reader.fds[0]));
    CHECK_OK(close(reader.fds[1]));
    sm_os.thread_start = real_thread_start;
    stop();
}

/* Goal: priority decides, but not always. Method: one thread for all classes, held up until every
 * job is in line. */
TEST(the_highest_priority_is_served_first_and_every_eighth_time_the_oldest_job)
{
    start(4);
    seam_job_class *low = new_class(1, 0, 1);
    seam_job_class *high = new_class(1, 0, 2);
    real_thread_start = sm_os.thread_start;
    sm_os.thread_start = start_a_few;
    sm_store_relaxed(&threads_allowed, 1);
    _Atomic(uint32_t) is_open = 0;
    _Atomic(uint32_t) serial = 0;
    struct gate first;
    struct gate lows[2];
    struct gate highs[10];
    submit(low, &first, &is_open, &serial);
    wait_until(&serial, 1);
    for (int i = 0; i < 2; i++) {
        submit(low, &lows[i], &is_open, &serial);
    }
    for (int i = 0; i < 10; i++) {
        submit(high, &highs[i], &is_open, &serial);
    }
    open_gate(&is_open);
    wait_for(&lows[1]);
    for (uint32_t i = 0; i < 10; i++) {
        CHECK_EQ(highs[i].turn, i < 6 ? 1 + i : 2 + i);
    }
    CHECK_EQ(lows[0].turn, 7);
    CHECK_EQ(lows[1].turn, 12);
    sm_os.thread_start = real_thread_start;
    stop();
}

TEST(a_job_that_must_not_wait_starts_one_thread)
{
    start(4);
    _Atomic(uint32_t) is_open = 1;
    _Atomic(uint32_t) serial = 0;
    struct gate gate = {.job = {.run = pass_gate}, .is_open = &is_open, .serial = &serial};
    CHECK_OK(sm_pool_submit(sm_pool_class(runtime->pool, SEAM_JOBS_USER), &gate.job, true));
    wait_for(&gate);
    CHECK_EQ(sm_pool_thread_count(runtime->pool), 1);
    stop();
}

/* The class may run eight at once, but the runtime only one. */
TEST(a_line_is_no_longer_where_the_runtime_has_no_room_for_the_class)
{
    start(1);
    const struct seam_job_class_options options = {.threads_max = 8, .queue_max = 1};
    seam_job_class *job_class = NULL;
    CHECK_OK(seam_job_class_new(runtime, &options, &job_class));
    _Atomic(uint32_t) is_open = 0;
    _Atomic(uint32_t) serial = 0;
    struct gate gates[2];
    submit(job_class, &gates[0], &is_open, &serial);
    while (sm_load_relaxed(&serial) < 1) {
        CHECK_OK(seam_yield());
    }
    submit(job_class, &gates[1], &is_open, &serial);
    struct gate refused = {.job = {.run = pass_gate}};
    CHECK_ERR(sm_pool_submit(job_class, &refused.job, false), EAGAIN);
    open_gate(&is_open);
    wait_for(&gates[1]);
    stop();
}

/* ---- the end ---- */

static _Atomic(uint32_t) may_end;
static _Atomic(uint32_t) destroyed;

static int outlast_the_runtime(void *arg)
{
    CHECK_OK(seam_scope_cancel(arg)); /* the caller gives up now that we have begun */
    while (sm_load_relaxed(&may_end) == 0) {
        (void)sm_os.futex_wait(&may_end, 0, INT64_MAX);
    }
    struct seam_scope late;
    CHECK_ERR(seam_scope_begin(&late, NULL, SEAM_FOREVER), ESHUTDOWN);
    return 9;
}

static void note_destruction(void *arg, int result)
{
    CHECK(arg != NULL);
    CHECK_EQ(result, 9);
    sm_store_relaxed(&destroyed, 1);
    sm_os.futex_wake(&destroyed, 1);
}

static int abandon_job(void *arg)
{
    (void)arg;
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_ERR(seam_block_owned(
                      NULL, outlast_the_runtime, &scope, note_destruction, NULL, SEAM_FOREVER),
            ECANCELED);
    CHECK_ERR(seam_scope_end(&scope), ECANCELED);
    return 0;
}

/* Goal: a job that nobody waits for may outlive the runtime, whose memory it keeps, and is destroyed
 * when it ends. Method: the job ends when the runtime has been freed; sanitizers and the runner see
 * what is touched or left behind. */
TEST_ONCE(an_abandoned_job_may_outlive_its_runtime)
{
    const struct seam_options options = {.workers = 1, .grace_ns = SEAM_MILLISECOND};
    CHECK_OK(seam_runtime_new(&options, &runtime));
    CHECK_OK(seam_call(runtime, abandon_job, NULL, NULL, SEAM_FOREVER));
    stop();
    CHECK_EQ(sm_load_relaxed(&destroyed), 0);
    open_gate(&may_end);
    while (sm_load_relaxed(&destroyed) == 0) {
        (void)sm_os.futex_wait(&destroyed, 0, INT64_MAX);
    }
}

enum { STACK_BYTES = 1024 * 1024 };

static char *stack;

static int start_on_a_stack_of_ours(pthread_t *out_thread, void *(*run)(void *), void *arg)
{
    pthread_attr_t attributes;
    CHECK_EQ(pthread_attr_init(&attributes), 0);
    CHECK_EQ(pthread_attr_setstack(&attributes, stack, STACK_BYTES), 0);
    CHECK_EQ(pthread_create(out_thread, &attributes, run, arg), 0);
    return pthread_attr_destroy(&attributes);
}

/* Goal: who gives a job up may be so late that the threads have gone. Method: their stack goes. */
TEST(a_job_is_given_up_when_it_and_its_thread_have_ended)
{
    stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(stack != MAP_FAILED);
    start(1);
    real_thread_start = sm_os.thread_start;
    sm_os.thread_start = start_on_a_stack_of_ours;
    _Atomic(uint32_t) is_open = 1;
    _Atomic(uint32_t) serial = 0;
    struct gate gate;
    submit(sm_pool_class(runtime->pool, SEAM_JOBS_USER), &gate, &is_open, &serial);
    wait_for(&gate);
    stop_and_keep();
    sm_os.thread_start = real_thread_start;
    CHECK_EQ(munmap(stack, STACK_BYTES), 0);
    CHECK(!sm_pool_withdraw(&gate.job));
    sm_pool_interrupt(&gate.job, false);
    seam_runtime_free(runtime);
}
