/* SPDX-License-Identifier: MIT */
#include "cross/pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "seam/time.h"

#include "base/panic.h"
#include "os/os.h"
#include "os/spin.h"
#include "sched/runtime.h"
#include "task/scope.h"
#include "task/thread.h"
#include "time/clock.h"

enum { BUILT_IN = SEAM_JOBS_CPU + 1, OLDEST_EVERY = 8 };

/* How long to wait before a signal is sent again: at first, and at most. */
#define NAG_FIRST_NS SEAM_MILLISECOND
#define NAG_LAST_NS  (10 * SEAM_MILLISECOND)

/* What a free thread's word says. */
enum { THREAD_FREE, THREAD_ASLEEP, THREAD_CALLED };

/* A thread of the pool; lives in its frame, which stays until the pool ends. */
struct sm_pool_thread {
    struct sm_slot slot;
    struct sm_pool *pool;
    int thread_id;
    struct sm_spin spin;
    bool is_on_its_way; /* it has been called and has not looked yet; the thread's own */
    _Atomic(uint32_t) word;
    struct sm_list link;    /* pool->free, while FREE or ASLEEP; under the lock from here on */
    struct sm_list in_pool; /* pool->all */
    struct sm_job *job;     /* only to compare: it may be gone; NULL: none */
    struct seam_job_class *job_class; /* these describe the job */
    seam_fn *fn;
    int64_t begun_ns;
    bool is_waiting;
    bool is_interrupted; /* signals are being sent */
    bool is_abandoned;
    bool may_be_told;         /* the scope is open around the job */
    struct seam_scope around; /* of a job that may be interrupted: cancelled to say why it was */
};

struct sm_pool {
    seam_runtime *runtime;
    uint32_t blockers_max;
    struct seam_job_class built_in[BUILT_IN];
    struct seam_job_class errands[SM_ERRANDS];
    struct sm_lock lock;    /* everything below */
    struct sm_list classes; /* struct seam_job_class.in_pool; without the errands */
    struct sm_list free;    /* struct sm_pool_thread, latest first: its caches are warm */
    struct sm_list all;     /* struct sm_pool_thread.in_pool */
    uint32_t running;       /* jobs that count against blockers_max */
    uint32_t queued;        /* jobs in all lines */
    uint32_t occupied;      /* threads in a job, waiting or not */
    uint32_t waiting;       /* those that wait */
    uint32_t thread_count;
    uint32_t picks;
    bool is_called;      /* a thread is on its way to the line */
    bool is_nagging;     /* an errand for it is in line, or has begun */
    bool has_nag;        /* it has begun */
    bool interrupts_all; /* who may be told is, as soon as he may */
    bool is_ending;
    bool is_orphan; /* nobody waits for the threads any more: the last one lets the runtime go */
    struct sm_job nag;
    _Atomic(uint32_t) nag_ends; /* futex */
    pthread_t *threads;
    _Atomic(uint32_t) live; /* threads that have not left; written under the lock; a futex */
};

/* ---- classes ---- */

static void init_class(struct seam_job_class *job_class, struct sm_pool *pool,
        const struct seam_job_class_options *options)
{
    *job_class = (struct seam_job_class){
            .pool = pool,
            .runtime = pool->runtime,
            .threads_max = options->threads_max != 0 ? options->threads_max : pool->blockers_max,
            .queue_max = options->queue_max != 0 ? options->queue_max : UINT32_MAX,
            .priority = options->priority,
            .is_interruptible = options->interruptible,
    };
    const char *name = options->name != NULL ? options->name : "jobs";
    (void)snprintf(job_class->name, sizeof job_class->name, "%s", name);
    sm_list_init(&job_class->line);
}

static void init_classes(struct sm_pool *pool)
{
    const struct seam_job_class_options built_in[BUILT_IN] = {
            [SEAM_JOBS_USER] = {.name = "user"},
            [SEAM_JOBS_FILES] = {.name = "files"},
            [SEAM_JOBS_NAMES] = {.name = "names"},
            [SEAM_JOBS_CPU] = {.name = "cpu"},
    };
    for (int i = 0; i < BUILT_IN; i++) {
        init_class(&pool->built_in[i], pool, &built_in[i]);
        sm_list_push_back(&pool->classes, &pool->built_in[i].in_pool);
    }
    pool->built_in[SEAM_JOBS_CPU].threads_max = 0; /* asked when it is first needed */
    const struct seam_job_class_options errands[SM_ERRANDS] = {
            [SM_ERRAND_STOP] = {.name = "stop", .threads_max = SM_POOL_STOPS_MAX},
            [SM_ERRAND_DRIVE] = {.name = "drive", .threads_max = 2 * pool->blockers_max + 32},
    };
    for (int i = 0; i < SM_ERRANDS; i++) {
        init_class(&pool->errands[i], pool, &errands[i]);
        pool->errands[i].is_private = true;
    }
}

