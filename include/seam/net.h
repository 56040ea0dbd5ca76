/* SPDX-License-Identifier: MIT */
/*
 * seam/net.h - stream sockets in straight lines, and waiting for any descriptor.
 *
 * Descriptors are plain ints. What the runtime must know of one it keeps in a table of its own,
 * from the first use or seam_adopt() until seam_release() or seam_close(): a descriptor the runtime
 * has adopted must not be closed behind its back, or a reused number meets stale state. Descriptors
 * made by seam_listen(), seam_accept() and seam_connect() are adopted. The mode of a descriptor
 * (O_NONBLOCK) is never changed: operations are tried without blocking, and waited for. A terminal
 * is opened once more for that, where it can be, and takes a second number while it is adopted.
 *
 * Reads and writes on one descriptor may be under way at the same time, each from any number of
 * tasks and threads. No call raises SIGPIPE.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "seam/attr.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What seam_await_fd() waits for. */
enum {
    SEAM_READABLE = 1 << 0, /* a read would not block: data, end of stream, error, a connection */
    SEAM_WRITABLE = 1 << 1, /* a write would not block, or would fail */
};

/**
 * seam_address() - Make a socket address from numbers.
 *
 * @host:        "127.0.0.1", "::1", or "unix:/path" (at most 107 bytes of path; "unix:@name" is in
 *               the abstract name space); names are not looked up
 * @port:        0..65535; ignored for unix
 * @out_address: receives the address
 * @out_len:     receives its length in bytes
 *
 * Return: 0, or
 *   -EINVAL        @host is not a numeric address, or @port is out of range
 *   -ENAMETOOLONG  the path does not fit
 *
 * Context: any.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API int seam_address(
        const char *host, int port, struct sockaddr_storage *out_address, socklen_t *out_len);

/**
 * seam_listen() - Open a stream socket that accepts connections.
 *
 * @address: where: TCP over IPv4 or IPv6 (port 0: the system chooses, see getsockname()), or Unix
 * @len:     its length in bytes
 * @backlog: connections the kernel keeps for us; 0 for the system's maximum
 *
 * SO_REUSEADDR is set on TCP sockets. A Unix path that exists is an error.
 *
 * Return: the descriptor, owned by the caller, who owes it seam_close(); or
 *   -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, -EMFILE, -ENFILE, -ENOMEM and others of socket(2),
 *   bind(2) and listen(2); nothing stays open
 *   -EOWNERDEAD  this is a forked child
 *
 * Context: any.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API int seam_listen(const struct sockaddr *address, socklen_t len, int backlog);

/**
 * seam_accept() - Wait for the next connection.
 *
 * @fd:          from seam_listen(), or adopted
 * @out_address: receives the peer's address; may be NULL
 * @inout_len:   in: room at @out_address, out: the address's length; NULL if @out_address is
 * @deadline_ns: how long to wait
 *
 * TCP connections have TCP_NODELAY set. Connections that their peers gave up before they were
 * accepted are passed over in silence.
 *
 * Return: the descriptor, owned by the caller; or
 *   -ETIMEDOUT   nobody came until the deadline
 *   -EAGAIN      the same, with SEAM_NOW
 *   -ECANCELED   the caller's scope was cancelled, or @fd was closed meanwhile; a connection that
 *                arrived stays in the backlog
 *   -EMFILE, -ENFILE, -ENOMEM, -ENOBUFS, -ENOSPC  nothing free; the connection stays in the backlog,
 *                so wait a little before trying again
 *   -EINVAL      @fd is a socket that does not listen
 *   -ENOTSOCK    @fd is no socket
 *   -EBADF       @fd is not open
 *   -EOWNERDEAD  this is a forked child
 *
 * Context: any.  Suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API SEAM_SUSPENDS int seam_accept(
        int fd, struct sockaddr *out_address, socklen_t *inout_len, int64_t deadline_ns);

/**
 * seam_connect() - Open a stream connection.
 *
 * @address:     where to: TCP or Unix
 * @len:         its length in bytes
 * @deadline_ns: how long to wait for the peer
 *
 * TCP connections have TCP_NODELAY set.
 *
 * Return: the descriptor, owned by the caller; or
 *   -ETIMEDOUT   no answer until the deadline, or the network gave up
 *   -EAGAIN      the same, with SEAM_NOW; for Unix sockets also: the peer's backlog is full
 *   -ECANCELED   the caller's scope was cancelled
 *   -ECONNREFUSED, -ENETUNREACH, -EMFILE and others of socket(2) and connect(2)
 *   -ENOSPC      nothing more can be watched (fs.epoll.max_user_watches)
 *   -EOWNERDEAD  this is a forked child
 *   On error nothing stays open.
 *
 * Context: any.  Suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API SEAM_SUSPENDS int seam_connect(
        const struct sockaddr *address, socklen_t len, int64_t deadline_ns);

/**
 * seam_read() - Read what is there, waiting until something is.
 *
 * @fd:          a socket, pipe or terminal
 * @buf:         receives the bytes
 * @bytes:       room at @buf; at most this much is read
 * @deadline_ns: how long to wait
 *
 * Return: the number of bytes read, 0 at the end of the stream (or if @bytes is 0), or
 *   -ETIMEDOUT   nothing came until the deadline
 *   -EAGAIN      the same, with SEAM_NOW
 *   -ECANCELED   the caller's scope was cancelled, or @fd was closed meanwhile; nothing was read
 *   -EMFILE, -ENFILE, -ENOMEM, -ENOSPC  nothing free to wait with; nothing was read
 *   -ECONNRESET, -EBADF and others of read(2)
 *   -EOWNERDEAD  this is a forked child
 *
 * Context: any.  Suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API SEAM_SUSPENDS ssize_t seam_read(int fd, void *buf, size_t bytes, int64_t deadline_ns);

/**
 * seam_write() - Write all of it.
 *
 * @fd:          a socket, pipe or terminal
 * @buf:         what to write
 * @bytes:       how much
 * @deadline_ns: how long to wait for room
 *
 * Writes until everything is with the kernel. When an error, the deadline or cancellation stops it
 * after a part, it returns how much was written, and the next call reports the reason.
 *
 * Return: @bytes, or fewer as said, or, when nothing at all was written,
 *   -EPIPE       the peer reads no more
 *   -ETIMEDOUT   no room until the deadline
 *   -EAGAIN      the same, with SEAM_NOW
 *   -ECANCELED   the caller's scope was cancelled, or @fd was closed meanwhile
 *   -EMFILE, -ENFILE, -ENOMEM, -ENOSPC  nothing free to wait with; nothing was written
 *   -ECONNRESET, -EBADF and others of write(2)
 *   -EOWNERDEAD  this is a forked child
 *
 * Context: any.  Suspends.
 * Thread-safe: yes; the bytes of two writes at once may mix when one has to wait.
 * Since: 0.1
 */
