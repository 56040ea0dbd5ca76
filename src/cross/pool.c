/* SPDX-License-Identifier: MIT */
#include "cross/pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "os/os.h"
#include "sched/runtime.h"
#include "task/thread.h"
#include "time/clock.h"

enum { SM_JOB_CLASSES = SEAM_JOBS_CPU + 1 };

/* What a free thread's word says. */
enum { THREAD_FREE, THREAD_ASLEEP, THREAD_CALLED };

/* A thread of the pool; lives in its frame, which stays until the pool ends. */
struct pool_thread {
    struct sm_list link; /* pool->free, while FREE or ASLEEP */
    _Atomic(uint32_t) word;
    struct sm_job *job; /* given with CALLED; NULL: look again */
    struct sm_spin spin;
    struct sm_list in_pool; /* pool->all; this and the rest under the lock */
    bool is_running;
    struct sm_running_job running;
};

struct sm_pool {
    seam_runtime *runtime;
    uint32_t threads_max;
    struct seam_job_class classes[SM_JOB_CLASSES];
    struct sm_lock lock; /* everything below */
    struct sm_list line; /* struct sm_job; empty while a thread is free */
    struct sm_list free; /* struct pool_thread, latest first: its caches are warm */
    struct sm_list all;  /* struct pool_thread */
    uint32_t thread_count;
    bool is_ending;
    bool is_orphan; /* nobody waits for the threads any more: the last one lets the runtime go */
    pthread_t *threads;
    _Atomic(uint32_t) live; /* threads that have not left; written under the lock; a futex */
};

int sm_pool_new(seam_runtime *runtime, uint32_t threads_max, struct sm_pool **out_pool)
{
    struct sm_pool *pool = malloc(sizeof *pool);
    pthread_t *threads = calloc(threads_max, sizeof *threads);
    if (pool == NULL || threads == NULL) {
        free(pool);
        free(threads);
        return -ENOMEM;
    }
    *pool = (struct sm_pool){.runtime = runtime, .threads_max = threads_max, .threads = threads};
    for (int i = 0; i < SM_JOB_CLASSES; i++) {
        pool->classes[i].runtime = runtime;
    }
    sm_list_init(&pool->line);
    sm_list_init(&pool->free);
    sm_list_init(&pool->all);
    *out_pool = pool;
    return 0;
}

static bool spin_for_call(struct pool_thread *self)
{
    if (sm_clock_spins_are_pointless()) return false;
    bool is_called = false;
    for (unsigned left = sm_spin_budget(&self->spin); left > 0 && !is_called; left--) {
        sm_spin_pause();
        /* acquire: pairs with the exchange in call_thread(). It carries the job. */
        is_called = sm_load_acquire(&self->word) == THREAD_CALLED;
    }
    sm_spin_learn(&self->spin, is_called);
    return is_called;
}

static void wait_for_call(struct pool_thread *self)
{
    if (spin_for_call(self)) return;
    sm_spin_slept(&self->spin); /* as it will be: whoever calls is another thread */
    uint32_t word = THREAD_FREE;
    /* acq_rel: pairs with the exchange in call_thread(): who sees that we sleep counts us as busy
     * again, so there is no moment at which a called thread is idle. */
    if (sm_cas_acq_rel(&self->word, &word, THREAD_ASLEEP)) sm_clock_idle();
    /* acquire: pairs with the exchange in call_thread(). It carries the job, also if the CAS failed:
     * it is relaxed then. */
    while (sm_load_acquire(&self->word) != THREAD_CALLED) {
        (void)sm_os.futex_wait(&self->word, THREAD_ASLEEP, INT64_MAX);
    }
}

/* Let a thread that has left pool->free go on. Outside the lock: it may cost a system call. */
static void call_thread(struct pool_thread *thread)
{
    /* acq_rel: pairs with the acquire in wait_for_call(). It carries thread->job. */
    if (sm_exchange_acq_rel(&thread->word, THREAD_CALLED) == THREAD_ASLEEP) {
        sm_clock_busy();
        sm_os.futex_wake(&thread->word, 1);
    }
}

