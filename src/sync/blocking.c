/* SPDX-License-Identifier: MIT */
#include "seam/blocking.h"

#include <stddef.h>

#include "sched/worker.h"
#include "task/thread.h"

/*
 * The mark is the tick of the role that the thread holds, plus one. A wait moves the tick, and the
 * mark is void; nobody has to take it back. A thread whose role was taken reads another holder's
 * tick, and marks what nobody looks at.
 */
static uint64_t current_mark(const struct sm_thread *thread)
{
    /* relaxed: while we hold the role nobody else moves it. */
    return sm_load_relaxed(&((struct sm_worker *)(void *)thread->role)->stats.switches) + 1;
}

void seam_blocking_begin(void)
{
    struct sm_thread *thread = sm_thread_self_if_known();
    if (thread == NULL || thread->task == NULL) return;

    uint64_t mark = current_mark(thread);
    /* relaxed: only we write it; for the monitor it is a hint. */
    if (sm_load_relaxed(&thread->mark) != mark) thread->mark_depth = 0;
    thread->mark_depth++;
    sm_store_relaxed(&thread->mark, mark); /* relaxed: likewise */
}

void seam_blocking_end(void)
{
    struct sm_thread *thread = sm_thread_self_if_known();
    if (thread == NULL || thread->task == NULL) return;

    /* relaxed: as above. */
    if (sm_load_relaxed(&thread->mark) != current_mark(thread)) return;
    if (--thread->mark_depth == 0) sm_store_relaxed(&thread->mark, 0); /* relaxed: as above */
}
