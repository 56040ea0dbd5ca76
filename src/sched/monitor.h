/* SPDX-License-Identifier: MIT */
/*
 * sched/monitor.h - the thread that notices when a worker's thread is blocked.
 *
 * Every PERIOD it looks at each role whose tick has not moved while there is work for it:
 *
 *   its ring holds tasks, and a worker sleeps     wake that worker: it steals them
 *   the thread is outside the runtime and has     blocked in the kernel: take the role and give it
 *   used no CPU since the last look               to a spare thread
 *   it has used CPU, or waits for one             busy, or the machine is: leave it alone
 *
 * It sleeps without a period while all workers sleep. Its cost is one timed futex wait per period.
 */
#pragma once

struct seam_runtime;

/* Start the monitor's thread. -EAGAIN if the system refuses one, -ENOMEM. */
int sm_monitor_start(struct seam_runtime *runtime);
void sm_monitor_stop(struct seam_runtime *runtime);

/* A worker has woken up, or somebody has taken a free role. Any thread; a load, and a system call
 * if the monitor sleeps. */
void sm_monitor_rouse(struct seam_runtime *runtime);
