/* SPDX-License-Identifier: MIT */
/*
 * cross/run.c - runtimes as their users see them: begin, drive, stop, free.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "seam/cross.h"
#include "seam/runtime.h"
#include "seam/scope.h"
#include "seam/sync.h"
#include "seam/time.h"

#include "base/panic.h"
#include "cross/block.h"
#include "cross/pool.h"
#include "sched/runtime.h"
#include "task/scope.h"
#include "task/task.h"
#include "task/wait.h"

enum { BLOCKERS_DEFAULT = 64 };
#define GRACE_DEFAULT_NS SEAM_SECOND

static int build(const struct seam_options *options, bool drive, seam_runtime **out_runtime)
{
    seam_runtime *runtime = NULL;
    int r = sm_runtime_new(options, drive, &runtime);
    if (r < 0) return r;

    uint32_t blockers_max = options != NULL ? options->blockers_max : 0;
    runtime->grace_ns = options != NULL ? options->grace_ns : 0;
    if (runtime->grace_ns == 0) runtime->grace_ns = GRACE_DEFAULT_NS;
    runtime->free_pool = sm_pool_free;
    r = sm_pool_new(runtime, blockers_max != 0 ? blockers_max : BLOCKERS_DEFAULT, &runtime->pool);
    if (r < 0) {
        sm_runtime_discard(runtime);
        return r;
    }
    *out_runtime = runtime;
    return 0;
}

int seam_runtime_new(const struct seam_options *options, seam_runtime **out_runtime)
{
    if (sm_enter() == NULL) return -EOWNERDEAD;
    int r = build(options, false, out_runtime);
    sm_leave();
    return r;
}

/* ---- stopping ---- */

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
    bool is_empty = root->live == 0 && sm_list_is_empty(&root->guests);
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

/* With the stop mutex held: nobody else is here. */
static int stop_alone(seam_runtime *runtime, int64_t deadline_ns)
{
    struct sm_thread *thread = sm_enter();
    if (thread == NULL) return -EOWNERDEAD;
    /* acquire: pairs with the release in sm_runtime_end(). */
    int r = 0;
    if (sm_load_acquire(&runtime->state) != SM_RUNTIME_STOPPED) {
        sm_runtime_refuse(runtime);
        r = wait_until_empty(thread, runtime, deadline_ns);
        if (r == 0) {
            sm_scope_dispose_finished(sm_runtime_root(runtime));
            (void)sm_pool_end(runtime->pool, seam_after(runtime->grace_ns));
            sm_runtime_end(runtime);
        }
    }
    sm_leave();
    return r;
}

struct stop {
    seam_runtime *runtime;
    int64_t deadline_ns;
};

SEAM_SUSPENDS static int stop_as_thread(void *arg)
{
    const struct stop *stop = arg;
    return seam_runtime_stop(stop->runtime, stop->deadline_ns);
}

