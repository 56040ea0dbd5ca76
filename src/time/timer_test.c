/* SPDX-License-Identifier: MIT */
#include "time/timer.h"

#include <pthread.h>
#include <stddef.h>

#include "base/atomic.h"
#include "check/check.h"

enum { MANY = 500, STEPS = 20000 };

static int64_t latest_ns;
static unsigned fired_count;

static void fire(struct sm_timer *timer)
{
    CHECK(!timer->is_waiting);
    CHECK(timer->deadline_ns >= latest_ns);
    latest_ns = timer->deadline_ns;
    fired_count++;
}

TEST_ONCE(timers_fire_in_the_order_of_their_deadlines)
{
    struct sm_timer_heap heap;
    sm_timer_heap_init(&heap);
    struct sm_timer timers[MANY] = {};
    for (int i = 0; i < MANY; i++) {
        timers[i] = (struct sm_timer){.deadline_ns = i * 37 % MANY + 1, .fire = fire};
        (void)sm_timer_add(&heap, &timers[i]);
    }
    sm_timer_heap_check(&heap);
    CHECK_EQ(sm_timer_fire_due(&heap, 100), 100);
    CHECK_EQ(latest_ns, 100);
    CHECK_EQ(sm_timer_fire_due(&heap, INT64_MAX - 1), MANY - 100);
    CHECK_EQ(fired_count, MANY);
}

TEST_ONCE(only_the_earliest_asks_for_a_wake)
{
    struct sm_timer_heap heap;
    sm_timer_heap_init(&heap);
    struct sm_timer timers[] = {
            {.deadline_ns = 20, .fire = fire},
            {.deadline_ns = 30, .fire = fire},
            {.deadline_ns = 20, .fire = fire},
            {.deadline_ns = 10, .fire = fire},
    };
    CHECK_EQ(sm_load_relaxed(&heap.next_ns), INT64_MAX);
    CHECK(sm_timer_add(&heap, &timers[0]));
    CHECK(!sm_timer_add(&heap, &timers[1]));
    CHECK(!sm_timer_add(&heap, &timers[2]));
    CHECK_EQ(sm_load_relaxed(&heap.next_ns), 20);
    CHECK(sm_timer_add(&heap, &timers[3]));
    CHECK_EQ(sm_load_relaxed(&heap.next_ns), 10);
    CHECK(sm_timer_remove(&timers[3]));
    CHECK_EQ(sm_load_relaxed(&heap.next_ns), 20);
    CHECK_EQ(sm_timer_fire_due(&heap, 30), 3);
    CHECK_EQ(sm_load_relaxed(&heap.next_ns), INT64_MAX);
}

TEST(a_timer_that_has_fired_or_was_never_added_cannot_be_removed)
{
    struct sm_timer_heap heap;
    sm_timer_heap_init(&heap);
    struct sm_timer timer = {.deadline_ns = 5, .fire = fire};
    CHECK(!sm_timer_remove(&timer));
    (void)sm_timer_add(&heap, &timer);
    CHECK_EQ(sm_timer_fire_due(&heap, 4), 0);
    CHECK_EQ(sm_timer_fire_due(&heap, 5), 1);
    CHECK(!sm_timer_remove(&timer));
    (void)sm_timer_add(&heap, &timer);
    CHECK(sm_timer_remove(&timer));
    CHECK(!sm_timer_remove(&timer));
}

/* Any node: the root, its first child, one in the middle of siblings, the last, a leaf. */
TEST(any_timer_can_be_removed)
{
    for (int out = 0; out < 40; out++) {
        struct sm_timer_heap heap;
        sm_timer_heap_init(&heap);
        struct sm_timer timers[40] = {};
        for (int i = 0; i < 40; i++) {
            timers[i] = (struct sm_timer){.deadline_ns = i * 7 % 40 + 2, .fire = fire};
            (void)sm_timer_add(&heap, &timers[i]);
            /* Now and then the tree gets depth. */
            struct sm_timer first = {.deadline_ns = 1, .fire = fire};
            if (i % 8 != 7) continue;
            (void)sm_timer_add(&heap, &first);
            CHECK(sm_timer_remove(&first));
        }
        CHECK(sm_timer_remove(&timers[out]));
        sm_timer_heap_check(&heap);
        latest_ns = 0;
        CHECK_EQ(sm_timer_fire_due(&heap, 100), 39);
    }
}

