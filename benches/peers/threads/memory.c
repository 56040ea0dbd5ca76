/* SPDX-License-Identifier: MIT */
/*
 * threads/memory.c - what does a thread cost that waits?
 *
 * mem_block_10k: 10 k threads (the peers: 100 k and 1 M tasks) with 64 KiB stacks have started
 * and wait on a condition variable; resident bytes / n, then the same with page tables. The
 * kernel's stack and task structure, some 20 KiB more a thread, are not in a process's own
 * figures and so not in these.
 */
#include <pthread.h>

#include "common/bench.h"

enum { STACK_BYTES = 64 * 1024 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_cond_t open_gate = PTHREAD_COND_INITIALIZER;
static long started;
static bool is_open;

static void *wait_at_gate(void *arg)
{
    (void)arg;
    (void)pthread_mutex_lock(&lock);
    started++;
    (void)pthread_cond_signal(&changed);
    while (!is_open)
        (void)pthread_cond_wait(&open_gate, &lock);
    started--;
    (void)pthread_cond_signal(&changed);
    (void)pthread_mutex_unlock(&lock);
    return NULL;
}

static void await_started(long count)
{
    while (started != count)
        (void)pthread_cond_wait(&changed, &lock);
}

static void measure_10k(const struct bench_run *run)
{
    long tasks = bench_count(run, 10000, 1);
    struct bench_memory before = bench_memory_now();
    pthread_attr_t attr;

    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    for (long i = 0; i < tasks; i++) {
        pthread_t thread;

        bench_need(pthread_create(&thread, &attr, wait_at_gate, NULL) == 0, "pthread_create");
    }
    (void)pthread_mutex_lock(&lock);
    await_started(tasks);
    bench_report_memory(run, before, tasks);
    is_open = true;
    (void)pthread_cond_broadcast(&open_gate);
    await_started(0);
    (void)pthread_mutex_unlock(&lock);
}

int main(int argc, char **argv)
{
    static const struct bench_case cases[] = {{"mem_block_10k", measure_10k}, {NULL, NULL}};

    return bench_main(argc, argv, "threads", cases);
}