int sm_pool_new(seam_runtime *runtime, uint32_t blockers_max, struct sm_pool **out_pool)
{
    struct sm_pool *pool = malloc(sizeof *pool);
    pthread_t *threads = calloc(SM_POOL_THREADS_MAX(blockers_max), sizeof *threads);
    if (pool == NULL || threads == NULL) {
        free(pool);
        free(threads);
        return -ENOMEM;
    }
    *pool = (struct sm_pool){.runtime = runtime, .blockers_max = blockers_max, .threads = threads};
    sm_list_init(&pool->classes);
    sm_list_init(&pool->free);
    sm_list_init(&pool->all);
    init_classes(pool);
    *out_pool = pool;
    return 0;
}

static bool is_built_in(const struct sm_pool *pool, const struct seam_job_class *job_class)
{
    return job_class >= pool->built_in && job_class < pool->built_in + BUILT_IN;
}

void sm_pool_free(struct sm_pool *pool)
{
    struct sm_list *link = NULL;
    while ((link = sm_list_first(&pool->classes)) != NULL) {
        sm_list_remove(link);
        struct seam_job_class *job_class = sm_container_of(link, struct seam_job_class, in_pool);
        if (!is_built_in(pool, job_class)) free(job_class);
    }
    free(pool->threads);
    free(pool);
}

struct seam_job_class *sm_pool_class(struct sm_pool *pool, enum seam_jobs which)
{
    return &pool->built_in[which];
}

struct seam_job_class *sm_pool_errands(struct sm_pool *pool, enum sm_errand which)
{
    return &pool->errands[which];
}

/* ---- which job is next; all of this under the lock ---- */

static bool may_run_one_more(const struct seam_job_class *job_class, uint32_t running, uint32_t all)
{
    if (running >= job_class->threads_max) return false;
    return job_class->is_private || running == 0 || all < job_class->pool->blockers_max;
}

/* Jobs of a class that count against its threads_max. */
static uint32_t busy_count(const struct seam_job_class *job_class)
{
    const struct seam_job_stats *stats = &job_class->stats;
    /* An errand's thread is gone for as long as it waits: it drives, or joins threads. */
    return stats->running + (job_class->is_private ? stats->waiting : 0);
}

static bool may_begin(const struct seam_job_class *job_class)
{
    const struct seam_job_stats *stats = &job_class->stats;
    if (stats->queued == 0) return false;
    return may_run_one_more(job_class, busy_count(job_class), job_class->pool->running);
}

static int64_t oldest_ns(const struct seam_job_class *job_class)
{
    return sm_container_of(job_class->line.next, struct sm_job, link)->queued_ns;
}

static bool is_before(
        const struct seam_job_class *a, const struct seam_job_class *b, bool by_age_only)
{
    if (b == NULL) return true;
    if (!by_age_only && a->priority != b->priority) return a->priority > b->priority;
    return oldest_ns(a) < oldest_ns(b);
}

/* The class to take the next job from, or NULL. */
static struct seam_job_class *next_class(struct sm_pool *pool)
{
    if (pool->queued == 0) return NULL;
    for (int i = 0; i < SM_ERRANDS; i++) {
        if (may_begin(&pool->errands[i])) return &pool->errands[i];
    }
    bool by_age_only = pool->picks % OLDEST_EVERY == OLDEST_EVERY - 1;
    struct seam_job_class *next = NULL;
    for (struct sm_list *link = pool->classes.next; link != &pool->classes; link = link->next) {
        struct seam_job_class *one = sm_container_of(link, struct seam_job_class, in_pool);
        if (may_begin(one) && is_before(one, next, by_age_only)) next = one;
    }
    return next;
}

static void remove_from_line(struct sm_job *job)
{
    sm_list_remove(&job->link);
    job->job_class->stats.queued--;
    job->job_class->pool->queued--;
}

static void count_running(struct seam_job_class *job_class, int change)
{
    job_class->stats.running += (uint32_t)change;
    if (!job_class->is_private) job_class->pool->running += (uint32_t)change;
}

