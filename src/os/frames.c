/* SPDX-License-Identifier: MIT */
#include "os/frames.h"

#include <errno.h>
#include <execinfo.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/atomic.h"
#include "os/lock.h"
#include "os/os.h"

enum { YIELDS = 50, NAPS = 100, OWN_FRAMES = 2 /* the handler, and how it returns */ };

/*
 *   NOBODY ---> ASKED ---> ANSWERING ---> ANSWERED ---> NOBODY
 *
 *   from       to         by
 *   NOBODY     ASKED      who asks
 *   ASKED      ANSWERING  the handler, in the thread that is asked
 *   ASKED      NOBODY     who asks, and has given up; or who asks next: see below
 *   ANSWERING  ANSWERED   the handler
 *   ANSWERING  ASKED      the handler, in a thread that was not meant
 *   ANSWERED   NOBODY     who asks
 */
enum { NOBODY, ASKED, ANSWERING, ANSWERED };

struct sm_lock sm_os_urgent_lock; /* also one asks at a time */
static _Atomic(uint32_t) state;

/* The asker's, and the handler's while it is ANSWERING. */
static struct {
    int tid;
    const void *(*whose)(void);
    struct sm_frames frames;
} question;

static void answer(int signal)
{
    (void)signal;
    int kept = errno;
    uint32_t asked = ASKED;
    /* acq_rel: pairs with the release in ask(). It carries the question. */
    if (sm_cas_acq_rel(&state, &asked, ANSWERING)) {
        bool is_us = question.tid == sm_os_thread_id();
        if (is_us) {
            struct sm_frames *frames = &question.frames;
            int max = sizeof frames->addresses / sizeof frames->addresses[0];
            frames->count = backtrace(frames->addresses, max);
            frames->whose = question.whose != NULL ? question.whose() : NULL;
        }
        /* release: pairs with the acquire in wait_for_answer(). It carries the frames. */
        sm_store_release(&state, is_us ? ANSWERED : ASKED);
    }
    errno = kept;
}

static bool wait_for_answer(void)
{
    for (int i = 0; i < YIELDS + NAPS; i++) {
        /* acquire: pairs with the release in answer(). It carries the frames. */
        if (sm_load_acquire(&state) == ANSWERED) return true;
        if (i < YIELDS) {
            (void)sched_yield();
        } else {
            sm_os_nap();
        }
    }
    return false;
}

/* Under the lock, our handler in place. */
static bool ask(int tid, const void *(*whose)(void))
{
    /* A thread that was not meant may have put back what was given up meanwhile.
     * acq_rel: pairs with the CAS in answer(): it comes too late. */
    uint32_t stale = ASKED;
    (void)sm_cas_acq_rel(&state, &stale, NOBODY);
    /* acquire: pairs with the release in answer(): somebody may have been stopped in the middle. */
    if (sm_load_acquire(&state) == ANSWERING) return false;
    question.tid = tid;
    question.whose = whose;
    /* release: pairs with the acquire in answer(). It carries the question. */
    sm_store_release(&state, ASKED);
    if (syscall(SYS_tgkill, getpid(), tid, SIGURG) == 0 && wait_for_answer()) return true;
    uint32_t asked = ASKED;
    /* acq_rel: pairs with the CAS in answer(): it comes too late. */
    (void)sm_cas_acq_rel(&state, &asked, NOBODY);
    return false;
}

bool sm_os_thread_frames(int tid, const void *(*whose)(void), struct sm_frames *out_frames)
{
    /* The first call allocates: not in a handler. */
    void *address = NULL;
    (void)backtrace(&address, 1);

    sm_lock(&sm_os_urgent_lock);
    struct sigaction before = {};
    struct sigaction ours = {.sa_handler = answer, .sa_flags = SA_RESTART | SA_ONSTACK};
    bool is_answered = false;
    bool is_free = sigaction(SIGURG, NULL, &before) == 0 && (before.sa_flags & SA_SIGINFO) == 0
            && (before.sa_handler == SIG_DFL || before.sa_handler == SIG_IGN
                    || before.sa_handler == sm_os_interrupted);
    if (is_free && sigaction(SIGURG, &ours, NULL) == 0) {
        is_answered = ask(tid, whose);
        if (is_answered) *out_frames = question.frames;
        (void)sigaction(SIGURG, &before, NULL);
    }
    sm_unlock(&sm_os_urgent_lock);
    if (!is_answered) return false;

    int skipped = out_frames->count < OWN_FRAMES ? out_frames->count : OWN_FRAMES;
    out_frames->count -= skipped;
    for (int i = 0; i < out_frames->count; i++) {
        out_frames->addresses[i] = out_frames->addresses[i + skipped];
    }
    return true;
}
