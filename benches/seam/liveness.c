/* SPDX-License-Identifier: MIT */
/*
 * seam/liveness.c - what becomes of the others while tasks block their threads, or compute?
 *
 * ticker_blocked    a task sleeps 1 ms at a time, while as many tasks as there are workers block
 *                   their threads for 100 ms at a time, for 2 s. From tick to tick: p50, p99, max.
 * ticker_busy       the same, while they compute for 100 ms at a time.
 * child_of_blocker  a task spawns a child and blocks its thread for 20 ms, 50 times. From the spawn
 *                   to the child's first instruction: p50, max.
 * bracket           a task says that it may block, and that it no longer may, 20 M times.
 * runtime_start_stop, runtime_start_stop_current
 *                   a runtime, the second current-thread, is started and stopped, 1,000 times.
 * runtime_start_call_stop
 *                   the same with one call in between: what a runtime defers until it is used.
 *
 * Tasks here block and compute without telling the runtime.
 */
#include <stdatomic.h>
#include <time.h>

#include "common/samples.h"
#include "run.h"

enum {
    NS_PER_MS = 1000000,
    STINT_MS = 100,
    BLOCK_MS = 20,
};

/* ---- the ticker ---- */

struct tickers {
    const struct bench_run *run;
    void (*occupy)(int64_t ns);
    atomic_bool is_over;
    struct bench_samples samples;
};

static void block(int64_t ns)
{
    struct timespec time = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    (void)nanosleep(&time, NULL);
}

static void compute(int64_t ns)
{
    int64_t end_ns = bench_now_ns() + ns;
    while (bench_now_ns() < end_ns) {
    }
}

static int occupy_on_and_on(void *arg)
{
    struct tickers *tickers = arg;
    while (!atomic_load(&tickers->is_over)) {
        tickers->occupy((int64_t)STINT_MS * NS_PER_MS);
        (void)seam_yield();
    }
    return 0;
}

static int tick(void *arg)
{
    struct tickers *tickers = arg;
    int64_t begin_ns = bench_now_ns();
    int64_t end_ns = begin_ns + bench_count(tickers->run, 2000, 1) * NS_PER_MS;
    for (int64_t last_ns = begin_ns, now_ns = 0; now_ns < end_ns; last_ns = now_ns) {
        bench_need(seam_sleep(seam_after(SEAM_MILLISECOND)) == 0, "seam_sleep");
        now_ns = bench_now_ns();
        bench_sample(&tickers->samples, now_ns - last_ns);
    }
    atomic_store(&tickers->is_over, true);
    return 0;
}

static int tick_beside_others(void *arg)
{
    struct tickers *tickers = arg;
    struct seam_scope scope;
    bench_need(seam_scope_begin(&scope, NULL, SEAM_FOREVER) == 0, "seam_scope_begin");
    bench_need(seam_spawn(&scope, tick, tickers, NULL, NULL) == 0, "seam_spawn");
    for (int i = 0; i < tickers->run->threads; i++)
        bench_need(seam_spawn(&scope, occupy_on_and_on, tickers, NULL, NULL) == 0, "seam_spawn");
    bench_need(seam_scope_end(&scope) == 0, "seam_scope_end");
    return 0;
}

static struct seam_options quiet_options(const struct bench_run *run)
{
    return (struct seam_options){.workers = (uint32_t)run->threads, .quiet_incidents = true};
}

static void measure_ticker(const struct bench_run *run, void (*occupy)(int64_t ns))
{
    static struct tickers tickers;
    tickers.run = run;
    tickers.occupy = occupy;
    struct seam_options options = quiet_options(run);
    bench_need(seam_run(&options, tick_beside_others, &tickers) == 0, "seam_run");
    bench_report_samples(run, &tickers.samples);
}

static void measure_ticker_blocked(const struct bench_run *run)
{
    measure_ticker(run, block);
}

static void measure_ticker_busy(const struct bench_run *run)
{
    measure_ticker(run, compute);
}

/* ---- the child ---- */

struct births {
    const struct bench_run *run;
    atomic_llong begun_ns;
    struct bench_samples samples;
};

static int note_time(void *arg)
{
    atomic_store((atomic_llong *)arg, bench_now_ns());
    return 0;
}

static int spawn_and_block(void *arg)
{
    struct births *births = arg;
    long rounds = bench_count(births->run, 50, 1);
    for (long i = 0; i < rounds; i++) {
        struct seam_scope scope;
        bench_need(seam_scope_begin(&scope, NULL, SEAM_FOREVER) == 0, "seam_scope_begin");
        int64_t spawned_ns = bench_now_ns();
        bench_need(seam_spawn(&scope, note_time, &births->begun_ns, NULL, NULL) == 0, "seam_spawn");
        block((int64_t)BLOCK_MS * NS_PER_MS);
        bench_need(seam_scope_end(&scope) == 0, "seam_scope_end");
        bench_sample(&births->samples, atomic_load(&births->begun_ns) - spawned_ns);
    }
    return 0;
}

static void measure_child(const struct bench_run *run)
{
    static struct births births;
    births.run = run;
    struct seam_options options = quiet_options(run);
    bench_need(seam_run(&options, spawn_and_block, &births) == 0, "seam_run");
    bench_report_samples(run, &births.samples);
}

/* ---- the bracket ---- */

static int bracket(void *arg)
{
    const struct bench_run *run = arg;
    long count = bench_count(run, 20000000, 1);
    int64_t start_ns = bench_now_ns();
    for (long i = 0; i < count; i++) {
        seam_blocking_begin();
        seam_blocking_end();
    }
    bench_report_ns(run, start_ns, count);
    return 0;
}

static void measure_bracket(const struct bench_run *run)
{
    run_in_seam(run, bracket);
}

/* ---- start and stop ---- */

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static void start_and_stop(const struct bench_run *run, struct seam_options options, seam_fn *fn)
{
    long rounds = bench_count(run, 1000, 1);
    int64_t start_ns = bench_now_ns();
    for (long i = 0; i < rounds; i++) {
        seam_runtime *runtime = NULL;
        bench_need(seam_runtime_new(&options, &runtime) == 0, "seam_runtime_new");
        if (fn != NULL) {
            bench_need(seam_call(runtime, fn, NULL, NULL, SEAM_FOREVER) == 0, "seam_call");
        }
        bench_need(seam_runtime_stop(runtime, NULL, SEAM_FOREVER) == 0, "seam_runtime_stop");
        seam_runtime_free(runtime);
    }
    bench_report_us(run, start_ns, rounds);
}

static void measure_start_stop(const struct bench_run *run)
{
    start_and_stop(run, quiet_options(run), NULL);
}

static void measure_start_call_stop(const struct bench_run *run)
{
    start_and_stop(run, quiet_options(run), nothing);
}

static void measure_start_stop_current(const struct bench_run *run)
{
    start_and_stop(run, (struct seam_options){.current_thread = true}, NULL);
}

int main(int argc, char **argv)
{
    static const struct bench_case cases[] = {
            {"ticker_blocked", measure_ticker_blocked},
            {"ticker_busy", measure_ticker_busy},
            {"child_of_blocker", measure_child},
            {"bracket", measure_bracket},
            {"runtime_start_stop", measure_start_stop},
            {"runtime_start_stop_current", measure_start_stop_current},
            {"runtime_start_call_stop", measure_start_call_stop},
            {NULL, NULL},
    };

    return bench_main(argc, argv, "seam", cases);
}
