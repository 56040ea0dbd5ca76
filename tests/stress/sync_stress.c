/* SPDX-License-Identifier: MIT */
#include "base/sanitizer.h"
#include "stress/stress.h"

enum { MEMBERS = 8, TURNS = 500 };

/* ---- mutex ---- */

struct guarded {
    struct seam_mutex mutex;
    long count; /* not atomic: TSan sees every gap in the mutex */
    long sum_of_hits;
    atomic_long hits;
};

static void count_up(struct crowd *crowd, unsigned index)
{
    struct guarded *guarded = crowd->arg;
    struct dice dice = dice_for(index);
    for (int turn = 0; turn < TURNS; turn++) {
        int r = seam_mutex_lock(&guarded->mutex, roll_deadline(&dice, 200));
        if (r < 0) {
            CHECK(r == -ETIMEDOUT || r == -EAGAIN);
            continue;
        }
        guarded->count++;
        /* Whoever holds it gives up its worker now and then, so that all of them queue up. */
        if (roll(&dice, 8) == 0) (void)seam_yield();
        guarded->sum_of_hits++;
        seam_mutex_unlock(&guarded->mutex);
        atomic_fetch_add(&guarded->hits, 1);
    }
}

static void lock_in_crowd(uint32_t workers, enum seam_steal steal)
{
    struct guarded guarded = {};
    struct crowd crowd = {.fn = count_up, .arg = &guarded};
    crowd.runtime = start_runtime(workers, steal);
    crowd_start(&crowd, MEMBERS);
    CHECK_OK(crowd_join(&crowd));
    CHECK_EQ(guarded.count, atomic_load(&guarded.hits));
    CHECK_EQ(guarded.sum_of_hits, atomic_load(&guarded.hits));
    CHECK_OK(seam_mutex_lock(&guarded.mutex, SEAM_NOW));
    seam_mutex_unlock(&guarded.mutex);
    stop_runtime(crowd.runtime);
}

TEST(a_mutex_has_one_holder_at_a_time)
{
    lock_in_crowd(3, SEAM_STEAL_DEFAULT);
}

TEST(a_mutex_has_one_holder_among_tasks_that_move)
{
    lock_in_crowd(3, SEAM_STEAL_FULL);
}

TEST(a_mutex_has_one_holder_on_one_worker)
{
    lock_in_crowd(1, SEAM_STEAL_NONE);
}

/*
 * Goal: whoever has waited for long gets the lock although others snatch it all the time. Method:
 * greedy tasks unlock and lock again without a break, on other threads than the patient one.
 */
struct greed {
    struct seam_mutex mutex;
    atomic_bool is_over;
    long count;
};

static void be_greedy_or_patient(struct crowd *crowd, unsigned index)
{
    struct greed *greed = crowd->arg;
    if (index != 0) {
        while (!atomic_load(&greed->is_over)) {
            CHECK_OK(seam_mutex_lock(&greed->mutex, SEAM_FOREVER));
            greed->count++;
            seam_mutex_unlock(&greed->mutex);
        }
        return;
    }
    for (int i = 0; i < 20; i++) {
        CHECK_OK(seam_mutex_lock(&greed->mutex, SEAM_FOREVER));
        greed->count++;
        seam_mutex_unlock(&greed->mutex);
    }
    atomic_store(&greed->is_over, true);
}

TEST(the_patient_get_the_mutex_from_the_greedy)
{
    struct greed greed = {};
    struct crowd crowd = {.fn = be_greedy_or_patient, .arg = &greed};
    crowd.runtime = start_runtime(2, SEAM_STEAL_DEFAULT);
    crowd_start(&crowd, 4);
    CHECK_OK(crowd_join(&crowd));
    stop_runtime(crowd.runtime);
}

/* ---- semaphore ---- */

enum { UNITS = 3 };

struct units {
    struct seam_semaphore semaphore;
    atomic_int held;
};

