/* SPDX-License-Identifier: MIT */
/*
 * seam/run.h - what seam's own bench programs share: a measured body as the first task.
 */
#pragma once

#include "seam.h"

#include "common/bench.h"

/* Runs `fn` with the bench_run as its argument, in a runtime of run->threads workers. */
static inline void run_in_seam(const struct bench_run *run, seam_fn *fn)
{
    struct seam_options options = {.workers = (uint32_t)run->threads};
    struct bench_run copy = *run;

    bench_need(seam_run(&options, fn, &copy) == 0, "seam_run");
}

/* Joins a task that is expected to return 0. */
static inline void join_task(seam_task *task)
{
    int result = -1;

    bench_need(seam_join(task, &result, SEAM_FOREVER) == 0 && result == 0, "seam_join");
}
