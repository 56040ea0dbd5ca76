/* SPDX-License-Identifier: MIT */
/*
 * What tasks and threads wait on together: channels, mutexes, semaphores, events; and pins.
 */
#include <pthread.h>

#include "seam.h"

#include "faults.h"

enum { VALUES = 20, UNITS = 3 };

/* One side in a task, the other in a thread. */
struct meeting {
    seam_runtime *runtime;
    seam_chan *there;
    seam_chan *back;
    struct seam_mutex mutex;
    struct seam_semaphore semaphore;
    struct seam_event event;
    int total;
};

static SEAM_SUSPENDS int add(struct meeting *meeting, int value)
{
    CHECK_OK(seam_mutex_lock(&meeting->mutex, SEAM_FOREVER));
    meeting->total += value;
    CHECK_OK(seam_yield());
    seam_mutex_unlock(&meeting->mutex);
    return 0;
}

static SEAM_SUSPENDS int answer(void *arg)
{
    struct meeting *meeting = arg;
    int value = 0;
    int r = 0;
    while ((r = seam_chan_recv(meeting->there, &value, SEAM_FOREVER)) == 0) {
        CHECK_OK(seam_semaphore_acquire(&meeting->semaphore, SEAM_FOREVER));
        CHECK_OK(add(meeting, value));
        CHECK_OK(seam_chan_send(meeting->back, &value, SEAM_FOREVER));
    }
    CHECK_EQ(r, -EPIPE);
    seam_event_set(&meeting->event);
    return 0;
}

/* Waits with a deadline once, and is served the second time. */
static SEAM_SUSPENDS void recv_impatiently(seam_chan *chan, int *out_value)
{
    while (seam_chan_recv(chan, out_value, seam_after(SEAM_MILLISECOND)) == -ETIMEDOUT) {
    }
}

static SEAM_SUSPENDS int ask(void *arg)
{
    struct meeting *meeting = arg;
    for (int i = 0; i < VALUES; i++) {
        int value = i;
        CHECK_OK(seam_chan_send(meeting->there, &value, SEAM_FOREVER));
        CHECK_OK(seam_semaphore_post(&meeting->semaphore));
        CHECK_OK(add(meeting, -i));
        recv_impatiently(meeting->back, &value);
    }
    seam_chan_close(meeting->there);
    return (int)CHECK_OK(seam_event_wait(&meeting->event, SEAM_FOREVER));
}

static SEAM_SUSPENDS int meet_in_scope(struct meeting *meeting)
{
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, meeting->runtime, SEAM_FOREVER));
    int r = (int)MAY(seam_spawn(&scope, answer, meeting, NULL, NULL), ENOMEM);
    int result = 0;
    if (r == 0) r = ask(meeting); /* the thread's part */
    seam_chan_close(meeting->there);
    CHECK_OK(seam_scope_end(&scope));
    if (r < 0) return r;

    seam_chan_free(meeting->there);
    meeting->there = NULL;
    r = (int)MAY(seam_chan_new(sizeof(int), 2, &meeting->there), ENOMEM);
    if (r < 0) return r;
    seam_event_reset(&meeting->event);
    CHECK_OK(seam_scope_begin(&scope, meeting->runtime, SEAM_FOREVER));
    r = (int)MAY(seam_spawn(&scope, answer, meeting, NULL, NULL), ENOMEM);
    if (r == 0)
        r = (int)MAY(seam_call(meeting->runtime, ask, meeting, &result, SEAM_FOREVER), ENOMEM);
    seam_chan_close(meeting->there);
    CHECK_OK(seam_scope_end(&scope));
    return r;
}

static int meet(const struct seam_options *options)
{
    struct meeting meeting = {.mutex = SEAM_MUTEX_INIT,
            .semaphore = SEAM_SEMAPHORE_INIT(UNITS),
            .event = SEAM_EVENT_INIT};
    int r = (int)MAY(seam_runtime_new(options, &meeting.runtime), RUNTIME_ERRORS);
    if (r < 0) return r;
    r = (int)MAY(seam_chan_new(sizeof(int), 2, &meeting.there), ENOMEM);
    if (r == 0) r = (int)MAY(seam_chan_new(sizeof(int), 2, &meeting.back), ENOMEM);
    if (r == 0) r = meet_in_scope(&meeting);
    if (r == 0) CHECK_EQ(meeting.total, 0);
    CHECK_OK(seam_runtime_stop(meeting.runtime, NULL, SEAM_FOREVER));
    seam_runtime_free(meeting.runtime);
    seam_chan_free(meeting.there);
    seam_chan_free(meeting.back);
    return r;
}

static int meet_a_worker(void)
{
    const struct seam_options options = {.workers = 2, .quiet_incidents = true};
    return meet(&options);
}

TEST(a_task_and_a_thread_meet_in_spite_of_each_failure)
{
    each_fault(meet_a_worker);
}

/* ---- pins ---- */

static SEAM_SUSPENDS int stay(void *arg)
{
    (void)arg;
    seam_pin_begin();
    pthread_t here = pthread_self();
    for (int i = 0; i < 5; i++) {
        CHECK_OK(seam_sleep(seam_after(SEAM_MILLISECOND / 4)));
        CHECK(pthread_equal(here, pthread_self()));
    }
    seam_pin_end();
    return 0;
}

static SEAM_SUSPENDS int stay_side_by_side(void *arg)
{
    const struct seam_task_options bound = {.thread_bound = true};
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    int r = 0;
    for (int i = 0; i < 6 && r == 0; i++) {
        r = (int)MAY(seam_spawn(&scope, stay, NULL, i % 2 == 0 ? &bound : NULL, NULL), ENOMEM);
    }
    CHECK_OK(seam_scope_end(&scope));
    (void)arg;
    return r;
}

static int pin(void)
{
    const struct seam_options options = {.workers = 2, .quiet_incidents = true};
    return (int)MAY(seam_run(&options, stay_side_by_side, NULL), RUNTIME_ERRORS);
}

TEST(a_bound_task_stays_where_it_is_in_spite_of_each_failure)
{
    each_fault(pin);
}