/* thread will run job. Under the lock. */
static void give(struct pool_thread *thread, struct sm_job *job)
{
    job->state = SM_JOB_RUNNING;
    thread->is_running = true;
    thread->running.fn = job->fn;
    thread->running.since_ns = sm_now_ns();
}

/* The next job of the line, or NULL. Under the lock. */
static struct sm_job *take_from_line(struct sm_pool *pool, struct pool_thread *self)
{
    struct sm_list *link = sm_list_first(&pool->line);
    if (link == NULL) return NULL;
    sm_list_remove(link);
    struct sm_job *job = sm_container_of(link, struct sm_job, link);
    give(self, job);
    return job;
}

/* NULL: the pool ends. */
static struct sm_job *next_job(struct sm_pool *pool, struct pool_thread *self)
{
    sm_lock(&pool->lock);
    self->is_running = false;
    struct sm_job *job = take_from_line(pool, self);
    if (job != NULL || pool->is_ending) {
        sm_unlock(&pool->lock);
        return job;
    }
    self->job = NULL;
    sm_store_relaxed(&self->word, THREAD_FREE); /* relaxed: published by the lock */
    sm_list_push_front(&pool->free, &self->link);
    sm_unlock(&pool->lock);

    wait_for_call(self);
    return self->job;
}

static void arrive(struct sm_pool *pool, struct pool_thread *self)
{
    sm_lock(&pool->lock);
    sm_list_push_back(&pool->all, &self->in_pool);
    sm_unlock(&pool->lock);
}

static void leave(struct sm_pool *pool, struct pool_thread *self)
{
    sm_lock(&pool->lock);
    sm_list_remove(&self->in_pool);
    uint32_t left = sm_load_relaxed(&pool->live) - 1; /* relaxed: under the lock */
    sm_store_relaxed(&pool->live, left);              /* relaxed: the ender takes the lock, too */
    bool is_last_orphan = left == 0 && pool->is_orphan;
    /* The ender joins us before it goes on: we may touch the pool until we return. */
    if (!pool->is_orphan) sm_os.futex_wake(&pool->live, 1);
    sm_unlock(&pool->lock);
    if (is_last_orphan) sm_runtime_unref(pool->runtime);
}

static void *pool_main(void *arg)
{
    struct sm_pool *pool = arg;
    char name[24] = "";
    (void)snprintf(name, sizeof name, "%s-pool", pool->runtime->name);
    sm_os_thread_name(name);
    sm_thread_self()->pool_of = pool->runtime;

    struct pool_thread self = {.spin.budget = SM_SPIN_MAX, .running.tid = sm_os_thread_id()};
    arrive(pool, &self);
    struct sm_job *job = NULL;
    while ((job = next_job(pool, &self)) != NULL) {
        job->run(job);
    }
    sm_clock_idle();
    leave(pool, &self);
    return NULL;
}

/* Under the lock. */
static int add_thread(struct sm_pool *pool)
{
    sm_clock_busy();
    int r = sm_os.thread_start(&pool->threads[pool->thread_count], pool_main, pool);
    if (r < 0) {
        sm_clock_idle();
        return r;
    }
    pool->thread_count++;
    sm_store_relaxed(&pool->live, sm_load_relaxed(&pool->live) + 1); /* relaxed: under the lock */
    return 0;
}

/* No thread is free: start one, or else the job must wait for those there are. Under the lock. */
static int line_up(struct sm_pool *pool, struct sm_job *job, bool only_if_free)
{
    bool started = pool->thread_count < pool->threads_max && add_thread(pool) == 0;
    if (!started && pool->thread_count == 0) return -ENOMEM;
    if (!started && only_if_free) return -EAGAIN;
    job->state = SM_JOB_QUEUED;
    sm_list_push_back(&pool->line, &job->link);
    return 0;
}

int sm_pool_submit(struct sm_pool *pool, struct sm_job *job, bool only_if_free)
{
    sm_lock(&pool->lock);
    struct sm_list *link = sm_list_first(&pool->free);
    if (link == NULL) {
        int r = pool->is_ending ? -ESHUTDOWN : line_up(pool, job, only_if_free);
        sm_unlock(&pool->lock);
        return r;
    }
    struct pool_thread *thread = sm_container_of(link, struct pool_thread, link);
    sm_list_remove(link);
    give(thread, job);
    thread->job = job;
    sm_unlock(&pool->lock);
    call_thread(thread);
    return 0;
}

