/* SPDX-License-Identifier: MIT */
/*
 * cross/block.c - from a task to a thread that may block.
 */
#include <errno.h>
#include <stdlib.h>

#include "seam/cross.h"
#include "seam/jobs.h"
#include "seam/runtime.h"
#include "seam/scope.h"
#include "seam/time.h"

#include "cross/pool.h"
#include "cross/service.h"
#include "sched/runtime.h"
#include "task/scope.h"
#include "task/task.h"
#include "task/wait.h"

/* A job of a task that waits for it to the end: lives in the task's frame. */
struct block {
    struct sm_job job;
    struct sm_service service;
    seam_runtime *runtime;
};

static void run_block(struct sm_job *job)
{
    struct block *block = sm_container_of(job, struct block, job);
    sm_service_run(&block->service, block->runtime);
}

/* Wait for a job that is in the pool's hands. 0 if its function ran to its end. */
static int wait_for_block(struct block *block, int64_t deadline_ns)
{
    int64_t patient_until_ns = deadline_ns <= SEAM_NOW ? SEAM_FOREVER : deadline_ns;
    int r = sm_service_wait(&block->service, patient_until_ns, false, NULL);
    if (r < 0) {
        if (sm_pool_withdraw(block->runtime->pool, &block->job)) return r;
        sm_service_cancel(&block->service);
        (void)sm_service_wait(&block->service, SEAM_FOREVER, true, NULL);
    }
    if (block->service.has_begun) return 0;
    return r < 0 ? r : -ECANCELED;
}

/* On a thread of the runtime's pool. Inside. */
static int block_there(
        seam_runtime *runtime, seam_fn *fn, void *arg, int *out_result, int64_t deadline_ns)
{
    struct sm_thread *thread = sm_thread_self();
    if (sm_party_is_cancelled(sm_thread_party(thread))) return -ECANCELED;
    if (deadline_ns > SEAM_NOW) {
        int refused = sm_wait_refused(deadline_ns);
        if (refused < 0) return refused;
    }
    struct block block = {
            .job = {.run = run_block, .fn = fn},
            .service = {.fn = fn, .arg = arg, .call = sm_party_call(sm_thread_party(thread))},
            .runtime = runtime,
    };
    int r = sm_pool_submit(block.runtime->pool, &block.job, deadline_ns <= SEAM_NOW);
    if (r == 0) r = wait_for_block(&block, deadline_ns);
    if (r == 0 && out_result != NULL) *out_result = block.service.result;
    return r;
}

/* The caller may block, so there is nothing to cross. */
SEAM_SUSPENDS static int block_here(seam_fn *fn, void *arg, int *out_result, int64_t deadline_ns)
{
    if (seam_cancelled() < 0) return -ECANCELED;
    struct seam_scope scope;
    bool has_scope = deadline_ns > SEAM_NOW && deadline_ns != SEAM_FOREVER;
    if (has_scope) {
        int r = sm_wait_refused(deadline_ns);
        if (r == 0) r = seam_scope_begin(&scope, NULL, deadline_ns);
        if (r < 0) return r;
    }
    int result = fn(arg);
    if (has_scope) (void)seam_scope_end(&scope);
    if (out_result != NULL) *out_result = result;
    return 0;
}

int seam_block(
        seam_job_class *job_class, seam_fn *fn, void *arg, int *out_result, int64_t deadline_ns)
{
    struct sm_thread *thread = sm_enter();
    if (thread == NULL) return -EOWNERDEAD;
    if (thread->task == NULL && job_class == NULL) {
        sm_leave();
        return block_here(fn, arg, out_result, deadline_ns);
    }
    seam_runtime *own = sm_runtime_current(thread);
    seam_runtime *runtime = job_class != NULL ? job_class->runtime : own;
    /* Its own tasks may still want to clean up. */
    int r = runtime == own || sm_runtime_is_open(runtime) ? 0 : -ESHUTDOWN;
    if (r == 0) r = block_there(runtime, fn, arg, out_result, deadline_ns);
    sm_leave();
    return r;
}

/* A job that may outlive its submitter. */
struct owned_block {
    struct sm_job job;
    struct sm_owned *owned;
    seam_runtime *runtime;
};

static void run_owned_block(struct sm_job *job)
{
    struct owned_block *block = sm_container_of(job, struct owned_block, job);
    struct sm_owned *owned = block->owned;
    seam_runtime *runtime = block->runtime;
    free(block);
    sm_owned_run(owned, runtime);
}

/* Submit; on error nothing has been taken. */
static int submit_owned(struct sm_owned *owned, seam_runtime *runtime)
{
    struct owned_block *block = malloc(sizeof *block);
    if (block == NULL) return -ENOMEM;
    *block = (struct owned_block){.job = {.run = run_owned_block, .fn = owned->service.fn},
            .owned = owned,
            .runtime = runtime};
    int r = sm_runtime_is_open(runtime) ? 0 : -ESHUTDOWN;
    if (r == 0) r = sm_pool_submit(runtime->pool, &block->job, false);
    if (r < 0) free(block);
    return r;
}

int seam_block_owned(seam_job_class *job_class, seam_fn *fn, void *arg, seam_destroy_fn *destroy,
        int *out_result, int64_t deadline_ns)
{
    struct sm_owned *owned = NULL;
    int r = sm_owned_new(fn, arg, destroy, &owned);
    if (r < 0) return r;

    struct sm_thread *thread = sm_enter();
    if (thread == NULL) return sm_owned_refuse(owned, -EOWNERDEAD);
    seam_runtime *runtime = job_class != NULL ? job_class->runtime : sm_runtime_current(thread);
    if (runtime == NULL) r = seam_runtime_default(&runtime);
    (void)sm_enter(); /* starting the default runtime has left */
    if (r == 0) r = sm_owned_check(deadline_ns);
    if (r == 0) r = submit_owned(owned, runtime);
    r = r == 0 ? sm_owned_wait(owned, out_result, deadline_ns, NULL) : sm_owned_refuse(owned, r);
    sm_leave();
    return r;
}
