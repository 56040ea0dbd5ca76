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
 *     cleared  sm_fd_take_ready(), just before the system call, with the END bits: who has seen the
 *              operation do something puts those back, since no edge will
 *
 * Plain threads do not need a poller: they poll() for themselves.
 *
 * Invariants
 *   1. The generation changes whenever the descriptor is forgotten: an event of an earlier life
 *      finds another generation and is dropped.
 *      A call that began in an earlier life does not wait: sm_fd_wait() compares, too.
 *   2. Waiters are on the lists under the entry's lock; forgetting completes them all. While there
 *      is one, its WAITED bit is set, so whoever sets a readiness bit learns in the same step that
 *      somebody must be told.
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
    /* Somebody is on the list, or was. */
    SM_FD_READ_WAITED = SM_FD_READABLE << 4,
    SM_FD_WRITE_WAITED = SM_FD_WRITABLE << 4,
    /* Only told, not kept: the stream has an urgent byte in it, at which a read ends. */
    SM_FD_URGENT = 1 << 6,
};

enum sm_fd_kind {
    SM_FD_UNKNOWN,  /* not adopted */
    SM_FD_LISTENER, /* opened by us, nonblocking */
    SM_FD_SOCKET,   /* TCP: gives less than it was asked for only when it has no more */
    SM_FD_MESSAGES, /* another socket: of messages, or of bytes with descriptors or credentials
                     * among them, at which a read ends; or TCP in which a byte was urgent */
    SM_FD_STREAM,   /* a pipe, anything else that can be polled */
    SM_FD_TERMINAL, /* opened once more by us, nonblocking: poll() does not say how much it takes */
    SM_FD_FILE,     /* always ready */
};

struct sm_fd {
    struct sm_lock lock;
    struct sm_lock trying; /* held over poll() and the read or accept that it allows, where the mode
                            * may be blocking: of two that poll() promised one thing, one blocks.
                            * Also over what is done with own_fd */
    int own_fd;            /* of a TERMINAL: our description of it; under trying */
    _Atomic(uint32_t) ready;
    _Atomic(uint32_t) generation; /* written under lock */
    _Atomic(uint32_t) kind;       /* enum sm_fd_kind; written under lock */
    struct sm_poller *poller;     /* who watches it; NULL: nobody yet */
    struct sm_list readers;       /* struct sm_waiter */
    struct sm_list writers;
};

/* A descriptor as a call found it when it began. */
struct sm_fd_use {
    int fd;
    uint32_t generation;
    struct sm_fd *entry;
};

/* The entry of an adopted descriptor, adopting it if need be. -EBADF, -ENOMEM. Any thread. */
int sm_fd_get(int fd, struct sm_fd_use *out_use);

/* Adopt a descriptor that has just been opened: whatever is known of its number is out of date.
 * -ENOMEM. Any thread that is inside. */
int sm_fd_adopt_new(int fd, enum sm_fd_kind kind);

/* Wait until one of events may have happened; -ETIMEDOUT, -ECANCELED (also: forgotten meanwhile).
 * Inside; suspends. */
int sm_fd_wait(const struct sm_fd_use *use, unsigned events, int64_t deadline_ns);

/* The poller that serves what the calling task waits for; NULL for a thread. Implemented by
 * sched/, as task/runner.h is. */
struct sm_poller *sm_fd_current_poller(void);

/* Which of events are worth trying, with their END bits; all of them are cleared. */
unsigned sm_fd_take_ready(struct sm_fd *entry, unsigned events);

/* There may be more: try again before waiting. Tells those who wait. Inside. */
void sm_fd_put_ready(struct sm_fd *entry, unsigned events);

/* The kernel says so. Called by pollers. */
void sm_fd_set_ready(int fd, uint32_t generation, unsigned events);

/* Drop all knowledge of fd; waiters get -ECANCELED. -EBADF if it was not adopted. Any thread that
 * is inside. */
int sm_fd_forget(int fd);

/* fd has been closed, after it was forgotten: a call that came in between has it adopted again, and
 * waits for what will not come. Such a one tries again. Any thread that is inside. */
void sm_fd_closed(int fd);

/* May a write to it block although poll() says that it would not, if it is of more than one byte? */
bool sm_fd_is_terminal(int fd);

/* It was adopted as a file and turns out not to be ready: its kind is found out anew. */
void sm_fd_is_no_file(struct sm_fd *entry);

/* A poller goes away: those it watched are watched by nobody, and who waits looks for another. */
void sm_fd_forget_poller(const struct sm_poller *poller);
