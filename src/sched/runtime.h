/* SPDX-License-Identifier: MIT */
/*
 * sched/runtime.h - the runtime: workers, the threads that hold their roles, and its end.
 *
 * The life of a runtime
 *
 *     OPEN ----> STOPPING ----> STOPPED
 *
 *   from       to         by                    who
 *   OPEN       STOPPING   sm_runtime_refuse()   the first to stop it: nothing is spawned any more
 *   STOPPING   STOPPED    sm_runtime_end()      whoever has seen the root scope empty: the threads
 *                                               have ended, the memory stays until it is freed
 *
 * Threads: each worker's role begins with a thread of its own, but for the first worker's of a
 * runtime that is driven: seam_run(), and current-thread. A thread whose role is taken comes back
 * as a spare and waits to be given another; one with bound tasks, to be given the same again
 * (sched/bound.h). Threads end only with the runtime, unless a task ends its
 * thread (sched/lost.h); their number is bounded by the workers plus SM_SPARES_MAX.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "seam/runtime.h"
#include "seam/sync.h"

#include "os/lock.h"
#include "sched/worker.h"
#include "task/scope.h"

enum { SM_WORKERS_MAX = 1024, SM_SPARES_MAX = 64, SM_IDLE_WORDS = SM_WORKERS_MAX / 64 };

enum sm_runtime_state { SM_RUNTIME_OPEN, SM_RUNTIME_STOPPING, SM_RUNTIME_STOPPED };

/* What sm_thread.signal says to a spare. */
enum { SM_SIGNAL_NONE, SM_SIGNAL_ROLE, SM_SIGNAL_END };

enum { SM_TID_NONE = -1 };

struct sm_pool;

#define SM_PERIOD_DEFAULT_NS ((int64_t)250 * 1000)
#define SM_PERIOD_MIN_NS     ((int64_t)50 * 1000)
#define SM_PERIOD_MAX_NS     ((int64_t)1000 * 1000 * 1000)

struct sm_monitor {
    pthread_t thread;
    bool is_wanted;
    bool is_quiet; /* no lines on stderr */
    int64_t period_ns;
    seam_incident_fn *on_incident;
    void *incident_arg;
    _Atomic(uint64_t) counts[SEAM_INCIDENT_NO_THREAD + 1]; /* incidents of each kind */
    bool has_thread;          /* under the runtime's lock once others know it */
    struct watch *watch;      /* its notes; see sched/monitor.c */
    _Atomic(uint32_t) signal; /* futex */
    _Atomic(uint32_t) sleeps; /* until a worker wakes up */
};

/* What the workers are asked; see sched/inspect.h. */
struct sm_inspection {
    struct sm_lock lock;      /* the rest, and while a worker answers */
    sm_scope_visit_fn *visit; /* NULL: nothing any more */
    void *arg;
};

struct seam_runtime {
    struct seam_scope root;
    struct sm_guests guests[SM_GUEST_SHARES]; /* the root's */
    _Atomic(uint32_t) state;                  /* enum sm_runtime_state */
    _Atomic(uint32_t) ending;                 /* threads leave */
    struct sm_worker *workers;
    uint32_t worker_count;
    bool is_current_thread;
    bool is_driven;    /* the first worker has no thread of its own */
    bool may_overtake; /* roles may be taken from threads that are outside for long */
    enum seam_steal steal;
    uint8_t stack_class;
    char name[16];

    _Atomic(uint64_t) idle[SM_IDLE_WORDS]; /* a bit for each worker that sleeps */
    _Atomic(uint32_t) searching;           /* workers looking for something to steal */
    _Atomic(uint32_t) next_worker;         /* round robin for tasks from outside */
    _Atomic(uint64_t) handovers;
    _Atomic(uint64_t) spawned_outside;
    _Atomic(uint64_t) threads_lost;

    struct sm_lock lock;    /* the lists below, and thread_count */
    struct sm_list spares;  /* struct sm_thread.link */
    struct sm_list drivers; /* struct sm_thread.driving */
    uint32_t thread_count;
    uint32_t thread_slots; /* of the next two: those that are in use, or have been */
    pthread_t *threads;
    _Atomic(int)
            *tids; /* of the same threads, written by each; 0 until it runs; SM_TID_NONE: free */
    struct sm_monitor monitor;
    struct sm_inspection inspection;
    struct sm_pool *pool; /* cross/pool.h; ends when the runtime stops, goes with it */
    void (*free_pool)(struct sm_pool *pool);
    struct seam_mutex stop_mutex; /* one stops it at a time */
    int64_t grace_ns;
    _Atomic(uint32_t) refs; /* the user, and threads that were left to themselves */
};

