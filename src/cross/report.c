/* SPDX-License-Identifier: MIT */
#include "cross/report.h"

#include <execinfo.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/cast.h"
#include "os/frames.h"
#include "sched/inspect.h"
#include "sched/runtime.h"
#include "task/scope.h"
#include "task/task.h"

/* ---- writing it ---- */

/* The next free entry, or NULL; counted either way. */
static struct seam_left *add(struct seam_stop_report *out, enum seam_left_kind kind)
{
    out->left_count++;
    if (out->listed_count == SEAM_LEFT_MAX) return NULL;
    struct seam_left *left = &out->left[out->listed_count++];
    left->kind = kind;
    return left;
}

void sm_report_begin(struct sm_report *report, seam_runtime *runtime, struct seam_stop_report *out)
{
    *report = (struct sm_report){.out = out, .runtime = runtime};
    if (out == NULL) return;
    report->began_ns = sm_now_ns();
    struct seam_runtime_stats stats;
    sm_runtime_stats_read(runtime, &stats);
    report->tasks = stats.tasks_live;
    report->jobs = sm_pool_job_count(runtime->pool);
}

/* How long ago the task began, at least. */
static int64_t age_of(const struct sm_report *report, const struct sm_task *task)
{
    uint32_t began = sm_load_relaxed(&task->began); /* relaxed: for this report only */
    int64_t now_ns = sm_now_ns();                   /* after it, else it might lie in the future */
    /* In 32 bits, as it was counted: it wraps after 52 days. */
    uint32_t steps = (uint32_t)(now_ns >> SM_TASK_BEGAN_SHIFT) - began;
    int64_t age_ns = began != 0 ? (int64_t)steps << SM_TASK_BEGAN_SHIFT : 0;
    int64_t stop_ns = now_ns - report->began_ns;
    return age_ns > stop_ns ? age_ns : stop_ns;
}

static void add_task(void *arg, struct sm_task *task)
{
    struct sm_report *report = arg;
    report->out->tasks_left++;
    struct seam_left *left = add(report->out, SEAM_LEFT_TASK);
    if (left == NULL) return;
    report->listed[left - report->out->left] = task;
    (void)snprintf(left->name, sizeof left->name, "%s", task->name);
    left->age_ns = age_of(report, task);
    left->spawned_at = task->spawned_at;
}

/* On the worker that task is parked on. */
static void look_at_task(void *arg, struct sm_task *task)
{
    const struct sm_report *report = arg;
    for (uint32_t i = 0; i < report->out->listed_count; i++) {
        if (report->listed[i] != task) continue;
        struct seam_left *left = &report->out->left[i];
        left->reason = sm_inspect_reason(task);
        left->frame_count = sm_inspect_frames(task, left->frames, SEAM_LEFT_FRAMES_MAX);
    }
}

static void set_frames(struct seam_left *left, const struct sm_frames *frames)
{
    while (left->frame_count < SEAM_LEFT_FRAMES_MAX && (int)left->frame_count < frames->count) {
        left->frames[left->frame_count] = frames->addresses[left->frame_count];
        left->frame_count++;
    }
}

/* In the handler of a signal. */
static const void *running_task(void)
{
    const struct sm_thread *thread = sm_thread_self_if_known();
    return thread != NULL ? thread->task : NULL;
}

static bool is_unseen(const struct sm_report *report, uint32_t i)
{
    const struct seam_left *left = &report->out->left[i];
    return report->listed[i] != NULL && left->frame_count == 0 && left->reason == NULL;
}

/* A task that does not wait may be running, there or elsewhere. */
static void look_at_thread(void *arg, int tid)
{
    const struct sm_report *report = arg;
    uint32_t i = 0;
    while (i < report->out->listed_count && !is_unseen(report, i)) {
        i++;
    }
    struct sm_frames frames;
    if (i == report->out->listed_count || !sm_os_thread_frames(tid, running_task, &frames)) return;
    for (; i < report->out->listed_count; i++) {
        if (!is_unseen(report, i) || report->listed[i] != frames.whose) continue;
        set_frames(&report->out->left[i], &frames);
    }
}

