/* SPDX-License-Identifier: MIT */
#include "common/samples.h"

#include <stdio.h>
#include <stdlib.h>

void bench_sample(struct bench_samples *samples, int64_t ns)
{
    if (samples->count < BENCH_SAMPLES_MAX) samples->ns[samples->count++] = ns;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

void bench_report_samples(const struct bench_run *run, struct bench_samples *samples)
{
    bench_need(samples->count > 0, "a sample");
    qsort(samples->ns, (size_t)samples->count, sizeof samples->ns[0], compare);
    char name[64];
    const char *const suffixes[] = {"", "_p99", "_max"};
    const long ranks[] = {samples->count / 2, samples->count * 99 / 100, samples->count - 1};
    for (int i = 0; i < 3; i++) {
        (void)snprintf(name, sizeof name, "%s%s", run->workload, suffixes[i]);
        bench_report_as(run, name, (double)samples->ns[ranks[i]] / 1e6, "ms");
    }
}
