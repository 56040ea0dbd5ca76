/* SPDX-License-Identifier: MIT */
/*
 * io/poller.h - how a worker asks the kernel what has become ready, and sleeps meanwhile.
 *
 * One poller for each worker; it belongs to the role, not to the thread, so whoever holds the role
 * may wait on it. Descriptors are watched edge-triggered for both directions from the moment they
 * are adopted: readiness is remembered by io/fd.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"

struct sm_poller {
    int epoll_fd;
    int wake_fd;               /* eventfd; readable when another thread wants our attention */
    _Atomic(int) timer_fd;     /* what wakes a foreign loop that embeds us; -1: none asked yet */
    _Atomic(uint32_t) watched; /* descriptors: with none there is nothing to ask the kernel for */
    bool is_driven;            /* by callers, so that there may be nobody who waits on it */
    bool is_armed;             /* timer_fd has something to wait for */
    bool has_no_pwait2;        /* the kernel is older than 5.11: sleeps are rounded up to 1 ms */
};

/* 0, or -EMFILE, -ENFILE, -ENOMEM with nothing left open. */
int sm_poller_init(struct sm_poller *poller);
void sm_poller_fini(struct sm_poller *poller);

/* From now on a foreign loop may sleep on epoll_fd for us, and sm_poller_arm() tells it until when. It
 * is readable the first time, whatever there is to do. The errors of sm_poller_init(), and nothing
 * has happened. One thread at a time. */
int sm_poller_embed(struct sm_poller *poller);

/* Any thread. */
static inline bool sm_poller_is_embedded(const struct sm_poller *poller)
{
    /* seq_cst: pairs with the store in sm_poller_embed(). Who does not see it is before the wake-up
     * that follows. */
    return sm_load_seq_cst(&poller->timer_fd) >= 0;
}

/* Report to io/fd.h what is ready, having waited until something is, sm_poller_wake() was called or
 * deadline_ns has passed; 0 does not wait, INT64_MAX waits for ever. Returns how many descriptors
 * were ready. The holder of the role only. */
int sm_poller_wait(struct sm_poller *poller, int64_t deadline_ns);

/* Make the current or next sm_poller_wait() return. Any thread. */
void sm_poller_wake(struct sm_poller *poller);

/* Does the kernel have something for us? Any thread. */
bool sm_poller_has_events(const struct sm_poller *poller);

/* Is it worth asking without waiting? Any thread. */
static inline bool sm_poller_has_watched(const struct sm_poller *poller)
{
    return sm_load_relaxed(&poller->watched) > 0; /* relaxed: who waits is asked by sleeping, too */
}

/* Make epoll_fd readable for a foreign loop at deadline_ns; INT64_MAX: not. The holder of the role
 * only. */
void sm_poller_arm(struct sm_poller *poller, int64_t deadline_ns);

/* Watch fd; events are reported with its generation. -EPERM: it cannot be watched and is always
 * ready (a regular file); -EBADF, -ENOMEM, -ENOSPC. Any thread. */
int sm_poller_add(struct sm_poller *poller, int fd, uint32_t generation);
void sm_poller_remove(struct sm_poller *poller, int fd);