static inline struct sm_scope *sm_runtime_root(struct seam_runtime *runtime)
{
    return sm_scope_of(&runtime->root);
}

static inline bool sm_runtime_is_open(struct seam_runtime *runtime)
{
    /* relaxed: who must not miss the change looks again under the root's lock. */
    return sm_load_relaxed(&runtime->state) == SM_RUNTIME_OPEN;
}

/* Build a runtime and start its threads. drive: the first worker's role is left for callers.
 * -EINVAL, -ENOMEM, -EAGAIN, -EMFILE. */
int sm_runtime_new(
        const struct seam_options *options, bool drive, struct seam_runtime **out_runtime);

/* No more tasks; cancel those there are. Any thread that is inside. */
void sm_runtime_refuse(struct seam_runtime *runtime);

/* End the threads of a runtime without tasks. From a thread that is none of them. */
void sm_runtime_end(struct seam_runtime *runtime);

/* All of it for a runtime that nobody has been given: it could not be completed. */
void sm_runtime_discard(struct seam_runtime *runtime);

void sm_runtime_ref(struct seam_runtime *runtime);
void sm_runtime_unref(struct seam_runtime *runtime);

/* Give back the first worker's role, and tell somebody who would drive. The holder. */
void sm_runtime_stop_driving(struct seam_runtime *runtime, struct sm_thread *thread);

/* Give the role to worker->heir. The holder. */
SM_COLD void sm_runtime_pass_on(struct seam_runtime *runtime, struct sm_thread *thread);

/* The descriptor that a foreign loop watches. -ESHUTDOWN, and the errors of sm_poller_init(). */
int sm_runtime_fd(struct seam_runtime *runtime);

/* Drive a current-thread runtime for a while on behalf of a foreign loop; see seam_runtime_poll(). */
int sm_runtime_poll(struct seam_runtime *runtime, struct sm_thread *thread);

void sm_runtime_stats_read(struct seam_runtime *runtime, struct seam_runtime_stats *out_stats);

/* Choose a worker for a task from outside. */
struct sm_worker *sm_runtime_choose_worker(struct seam_runtime *runtime);

/* There is no stack to be had: wake all workers that sleep, so that they hear of it and give back what
 * they keep for later. Any thread. */
SM_COLD void sm_runtime_call_in_stacks(struct seam_runtime *runtime);

/* Wake one worker that sleeps, if there is one; it will look for something to steal. */
bool sm_runtime_wake_idle(struct seam_runtime *runtime);
void sm_runtime_set_idle(struct sm_worker *worker, bool is_idle);

/*
 * Make a thread, or find a spare one, that runs worker, whose role has been taken from a thread, or
 * (NULL) was that of one that has ended. The role must be in the caller's hands. False: no thread to be had.
 *
 * In a current-thread runtime the spare only stands in for the driver that was overtaken. When that
 * one has come back, whoever stands in then lets the role rest, at its next scheduling point; and if
 * he is blocked himself, this function does it for him. From then on the runtime is driven, or not,
 * as if nothing had happened.
 */
bool sm_runtime_give_role(
        struct seam_runtime *runtime, struct sm_worker *worker, struct sm_thread *from);

/* The same for a role that is nobody's: see SM_ROLE_ORPHAN. True also if others have it. */
bool sm_runtime_adopt(struct seam_runtime *runtime, struct sm_worker *worker);

/* Leave the role of a driven runtime, which is in the caller's hands, to whoever drives next. */
void sm_runtime_rest_role(struct seam_runtime *runtime, struct sm_worker *worker);

/* The calling thread, one of the runtime's, ends by itself: nobody joins it. */
void sm_runtime_forget_this_thread(struct seam_runtime *runtime);

/* The runtime of the calling task or pool job; NULL for a plain thread. */
struct seam_runtime *sm_runtime_current(struct sm_thread *thread);
