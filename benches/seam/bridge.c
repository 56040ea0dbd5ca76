/* SPDX-License-Identifier: MIT */
/*
 * seam/bridge.c - what does it cost to run a function as a task of a running runtime, and wait?
 *
 * bridge_seq    one plain thread, seam_call(), 200 k times.
 * bridge_8      8 plain threads at once, 200 k calls in all.
 * call_in_task  the same call made by a task of that runtime, where it runs in the caller inside
 *               a scope of its own; 1 M times.
 *
 * What differs from the peers: Go and Tokio also start a task per call; the floor and the threads
 * do not. In a task, Tokio panics and threads deadlock.
 */
#include <pthread.h>

#include "run.h"

enum { CALLERS_MAX = 8 };

static seam_runtime *runtime;
static long calls_each;

static int trivial(void *arg)
{
    return *(const int *)arg + 1;
}

static void *call_many(void *arg)
{
    int zero = 0;

    (void)arg;
    for (long i = 0; i < calls_each; i++) {
        int result = 0;

        bench_need(seam_call(runtime, trivial, &zero, &result, SEAM_FOREVER) == 0, "seam_call");
        bench_need(result == 1, "wrong result");
    }
    return NULL;
}

static int call_many_in_task(void *arg)
{
    (void)call_many(arg);
    return 0;
}

static void start_runtime(const struct bench_run *run)
{
    struct seam_options options = {.workers = (uint32_t)run->threads};

    bench_need(seam_runtime_new(&options, &runtime) == 0, "seam_runtime_new");
}

static void stop_runtime(void)
{
    bench_need(seam_runtime_stop(runtime, NULL, SEAM_FOREVER) == 0, "seam_runtime_stop");
    seam_runtime_free(runtime);
}

static void measure(const struct bench_run *run, int callers)
{
    long calls = bench_count(run, 200000, callers);
    pthread_t threads[CALLERS_MAX];
    int64_t start_ns;

    start_runtime(run);
    calls_each = calls / callers;
    start_ns = bench_now_ns();
    for (int i = 0; i < callers; i++)
        bench_need(pthread_create(&threads[i], NULL, call_many, NULL) == 0, "pthread_create");
    for (int i = 0; i < callers; i++)
        (void)pthread_join(threads[i], NULL);
    if (callers == 1)
        bench_report_us(run, start_ns, calls);
    else
        bench_report_rate(run, start_ns, calls);
    stop_runtime();
}

static void measure_bridge_seq(const struct bench_run *run)
{
    measure(run, 1);
}

static void measure_bridge_8(const struct bench_run *run)
{
    measure(run, CALLERS_MAX);
}

static void measure_call_in_task(const struct bench_run *run)
{
    int64_t start_ns;
    int result = -1;
    int r;

    start_runtime(run);
    calls_each = bench_count(run, 1000000, 1);
    start_ns = bench_now_ns();
    r = seam_call(runtime, call_many_in_task, NULL, &result, SEAM_FOREVER);
    bench_need(r == 0 && result == 0, "seam_call");
    bench_report_ns(run, start_ns, calls_each);
    stop_runtime();
}

int main(int argc, char **argv)
{
    static const struct bench_case cases[] = {
            {"bridge_seq", measure_bridge_seq},
            {"bridge_8", measure_bridge_8},
            {"call_in_task", measure_call_in_task},
            {NULL, NULL},
    };

    return bench_main(argc, argv, "seam", cases);
}
