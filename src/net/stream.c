/* SPDX-License-Identifier: MIT */
/*
 * net/stream.c - reading and writing: try first, wait only when there is nothing.
 *
 * The descriptor's own mode is left alone. Sockets are tried with MSG_DONTWAIT; pipes with RWF_NOWAIT
 * where the kernel knows it for them, else after poll() has said yes; terminals through a description
 * of our own (io/fd.h), or after poll() has said yes and byte by byte where that cannot be had.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/uio.h>
#include <unistd.h>

#include "seam/net.h"
#include "seam/time.h"

#include "base/auto.h"
#include "base/cast.h"
#include "io/fd.h"
#include "sched/worker.h"
#include "task/scope.h"
#include "task/wait.h"

/* What a pipe takes without blocking once poll() has said that it takes something. */
enum { PIPE_ATOMIC_BYTES = PIPE_BUF };

static short poll_events_of(unsigned events)
{
    short wanted = 0;
    if ((events & SM_FD_READABLE) != 0) wanted |= POLLIN;
    if ((events & SM_FD_WRITABLE) != 0) wanted |= POLLOUT;
    return wanted;
}

/* Those of events that hold now. */
static int poll_now(int fd, unsigned events)
{
    struct pollfd wanted = {.fd = fd, .events = poll_events_of(events)};
    int count = poll(&wanted, 1, 0);
    if (count < 0) return sm_neg_errno();
    if ((wanted.revents & POLLNVAL) != 0) return -EBADF;
    unsigned ready = 0;
    if ((wanted.revents & (POLLIN | POLLHUP | POLLERR)) != 0) ready |= SM_FD_READABLE;
    if ((wanted.revents & (POLLOUT | POLLHUP | POLLERR)) != 0) ready |= SM_FD_WRITABLE;
    return (int)(ready & events);
}

struct transfer {
    int fd;
    bool writes;
    char *buf;
    size_t bytes;
};

static ssize_t try_socket(const struct transfer *transfer)
{
    ssize_t n = transfer->writes
            ? send(transfer->fd, transfer->buf, transfer->bytes, MSG_DONTWAIT | MSG_NOSIGNAL)
            : recv(transfer->fd, transfer->buf, transfer->bytes, MSG_DONTWAIT);
    return n < 0 ? sm_neg_errno() : n;
}

