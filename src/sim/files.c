/* SPDX-License-Identifier: MIT */
/*
 * Descriptors are real ones: each call is made when it cannot block, and until then the thread waits.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/cast.h"
#include "sim/real.h"
#include "sim/sim.h"
#include "sim/times.h"

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): libc's names are not ours */

enum { NS_PER_MS = 1000000, PIPE_PAGE = 4096 };

static bool is_blocking(int fd)
{
    int flags = REAL(fcntl)(fd, F_GETFL);
    return flags >= 0 && (flags & O_NONBLOCK) == 0;
}

/* Wait until a call on fd would not block. False: interrupted, and errno says so. */
static bool await(int fd, short events)
{
    struct pollfd wanted = {.fd = fd, .events = events};
    while (REAL(poll)(&wanted, 1, 0) == 0) {
        if (sm_sim_block_files(&wanted, 1, INT64_MAX) != SM_SIM_INTERRUPTED) continue;
        errno = EINTR;
        return false;
    }
    return true;
}

static bool is_stream_socket(int fd)
{
    int type = 0;
    socklen_t len = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
}

static bool is_tcp(int fd)
{
    int protocol = 0;
    socklen_t len = sizeof protocol;
    return getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) == 0 && protocol == IPPROTO_TCP;
}

static bool is_pipe(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode);
}

/* Of what a pipe takes at once, of messages and of counters it is all or nothing, whatever happens. And
 * who does not wait for TCP may take less for all that there is, until the next edge. */
static bool may_be_short(int fd, size_t bytes, bool is_read, bool waits)
{
    if (is_stream_socket(fd)) return waits || !is_tcp(fd);
    return is_pipe(fd) && (is_read || (!waits && bytes > PIPE_BUF));
}

/* How much of it is to be moved. */
static size_t some_of(int fd, size_t bytes, bool is_read, bool waits)
{
    enum { SOME_MAX = 64 };
    if (bytes < 2 || !may_be_short(fd, bytes, is_read, waits)) return bytes;
    if (!sm_sim_has_fault(SEAM_SIM_FAULT_SHORT)) return bytes;
    return 1 + sm_sim_choose(bytes < SOME_MAX ? (unsigned)bytes : SOME_MAX, SM_SIM_FAULT);
}

/* Does the connection break now? Both ends see it. */
static bool is_reset(int fd)
{
    if (!is_stream_socket(fd) || !sm_sim_has_fault(SEAM_SIM_FAULT_RESET)) return false;
    /* It may listen, or not be connected. */
    if (sm_sim_network_shutdown(fd, SHUT_RDWR) < 0) return false;
    sm_sim_files_changed();
    errno = ECONNRESET;
    return true;
}

/* Into any call that has to do with descriptors. */
static void enter(void)
{
    sm_sim_step();
    (void)sm_sim_network_arrive();
}

static bool begin(int fd, short events, bool waits)
{
    enter();
    sm_sim_files_changed();
    if (is_reset(fd)) return false;
    return !waits || await(fd, events);
}

/* Those that wait for what we have changed may go on before us. */
static ssize_t end(ssize_t r)
{
    int error = errno;
    sm_sim_files_changed();
    sm_sim_step();
    errno = error;
    return r;
}

/* ---- reading ---- */

STANDS_IN ssize_t read(int fd, void *buf, size_t bytes)
{
    if (!sm_sim_is_simulated()) return REAL(read)(fd, buf, bytes);
    bool waits = is_blocking(fd);
    if (!begin(fd, POLLIN, waits)) return -1;
    return end(REAL(read)(fd, buf, some_of(fd, bytes, true, waits)));
}

STANDS_IN ssize_t readv(int fd, const struct iovec *parts, int count)
{
    if (!sm_sim_is_simulated()) return REAL(readv)(fd, parts, count);
    if (!begin(fd, POLLIN, is_blocking(fd))) return -1;
    return end(REAL(readv)(fd, parts, count));
}

STANDS_IN ssize_t preadv2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
    if (!sm_sim_is_simulated()) return REAL(preadv2)(fd, parts, count, offset, flags);
    bool waits = (flags & RWF_NOWAIT) == 0 && is_blocking(fd);
    if (!begin(fd, POLLIN, waits)) return -1;
    if (count != 1) return end(REAL(preadv2)(fd, parts, count, offset, flags));
    struct iovec part = {parts->iov_base, some_of(fd, parts->iov_len, true, waits)};
    return end(REAL(preadv2)(fd, &part, 1, offset, flags));
}