int seam_runtime_stop(seam_runtime *runtime, int64_t deadline_ns)
{
    if (runtime == NULL) return 0;
    struct sm_thread *thread = sm_enter();
    if (thread == NULL) return -EOWNERDEAD;
    bool inside = is_inside(thread, runtime);
    bool is_task = thread->task != NULL;
    sm_runtime_refuse(runtime); /* whatever becomes of us: the caller may be cancelled */
    sm_leave();
    if (inside) return -EINPROGRESS;
    if (is_task) {
        /* Threads are joined, and perhaps tasks driven: not on a worker's thread. */
        struct stop stop = {.runtime = runtime, .deadline_ns = deadline_ns};
        int result = 0;
        int r = sm_block_errand(SM_ERRAND_STOP, stop_as_thread, &stop, &result);
        return r < 0 ? r : result;
    }
    int r = seam_mutex_lock(&runtime->stop_mutex, deadline_ns);
    if (r < 0) return r;
    r = stop_alone(runtime, deadline_ns);
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

/* ---- running ---- */

struct run {
    const struct seam_options *options;
    seam_fn *fn;
    void *arg;
};

SEAM_SUSPENDS static int run_as_thread(void *arg)
{
    const struct run *run = arg;
    seam_runtime *runtime = NULL;
    int r = build(run->options, true, &runtime);
    if (r < 0) return r;

    int result = 0;
    r = seam_call(runtime, run->fn, run->arg, &result, SEAM_FOREVER);
    /* Whatever has been cancelled, the runtime has to be taken down. */
    struct seam_shield shield;
    seam_shield_begin(&shield);
    (void)seam_runtime_stop(runtime, SEAM_FOREVER);
    seam_shield_end(&shield);
    seam_runtime_free(runtime);
    return r < 0 ? r : result;
}

int seam_run(const struct seam_options *options, seam_fn *fn, void *arg)
{
    struct run run = {.options = options, .fn = fn, .arg = arg};
    int result = 0;
    int r = sm_block_errand(SM_ERRAND_DRIVE, run_as_thread, &run, &result);
    return r < 0 ? r : result;
}

/* ---- the default runtime ---- */

static pthread_once_t default_once = PTHREAD_ONCE_INIT;
static struct sm_lock default_lock;
static seam_runtime *default_runtime;
static bool is_exiting; /* under default_lock */

static void refuse_at_exit(void)
{
    if (sm_os_is_forked_child()) return;
    sm_lock(&default_lock);
    is_exiting = true;
    seam_runtime *runtime = default_runtime;
    sm_unlock(&default_lock);
    if (runtime == NULL) return;
    (void)sm_enter();
    sm_runtime_refuse(runtime);
    sm_leave();
}

static void prepare_default(void)
{
    (void)atexit(refuse_at_exit);
}

int seam_runtime_default(seam_runtime **out_runtime)
{
    if (sm_os_is_forked_child()) return -EOWNERDEAD;
    (void)pthread_once(&default_once, prepare_default);

    sm_lock(&default_lock);
    int r = is_exiting ? -ESHUTDOWN : 0;
    if (r == 0 && default_runtime == NULL) r = build(NULL, false, &default_runtime);
    if (r == 0) *out_runtime = default_runtime;
    sm_unlock(&default_lock);
    return r;
}

/* ---- embedding ---- */

static int check_embedded(struct sm_thread *thread, const seam_runtime *runtime)
{
    if (!runtime->is_current_thread) return -EINVAL;
    /* acquire: pairs with the release in sm_runtime_end(). */
    if (sm_load_acquire(&runtime->state) == SM_RUNTIME_STOPPED) return -ESHUTDOWN;
    if (thread->task != NULL && sm_runtime_current(thread) == runtime) return -EDEADLK;
    return 0;
}

int seam_runtime_fd(seam_runtime *runtime)
{
    if (!runtime->is_current_thread) return -EINVAL;
    /* acquire: pairs with the release in sm_runtime_end(). */
    if (sm_load_acquire(&runtime->state) == SM_RUNTIME_STOPPED) return -ESHUTDOWN;
    return runtime->workers[0].poller.epoll_fd;
}

int seam_runtime_poll(seam_runtime *runtime)
{
    struct sm_thread *thread = sm_enter();
    if (thread == NULL) return -EOWNERDEAD;
    int r = check_embedded(thread, runtime);
    if (r == 0) r = sm_runtime_poll(runtime, thread);
    sm_leave();
    return r;
}

/* ---- small things ---- */

struct seam_scope *seam_runtime_root(seam_runtime *runtime)
{
    return &runtime->root;
}

void seam_runtime_stats_read(seam_runtime *runtime, struct seam_runtime_stats *out_stats)
{
    *out_stats = (struct seam_runtime_stats){};
    /* The locks may have been held when the parent forked. */
    if (sm_os_is_forked_child()) return;
    sm_runtime_stats_read(runtime, out_stats);
    out_stats->blockers = sm_pool_thread_count(runtime->pool);
}
