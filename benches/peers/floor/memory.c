/* SPDX-License-Identifier: MIT */
/*
 * floor/memory.c - what must a parked task with a stack of its own cost?
 *
 * mem_block_100k, mem_block_1m: one page touched at the top of each 64 KiB stride of one
 * MAP_NORESERVE mapping without huge pages; resident bytes / n, then the same with page tables.
 * What differs from the peers: there is no task, no guard and no control block.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/bench.h"

enum { STRIDE = 64 * 1024 };

static void touch_stacks(const struct bench_run *run, long full)
{
    long tasks = bench_count(run, full, 1);
    size_t bytes = (size_t)tasks * STRIDE;
    struct bench_memory before = bench_memory_now();
    char *slab = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

    bench_need(slab != MAP_FAILED, "mmap");
    (void)madvise(slab, bytes, MADV_NOHUGEPAGE);
    for (long i = 0; i < tasks; i++)
        slab[(size_t)(i + 1) * STRIDE - 64] = 1;
    bench_report_memory(run, before, tasks);
}

static void measure_100k(const struct bench_run *run)
{
    touch_stacks(run, 100000);
}

static void measure_1m(const struct bench_run *run)
{
    touch_stacks(run, 1000000);
}

int main(int argc, char **argv)
{
    static const struct bench_case cases[] = {
            {"mem_block_100k", measure_100k},
            {"mem_block_1m", measure_1m},
            {NULL, NULL},
    };

    return bench_main(argc, argv, "floor", cases);
}
