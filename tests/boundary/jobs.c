/* SPDX-License-Identifier: MIT */
/*
 * boundary/jobs.c - blocking jobs that wait for each other, that are given up, and that fill the
 * pool: rows h, o, p.
 */
#include <pthread.h>
#include <sched.h>

#include "boundary/flavours.h"

enum { DEPTH = 24 };

/* ---- row h: jobs inside jobs ---- */

struct nest {
    seam_runtime *runtime;
    int depth;
    seam_fn *go_deeper;
};

static void nothing_to_destroy(void *arg, int result)
{
    (void)arg;
    CHECK_EQ(result, 0);
}

/* Counts the levels below. */
static int nest_owned(void *arg)
{
    struct nest *nest = arg;
    if (nest->depth++ == DEPTH) return 0;
    CHECK_OK(seam_block_owned(NULL, nest_owned, nest, nothing_to_destroy, NULL, SEAM_FOREVER));
    return 0;
}

static int nest_in_classes(void *arg)
{
    struct nest *nest = arg;
    if (nest->depth == DEPTH) return 0;
    enum seam_jobs which = nest->depth++ % 2 == 0 ? SEAM_JOBS_USER : SEAM_JOBS_FILES;
    seam_job_class *job_class = seam_runtime_jobs(nest->runtime, which);
    CHECK_OK(seam_block(job_class, nest_in_classes, nest, NULL, SEAM_FOREVER));
    return 0;
}

static int nest_through_calls(void *arg);

static int call_back(void *arg)
{
    struct nest *nest = arg;
    CHECK_OK(seam_call(nest->runtime, nest_through_calls, nest, NULL, SEAM_FOREVER));
    return 0;
}

static int nest_through_calls(void *arg)
{
    struct nest *nest = arg;
    if (nest->depth++ == DEPTH) return 0;
    CHECK_OK(seam_block(NULL, call_back, nest, NULL, SEAM_FOREVER));
    return 0;
}

static void nest_deeply(const struct seam_options *options, seam_fn *fn)
{
    struct seam_options narrow = *options;
    narrow.blockers_max = 1;
    struct nest nest = {.runtime = new_runtime(&narrow)};
    CHECK_OK(seam_call(nest.runtime, fn, &nest, NULL, SEAM_FOREVER));
    CHECK(nest.depth >= DEPTH);
    struct seam_job_stats stats;
    seam_job_class_stats_read(seam_runtime_jobs(nest.runtime, SEAM_JOBS_USER), &stats);
    CHECK_EQ(stats.waiting, 0);
    end_runtime(nest.runtime);
}

/* Row h, spawn_blocking() inside spawn_blocking() with room for one. Tokio hangs. */
ON_EVERY_RUNTIME(jobs_inside_jobs_need_no_more_than_one_slot)
{
    nest_deeply(options, nest_owned);
}

ON_EVERY_RUNTIME(jobs_of_several_classes_inside_each_other_need_no_more_than_one_slot)
{
    nest_deeply(options, nest_in_classes);
}

ON_EVERY_RUNTIME(jobs_that_call_tasks_that_start_jobs_need_no_more_than_one_slot)
{
    nest_deeply(options, nest_through_calls);
}

/* ---- row o: jobs that block in a system call, and are cancelled ---- */

struct reader {
    seam_job_class *job_class;
    struct gate begun;
    struct gate input; /* nothing ever comes */
    struct gate destroyed;
    int result;
};

static void reader_init(struct reader *reader, seam_runtime *runtime)
{
    *reader = (struct reader){};
    const struct seam_job_class_options options = {.name = "readers", .interruptible = true};
    CHECK_OK(seam_job_class_new(runtime, &options, &reader->job_class));
    gate_init(&reader->begun);
    gate_init(&reader->input);
    gate_init(&reader->destroyed);
}

static void reader_fini(struct reader *reader)
{
    gate_fini(&reader->begun);
    gate_fini(&reader->input);
    gate_fini(&reader->destroyed);
}

static int read_nothing(void *arg)
{
    struct reader *reader = arg;
    gate_open(&reader->begun);
    char byte = 0;
    CHECK(read(reader->input.fds[0], &byte, 1) < 0);
    CHECK_EQ(errno, EINTR);
    return seam_cancelled();
}

static void note_end(void *arg, int result)
{
    struct reader *reader = arg;
    reader->result = result;
    gate_open(&reader->destroyed);
}

static int block_borrowed(void *arg)
{
    struct reader *reader = arg;
    int result = 0;
    CHECK_OK(seam_block(reader->job_class, read_nothing, reader, &result, SEAM_FOREVER));
    CHECK_EQ(result, -ECANCELED);
    return 0;
}

static int block_owned(void *arg)
{
    struct reader *reader = arg;
    CHECK_ERR(
            seam_block_owned(reader->job_class, read_nothing, reader, note_end, NULL, SEAM_FOREVER),
            ECANCELED);
    return 0;
}

