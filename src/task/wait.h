/* SPDX-License-Identifier: MIT */
/*
 * task/wait.h - the one way to wait, for tasks and threads.
 *
 * The caller has locked what it waits for and has put its waiter on the queue. sm_wait() opens the
 * lock once the caller can be woken: for a task that is when it has left its stack, so no waker
 * ever meets a task half-way out.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "os/lock.h"
#include "task/thread.h"

struct sm_wait {
    const char *reason;  /* static; shown to whoever looks at a stuck program */
    int64_t deadline_ns; /* INT64_MAX for none */
    bool ignores_cancel;
    struct seam_runtime
            *to_drive;    /* a thread runs this current-thread runtime meanwhile; or NULL */
    unsigned poll_events; /* != 0: a thread may poll() poll_fd for these: SM_FD_READABLE .. */
    int poll_fd;
    void (*unlock)(void *object); /* opens what the caller has locked; runs once */
    void *object;
};

/*
 * Wait until a claimer completes the wait; the value is what it said: 0 or positive as the object
 * defines, -ETIMEDOUT at the deadline, -ECANCELED. After an error the waiter may still be on the
 * object's queue: the caller locks the object and takes it off.
 *
 * Inside; suspends. The caller may be on another thread afterwards.
 */
int sm_wait(const struct sm_wait *wait);

/* An unlock for objects whose only lock is an sm_lock. */
void sm_wait_unlock(void *lock);

/* Wait for one waiter on one queue under one lock, which is held; take the waiter off again if
 * nobody claimed it for the queue's sake. Inside; suspends. */
int sm_wait_on_queue(struct sm_lock *lock, struct sm_list *queue, struct sm_waiter *waiter,
        const struct sm_wait *wait);

/* Have those scopes of a plain thread cancel themselves whose deadline has passed: their timers are in
 * a heap that nobody may be looking at. The thread's own. */
void sm_wait_fire_own_timers(const struct sm_party *party);

/* What a call returns that would have to wait but must not, or 0 if it may: -EAGAIN for SEAM_NOW,
 * -ETIMEDOUT for another deadline that has passed. */
int sm_wait_refused(int64_t deadline_ns);
