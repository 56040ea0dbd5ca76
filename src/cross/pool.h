/* SPDX-License-Identifier: MIT */
/*
 * cross/pool.h - threads for code that blocks: classes of jobs, and a line in front of each.
 *
 * The life of a job
 *
 *     QUEUED ----> RUNNING ----> (gone)
 *        |
 *        +-------> WITHDRAWN
 *
 *   from     to         by                   who
 *   QUEUED   RUNNING    take_job()           a pool thread
 *   QUEUED   WITHDRAWN  sm_pool_withdraw()   its submitter, who has given up
 *   QUEUED   WITHDRAWN  refuse_queued()      the runtime's end, or the last thread that could
 *                                            have taken it when it begins to wait
 *   RUNNING  (gone)     job->run()           the pool thread; the memory is the submitter's
 *
 * All under the pool's lock. Every job goes through its class's line, and threads take from there:
 *
 *   1. A class runs at most threads_max jobs, all classes together at most blockers_max; but a class
 *      that has none running may always run one. So no class starves another, with one thread too.
 *   2. A thread takes the job of the highest priority, of several the oldest. Every eighth time it
 *      takes the oldest of all, so that what waits behind a busy class of higher priority waits for
 *      eight times the jobs before it at most.
 *   3. A job that waits for something of seam's gives its slot back meanwhile (struct sm_slot), and
 *      goes on at once when its wait is over: then one job too many runs, and the next begins only
 *      when that has been made up for. Hence jobs may wait for other jobs without deadlock, up to
 *      SM_POOL_THREADS_MAX(): at that number of threads those that wait are waited for.
 *   4. At most one thread is on its way to the line. When it has taken its job and others are left
 *      that may begin, it calls the next. Jobs that are short are thus served by few threads, which
 *      stay awake, and those that block by as many as it takes.
 *   5. The doors' own errands are classes of their own, of which users know nothing: they are not
 *      counted against blockers_max, and a few threads are kept for ending runtimes.
 *
 * A thread that has nothing to do spins a little, since in a busy program the next job is near, and
 * then sleeps. Threads stay until the runtime ends.
 *
 * A job of an interruptible class that is cancelled, or runs when the runtime's end has lost its
 * patience, has a signal sent to its thread, again and again until it has ended: one that arrives just
 * before a system call is lost. The sender holds the lock and finds the job on its thread; the thread
 * ends the job under the lock and then makes a system call, after which no signal can be on its way.
 * So a later job is never hit.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "seam/jobs.h"
#include "seam/runtime.h"

#include "base/list.h"
#include "os/lock.h"

enum sm_job_state { SM_JOB_QUEUED, SM_JOB_RUNNING, SM_JOB_WITHDRAWN };

struct sm_job {
    struct sm_list link;
    enum sm_job_state state;
    struct seam_job_class *job_class; /* set by sm_pool_submit(); NULL: never submitted */
    int64_t queued_ns;
    seam_fn *fn; /* what it is about, for reports */
    /* One of these, once, outside the lock; the job may be gone when it returns. */
    void (*run)(struct sm_job *job);           /* on the pool's thread */
    void (*refuse)(struct sm_job *job, int r); /* instead, anywhere */
};

struct seam_job_class {
    struct sm_pool *pool; /* these are constant */
    seam_runtime *runtime;
    char name[16];
    uint32_t threads_max;
    uint32_t queue_max; /* UINT32_MAX: no bound */
    uint32_t priority;
    bool is_interruptible;
    bool is_private;
    struct sm_list in_pool; /* under the pool's lock from here on */
    struct sm_list line;    /* struct sm_job */
    struct seam_job_stats stats;
};

/* What the doors need a thread for themselves; see above, 5. */
enum sm_errand { SM_ERRAND_STOP, SM_ERRAND_DRIVE, SM_ERRANDS };

enum { SM_POOL_STOPS_MAX = 16 };

/* The most threads there can be, with those kept for SM_ERRAND_STOP. */
#define SM_POOL_THREADS_MAX(blockers_max) (4 * (blockers_max) + 64 + SM_POOL_STOPS_MAX)

struct sm_pool;

/* -ENOMEM. No thread is started before the first job. */
int sm_pool_new(seam_runtime *runtime, uint32_t blockers_max, struct sm_pool **out_pool);

/*
 * End the threads and wait for them for grace_ns, and again once jobs have been interrupted that can
 * be; then leave those that are still in a job to themselves: they keep the runtime until the last one
 * has ended. Their jobs have been given up by their submitters, or belong to some outside. From then
 * on every job is refused. Returns how many were left.
 */
uint32_t sm_pool_end(struct sm_pool *pool, int64_t grace_ns);

/* Give the memory back, with the runtime's. */
void sm_pool_free(struct sm_pool *pool);

struct seam_job_class *sm_pool_class(struct sm_pool *pool, enum seam_jobs which);
struct seam_job_class *sm_pool_errands(struct sm_pool *pool, enum sm_errand which);

/* The class of the job that the calling thread runs; NULL: it runs none. Its own thread. */
struct seam_job_class *sm_pool_current_class(void);

/* Queue a job, whose fn, run and refuse are set. only_if_free: -EAGAIN where it would have to wait in
 * line. -EAGAIN also where the line is full. -ENOMEM where all threads wait for something and
 * no other can be started. -ESHUTDOWN at the end. Any thread; never suspends. */
int sm_pool_submit(struct seam_job_class *job_class, struct sm_job *job, bool only_if_free);

/* A job of this class has been turned away before it came here: the runtime is stopping. -ESHUTDOWN.
 * Any thread; never suspends. */
int sm_pool_turn_away(struct seam_job_class *job_class);

/* Take a job out of the line; false if it has begun or been refused. Any thread; never suspends. */
bool sm_pool_withdraw(struct sm_job *job);

/* The submitter has cancelled a job that could not be withdrawn, and perhaps does not wait for its
 * end: have its system calls fail, if its class is interruptible. The job must not be gone, but may
 * have ended. Any thread; never suspends. */
void sm_pool_interrupt(struct sm_job *job, bool is_abandoned);

/* Who waits for the end of a job so interrupted calls this before each wait, which lasts until the
 * time that is returned. Signals that came too early must be sent again, and where the system has no
 * thread to do it, it is done here. Any thread; never suspends. */
int64_t sm_pool_remind(struct sm_job *job);

/* Interrupt every running job of an interruptible class that is not yet, and cancel it, that is what it
 * waits for in seam: it is to see why. Likewise whatever begins from now on. Returns how many are
 * running. Any thread; never suspends. */
uint32_t sm_pool_interrupt_all(struct sm_pool *pool);

/* Jobs that wait in line, or have begun; without errands. Any thread. */
uint32_t sm_pool_job_count(struct sm_pool *pool);

uint32_t sm_pool_thread_count(struct sm_pool *pool);

/* A job that runs, for reports. */
struct sm_pool_job {
    char class_name[16];
    seam_fn *fn;
    int64_t age_ns; /* since it began */
    int thread_id;
    bool is_waiting;   /* for something of seam's */
    bool is_abandoned; /* nobody waits for it */
};

/* The jobs that run, also after the end, the doors' own left out. Fills in at most max; returns how
 * many there are. Any thread; never suspends. */
uint32_t sm_pool_jobs(struct sm_pool *pool, struct sm_pool_job *out_jobs, uint32_t max);
