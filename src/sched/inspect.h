/* SPDX-License-Identifier: MIT */
/*
 * sched/inspect.h - a look at tasks that wait, without disturbing them.
 *
 *     who wants to know                 the holder of each worker's role
 *     sm_runtime_inspect()
 *         errand into the inbox --->    finds it
 *                                       visit(task) for each task that is parked on this worker
 *         <--- is_asked = 0                 sm_inspect_frames(task)
 *
 * A task that waits is made runnable by whoever ends its wait, but it is resumed by the holder of
 * the role of its worker and nobody else; stolen it can be only after the holder has queued it. So
 * while the holder visits a task that waits, the task stays where it is, and its stack can be used
 * to look at itself: from its top, as if the task had gone on and called us.
 *
 * A worker whose thread is blocked in a task does not answer before its role has been given to
 * another thread, and where that is not done (current-thread), not at all.
 */
#pragma once

#include <stdint.h>

#include "seam/runtime.h"

#include "task/scope.h"

struct sm_task;

/* Have the workers call visit for each live task of theirs that waits, and wait for them: not for
 * long where they do not answer. Calls of visit do not overlap, and none comes later. A plain thread
 * inside, one at a time. */
void sm_runtime_inspect(struct seam_runtime *runtime, sm_scope_visit_fn *visit, void *arg);

/* Call visit for the threads that may be running tasks of the runtime; idle ones too. A thread that
 * drives may have gone meanwhile. Any thread. */
void sm_runtime_each_thread(
        struct seam_runtime *runtime, void (*visit)(void *arg, int tid), void *arg);

/* In visit: what the task waits for; NULL if the wait has just ended. */
const char *sm_inspect_reason(const struct sm_task *task);

/* In visit: the stack of the task, innermost first. 0 where there is too little of it left. */
uint32_t sm_inspect_frames(struct sm_task *task, const void **out_frames, uint32_t frames_max);