static void cancel_once_begun(seam_runtime *runtime, struct reader *reader, seam_fn *fn)
{
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, runtime, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, fn, reader, NULL, NULL));
    CHECK_OK(seam_await_fd(reader->begun.fds[0], SEAM_READABLE, SEAM_FOREVER));
    CHECK_OK(seam_release(reader->begun.fds[0]));
    CHECK_OK(seam_scope_cancel(&scope));
    CHECK_ERR(seam_scope_end(&scope), ECANCELED);
}

static int cancel_borrowed(void *arg)
{
    cancel_once_begun(NULL, arg, block_borrowed);
    return 0;
}

static int cancel_owned(void *arg)
{
    cancel_once_begun(NULL, arg, block_owned);
    return 0;
}

static void cancel_a_reader(const struct seam_options *options, seam_fn *fn, bool is_owned)
{
    seam_runtime *runtime = new_runtime(options);
    struct reader reader;
    reader_init(&reader, runtime);
    CHECK_OK(seam_call(runtime, fn, &reader, NULL, SEAM_FOREVER));
    if (is_owned) {
        gate_pass(&reader.destroyed);
        CHECK_EQ(reader.result, -ECANCELED);
    }
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    struct seam_job_stats stats;
    seam_job_class_stats_read(reader.job_class, &stats);
    CHECK_EQ(stats.done, 1);
    CHECK_EQ(stats.abandoned, is_owned ? 1 : 0);
    seam_runtime_free(runtime);
    reader_fini(&reader);
}

/* Row o, abort of a running blocking job. Tokio ignores it. */
ON_EVERY_RUNTIME(cancelling_ends_the_system_call_of_a_job_that_may_be_interrupted)
{
    cancel_a_reader(options, cancel_borrowed, false);
}

ON_EVERY_RUNTIME(cancelling_releases_the_caller_of_an_owned_job_and_ends_the_job)
{
    cancel_a_reader(options, cancel_owned, true);
}

static int read_nothing_until_cancelled(void *arg)
{
    struct reader *reader = arg;
    gate_open(&reader->begun);
    char byte = 0;
    int interrupts = 0;
    /* Comes back for more: one interruption is not all. */
    while (interrupts < 5) {
        CHECK(read(reader->input.fds[0], &byte, 1) < 0);
        CHECK_EQ(errno, EINTR);
        interrupts++;
    }
    return seam_cancelled();
}

static int abandon_a_stubborn_reader(void *arg)
{
    struct reader *reader = arg;
    CHECK_ERR(seam_block_owned(reader->job_class, read_nothing_until_cancelled, reader, note_end,
                      NULL, SEAM_FOREVER),
            ECANCELED);
    return 0;
}

static int cancel_stubborn(void *arg)
{
    cancel_once_begun(NULL, arg, abandon_a_stubborn_reader);
    return 0;
}

/* Row p, where the job may be interrupted: the end does not even take the grace, which is longer
 * than the time limit. */
ON_EVERY_RUNTIME(an_abandoned_job_is_interrupted_until_it_ends)
{
    struct seam_options patient = *options;
    patient.grace_ns = 3600 * SEAM_SECOND;
    seam_runtime *runtime = new_runtime(&patient);
    struct reader reader;
    reader_init(&reader, runtime);
    CHECK_OK(seam_call(runtime, cancel_stubborn, &reader, NULL, SEAM_FOREVER));
    end_runtime(runtime);
    gate_pass(&reader.destroyed);
    CHECK_EQ(reader.result, -ECANCELED);
    reader_fini(&reader);
}

/* ---- a pool full of jobs that do not end does not hold up the doors ---- */

struct full {
    const struct seam_options *options;
    struct gate begun;
    struct gate gate;
    seam_runtime *other;
};

static int block_at_the_gate(void *arg)
{
    struct full *full = arg;
    gate_open(&full->begun);
    gate_pass(&full->gate);
    return 0;
}

static int fill_the_pool(void *arg)
{
    return seam_block(NULL, block_at_the_gate, arg, NULL, SEAM_FOREVER);
}

static int do_nothing(void *arg)
{
    (void)arg;
    return 7;
}

static int use_the_doors(void *arg)
{
    struct full *full = arg;
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, fill_the_pool, full, NULL, NULL));
    CHECK_OK(seam_await_fd(full->begun.fds[0], SEAM_READABLE, SEAM_FOREVER));
    CHECK_OK(seam_release(full->begun.fds[0]));

    int result = 0;
    CHECK_OK(seam_call(full->other, do_nothing, NULL, &result, SEAM_FOREVER));
    CHECK_EQ(result, 7);
    CHECK_EQ(seam_run(full->options, do_nothing, NULL), 7);
    CHECK_OK(seam_runtime_stop(full->other, NULL, SEAM_FOREVER));

    gate_open(&full->gate);
    CHECK_OK(seam_scope_end(&scope));
    return 0;
}

