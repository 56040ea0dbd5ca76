/* SPDX-License-Identifier: MIT */
/*
 * boundary/stops.c - what whoever stops a runtime learns: rows i, i2 and j.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/sanitizer.h"
#include "boundary/flavours.h"
#include "os/os.h"
#include "time/clock.h"

/* ---- who is left ---- */

struct stubborn {
    seam_runtime *runtime;
    struct seam_event runs;
    struct seam_event may_end;
};

/* Exported, so that dladdr() knows their names. */
#define TRACED __attribute__((visibility("default"), noinline))

TRACED int ignore_the_end(void *arg);
TRACED int ignore_the_end(void *arg)
{
    struct stubborn *stubborn = arg;
    struct seam_shield shield;
    seam_shield_begin(&shield);
    seam_event_set(&stubborn->runs);
    CHECK_OK(seam_event_wait(&stubborn->may_end, SEAM_FOREVER));
    seam_shield_end(&shield);
    return 0;
}

static int wait_to_be_cancelled(void *arg)
{
    CHECK_ERR(seam_event_wait(arg, SEAM_FOREVER), ECANCELED);
    return 0;
}

static int spawn_one_of_each(void *arg)
{
    static struct seam_event never = SEAM_EVENT_INIT;
    struct stubborn *stubborn = arg;
    const struct seam_task_options options = {.name = "stubborn"};
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, ignore_the_end, stubborn, &options, NULL));
    CHECK_OK(seam_spawn(&scope, wait_to_be_cancelled, &never, NULL, NULL));
    CHECK_ERR(seam_scope_end(&scope), ECANCELED);
    return 0;
}

struct caller {
    seam_runtime *runtime;
    seam_fn *fn;
    void *arg;
    pthread_t thread;
};

static void *call(void *arg)
{
    struct caller *caller = arg;
    CHECK_OK(seam_call(caller->runtime, caller->fn, caller->arg, NULL, SEAM_FOREVER));
    return NULL;
}

static void begin_call(struct caller *caller)
{
    CHECK_EQ(pthread_create(&caller->thread, NULL, call, caller), 0);
}

static void end_call(struct caller *caller)
{
    CHECK_EQ(pthread_join(caller->thread, NULL), 0);
}

static const struct seam_left *find_left(const struct seam_stop_report *report, const char *name)
{
    for (uint32_t i = 0; i < report->listed_count; i++) {
        if (strcmp(report->left[i].name, name) == 0) return &report->left[i];
    }
    return NULL;
}

static bool stands_in(const struct seam_left *left, seam_fn *fn)
{
    Dl_info wanted;
    CHECK(dladdr((void *)(uintptr_t)fn, &wanted) != 0 && wanted.dli_sname != NULL);
    if (left == NULL) return false;
    for (uint32_t i = 0; i < left->frame_count; i++) {
        Dl_info found;
        const char *address = left->frames[i];
        if (dladdr(address - 1, &found) != 0 && found.dli_saddr == wanted.dli_saddr) return true;
    }
    return false;
}

/* The thread sanitizer keeps signals back while a thread is in read(). */
static bool blocks_in(const struct seam_left *left, seam_fn *fn)
{
    return SM_TSAN || stands_in(left, fn);
}

/*
 * A worker or a thread that is asked what runs there may have no time to answer, on a machine that is
 * busy, and the report goes without: then it is asked for again.
 */

