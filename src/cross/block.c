/* SPDX-License-Identifier: MIT */
/*
 * cross/block.c - from a task to a thread that may block.
 */
#include "cross/block.h"

#include <errno.h>

#include "seam/cross.h"
#include "seam/jobs.h"
#include "seam/runtime.h"
#include "seam/scope.h"
#include "seam/time.h"

#include "cross/pool.h"
#include "cross/service.h"
#include "sched/runtime.h"
#include "sync/inside.h"
#include "task/scope.h"
#include "task/task.h"
#include "task/wait.h"

/* A job whose client waits for it to the end: lives in the client's frame. */
struct block {
    struct sm_job job;
    struct sm_service service;
    bool keeps_deadline; /* fn does, by itself: the deadline is ours only until it begins */
};

static void run_block(struct sm_job *job)
{
    struct block *block = sm_container_of(job, struct block, job);
    sm_service_run(&block->service, job->job_class->runtime);
}

static void refuse_block(struct sm_job *job, int r)
{
    sm_service_refuse(&sm_container_of(job, struct block, job)->service, r);
}

/* Wait for a job that has been told to end. */
static void wait_for_end(struct block *block)
{
    int r = -ETIMEDOUT;
    while (r == -ETIMEDOUT) {
        r = sm_service_wait(&block->service, sm_pool_remind(&block->job), true, NULL);
    }
}

/* Wait for a job that is in the pool's hands. 0 if its function ran to its end. */
static int wait_for_block(struct block *block, int64_t deadline_ns)
{
    int64_t patient_until_ns = deadline_ns <= SEAM_NOW ? SEAM_FOREVER : deadline_ns;
    int r = sm_service_wait(&block->service, patient_until_ns, false, NULL);
    if (r < 0 && sm_pool_withdraw(&block->job)) return r;
    if (r == -ETIMEDOUT && block->keeps_deadline) {
        r = sm_service_wait(&block->service, SEAM_FOREVER, false, NULL);
    }
    if (r < 0) {
        sm_service_cancel(&block->service);
        sm_pool_interrupt(&block->job, false);
        wait_for_end(block);
    }
    if (block->service.has_begun) return 0;
    return r < 0 ? r : block->service.result;
}

/* On a thread of the pool. Inside. */
static int block_there(
        seam_job_class *job_class, seam_fn *fn, void *arg, int *out_result, int64_t deadline_ns)
{
    struct sm_thread *thread = sm_thread_self();
    if (sm_party_is_cancelled(sm_thread_party(thread))) return -ECANCELED;
    if (deadline_ns > SEAM_NOW) {
        int refused = sm_wait_refused(deadline_ns);
        if (refused < 0) return refused;
    }
    struct block block = {
            .job = {.fn = fn, .run = run_block, .refuse = refuse_block},
            .service = {.fn = fn, .arg = arg, .call = sm_party_call(sm_thread_party(thread))},
    };
    /* Who calls from outside is waited for by nobody: once the job has ended the runtime may be freed. */
    struct seam_runtime *runtime = job_class->runtime;
    sm_runtime_ref(runtime);
    int r = sm_pool_submit(job_class, &block.job, deadline_ns <= SEAM_NOW);
    if (r == 0) r = wait_for_block(&block, deadline_ns);
    sm_runtime_unref(runtime);
    if (r == 0 && out_result != NULL) *out_result = block.service.result;
    return r;
}

/* Only for its deadline: no runtime is started for that. */
static int begin_scope(struct seam_scope *scope, int64_t deadline_ns)
{
    struct sm_thread *thread = sm_enter();
    if (thread == NULL) return -EOWNERDEAD;
    sm_scope_begin_alone(thread, sm_scope_of(scope), deadline_ns);
    sm_leave();
    return 0;
}

/* The caller may block, so there is nothing to cross. */
SEAM_SUSPENDS static int block_here(seam_fn *fn, void *arg, int *out_result, int64_t deadline_ns)
{
    if (seam_cancelled() < 0) return -ECANCELED;
    struct seam_scope scope;
    bool has_scope = deadline_ns > SEAM_NOW && deadline_ns != SEAM_FOREVER;
    int r = has_scope ? sm_wait_refused(deadline_ns) : 0;
    if (r == 0 && has_scope) r = begin_scope(&scope, deadline_ns);
    if (r < 0) return r;

    int result = fn(arg);
    if (has_scope) (void)seam_scope_end(&scope);
    if (out_result != NULL) *out_result = result;
    return 0;
}

/* Has the caller what a job of this class would have to wait for? Inside. */
static bool is_at_home(struct sm_thread *thread, const seam_job_class *job_class)
{
    if (thread->task != NULL) return false;
    return job_class == NULL || job_class == sm_pool_current_class();
}