static void add_job(struct seam_stop_report *out, const struct sm_pool_job *job)
{
    struct seam_left *left = add(out, SEAM_LEFT_JOB);
    if (left == NULL) return;
    (void)snprintf(left->name, sizeof left->name, "%.31s", job->class_name);
    left->age_ns = job->age_ns;
    left->spawned_at = (const void *)job->fn;
    struct sm_frames frames;
    if (sm_os_thread_frames(job->thread_id, NULL, &frames)) set_frames(left, &frames);
}

/* Those that run; returns how many. */
static uint32_t add_jobs(const struct sm_report *report)
{
    struct sm_pool_job jobs[SEAM_LEFT_MAX];
    uint32_t count = sm_pool_jobs(report->runtime->pool, jobs, SEAM_LEFT_MAX);
    for (uint32_t i = 0; i < count && i < SEAM_LEFT_MAX; i++) {
        add_job(report->out, &jobs[i]);
    }
    if (count > SEAM_LEFT_MAX) report->out->left_count += count - SEAM_LEFT_MAX;
    return count;
}

/* Tasks that nobody reaches: in scopes that were opened behind a shield. */
static void count_hidden_tasks(const struct sm_report *report)
{
    struct seam_stop_report *out = report->out;
    struct seam_runtime_stats stats;
    sm_runtime_stats_read(report->runtime, &stats);
    if (stats.tasks_live <= out->tasks_left) return;
    out->left_count += (uint32_t)(stats.tasks_live - out->tasks_left);
    out->tasks_left = stats.tasks_live;
}

void sm_report_left(struct sm_report *report)
{
    if (report->out == NULL) return;
    sm_scope_each_live(sm_runtime_root(report->runtime), add_task, report);
    count_hidden_tasks(report);
    sm_runtime_inspect(report->runtime, look_at_task, report);
    sm_runtime_each_thread(report->runtime, look_at_thread, report);
    report->out->jobs_left = add_jobs(report);
}

void sm_report_abandoned(struct sm_report *report)
{
    if (report->out != NULL) report->out->jobs_abandoned = add_jobs(report);
}

void sm_report_end(struct sm_report *report)
{
    struct seam_stop_report *out = report->out;
    if (out == NULL) return;
    /* Not what has been counted as finished since: some may be among those that were left a moment
     * ago. On the other hand a task that was being spawned may be left, and not have been counted. */
    out->tasks_live = report->tasks > out->tasks_left ? report->tasks : out->tasks_left;
    out->tasks_ended = out->tasks_live - out->tasks_left;
    uint64_t left = out->jobs_left + out->jobs_abandoned;
    out->jobs_ended = report->jobs > left ? report->jobs - left : 0;
}

/* ---- reading it ---- */

static void print_address(const void *address, int fd)
{
    void *const frame = sm_drop_const(address); /* only looked up */
    backtrace_symbols_fd(&frame, 1, fd);
}

static void print_left(const struct seam_left *left, int fd)
{
    bool is_job = left->kind == SEAM_LEFT_JOB;
    (void)dprintf(fd, "  %s '%s', %" PRId64 " ms old%s%s\n", is_job ? "job" : "task", left->name,
            left->age_ns / 1000000, left->reason != NULL ? ", waits: " : "",
            left->reason != NULL ? left->reason : "");
    if (left->spawned_at != NULL) {
        (void)dprintf(fd, "    %s ", is_job ? "runs" : "spawned at");
        print_address(left->spawned_at, fd);
    }
    for (uint32_t i = 0; i < left->frame_count; i++) {
        (void)dprintf(fd, "    #%-2" PRIu32 " ", i);
        print_address(left->frames[i], fd);
    }
}

void seam_stop_report_print(const struct seam_stop_report *report, int fd)
{
    (void)dprintf(fd,
            "seam: runtime stop: tasks: %" PRIu64 " live, %" PRIu64 " ended, %" PRIu64
            " left; jobs: %" PRIu64 " ended, %" PRIu64 " left, %" PRIu64 " abandoned\n",
            report->tasks_live, report->tasks_ended, report->tasks_left, report->jobs_ended,
            report->jobs_left, report->jobs_abandoned);
    for (uint32_t i = 0; i < report->listed_count; i++) {
        print_left(&report->left[i], fd);
    }
    if (report->left_count > report->listed_count) {
        (void)dprintf(fd, "  and %" PRIu32 " more\n", report->left_count - report->listed_count);
    }
}