/* The caller's own task waits for its two children; one of them ends. */
ON_EVERY_RUNTIME(whoever_stops_a_runtime_is_told_who_is_left)
{
    struct stubborn stubborn = {};
    struct caller caller = {new_runtime(options), spawn_one_of_each, &stubborn, 0};
    begin_call(&caller);
    CHECK_OK(seam_event_wait(&stubborn.runs, SEAM_FOREVER));

    struct seam_stop_report report;
    do { /* the third may need longer, too */
        CHECK_ERR(seam_runtime_stop(caller.runtime, &report, seam_after(50 * SEAM_MILLISECOND)),
                ETIMEDOUT);
    } while (report.tasks_left > 2 || !stands_in(find_left(&report, "stubborn"), ignore_the_end));
    CHECK_EQ(report.tasks_left, 2);
    CHECK_EQ(report.tasks_live, report.tasks_left + report.tasks_ended);
    CHECK_EQ(report.left_count, 2);
    CHECK_EQ(report.listed_count, 2);
    CHECK(find_left(&report, "call") != NULL);
    const struct seam_left *left = find_left(&report, "stubborn");
    if (left == NULL) abort(); /* it was found a moment ago */
    CHECK_EQ(left->kind, SEAM_LEFT_TASK);
    CHECK(left->age_ns > 0);
    CHECK(left->spawned_at != NULL);
    CHECK(left->reason != NULL && strcmp(left->reason, "event") == 0);
    CHECK(stands_in(left, ignore_the_end));
    CHECK(!stands_in(find_left(&report, "call"), ignore_the_end));

    seam_event_set(&stubborn.may_end);
    CHECK_OK(seam_runtime_stop(caller.runtime, &report, SEAM_FOREVER));
    CHECK_EQ(report.tasks_left, 0);
    CHECK_EQ(report.left_count, 0);
    CHECK(report.tasks_ended <= 2);
    end_call(&caller);
    seam_runtime_free(caller.runtime);
}

static int leave_behind(void *arg)
{
    struct stubborn *stubborn = arg;
    seam_runtime *runtime = stubborn->runtime;
    const struct seam_task_options options = {.name = "stubborn"};
    CHECK_OK(seam_spawn(seam_runtime_root(runtime), ignore_the_end, stubborn, &options, NULL));
    return seam_event_wait(&stubborn->runs, SEAM_FOREVER);
}

static int let_go(void *arg)
{
    seam_event_set(&((struct stubborn *)arg)->may_end);
    return 0;
}

/* To the nanosecond, since the clock is virtual. */
ON_EVERY_RUNTIME(a_stop_that_is_given_100_ms_takes_them)
{
    sm_clock_make_virtual(1000);
    struct stubborn stubborn = {.runtime = new_runtime(options)};
    CHECK_OK(seam_call(stubborn.runtime, leave_behind, &stubborn, NULL, SEAM_FOREVER));
    int64_t then_ns = seam_now_ns();
    struct seam_stop_report report;
    CHECK_ERR(seam_runtime_stop(stubborn.runtime, &report, then_ns + 100 * SEAM_MILLISECOND),
            ETIMEDOUT);
    CHECK_EQ(seam_now_ns(), then_ns + 100 * SEAM_MILLISECOND);
    CHECK_EQ(report.left[0].age_ns, 100 * SEAM_MILLISECOND); /* since the stop began, at least */
    while (!stands_in(find_left(&report, "stubborn"), ignore_the_end)) {
        CHECK_ERR(seam_runtime_stop(stubborn.runtime, &report, SEAM_NOW), EAGAIN);
    }
    CHECK_EQ(report.tasks_live, 1);
    CHECK_EQ(report.tasks_left, 1);
    CHECK_EQ(report.left_count, 1);
    const struct seam_left *left = &report.left[0];
    CHECK_EQ(left->kind, SEAM_LEFT_TASK);
    CHECK(strcmp(left->name, "stubborn") == 0);
    CHECK(left->reason != NULL && strcmp(left->reason, "event") == 0);

    (void)let_go(&stubborn);
    CHECK_OK(seam_runtime_stop(stubborn.runtime, &report, SEAM_FOREVER));
    CHECK(report.tasks_ended <= 1); /* it may have ended before the stop began */
    CHECK_EQ(report.tasks_left, 0);
    CHECK_EQ(seam_now_ns(), then_ns + 100 * SEAM_MILLISECOND);
    seam_runtime_free(stubborn.runtime);
    sm_clock_make_real();
}

enum { CROWD = 3 * SEAM_LEFT_MAX };

