/* SPDX-License-Identifier: MIT */
/*
 * seam/jobs.h - classes of blocking jobs.
 *
 * seam_block() runs jobs on the pool of a runtime: one set of threads. Each job belongs to a class,
 * which every runtime has four of.
 */
#pragma once

#include "seam/attr.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The classes that every runtime has. */
enum seam_jobs {
    SEAM_JOBS_USER,  /* whatever a program calls that blocks */
    SEAM_JOBS_FILES, /* files, whose latency is the disk's */
    SEAM_JOBS_NAMES, /* looking up names, whose latency is the network's */
    SEAM_JOBS_CPU,   /* long computations */
};

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

#ifdef __cplusplus
}
#endif