/* A pipe without readers: an error, and no signal. One that was pending before stays pending. */
static ssize_t write_quietly(int fd, const struct iovec *piece, int flags)
{
    sigset_t broken_pipe;
    sigset_t pending;
    sigset_t before;
    (void)sigemptyset(&broken_pipe);
    (void)sigaddset(&broken_pipe, SIGPIPE);
    (void)sigpending(&pending);
    (void)pthread_sigmask(SIG_BLOCK, &broken_pipe, &before);
    ssize_t n = pwritev2(fd, piece, 1, -1, flags);
    int r = n < 0 ? sm_neg_errno() : 0;
    if (r == -EPIPE && sigismember(&pending, SIGPIPE) == 0) {
        static const struct timespec now;
        (void)sigtimedwait(&broken_pipe, NULL, &now);
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r < 0 ? r : n;
}

static ssize_t read_or_write(const struct transfer *transfer, int fd, size_t bytes, int flags)
{
    struct iovec piece = {.iov_base = transfer->buf, .iov_len = bytes};
    if (transfer->writes) return write_quietly(fd, &piece, flags);
    ssize_t n = preadv2(fd, &piece, 1, -1, flags);
    return n < 0 ? sm_neg_errno() : n;
}

static ssize_t try_own(const struct transfer *transfer, struct sm_fd *entry)
{
    ssize_t n = -EINTR;
    sm_lock(&entry->trying);
    /* relaxed: written under the lock that we hold, too. */
    if (sm_load_relaxed(&entry->kind) == SM_FD_TERMINAL) {
        n = read_or_write(transfer, entry->own_fd, transfer->bytes, 0);
    }
    sm_unlock(&entry->trying);
    return n;
}

/* How much a write may move that must not block, poll() having said that it would not. */
static size_t write_max(const struct transfer *transfer)
{
    int mode = fcntl(transfer->fd, F_GETFL);
    if (mode >= 0 && (mode & O_NONBLOCK) != 0) return transfer->bytes;
    return sm_fd_is_terminal(transfer->fd) ? 1 : PIPE_ATOMIC_BYTES;
}

static ssize_t try_polled(const struct transfer *transfer)
{
    unsigned event = transfer->writes ? SM_FD_WRITABLE : SM_FD_READABLE;
    int ready = poll_now(transfer->fd, event);
    if (ready <= 0) return ready < 0 ? ready : -EAGAIN;
    size_t bytes = transfer->bytes;
    if (transfer->writes && bytes > 1) {
        size_t most = write_max(transfer);
        if (bytes > most) bytes = most;
    }
    return read_or_write(transfer, transfer->fd, bytes, 0);
}

static ssize_t try_stream(const struct transfer *transfer, struct sm_fd *entry)
{
    ssize_t n = read_or_write(transfer, transfer->fd, transfer->bytes, RWF_NOWAIT);
    if (n != -EOPNOTSUPP && n != -EINVAL && n != -ENOSYS) return n;
    if (transfer->writes) return try_polled(transfer);

    sm_lock(&entry->trying);
    n = try_polled(transfer);
    sm_unlock(&entry->trying);
    return n;
}

/* A file is always ready. What is not is no file: the number was one's when it was adopted, in a race
 * with its close, and has another owner now, for whom reading without asking might block a worker. */
static ssize_t try_file(const struct transfer *transfer, struct sm_fd *entry)
{
    ssize_t n = read_or_write(transfer, transfer->fd, transfer->bytes, RWF_NOWAIT);
    if (n != -EAGAIN && n != -EOPNOTSUPP && n != -EINVAL && n != -ENOSYS) return n;

    if (poll_now(transfer->fd, transfer->writes ? SM_FD_WRITABLE : SM_FD_READABLE) == 0) {
        sm_fd_is_no_file(entry);
        return -EINTR;
    }
    return read_or_write(transfer, transfer->fd, transfer->bytes, 0);
}

static ssize_t try_once(const struct transfer *transfer, struct sm_fd *entry)
{
    ssize_t n = -EINTR;
    while (n == -EINTR) {
        /* relaxed: a kind that changes under a call in progress is the caller's race. */
        switch ((enum sm_fd_kind)sm_load_relaxed(&entry->kind)) {
        case SM_FD_LISTENER:
        case SM_FD_SOCKET:
        case SM_FD_MESSAGES: n = try_socket(transfer); break;
        case SM_FD_UNKNOWN:
        case SM_FD_STREAM: n = try_stream(transfer, entry); break;
        case SM_FD_TERMINAL: n = try_own(transfer, entry); break;
        case SM_FD_FILE: n = try_file(transfer, entry); break;
        }
    }
    return n;
}

/* A TCP socket that gave or took less than it was asked to has no more, until the next edge; unless
 * its end was announced, and no edge will come. Others give a line, a message, a packet, or what
 * came before a descriptor. */
static bool may_have_more(
        const struct transfer *transfer, const struct sm_fd *entry, ssize_t n, unsigned taken)
{
    const unsigned ends = SM_FD_READ_END | SM_FD_WRITE_END;
    if (n <= 0 || n == (ssize_t)transfer->bytes || (taken & ends) != 0) return true;
    return sm_load_relaxed(&entry->kind) != SM_FD_SOCKET; /* relaxed: as in try_once() */
}

/* Try if it is worth trying, or insisted on: what moved, -EAGAIN, or another error. */
static ssize_t try_if_ready(
        const struct transfer *transfer, struct sm_fd *entry, unsigned event, bool insists)
{
    unsigned taken = sm_fd_take_ready(entry, event);
    if (taken == 0 && !insists) return -EAGAIN;

    ssize_t n = try_once(transfer, entry);
    if (n != -EAGAIN && may_have_more(transfer, entry, n, taken)) {
        sm_fd_put_ready(entry, taken | event);
    }
    return n;
}

/* One read or write that moves something, waiting for it. */
static ssize_t move_some(
        const struct transfer *transfer, const struct sm_fd_use *use, int64_t deadline_ns)
{
    unsigned event = transfer->writes ? SM_FD_WRITABLE : SM_FD_READABLE;
    for (;;) {
        if (sm_party_is_cancelled(sm_thread_party(sm_thread_self()))) return -ECANCELED;
        ssize_t n = try_if_ready(transfer, use->entry, event, deadline_ns <= SEAM_NOW);
        if (n != -EAGAIN) return n;
        int r = sm_wait_refused(deadline_ns);
        if (r == 0) r = sm_fd_wait(use, event, deadline_ns);
        if (r < 0) return r;
    }
}

ssize_t seam_read(int fd, void *buf, size_t bytes, int64_t deadline_ns)
{
    if (sm_enter() == NULL) return -EOWNERDEAD;
    struct sm_fd_use use;
    ssize_t r = sm_fd_get(fd, &use);
    if (r == 0 && bytes > 0) {
        const struct transfer transfer = {.fd = fd, .buf = buf, .bytes = bytes};
        r = move_some(&transfer, &use, deadline_ns);
    }
    sm_leave();
    return r;
}

static ssize_t write_all(
        const struct sm_fd_use *use, const char *buf, size_t bytes, int64_t deadline_ns)
{
    size_t done = 0;
    while (done < bytes) {
        const struct transfer transfer = {
                .fd = use->fd,
                .writes = true,
                .buf = (char *)sm_drop_const(buf) + done, /* only read */
                .bytes = bytes - done,
        };
        ssize_t n = move_some(&transfer, use, deadline_ns);
        if (n < 0) return done > 0 ? (ssize_t)done : n;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

ssize_t seam_write(int fd, const void *buf, size_t bytes, int64_t deadline_ns)
{
    if (sm_enter() == NULL) return -EOWNERDEAD;
    struct sm_fd_use use;
    ssize_t r = sm_fd_get(fd, &use);
    if (r == 0) r = write_all(&use, buf, bytes, deadline_ns);
    sm_leave();
    return r;
}

_Static_assert((int)SEAM_READABLE == (int)SM_FD_READABLE, "the same bits");
_Static_assert((int)SEAM_WRITABLE == (int)SM_FD_WRITABLE, "the same bits");

static int await(int fd, unsigned events, int64_t deadline_ns)
{
    struct sm_fd_use use;
    int r = sm_fd_get(fd, &use);
    while (r == 0) {
        if (sm_party_is_cancelled(sm_thread_party(sm_thread_self()))) return -ECANCELED;
        /* Cleared first: what becomes true after the poll is an edge that sets it again. */
        unsigned taken = sm_fd_take_ready(use.entry, events);
        int ready = 0;
        while ((ready = poll_now(fd, events)) == -EINTR) {
        }
        if (ready < 0) return ready;
        if (ready > 0) {
            sm_fd_put_ready(use.entry, (unsigned)ready | (taken & (unsigned)ready << 2));
            return ready;
        }
        r = sm_wait_refused(deadline_ns);
        if (r == 0) r = sm_fd_wait(&use, events, deadline_ns);
    }
    return r;
}

int seam_await_fd(int fd, unsigned events, int64_t deadline_ns)
{
    if (events == 0 || (events & ~(unsigned)(SEAM_READABLE | SEAM_WRITABLE)) != 0) return -EINVAL;
    if (sm_enter() == NULL) return -EOWNERDEAD;
    int r = await(fd, events, deadline_ns);
    sm_leave();
    return r;
}