static int leave_a_crowd_behind(void *arg)
{
    struct stubborn *stubborn = arg;
    for (int i = 0; i < CROWD; i++) {
        CHECK_OK(leave_behind(stubborn));
        seam_event_reset(&stubborn->runs);
    }
    return 0;
}

ON_EVERY_RUNTIME(who_is_left_beyond_the_room_of_a_report_is_counted)
{
    struct stubborn stubborn = {.runtime = new_runtime(options)};
    CHECK_OK(seam_call(stubborn.runtime, leave_a_crowd_behind, &stubborn, NULL, SEAM_FOREVER));
    struct seam_stop_report report;
    CHECK_ERR(seam_runtime_stop(stubborn.runtime, &report, SEAM_NOW), EAGAIN);
    CHECK_EQ(report.tasks_left, CROWD);
    CHECK_EQ(report.left_count, CROWD);
    CHECK_EQ(report.listed_count, SEAM_LEFT_MAX);
    (void)let_go(&stubborn);
    CHECK_OK(seam_runtime_stop(stubborn.runtime, &report, SEAM_FOREVER));
    CHECK(report.tasks_ended <= CROWD);
    CHECK_EQ(report.left_count, 0);
    seam_runtime_free(stubborn.runtime);
}

/* Not below its parent, as far as cancellation goes. */
TRACED int spawn_behind_a_shield(void *arg);
TRACED int spawn_behind_a_shield(void *arg)
{
    struct stubborn *stubborn = arg;
    struct seam_shield shield;
    struct seam_scope scope;
    seam_shield_begin(&shield);
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, ignore_the_end, stubborn, NULL, NULL));
    CHECK_OK(seam_scope_end(&scope));
    seam_shield_end(&shield);
    return 0;
}

ON_EVERY_RUNTIME(who_is_left_behind_a_shield_is_counted)
{
    struct stubborn stubborn = {};
    struct caller caller = {new_runtime(options), spawn_behind_a_shield, &stubborn, 0};
    begin_call(&caller);
    CHECK_OK(seam_event_wait(&stubborn.runs, SEAM_FOREVER));
    struct seam_stop_report report;
    do {
        CHECK_ERR(seam_runtime_stop(caller.runtime, &report, SEAM_NOW), EAGAIN);
        CHECK_EQ(report.tasks_left, 2);
        CHECK_EQ(report.left_count, 2);
        CHECK_EQ(report.listed_count, 1);
    } while (!stands_in(find_left(&report, "call"), spawn_behind_a_shield));
    (void)let_go(&stubborn);
    CHECK_OK(seam_runtime_stop(caller.runtime, NULL, SEAM_FOREVER));
    end_call(&caller);
    seam_runtime_free(caller.runtime);
}

/* ---- i, i2: a blocking job that runs ---- */

struct job {
    struct gate gate;
    struct gate begun;
    struct gate destroyed;
};

TRACED int block_at_the_gate(void *arg);
TRACED int block_at_the_gate(void *arg)
{
    struct job *job = arg;
    gate_open(&job->begun);
    gate_pass(&job->gate);
    return 0;
}

static void note_destroyed(void *arg, int result)
{
    (void)result;
    gate_open(&((struct job *)arg)->destroyed);
}

static void job_init(struct job *job)
{
    gate_init(&job->gate);
    gate_init(&job->begun);
    gate_init(&job->destroyed);
}

static void job_fini(struct job *job)
{
    gate_fini(&job->gate);
    gate_fini(&job->begun);
    gate_fini(&job->destroyed);
}

static int wait_for_job(void *arg)
{
    return seam_block(NULL, block_at_the_gate, arg, NULL, SEAM_FOREVER);
}