static struct sm_job *take_job(struct sm_pool *pool, struct sm_pool_thread *self)
{
    struct seam_job_class *job_class = next_class(pool);
    if (job_class == NULL) return NULL;
    pool->picks++;
    struct sm_list *first = sm_list_first(&job_class->line);
    sm_assert(first != NULL); /* which is why it was chosen */
    struct sm_job *job = sm_container_of(first, struct sm_job, link);
    remove_from_line(job);
    count_running(job_class, 1);
    pool->occupied++;
    job->state = SM_JOB_RUNNING;
    self->job = job;
    self->job_class = job_class;
    self->fn = job->fn;
    self->begun_ns = sm_now_ns();
    int64_t waited_ns = self->begun_ns - job->queued_ns;
    if (waited_ns > job_class->stats.longest_wait_ns) job_class->stats.longest_wait_ns = waited_ns;
    return job;
}

static void drop_job(struct sm_pool *pool, struct sm_pool_thread *self)
{
    count_running(self->job_class, -1);
    self->job_class->stats.done++;
    pool->occupied--;
    self->job = NULL;
    self->is_interrupted = false;
    self->is_abandoned = false;
}

/* Take all that is queued out of its line, and onto refused. Under the lock. */
static void empty_line(struct seam_job_class *job_class, struct sm_list *refused)
{
    struct sm_list *link = NULL;
    while ((link = sm_list_first(&job_class->line)) != NULL) {
        struct sm_job *job = sm_container_of(link, struct sm_job, link);
        remove_from_line(job);
        job->state = SM_JOB_WITHDRAWN;
        job_class->stats.refused++;
        sm_list_push_back(refused, &job->link);
    }
}

static void refuse_queued(struct sm_pool *pool, struct sm_list *refused)
{
    for (int i = 0; i < SM_ERRANDS; i++) {
        empty_line(&pool->errands[i], refused);
    }
    for (struct sm_list *link = pool->classes.next; link != &pool->classes; link = link->next) {
        empty_line(sm_container_of(link, struct seam_job_class, in_pool), refused);
    }
}

/* Outside the lock. */
static void refuse_all(struct sm_list *refused, int r)
{
    struct sm_list *link = NULL;
    while ((link = sm_list_first(refused)) != NULL) {
        sm_list_remove(link);
        struct sm_job *job = sm_container_of(link, struct sm_job, link);
        job->refuse(job, r);
    }
}

/* ---- threads ---- */

static bool is_called(struct sm_pool_thread *self)
{
    /* acquire: pairs with the exchange in call_thread(). */
    return sm_load_acquire(&self->word) == THREAD_CALLED;
}

static bool spin_for_call(struct sm_pool_thread *self)
{
    if (sm_clock_spins_are_pointless()) return false;
    bool found = false;
    for (unsigned left = sm_spin_budget(&self->spin); left > 0 && !found; left--) {
        sm_spin_pause();
        found = is_called(self);
    }
    sm_spin_learn(&self->spin, found);
    return found;
}

static void wait_for_call(struct sm_pool_thread *self)
{
    if (spin_for_call(self)) return;
    sm_spin_slept(&self->spin); /* as it will be: whoever calls is another thread */
    uint32_t word = THREAD_FREE;
    /* acq_rel: pairs with the exchange in call_thread(): who sees that we sleep counts us as busy
     * again, so there is no moment at which a called thread is idle. */
    if (sm_cas_acq_rel(&self->word, &word, THREAD_ASLEEP)) sm_clock_idle();
    while (!is_called(self)) {
        (void)sm_os.futex_wait(&self->word, THREAD_ASLEEP, INT64_MAX);
    }
}

/* Let a thread that has left pool->free go on; NULL is fine. Outside the lock: it may cost a system
 * call. */
static void call_thread(struct sm_pool_thread *thread)
{
    if (thread == NULL) return;
    /* acq_rel: pairs with the acquire in is_called() and the CAS in wait_for_call(). What the thread
     * is to find is under the lock. */
    if (sm_exchange_acq_rel(&thread->word, THREAD_CALLED) == THREAD_ASLEEP) {
        sm_clock_busy();
        sm_os.futex_wake(&thread->word, 1);
    }
}

static void *pool_main(void *arg);

/* Under the lock. */
static bool has_enough_threads(const struct sm_pool *pool)
{
    uint32_t max = SM_POOL_THREADS_MAX(pool->blockers_max);
    if (pool->errands[SM_ERRAND_STOP].stats.queued == 0) max -= SM_POOL_STOPS_MAX;
    return pool->thread_count >= max;
}

