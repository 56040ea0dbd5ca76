/* SPDX-License-Identifier: MIT */
/*
 * seam/blocking.c - what does it cost a task to run a function on a thread that may block?
 *
 * blocking_seq  one task offloads a trivial function with seam_block() and waits, 200 k times.
 * blocking_64   64 tasks do so at once, 320 k calls in all.
 *
 * What differs from the peers: the pool grows as it likes, as Tokio's does; the thread peer has 4.
 */
#include "run.h"

enum { TASKS = 64 };

static int trivial(void *arg)
{
    return *(const int *)arg + 1;
}

static int block_many(void *arg)
{
    int zero = 0;

    for (long i = 0; i < *(const long *)arg; i++) {
        int result = 0;

        bench_need(seam_block(NULL, trivial, &zero, &result, SEAM_FOREVER) == 0, "seam_block");
        bench_need(result == 1, "wrong result");
    }
    return 0;
}

static int block_in_turn(void *arg)
{
    const struct bench_run *run = arg;
    long calls = bench_count(run, 200000, 1);
    int64_t start_ns = bench_now_ns();

    (void)block_many(&calls);
    bench_report_us(run, start_ns, calls);
    return 0;
}

static int block_at_once(void *arg)
{
    const struct bench_run *run = arg;
    long calls = bench_count(run, 320000, TASKS);
    long each = calls / TASKS;
    int64_t start_ns = bench_now_ns();
    struct seam_scope scope;

    bench_need(seam_scope_begin(&scope, NULL, SEAM_FOREVER) == 0, "seam_scope_begin");
    for (int i = 0; i < TASKS; i++)
        bench_need(seam_spawn(&scope, block_many, &each, NULL, NULL) == 0, "seam_spawn");
    bench_need(seam_scope_end(&scope) == 0, "seam_scope_end");
    bench_report_rate(run, start_ns, calls);
    return 0;
}

static void measure_blocking_seq(const struct bench_run *run)
{
    run_in_seam(run, block_in_turn);
}

static void measure_blocking_64(const struct bench_run *run)
{
    run_in_seam(run, block_at_once);
}

int main(int argc, char **argv)
{
    static const struct bench_case cases[] = {
            {"blocking_seq", measure_blocking_seq},
            {"blocking_64", measure_blocking_64},
            {NULL, NULL},
    };

    return bench_main(argc, argv, "seam", cases);
}
