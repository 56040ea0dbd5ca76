/* SPDX-License-Identifier: MIT */
#include "calls.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/atomic.h"

/* True, with errno set, if the call is to fail now. */
static bool fails(enum fault_call call)
{
    int error = fault_turn(call);
    if (error != 0) errno = error;
    return error != 0;
}

/* How much of bytes is to be moved; 0, with errno set, if the call is to fail now. */
static size_t share(enum fault_call call, size_t bytes)
{
    int error = fault_turn(call);
    if (error == 0) return bytes;
    if (error == FAULT_SHORT) return bytes > 1 ? bytes / 2 : bytes;
    errno = error;
    return 0;
}

/* The library calls these instead; nobody else does, so there is no header for them. */
#define STAND_IN(result, name, ...) \
    result fault_##name(__VA_ARGS__); \
    result fault_##name(__VA_ARGS__)

/* ---- memory and threads ---- */

STAND_IN(void *, malloc, size_t bytes)
{
    return fails(CALL_malloc) ? NULL : malloc(bytes);
}

STAND_IN(void *, calloc, size_t count, size_t bytes)
{
    return fails(CALL_calloc) ? NULL : calloc(count, bytes);
}

STAND_IN(void *, aligned_alloc, size_t alignment, size_t bytes)
{
    return fails(CALL_aligned_alloc) ? NULL : aligned_alloc(alignment, bytes);
}

STAND_IN(void *, mmap, void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    return fails(CALL_mmap) ? MAP_FAILED : mmap(at, bytes, protection, flags, fd, offset);
}

STAND_IN(int, madvise, void *at, size_t bytes, int advice)
{
    return fails(CALL_madvise) ? -1 : madvise(at, bytes, advice);
}

STAND_IN(int, mprotect, void *at, size_t bytes, int protection)
{
    return fails(CALL_mprotect) ? -1 : mprotect(at, bytes, protection);
}

STAND_IN(int, access, const char *path, int mode)
{
    return fails(CALL_access) ? -1 : access(path, mode);
}

STAND_IN(int, pthread_create, pthread_t *out_thread, const pthread_attr_t *attributes,
        void *(*run)(void *), void *arg)
{
    int error = fault_turn(CALL_pthread_create);
    return error != 0 ? error : pthread_create(out_thread, attributes, run, arg);
}

STAND_IN(int, pthread_key_create, pthread_key_t *out_key, void (*destroy)(void *))
{
    int error = fault_turn(CALL_pthread_key_create);
    return error != 0 ? error : pthread_key_create(out_key, destroy);
}

STAND_IN(int, pthread_setspecific, pthread_key_t key, const void *value)
{
    int error = value != NULL ? fault_turn(CALL_pthread_setspecific) : 0; /* NULL needs no memory */
    return error != 0 ? error : pthread_setspecific(key, value);
}

STAND_IN(int, pthread_atfork, void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
    int error = fault_turn(CALL_pthread_atfork);
    return error != 0 ? error : pthread_atfork(prepare, parent, child);
}

STAND_IN(int, atexit, void (*run)(void))
{
    return fails(CALL_atexit) ? -1 : atexit(run);
}

STAND_IN(int, sched_getaffinity, pid_t pid, size_t bytes, cpu_set_t *set)
{
    return fails(CALL_sched_getaffinity) ? -1 : sched_getaffinity(pid, bytes, set);
}

STAND_IN(int, sigaltstack, const stack_t *stack, stack_t *out_before)
{
    return fails(CALL_sigaltstack) ? -1 : sigaltstack(stack, out_before);
}

/* ---- waiting ---- */

STAND_IN(int, nanosleep, const struct timespec *time, struct timespec *out_left)
{
    return fails(CALL_nanosleep) ? -1 : nanosleep(time, out_left);
}

static bool is_futex_wait(long operation)
{
    long command = operation & FUTEX_CMD_MASK;
    return command == FUTEX_WAIT || command == FUTEX_WAIT_BITSET;
}