/* Row i. Dropping Tokio's runtime waits for ever. */
ON_EVERY_RUNTIME(a_blocking_job_that_runs_is_waited_for_until_the_deadline_and_reported)
{
    struct job job;
    job_init(&job);
    struct caller caller = {new_runtime(options), wait_for_job, &job, 0};
    begin_call(&caller);
    gate_pass(&job.begun);

    struct seam_stop_report report;
    do {
        CHECK_ERR(seam_runtime_stop(caller.runtime, &report, seam_after(20 * SEAM_MILLISECOND)),
                ETIMEDOUT);
    } while (!blocks_in(find_left(&report, "user"), block_at_the_gate));
    CHECK_EQ(report.tasks_left, 1);
    CHECK_EQ(report.jobs_left, 1);
    CHECK_EQ(report.jobs_abandoned, 0);
    CHECK_EQ(report.left_count, 2);
    const struct seam_left *left = find_left(&report, "user");
    if (left == NULL) abort(); /* likewise */
    CHECK_EQ(left->kind, SEAM_LEFT_JOB);
    CHECK(left->age_ns >= 20 * SEAM_MILLISECOND);
    CHECK((uintptr_t)left->spawned_at == (uintptr_t)block_at_the_gate);

    gate_open(&job.gate);
    CHECK_OK(seam_runtime_stop(caller.runtime, &report, SEAM_FOREVER));
    CHECK_EQ(report.left_count, 0);
    end_call(&caller);
    seam_runtime_free(caller.runtime);
    job_fini(&job);
}

/* A task that blocks its thread: its role may have been given to another by now, or not. On
 * current-thread it would block whoever stops, too. */
ON_WORKERS(a_task_that_blocks_its_thread_is_found_there)
{
    struct job job;
    job_init(&job);
    struct caller caller = {new_runtime(options), block_at_the_gate, &job, 0};
    begin_call(&caller);
    gate_pass(&job.begun);

    struct seam_stop_report report;
    do {
        CHECK_ERR(seam_runtime_stop(caller.runtime, &report, SEAM_NOW), EAGAIN);
        CHECK_EQ(report.left_count, 1);
    } while (!blocks_in(&report.left[0], block_at_the_gate));
    CHECK_EQ(report.left[0].kind, SEAM_LEFT_TASK);
    CHECK(report.left[0].reason == NULL);

    gate_open(&job.gate);
    CHECK_OK(seam_runtime_stop(caller.runtime, NULL, SEAM_FOREVER));
    end_call(&caller);
    seam_runtime_free(caller.runtime);
    job_fini(&job);
}

static struct sm_os real;
static _Thread_local bool is_stopper;
static struct job *let_go_job;
static struct seam_stop_report let_go_report;

/* Once the task has been counted, it is let go; its worker answers for it when it has ended. */
static int64_t let_go_once_counted(void)
{
    if (is_stopper && let_go_report.tasks_left == 1 && let_go_job != NULL) {
        gate_open(&let_go_job->gate);
        let_go_job = NULL;
    }
    return real.now_ns();
}

/* Goal: a task that ends while a report is made is in one figure only.
 * Method: it ends after it has been counted, and before the report is complete. */
TEST(a_task_that_ends_during_the_report_is_not_counted_twice)
{
    struct job job;
    job_init(&job);
    const struct seam_options options = {.workers = 1, .overtake = SEAM_OVERTAKE_OFF};
    real = sm_os;
    sm_os.now_ns = let_go_once_counted;
    struct caller caller = {new_runtime(&options), block_at_the_gate, &job, 0};
    begin_call(&caller);
    gate_pass(&job.begun);
    let_go_job = &job;
    is_stopper = true;
    CHECK_ERR(seam_runtime_stop(caller.runtime, &let_go_report, SEAM_NOW), EAGAIN);
    CHECK(let_go_job == NULL);
    CHECK_EQ(let_go_report.tasks_left, 1);
    CHECK_EQ(let_go_report.tasks_ended, 0);
    CHECK_EQ(let_go_report.tasks_live, 1);
    CHECK_OK(seam_runtime_stop(caller.runtime, NULL, SEAM_FOREVER));
    end_call(&caller);
    seam_runtime_free(caller.runtime);
    sm_os = real;
    job_fini(&job);
}

static _Atomic(bool) was_urged;

static void note_urge(int signal)
{
    (void)signal;
    atomic_store(&was_urged, true);
}

