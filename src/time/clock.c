/* SPDX-License-Identifier: MIT */
#include "time/clock.h"

#include "base/atomic.h"
#include "base/panic.h"
#include "os/os.h"

bool sm_clock_virtual;

static int64_t (*real_now_ns)(void);
static _Atomic(int64_t) virtual_now_ns;
static struct sm_lock lock; /* the fields below; taken before any heap's lock */
static int busy_count;
static struct sm_list heaps;
static struct sm_timer_heap threads_heap = {.next_ns = INT64_MAX};

static int64_t read_virtual(void)
{
    return sm_load_relaxed(&virtual_now_ns); /* relaxed: a clock orders nothing */
}

void sm_clock_make_virtual(int64_t start_ns)
{
    sm_assert(!sm_clock_virtual);
    real_now_ns = sm_os.now_ns;
    sm_os.now_ns = read_virtual;
    sm_store_relaxed(&virtual_now_ns, start_ns);
    sm_clock_virtual = true;
    busy_count = 1;
}

void sm_clock_make_real(void)
{
    sm_assert(sm_clock_virtual);
    sm_os.now_ns = real_now_ns;
    sm_clock_virtual = false;
}

void sm_clock_busy_slow(void)
{
    sm_lock(&lock);
    busy_count++;
    sm_unlock(&lock);
}

/* The earliest deadline anywhere; INT64_MAX if there is none or somebody has events to look at. */
static int64_t next_deadline(void)
{
    int64_t next_ns = sm_load_relaxed(&threads_heap.next_ns);
    for (struct sm_list *link = heaps.next; link != NULL && link != &heaps; link = link->next) {
        struct sm_clock_heap *heap = sm_container_of(link, struct sm_clock_heap, link);
        if (heap->has_events(heap)) return INT64_MAX;
        int64_t ns = sm_load_relaxed(&heap->heap->next_ns);
        if (ns < next_ns) next_ns = ns;
    }
    return next_ns;
}

/* Nobody runs: let time pass until somebody does. Under the lock. Those who wake are counted here,
 * since sm_clock_busy() would want the lock. */
static void let_time_pass(void)
{
    int64_t next_ns = next_deadline();
    if (next_ns == INT64_MAX) return; /* the outside world must act */

    if (next_ns > read_virtual()) sm_store_relaxed(&virtual_now_ns, next_ns);
    for (struct sm_list *link = heaps.next; link != NULL && link != &heaps; link = link->next) {
        struct sm_clock_heap *heap = sm_container_of(link, struct sm_clock_heap, link);
        if (sm_load_relaxed(&heap->heap->next_ns) <= next_ns && heap->wake(heap)) busy_count++;
    }
}

void sm_clock_idle_slow(void)
{
    sm_lock(&lock);
    busy_count--;
    sm_assert(busy_count >= 0);
    if (busy_count == 0) let_time_pass();
    sm_unlock(&lock);
    /* Completing a thread counts it as busy, which takes the lock: so not above. */
    (void)sm_timer_fire_due(&threads_heap, read_virtual());
}

void sm_clock_add_timer(struct sm_timer *timer)
{
    (void)sm_timer_add(&threads_heap, timer);
}

void sm_clock_register(struct sm_clock_heap *heap)
{
    sm_lock(&lock);
    sm_list_push_back(&heaps, &heap->link);
    sm_unlock(&lock);
}

void sm_clock_unregister(struct sm_clock_heap *heap)
{
    sm_lock(&lock);
    sm_list_remove(&heap->link);
    sm_unlock(&lock);
}

bool sm_clock_spins_are_pointless(void)
{
    static _Atomic(int) cpus;
    int count = sm_load_relaxed(&cpus); /* relaxed: asking twice is harmless */
    if (count == 0) {
        count = (int)sm_os_cpu_count();
        sm_store_relaxed(&cpus, count);
    }
    return count == 1 || sm_clock_is_virtual() || sm_sim_spins_are_pointless();
}