static bool waits_to_recv(int fd, int flags)
{
    return (flags & (MSG_DONTWAIT | MSG_ERRQUEUE)) == 0 && is_blocking(fd);
}

/* With MSG_WAITALL a call would block after the first byte: it goes on until it has all. */
static ssize_t recv_all(int fd, char *buf, size_t bytes, int flags)
{
    size_t got = 0;
    while (got < bytes) {
        if (!await(fd, POLLIN)) break;
        ssize_t r = REAL(recv)(fd, buf + got, bytes - got, flags & ~MSG_WAITALL);
        if (r <= 0) return got > 0 ? (ssize_t)got : r;
        got += (size_t)r;
    }
    return got > 0 ? (ssize_t)got : -1;
}

STANDS_IN ssize_t recv(int fd, void *buf, size_t bytes, int flags)
{
    if (!sm_sim_is_simulated()) return REAL(recv)(fd, buf, bytes, flags);
    bool waits = waits_to_recv(fd, flags);
    if (!begin(fd, POLLIN, waits)) return -1;
    if ((flags & MSG_WAITALL) != 0 && waits) return end(recv_all(fd, buf, bytes, flags));
    return end(REAL(recv)(fd, buf, some_of(fd, bytes, true, waits), flags));
}

STANDS_IN ssize_t recvfrom(int fd, void *restrict buf, size_t bytes, int flags,
        struct sockaddr *restrict out_address, socklen_t *restrict out_len)
{
    if (!sm_sim_is_simulated()) return REAL(recvfrom)(fd, buf, bytes, flags, out_address, out_len);
    if (!begin(fd, POLLIN, waits_to_recv(fd, flags))) return -1;
    return end(REAL(recvfrom)(fd, buf, bytes, flags, out_address, out_len));
}

STANDS_IN ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    if (!sm_sim_is_simulated()) return REAL(recvmsg)(fd, message, flags);
    if (!begin(fd, POLLIN, waits_to_recv(fd, flags))) return -1;
    return end(REAL(recvmsg)(fd, message, flags));
}

STANDS_IN int eventfd_read(int fd, eventfd_t *out_value)
{
    return read(fd, out_value, sizeof *out_value) == sizeof *out_value ? 0 : -1;
}

/* ---- writing ---- */

static ssize_t send_bytes(int fd, const void *buf, size_t bytes)
{
    struct iovec part = {.iov_base = sm_drop_const(buf), .iov_len = bytes};
    return sm_sim_network_send(fd, &(struct msghdr){.msg_iov = &part, .msg_iovlen = 1}, 0);
}

/* One write that cannot block, of what there is room for. */
static ssize_t write_some(int fd, const char *buf, size_t bytes)
{
    ssize_t r = send_bytes(fd, buf, bytes);
    if (r >= 0 || errno != ENOTSOCK) return r;
    return REAL(write)(fd, buf, bytes < PIPE_PAGE ? bytes : PIPE_PAGE);
}

static ssize_t write_all(int fd, const char *buf, size_t bytes)
{
    size_t done = 0;
    do {
        if (!await(fd, POLLOUT)) break;
        ssize_t r = write_some(fd, buf + done, bytes - done);
        if (r < 0 && errno == EAGAIN) {
            sm_sim_yield(); /* there is room, but too little */
            continue;
        }
        if (r < 0) return done > 0 ? (ssize_t)done : r;
        done += (size_t)r;
        sm_sim_files_changed();
    } while (done < bytes);
    return done > 0 || bytes == 0 ? (ssize_t)done : -1;
}

STANDS_IN ssize_t write(int fd, const void *buf, size_t bytes)
{
    if (!sm_sim_is_simulated()) return REAL(write)(fd, buf, bytes);
    enter();
    if (is_reset(fd)) return -1;
    bool waits = is_blocking(fd);
    bytes = some_of(fd, bytes, false, waits);
    if (waits) return end(write_all(fd, buf, bytes));
    return end(
            sm_sim_network_carries(fd) ? send_bytes(fd, buf, bytes) : REAL(write)(fd, buf, bytes));
}

