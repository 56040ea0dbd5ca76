/* SPDX-License-Identifier: MIT */
/*
 * boundary/locks.c - what blocks a thread suspends a task, and is the same function: rows e and e2.
 */
#include <pthread.h>

#include "boundary/flavours.h"

enum { VALUES = 100 };

/* ---- e: sending into a channel that is full ---- */

static int send_all(void *arg)
{
    seam_chan *chan = arg;
    for (int i = 0; i < VALUES; i++) {
        CHECK_OK(seam_chan_send(chan, &i, SEAM_FOREVER));
    }
    return 0;
}

static int receive_all(void *arg)
{
    seam_chan *chan = arg;
    for (int i = 0; i < VALUES; i++) {
        int value = -1;
        CHECK_OK(seam_chan_recv(chan, &value, SEAM_FOREVER));
        CHECK_EQ(value, i);
    }
    return 0;
}

static int send_between_tasks(void *arg)
{
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, receive_all, arg, NULL, NULL));
    CHECK_OK(send_all(arg));
    CHECK_OK(seam_scope_end(&scope));
    return 0;
}

/* Row e. Tokio's blocking_send() panics in a task. */
ON_EVERY_RUNTIME(a_task_that_sends_into_a_full_channel_is_suspended)
{
    for (size_t capacity = 0; capacity <= 1; capacity++) {
        seam_chan *chan = NULL;
        CHECK_OK(seam_chan_new(sizeof(int), capacity, &chan));
        CHECK_OK(seam_run(options, send_between_tasks, chan));
        seam_chan_free(chan);
    }
}

static void *send_from_a_thread(void *arg)
{
    CHECK_OK(send_all(arg));
    return NULL;
}

static void *receive_in_a_thread(void *arg)
{
    CHECK_OK(receive_all(arg));
    return NULL;
}

ON_EVERY_RUNTIME(threads_and_tasks_send_to_each_other_with_the_same_function)
{
    seam_runtime *runtime = new_runtime(options);
    seam_chan *chan = NULL;
    CHECK_OK(seam_chan_new(sizeof(int), 1, &chan));
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, send_from_a_thread, chan), 0);
    CHECK_OK(seam_call(runtime, receive_all, chan, NULL, SEAM_FOREVER));
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(pthread_create(&thread, NULL, receive_in_a_thread, chan), 0);
    CHECK_OK(seam_call(runtime, send_all, chan, NULL, SEAM_FOREVER));
    CHECK_EQ(pthread_join(thread, NULL), 0);
    seam_chan_free(chan);
    end_runtime(runtime);
}

/* ---- e2: locking a mutex that somebody holds ---- */

struct locked {
    struct seam_mutex mutex;
    struct seam_event is_held;
    struct seam_event may_let_go;
    int holders;
};

static int hold(void *arg)
{
    struct locked *locked = arg;
    CHECK_OK(seam_mutex_lock(&locked->mutex, SEAM_FOREVER));
    locked->holders++;
    seam_event_set(&locked->is_held);
    CHECK_OK(seam_event_wait(&locked->may_let_go, SEAM_FOREVER));
    seam_mutex_unlock(&locked->mutex);
    return 0;
}

static int let_go(void *arg)
{
    struct locked *locked = arg;
    seam_event_set(&locked->may_let_go);
    return 0;
}

static int lock_what_is_held(void *arg)
{
    struct locked *locked = arg;
    CHECK_OK(seam_event_wait(&locked->is_held, SEAM_FOREVER));
    CHECK_ERR(seam_mutex_lock(&locked->mutex, SEAM_NOW), EAGAIN);
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, let_go, locked, NULL, NULL));
    CHECK_OK(seam_mutex_lock(&locked->mutex, SEAM_FOREVER));
    CHECK_EQ(locked->holders, 1);
    seam_mutex_unlock(&locked->mutex);
    CHECK_OK(seam_scope_end(&scope));
    return 0;
}

static int lock_between_tasks(void *arg)
{
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, hold, arg, NULL, NULL));
    CHECK_OK(lock_what_is_held(arg));
    CHECK_OK(seam_scope_end(&scope));
    return 0;
}

/* Row e2. Tokio's Mutex::blocking_lock() panics in a task. */
ON_EVERY_RUNTIME(a_task_that_locks_what_another_holds_is_suspended)
{
    struct locked locked = {};
    CHECK_OK(seam_run(options, lock_between_tasks, &locked));
}

static void *hold_in_a_thread(void *arg)
{
    CHECK_OK(hold(arg));
    return NULL;
}

ON_EVERY_RUNTIME(a_task_that_locks_what_a_thread_holds_is_suspended)
{
    struct locked locked = {};
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, hold_in_a_thread, &locked), 0);
    CHECK_OK(seam_run(options, lock_what_is_held, &locked));
    CHECK_EQ(pthread_join(thread, NULL), 0);
}
