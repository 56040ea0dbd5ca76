/* SPDX-License-Identifier: MIT */
#include "sched/monitor.h"

#include <stdio.h>
#include <stdlib.h>

#include "sched/runtime.h"

enum {
    PERIOD_NS = 500 * 1000,
    CPU_SLACK_NS = 20 * 1000, /* a thread that used less between two looks was not running */
};

/* What the monitor saw of a role that stood still with work waiting. */
struct sighting {
    struct sm_thread *holder; /* NULL: nothing to compare with */
    uint64_t tick;
    int64_t cpu_ns;
    bool is_runnable; /* running, or kept off the CPU by others */
};

/*
 * Take the role from holder, unless it is inside: see task/thread.h. True: the role is ours, in the
 * state CONTESTED, and everything owner-only with it.
 */
static bool sm_role_take(struct sm_role *role, struct sm_thread *holder)
{
    struct sm_thread *expected = holder;
    /* acq_rel: pairs with the acquire in sm_enter_slow(). */
    if (!sm_cas_acq_rel(&role->holder, &expected, SM_ROLE_CONTESTED)) return false;

    if (sm_os_membarrier()
            /* acquire: pairs with the release in sm_leave(). It carries what the thread did. */
            && sm_load_acquire(&holder->inside) == 0) {
        return true;
    }
    /* release: pairs with the acquire in sm_enter_slow(): the contest is over. */
    sm_store_release(&role->holder, holder);
    return false;
}

static struct sighting look_at(struct sm_worker *worker, struct sm_thread *holder)
{
    /* relaxed: the tick moves or it does not; clock and id are the thread's own for good, or those
     * of a thread that has ended, which fail to be read. */
    return (struct sighting){
            .holder = holder,
            .tick = sm_load_relaxed(&worker->stats.switches),
            .cpu_ns = sm_os_clock_ns(sm_load_relaxed(&holder->cpu_clock)),
            .is_runnable = sm_os_thread_is_runnable(sm_load_relaxed(&holder->tid)),
    };
}

/* Has the role stood still since, its thread neither running nor kept waiting for a CPU? */
static bool is_blocked(const struct sighting *then, const struct sighting *now)
{
    return then->holder == now->holder && then->tick == now->tick
            && now->cpu_ns - then->cpu_ns < CPU_SLACK_NS && !then->is_runnable && !now->is_runnable;
}

static void hand_over(struct sm_worker *worker, struct sm_thread *holder)
{
    struct seam_runtime *runtime = worker->runtime;
    if (!sm_role_take(&worker->role, holder)) return;
    if (sm_runtime_give_role(runtime, worker)) {
        sm_count_relaxed(&runtime->handovers, 1);
        return;
    }
    /* No thread to be had. The holder gets its role back and the work waits for it.
     * release: pairs with the acquire in sm_enter_slow(). */
    sm_store_release(&worker->role.holder, holder);
}

static void watch(struct sm_worker *worker, struct sighting *seen, int64_t now_ns)
{
    /* acquire: pairs with the release in serve() and sm_runtime_give_role(). It carries the
     * thread's record, which is never unmapped; whether it still holds the role, the CAS decides. */
    struct sm_thread *holder = sm_load_acquire(&worker->role.holder);
    bool is_outside = holder != NULL && holder != SM_ROLE_CONTESTED
            && sm_load_relaxed(&holder->inside) == 0; /* relaxed: sm_role_take() looks again */
    if (!is_outside || !sm_worker_has_work(worker, now_ns)) {
        seen->holder = NULL;
        return;
    }
    if (sm_ring_count(&worker->ring) > 0 && worker->runtime->steal != SEAM_STEAL_NONE) {
        (void)sm_runtime_wake_idle(worker->runtime);
    }
    struct sighting now = look_at(worker, holder);
    bool blocked = is_blocked(seen, &now);
    *seen = now;
    if (blocked && worker->runtime->may_overtake) {
        seen->holder = NULL;
        hand_over(worker, holder);
    }
}

static bool everybody_sleeps(struct seam_runtime *runtime)
{
    for (uint32_t i = 0; i < runtime->worker_count; i++) {
        /* seq_cst: pairs with the exchange in sleep_in_poller(): a worker that wakes clears it and
         * then looks whether we sleep. */
        if (sm_load_seq_cst(&runtime->workers[i].is_sleeping) == 0) return false;
    }
    return true;
}

static void *monitor_main(void *arg)
{
    struct seam_runtime *runtime = arg;
    struct sm_monitor *monitor = &runtime->monitor;
    char name[24] = "";
    (void)snprintf(name, sizeof name, "%s-mon", runtime->name);
    sm_os_thread_name(name);
    sm_os_membarrier_prepare();

    struct sighting *seen = calloc(runtime->worker_count, sizeof *seen);
    /* acquire: pairs with the release in sm_monitor_stop(). */
    while (seen != NULL && sm_load_acquire(&monitor->signal) != SM_SIGNAL_END) {
        int64_t until_ns = sm_now_ns() + PERIOD_NS;
        /* seq_cst: pairs with the load in sm_monitor_rouse(): we say that we sleep, then look; a
         * worker wakes, then looks whether we sleep. */
        sm_store_seq_cst(&monitor->sleeps, 1);
        if (everybody_sleeps(runtime)) {
            until_ns = INT64_MAX;
        } else {
            sm_store_seq_cst(&monitor->sleeps, 0); /* seq_cst: pairs with as above */
        }
        uint32_t signal = SM_SIGNAL_NONE;
        (void)sm_os.futex_wait(&monitor->signal, signal, until_ns);
        /* A rousing is used up; an end stays. acq_rel: pairs with the CAS in sm_monitor_rouse(). */
        signal = SM_SIGNAL_ROLE;
        (void)sm_cas_acq_rel(&monitor->signal, &signal, SM_SIGNAL_NONE);
        sm_store_seq_cst(&monitor->sleeps, 0); /* seq_cst: pairs with as above */
        int64_t now_ns = sm_now_ns();
        for (uint32_t i = 0; i < runtime->worker_count; i++) {
            watch(&runtime->workers[i], &seen[i], now_ns);
        }
    }
    free(seen);
    return NULL;
}

void sm_monitor_rouse(struct seam_runtime *runtime)
{
    struct sm_monitor *monitor = &runtime->monitor;
    /* seq_cst: pairs with the stores in monitor_main(). */
    if (sm_load_seq_cst(&monitor->sleeps) == 0) return;

    uint32_t none = SM_SIGNAL_NONE;
    /* acq_rel: pairs with the CAS in monitor_main(); an end is not overwritten. */
    if (sm_cas_acq_rel(&monitor->signal, &none, SM_SIGNAL_ROLE)) {
        sm_os.futex_wake(&monitor->signal, 1);
    }
}

int sm_monitor_start(struct seam_runtime *runtime)
{
    int r = sm_os.thread_start(&runtime->monitor.thread, monitor_main, runtime);
    runtime->monitor.has_thread = r == 0;
    return r;
}

void sm_monitor_stop(struct seam_runtime *runtime)
{
    struct sm_monitor *monitor = &runtime->monitor;
    if (!monitor->has_thread) return;
    /* release: pairs with the acquire in monitor_main(). */
    sm_store_release(&monitor->signal, SM_SIGNAL_END);
    sm_os.futex_wake(&monitor->signal, 1);
    (void)pthread_join(monitor->thread, NULL);
    sm_lock(&runtime->lock);
    monitor->has_thread = false;
    sm_unlock(&runtime->lock);
}