TEST(a_program_that_handles_the_signal_itself_gets_a_report_without_running_stacks)
{
    struct sigaction own = {.sa_handler = note_urge};
    CHECK_EQ(sigaction(SIGURG, &own, NULL), 0);
    struct job job;
    job_init(&job);
    struct caller caller = {
            new_runtime(&(struct seam_options){.workers = 1}), block_at_the_gate, &job, 0};
    begin_call(&caller);
    gate_pass(&job.begun);
    struct seam_stop_report report;
    CHECK_ERR(seam_runtime_stop(caller.runtime, &report, SEAM_NOW), EAGAIN);
    CHECK_EQ(report.left_count, 1);
    CHECK_EQ(report.left[0].frame_count, 0);
    CHECK(!atomic_load(&was_urged));
    gate_open(&job.gate);
    CHECK_OK(seam_runtime_stop(caller.runtime, NULL, SEAM_FOREVER));
    end_call(&caller);
    seam_runtime_free(caller.runtime);
    job_fini(&job);
}

static int abandon_job(void *arg)
{
    struct job *job = arg;
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    /* Cancelled by the stop: until then it waits for the job. */
    CHECK_ERR(seam_block_owned(NULL, block_at_the_gate, job, note_destroyed, NULL, SEAM_FOREVER),
            ECANCELED);
    CHECK_ERR(seam_scope_end(&scope), ECANCELED);
    return 0;
}

/* Row i2. Tokio's shutdown_timeout() returns nothing, and the thread is leaked without a word. */
ON_EVERY_RUNTIME(a_job_that_is_abandoned_is_reported)
{
    struct job job;
    job_init(&job);
    struct seam_options impatient = *options;
    impatient.grace_ns = 20 * SEAM_MILLISECOND;
    struct caller caller = {new_runtime(&impatient), abandon_job, &job, 0};
    begin_call(&caller);
    gate_pass(&job.begun);

    struct seam_stop_report report;
    CHECK_OK(seam_runtime_stop(caller.runtime, &report, SEAM_FOREVER));
    end_call(&caller);
    CHECK_EQ(report.tasks_left, 0);
    CHECK_EQ(report.jobs_left, 0);
    CHECK_EQ(report.jobs_abandoned, 1);
    CHECK_EQ(report.left_count, 1);
    CHECK_EQ(report.left[0].kind, SEAM_LEFT_JOB);
    CHECK(report.left[0].age_ns >= 20 * SEAM_MILLISECOND);
    CHECK((uintptr_t)report.left[0].spawned_at == (uintptr_t)block_at_the_gate);
    /* This stop is over and cannot be asked again. */
    CHECK(report.left[0].frame_count == 0 || blocks_in(&report.left[0], block_at_the_gate));
    seam_runtime_free(caller.runtime);
    gate_open(&job.gate);
    gate_pass(&job.destroyed);
    job_fini(&job);
}

/* ---- the same, in a system call that may be interrupted ---- */

enum { READS_FOREVER = INT32_MAX };

struct reader {
    seam_job_class *job_class;
    struct gate begun;
    struct gate input;
    int64_t interrupted_ns; /* for the first time */
    int reads_max;          /* that it insists on, each having been interrupted */
    int result;
};

static void reader_init(struct reader *reader, seam_runtime *runtime)
{
    const struct seam_job_class_options options = {.name = "readers", .interruptible = true};
    CHECK_OK(seam_job_class_new(runtime, &options, &reader->job_class));
    gate_init(&reader->begun);
    gate_init(&reader->input);
}

static void reader_fini(struct reader *reader)
{
    gate_fini(&reader->begun);
    gate_fini(&reader->input);
}

/* As most that know EINTR do: unless it has been cancelled, it begins again. */
static int read_until_cancelled(void *arg)
{
    struct reader *reader = arg;
    gate_open(&reader->begun);
    char byte = 0;
    int reads = 0;
    while (read(reader->input.fds[0], &byte, 1) < 0) {
        CHECK_EQ(errno, EINTR);
        if (reader->interrupted_ns == 0) reader->interrupted_ns = seam_now_ns();
        if (seam_cancelled() < 0 && ++reads >= reader->reads_max) break;
    }
    return seam_cancelled();
}

