/* SPDX-License-Identifier: MIT */
/*
 * floor/handoff.c - what does it cost to have another thread do one trivial thing and answer?
 *
 * bridge_seq      one caller thread, one server thread, a lock-free stack and a futex each way;
 *                 200 k calls; both sides park in the kernel at once.
 * bridge_seq_spin the same with up to 1000 pauses before parking, on both sides.
 * bridge_8        eight callers, 200 k calls in all; bridge_8_spin likewise.
 * blocking_seq    the same hand-off seen from the other side (a worker asks a pool thread):
 *                 identical code; blocking_seq_spin likewise.
 * blocking_64_spin 64 requests outstanding in a ring between two spinning threads; 320 k calls.
 *
 * What differs from the peers: the server answers in its own loop and starts no task per request,
 * and nobody schedules anything. The spin count is fixed, not learned, so the _spin forms are
 * meaningless when only one CPU is allowed (1000 pauses wasted on each side, each time). With
 * two callers or more on two CPUs, one of them always waits for a CPU.
 */
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/bench.h"

enum { CALLERS_MAX = 8, SPINS = 1000, OUTSTANDING = 64 };
enum { WAITING, PARKED, DONE };

struct request {
    struct request *next;
    _Atomic uint32_t state; /* caller: WAITING -> PARKED; server: -> DONE */
    int result;
};

static struct request *_Atomic inbox; /* any thread pushes, the server takes all */
static _Atomic uint32_t server_parked;
static _Atomic bool stopping;
static int spins;
static long calls_each;

static void pause_once(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    __asm__ volatile("" ::: "memory");
#endif
}

static void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static struct request *take_all(void)
{
    if (atomic_load_explicit(&inbox, memory_order_relaxed) == NULL) return NULL;
    return atomic_exchange_explicit(&inbox, NULL, memory_order_acquire);
}

/* Store parked, then look once more; the other side pushes, then looks at parked. */
static void park_server(void)
{
    atomic_store_explicit(&server_parked, 1, memory_order_seq_cst);
    if (atomic_load_explicit(&inbox, memory_order_seq_cst) == NULL
            && !atomic_load_explicit(&stopping, memory_order_seq_cst))
        futex_wait(&server_parked, 1);
    atomic_store_explicit(&server_parked, 0, memory_order_relaxed);
}

static void unpark_server(void)
{
    if (atomic_load_explicit(&server_parked, memory_order_seq_cst) == 0) return;
    if (atomic_exchange_explicit(&server_parked, 0, memory_order_seq_cst) == 1)
        futex_wake(&server_parked);
}

static void answer(struct request *request)
{
    uint32_t before;

    request->result = 1;
    before = atomic_exchange_explicit(&request->state, DONE, memory_order_acq_rel);
    /* The request may be gone by now; waking an address nobody waits on is harmless. */
    if (before == PARKED) futex_wake(&request->state);
}

static void *serve(void *arg)
{
    int idle = 0;

    (void)arg;
    while (!atomic_load_explicit(&stopping, memory_order_acquire)) {
        struct request *request = take_all();

        if (request == NULL && idle++ < spins) {
            pause_once();
            continue;
        }
        if (request == NULL) park_server();
        idle = 0;
        while (request != NULL) {
            struct request *next = request->next;

            answer(request);
            request = next;
        }
    }
    return NULL;
}

static void push(struct request *request)
{
    request->next = atomic_load_explicit(&inbox, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(
            &inbox, &request->next, request, memory_order_seq_cst, memory_order_relaxed))
        ;
}

static int call(void)
{
    struct request request = {};
    uint32_t state = WAITING;

    push(&request);
    unpark_server();
    for (int i = 0; i < spins; i++) {
        if (atomic_load_explicit(&request.state, memory_order_acquire) == DONE)
            return request.result;
        pause_once();
    }
    (void)atomic_compare_exchange_strong_explicit(
            &request.state, &state, PARKED, memory_order_acq_rel, memory_order_acquire);
    while (atomic_load_explicit(&request.state, memory_order_acquire) != DONE)
        futex_wait(&request.state, PARKED);
    return request.result;
}

static void *call_many(void *arg)
{
    (void)arg;
    for (long i = 0; i < calls_each; i++)
        bench_need(call() == 1, "no answer");
    return NULL;
}

static void measure_calls(const struct bench_run *run, int callers, long calls)
{
    pthread_t server;
    pthread_t threads[CALLERS_MAX];
    int64_t start_ns;

    spins = strstr(run->workload, "_spin") != NULL ? SPINS : 0;
    calls_each = calls / callers;
    bench_need(pthread_create(&server, NULL, serve, NULL) == 0, "pthread_create");
    start_ns = bench_now_ns();
    for (int i = 0; i < callers; i++)
        bench_need(pthread_create(&threads[i], NULL, call_many, NULL) == 0, "pthread_create");
    for (int i = 0; i < callers; i++)
        (void)pthread_join(threads[i], NULL);
    if (callers == 1)
        bench_report_us(run, start_ns, calls);
    else
        bench_report_rate(run, start_ns, calls);
    atomic_store_explicit(&stopping, true, memory_order_seq_cst);
    unpark_server();
    (void)pthread_join(server, NULL);
}

static void measure_seq(const struct bench_run *run)
{
    measure_calls(run, 1, bench_count(run, 200000, 1));
}

static void measure_8(const struct bench_run *run)
{
    measure_calls(run, CALLERS_MAX, bench_count(run, 200000, CALLERS_MAX));
}

static _Alignas(64) _Atomic long submitted;
static _Alignas(64) _Atomic long completed;
static struct slot {
    long argument;
    long result;
} ring[OUTSTANDING];

static void *complete_many(void *arg)
{
    long total = *(const long *)arg;

    for (long done = 0; done < total;) {
        long until = atomic_load_explicit(&submitted, memory_order_acquire);

        for (; done < until; done++) {
            struct slot *slot = &ring[done % OUTSTANDING];

            slot->result = slot->argument + 1;
            atomic_store_explicit(&completed, done + 1, memory_order_release);
        }
        pause_once();
    }
    return NULL;
}

static long collect(long done)
{
    long until = atomic_load_explicit(&completed, memory_order_acquire);

    for (; done < until; done++)
        bench_need(ring[done % OUTSTANDING].result == done + 1, "wrong result");
    return done;
}

static void measure_blocking_64(const struct bench_run *run)
{
    long total = bench_count(run, 320000, OUTSTANDING);
    long sent = 0;
    pthread_t pool;
    int64_t start_ns;

    bench_need(pthread_create(&pool, NULL, complete_many, &total) == 0, "pthread_create");
    start_ns = bench_now_ns();
    for (long done = 0; done < total; done = collect(done)) {
        for (; sent < total && sent - done < OUTSTANDING; sent++) {
            ring[sent % OUTSTANDING].argument = sent;
            atomic_store_explicit(&submitted, sent + 1, memory_order_release);
        }
        pause_once();
    }
    bench_report_rate(run, start_ns, total);
    (void)pthread_join(pool, NULL);
}

int main(int argc, char **argv)
{
    static const struct bench_case cases[] = {
            {"bridge_seq", measure_seq},
            {"bridge_seq_spin", measure_seq},
            {"bridge_8", measure_8},
            {"bridge_8_spin", measure_8},
            {"blocking_seq", measure_seq},
            {"blocking_seq_spin", measure_seq},
            {"blocking_64_spin", measure_blocking_64},
            {NULL, NULL},
    };

    return bench_main(argc, argv, "floor", cases);
}
