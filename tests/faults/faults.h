/* SPDX-License-Identifier: MIT */
/*
 * faults.h - scenarios in which one system call of the library fails, each in its turn.
 *
 *     static int open_and_close(void)
 *     {
 *         seam_runtime *runtime = NULL;
 *         int r = MAY(seam_runtime_new(NULL, &runtime), RUNTIME_ERRORS);
 *         if (r < 0) return r;
 *         ...
 *     }
 *
 *     TEST(what_a_runtime_needs_may_be_refused) { each_fault(open_and_close); }
 *
 * A scenario is run once to count the library's calls (calls.h); then, for each of them and for each
 * way in which it can fail, in a child of its own: with that failure and, in the same process, once more
 * without. It must come to its end both times, report nothing but documented errors the first time and
 * none the second, and leave no descriptor, thread, child or, under LeakSanitizer, memory behind.
 *
 * Which call is the Nth depends on the scheduler where there are several threads: a failure whose turn
 * did not come counts as not reached. One by itself, in the process that is started:
 *
 *     FAULT=epoll_ctl:3:ENOSPC faults_net_test NAME
 *
 * With ":5" behind that, the next five fail, as where something is short for a while; that is tried, too.
 * FAULT=all tries each N; otherwise only the first are all tried, and of the rest some.
 */
#pragma once

#include <errno.h>
#include <stdlib.h>

#include "check/check.h"

/* Runs in a thread of its own. 0, or the first error it met, having given everything back. */
typedef int fault_scenario(void);

void each_fault(fault_scenario *scenario);

/* What call returned, which may be one of these errors if something has been made to fail. */
#define MAY(call, ...) fault_may((call), #call, (const int[]){__VA_ARGS__, 0}, __FILE__, __LINE__)

long fault_may(long r, const char *call, const int *documented, const char *file, int line);

/* The first call of a thread; it cannot say that there is no memory. */
void fault_enrol(void);

/* Errors of seam_runtime_new() and whatever starts a runtime. */
#define RUNTIME_ERRORS ENOMEM, EAGAIN, EMFILE, ENFILE, ENOSPC