STAND_IN(long, syscall, long number, ...)
{
    va_list list;
    va_start(list, number);
    long words[6];
    for (int i = 0; i < 6; i++) {
        words[i] = va_arg(list, long);
    }
    va_end(list);
    if (number == SYS_futex && is_futex_wait((int)words[1]) && fails(CALL_futex)) return -1;
    if (number == SYS_membarrier && fails(CALL_membarrier)) return -1;
    return syscall(number, words[0], words[1], words[2], words[3], words[4], words[5]);
}

STAND_IN(int, poll, struct pollfd *fds, nfds_t count, int limit_ms)
{
    return fails(CALL_poll) ? -1 : poll(fds, count, limit_ms);
}

STAND_IN(int, ppoll, struct pollfd *fds, nfds_t count, const struct timespec *limit,
        const sigset_t *signals)
{
    return fails(CALL_ppoll) ? -1 : ppoll(fds, count, limit, signals);
}

STAND_IN(int, epoll_create1, int flags)
{
    return fails(CALL_epoll_create1) ? -1 : epoll_create1(flags);
}

STAND_IN(int, epoll_ctl, int epoll_fd, int operation, int fd, struct epoll_event *event)
{
    if (operation == EPOLL_CTL_ADD && fails(CALL_epoll_ctl)) return -1;
    return epoll_ctl(epoll_fd, operation, fd, event);
}

STAND_IN(int, epoll_wait, int epoll_fd, struct epoll_event *events, int max, int limit_ms)
{
    return fails(CALL_epoll_wait) ? -1 : epoll_wait(epoll_fd, events, max, limit_ms);
}

STAND_IN(int, epoll_pwait2, int epoll_fd, struct epoll_event *events, int max,
        const struct timespec *limit, const sigset_t *signals)
{
    if (fails(CALL_epoll_pwait2)) return -1;
    return epoll_pwait2(epoll_fd, events, max, limit, signals);
}

/* ---- descriptors ---- */

/* Which of the library's descriptors are eventfds. Relaxed: who knows a number has been told of it. */
enum { FDS_MAX = 1024 };
static _Atomic(bool) is_event[FDS_MAX];

static bool is_eventfd(int fd)
{
    return fd >= 0 && fd < FDS_MAX && sm_load_relaxed(&is_event[fd]);
}

STAND_IN(int, eventfd, unsigned count, int flags)
{
    int fd = fails(CALL_eventfd) ? -1 : eventfd(count, flags);
    if (fd >= 0 && fd < FDS_MAX) sm_store_relaxed(&is_event[fd], true);
    return fd;
}

STAND_IN(int, timerfd_create, int clock, int flags)
{
    return fails(CALL_timerfd_create) ? -1 : timerfd_create((clockid_t)clock, flags);
}

STAND_IN(int, open, const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    unsigned mode = va_arg(list, unsigned);
    va_end(list);
    return fails(CALL_open) ? -1 : open(path, flags, mode);
}

STAND_IN(int, fcntl, int fd, int command, ...)
{
    va_list list;
    va_start(list, command);
    long argument = va_arg(list, long);
    va_end(list);
    if (command == F_DUPFD_CLOEXEC && fails(CALL_fcntl)) return -1;
    return fcntl(fd, command, argument);
}

STAND_IN(int, fstat, int fd, struct stat *out_status)
{
    return fails(CALL_fstat) ? -1 : fstat(fd, out_status);
}

/* On Linux it is closed whatever is returned. */
STAND_IN(int, close, int fd)
{
    if (fd >= 0 && fd < FDS_MAX) sm_store_relaxed(&is_event[fd], false);
    int error = fault_turn(CALL_close);
    int r = close(fd);
    if (error == 0) return r;
    errno = error;
    return -1;
}

STAND_IN(ssize_t, read, int fd, void *buf, size_t bytes)
{
    size_t moved = is_eventfd(fd) ? bytes : share(CALL_read, bytes);
    return moved > 0 ? read(fd, buf, moved) : -1;
}