ON_EVERY_RUNTIME(a_pool_full_of_jobs_does_not_hold_up_calls_to_another_runtime_or_its_end)
{
    struct seam_options narrow = *options;
    narrow.blockers_max = 1;
    seam_runtime *runtime = new_runtime(&narrow);
    struct full full = {.options = options, .other = new_runtime(options)};
    gate_init(&full.begun);
    gate_init(&full.gate);
    CHECK_OK(seam_call(runtime, use_the_doors, &full, NULL, SEAM_FOREVER));
    end_runtime(runtime);
    seam_runtime_free(full.other);
    gate_fini(&full.begun);
    gate_fini(&full.gate);
}

/* ---- as many waiting jobs as there can be threads ---- */

enum { THREADS = 4 * 1 + 64, WAITERS = THREADS + 10 };

struct queue {
    seam_runtime *runtime;
    seam_runtime *other;
    struct seam_event event;
};

static int wait_for_event(void *arg)
{
    struct queue *queue = arg;
    return seam_event_wait(&queue->event, SEAM_FOREVER);
}

static int wait_in_job(void *arg)
{
    int result = -1;
    CHECK_OK(seam_block(NULL, wait_for_event, arg, &result, SEAM_FOREVER));
    return result;
}

static int fill_all_threads(void *arg)
{
    struct queue *queue = arg;
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    for (int i = 0; i < WAITERS; i++) {
        CHECK_OK(seam_spawn(&scope, wait_in_job, queue, NULL, NULL));
    }
    struct seam_job_stats stats = {};
    while (stats.waiting < THREADS) {
        CHECK_OK(seam_yield());
        seam_job_class_stats_read(seam_runtime_jobs(queue->runtime, SEAM_JOBS_USER), &stats);
        CHECK(stats.waiting <= THREADS);
    }
    CHECK_EQ(stats.running, 0);
    CHECK_OK(seam_runtime_stop(queue->other, NULL, SEAM_FOREVER));
    seam_event_set(&queue->event);
    CHECK_OK(seam_scope_end(&scope));
    seam_job_class_stats_read(seam_runtime_jobs(queue->runtime, SEAM_JOBS_USER), &stats);
    CHECK_EQ(stats.queued, 0);
    return 0;
}

/* The threads are bounded, and a runtime can still be ended when none is left for users. */
ON_EVERY_RUNTIME(waiting_jobs_take_no_more_threads_than_there_may_be)
{
    struct seam_options narrow = *options;
    narrow.blockers_max = 1;
    struct queue queue = {.runtime = new_runtime(&narrow), .other = new_runtime(options)};
    CHECK_OK(seam_call(queue.runtime, fill_all_threads, &queue, NULL, SEAM_FOREVER));
    end_runtime(queue.runtime);
    seam_runtime_free(queue.other);
}

/* ---- jobs of callers outside the runtime, at its end ---- */

struct outsider {
    seam_job_class *job_class;
    struct gate begun;
    struct gate gate;
    bool is_owned;
    int r;
    int destroyed;
};

static int wait_at_the_gate(void *arg)
{
    struct outsider *outsider = arg;
    gate_open(&outsider->begun);
    gate_pass(&outsider->gate);
    return 5;
}

static void note_refusal(void *arg, int result)
{
    CHECK_EQ(result, -ECANCELED);
    ((struct outsider *)arg)->destroyed++;
}

static void *block_from_outside(void *arg)
{
    struct outsider *outsider = arg;
    seam_job_class *job_class = outsider->job_class;
    outsider->r = outsider->is_owned
            ? seam_block_owned(
                    job_class, wait_at_the_gate, outsider, note_refusal, NULL, SEAM_FOREVER)
            : seam_block(job_class, wait_at_the_gate, outsider, NULL, SEAM_FOREVER);
    return NULL;
}

/* One runs and is left to itself, so that its caller gets its answer after the end; two are in
 * line and are refused by the end. */
ON_EVERY_RUNTIME(callers_from_outside_are_refused_at_the_end_unless_their_jobs_have_begun)
{
    struct seam_options impatient = *options;
    impatient.grace_ns = 1;
    seam_runtime *runtime = new_runtime(&impatient);
    const struct seam_job_class_options one = {.threads_max = 1};
    struct outsider outsiders[3] = {{}, {}, {.is_owned = true}};
    pthread_t threads[3];
    CHECK_OK(seam_job_class_new(runtime, &one, &outsiders[0].job_class));
    for (uint32_t i = 0; i < 3; i++) {
        outsiders[i].job_class = outsiders[0].job_class;
        gate_init(&outsiders[i].begun);
        gate_init(&outsiders[i].gate);
        CHECK_EQ(pthread_create(&threads[i], NULL, block_from_outside, &outsiders[i]), 0);
        if (i == 0) gate_pass(&outsiders[0].begun);
        wait_until_queued(outsiders[0].job_class, i);
    }
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    gate_open(&outsiders[0].gate);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
        CHECK_EQ(outsiders[i].r, i == 0 ? 0 : -ESHUTDOWN);
        CHECK_EQ(outsiders[i].destroyed, outsiders[i].is_owned ? 1 : 0);
        gate_fini(&outsiders[i].begun);
        gate_fini(&outsiders[i].gate);
    }
    seam_runtime_free(runtime);
}