SEAM_API SEAM_SUSPENDS ssize_t seam_write(
        int fd, const void *buf, size_t bytes, int64_t deadline_ns);

/**
 * seam_await_fd() - Wait until a descriptor is ready, for code that does its own I/O.
 *
 * @fd:          anything that poll(2) can watch
 * @events:      SEAM_READABLE, SEAM_WRITABLE or both
 * @deadline_ns: how long to wait
 *
 * Return: those of @events that hold, or
 *   -ETIMEDOUT   none until the deadline
 *   -EAGAIN      the same, with SEAM_NOW
 *   -ECANCELED   the caller's scope was cancelled, or @fd was closed meanwhile
 *   -EMFILE, -ENFILE, -ENOMEM, -ENOSPC  nothing free to wait with; try again later
 *   -EINVAL      @events is empty or has other bits
 *   -EBADF       @fd is not open
 *   -EOWNERDEAD  this is a forked child
 *   Regular files are always ready.
 *
 * Context: any.  Suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API SEAM_SUSPENDS int seam_await_fd(int fd, unsigned events, int64_t deadline_ns);

/**
 * seam_shutdown() - End one or both directions of a connection.
 *
 * @fd:  a stream socket
 * @how: SHUT_RD, SHUT_WR or SHUT_RDWR
 *
 * Readers and writers that wait see the end.
 *
 * Return: 0, or -ENOTCONN, -EBADF and others of shutdown(2)
 *
 * Context: any.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API int seam_shutdown(int fd, int how);

/**
 * seam_close() - Close a descriptor, and let go whoever waits on it.
 *
 * @fd: taken. Calls that wait on it return -ECANCELED
 *
 * Return: 0, or
 *   -EBADF  @fd is not open
 *   -EIO, -ENOSPC, -EDQUOT  the descriptor is closed, but data written earlier was lost
 *
 * Context: any.  Never suspends.
 * Thread-safe: yes; calls on @fd that have not begun to wait may find the number reused.
 * Since: 0.1
 */
SEAM_API int seam_close(int fd);

/**
 * seam_adopt() - Tell the runtime of a descriptor that was opened elsewhere.
 *
 * @fd: a socket, pipe, terminal or anything that poll(2) can watch
 *
 * Optional: the first use adopts too. Adopting again changes nothing.
 *
 * Return: 0, or
 *   -EBADF       @fd is not open
 *   -ENOMEM      no memory for the table
 *   -EOWNERDEAD  this is a forked child
 *
 * Context: any.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API int seam_adopt(int fd);

/**
 * seam_release() - Make the runtime forget a descriptor, and keep it open.
 *
 * @fd: calls that wait on it return -ECANCELED
 *
 * Do this before handing a descriptor to code that will close it.
 *
 * Return: 0, or
 *   -EBADF       the runtime does not know @fd
 *   -EOWNERDEAD  this is a forked child
 *
 * Context: any.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API int seam_release(int fd);

#ifdef __cplusplus
}
#endif