static int block_on_reader(void *arg)
{
    struct reader *reader = arg;
    CHECK_OK(seam_block(
            reader->job_class, read_until_cancelled, reader, &reader->result, SEAM_FOREVER));
    return 0;
}

static int block_on_reader_behind_a_shield(void *arg)
{
    struct seam_shield shield;
    seam_shield_begin(&shield);
    int r = block_on_reader(arg);
    seam_shield_end(&shield);
    return r;
}

static void *block_from_outside(void *arg)
{
    struct caller *caller = arg;
    CHECK_OK(block_on_reader(caller->arg));
    return NULL;
}

#define LONGER_THAN_ANY_TEST (3600 * SEAM_SECOND)

/* Stop with a reader at work, which ends by that. Returns when the stop began. */
static int64_t stop_a_reader(const struct seam_options *options, int64_t grace_ns,
        void *(*begin)(void *), seam_fn *fn, struct reader *reader)
{
    struct seam_options patient = *options;
    patient.grace_ns = grace_ns;
    struct caller caller = {new_runtime(&patient), fn, reader, 0};
    reader_init(reader, caller.runtime);
    CHECK_EQ(pthread_create(&caller.thread, NULL, begin, &caller), 0);
    gate_pass(&reader->begun);

    int64_t began_ns = seam_now_ns();
    struct seam_stop_report report;
    CHECK_OK(seam_runtime_stop(caller.runtime, &report, SEAM_FOREVER));
    end_call(&caller);
    CHECK_EQ(reader->result, -ECANCELED);
    CHECK_EQ(report.jobs_ended, 1);
    CHECK_EQ(report.jobs_left, 0);
    CHECK_EQ(report.jobs_abandoned, 0);
    CHECK_EQ(report.left_count, 0);
    CHECK_EQ(report.tasks_live, fn != NULL ? 1 : 0);
    CHECK_EQ(report.tasks_ended, report.tasks_live);
    struct seam_job_stats stats;
    seam_job_class_stats_read(reader->job_class, &stats);
    CHECK_EQ(stats.done, 1);
    seam_runtime_free(caller.runtime);
    reader_fini(reader);
    return began_ns;
}

ON_EVERY_RUNTIME(a_stop_interrupts_the_job_of_a_task_that_it_cancels_at_once)
{
    struct reader reader = {.reads_max = 3};
    (void)stop_a_reader(options, LONGER_THAN_ANY_TEST, call, block_on_reader, &reader);
}

/* Its thread has the grace again to leave the job, else the report says that it was abandoned: long
 * enough for a machine that is busy. */
ON_EVERY_RUNTIME(a_stop_interrupts_a_job_behind_a_shield_once_the_grace_is_over)
{
    enum { GRACE_NS = 300 * 1000 * 1000 };
    struct reader reader = {.reads_max = 3};
    int64_t began_ns =
            stop_a_reader(options, GRACE_NS, call, block_on_reader_behind_a_shield, &reader);
    CHECK(reader.interrupted_ns >= began_ns + GRACE_NS);
}

/* Two readers of a class that runs one at a time: the second begins when the first was interrupted. */
ON_EVERY_RUNTIME(a_stop_interrupts_a_job_behind_a_shield_that_begins_when_the_grace_is_over)
{
    struct seam_options impatient = *options;
    impatient.grace_ns = 5 * SEAM_MILLISECOND;
    seam_runtime *runtime = new_runtime(&impatient);
    const struct seam_job_class_options one = {.threads_max = 1, .interruptible = true};
    struct reader readers[2] = {{.reads_max = 1}, {.reads_max = 1}};
    struct caller callers[2];
    for (size_t i = 0; i < 2; i++) {
        reader_init(&readers[i], runtime);
        if (i == 0) CHECK_OK(seam_job_class_new(runtime, &one, &readers[0].job_class));
        readers[i].job_class = readers[0].job_class;
        callers[i] = (struct caller){runtime, block_on_reader_behind_a_shield, &readers[i], 0};
        begin_call(&callers[i]);
        if (i == 0) gate_pass(&readers[0].begun);
    }
    wait_until_queued(readers[0].job_class, 1);
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    for (size_t i = 0; i < 2; i++) {
        end_call(&callers[i]);
        CHECK_EQ(readers[i].result, -ECANCELED);
        CHECK(readers[i].interrupted_ns != 0);
        reader_fini(&readers[i]);
    }
    seam_runtime_free(runtime);
}

