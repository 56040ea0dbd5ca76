/* SPDX-License-Identifier: MIT */
/*
 * boundary/stops.c - what whoever stops a runtime learns: rows i, i2 and j.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "base/sanitizer.h"
#include "boundary/flavours.h"

/* ---- who is left ---- */

struct stubborn {
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

/* The caller's own task waits for its two children; one of them ends. */
ON_EVERY_RUNTIME(whoever_stops_a_runtime_is_told_who_is_left)
{
    struct stubborn stubborn = {};
    struct caller caller = {new_runtime(options), spawn_one_of_each, &stubborn, 0};
    begin_call(&caller);
    CHECK_OK(seam_event_wait(&stubborn.runs, SEAM_FOREVER));

    struct seam_stop_report report;
    CHECK_ERR(seam_runtime_stop(caller.runtime, &report, seam_after(50 * SEAM_MILLISECOND)),
            ETIMEDOUT);
    CHECK_EQ(report.tasks_left, 2);
    CHECK_EQ(report.tasks_live, report.tasks_left + report.tasks_ended);
    CHECK_EQ(report.left_count, 2);
    CHECK_EQ(report.listed_count, 2);
    CHECK(find_left(&report, "call") != NULL);
    const struct seam_left *left = find_left(&report, "stubborn");
    CHECK(left != NULL);
    CHECK_EQ(left->kind, SEAM_LEFT_TASK);
    CHECK(left->age_ns >= 50 * SEAM_MILLISECOND);
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
    CHECK_ERR(seam_runtime_stop(caller.runtime, &report, seam_after(20 * SEAM_MILLISECOND)),
            ETIMEDOUT);
    CHECK_EQ(report.tasks_left, 1);
    CHECK_EQ(report.jobs_left, 1);
    CHECK_EQ(report.jobs_abandoned, 0);
    CHECK_EQ(report.left_count, 2);
    const struct seam_left *left = find_left(&report, "user");
    CHECK(left != NULL);
    CHECK_EQ(left->kind, SEAM_LEFT_JOB);
    CHECK(left->age_ns >= 20 * SEAM_MILLISECOND);
    CHECK((uintptr_t)left->spawned_at == (uintptr_t)block_at_the_gate);
    CHECK(blocks_in(left, block_at_the_gate));

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
    CHECK_ERR(seam_runtime_stop(caller.runtime, &report, SEAM_NOW), EAGAIN);
    CHECK_EQ(report.left_count, 1);
    CHECK_EQ(report.left[0].kind, SEAM_LEFT_TASK);
    CHECK(report.left[0].reason == NULL);
    CHECK(blocks_in(&report.left[0], block_at_the_gate));

    gate_open(&job.gate);
    CHECK_OK(seam_runtime_stop(caller.runtime, NULL, SEAM_FOREVER));
    end_call(&caller);
    seam_runtime_free(caller.runtime);
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
    CHECK(blocks_in(&report.left[0], block_at_the_gate));
    seam_runtime_free(caller.runtime);
    gate_open(&job.gate);
    gate_pass(&job.destroyed);
    job_fini(&job);
}

static int do_nothing(void *arg)
{
    (void)arg;
    return 0;
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
