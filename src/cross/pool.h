/* SPDX-License-Identifier: MIT */
/*
 * cross/pool.h - threads for code that blocks: a bounded number, a line in front of them.
 *
 * The life of a job
 *
 *     QUEUED ----> RUNNING ----> ENDED
 *        |
 *        +-------> WITHDRAWN
 *
 *   from     to         by                   who
 *   QUEUED   RUNNING    a pool thread, which takes the oldest job
 *   QUEUED   WITHDRAWN  sm_pool_withdraw()   its submitter, who has given up
 *   RUNNING  ENDED      the pool thread, after the job's function has returned
 *
 * All under the pool's lock. A job goes straight to a free thread if there is one; else to a new one
 * while their number allows; else into the line. A thread that has nothing to do spins a little,
 * since in a busy program the next job is near, and then sleeps. Threads stay until the runtime
 * ends.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "seam/jobs.h"
#include "seam/runtime.h"

#include "base/list.h"
#include "os/lock.h"

enum sm_job_state { SM_JOB_QUEUED, SM_JOB_RUNNING, SM_JOB_ENDED, SM_JOB_WITHDRAWN };

struct sm_job {
    struct sm_list link;
    enum sm_job_state state;
    void (*run)(struct sm_job *job); /* on the pool's thread, outside the lock; the job may be gone
                                      * when it returns */
    seam_fn *fn;                     /* what it is for, for reports; may be NULL */
};

struct sm_pool;

/* A view of the pool; lives as long as the runtime. */
struct seam_job_class {
    seam_runtime *runtime;
};

/* -ENOMEM. No thread is started before the first job. */
int sm_pool_new(seam_runtime *runtime, uint32_t threads_max, struct sm_pool **out_pool);

/* A job that a thread of the pool is running. */
struct sm_running_job {
    seam_fn *fn;
    int64_t since_ns;
    int tid;
};
typedef void sm_pool_visit_fn(void *arg, const struct sm_running_job *job);

/* Call visit for every job that runs, under the pool's lock. Any thread. */
void sm_pool_each_running(struct sm_pool *pool, sm_pool_visit_fn *visit, void *arg);

/* Jobs in the line, and running. Any thread. */
uint32_t sm_pool_job_count(struct sm_pool *pool);

/* Interrupt the running jobs that can be, and say how many there were. No job can be, yet. */
uint32_t sm_pool_interrupt(struct sm_pool *pool);

/*
 * End the threads and wait for them until deadline_ns, then leave those that are still in a job to
 * themselves: they keep the runtime until the last one has ended. Their jobs have been given up by
 * their submitters; visit, which may be NULL, is called for each. From then on every job is refused.
 * Returns how many were left.
 */
uint32_t sm_pool_end(struct sm_pool *pool, int64_t deadline_ns, sm_pool_visit_fn *visit, void *arg);

/* Give the memory back, with the runtime's. */
void sm_pool_free(struct sm_pool *pool);

struct seam_job_class *sm_pool_class(struct sm_pool *pool, enum seam_jobs which);

/* Queue a job. only_if_free: -EAGAIN where it would have to wait in line. -ENOMEM where there is no
 * thread and none can be started. -ESHUTDOWN at the end. Any thread; never suspends. */
int sm_pool_submit(struct sm_pool *pool, struct sm_job *job, bool only_if_free);

/* Take a job out of the line; false if it has begun. Any thread; never suspends. */
bool sm_pool_withdraw(struct sm_pool *pool, struct sm_job *job);

uint32_t sm_pool_thread_count(struct sm_pool *pool);
