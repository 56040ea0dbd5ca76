/* SPDX-License-Identifier: MIT */
/*
 * seam/bridge_call.c - what does it cost to go through a bridge, with its limit and its figures?
 *
 * bridge_seq_bridge    one plain thread, seam_bridge_call(), 200 k times.
 * bridge_8_bridge      8 plain threads at once, 200 k calls in all.
 * call_in_task_bridge  the same call made by a task of the bridge's runtime; 1 M times.
 * bridge_tick          a task that sleeps 1 ms, again and again, on the worker of two tasks that
 *                      call a bridge whose function sleeps 20 ms: the 99th percentile of its period.
 *
 * Beside bridge_seq, bridge_8 and call_in_task (seam/bridge.c), which call the runtime itself.
 */
#include <pthread.h>
#include <stdlib.h>

#include "run.h"

enum { CALLERS_MAX = 8, TICKS = 500 };

static seam_bridge *bridge;
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
        struct seam_reply reply;

        bench_need(seam_bridge_call(bridge, trivial, &zero, &reply, SEAM_FOREVER) == 0,
                "seam_bridge_call");
        bench_need(reply.result == 1, "wrong result");
    }
    return NULL;
}

static int call_many_in_task(void *arg)
{
    (void)call_many(arg);
    return 0;
}

static void open_bridge(const struct bench_run *run)
{
    struct seam_bridge_options options = {.name = "bench", .workers = (uint32_t)run->threads};

    bench_need(seam_bridge_new(&options, &bridge) == 0, "seam_bridge_new");
}

static void close_bridge(void)
{
    bench_need(seam_bridge_close(bridge, NULL, SEAM_FOREVER) == 0, "seam_bridge_close");
    seam_bridge_free(bridge);
}

static void measure(const struct bench_run *run, int callers)
{
    long calls = bench_count(run, 200000, callers);
    pthread_t threads[CALLERS_MAX];
    int64_t start_ns;

    open_bridge(run);
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
    close_bridge();
}

static void measure_seq(const struct bench_run *run)
{
    measure(run, 1);
}

static void measure_8(const struct bench_run *run)
{
    measure(run, CALLERS_MAX);
}

static void measure_in_task(const struct bench_run *run)
{
    struct seam_reply reply;
    int64_t start_ns;
    int r;

    open_bridge(run);
    calls_each = bench_count(run, 1000000, 1);
    start_ns = bench_now_ns();
    r = seam_bridge_call(bridge, call_many_in_task, NULL, &reply, SEAM_FOREVER);
    bench_need(r == 0 && reply.result == 0, "seam_bridge_call");
    bench_report_ns(run, start_ns, calls_each);
    close_bridge();
}

/* ---- the tick beside a call ---- */

static struct seam_event ticked_enough;

static int sleep_long(void *arg)
{
    (void)arg;
    return seam_sleep(seam_after(20 * SEAM_MILLISECOND));
}

static int keep_calling(void *arg)
{
    (void)arg;
    while (seam_event_wait(&ticked_enough, SEAM_NOW) < 0)
        bench_need(seam_bridge_call(bridge, sleep_long, NULL, NULL, SEAM_FOREVER) == 0, "call");
    return 0;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static int tick(void *arg)
{
    static int64_t periods[TICKS];
    const struct bench_run *run = arg;
    int64_t then_ns = bench_now_ns();

    for (int i = 0; i < TICKS; i++) {
        (void)seam_sleep(seam_after(SEAM_MILLISECOND));
        int64_t now_ns = bench_now_ns();

        periods[i] = now_ns - then_ns;
        then_ns = now_ns;
    }
    seam_event_set(&ticked_enough);
    qsort(periods, TICKS, sizeof periods[0], compare);
    bench_report(run, (double)periods[TICKS * 99 / 100] / 1e6, "ms");
    return 0;
}

static int tick_beside_callers(void *arg)
{
    struct seam_scope scope;

    bench_need(seam_scope_begin(&scope, NULL, SEAM_FOREVER) == 0, "seam_scope_begin");
    for (int i = 0; i < 2; i++)
        bench_need(seam_spawn(&scope, keep_calling, NULL, NULL, NULL) == 0, "seam_spawn");
    bench_need(seam_spawn(&scope, tick, arg, NULL, NULL) == 0, "seam_spawn");
    return seam_scope_end(&scope);
}

static void measure_tick(const struct bench_run *run)
{
    const struct seam_options one = {.current_thread = true};
    struct bench_run copy = *run;

    open_bridge(run);
    bench_need(seam_run(&one, tick_beside_callers, &copy) == 0, "seam_run");
    close_bridge();
}

int main(int argc, char **argv)
{
    static const struct bench_case cases[] = {
            {"bridge_seq_bridge", measure_seq},
            {"bridge_8_bridge", measure_8},
            {"call_in_task_bridge", measure_in_task},
            {"bridge_tick", measure_tick},
            {NULL, NULL},
    };

    return bench_main(argc, argv, "seam", cases);
}