STANDS_IN ssize_t writev(int fd, const struct iovec *parts, int count)
{
    if (!sm_sim_is_simulated()) return REAL(writev)(fd, parts, count);
    if (!begin(fd, POLLOUT, is_blocking(fd))) return -1;
    if (!sm_sim_network_carries(fd)) return end(REAL(writev)(fd, parts, count));
    const struct msghdr message = {
            .msg_iov = sm_drop_const(parts), .msg_iovlen = (size_t)(count > 0 ? count : 0)};
    return end(sm_sim_network_send(fd, &message, 0));
}

/* Of more than a pipe has room for, one that waits blocks everybody, as writev() does. */
STANDS_IN ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
    if (!sm_sim_is_simulated()) return REAL(pwritev2)(fd, parts, count, offset, flags);
    if (sm_sim_network_carries(fd)) return writev(fd, parts, count);
    bool waits = (flags & RWF_NOWAIT) == 0 && is_blocking(fd);
    if (!begin(fd, POLLOUT, waits)) return -1;
    if (count != 1) return end(REAL(pwritev2)(fd, parts, count, offset, flags));
    struct iovec part = {parts->iov_base, some_of(fd, parts->iov_len, false, waits)};
    return end(REAL(pwritev2)(fd, &part, 1, offset, flags));
}

static bool waits_to_send(int fd, int flags)
{
    return (flags & MSG_DONTWAIT) == 0 && is_blocking(fd);
}

/* What is sent is only looked at. */
static ssize_t send_message(int fd, const struct msghdr *message, int flags)
{
    if (is_reset(fd)) return -1;
    bool waits = waits_to_send(fd, flags);
    for (;;) {
        ssize_t r = sm_sim_network_send(fd, message, flags);
        if (r >= 0 || !waits || errno != EAGAIN) return end(r);
        if (!await(fd, POLLOUT)) return -1;
        sm_sim_yield();
    }
}

STANDS_IN ssize_t send(int fd, const void *buf, size_t bytes, int flags)
{
    if (!sm_sim_is_simulated()) return REAL(send)(fd, buf, bytes, flags);
    enter();
    bytes = some_of(fd, bytes, false, waits_to_send(fd, flags));
    struct iovec part = {.iov_base = sm_drop_const(buf), .iov_len = bytes};
    return send_message(fd, &(struct msghdr){.msg_iov = &part, .msg_iovlen = 1}, flags);
}

STANDS_IN ssize_t sendto(int fd, const void *buf, size_t bytes, int flags,
        const struct sockaddr *address, socklen_t len)
{
    if (!sm_sim_is_simulated()) return REAL(sendto)(fd, buf, bytes, flags, address, len);
    enter();
    struct iovec part = {.iov_base = sm_drop_const(buf), .iov_len = bytes};
    struct msghdr message = {.msg_name = sm_drop_const(address),
            .msg_namelen = len,
            .msg_iov = &part,
            .msg_iovlen = 1};
    return send_message(fd, &message, flags);
}

STANDS_IN ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (!sm_sim_is_simulated()) return REAL(sendmsg)(fd, message, flags);
    enter();
    return send_message(fd, message, flags);
}

STANDS_IN int eventfd_write(int fd, eventfd_t value)
{
    return write(fd, &value, sizeof value) == sizeof value ? 0 : -1;
}

/* ---- connections ---- */

STANDS_IN int accept4(
        int fd, struct sockaddr *restrict out_address, socklen_t *restrict out_len, int flags)
{
    if (!sm_sim_is_simulated()) return REAL(accept4)(fd, out_address, out_len, flags);
    enter();
    sm_sim_files_changed();
    if (is_blocking(fd) && !await(fd, POLLIN)) return -1;
    return (int)end(REAL(accept4)(fd, out_address, out_len, flags));
}

STANDS_IN int accept(int fd, struct sockaddr *restrict out_address, socklen_t *restrict out_len)
{
    if (!sm_sim_is_simulated()) return REAL(accept)(fd, out_address, out_len);
    return accept4(fd, out_address, out_len, 0);
}

STANDS_IN int connect(int fd, const struct sockaddr *address, socklen_t len)
{
    if (!sm_sim_is_simulated()) return REAL(connect)(fd, address, len);
    enter();
    return (int)end(REAL(connect)(fd, address, len));
}

STANDS_IN int shutdown(int fd, int how)
{
    if (!sm_sim_is_simulated()) return REAL(shutdown)(fd, how);
    enter();
    return (int)end(sm_sim_network_shutdown(fd, how));
}

STANDS_IN int close(int fd)
{
    if (!sm_sim_is_simulated()) return REAL(close)(fd);
    enter();
    sm_sim_timer_forget(fd);
    sm_sim_network_close(fd);
    return (int)end(REAL(close)(fd));
}

