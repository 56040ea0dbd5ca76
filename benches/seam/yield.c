/* SPDX-License-Identifier: MIT */
/*
 * seam/yield.c - what does it cost to let the other task run?
 *
 * Two tasks in one scope yield 5 M times each; value = time / 10 M, spawning and ending included.
 * What differs from the peers: seam_yield() also looks whether its scope was cancelled.
 */
#include "run.h"

static int yield_many(void *arg)
{
    for (long i = 0; i < *(const long *)arg; i++) {
        int r = seam_yield();
        if (r < 0) return r;
    }
    return 0;
}

static int yield_both(void *arg)
{
    const struct bench_run *run = arg;
    long yields = bench_count(run, 10000000, 2);
    long each = yields / 2;
    int64_t start_ns = bench_now_ns();
    struct seam_scope scope;

    bench_need(seam_scope_begin(&scope, NULL, SEAM_FOREVER) == 0, "seam_scope_begin");
    for (int i = 0; i < 2; i++)
        bench_need(seam_spawn(&scope, yield_many, &each, NULL, NULL) == 0, "seam_spawn");
    bench_need(seam_scope_end(&scope) == 0, "seam_scope_end");
    bench_report_ns(run, start_ns, yields);
    return 0;
}

static void measure_yield(const struct bench_run *run)
{
    run_in_seam(run, yield_both);
}

int main(int argc, char **argv)
{
    static const struct bench_case cases[] = {{"yield", measure_yield}, {NULL, NULL}};

    return bench_main(argc, argv, "seam", cases);
}
