/* SPDX-License-Identifier: MIT */
/*
 * seam/sync.h - mutex, semaphore and event, for tasks and threads alike.
 *
 * All three may live in static memory, initialised by their _INIT macro, or be set up with the init
 * function; none holds resources, so none needs to be retired: the memory may be used for something
 * else once every call on it has returned. In a forked child the functions without a result do
 * nothing. A task waits without holding its
 * worker; a thread waits in the kernel. What is never contended never makes a system call.
 */
#pragma once

#include <stdint.h>

#include "seam/attr.h"

#ifdef __cplusplus
extern "C" {
#endif

/** One holder at a time. */
struct seam_mutex {
    uint64_t reserved[4];
};
#define SEAM_MUTEX_INIT \
    { \
        { \
            0 \
        } \
    }

/** A number of units that are taken and given back. */
struct seam_semaphore {
    uint64_t reserved[4];
};
#define SEAM_SEMAPHORE_INIT(units) \
    { \
        { \
            (units) \
        } \
    }

/** Something that has happened, or not yet. */
struct seam_event {
    uint64_t reserved[4];
};
#define SEAM_EVENT_INIT \
    { \
        { \
            0 \
        } \
    }

/**
 * seam_mutex_init() - Make an unlocked mutex.
 *
 * @mutex: memory for it
 *
 * Context: any.  Never suspends.
 * Thread-safe: no: before anybody else knows it.
 * Since: 0.1
 */
SEAM_API void seam_mutex_init(struct seam_mutex *mutex);

/**
 * seam_mutex_lock() - Become the mutex's holder.
 *
 * @mutex:       not held by the caller
 * @deadline_ns: how long to wait; cancellation does not end this wait, since clean-up code locks
 *               too and rarely looks at the result
 *
 * Newcomers may overtake those who wait, because handing a lock to a waiter that must first be
 * woken leaves it idle meanwhile; a waiter that has been overtaken for 1 ms is handed the lock.
 *
 * Return: 0, or
 *   -ETIMEDOUT   somebody held it until the deadline
 *   -EAGAIN      the same, with SEAM_NOW
 *   -EOWNERDEAD  this is a forked child and the mutex was held; its holder is in the parent
 *
 * Context: any.  Suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API SEAM_SUSPENDS int seam_mutex_lock(struct seam_mutex *mutex, int64_t deadline_ns);

/**
 * seam_mutex_unlock() - Let the next one in.
 *
 * @mutex: held by the caller. Unlocking a mutex that is not locked stops the program
 *
 * Context: any.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API void seam_mutex_unlock(struct seam_mutex *mutex);

/**
 * seam_semaphore_init() - Make a semaphore with this many units.
 *
 * @semaphore: memory for it
 * @units:     units that can be taken at first, 0..2^31-1
 *
 * Context: any.  Never suspends.
 * Thread-safe: no: before anybody else knows it.
 * Since: 0.1
 */
SEAM_API void seam_semaphore_init(struct seam_semaphore *semaphore, uint32_t units);

/**
 * seam_semaphore_acquire() - Take one unit.
 *
 * @semaphore:   where from
 * @deadline_ns: how long to wait for one
 *
 * Waiters are served in the order they came (FIFO); a unit that is given back goes to the first of
 * them and cannot be snatched by a newcomer.
 *
 * Return: 0, or
 *   -ETIMEDOUT   there was none until the deadline
 *   -EAGAIN      the same, with SEAM_NOW
 *   -ECANCELED   the caller's scope was cancelled; nothing was taken
 *   -EOWNERDEAD  this is a forked child
 *
 * Context: any.  Suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API SEAM_SUSPENDS int seam_semaphore_acquire(
        struct seam_semaphore *semaphore, int64_t deadline_ns);

/**
 * seam_semaphore_post() - Give one unit back, or add one.
 *
 * @semaphore: where to
 *
 * Return: 0, or
 *   -EOVERFLOW   there are 2^31-1 units already; nothing changed
 *   -EOWNERDEAD  this is a forked child; nothing changed
 *
 * Context: any.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API int seam_semaphore_post(struct seam_semaphore *semaphore);

/**
 * seam_event_init() - Make an event that has not happened.
 *
 * @event: memory for it
 *
 * Context: any.  Never suspends.
 * Thread-safe: no: before anybody else knows it.
 * Since: 0.1
 */
SEAM_API void seam_event_init(struct seam_event *event);

/**
 * seam_event_set() - It has happened: let everyone go who waits, now and from now on.
 *
 * @event: setting again changes nothing
 *
 * Context: any.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API void seam_event_set(struct seam_event *event);

/**
 * seam_event_reset() - It has not happened any more: who waits from now on waits.
 *
 * @event: those who were let go stay let go
 *
 * Context: any.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API void seam_event_reset(struct seam_event *event);

/**
 * seam_event_wait() - Wait until it has happened.
 *
 * @event:       what
 * @deadline_ns: how long
 *
 * Return: 0, or
 *   -ETIMEDOUT   it did not happen until the deadline
 *   -EAGAIN      the same, with SEAM_NOW
 *   -ECANCELED   the caller's scope was cancelled
 *   -EOWNERDEAD  this is a forked child
 *
 * Context: any.  Suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API SEAM_SUSPENDS int seam_event_wait(struct seam_event *event, int64_t deadline_ns);

#ifdef __cplusplus
}
#endif