int seam_block(
        seam_job_class *job_class, seam_fn *fn, void *arg, int *out_result, int64_t deadline_ns)
{
    struct sm_thread *thread = sm_enter();
    if (thread == NULL) return -EOWNERDEAD;
    if (is_at_home(thread, job_class)) {
        sm_leave();
        return block_here(fn, arg, out_result, deadline_ns);
    }
    seam_runtime *own = sm_runtime_current(thread);
    if (job_class == NULL) job_class = sm_pool_class(own->pool, SEAM_JOBS_USER);
    /* Its own tasks may still want to clean up. */
    bool is_welcome = job_class->runtime == own || sm_runtime_is_open(job_class->runtime);
    int r = is_welcome ? block_there(job_class, fn, arg, out_result, deadline_ns)
                       : sm_pool_turn_away(job_class);
    sm_leave();
    return r;
}

/* As block_there(). An errand whose time is over may still begin, if it need not wait for that. */
static int run_errand(
        seam_job_class *job_class, seam_fn *fn, void *arg, int *out_result, int64_t deadline_ns)
{
    struct sm_thread *thread = sm_thread_self();
    if (sm_party_is_cancelled(sm_thread_party(thread))) return -ECANCELED;
    struct block block = {
            .job = {.fn = fn, .run = run_block, .refuse = refuse_block},
            .service = {.fn = fn, .arg = arg, .call = sm_party_call(sm_thread_party(thread))},
            .keeps_deadline = true,
    };
    int refused = sm_wait_refused(deadline_ns);
    int r = sm_pool_submit(job_class, &block.job, refused < 0);
    if (r == -EAGAIN && refused < 0) return refused;
    if (r == 0) r = wait_for_block(&block, refused < 0 ? SEAM_FOREVER : deadline_ns);
    if (r == 0) *out_result = block.service.result;
    return r;
}

int sm_block_errand(
        enum sm_errand which, seam_fn *fn, void *arg, int *out_result, int64_t deadline_ns)
{
    struct sm_thread *thread = sm_enter();
    if (thread == NULL) return -EOWNERDEAD;
    if (thread->task == NULL) {
        sm_leave();
        return block_here(fn, arg, out_result, SEAM_FOREVER);
    }
    seam_job_class *job_class = sm_pool_errands(sm_runtime_current(thread)->pool, which);
    int r = run_errand(job_class, fn, arg, out_result, deadline_ns);
    sm_leave();
    return r;
}

static void run_owned_block(struct sm_job *job)
{
    sm_owned_run(sm_container_of(job, struct sm_owned, job), job->job_class->runtime);
}

static void refuse_owned_block(struct sm_job *job, int r)
{
    sm_owned_run_refused(sm_container_of(job, struct sm_owned, job), r);
}

/* Submit; on error nothing has been taken. */
static int submit_owned(struct sm_owned *owned, seam_job_class *job_class)
{
    if (!sm_runtime_is_open(job_class->runtime)) return sm_pool_turn_away(job_class);
    owned->job = (struct sm_job){
            .fn = owned->service.fn, .run = run_owned_block, .refuse = refuse_owned_block};
    return sm_pool_submit(job_class, &owned->job, false);
}

static int block_owned_there(
        struct sm_owned *owned, seam_job_class *job_class, int *out_result, int64_t deadline_ns)
{
    struct seam_runtime *runtime = job_class->runtime;
    sm_runtime_ref(runtime); /* as in block_there() */
    int r = submit_owned(owned, job_class);
    r = r == 0 ? sm_owned_wait(owned, out_result, deadline_ns, NULL) : sm_owned_refuse(owned, r);
    sm_runtime_unref(runtime);
    return r;
}

/* The class that a job goes to if none is named; starts the default runtime. Inside. */
static int choose_class(seam_job_class **job_class)
{
    if (*job_class != NULL) return 0;
    seam_runtime *runtime = sm_runtime_current(sm_thread_self());
    int r = runtime == NULL ? seam_runtime_default(&runtime) : 0;
    if (r < 0) return r;
    (void)sm_enter(); /* starting the default runtime has left */
    *job_class = sm_pool_class(runtime->pool, SEAM_JOBS_USER);
    return 0;
}

int seam_block_owned(seam_job_class *job_class, seam_fn *fn, void *arg, seam_destroy_fn *destroy,
        int *out_result, int64_t deadline_ns)
{
    struct sm_owned *owned = NULL;
    int r = sm_owned_new(fn, arg, destroy, &owned);
    if (r < 0) return r;

    if (sm_enter() == NULL) return sm_owned_refuse(owned, -EOWNERDEAD);
    r = choose_class(&job_class);
    if (r == 0) r = sm_owned_check(deadline_ns);
    r = r == 0 ? block_owned_there(owned, job_class, out_result, deadline_ns)
               : sm_owned_refuse(owned, r);
    sm_leave();
    return r;
}
