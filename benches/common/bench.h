/* SPDX-License-Identifier: MIT */
/*
 * common/bench.h - what every C bench program shares: arguments, clock, output, memory.
 *
 * Every program, in whatever language, is called as
 *
 *     PROGRAM WORKLOAD THREADS [DIVISOR]
 *
 * and prints lines of the form "workload peer threads value unit", or "workload peer threads
 * n/a reason". DIVISOR shrinks the number of operations for smoke tests. A program gives up
 * after BENCH_SECONDS_MAX and dies with its parent, so that none is ever left behind.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BENCH_SECONDS_MAX = 120 };

struct bench_run {
    const char *workload;
    const char *peer;
    int threads;
    long divisor;
};

struct bench_case {
    const char *workload;
    void (*measure)(const struct bench_run *run);
};

/* Runs the one case that the arguments name. Returns the exit code; 2 means no such case. */
int bench_main(int argc, char **argv, const char *peer, const struct bench_case *cases);

/* How many operations to do where the full measurement does `full`; a multiple of `step`. */
long bench_count(const struct bench_run *run, long full, long step);

void bench_report(const struct bench_run *run, double value, const char *unit);
void bench_report_as(
        const struct bench_run *run, const char *workload, double value, const char *unit);
void bench_not_possible(const struct bench_run *run, const char *reason);

/* For times: nanoseconds or microseconds per operation since `start_ns`, and operations/s. */
void bench_report_ns(const struct bench_run *run, int64_t start_ns, long operations);
void bench_report_us(const struct bench_run *run, int64_t start_ns, long operations);
void bench_report_rate(const struct bench_run *run, int64_t start_ns, long operations);

/* Ends the program with `what` unless `ok`: a bench that half works must not print figures. */
void bench_need(bool ok, const char *what);

int64_t bench_now_ns(void);

/* Binds the calling thread, and those it starts later, to one CPU. */
void bench_pin(int cpu);

struct bench_memory {
    int64_t resident_bytes; /* VmRSS */
    int64_t tables_bytes;   /* VmPTE: what the kernel keeps to map it */
};

struct bench_memory bench_memory_now(void);

/* Prints mem_block (resident) and mem_block_tables (resident and page tables) per task. */
void bench_report_memory(const struct bench_run *run, struct bench_memory before, long tasks);

/* A loopback listener on a free port: backlog 4096, not blocking. Stores the port. */
int bench_listen(uint16_t *out_port);
