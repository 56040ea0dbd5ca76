/* SPDX-License-Identifier: MIT */
/*
 * cross/run.c - runtimes as their users see them: begin, run, drive. Their end is in cross/stop.c.
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
    (void)seam_runtime_stop(runtime, NULL, SEAM_FOREVER);
    seam_shield_end(&shield);
    seam_runtime_free(runtime);
    return r < 0 ? r : result;
}

int seam_run(const struct seam_options *options, seam_fn *fn, void *arg)
{
    struct run run = {.options = options, .fn = fn, .arg = arg};
    int result = 0;
    int r = sm_block_errand(SM_ERRAND_DRIVE, run_as_thread, &run, &result, SEAM_FOREVER);
    return r < 0 ? r : result;
}

/* ---- the default runtime ----
 *
 *     NONE <---> BUILDING ---> READY ---> CLOSED
 *
 *   from       to         by                       who
 *   NONE       BUILDING   seam_runtime_default()   the first who needs it; others wait for the outcome
 *   BUILDING   READY      build_default()          the same thread: default_runtime is set, for good
 *   BUILDING   NONE       build_default()          the same thread, to whom it was refused: the next
 *                                                  who needs it tries again
 *   NONE,      CLOSED     refuse_at_exit()         the thread in exit(), having waited for who builds
 *   READY
 *
 * A child forked meanwhile finds any of these, with nobody to finish: it never looks, since the parent
 * was marked first.
 */

enum default_state { DEFAULT_NONE, DEFAULT_BUILDING, DEFAULT_READY, DEFAULT_CLOSED };

static pthread_once_t default_once = PTHREAD_ONCE_INIT;
static _Atomic(uint32_t) default_state; /* enum default_state; futex */
static seam_runtime *default_runtime;   /* written while BUILDING, by who builds */

/* The state, once nobody is building. */
static uint32_t settled_state(void)
{
    uint32_t state = 0;
    /* acquire: pairs with the release in settle(). It carries default_runtime. */
    while ((state = sm_load_acquire(&default_state)) == DEFAULT_BUILDING) {
        (void)sm_os.futex_wait(&default_state, DEFAULT_BUILDING, INT64_MAX);
    }
    return state;
}

static void settle(uint32_t state)
{
    /* release: pairs with the acquire in settled_state(). It carries default_runtime. */
    sm_store_release(&default_state, state);
    sm_os.futex_wake(&default_state, INT32_MAX);
}

static int build_default(void)
{
    int r = build(NULL, false, &default_runtime);
    settle(r == 0 ? DEFAULT_READY : DEFAULT_NONE);
    return r;
}

static void refuse_at_exit(void)
{
    if (sm_os_is_forked_child()) return;
    uint32_t state = DEFAULT_NONE;
    /* acq_rel: pairs with the CAS in seam_runtime_default(): one of them is first. */
    while (state != DEFAULT_CLOSED && !sm_cas_acq_rel(&default_state, &state, DEFAULT_CLOSED)) {
        state = settled_state();
    }
    if (state != DEFAULT_READY) return;
    (void)sm_enter();
    sm_runtime_refuse(default_runtime);
    sm_leave();
}

static void prepare_default(void)
{
    sm_os_mark_parent();
    (void)atexit(refuse_at_exit);
}

int seam_runtime_default(seam_runtime **out_runtime)
{
    if (sm_os_is_forked_child()) return -EOWNERDEAD;
    (void)pthread_once(&default_once, prepare_default);

    uint32_t state = settled_state();
    /* acq_rel: pairs with itself and with the CAS in refuse_at_exit(): one is first. */
    while (state == DEFAULT_NONE && !sm_cas_acq_rel(&default_state, &state, DEFAULT_BUILDING)) {
        state = settled_state();
    }
    if (state == DEFAULT_CLOSED) return -ESHUTDOWN;
    int r = state == DEFAULT_NONE ? build_default() : 0;
    if (r == 0) *out_runtime = default_runtime;
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
    /* The lock may have been held when the parent forked. */
    return sm_os_is_forked_child() ? -EOWNERDEAD : sm_runtime_fd(runtime);
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