/* Nobody inside waits for it, and nobody outside is cancelled. It has the grace again to end, which is
 * enough for a machine that is busy. */
ON_EVERY_RUNTIME(a_stop_interrupts_the_job_of_a_caller_outside_once_the_grace_is_over)
{
    enum { GRACE_NS = 500 * 1000 * 1000 };
    struct reader reader = {.reads_max = 1};
    int64_t began_ns = stop_a_reader(options, GRACE_NS, block_from_outside, NULL, &reader);
    CHECK(reader.interrupted_ns >= began_ns + GRACE_NS);
}

/* It is given the grace again to end, and then it is left to itself. */
ON_EVERY_RUNTIME(a_job_of_a_caller_outside_that_insists_is_reported)
{
    struct seam_options impatient = *options;
    impatient.grace_ns = 5 * SEAM_MILLISECOND;
    struct reader reader = {.reads_max = READS_FOREVER};
    struct caller caller = {new_runtime(&impatient), NULL, &reader, 0};
    reader_init(&reader, caller.runtime);
    CHECK_EQ(pthread_create(&caller.thread, NULL, block_from_outside, &caller), 0);
    gate_pass(&reader.begun);

    struct seam_stop_report report;
    int64_t began_ns = seam_now_ns();
    CHECK_OK(seam_runtime_stop(caller.runtime, &report, SEAM_FOREVER));
    CHECK(seam_now_ns() >= began_ns + 2 * impatient.grace_ns);
    CHECK_EQ(report.jobs_abandoned, 1);
    CHECK_EQ(report.jobs_ended, 0);
    CHECK_EQ(report.left_count, 1);
    CHECK_EQ(report.left[0].kind, SEAM_LEFT_JOB);
    CHECK(strcmp(report.left[0].name, "readers") == 0);

    gate_open(&reader.input);
    end_call(&caller);
    seam_runtime_free(caller.runtime);
    reader_fini(&reader);
}

static int do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

/* Whoever comes too late is told, and counted. */
ON_EVERY_RUNTIME(a_job_that_comes_too_late_is_counted_as_refused)
{
    seam_runtime *runtime = new_runtime(options);
    seam_job_class *user = seam_runtime_jobs(runtime, SEAM_JOBS_USER);
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    CHECK_ERR(seam_block(user, do_nothing, NULL, NULL, SEAM_FOREVER), ESHUTDOWN);
    struct gate destroyed;
    gate_init(&destroyed);
    struct job job = {.destroyed = destroyed};
    CHECK_ERR(seam_block_owned(user, do_nothing, &job, note_destroyed, NULL, SEAM_FOREVER),
            ESHUTDOWN);
    struct seam_job_stats stats;
    seam_job_class_stats_read(user, &stats);
    CHECK_EQ(stats.refused, 2);
    seam_runtime_free(runtime);
    gate_fini(&destroyed);
}

/* ---- j: a pool thread that uses a runtime which stops, or has ---- */

struct late {
    seam_runtime *runtime;
    struct gate begun;
    struct gate freed;
    struct gate done;
};

static int use_timers_too_late(void *arg)
{
    struct late *late = arg;
    gate_open(&late->begun);
    struct seam_scope scope;
    int r = 0;
    while (r == 0) {
        r = seam_scope_begin(&scope, NULL, seam_after(SEAM_SECOND));
        if (r == 0) (void)seam_scope_end(&scope);
    }
    CHECK_EQ(r, -ESHUTDOWN);
    CHECK_ERR(seam_sleep(seam_after(3600 * SEAM_SECOND)), ECANCELED);
    CHECK_ERR(seam_spawn(seam_runtime_root(late->runtime), use_timers_too_late, late, NULL, NULL),
            ESHUTDOWN);
    return 7;
}

