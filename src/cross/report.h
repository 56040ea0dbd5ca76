/* SPDX-License-Identifier: MIT */
/*
 * cross/report.h - what became of whom while a runtime was stopped.
 *
 *     sm_report_begin()      once nothing begins any more
 *     sm_report_left()       tasks are left: list them, and the jobs they wait for; or
 *     sm_report_abandoned()  no task is left, but jobs are: list them
 *     sm_report_end()        the figures
 *
 * All by the thread that stops the runtime. None of them does anything if nobody asked.
 */
#pragma once

#include <stdint.h>

#include "seam/runtime.h"
#include "seam/stop.h"

#include "cross/pool.h"

struct sm_report {
    struct seam_stop_report *out;                /* NULL: nobody asked */
    const struct sm_task *listed[SEAM_LEFT_MAX]; /* whom out->left is about; jobs: NULL */
    seam_runtime *runtime;
    uint64_t tasks; /* that had not ended, when it began */
    uint64_t jobs;  /* likewise */
    int64_t began_ns;
};

/* out is zeroed, or NULL. */
void sm_report_begin(struct sm_report *report, seam_runtime *runtime, struct seam_stop_report *out);
void sm_report_left(struct sm_report *report);
void sm_report_abandoned(struct sm_report *report);
void sm_report_end(struct sm_report *report);
