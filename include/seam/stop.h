/* SPDX-License-Identifier: MIT */
/*
 * seam/stop.h - who is left when a runtime stops: what seam_runtime_stop() reports.
 *
 *     struct seam_stop_report report;
 *     r = seam_runtime_stop(runtime, &report, seam_after(5 * SEAM_SECOND));
 *     if (report.left_count > 0) seam_stop_report_print(&report, STDERR_FILENO);
 */
#pragma once

#include <stdint.h>

#include "seam/attr.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    SEAM_LEFT_MAX = 16,        /* how many a report lists */
    SEAM_LEFT_FRAMES_MAX = 16, /* how much of each one's stack */
};

/** What is left. */
enum seam_left_kind {
    SEAM_LEFT_TASK, /* a task that has not ended */
    SEAM_LEFT_JOB,  /* a blocking job that has not ended */
};

/** Somebody who has not ended. Addresses of code are for dladdr(), addr2line and debuggers. */
struct seam_left {
    enum seam_left_kind kind;
    uint32_t frame_count;   /* of frames; 0 where nobody could look */
    char name[32];          /* as given to seam_spawn(), cut; of a job, its class */
    const char *reason;     /* what a task waits for; NULL: it does not wait */
    int64_t age_ns;         /* since it began, at least; about 1 ms exact */
    const void *spawned_at; /* who spawned the task; of a job, its function */
    const void *frames[SEAM_LEFT_FRAMES_MAX]; /* its stack, innermost first */
    uint64_t reserved[2];                     /* zero */
};

/** What became of those who were there when the stop began. */
struct seam_stop_report {
    uint64_t tasks_live;     /* had not ended when the stop began */
    uint64_t tasks_ended;    /* of these, ended since */
    uint64_t tasks_left;     /* of these, did not: tasks_live - tasks_ended */
    uint64_t jobs_ended;     /* blocking jobs that ended since the stop began */
    uint64_t jobs_left;      /* that did not: still waited for, while tasks are left */
    uint64_t jobs_abandoned; /* that did not, and are left to end by themselves */
    uint64_t reserved[8];    /* zero */
    uint32_t left_count;     /* tasks and jobs that have not ended */
    uint32_t listed_count;   /* of these, how many are in left */
    struct seam_left left[SEAM_LEFT_MAX];
};

/**
 * seam_stop_report_print() - Write a report as text, a line for each figure, task, job and frame.
 *
 * @report: from seam_runtime_stop()
 * @fd:     where to; a short or failed write is not reported
 *
 * Frames are shown as backtrace_symbols_fd() does: as file, nearest exported symbol, and address.
 *
 * Context: any.  Never suspends, but writes to @fd, which may block the thread.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API void seam_stop_report_print(const struct seam_stop_report *report, int fd);

#ifdef __cplusplus
}
#endif
