/* SPDX-License-Identifier: MIT */
/*
 * seam/jobs.h - classes of blocking jobs.
 *
 * seam_block() runs jobs on the pool of a runtime: one set of threads. Each job belongs to a class,
 * which is a quota on that set. Every runtime has four classes; a program may define more.
 *
 * At most options.blockers_max jobs run at once, and of each class at most its threads_max; but a
 * class that has no job running may always run one, so none can starve another. What is beyond that
 * waits in line. A free thread takes the job of the class with the highest priority, among equals
 * the oldest; every eighth time it takes the oldest of all.
 *
 * A job that waits for something of seam's (a channel, a call, another job) gives its slot back until
 * the wait is over, so jobs may wait for jobs: the threads of a runtime's pool are at most
 * 4 * blockers_max + 64, and 16 that are kept for ending runtimes. A job that could need more waits
 * until one of those waits is over.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "seam/attr.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The classes that every runtime has. */
enum seam_jobs {
    SEAM_JOBS_USER,  /* whatever a program calls that blocks */
    SEAM_JOBS_FILES, /* files, whose latency is the disk's */
    SEAM_JOBS_NAMES, /* looking up names, whose latency is the network's */
    SEAM_JOBS_CPU,   /* long computations; as many at once as there are CPUs */
};

/** How to build a class. Zero in any field asks for the default. */
struct seam_job_class_options {
    const char *name;     /* for reports, 15 characters shown; copied; default: "jobs" */
    uint32_t threads_max; /* jobs that run at once, 1..65536; default: the runtime's blockers_max */
    uint32_t queue_max;   /* callers that may wait in line besides; default: any number */
    uint32_t priority;    /* higher is served first; that of the built-in classes is 0 */
    bool interruptible;   /* cancelling a job makes its system calls fail; see below */
    uint64_t reserved[4]; /* zero */
};

/** What a class has done so far, and does now. */
struct seam_job_stats {
    uint32_t running;        /* jobs that hold a slot */
    uint32_t waiting;        /* jobs that have given theirs back while they wait for something */
    uint32_t queued;         /* jobs in line */
    int64_t oldest_wait_ns;  /* how long the first of these has been there; 0: there is none */
    int64_t longest_wait_ns; /* the longest that any job that has begun was there */
    uint64_t done;           /* jobs that have run to their end */
    uint64_t withdrawn;      /* given up by their callers before they began */
    uint64_t abandoned;      /* given up while they ran; seam_block_owned() only */
    uint64_t refused;        /* never taken: no thread was free, the line was full, the end */
    uint64_t reserved[4];
};

/**
 * seam_job_class_new() - Define a class of blocking jobs.
 *
 * @runtime:   whose pool the jobs run on; not NULL
 * @options:   how to build the class; read during the call; NULL for all defaults
 * @out_class: receives the class, borrowed; it lives as long as @runtime; untouched on error
 *
 * Since each job's caller waits for it, the line in front of a class is only as long as there are
 * callers. Where that is too long, queue_max turns the next one away, with -EAGAIN.
 *
 * In an interruptible class, a running job that is cancelled, by its deadline or by its caller's
 * scope, is sent SIGURG until it has ended: a system call that blocks it returns EINTR, and
 * seam_cancelled() says why. When @runtime is stopped and options.grace_ns have passed, that happens
 * to every job of the class that is left, whoever waits for it. Its functions must be prepared for that, as must the libraries they
 * call. The first such class installs a handler for SIGURG that does nothing, without SA_RESTART,
 * unless the program has a handler or ignores the signal; a handler of the program's own must be
 * without SA_RESTART, too. Other jobs are never hit.
 *
 * Return: 0, or
 *   -EINVAL      an option is out of range
 *   -ENOMEM      no memory for the class
 *   -ESHUTDOWN   @runtime is stopping
 *   -EOWNERDEAD  this is a forked child
 *
 * Context: any.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API int seam_job_class_new(seam_runtime *runtime, const struct seam_job_class_options *options,
        seam_job_class **out_class);

/**
 * seam_runtime_jobs() - A class that every runtime has.
 *
 * @runtime: not NULL
 * @which:   one of enum seam_jobs
 *
 * Return: the class, borrowed; it lives as long as @runtime
 *
 * Context: any.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API seam_job_class *seam_runtime_jobs(seam_runtime *runtime, enum seam_jobs which);

/**
 * seam_job_class_stats_read() - What a class has done so far, and does now.
 *
 * @job_class: not NULL; its runtime may have been stopped, but not freed
 * @out_stats: receives the figures, of one instant; all zero in a forked child
 *
 * Context: any.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API void seam_job_class_stats_read(
        seam_job_class *job_class, struct seam_job_stats *out_stats);

#ifdef __cplusplus
}
#endif
