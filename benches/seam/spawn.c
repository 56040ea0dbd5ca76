/* SPDX-License-Identifier: MIT */
/*
 * seam/spawn.c - what does it cost to start a trivial task and to wait for its end?
 *
 * spawn_seq    one task spawns and joins, 1 M times, in one scope.
 * spawn_batch  1000 spawned, then 1000 joined; 1 M in all.
 *
 * What differs from the peers: every task is joined for its own result, as in Tokio; Go waits
 * once for the whole batch.
 */
#include "run.h"

enum { BATCH = 1000 };

static int trivial(void *arg)
{
    (void)arg;
    return 0;
}

static void spawn_batches(const struct bench_run *run, int batch)
{
    long spawns = bench_count(run, 1000000, batch);
    seam_task *tasks[BATCH];
    struct seam_scope scope;
    int64_t start_ns;

    bench_need(seam_scope_begin(&scope, NULL, SEAM_FOREVER) == 0, "seam_scope_begin");
    start_ns = bench_now_ns();
    for (long done = 0; done < spawns; done += batch) {
        for (int i = 0; i < batch; i++)
            bench_need(seam_spawn(&scope, trivial, NULL, NULL, &tasks[i]) == 0, "seam_spawn");
        for (int i = 0; i < batch; i++)
            join_task(tasks[i]);
    }
    bench_report_ns(run, start_ns, spawns);
    bench_need(seam_scope_end(&scope) == 0, "seam_scope_end");
}

static int spawn_one_by_one(void *arg)
{
    spawn_batches(arg, 1);
    return 0;
}

static int spawn_in_batches(void *arg)
{
    spawn_batches(arg, BATCH);
    return 0;
}

static void measure_spawn_seq(const struct bench_run *run)
{
    run_in_seam(run, spawn_one_by_one);
}

static void measure_spawn_batch(const struct bench_run *run)
{
    run_in_seam(run, spawn_in_batches);
}

int main(int argc, char **argv)
{
    static const struct bench_case cases[] = {
            {"spawn_seq", measure_spawn_seq},
            {"spawn_batch", measure_spawn_batch},
            {NULL, NULL},
    };

    return bench_main(argc, argv, "seam", cases);
}
