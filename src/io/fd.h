/* SPDX-License-Identifier: MIT */
/*
 * io/fd.h - what the runtime knows of a descriptor, in a table beside the kernel's.
 *
 * A descriptor is adopted at first use. The poller of the worker that first waits on it watches it,
 * edge-triggered, from then on. ready says which directions may have something: it is set by the
 * poller and cleared by whoever is about to try an operation, before trying, so an edge that comes
 * in between is kept. A direction whose bit is clear has nothing, and need not be tried.
 *
 *     set      sm_fd_set_ready(), and whoever left something behind (a read that filled its buffer)
 *     cleared  sm_fd_take_ready(), just before the system call
 *
 * Plain threads do not need a poller: they poll() for themselves.
 *
 * Invariants
 *   1. The generation changes whenever the descriptor is forgotten: an event of an earlier life
 *      finds another generation and is dropped.
 *   2. Waiters are on the lists under the entry's lock; forgetting completes them all.
 *   3. Entries are never unmapped.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "io/poller.h"
#include "os/lock.h"

enum {
    SM_FD_READABLE = 1 << 0,
    SM_FD_WRITABLE = 1 << 1,
    /* Nothing more will come, or an error waits: the direction stays worth trying. */
    SM_FD_READ_END = SM_FD_READABLE << 2,
    SM_FD_WRITE_END = SM_FD_WRITABLE << 2,
};

enum sm_fd_kind {
    SM_FD_UNKNOWN, /* not adopted */
    SM_FD_SOCKET,
    SM_FD_STREAM, /* a pipe, a terminal, anything else that can be polled */
    SM_FD_FILE,   /* always ready */
};

struct sm_fd {
    struct sm_lock lock;
    _Atomic(uint32_t) ready;
    uint32_t generation;
    _Atomic(uint32_t) kind;   /* enum sm_fd_kind; written under lock */
    struct sm_poller *poller; /* who watches it; NULL: nobody yet */
    struct sm_list readers;   /* struct sm_waiter */
    struct sm_list writers;
};

/* The entry of an adopted descriptor, adopting it if need be. -EBADF, -ENOMEM. Any thread. */
int sm_fd_get(int fd, struct sm_fd **out_entry);

/* Wait until one of events may have happened; -ETIMEDOUT, -ECANCELED (also: forgotten meanwhile).
 * Inside; suspends. */
int sm_fd_wait(int fd, struct sm_fd *entry, unsigned events, int64_t deadline_ns);

/* The poller that serves what the calling task waits for; NULL for a thread. Implemented by
 * sched/, as task/runner.h is. */
struct sm_poller *sm_fd_current_poller(void);

/* Which of events are worth trying; they are cleared, unless they stay. */
unsigned sm_fd_take_ready(struct sm_fd *entry, unsigned events);

/* There may be more: try again before waiting. */
void sm_fd_put_ready(struct sm_fd *entry, unsigned events);

/* The kernel says so. Called by pollers. */
void sm_fd_set_ready(int fd, uint32_t generation, unsigned events);

/* Drop all knowledge of fd; waiters get -ECANCELED. -EBADF if it was not adopted. Any thread that
 * is inside. */
int sm_fd_forget(int fd);

/* A poller goes away: those it watched are watched by nobody. */
void sm_fd_forget_poller(const struct sm_poller *poller);