/* Under the lock. An error where there are enough, or the system has none. */
static int add_thread(struct sm_pool *pool)
{
    if (has_enough_threads(pool)) return -EAGAIN;
    sm_clock_busy();
    int r = sm_thread_start(&pool->threads[pool->thread_count], pool_main, pool);
    if (r < 0) {
        sm_clock_idle();
        return r;
    }
    pool->thread_count++;
    sm_store_relaxed(&pool->live, sm_load_relaxed(&pool->live) + 1); /* relaxed: under the lock */
    return 0;
}

/* If a job may begin and nobody is on the way to it: start a thread, or return one for the caller to
 * call. Under the lock. */
static struct sm_pool_thread *summon(struct sm_pool *pool)
{
    if (pool->is_called || pool->is_ending || next_class(pool) == NULL) return NULL;
    struct sm_list *link = sm_list_first(&pool->free);
    if (link == NULL) {
        pool->is_called = add_thread(pool) == 0;
        return NULL;
    }
    sm_list_remove(link);
    pool->is_called = true;
    return sm_container_of(link, struct sm_pool_thread, link);
}

/* After summon(): might a job begin, but there is no thread to take it? All wait, perhaps for that
 * very job, and the system has no more. Under the lock. */
static bool is_stuck(struct sm_pool *pool)
{
    return pool->waiting == pool->thread_count && !pool->is_called && !has_enough_threads(pool)
            && next_class(pool) != NULL;
}

/* NULL: there is none, and the thread is on the list of free ones, unless the pool ends. */
static struct sm_job *look_for_job(
        struct sm_pool *pool, struct sm_pool_thread *self, bool *out_is_ending)
{
    sm_lock(&pool->lock);
    bool was_interrupted = self->is_interrupted;
    if (self->job != NULL) drop_job(pool, self);
    if (self->is_on_its_way) pool->is_called = false;
    self->is_on_its_way = false;
    struct sm_job *job = take_job(pool, self);
    *out_is_ending = pool->is_ending;
    if (job == NULL && !pool->is_ending) {
        sm_store_relaxed(&self->word, THREAD_FREE); /* relaxed: published by the lock */
        sm_list_push_front(&pool->free, &self->link);
    }
    struct sm_pool_thread *next = summon(pool);
    sm_unlock(&pool->lock);
    call_thread(next);
    /* Signals that have been sent arrive at the latest when this system call returns, before the next
     * job; no more are sent. */
    if (was_interrupted) (void)sched_yield();
    return job;
}

/* NULL: the pool ends. */
static struct sm_job *next_job(struct sm_pool *pool, struct sm_pool_thread *self)
{
    struct sm_job *job = NULL;
    bool is_ending = false;
    while ((job = look_for_job(pool, self, &is_ending)) == NULL && !is_ending) {
        wait_for_call(self);
        self->is_on_its_way = true;
    }
    return job;
}

static void leave(struct sm_pool *pool, struct sm_pool_thread *self)
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

static void lend_slot(struct sm_slot *slot)
{
    struct sm_pool_thread *self = sm_container_of(slot, struct sm_pool_thread, slot);
    struct sm_pool *pool = self->pool;
    sm_lock(&pool->lock);
    count_running(self->job_class, -1);
    self->job_class->stats.waiting++;
    pool->waiting++;
    self->is_waiting = true;
    struct sm_pool_thread *next = summon(pool);
    struct sm_list refused;
    sm_list_init(&refused);
    if (is_stuck(pool)) refuse_queued(pool, &refused);
    sm_unlock(&pool->lock);
    call_thread(next);
    refuse_all(&refused, -ENOMEM);
}

static void reclaim_slot(struct sm_slot *slot)
{
    struct sm_pool_thread *self = sm_container_of(slot, struct sm_pool_thread, slot);
    sm_lock(&self->pool->lock);
    count_running(self->job_class, 1);
    self->job_class->stats.waiting--;
    self->pool->waiting--;
    self->is_waiting = false;
    sm_unlock(&self->pool->lock);
}

struct seam_job_class *sm_pool_current_class(void)
{
    struct sm_thread *thread = sm_thread_self();
    if (thread->task != NULL || thread->slot == NULL) return NULL;
    return sm_container_of(thread->slot, struct sm_pool_thread, slot)->job_class;
}

/* ---- submitting ---- */

/* Would a job begin at once, without waiting in line? Starts a thread for it if there is none. Under
 * the lock. */
