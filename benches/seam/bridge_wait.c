/* SPDX-License-Identifier: MIT */
/*
 * seam/bridge_wait.c - how long does a caller of a bridge wait for what is not its own?
 *
 * bridge_behind_blocker  one worker; a call blocks its thread for 20 ms without a word, 50 times, and
 *                        once it does, another thread calls: the time of that call.
 * bridge_timeout         a call with 10 ms to go, whose function sleeps for a second, 100 times: how
 *                        late the caller has its answer. The function has been cancelled and is gone.
 * bridge_timeout_owned   the same, whose function blocks its thread for 20 ms: it is left behind.
 * bridge_cancel          a call whose function sleeps for a second, cancelled by another thread, 100
 *                        times: from there until the caller goes on. The function is gone.
 *
 * What differs from Tokio's: its bridge has neither deadlines nor cancellation. The caller waits with
 * a time limit of the channel's and leaves the task running, both times; and what is cancelled is the
 * task, by its handle, which the caller has to hand out before it waits.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "common/samples.h"
#include "run.h"

enum { BLOCK_MS = 20, PATIENCE_MS = 10, NS_PER_MS = 1000000 };

static seam_runtime *runtime;
static seam_bridge *bridge;
static struct bench_samples samples;
static atomic_long begun; /* functions that have */
static atomic_llong cancelled_ns;

static void open_bridge(const struct bench_run *run)
{
    struct seam_options quiet = {.workers = (uint32_t)run->threads, .quiet_incidents = true};
    bench_need(seam_runtime_new(&quiet, &runtime) == 0, "seam_runtime_new");
    struct seam_bridge_options options = {.name = "bench", .runtime = runtime};
    bench_need(seam_bridge_new(&options, &bridge) == 0, "seam_bridge_new");
}

static void close_bridge(void)
{
    bench_need(seam_bridge_close(bridge, NULL, SEAM_FOREVER) == 0, "seam_bridge_close");
    seam_bridge_free(bridge);
    bench_need(seam_runtime_stop(runtime, NULL, SEAM_FOREVER) == 0, "seam_runtime_stop");
    seam_runtime_free(runtime);
}

static void wait_until_begun(long count)
{
    while (atomic_load(&begun) < count) {
        (void)nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
    }
}

static int block(void *arg)
{
    (void)arg;
    atomic_fetch_add(&begun, 1);
    (void)nanosleep(&(struct timespec){.tv_nsec = BLOCK_MS * NS_PER_MS}, NULL);
    return 0;
}

static int sleep_long(void *arg)
{
    (void)arg;
    atomic_fetch_add(&begun, 1);
    return seam_sleep(seam_after(SEAM_SECOND));
}

/* ---- behind a call that blocks ---- */

static int trivial(void *arg)
{
    (void)arg;
    return 1;
}

static void *block_often(void *arg)
{
    for (long i = 0; i < *(const long *)arg; i++) {
        bench_need(seam_bridge_call(bridge, block, NULL, NULL, SEAM_FOREVER) == 0, "call");
        wait_until_begun(2 * (i + 1)); /* the other counts as one, too */
    }
    return NULL;
}

static void measure_behind(const struct bench_run *run)
{
    long rounds = bench_count(run, 50, 1);
    pthread_t thread;
    open_bridge(run);
    bench_need(pthread_create(&thread, NULL, block_often, &rounds) == 0, "pthread_create");
    for (long i = 0; i < rounds; i++) {
        wait_until_begun(2 * i + 1);
        int64_t called_ns = bench_now_ns();
        bench_need(seam_bridge_call(bridge, trivial, NULL, NULL, SEAM_FOREVER) == 0, "call");
        bench_sample(&samples, bench_now_ns() - called_ns);
        atomic_fetch_add(&begun, 1);
    }
    (void)pthread_join(thread, NULL);
    close_bridge();
    bench_report_samples(run, &samples);
}

/* ---- a deadline ---- */

static void measure_timeout(const struct bench_run *run)
{
    long rounds = bench_count(run, 100, 1);
    open_bridge(run);
    for (long i = 0; i < rounds; i++) {
        struct seam_reply reply = {.result = -ECANCELED};
        int64_t deadline_ns = seam_after(PATIENCE_MS * SEAM_MILLISECOND);
        int r = seam_bridge_call(bridge, sleep_long, NULL, &reply, deadline_ns);
        bench_sample(&samples, bench_now_ns() - deadline_ns);
        /* On a machine that is busy it may not even begin in time. */
        bench_need(r == 0 || r == -ETIMEDOUT, "call");
        bench_need(reply.result == -ECANCELED, "cancelled");
    }
    close_bridge();
    bench_report_samples(run, &samples);
}

static void ignore(void *arg, int result)
{
    (void)arg;
    (void)result;
}

static void measure_timeout_owned(const struct bench_run *run)
{
    long rounds = bench_count(run, 100, 1);
    open_bridge(run);
    for (long i = 0; i < rounds; i++) {
        int64_t deadline_ns = seam_after(PATIENCE_MS * SEAM_MILLISECOND);
        int r = seam_bridge_call_owned(bridge, block, NULL, ignore, NULL, deadline_ns);
        bench_sample(&samples, bench_now_ns() - deadline_ns);
        /* Where the caller wakes up so late that the function has ended, it has its result. */
        bench_need(r == -ETIMEDOUT || r == 0, "given up");
    }
    close_bridge();
    bench_report_samples(run, &samples);
}

/* ---- somebody else cancels ---- */

static struct seam_scope scope; /* of the caller, in each round */

static void *cancel_often(void *arg)
{
    for (long i = 0; i < *(const long *)arg; i++) {
        wait_until_begun(i + 1);
        atomic_store(&cancelled_ns, bench_now_ns());
        bench_need(seam_scope_cancel(&scope) == 0, "seam_scope_cancel");
    }
    return NULL;
}

static void measure_cancel(const struct bench_run *run)
{
    long rounds = bench_count(run, 100, 1);
    pthread_t thread;
    open_bridge(run);
    bench_need(pthread_create(&thread, NULL, cancel_often, &rounds) == 0, "pthread_create");
    for (long i = 0; i < rounds; i++) {
        struct seam_reply reply;
        bench_need(seam_scope_begin(&scope, NULL, SEAM_FOREVER) == 0, "seam_scope_begin");
        bench_need(seam_bridge_call(bridge, sleep_long, NULL, &reply, SEAM_FOREVER) == 0, "call");
        bench_sample(&samples, bench_now_ns() - atomic_load(&cancelled_ns));
        bench_need(reply.result == -ECANCELED, "cancelled");
        bench_need(seam_scope_end(&scope) == -ECANCELED, "seam_scope_end");
    }
    (void)pthread_join(thread, NULL);
    close_bridge();
    bench_report_samples(run, &samples);
}

int main(int argc, char **argv)
{
    static const struct bench_case cases[] = {
            {"bridge_behind_blocker", measure_behind},
            {"bridge_timeout", measure_timeout},
            {"bridge_timeout_owned", measure_timeout_owned},
            {"bridge_cancel", measure_cancel},
            {NULL, NULL},
    };

    return bench_main(argc, argv, "seam", cases);
}
