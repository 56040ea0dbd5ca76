/* SPDX-License-Identifier: MIT */
/*
 * os/os.h - everything the runtime asks of the system and that tests must be able to replace.
 *
 * The calls below go through one table, sm_os, which holds the real system unless a test puts
 * something else there: a clock that stands still, memory that is refused, a thread that cannot be
 * started. The table is written only while no runtime exists.
 *
 * All of these return >= 0, or a negative errno; none touches the caller's errno meaning.
 */
#pragma once

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"

struct sm_os {
    /* Nanoseconds on the monotonic clock; > 0. Any thread, also in signal handlers. */
    int64_t (*now_ns)(void);
    /* Zeroed pages, or NULL. */
    void *(*map)(size_t bytes);
    void (*unmap)(void *memory, size_t bytes);
    /* Start a thread with every signal blocked that a program may want for itself. */
    int (*thread_start)(pthread_t *out_thread, void *(*run)(void *), void *arg);
    /* Sleep while *word == expected, until woken, deadline_ns (INT64_MAX: none) or no reason.
     * 0 or -ETIMEDOUT; a return of 0 says nothing about *word. */
    int (*futex_wait)(_Atomic(uint32_t) *word, uint32_t expected, int64_t deadline_ns);
    void (*futex_wake)(_Atomic(uint32_t) *word, int count);
    /* poll() with an absolute deadline: the number ready, 0 when interrupted, or -ETIMEDOUT. */
    int (*poll)(struct pollfd *fds, unsigned count, int64_t deadline_ns);
};

extern struct sm_os sm_os;

static inline int64_t sm_now_ns(void)
{
    return sm_os.now_ns();
}

/* The same clock as of the kernel's last tick, some milliseconds ago, for a fifth of the price; exact
 * where a test has replaced the clock. */
int64_t sm_os_coarse_ns(void);

/* CPUs this process may use at once: affinity and cgroup quota; at least 1. */
unsigned sm_os_cpu_count(void);

/* Show name (15 characters are kept) for the calling thread. */
void sm_os_thread_name(const char *name);

/* Make the memory effects of all running threads of this process visible, as if each had executed
 * a full fence. False if the kernel refuses: then roles cannot be taken (sched/worker.h). */
bool sm_os_membarrier(void);
void sm_os_membarrier_prepare(void);

/* Is this a child forked from the process that used the library first? The byte lies in a page that
 * the kernel wipes in the child; before sm_os_mark_parent() the answer is no. */
extern const volatile unsigned char *_Atomic sm_os_parent_mark;
void sm_os_mark_parent(void);

/* Has sm_os_mark_parent() done its work? For paths on which a call is too much. */
extern _Atomic(bool) sm_os_is_parent_marked;
static inline bool sm_os_is_forked_child(void)
{
    /* acquire: pairs with the release in mark_parent_once() (os/os.c). It carries the mark. */
    return *sm_load_acquire(&sm_os_parent_mark) == 0;
}

/* Let others run for about a millisecond, of real time whatever the clock. */
void sm_os_nap(void);
/*
 * A system call of another thread can be made to return EINTR: by SIGURG, which is harmless where
 * nobody handles it. Preparing installs a handler, if the program has none of its own: it does
 * nothing.
 */
void sm_os_interrupt_prepare(void);
void sm_os_interrupt(int thread_id);
void sm_os_interrupted(int signo);

/* What the calling thread has used of the CPU, as another thread may ask. */
int sm_os_thread_cpu_clock(pthread_t thread, clockid_t *out_clock);
int64_t sm_os_clock_ns(clockid_t clock);

/* Is the thread on a CPU, or waiting for one? True also if the system does not say. */
bool sm_os_thread_is_runnable(int tid);

/* The same for who asks often, and may not need a descriptor for each time: one to ask with, to be
 * closed; negative errno. Asking says 1, 0, or a negative errno if the thread has ended. */
int sm_os_thread_state_open(int tid);
int sm_os_thread_state_is_runnable(int state_fd);
int sm_os_thread_id(void);

/* The system call that a thread waits in. False if it is in none, or the system does not say. */
struct sm_os_syscall {
    int32_t number;
    uint64_t sp;
    uint64_t pc;
};
bool sm_os_thread_syscall(int tid, struct sm_os_syscall *out_call);
