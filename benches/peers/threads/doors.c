/* SPDX-License-Identifier: MIT */
/*
 * threads/doors.c - what does it cost to have another thread run a function, the usual way?
 *
 * blocking_seq one thread gives a trivial function to a pool of 4 and waits, 200 k times.
 * blocking_64  64 threads do so at once, 320 k calls in all.
 * bridge_seq   one thread gives a trivial function to one server thread and waits, 200 k times.
 * bridge_8     8 threads do so at once, 200 k calls in all.
 * call_in_task the server thread calls its own door: it would wait for itself for ever.
 *
 * The queue is a mutex, a list and a condition variable, the answer another mutex and condition
 * variable in the caller's frame. What differs from the peers: a task is a thread here, and the
 * server runs the function in its own loop instead of starting a task for it. THREADS is only
 * repeated in the output: the kernel places all threads.
 */
#include <pthread.h>

#include "common/bench.h"

enum { POOL_THREADS = 4, CALLERS_MAX = 64, STACK_BYTES = 64 * 1024 };

struct job {
    struct job *next;
    int (*fn)(void *arg);
    void *arg;
    int result;
    bool is_done;
    pthread_mutex_t lock;
    pthread_cond_t done;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t not_empty;
    struct job *first;
    struct job **last;
    bool is_stopping;
} queue = {
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .not_empty = PTHREAD_COND_INITIALIZER,
        .last = &queue.first,
};

static pthread_attr_t small_stack;
static long calls_each;

static int trivial(void *arg)
{
    return *(const int *)arg + 1;
}

static struct job *pop(void)
{
    struct job *job;

    (void)pthread_mutex_lock(&queue.lock);
    while (queue.first == NULL && !queue.is_stopping)
        (void)pthread_cond_wait(&queue.not_empty, &queue.lock);
    job = queue.first;
    if (job != NULL) queue.first = job->next;
    if (queue.first == NULL) queue.last = &queue.first;
    (void)pthread_mutex_unlock(&queue.lock);
    return job;
}

static void push(struct job *job)
{
    (void)pthread_mutex_lock(&queue.lock);
    *queue.last = job;
    queue.last = &job->next;
    (void)pthread_cond_signal(&queue.not_empty);
    (void)pthread_mutex_unlock(&queue.lock);
}

static void *serve(void *arg)
{
    struct job *job;

    (void)arg;
    while ((job = pop()) != NULL) {
        int result = job->fn(job->arg);

        (void)pthread_mutex_lock(&job->lock);
        job->result = result;
        job->is_done = true;
        (void)pthread_cond_signal(&job->done);
        (void)pthread_mutex_unlock(&job->lock);
    }
    return NULL;
}

static int call(int (*fn)(void *arg), void *arg)
{
    struct job job = {.fn = fn,
            .arg = arg,
            .lock = PTHREAD_MUTEX_INITIALIZER,
            .done = PTHREAD_COND_INITIALIZER};

    push(&job);
    (void)pthread_mutex_lock(&job.lock);
    while (!job.is_done)
        (void)pthread_cond_wait(&job.done, &job.lock);
    (void)pthread_mutex_unlock(&job.lock);
    return job.result;
}

static void *call_many(void *arg)
{
    int zero = 0;

    (void)arg;
    for (long i = 0; i < calls_each; i++)
        bench_need(call(trivial, &zero) == 1, "wrong result");
    return NULL;
}

static void start(pthread_t *thread, void *(*fn)(void *))
{
    bench_need(pthread_create(thread, &small_stack, fn, NULL) == 0, "pthread_create");
}

static void measure(const struct bench_run *run, int servers, int callers, long full)
{
    long calls = bench_count(run, full, callers);
    pthread_t server[POOL_THREADS];
    pthread_t caller[CALLERS_MAX];
    int64_t start_ns;

    calls_each = calls / callers;
    for (int i = 0; i < servers; i++)
        start(&server[i], serve);
    start_ns = bench_now_ns();
    for (int i = 0; i < callers; i++)
        start(&caller[i], call_many);
    for (int i = 0; i < callers; i++)
        (void)pthread_join(caller[i], NULL);
    if (callers == 1)
        bench_report_us(run, start_ns, calls);
    else
        bench_report_rate(run, start_ns, calls);

    (void)pthread_mutex_lock(&queue.lock);
    queue.is_stopping = true;
    (void)pthread_cond_broadcast(&queue.not_empty);
    (void)pthread_mutex_unlock(&queue.lock);
    for (int i = 0; i < servers; i++)
        (void)pthread_join(server[i], NULL);
}

static void measure_blocking_seq(const struct bench_run *run)
{
    measure(run, POOL_THREADS, 1, 200000);
}

static void measure_blocking_64(const struct bench_run *run)
{
    measure(run, POOL_THREADS, 64, 320000);
}

static void measure_bridge_seq(const struct bench_run *run)
{
    measure(run, 1, 1, 200000);
}

static void measure_bridge_8(const struct bench_run *run)
{
    measure(run, 1, 8, 200000);
}

static void measure_call_in_task(const struct bench_run *run)
{
    bench_not_possible(run, "deadlock: the server thread would wait for itself");
}

int main(int argc, char **argv)
{
    static const struct bench_case cases[] = {
            {"blocking_seq", measure_blocking_seq},
            {"blocking_64", measure_blocking_64},
            {"bridge_seq", measure_bridge_seq},
            {"bridge_8", measure_bridge_8},
            {"call_in_task", measure_call_in_task},
            {NULL, NULL},
    };

    (void)pthread_attr_init(&small_stack);
    (void)pthread_attr_setstacksize(&small_stack, STACK_BYTES);
    return bench_main(argc, argv, "threads", cases);
}
