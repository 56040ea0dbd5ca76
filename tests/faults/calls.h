/* SPDX-License-Identifier: MIT */
/*
 * calls.h - the system calls of the library that can fail, and what each may come to.
 *
 * The library under test is a copy of libseam.a in which each of these names has "fault_" in front
 * (symbols.txt): the stand-ins in calls.c count the library's own calls, not those of libc, of a
 * sanitizer or of the tests, and have one of them fail.
 *
 * Only what the kernel or libc can say is listed, or a failure would prove nothing. Left out:
 *
 *   timerfd_settime, sigaction, pthread_sigmask, epoll_ctl DEL    fail for bad arguments only
 *   connect, bind: EINTR                the sockets are our own, and not blocking: they never wait
 *   sigtimedwait: EINTR                 it does not wait either
 *   reads and writes of an eventfd      are never interrupted, and are short for bad arguments only
 *   short reads and writes of TCP       mean that there is no more: an edge follows (net/stream.c)
 *   membarrier: ENOSYS                  fails for ever; then nobody is overtaken, as documented
 */
#pragma once

#include <errno.h>

/* The first half of what was asked for, or at least one byte. Not an error of Linux's. */
enum { FAULT_SHORT = 10000 };

/* name, errors */
#define FAULT_CALLS(X) \
    X(malloc, ENOMEM) \
    X(calloc, ENOMEM) \
    X(aligned_alloc, ENOMEM) \
    X(mmap, ENOMEM) \
    X(madvise, EINVAL, ENOMEM) \
    X(mprotect, ENOMEM) \
    X(access, ENOMEM) \
    X(pthread_create, EAGAIN) \
    X(pthread_key_create, EAGAIN) \
    X(pthread_setspecific, ENOMEM) \
    X(pthread_atfork, ENOMEM) \
    X(atexit, ENOMEM) \
    X(sched_getaffinity, EINVAL) \
    X(sigaltstack, ENOMEM) \
    X(nanosleep, EINTR) \
    X(futex, EINTR) \
    X(membarrier, ENOMEM) \
    X(eventfd, EMFILE, ENFILE, ENOMEM) \
    X(epoll_create1, EMFILE, ENFILE, ENOMEM) \
    X(timerfd_create, EMFILE, ENFILE, ENOMEM) \
    X(epoll_ctl, ENOMEM, ENOSPC) \
    X(epoll_wait, EINTR) \
    X(epoll_pwait2, EINTR, ENOSYS, EPERM) \
    X(poll, EINTR, ENOMEM) \
    X(ppoll, EINTR, ENOMEM) \
    X(open, EMFILE, ENFILE, ENOMEM, EINTR) \
    X(fcntl, EMFILE) \
    X(fstat, ENOMEM) \
    X(close, EINTR, EIO) \
    X(read, EINTR, EIO, FAULT_SHORT) \
    X(pread, EINTR, ENOMEM, FAULT_SHORT) \
    X(write, EINTR, EIO, FAULT_SHORT) \
    X(preadv2, EINTR, EIO, EOPNOTSUPP, FAULT_SHORT) \
    X(pwritev2, EINTR, EIO, EOPNOTSUPP, FAULT_SHORT) \
    X(recv, EINTR, ENOMEM, ECONNRESET, FAULT_SHORT) \
    X(send, EINTR, ENOBUFS, ECONNRESET, FAULT_SHORT) \
    X(socket, EMFILE, ENFILE, ENOBUFS) \
    X(bind, EADDRINUSE, ENOMEM) \
    X(listen, EADDRINUSE) \
    X(accept4, EINTR, ECONNABORTED, EMFILE, ENFILE, ENOBUFS) \
    X(connect, ECONNREFUSED, ENETUNREACH, ENOMEM) \
    X(getsockopt, ENOBUFS) \
    X(setsockopt, ENOMEM) \
    X(shutdown, ENOTCONN)

enum fault_call {
#define X(name, ...) CALL_##name,
    FAULT_CALLS(X)
#undef X
            FAULT_CALL_COUNT
};

/* A call of this kind is about to be made. 0: let it; else what it comes to. */
int fault_turn(enum fault_call call);
