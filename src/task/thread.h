/* SPDX-License-Identifier: MIT */
/*
 * task/thread.h - a thread as the runtime sees it, and the gate between user code and the runtime.
 *
 * A thread that runs tasks holds a worker's role. While user code runs, the thread is outside, and
 * the role may be taken from it (sched/monitor.c): that is how a blocked thread stops nobody. Every
 * entry into the runtime therefore announces itself first and looks second; the taker does the
 * opposite and pays for the fence between the two:
 *
 *     the thread, entering               the taker
 *     inside = 1                         holder = SM_ROLE_CONTESTED
 *     (compiler barrier)                 membarrier: a fence in every thread
 *     holder == me?                      inside == 0?
 *
 * At least one of them sees the other. If the taker sees the thread inside, it gives the role back;
 * a thread that sees the role contested waits for the outcome, which is a few microseconds away.
 *
 * sm_thread_self() is the only access to our thread-local (sm_thread_current): a task may continue on another thread,
 * and a compiler must not keep an address across the switch.
 */
#pragma once

#include <stdbool.h>
#include <time.h>

#include "arch/context.h"
#include "base/atomic.h"
#include "os/os.h"
#include "os/spin.h"
#include "task/party.h"
#include "task/runner.h"

struct sm_thread;

/* Who may touch what only a worker's own thread may touch. The first member of struct sm_worker. */
struct sm_role {
    _Atomic(struct sm_thread *) holder; /* NULL: nobody; or one of those below */
    struct sm_task *headers;            /* free task headers, at hand without a lock; holder only */
    uint32_t header_count;
};

/* A taker is finding out whether the holder is inside. */
#define SM_ROLE_CONTESTED ((struct sm_thread *)(void *)1)

/* The holder has ended, and there was no thread to take its place: for the monitor to give away, or
 * for a thread that comes back to it. Not of a role that callers drive. */
#define SM_ROLE_ORPHAN ((struct sm_thread *)(void *)2)

/* What a pool thread holds while it runs a job, and gives back while the job waits (cross/pool.h).
 * Its own thread only; never suspends. */
struct sm_slot {
    void (*lend)(struct sm_slot *slot);
    void (*reclaim)(struct sm_slot *slot);
};

struct sm_thread {
    struct sm_party party;     /* for its waits as a plain thread */
    struct sm_task *task;      /* running here; NULL: plain code, or the scheduler */
    struct sm_role *role;      /* held, unless it has been taken; NULL: none */
    _Atomic(uint32_t) inside;  /* written by the thread only; takers read it */
    struct sm_context own;     /* its own stack, while a task runs */
    struct sm_context *native; /* where its scheduler's loop is: own, or a task that drives */
    sm_after_fn *after;        /* what the next context does first */
    void *after_arg;
    struct seam_runtime *pool_of; /* the runtime whose job it runs; NULL: none */
    struct sm_slot *slot;         /* of a pool thread; NULL: none */
    uint8_t stack_credits[4]; /* by class: stacks promised to it, for tasks it spawns elsewhere */
    bool has_alt_stack;       /* ours, for the handler that reports stack overflows */
    int event_fd;             /* for waits on descriptors; -1 until first needed */
    const char *reason;       /* while it waits as a plain thread: why */
    struct sm_list driving;   /* place among those who would drive a runtime; under its lock */
    struct seam_runtime *drives; /* of a waiting thread: whose tasks it runs meanwhile */
    _Atomic(int) tid; /* these two are read by the monitor, perhaps after the thread has ended */
    _Atomic(int) cpu_clock;
    struct sm_spin spin;       /* of its waits as a plain thread */
    struct sm_list link;       /* spares */
    struct sm_role *last_role; /* of a spare; under the runtime's lock */
    struct seam_runtime
            *serves;        /* whose roles it holds by profession; NULL: somebody else's thread */
    _Atomic(uint32_t) life; /* one more with each thread that has used this record */
    _Atomic(uint32_t) bound_count; /* tasks that are bound to it; sched/bound.h */
    _Atomic(uint32_t) signal;      /* futex of a spare */
    /* seam_blocking_begin(): the tick of the role, plus one; it holds while that does not move.
     * Written by the thread, a hint for the monitor. */
    _Atomic(uint64_t) mark;
    uint32_t mark_depth; /* the thread's alone */
    struct sm_thread *next_free;
    /* How often it came back to a role that had been taken. Written by the thread only. Who takes a
     * role reads it before (the thread cannot come back meanwhile): while it has not moved, the
     * thread is astray. */
    _Atomic(uint32_t) returns;
};

