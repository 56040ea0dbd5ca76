/* SPDX-License-Identifier: MIT */
/*
 * seam/memory.c - what does a task cost that waits?
 *
 * mem_block_100k, mem_block_1m: n tasks with default stacks have all started and wait to receive
 * from one channel; resident bytes / n, then the same with page tables. The list of tasks is the
 * scope's, so nothing but the tasks is counted.
 */
#include "run.h"

static seam_chan *gate;
static seam_chan *started;

static int wait_at_gate(void *arg)
{
    char nothing;

    (void)arg;
    bench_need(seam_chan_send(started, "", SEAM_FOREVER) == 0, "seam_chan_send");
    return seam_chan_recv(gate, &nothing, SEAM_FOREVER) < 0 ? 0 : -1;
}

static void park_tasks(const struct bench_run *run, long full)
{
    long tasks = bench_count(run, full, 1);
    struct bench_memory before;
    struct seam_scope scope;

    bench_need(seam_chan_new(1, 0, &gate) == 0, "seam_chan_new");
    bench_need(seam_chan_new(1, 1024, &started) == 0, "seam_chan_new");
    before = bench_memory_now();
    bench_need(seam_scope_begin(&scope, NULL, SEAM_FOREVER) == 0, "seam_scope_begin");
    for (long i = 0; i < tasks; i++) {
        char nothing;

        bench_need(seam_spawn(&scope, wait_at_gate, NULL, NULL, NULL) == 0, "seam_spawn");
        bench_need(seam_chan_recv(started, &nothing, SEAM_FOREVER) == 0, "seam_chan_recv");
    }
    (void)seam_yield(); /* the last one still has to reach its wait */
    bench_report_memory(run, before, tasks);
    seam_chan_close(gate);
    bench_need(seam_scope_end(&scope) == 0, "seam_scope_end");
    seam_chan_free(gate);
    seam_chan_free(started);
}

static int park_100k(void *arg)
{
    park_tasks(arg, 100000);
    return 0;
}

static int park_1m(void *arg)
{
    park_tasks(arg, 1000000);
    return 0;
}

static void measure_100k(const struct bench_run *run)
{
    run_in_seam(run, park_100k);
}

static void measure_1m(const struct bench_run *run)
{
    run_in_seam(run, park_1m);
}

int main(int argc, char **argv)
{
    static const struct bench_case cases[] = {
            {"mem_block_100k", measure_100k},
            {"mem_block_1m", measure_1m},
            {NULL, NULL},
    };

    return bench_main(argc, argv, "seam", cases);
}