static bool is_free(struct seam_job_class *job_class)
{
    struct sm_pool *pool = job_class->pool;
    uint32_t before = busy_count(job_class) + job_class->stats.queued;
    if (!may_run_one_more(job_class, before, pool->running + pool->queued)) return false;
    if (pool->thread_count - pool->occupied > pool->queued) return true;
    if (add_thread(pool) < 0) return false;
    pool->is_called = true; /* that it is on its way, or summon() would start another */
    return true;
}

/* How many more jobs of a class could run now. Under the lock. */
static uint32_t room_for(const struct seam_job_class *job_class)
{
    const struct sm_pool *pool = job_class->pool;
    uint32_t running = job_class->stats.running;
    uint32_t in_class = running < job_class->threads_max ? job_class->threads_max - running : 0;
    uint32_t in_pool = running == 0 ? 1 : 0;
    if (pool->running < pool->blockers_max) in_pool = pool->blockers_max - pool->running;
    return in_class < in_pool ? in_class : in_pool;
}

/* Those who are on their way to a thread do not count. */
static bool is_line_full(const struct seam_job_class *job_class)
{
    return job_class->stats.queued >= (uint64_t)room_for(job_class) + job_class->queue_max;
}

static int check_submission(struct seam_job_class *job_class, bool only_if_free)
{
    if (job_class->pool->is_ending) return -ESHUTDOWN;
    if (is_line_full(job_class)) return -EAGAIN;
    if (!only_if_free || is_free(job_class)) return 0;
    return job_class->pool->thread_count == 0 ? -ENOMEM : -EAGAIN;
}

static int line_up(
        struct seam_job_class *job_class, struct sm_job *job, struct sm_pool_thread **out_called)
{
    struct sm_pool *pool = job_class->pool;
    job->job_class = job_class;
    job->state = SM_JOB_QUEUED;
    job->queued_ns = sm_now_ns();
    sm_list_push_back(&job_class->line, &job->link);
    job_class->stats.queued++;
    pool->queued++;
    *out_called = summon(pool);
    if (!is_stuck(pool)) return 0;
    remove_from_line(job);
    return -ENOMEM;
}

int sm_pool_submit(struct seam_job_class *job_class, struct sm_job *job, bool only_if_free)
{
    struct sm_pool *pool = job_class->pool;
    struct sm_pool_thread *called = NULL;
    sm_lock(&pool->lock);
    if (job_class->threads_max == 0) job_class->threads_max = sm_os_cpu_count();
    int r = check_submission(job_class, only_if_free);
    if (r == 0) r = line_up(job_class, job, &called);
    if (r < 0) job_class->stats.refused++;
    sm_unlock(&pool->lock);
    call_thread(called);
    return r;
}

int sm_pool_turn_away(struct seam_job_class *job_class)
{
    sm_lock(&job_class->pool->lock);
    job_class->stats.refused++;
    sm_unlock(&job_class->pool->lock);
    return -ESHUTDOWN;
}

bool sm_pool_withdraw(struct sm_job *job)
{
    struct sm_pool *pool = job->job_class->pool;
    sm_lock(&pool->lock);
    bool is_queued = job->state == SM_JOB_QUEUED;
    if (is_queued) {
        remove_from_line(job);
        job->state = SM_JOB_WITHDRAWN;
        job->job_class->stats.withdrawn++;
    }
    sm_unlock(&pool->lock);
    return is_queued;
}

/* ---- interrupting ---- */

/* Remind those that have been interrupted; false if there are none. Under the lock. */
static bool remind_all(struct sm_pool *pool)
{
    bool is_any = false;
    for (struct sm_list *link = pool->all.next; link != &pool->all; link = link->next) {
        struct sm_pool_thread *thread = sm_container_of(link, struct sm_pool_thread, in_pool);
        if (!thread->is_interrupted) continue;
        sm_os_interrupt(thread->thread_id);
        is_any = true;
    }
    return is_any;
}

/* An errand, under way while there is anybody to be reminded. The pool's end has its own loop. */
static void nag(struct sm_job *job)
{
    struct sm_pool *pool = sm_container_of(job, struct sm_pool, nag);
    int64_t nap_ns = NAG_FIRST_NS;
    for (;;) {
        sm_lock(&pool->lock);
        bool goes_on = !pool->is_ending && remind_all(pool);
        pool->is_nagging = pool->has_nag = goes_on;
        sm_unlock(&pool->lock);
        if (!goes_on) return;
        /* On virtual time this does not wait: a thread in a system call keeps the clock from moving. */
        (void)sm_os.futex_wait(&pool->nag_ends, 0, sm_now_ns() + nap_ns);
        if (nap_ns < NAG_LAST_NS) nap_ns *= 2;
    }
}