/* The thread runs no tasks any more: those that are bound to it will have to go on elsewhere. */
static inline void sm_thread_end_life(struct sm_thread *thread)
{
    /* release: pairs with the acquire in is_forsaken() (sched/bound.c). */
    sm_store_release(
            &thread->life, sm_load_relaxed(&thread->life) + 1); /* relaxed: only we write it */
}

/* Make a record for the calling thread. Without memory for it the program is stopped. */
SM_COLD struct sm_thread *sm_thread_enrol(void);

/* Start a thread of ours, for which there is a record: it calls sm_thread_begin() before all else that
 * asks for one, and sm_thread_end() last. -ENOMEM, or what sm_os.thread_start() says. Any thread; never
 * suspends. */
int sm_thread_start(pthread_t *out_thread, void *(*run)(void *), void *arg);
struct sm_thread *sm_thread_begin(void);
void sm_thread_end(void);

/*
 * The calling thread's record, made when first asked for. Any thread; never suspends. Good until
 * the next switch.
 *
 * On x86-64 this is two loads that the compiler can neither keep nor share: it does not know what
 * they read. Elsewhere it is a call.
 */
#if defined(__x86_64__)
static inline struct sm_thread *sm_thread_self(void)
{
    struct sm_thread *thread;
    __asm__ volatile("movq sm_thread_current@gottpoff(%%rip), %0\n\tmovq %%fs:(%0), %0"
                     : "=r"(thread));
    return sm_likely(thread != NULL) ? thread : sm_thread_enrol();
}
#else
SM_NOINLINE struct sm_thread *sm_thread_self(void);
#endif

/* The same, or NULL where there is none yet. Async-signal-safe. */
SM_NOINLINE struct sm_thread *sm_thread_self_if_known(void);

/* Make thread's poll() on its event descriptor return. Any thread. */
void sm_thread_poke(struct sm_thread *thread);

/* Have stack overflows of the tasks that thread runs reported. The calling thread, on its own stack. */
void sm_thread_prepare_to_run(struct sm_thread *thread);

/* The event descriptor of the calling thread; negative errno. */
int sm_thread_event_fd(struct sm_thread *thread);

/* The rest of sm_enter(), when the role is contested or gone. */
SM_COLD struct sm_thread *sm_enter_slow(struct sm_thread *thread);

/*
 * Enter the runtime: to be called first by every public function that touches what belongs to a
 * role or that may wait. NULL in a forked child: return -EOWNERDEAD and do not leave.
 */
static inline struct sm_thread *sm_enter(void)
{
    if (sm_unlikely(sm_os_is_forked_child())) return NULL;

    struct sm_thread *thread = sm_thread_self();
    /* relaxed: the order against the load below is the compiler barrier's and the taker's
     * membarrier's business; see above. */
    sm_store_relaxed(&thread->inside, 1);
    sm_compiler_barrier();
    if (thread->task == NULL) return thread;
    /* acquire: pairs with the release in act() (sched/monitor.c). A taker that has given the role back
     * has read what we write now. */
    if (sm_likely(sm_load_acquire(&thread->role->holder) == thread)) return thread;
    return sm_enter_slow(thread);
}

/* Leave the runtime; the last thing a public function does. */
static inline void sm_leave(void)
{
    /* release: pairs with the acquire in sm_role_take() (sched/monitor.c). It carries everything
     * that this thread did with the role. */
    sm_store_release(&sm_thread_self()->inside, 0);
}