/* ---- waiting for several ---- */

static int poll_until(struct pollfd *fds, nfds_t count, int64_t deadline_ns)
{
    for (;;) {
        int r = REAL(poll)(fds, count, 0);
        if (r != 0 || deadline_ns <= sm_sim_now_ns()) return r;
        if (sm_sim_block_files(fds, (unsigned)count, deadline_ns) == SM_SIM_INTERRUPTED) {
            errno = EINTR;
            return -1;
        }
    }
}

static int64_t after_ms(int ms)
{
    return ms < 0 ? INT64_MAX : sm_sim_now_ns() + (int64_t)ms * NS_PER_MS;
}

STANDS_IN int poll(struct pollfd *fds, nfds_t count, int ms)
{
    if (!sm_sim_is_simulated()) return REAL(poll)(fds, count, ms);
    enter();
    return ms == 0 ? REAL(poll)(fds, count, 0) : poll_until(fds, count, after_ms(ms));
}

STANDS_IN int ppoll(
        struct pollfd *fds, nfds_t count, const struct timespec *wait, const sigset_t *mask)
{
    if (!sm_sim_is_simulated()) return REAL(ppoll)(fds, count, wait, mask);
    enter();
    return poll_until(fds, count, sm_sim_after(sm_sim_now_ns(), wait));
}

static int epoll_until(int epoll_fd, struct epoll_event *events, int max, int64_t deadline_ns)
{
    struct pollfd wanted = {.fd = epoll_fd, .events = POLLIN};
    for (;;) {
        int r = REAL(epoll_wait)(epoll_fd, events, max, 0);
        if (r != 0 || deadline_ns <= sm_sim_now_ns()) return r;
        if (sm_sim_block_files(&wanted, 1, deadline_ns) == SM_SIM_INTERRUPTED) {
            errno = EINTR;
            return -1;
        }
    }
}

STANDS_IN int epoll_wait(int epoll_fd, struct epoll_event *events, int max, int ms)
{
    if (!sm_sim_is_simulated()) return REAL(epoll_wait)(epoll_fd, events, max, ms);
    enter();
    if (ms == 0) return REAL(epoll_wait)(epoll_fd, events, max, 0);
    return epoll_until(epoll_fd, events, max, after_ms(ms));
}

STANDS_IN int epoll_pwait(
        int epoll_fd, struct epoll_event *events, int max, int ms, const sigset_t *mask)
{
    if (!sm_sim_is_simulated()) return REAL(epoll_pwait)(epoll_fd, events, max, ms, mask);
    return epoll_wait(epoll_fd, events, max, ms);
}

STANDS_IN int epoll_pwait2(int epoll_fd, struct epoll_event *events, int max,
        const struct timespec *wait, const sigset_t *mask)
{
    if (!sm_sim_is_simulated()) return REAL(epoll_pwait2)(epoll_fd, events, max, wait, mask);
    enter();
    return epoll_until(epoll_fd, events, max, sm_sim_after(sm_sim_now_ns(), wait));
}

STANDS_IN int epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event)
{
    if (!sm_sim_is_simulated()) return REAL(epoll_ctl)(epoll_fd, operation, fd, event);
    enter();
    if (operation == EPOLL_CTL_ADD) sm_sim_network_add_epoll(epoll_fd);
    return (int)end(REAL(epoll_ctl)(epoll_fd, operation, fd, event));
}

/* ---- timers that are descriptors; none repeats itself ---- */

STANDS_IN int timerfd_settime(
        int fd, int flags, const struct itimerspec *when, struct itimerspec *out_before)
{
    if (!sm_sim_is_simulated()) return REAL(timerfd_settime)(fd, flags, when, out_before);
    int64_t now_ns = sm_sim_now_ns();
    /* Silent until the simulation lets it go off. */
    int r = REAL(timerfd_settime)(fd, 0, &(struct itimerspec){}, out_before);
    if (r < 0) return (int)end(r);
    int64_t ns = sm_sim_timespec_ns(&when->it_value);
    if (ns == 0) {
        sm_sim_timer_forget(fd);
    } else {
        bool is_absolute = (flags & TFD_TIMER_ABSTIME) != 0;
        sm_sim_timer_set(fd, is_absolute ? ns : sm_sim_after(now_ns, &when->it_value));
    }
    return (int)end(0);
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
