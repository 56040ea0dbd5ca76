/* SPDX-License-Identifier: MIT */
/*
 * os/frames.h - where another thread of this process is.
 *
 * The thread is asked by a signal, SIGURG: nobody is hurt by one that comes late, since it is ignored
 * where it is not handled. Our handler is there only while somebody asks, and not at all if the
 * program has one. It stands
 * in for the one that interrupts jobs (os/os.h), which then come to know a moment later. A system call that the thread sits in is restarted; those that are never restarted
 * (signal(7)) fail with EINTR. So this is for reports on what is stuck, and nothing else.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "os/lock.h"

/* Held by whoever changes the handler of SIGURG, until it is back. */
extern struct sm_lock sm_os_urgent_lock;

struct sm_frames {
    const void *whose; /* what whose() returned there */
    int count;
    void *addresses[64]; /* innermost first */
};

/* Ask the thread; whose() runs in its signal handler, may be NULL. False, after some 100 ms, where
 * there is no answer: SIGURG is in use, the thread has ended or gets no CPU. Any thread,
 * not in a task; several take turns. */
bool sm_os_thread_frames(int tid, const void *(*whose)(void), struct sm_frames *out_frames);