static int64_t earliest(const struct sm_timer *timers)
{
    int64_t ns = INT64_MAX;
    for (int i = 0; i < MANY; i++) {
        if (timers[i].is_waiting && timers[i].deadline_ns < ns) ns = timers[i].deadline_ns;
    }
    return ns;
}

/* A timer that waits is removed; one that does not is added, up to a microsecond ahead. */
static void toggle(struct sm_timer_heap *heap, struct sm_timer *timer, int64_t deadline_ns)
{
    if (timer->is_waiting) {
        CHECK(sm_timer_remove(timer));
    } else {
        *timer = (struct sm_timer){.deadline_ns = deadline_ns, .fire = fire};
        (void)sm_timer_add(heap, timer);
    }
}

static unsigned count_due(const struct sm_timer timers[MANY], int64_t now_ns)
{
    unsigned due = 0;
    for (int i = 0; i < MANY; i++) {
        due += timers[i].is_waiting && timers[i].deadline_ns <= now_ns;
    }
    return due;
}

/* Against the simplest thing that could be right: an array that is searched. */
TEST_ONCE(random_steps_agree_with_an_array)
{
    struct sm_timer_heap heap;
    sm_timer_heap_init(&heap);
    static struct sm_timer timers[MANY];
    uint64_t dice = check_seed();
    int64_t now_ns = 0;
    for (int step = 0; step < STEPS; step++) {
        dice = dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        toggle(&heap, &timers[(dice >> 33) % MANY], now_ns + (int64_t)(dice >> 20 & 1023));
        if (dice >> 60 == 0) {
            now_ns += (int64_t)(dice >> 40 & 255);
            unsigned due = count_due(timers, now_ns);
            latest_ns = 0;
            CHECK_EQ(sm_timer_fire_due(&heap, now_ns), due);
        }
        CHECK_EQ(sm_load_relaxed(&heap.next_ns), earliest(timers));
        if (step % 64 == 0) sm_timer_heap_check(&heap);
    }
}

/* ---- threads ---- */

enum { OWNERS = 3, TURNS = 3000 };

static struct sm_timer_heap shared;
static _Atomic(int) is_over;
static _Atomic(unsigned) fired;
static _Atomic(unsigned) added;
static _Atomic(unsigned) removed;

struct frame {
    struct sm_timer timer;
    int touched; /* by whoever fires; not atomic */
};

static void touch(struct sm_timer *timer)
{
    struct frame *frame = (struct frame *)(void *)timer;
    frame->touched++;
    (void)sm_add_relaxed(&fired, 1);
}

static void *add_and_remove(void *arg)
{
    uint64_t dice = check_seed() + *(const unsigned *)arg;
    for (int turn = 0; turn < TURNS; turn++) {
        dice = dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        struct frame frame = {.timer = {.deadline_ns = (int64_t)(dice >> 44 & 255), .fire = touch}};
        (void)sm_timer_add(&shared, &frame.timer);
        (void)sm_add_relaxed(&added, 1);
        for (uint64_t i = dice >> 56; i > 0; i--) {
            sm_spin_pause();
        }
        bool was_waiting = sm_timer_remove(&frame.timer);
        (void)sm_add_relaxed(&removed, was_waiting);
        CHECK_EQ(frame.touched, !was_waiting);
    }
    return NULL;
}

static void *fire_all(void *arg)
{
    while (sm_load_relaxed(&is_over) == 0) {
        (void)sm_timer_fire_due(&shared, 128);
    }
    return arg;
}

/* Goal: once a timer has been removed its frame is its owner's alone. Method: frames that go at
 * once, and a thread that fires; TSan sees who touches what. */
TEST(a_removed_timer_has_fired_to_the_end_or_never_will)
{
    sm_timer_heap_init(&shared);
    pthread_t owners[OWNERS];
    pthread_t firer;
    CHECK_EQ(pthread_create(&firer, NULL, fire_all, NULL), 0);
    unsigned numbers[OWNERS];
    for (unsigned i = 0; i < OWNERS; i++) {
        numbers[i] = i;
        CHECK_EQ(pthread_create(&owners[i], NULL, add_and_remove, &numbers[i]), 0);
    }
    for (int i = 0; i < OWNERS; i++) {
        CHECK_EQ(pthread_join(owners[i], NULL), 0);
    }
    sm_store_relaxed(&is_over, 1);
    CHECK_EQ(pthread_join(firer, NULL), 0);
    CHECK_EQ(sm_load_relaxed(&fired) + sm_load_relaxed(&removed), sm_load_relaxed(&added));
}
