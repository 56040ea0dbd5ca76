/* SPDX-License-Identifier: MIT */
/*
 * common/samples.h - times of which the worst matter as much as the usual.
 */
#pragma once

#include <stdint.h>

#include "common/bench.h"

enum { BENCH_SAMPLES_MAX = 20000 };

/* Zeroed memory is none. */
struct bench_samples {
    long count;
    int64_t ns[BENCH_SAMPLES_MAX];
};

/* Those beyond the room are dropped. */
void bench_sample(struct bench_samples *samples, int64_t ns);

/* Sorts them, and prints WORKLOAD, WORKLOAD_p99 and WORKLOAD_max: median, 99th percentile and worst, in
 * ms. */
void bench_report_samples(const struct bench_run *run, struct bench_samples *samples);
