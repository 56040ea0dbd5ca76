/* SPDX-License-Identifier: MIT */
/*
 * cross/stop.c - the end of a runtime, in phases.
 *
 *     1  refuse      nothing begins any more                          the first to stop it, at once
 *     2  cancel      the root scope, and whoever uses it from outside
 *     3  drain       what runs comes to its end                       until the deadline
 *     4  interrupt   jobs that can be                                 once the grace is over
 *     5  report      who is left (cross/report.h)
 *
 * Only when no task is left are threads joined and memory given back. Jobs without a task that
 * waits for them, a caller's outside or abandoned, get the grace; those that can be are interrupted
 * then and get it again; then they are left to themselves.
 */
#include "seam/stop.h"

#include <errno.h>

#include "seam/cross.h"
#include "seam/runtime.h"
#include "seam/sync.h"
#include "seam/time.h"

#include "base/panic.h"
#include "cross/block.h"
#include "cross/pool.h"
#include "cross/report.h"
#include "sched/runtime.h"
#include "task/scope.h"
#include "task/task.h"
#include "task/wait.h"

/* Would the caller wait for itself? It does if it runs inside the runtime, or has a scope there. */
static bool is_inside(struct sm_thread *thread, const seam_runtime *runtime)
{
    if (sm_runtime_current(thread) == runtime) return true;
    struct sm_party *party = sm_thread_party(thread);
    for (struct sm_scope *scope = party->scope; scope != NULL; scope = scope->outer) {
        if (scope->runtime == runtime) return true;
        if (scope->owner != party) break;
    }
    return false;
}

static int wait_until_empty(struct sm_thread *thread, seam_runtime *runtime, int64_t deadline_ns)
{
    struct sm_scope *root = sm_runtime_root(runtime);
    sm_lock(&root->lock);
    bool is_empty = sm_scope_root_is_empty(root);
    int r = is_empty ? 0 : sm_wait_refused(deadline_ns);
    if (is_empty || r < 0) {
        sm_unlock(&root->lock);
        return r;
    }
    struct sm_waiter waiter = {.party = sm_thread_party(thread)};
    root->ender = &waiter;
    const struct sm_wait wait = {
            .reason = "runtime stop",
            .deadline_ns = deadline_ns,
            .to_drive = runtime->is_driven && thread->task == NULL ? runtime : NULL,
            .unlock = sm_wait_unlock,
            .object = &root->lock,
    };
    r = sm_wait(&wait);
    sm_lock(&root->lock);
    root->ender = NULL;
    sm_unlock(&root->lock);
    return r;
}

/* Phases 3 and 4: 0 when no task is left. */
static int drain(struct sm_thread *thread, seam_runtime *runtime, int64_t deadline_ns)
{
    int64_t patient_until_ns = seam_after(runtime->grace_ns);
    if (deadline_ns <= patient_until_ns) return wait_until_empty(thread, runtime, deadline_ns);

    int r = wait_until_empty(thread, runtime, patient_until_ns);
    if (r != -ETIMEDOUT) return r;
    (void)sm_pool_interrupt_all(runtime->pool);
    return wait_until_empty(thread, runtime, deadline_ns);
}

/* With the stop mutex held: nobody else is here. */
static int stop_alone(seam_runtime *runtime, struct sm_report *report, int64_t deadline_ns)
{
    struct sm_thread *thread = sm_enter();
    if (thread == NULL) return -EOWNERDEAD;
    int r = 0;
    /* acquire: pairs with the release in sm_runtime_end(). */
    if (sm_load_acquire(&runtime->state) != SM_RUNTIME_STOPPED) {
        sm_runtime_refuse(runtime);
        r = drain(thread, runtime, deadline_ns);
        if (r == 0) {
            sm_scope_dispose_finished(sm_runtime_root(runtime));
            uint32_t left = sm_pool_end(runtime->pool, runtime->grace_ns);
            if (left > 0) sm_report_abandoned(report);
            sm_runtime_end(runtime);
        } else {
            sm_report_left(report);
        }
        sm_report_end(report);
    }
    sm_leave();
    return r;
}

struct stop {
    seam_runtime *runtime;
    struct seam_stop_report *out_report;
    int64_t deadline_ns;
};

SEAM_SUSPENDS static int stop_as_thread(void *arg)
{
    const struct stop *stop = arg;
    return seam_runtime_stop(stop->runtime, stop->out_report, stop->deadline_ns);
}

int seam_runtime_stop(
        seam_runtime *runtime, struct seam_stop_report *out_report, int64_t deadline_ns)
{
    if (out_report != NULL) *out_report = (struct seam_stop_report){};
    if (runtime == NULL) return 0;
    struct sm_thread *thread = sm_enter();
    if (thread == NULL) return -EOWNERDEAD;
    bool inside = is_inside(thread, runtime);
    bool is_task = thread->task != NULL;
    struct sm_report report;
    sm_report_begin(&report, runtime, out_report); /* before any job is interrupted */
    sm_runtime_refuse(runtime); /* whatever becomes of us: the caller may be cancelled */
    sm_leave();
    if (inside) return -EINPROGRESS;
    if (is_task) {
        /* Threads are joined, and perhaps tasks driven: not on a worker's thread. */
        struct stop stop = {runtime, out_report, deadline_ns};
        int result = 0;
        int r = sm_block_errand(SM_ERRAND_STOP, stop_as_thread, &stop, &result, deadline_ns);
        return r < 0 ? r : result;
    }
    int r = seam_mutex_lock(&runtime->stop_mutex, deadline_ns);
    if (r < 0) return r;
    r = stop_alone(runtime, &report, deadline_ns);
    seam_mutex_unlock(&runtime->stop_mutex);
    return r;
}

void seam_runtime_free(seam_runtime *runtime)
{
    if (runtime == NULL || sm_os_is_forked_child()) return;
    /* acquire: pairs with the release in sm_runtime_end(). */
    sm_assert(sm_load_acquire(&runtime->state) == SM_RUNTIME_STOPPED);
    sm_runtime_unref(runtime);
}