STAND_IN(ssize_t, pread, int fd, void *buf, size_t bytes, off_t offset)
{
    size_t moved = share(CALL_pread, bytes);
    return moved > 0 ? pread(fd, buf, moved, offset) : -1;
}

STAND_IN(ssize_t, write, int fd, const void *buf, size_t bytes)
{
    size_t moved = is_eventfd(fd) ? bytes : share(CALL_write, bytes);
    return moved > 0 ? write(fd, buf, moved) : -1;
}

/* Flags may be refused, and nothing else. The library has one piece. */
static size_t share_of_piece(enum fault_call call, const struct iovec *piece, int flags)
{
    size_t moved = share(call, piece->iov_len);
    return moved == 0 && errno == EOPNOTSUPP && flags == 0 ? piece->iov_len : moved;
}

STAND_IN(ssize_t, preadv2, int fd, const struct iovec *pieces, int count, off_t offset, int flags)
{
    struct iovec piece = {pieces->iov_base, share_of_piece(CALL_preadv2, pieces, flags)};
    return piece.iov_len > 0 ? preadv2(fd, &piece, count, offset, flags) : -1;
}

STAND_IN(ssize_t, pwritev2, int fd, const struct iovec *pieces, int count, off_t offset, int flags)
{
    struct iovec piece = {pieces->iov_base, share_of_piece(CALL_pwritev2, pieces, flags)};
    return piece.iov_len > 0 ? pwritev2(fd, &piece, count, offset, flags) : -1;
}

/* ---- sockets ---- */

static bool is_tcp(int fd)
{
    int protocol = 0;
    socklen_t len = sizeof protocol;
    return getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) == 0 && protocol == IPPROTO_TCP;
}

static size_t share_of_socket(enum fault_call call, int fd, size_t bytes)
{
    size_t moved = share(call, bytes);
    return moved > 0 && is_tcp(fd) ? bytes : moved;
}

STAND_IN(ssize_t, recv, int fd, void *buf, size_t bytes, int flags)
{
    size_t moved = share_of_socket(CALL_recv, fd, bytes);
    return moved > 0 ? recv(fd, buf, moved, flags) : -1;
}

STAND_IN(ssize_t, send, int fd, const void *buf, size_t bytes, int flags)
{
    size_t moved = share_of_socket(CALL_send, fd, bytes);
    return moved > 0 ? send(fd, buf, moved, flags) : -1;
}

STAND_IN(int, socket, int family, int type, int protocol)
{
    return fails(CALL_socket) ? -1 : socket(family, type, protocol);
}

STAND_IN(int, bind, int fd, const struct sockaddr *address, socklen_t len)
{
    return fails(CALL_bind) ? -1 : bind(fd, address, len);
}

STAND_IN(int, listen, int fd, int backlog)
{
    return fails(CALL_listen) ? -1 : listen(fd, backlog);
}

STAND_IN(int, accept4, int fd, struct sockaddr *out_address, socklen_t *inout_len, int flags)
{
    return fails(CALL_accept4) ? -1 : accept4(fd, out_address, inout_len, flags);
}

STAND_IN(int, connect, int fd, const struct sockaddr *address, socklen_t len)
{
    return fails(CALL_connect) ? -1 : connect(fd, address, len);
}

STAND_IN(int, getsockopt, int fd, int level, int option, void *out_value, socklen_t *inout_len)
{
    return fails(CALL_getsockopt) ? -1 : getsockopt(fd, level, option, out_value, inout_len);
}

STAND_IN(int, setsockopt, int fd, int level, int option, const void *value, socklen_t len)
{
    return fails(CALL_setsockopt) ? -1 : setsockopt(fd, level, option, value, len);
}

STAND_IN(int, shutdown, int fd, int how)
{
    return fails(CALL_shutdown) ? -1 : shutdown(fd, how);
}