static void stop_nagging(struct sm_pool *pool)
{
    sm_lock(&pool->lock);
    pool->is_nagging = false;
    sm_unlock(&pool->lock);
}

static void refuse_nag(struct sm_job *job, int r)
{
    (void)r;
    stop_nagging(sm_container_of(job, struct sm_pool, nag));
}

/* Have the thread's system calls return; true if the caller has to call start_nag() afterwards. Under
 * the lock. */
static bool interrupt(struct sm_pool *pool, struct sm_pool_thread *thread)
{
    if (!thread->job_class->is_interruptible) return false;
    thread->is_interrupted = true;
    sm_os_interrupt(thread->thread_id);
    if (pool->is_nagging || pool->is_ending) return false;
    pool->is_nagging = true;
    return true;
}

static void start_nag(struct sm_pool *pool)
{
    pool->nag = (struct sm_job){.run = nag, .refuse = refuse_nag};
    if (sm_pool_submit(&pool->errands[SM_ERRAND_STOP], &pool->nag, false) < 0) stop_nagging(pool);
}

/* The thread that runs job; NULL: it has ended, and its thread may have gone, too. Under the lock. */
static struct sm_pool_thread *thread_of(struct sm_pool *pool, const struct sm_job *job)
{
    for (struct sm_list *link = pool->all.next; link != &pool->all; link = link->next) {
        struct sm_pool_thread *thread = sm_container_of(link, struct sm_pool_thread, in_pool);
        if (thread->job == job) return thread;
    }
    return NULL;
}

void sm_pool_interrupt(struct sm_job *job, bool is_abandoned)
{
    struct sm_pool *pool = job->job_class->pool;
    bool must_nag = false;
    sm_lock(&pool->lock);
    struct sm_pool_thread *thread = thread_of(pool, job);
    if (thread != NULL) {
        thread->is_abandoned = is_abandoned;
        if (is_abandoned) job->job_class->stats.abandoned++;
        must_nag = interrupt(pool, thread);
    }
    sm_unlock(&pool->lock);
    if (must_nag) start_nag(pool);
}

int64_t sm_pool_remind(struct sm_job *job)
{
    struct sm_pool *pool = job->job_class->pool;
    struct sm_pool_thread *called = NULL;
    sm_lock(&pool->lock);
    const struct sm_pool_thread *thread = thread_of(pool, job);
    bool is_alone = thread != NULL && thread->is_interrupted && !pool->has_nag;
    if (is_alone) {
        sm_os_interrupt(thread->thread_id);
        called = summon(pool); /* for the nag, which may have better luck now */
    }
    sm_unlock(&pool->lock);
    call_thread(called);
    return is_alone ? sm_now_ns() + NAG_LAST_NS : INT64_MAX;
}

/* Likewise, and have what it waits for in seam say why. */
static bool tell(struct sm_pool *pool, struct sm_pool_thread *thread)
{
    sm_scope_cancel(sm_scope_of(&thread->around));
    return interrupt(pool, thread);
}

uint32_t sm_pool_interrupt_all(struct sm_pool *pool)
{
    bool must_nag = false;
    uint32_t count = 0;
    sm_lock(&pool->lock);
    pool->interrupts_all = true;
    for (struct sm_list *link = pool->all.next; link != &pool->all; link = link->next) {
        struct sm_pool_thread *thread = sm_container_of(link, struct sm_pool_thread, in_pool);
        bool has_job = thread->job != NULL && thread->job_class->is_interruptible;
        if (!has_job || thread->is_interrupted) continue;
        if (thread->may_be_told && tell(pool, thread)) must_nag = true;
        count++;
    }
    sm_unlock(&pool->lock);
    if (must_nag) start_nag(pool);
    return count;
}

/* ---- running jobs ---- */

static void begin_being_told(struct sm_pool_thread *self)
{
    struct sm_pool *pool = self->pool;
    sm_lock(&pool->lock);
    self->may_be_told = true;
    bool must_nag = pool->interrupts_all && tell(pool, self);
    sm_unlock(&pool->lock);
    if (must_nag) start_nag(pool);
}

static void end_being_told(struct sm_pool_thread *self)
{
    sm_lock(&self->pool->lock);
    self->may_be_told = false;
    sm_unlock(&self->pool->lock);
}