static void take_and_give(struct crowd *crowd, unsigned index)
{
    struct units *units = crowd->arg;
    struct dice dice = dice_for(index);
    for (int turn = 0; turn < TURNS; turn++) {
        struct seam_scope scope;
        bool has_scope = roll(&dice, 2) == 0;
        if (has_scope) {
            int64_t limit_ns = seam_after(roll(&dice, 200) * SEAM_MICROSECOND);
            CHECK_OK(seam_scope_begin(&scope, crowd->runtime, limit_ns));
        }
        int r = seam_semaphore_acquire(&units->semaphore, roll_deadline(&dice, 200));
        if (r == 0) {
            CHECK(atomic_fetch_add(&units->held, 1) < UNITS);
            if (roll(&dice, 4) == 0) (void)seam_yield();
            atomic_fetch_sub(&units->held, 1);
            CHECK_OK(seam_semaphore_post(&units->semaphore));
        } else {
            CHECK(r == -ETIMEDOUT || r == -EAGAIN || (r == -ECANCELED && has_scope));
        }
        if (has_scope) (void)seam_scope_end(&scope);
    }
}

/* Goal: units are neither lost nor made, whatever happens to those who wait for them. */
static void conserve_units(uint32_t workers, enum seam_steal steal)
{
    struct units units = {.semaphore = SEAM_SEMAPHORE_INIT(UNITS)};
    struct crowd crowd = {.fn = take_and_give, .arg = &units};
    crowd.runtime = start_runtime(workers, steal);
    crowd_start(&crowd, MEMBERS);
    CHECK_OK(crowd_join(&crowd));
    for (int i = 0; i < UNITS; i++) {
        CHECK_OK(seam_semaphore_acquire(&units.semaphore, SEAM_NOW));
    }
    CHECK_ERR(seam_semaphore_acquire(&units.semaphore, SEAM_NOW), EAGAIN);
    stop_runtime(crowd.runtime);
}

TEST(a_semaphore_keeps_its_units)
{
    conserve_units(3, SEAM_STEAL_DEFAULT);
}

TEST(a_semaphore_keeps_its_units_among_tasks_that_move)
{
    conserve_units(2, SEAM_STEAL_FULL);
}

/* ---- event ---- */

/* Hands the address of an event in the waiter's frame to the setter, one at a time. */
struct relay {
    _Atomic(struct seam_event *) places[MEMBERS / 2];
    atomic_bool is_over;
};

static void wait_or_set(struct crowd *crowd, unsigned index)
{
    struct relay *relay = crowd->arg;
    struct dice dice = dice_for(index);
    _Atomic(struct seam_event *) *place = &relay->places[index / 2 % (MEMBERS / 2)];
    bool waits = (index / 2 + index) % 2 == 0; /* tasks and threads in both parts */
    for (int turn = 0; turn < TURNS; turn++) {
        if (waits) {
            /* volatile: the frame is scribbled over as soon as the wait has returned. */
            volatile struct seam_event frame = SEAM_EVENT_INIT;
            struct seam_event *event = (struct seam_event *)(uintptr_t)&frame;
            atomic_store(place, event);
            int r = -EAGAIN;
            while (r == -EAGAIN || r == -ETIMEDOUT) {
                r = seam_event_wait(event, roll_deadline(&dice, 50));
                if (r == -EAGAIN) (void)seam_yield();
            }
            CHECK_OK(r);
            for (unsigned i = 0; i < sizeof frame.reserved / sizeof frame.reserved[0]; i++) {
                frame.reserved[i] = UINT64_C(0xdddddddddddddddd);
            }
        } else {
            struct seam_event *event = NULL;
            while ((event = atomic_exchange(place, NULL)) == NULL) {
                (void)seam_yield();
            }
            seam_event_set(event);
        }
    }
}

/* Goal: an event may live in the frame of the one who waits: set() does not touch it once the
 * waiter may have gone. Method: the waiter overwrites it at once. */
static void set_events_in_frames(uint32_t workers, enum seam_steal steal)
{
    struct relay relay = {};
    struct crowd crowd = {.fn = wait_or_set, .arg = &relay};
    crowd.runtime = start_runtime(workers, steal);
    crowd_start(&crowd, MEMBERS);
    CHECK_OK(crowd_join(&crowd));
    stop_runtime(crowd.runtime);
}

TEST(an_event_may_live_in_the_frame_of_its_waiter)
{
    set_events_in_frames(3, SEAM_STEAL_DEFAULT);
}

TEST(an_event_may_live_in_the_frame_of_a_task_that_moves)
{
    set_events_in_frames(3, SEAM_STEAL_FULL);
}
