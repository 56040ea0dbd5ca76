/* SPDX-License-Identifier: MIT */
/*
 * sync/inside.h - scopes and tasks for code of ours that is inside the runtime already.
 */
#pragma once

#include <stdint.h>

#include "seam/attr.h"

#include "task/scope.h"
#include "task/task.h"

/* The runtime that a caller means who names none: its own, or the default one, whose start may fail.
 * Inside; never suspends. */
int sm_scope_runtime(struct sm_thread *thread, seam_runtime **inout_runtime);

/* As seam_scope_begin(), with first (may be NULL) as its first task. */
int sm_scope_begin(struct sm_thread *thread, struct sm_scope *scope, seam_runtime *runtime,
        int64_t deadline_ns, struct sm_task *first);

/* A scope of a thread that needs no runtime: nothing can be spawned into it. It cannot fail. The
 * thread itself sees that the deadline has passed, where it waits or asks. Not in a task. Inside;
 * never suspends. */
void sm_scope_begin_alone(struct sm_thread *thread, struct sm_scope *scope, int64_t deadline_ns);

/* As seam_scope_end(); the caller has opened scope last. Inside; suspends. */
int sm_scope_end(struct sm_thread *thread, struct sm_scope *scope);

/* A task whose header is in the frame of whoever waits for it. */
struct sm_framed_task {
    seam_fn *fn; /* these are the caller's to set */
    void *arg;
    const char *name;
    const void *spawned_at;
    struct sm_task header;
};

/*
 * As seam_scope_begin() and one seam_spawn(), for a scope that the caller, which is no task of
 * runtime, ends next. Nothing is allocated but the task's stack. Inside; never suspends.
 */
int sm_scope_begin_with_task(struct sm_thread *thread, struct sm_scope *scope,
        seam_runtime *runtime, int64_t deadline_ns, struct sm_framed_task *task);
