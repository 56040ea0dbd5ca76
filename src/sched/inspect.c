/* SPDX-License-Identifier: MIT */
#include "sched/inspect.h"

#include <execinfo.h>

#include "base/sanitizer.h"
#include "sched/runtime.h"
#include "task/task.h"

enum {
    NAPS_MAX = 50, /* how long an answer may take, about a millisecond each */
    /* What backtrace() may need of the stack. */
    ROOM_BYTES = SM_ASAN || SM_TSAN ? 24 * 1024 : 6 * 1024,
    OWN_FRAMES = 3, /* of ours, on top of what the task is in */
};

/* ---- on a worker ---- */

static bool is_waiting(const struct sm_task *task)
{
    /* acquire: pairs with the seq_cst exchange in publish() (task/wait.c): the task has left its
     * stack, and worker and reason are as it left them. */
    return (sm_load_acquire(&task->party.word) & SM_PARTY_STATE_MASK) == SM_PARTY_WAITING;
}

static void visit_if_parked_here(void *arg, struct sm_task *task)
{
    struct sm_worker *worker = arg;
    if (!is_waiting(task)) return;
    /* relaxed: a task that waits has left here, or elsewhere, before: is_waiting() carries which. */
    if (sm_load_relaxed(&task->worker) != worker) return;
    const struct sm_inspection *inspection = &worker->runtime->inspection;
    inspection->visit(inspection->arg, task);
}

/* The holder only, on its own stack. */
static int answer(void *arg)
{
    struct sm_worker *worker = arg;
    struct sm_inspection *inspection = &worker->runtime->inspection;
    sm_lock(&inspection->lock);
    if (inspection->visit != NULL) {
        sm_scope_each_live(sm_runtime_root(worker->runtime), visit_if_parked_here, worker);
    }
    sm_unlock(&inspection->lock);
    /* release: pairs with the acquire in have_all_answered(). The errand may be used again. */
    sm_store_release(&worker->is_asked, 0);
    return 0;
}

const char *sm_inspect_reason(const struct sm_task *task)
{
    /* acquire: pairs with the release in sm_inbox_push(): it may have become a link meanwhile, and
     * then the task does not wait any more. */
    const char *reason = __atomic_load_n(&task->reason, __ATOMIC_ACQUIRE);
    return is_waiting(task) ? reason : NULL;
}

struct frames {
    void *addresses[64];
    int count;
};

static void look_up(void *arg)
{
    struct frames *frames = arg;
    frames->count = backtrace(frames->addresses, sizeof frames->addresses / sizeof(void *));
}

uint32_t sm_inspect_frames(struct sm_task *task, const void **out_frames, uint32_t frames_max)
{
    const char *low = sm_stack_low(task->stack);
    if ((const char *)task->context.sp - low < ROOM_BYTES) return 0;

    struct frames frames;
    sm_worker_visit(task, look_up, &frames);
    uint32_t count = 0;
    for (int i = OWN_FRAMES; i < frames.count && count < frames_max; i++) {
        out_frames[count++] = frames.addresses[i];
    }
    return count;
}

/* ---- who wants to know ---- */

static void ask(struct sm_thread *thread, struct sm_worker *worker)
{
    /* acquire: pairs with the release in answer(). Still on its way from the last time? */
    if (sm_load_acquire(&worker->is_asked) != 0) return;
    sm_store_relaxed(&worker->is_asked, 1); /* relaxed: published by the inbox */
    if (worker->poller.is_driven && sm_worker_try_hold(worker, thread)) {
        (void)answer(worker);
        sm_runtime_stop_driving(worker->runtime, thread);
        return;
    }
    worker->errand = (struct sm_task){.stage = SM_TASK_ERRAND, .fn = answer, .arg = worker};
    sm_worker_send(worker, &worker->errand);
}

static bool have_all_answered(struct seam_runtime *runtime)
{
    for (uint32_t i = 0; i < runtime->worker_count; i++) {
        /* acquire: pairs with the release in answer(). It carries what visit has written. */
        if (sm_load_acquire(&runtime->workers[i].is_asked) != 0) return false;
    }
    return true;
}

void sm_runtime_each_thread(
        struct seam_runtime *runtime, void (*visit)(void *arg, int tid), void *arg)
{
    sm_lock(&runtime->lock);
    uint32_t slots = runtime->thread_slots; /* they stay to the end */
    sm_unlock(&runtime->lock);
    for (uint32_t i = 0; i < slots; i++) {
        int tid = sm_load_relaxed(&runtime->tids[i]); /* relaxed: not known yet will do */
        if (tid > 0) visit(arg, tid);
    }
    if (!runtime->is_driven) return;
    /* acquire: pairs with the CAS in sm_worker_try_hold(). Records of threads are never unmapped. */
    struct sm_thread *driver = sm_load_acquire(&runtime->workers[0].role.holder);
    if (driver == NULL || driver == SM_ROLE_CONTESTED) return;
    visit(arg, sm_load_relaxed(&driver->tid)); /* relaxed: whoever has it now tells whose task */
}

static void set_question(struct seam_runtime *runtime, sm_scope_visit_fn *visit, void *arg)
{
    sm_lock(&runtime->inspection.lock);
    runtime->inspection.visit = visit;
    runtime->inspection.arg = arg;
    sm_unlock(&runtime->inspection.lock);
}

void sm_runtime_inspect(struct seam_runtime *runtime, sm_scope_visit_fn *visit, void *arg)
{
    /* The first call allocates: not on a task's stack. */
    void *address = NULL;
    (void)backtrace(&address, 1);

    struct sm_thread *thread = sm_thread_self();
    set_question(runtime, visit, arg);
    for (uint32_t i = 0; i < runtime->worker_count; i++) {
        ask(thread, &runtime->workers[i]);
    }
    for (int i = 0; i < NAPS_MAX && !have_all_answered(runtime); i++) {
        sm_os_nap();
    }
    set_question(runtime, NULL, NULL);
}
