/* SPDX-License-Identifier: MIT */
/*
 * threads/tasks.c - what do the task workloads cost when a task is a POSIX thread?
 *
 * yield       two threads on one CPU, 1 M sched_yield calls in all (others: 10 M).
 * spawn_seq   pthread_create and pthread_join, 40 k times (others: 1 M).
 * spawn_batch 1000 created, then 1000 joined; 40 k in all.
 * ping_pong   two channels of capacity 1 made of a mutex and two condition variables; 200 k round
 *             trips with THREADS = 1, 50 k with THREADS = 2, where each costs 8 times as much.
 *
 * THREADS = 1 pins the process to one CPU, so that the scheduler has one worker, as the peers
 * have; THREADS = 2 leaves placement to the kernel. Counts are smaller than those of the peers
 * because a thread costs a hundred times what a task does.
 */
#include <pthread.h>
#include <sched.h>

#include "common/bench.h"

enum { BATCH = 1000, STACK_BYTES = 64 * 1024 };

struct chan {
    pthread_mutex_t lock;
    pthread_cond_t not_empty;
    pthread_cond_t not_full;
    uint64_t value;
    bool is_full;
};

#define CHAN_INIT \
    { \
        .lock = PTHREAD_MUTEX_INITIALIZER, .not_empty = PTHREAD_COND_INITIALIZER, \
        .not_full = PTHREAD_COND_INITIALIZER, \
    }

static struct chan ping = CHAN_INIT;
static struct chan pong = CHAN_INIT;
static pthread_attr_t small_stack;
static long runs; /* any thread, with atomic additions; read after the joins */

static void send(struct chan *chan, uint64_t value)
{
    (void)pthread_mutex_lock(&chan->lock);
    while (chan->is_full)
        (void)pthread_cond_wait(&chan->not_full, &chan->lock);
    chan->value = value;
    chan->is_full = true;
    (void)pthread_cond_signal(&chan->not_empty);
    (void)pthread_mutex_unlock(&chan->lock);
}

static uint64_t recv(struct chan *chan)
{
    uint64_t value;

    (void)pthread_mutex_lock(&chan->lock);
    while (!chan->is_full)
        (void)pthread_cond_wait(&chan->not_empty, &chan->lock);
    value = chan->value;
    chan->is_full = false;
    (void)pthread_cond_signal(&chan->not_full);
    (void)pthread_mutex_unlock(&chan->lock);
    return value;
}

static void start(pthread_t *thread, void *(*fn)(void *), void *arg)
{
    bench_need(pthread_create(thread, &small_stack, fn, arg) == 0, "pthread_create");
}

static void place(const struct bench_run *run)
{
    if (run->threads == 1) bench_pin(0);
}

static void *yield_many(void *arg)
{
    for (long i = 0; i < *(const long *)arg; i++)
        (void)sched_yield();
    return NULL;
}

static void measure_yield(const struct bench_run *run)
{
    long yields = bench_count(run, 1000000, 2);
    long each = yields / 2;
    pthread_t threads[2];
    int64_t start_ns;

    bench_pin(0);
    start_ns = bench_now_ns();
    for (int i = 0; i < 2; i++)
        start(&threads[i], yield_many, &each);
    for (int i = 0; i < 2; i++)
        (void)pthread_join(threads[i], NULL);
    bench_report_ns(run, start_ns, yields);
}

static void *count_once(void *arg)
{
    (void)arg;
    (void)__atomic_fetch_add(&runs, 1, __ATOMIC_RELAXED); /* a statistic */
    return NULL;
}

static void spawn_batches(const struct bench_run *run, int batch)
{
    long spawns = bench_count(run, 40000, batch);
    pthread_t threads[BATCH];
    int64_t start_ns;

    place(run);
    start_ns = bench_now_ns();
    for (long done = 0; done < spawns; done += batch) {
        for (int i = 0; i < batch; i++)
            start(&threads[i], count_once, NULL);
        for (int i = 0; i < batch; i++)
            (void)pthread_join(threads[i], NULL);
    }
    bench_report_ns(run, start_ns, spawns);
    bench_need(runs == spawns, "a thread did not run");
}

static void measure_spawn_seq(const struct bench_run *run)
{
    spawn_batches(run, 1);
}

static void measure_spawn_batch(const struct bench_run *run)
{
    spawn_batches(run, BATCH);
}

static void *answer_many(void *arg)
{
    for (long i = 0; i < *(const long *)arg; i++)
        send(&pong, recv(&ping) + 1);
    return NULL;
}

static void *ask_many(void *arg)
{
    uint64_t value = 0;

    for (long i = 0; i < *(const long *)arg; i++) {
        send(&ping, value);
        value = recv(&pong);
    }
    bench_need(value == (uint64_t) * (const long *)arg, "a message was lost");
    return NULL;
}

static void measure_ping_pong(const struct bench_run *run)
{
    long trips = bench_count(run, run->threads == 1 ? 200000 : 50000, 1);
    pthread_t threads[2];
    int64_t start_ns;

    place(run);
    start_ns = bench_now_ns();
    start(&threads[0], answer_many, &trips);
    start(&threads[1], ask_many, &trips);
    for (int i = 0; i < 2; i++)
        (void)pthread_join(threads[i], NULL);
    bench_report_ns(run, start_ns, trips);
}

int main(int argc, char **argv)
{
    static const struct bench_case cases[] = {
            {"yield", measure_yield},
            {"spawn_seq", measure_spawn_seq},
            {"spawn_batch", measure_spawn_batch},
            {"ping_pong", measure_ping_pong},
            {NULL, NULL},
    };

    (void)pthread_attr_init(&small_stack);
    (void)pthread_attr_setstacksize(&small_stack, STACK_BYTES);
    return bench_main(argc, argv, "threads", cases);
}
