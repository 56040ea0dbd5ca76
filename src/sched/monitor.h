/* SPDX-License-Identifier: MIT */
/*
 * sched/monitor.h - the thread that notices when a task holds up those behind it.
 *
 * Now and then it looks at every role whose holder is outside the runtime. If the role's tick has
 * not moved since the last look, and there is work for it, then the thread is
 *
 *   blocked   it has used no CPU since the last look, and its state letter is not R: take the role
 *             and give it to a spare thread
 *   busy      it has used BUSY_NS of CPU since the tick was first seen: the same, within the bound
 *             below. A task that computes for less is never overtaken, however slow the machine
 *   declared  a task has said that it may block (seam/blocking.h): the same, at the first look
 *   neither   it wants a CPU and gets none, or has just begun to compute: leave it alone. (The run
 *             delay that the kernel counts would say so, too, but only once the thread gets a CPU.)
 *             Where the state letter cannot be read, who has used no CPU for BLIND_NS is blocked
 *
 * Work is a task in fifo, ring, backlog or inbox, a timer that is due, an event of the poller. Where
 * the ring holds tasks and a worker sleeps, that worker is woken: it steals them.
 *
 * Who may touch what, while a role changes hands
 *
 *     holder's word   owner-only things of the role       worker->running and its task's header
 *     -------------   -----------------------------       -------------------------------------
 *     the thread      the thread, while it is inside      the thread
 *     CONTESTED       nobody, until the taker knows that  nobody; then the taker may read: the task
 *                     the thread is outside; then he      cannot end while its thread, which has to
 *                     may                                 enter for that, waits for the outcome
 *     another thread  that thread                         that thread
 *     ORPHAN          nobody: the first to make it        there is none
 *                     CONTESTED, or his own
 *
 * The bound. A blocked thread that is overtaken adds no runnable thread, since it was not one. A
 * busy one does: it computes on, beside the new holder. A role is taken from a busy thread only
 * while fewer threads than there are CPUs are astray (overtaken and not back) and runnable. So at
 * most workers + CPUs threads of the runtime compute, and those besides that were blocked when they
 * were overtaken and have woken up since: these end at their next call of ours, and until then no
 * busy thread is overtaken. The threads are at most workers + SM_SPARES_MAX.
 *
 * It sleeps without a period while all workers sleep, unless an incident is about to be shown. While
 * nobody is suspected it looks every third period only: a look costs a timed sleep, which is some
 * microseconds of the kernel's. Whoever is seen asleep outside, with work waiting, is looked at again
 * after one.
 */
#pragma once

struct seam_runtime;

/* Start the monitor's thread. -EAGAIN if the system refuses one, -ENOMEM. */
int sm_monitor_start(struct seam_runtime *runtime);
void sm_monitor_stop(struct seam_runtime *runtime);

/* A worker has woken up, or somebody has taken a free role. Any thread; a load, and a system call
 * if the monitor sleeps. */
void sm_monitor_rouse(struct seam_runtime *runtime);
