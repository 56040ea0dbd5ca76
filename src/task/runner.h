/* SPDX-License-Identifier: MIT */
/*
 * task/runner.h - what tasks ask of whatever runs them: the one call upward from this room.
 *
 * sched/ implements these. Nothing below it knows about workers, queues or idle threads.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct sm_task;
struct sm_thread;
struct sm_timer_heap;
struct seam_runtime;

/* Something to do once the running context has been left; runs on the next one. */
typedef void sm_after_fn(void *arg);

/* Leave the running task's stack, do after(arg), and run others until sm_runner_ready() has been
 * called for it. The caller is inside the runtime and stays so, perhaps on another thread. */
void sm_runner_suspend(struct sm_thread *thread, sm_after_fn *after, void *arg);

/* Queue a task that is off its stack and whose wait has ended. Any thread. */
void sm_runner_ready(struct sm_task *task);

/* The timers of the worker whose role thread holds. */
struct sm_timer_heap *sm_runner_timers(struct sm_thread *thread);

/* The timers of a runtime's first worker, for threads to use. After adding the earliest there,
 * sm_runner_timer_added(). Any thread. */
struct sm_timer_heap *sm_runner_shared_timers(struct seam_runtime *runtime);
void sm_runner_timer_added(struct seam_runtime *runtime);

/* thread is going to wait for something that tasks of runtime will do, and nobody may be running
 * them. It enlists while they have not done it, and the runtime does not end before it retires: what
 * it waited for may have been the last that kept it. Between enlist and retire, sm_runner_drive() runs them until thread's wait has ended (true),
 * or returns false because another thread does or the wait has ended without us. When the other
 * one stops, SM_PARTY_RETRY is set in the party of one of those enlisted. The calling thread is in
 * no task. */
void sm_runner_drive_enlist(struct sm_thread *thread, struct seam_runtime *runtime);
bool sm_runner_drive(struct sm_thread *thread, struct seam_runtime *runtime);
void sm_runner_drive_retire(struct sm_thread *thread, struct seam_runtime *runtime);

/* thread drives a worker's loop and its party has been claimed: have the loop look. */
void sm_runner_wake_driver(struct sm_thread *thread);

/* thread runs a task whose role was taken while it was outside: hand the task over to whoever has
 * the role now. That may be thread, if it is an orphan's; else thread->role is NULL. Returns on that
 * thread, inside. */
struct sm_thread *sm_runner_rejoin(struct sm_thread *thread);