/* In a scope of ours, since the job's own is in its client's hands. */
static void run_told(struct sm_pool_thread *self, struct sm_job *job)
{
    struct sm_scope *around = sm_scope_of(&self->around);
    struct sm_scope *root = sm_runtime_root(self->pool->runtime);
    struct sm_party *party = sm_thread_party(sm_thread_self());
    (void)sm_enter();
    (void)sm_scope_open(around, party, root, SM_SCOPE_UNCOUNTED, NULL);
    sm_leave();
    begin_being_told(self);
    job->run(job);
    end_being_told(self);
    (void)sm_enter(); /* no forked child comes here: sm_service_run() has stopped it */
    (void)sm_scope_close(around, party, root);
    sm_leave();
}

static void *pool_main(void *arg)
{
    struct sm_pool *pool = arg;
    struct sm_thread *thread = sm_thread_begin();
    char name[24] = "";
    (void)snprintf(name, sizeof name, "%s-pool", pool->runtime->name);
    sm_os_thread_name(name);
    /* A cancellation would strike in a job, and take frames with it that its client waits for. */
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);

    struct sm_pool_thread self = {
            .slot = {.lend = lend_slot, .reclaim = reclaim_slot},
            .pool = pool,
            .thread_id = sm_os_thread_id(),
            .spin.budget = SM_SPIN_MAX / 4,
            .is_on_its_way = true,
    };
    sm_list_init(&self.link);
    sm_lock(&pool->lock);
    sm_list_push_back(&pool->all, &self.in_pool);
    sm_unlock(&pool->lock);
    thread->pool_of = pool->runtime;
    thread->slot = &self.slot;
    struct sm_job *job = NULL;
    while ((job = next_job(pool, &self)) != NULL) {
        if (self.job_class->is_interruptible) {
            run_told(&self, job);
        } else {
            job->run(job);
        }
    }
    thread->slot = NULL;
    sm_clock_idle();
    leave(pool, &self);
    sm_thread_end();
    return NULL;
}

/* ---- the end ---- */

/* Nothing is begun from here on. What is queued belongs to clients from outside the runtime: its
 * own tasks have ended. */
static void begin_end(struct sm_pool *pool)
{
    struct sm_list refused;
    sm_list_init(&refused);
    sm_lock(&pool->lock);
    pool->is_ending = true;
    refuse_queued(pool, &refused);
    struct sm_list *link = NULL;
    while ((link = sm_list_first(&pool->free)) != NULL) {
        sm_list_remove(link);
        call_thread(sm_container_of(link, struct sm_pool_thread, link));
    }
    bool is_nagging = pool->is_nagging;
    sm_unlock(&pool->lock);
    sm_store_relaxed(&pool->nag_ends, 1); /* relaxed: the nag looks at is_ending under the lock */
    if (is_nagging) sm_os.futex_wake(&pool->nag_ends, 1);
    refuse_all(&refused, -ESHUTDOWN);
}

/* Wait until the threads have left, or deadline_ns; remind those who have been interrupted. */
static void wait_for_threads(struct sm_pool *pool, int64_t deadline_ns)
{
    uint32_t left = 0;
    int64_t nap_ns = NAG_FIRST_NS;
    int r = 0;
    /* relaxed: a guess; the caller looks again under the lock. */
    while (r == 0 && (left = sm_load_relaxed(&pool->live)) > 0) {
        sm_lock(&pool->lock);
        bool must_nag = remind_all(pool) && !sm_clock_is_virtual();
        sm_unlock(&pool->lock);
        int64_t next_ns = must_nag ? sm_now_ns() + nap_ns : INT64_MAX;
        if (nap_ns < NAG_LAST_NS) nap_ns *= 2;
        bool is_last = deadline_ns <= next_ns;
        r = sm_os.futex_wait(&pool->live, left, is_last ? deadline_ns : next_ns);
        if (!is_last) r = 0;
    }
}

