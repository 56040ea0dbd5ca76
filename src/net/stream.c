/* SPDX-License-Identifier: MIT */
/*
 * net/stream.c - reading and writing: try first, wait only when there is nothing.
 *
 * The descriptor's own mode is left alone. Sockets are tried with MSG_DONTWAIT; pipes and terminals
 * with RWF_NOWAIT where the kernel knows it for them, else after poll() has said yes.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
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

static ssize_t try_stream(const struct transfer *transfer)
{
    struct iovec piece = {.iov_base = transfer->buf, .iov_len = transfer->bytes};
    ssize_t n = transfer->writes ? pwritev2(transfer->fd, &piece, 1, -1, RWF_NOWAIT)
                                 : preadv2(transfer->fd, &piece, 1, -1, RWF_NOWAIT);
    if (n >= 0) return n;
    if (errno != EOPNOTSUPP && errno != EINVAL && errno != ENOSYS) return sm_neg_errno();

    unsigned event = transfer->writes ? SM_FD_WRITABLE : SM_FD_READABLE;
    int ready = poll_now(transfer->fd, event);
    if (ready <= 0) return ready < 0 ? ready : -EAGAIN;
    if (transfer->writes && piece.iov_len > PIPE_ATOMIC_BYTES) piece.iov_len = PIPE_ATOMIC_BYTES;
    n = transfer->writes ? writev(transfer->fd, &piece, 1) : readv(transfer->fd, &piece, 1);
    return n < 0 ? sm_neg_errno() : n;
}

static ssize_t try_plain(const struct transfer *transfer)
{
    ssize_t n = transfer->writes ? write(transfer->fd, transfer->buf, transfer->bytes)
                                 : read(transfer->fd, transfer->buf, transfer->bytes);
    return n < 0 ? sm_neg_errno() : n;
}

static ssize_t try_once(const struct transfer *transfer, const struct sm_fd *entry)
{
    ssize_t n = -EINTR;
    while (n == -EINTR) {
        /* relaxed: a kind that changes under a call in progress is the caller's race. */
        switch ((enum sm_fd_kind)sm_load_relaxed(&entry->kind)) {
        case SM_FD_SOCKET: n = try_socket(transfer); break;
        case SM_FD_UNKNOWN:
        case SM_FD_STREAM: n = try_stream(transfer); break;
        case SM_FD_FILE: n = try_plain(transfer); break;
        }
    }
    return n;
}

/* Try if it is worth trying: what moved, -EAGAIN, or another error. */
static ssize_t try_if_ready(const struct transfer *transfer, struct sm_fd *entry, bool insists)
{
    unsigned event = transfer->writes ? SM_FD_WRITABLE : SM_FD_READABLE;
    if (sm_fd_take_ready(entry, event) == 0 && !insists) return -EAGAIN;

    ssize_t n = try_once(transfer, entry);
    /* A socket that moved less than it was asked for has no more, until the next edge. The end of
     * the stream stays. */
    bool has_more = n == (ssize_t)transfer->bytes || (n == 0 && !transfer->writes);
    if (has_more) sm_fd_put_ready(entry, event);
    return n;
}

/* One read or write that moves something, waiting for it. */
static ssize_t move_some(const struct transfer *transfer, struct sm_fd *entry, int64_t deadline_ns)
{
    unsigned event = transfer->writes ? SM_FD_WRITABLE : SM_FD_READABLE;
    for (;;) {
        if (sm_party_is_cancelled(sm_thread_party(sm_thread_self()))) return -ECANCELED;
        ssize_t n = try_if_ready(transfer, entry, deadline_ns <= SEAM_NOW);
        if (n != -EAGAIN) return n;
        int r = sm_wait_refused(deadline_ns);
        if (r == 0) r = sm_fd_wait(transfer->fd, entry, event, deadline_ns);
        if (r < 0) return r;
    }
}

ssize_t seam_read(int fd, void *buf, size_t bytes, int64_t deadline_ns)
{
    if (sm_enter() == NULL) return -EOWNERDEAD;
    struct sm_fd *entry = NULL;
    ssize_t r = sm_fd_get(fd, &entry);
    if (r == 0 && bytes > 0) {
        const struct transfer transfer = {.fd = fd, .buf = buf, .bytes = bytes};
        r = move_some(&transfer, entry, deadline_ns);
    }
    sm_leave();
    return r;
}

static ssize_t write_all(
        int fd, struct sm_fd *entry, const char *buf, size_t bytes, int64_t deadline_ns)
{
    size_t done = 0;
    while (done < bytes) {
        const struct transfer transfer = {
                .fd = fd,
                .writes = true,
                .buf = (char *)sm_drop_const(buf) + done, /* only read */
                .bytes = bytes - done,
        };
        ssize_t n = move_some(&transfer, entry, deadline_ns);
        if (n < 0) return done > 0 ? (ssize_t)done : n;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

ssize_t seam_write(int fd, const void *buf, size_t bytes, int64_t deadline_ns)
{
    if (sm_enter() == NULL) return -EOWNERDEAD;
    struct sm_fd *entry = NULL;
    ssize_t r = sm_fd_get(fd, &entry);
    if (r == 0) r = write_all(fd, entry, buf, bytes, deadline_ns);
    sm_leave();
    return r;
}

_Static_assert((int)SEAM_READABLE == (int)SM_FD_READABLE, "the same bits");
_Static_assert((int)SEAM_WRITABLE == (int)SM_FD_WRITABLE, "the same bits");

static int await(int fd, unsigned events, int64_t deadline_ns)
{
    struct sm_fd *entry = NULL;
    int r = sm_fd_get(fd, &entry);
    while (r == 0) {
        if (sm_party_is_cancelled(sm_thread_party(sm_thread_self()))) return -ECANCELED;
        /* Cleared first: what becomes true after the poll is an edge that sets it again. */
        (void)sm_fd_take_ready(entry, events);
        int ready = poll_now(fd, events);
        if (ready != 0) {
            sm_fd_put_ready(entry, (unsigned)(ready > 0 ? ready : 0));
            return ready;
        }
        r = sm_wait_refused(deadline_ns);
        if (r == 0) r = sm_fd_wait(fd, entry, events, deadline_ns);
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