bool sm_pool_withdraw(struct sm_pool *pool, struct sm_job *job)
{
    sm_lock(&pool->lock);
    bool is_queued = job->state == SM_JOB_QUEUED;
    if (is_queued) {
        sm_list_remove(&job->link);
        job->state = SM_JOB_WITHDRAWN;
    }
    sm_unlock(&pool->lock);
    return is_queued;
}

uint32_t sm_pool_thread_count(struct sm_pool *pool)
{
    sm_lock(&pool->lock);
    uint32_t count = pool->thread_count;
    sm_unlock(&pool->lock);
    return count;
}

/* Under the lock. */
static void visit_running(const struct sm_pool *pool, sm_pool_visit_fn *visit, void *arg)
{
    for (struct sm_list *link = pool->all.next; link != &pool->all; link = link->next) {
        const struct pool_thread *thread = sm_container_of(link, struct pool_thread, in_pool);
        if (thread->is_running) visit(arg, &thread->running);
    }
}

void sm_pool_each_running(struct sm_pool *pool, sm_pool_visit_fn *visit, void *arg)
{
    sm_lock(&pool->lock);
    visit_running(pool, visit, arg);
    sm_unlock(&pool->lock);
}

static void count_one(void *arg, const struct sm_running_job *job)
{
    (void)job;
    (*(uint32_t *)arg)++;
}

uint32_t sm_pool_job_count(struct sm_pool *pool)
{
    uint32_t count = 0;
    sm_lock(&pool->lock);
    visit_running(pool, count_one, &count);
    for (struct sm_list *link = pool->line.next; link != &pool->line; link = link->next) {
        count++;
    }
    sm_unlock(&pool->lock);
    return count;
}

uint32_t sm_pool_interrupt(struct sm_pool *pool)
{
    (void)pool;
    return 0;
}

/* Under the lock: call those who wait for a job; there will be none. */
static void call_all(struct sm_pool *pool)
{
    pool->is_ending = true;
    struct sm_list *link = NULL;
    while ((link = sm_list_first(&pool->free)) != NULL) {
        sm_list_remove(link);
        call_thread(sm_container_of(link, struct pool_thread, link));
    }
}

uint32_t sm_pool_end(struct sm_pool *pool, int64_t deadline_ns, sm_pool_visit_fn *visit, void *arg)
{
    sm_lock(&pool->lock);
    call_all(pool);
    sm_unlock(&pool->lock);

    /* The real futex knows no virtual deadline: there we wait for the end of all jobs. */
    if (sm_clock_is_virtual()) deadline_ns = INT64_MAX;
    sm_clock_idle();
    uint32_t left = 0;
    int r = 0;
    /* relaxed: a guess; the lock below carries the rest. */
    while (r == 0 && (left = sm_load_relaxed(&pool->live)) > 0) {
        r = sm_os.futex_wait(&pool->live, left, deadline_ns);
    }
    sm_clock_busy();
    sm_lock(&pool->lock);
    left = sm_load_relaxed(&pool->live); /* relaxed: under the lock */
    pool->is_orphan = left > 0;
    if (left > 0) sm_runtime_ref(pool->runtime);
    uint32_t thread_count = pool->thread_count;
    pool->thread_count = left;
    if (left > 0 && visit != NULL) visit_running(pool, visit, arg);
    sm_unlock(&pool->lock);
    for (uint32_t i = 0; i < thread_count; i++) {
        (void)(left > 0 ? pthread_detach(pool->threads[i]) : pthread_join(pool->threads[i], NULL));
    }
    return left;
}

void sm_pool_free(struct sm_pool *pool)
{
    free(pool->threads);
    free(pool);
}

struct seam_job_class *sm_pool_class(struct sm_pool *pool, enum seam_jobs which)
{
    return &pool->classes[which];
}

seam_job_class *seam_runtime_jobs(seam_runtime *runtime, enum seam_jobs which)
{
    return sm_pool_class(runtime->pool, which);
}