uint32_t sm_pool_end(struct sm_pool *pool, int64_t grace_ns)
{
    begin_end(pool);
    /* The real futex knows no virtual deadline: there we wait for the end of all jobs. */
    bool is_virtual = sm_clock_is_virtual();
    sm_clock_idle();
    wait_for_threads(pool, is_virtual ? INT64_MAX : seam_after(grace_ns));
    if (sm_pool_interrupt_all(pool) > 0) wait_for_threads(pool, seam_after(grace_ns));
    sm_clock_busy();

    sm_lock(&pool->lock);
    uint32_t left = sm_load_relaxed(&pool->live); /* relaxed: under the lock */
    pool->is_orphan = left > 0;
    if (left > 0) sm_runtime_ref(pool->runtime);
    uint32_t thread_count = pool->thread_count;
    pool->thread_count = left;
    sm_unlock(&pool->lock);
    for (uint32_t i = 0; i < thread_count; i++) {
        (void)(left > 0 ? pthread_detach(pool->threads[i]) : pthread_join(pool->threads[i], NULL));
    }
    return left;
}

/* ---- looking at it ---- */

uint32_t sm_pool_thread_count(struct sm_pool *pool)
{
    sm_lock(&pool->lock);
    uint32_t count = pool->thread_count;
    sm_unlock(&pool->lock);
    return count;
}

uint32_t sm_pool_job_count(struct sm_pool *pool)
{
    uint32_t count = 0;
    sm_lock(&pool->lock);
    for (struct sm_list *link = pool->classes.next; link != &pool->classes; link = link->next) {
        const struct seam_job_stats *stats =
                &sm_container_of(link, struct seam_job_class, in_pool)->stats;
        count += stats->queued + stats->running + stats->waiting;
    }
    sm_unlock(&pool->lock);
    return count;
}

uint32_t sm_pool_jobs(struct sm_pool *pool, struct sm_pool_job *out_jobs, uint32_t max)
{
    uint32_t count = 0;
    sm_lock(&pool->lock);
    /* Not earlier: who has just begun would be younger than nothing. */
    int64_t now_ns = sm_now_ns();
    for (struct sm_list *link = pool->all.next; link != &pool->all; link = link->next) {
        const struct sm_pool_thread *one = sm_container_of(link, struct sm_pool_thread, in_pool);
        if (one->job == NULL || one->job_class->is_private) continue;
        if (count++ >= max) continue;
        struct sm_pool_job *job = &out_jobs[count - 1];
        *job = (struct sm_pool_job){
                .fn = one->fn,
                .age_ns = now_ns - one->begun_ns,
                .thread_id = one->thread_id,
                .is_waiting = one->is_waiting,
                .is_abandoned = one->is_abandoned,
        };
        (void)snprintf(job->class_name, sizeof job->class_name, "%s", one->job_class->name);
    }
    sm_unlock(&pool->lock);
    return count;
}

/* ---- for users ---- */

seam_job_class *seam_runtime_jobs(seam_runtime *runtime, enum seam_jobs which)
{
    return sm_pool_class(runtime->pool, which);
}

static int check_options(const struct seam_job_class_options *options)
{
    if (options->threads_max > 65536) return -EINVAL;
    for (size_t i = 0; i < sizeof options->reserved / sizeof options->reserved[0]; i++) {
        if (options->reserved[i] != 0) return -EINVAL;
    }
    return 0;
}

int seam_job_class_new(seam_runtime *runtime, const struct seam_job_class_options *options,
        seam_job_class **out_class)
{
    if (sm_os_is_forked_child()) return -EOWNERDEAD;
    static const struct seam_job_class_options defaults;
    if (options == NULL) options = &defaults;
    int r = check_options(options);
    if (r < 0) return r;
    if (!sm_runtime_is_open(runtime)) return -ESHUTDOWN;

    struct seam_job_class *job_class = malloc(sizeof *job_class);
    if (job_class == NULL) return -ENOMEM;
    if (options->interruptible) sm_os_interrupt_prepare();
    struct sm_pool *pool = runtime->pool;
    init_class(job_class, pool, options);
    sm_lock(&pool->lock);
    sm_list_push_back(&pool->classes, &job_class->in_pool);
    sm_unlock(&pool->lock);
    *out_class = job_class;
    return 0;
}

void seam_job_class_stats_read(seam_job_class *job_class, struct seam_job_stats *out_stats)
{
    *out_stats = (struct seam_job_stats){};
    /* The lock may have been held when the parent forked. */
    if (sm_os_is_forked_child()) return;
    struct sm_pool *pool = job_class->pool;
    int64_t now_ns = sm_now_ns();
    sm_lock(&pool->lock);
    *out_stats = job_class->stats;
    if (job_class->stats.queued > 0) out_stats->oldest_wait_ns = now_ns - oldest_ns(job_class);
    sm_unlock(&pool->lock);
    if (out_stats->oldest_wait_ns < 0) out_stats->oldest_wait_ns = 0; /* it came after we looked */
}