static int begin_use(void *arg)
{
    int result = 0;
    CHECK_OK(seam_block(NULL, use_timers_too_late, arg, &result, SEAM_FOREVER));
    CHECK_EQ(result, 7);
    return 0;
}

/* Row j. Tokio panics: "A Tokio 1.x context was found, but it is being shutdown." */
ON_EVERY_RUNTIME(a_job_that_uses_timers_once_the_end_has_begun_is_told)
{
    struct late late = {.runtime = new_runtime(options)};
    gate_init(&late.begun);
    struct caller caller = {late.runtime, begin_use, &late, 0};
    begin_call(&caller);
    gate_pass(&late.begun);
    CHECK_OK(seam_runtime_stop(late.runtime, NULL, SEAM_FOREVER));
    end_call(&caller);
    seam_runtime_free(late.runtime);
    gate_fini(&late.begun);
}

static int use_everything_too_late(void *arg)
{
    struct late *late = arg;
    gate_open(&late->begun);
    gate_pass(&late->freed);
    struct seam_scope scope;
    struct seam_event never = SEAM_EVENT_INIT;
    CHECK_ERR(seam_scope_begin(&scope, NULL, SEAM_FOREVER), ESHUTDOWN);
    CHECK_ERR(seam_sleep(seam_after(3600 * SEAM_SECOND)), ECANCELED);
    CHECK_ERR(seam_event_wait(&never, SEAM_FOREVER), ECANCELED);
    CHECK_ERR(seam_block(NULL, use_timers_too_late, late, NULL, SEAM_FOREVER), ECANCELED);
    CHECK_ERR(seam_call(NULL, use_timers_too_late, late, NULL, SEAM_FOREVER), ESHUTDOWN);
    return 0;
}

static void note_late(void *arg, int result)
{
    CHECK_EQ(result, 0);
    gate_open(&((struct late *)arg)->done);
}

static int begin_late_use(void *arg)
{
    CHECK_ERR(seam_block_owned(NULL, use_everything_too_late, arg, note_late, NULL, SEAM_FOREVER),
            ECANCELED);
    return 0;
}

ON_EVERY_RUNTIME(a_job_that_has_outlived_its_runtime_is_told)
{
    struct seam_options impatient = *options;
    impatient.grace_ns = 1;
    struct late late = {.runtime = new_runtime(&impatient)};
    gate_init(&late.begun);
    gate_init(&late.freed);
    gate_init(&late.done);
    struct caller caller = {late.runtime, begin_late_use, &late, 0};
    begin_call(&caller);
    gate_pass(&late.begun);
    end_runtime(late.runtime);
    end_call(&caller);
    gate_open(&late.freed);
    gate_pass(&late.done);
    gate_fini(&late.begun);
    gate_fini(&late.freed);
    gate_fini(&late.done);
}

static int use_the_pool(void *arg)
{
    return seam_block(NULL, do_nothing, arg, NULL, SEAM_FOREVER);
}

ON_EVERY_RUNTIME(a_runtime_in_which_all_has_ended_reports_nobody)
{
    seam_runtime *runtime = new_runtime(options);
    CHECK_OK(seam_call(runtime, use_the_pool, NULL, NULL, SEAM_FOREVER));
    struct seam_stop_report report;
    memset(&report, 0x55, sizeof report);
    CHECK_OK(seam_runtime_stop(runtime, &report, SEAM_FOREVER));
    CHECK_EQ(report.tasks_left, 0);
    CHECK_EQ(report.left_count, 0);
    CHECK_EQ(report.jobs_abandoned, 0);
    memset(&report, 0x55, sizeof report);
    CHECK_OK(seam_runtime_stop(runtime, &report, SEAM_FOREVER));
    CHECK_EQ(report.tasks_live, 0);
    CHECK_EQ(report.left_count, 0);
    seam_runtime_free(runtime);
}
