/* SPDX-License-Identifier: MIT */
#include "sched/monitor.h"

#include <errno.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/stuck.h"
#include "sched/incident.h"
#include "sched/runtime.h"

enum {
    CPU_SLACK_NS = 20 * 1000, /* who used less between two looks was not running */
    BUSY_NS = 1000 * 1000,    /* CPU time without a switch: neither a short task nor a long one
                                    * on a machine that has no time for it */
    /* Where no descriptor can be had to ask whether it sleeps: for so long it was not running, so it
     * does. A machine with no time for it for so long is taken for that, too. */
    BLIND_NS = 20 * 1000 * 1000,
    RETRY_AFTER_NS = 5 * 1000 * 1000, /* the system has refused a thread */
    PERIODS_UNALARMED = 3,            /* from look to look, while nobody is suspected */
};

/* How to learn whether a thread sleeps. Kept open: opened for each look, it would now and then take
 * the last descriptor of a program that has one left, and there would be none where it has none. The
 * monitor has at least one, from its beginning on, if there was one to be had; but in a program that
 * opens files while it has none left, what is given up for another may be taken by it. */
struct lookout {
    int tid;      /* of whom; 0: nobody */
    int state_fd; /* -1: none */
};

/* What the monitor saw of a role's holder that was outside, and has not switched since. */
struct sighting {
    struct sm_thread *holder; /* NULL: nothing to compare with */
    uint64_t tick;
    int64_t since_ns;
    int64_t first_cpu_ns;
    int64_t cpu_ns;         /* at the last look */
    int64_t still_since_ns; /* it has used none since then */
    int64_t retry_ns;       /* not to be acted upon before */
    bool is_noted;          /* as an incident */
    struct lookout lookout;
};

/* The monitor's own. */
struct watch {
    struct seam_runtime *runtime;
    struct sm_incidents incidents;
    uint32_t cpu_count;     /* 0: not asked yet */
    bool is_alarmed;        /* somebody may have just been blocked: look again soon */
    struct sighting seen[]; /* of each worker */
};

enum verdict { FINE, DECLARED, BLOCKED, BUSY };

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

static void unwatch(struct lookout *lookout)
{
    if (lookout->state_fd >= 0) (void)close(lookout->state_fd);
    *lookout = (struct lookout){.state_fd = -1};
}

/* So that there is a descriptor where none is left: lookout's own, or that of any other. */
static void give_one_up(struct watch *watch, struct lookout *lookout)
{
    for (uint32_t i = 0; lookout->state_fd < 0 && i < watch->runtime->worker_count; i++) {
        lookout = &watch->seen[i].lookout;
    }
    unwatch(lookout);
}

static void watch_thread(struct watch *watch, struct lookout *lookout, int tid)
{
    if (lookout->tid == tid) return;
    /* The new one first: the descriptor that another waits for is not to be seen free in between. */
    int fd = sm_os_thread_state_open(tid);
    if (fd == -EMFILE || fd == -ENFILE) {
        give_one_up(watch, lookout);
        fd = sm_os_thread_state_open(tid);
    }
    if (fd < 0) return;
    unwatch(lookout);
    *lookout = (struct lookout){.tid = tid, .state_fd = fd};
}

/* Does the holder sleep? Negative if the system does not say. */
static int is_asleep(struct watch *watch, struct sighting *seen)
{
    struct lookout *lookout = &seen->lookout;
    /* relaxed: the id is the thread's own for good, or that of one that has ended, of which nothing
     * can be read. */
    int tid = sm_load_relaxed(&seen->holder->tid);
    watch_thread(watch, lookout, tid);
    if (lookout->tid != tid) return -EMFILE;
    int r = sm_os_thread_state_is_runnable(lookout->state_fd);
    if (r < 0) lookout->tid = 0; /* it has ended; its descriptor is kept for the next */
    return r < 0 ? r : r == 0;
}

/* Compare with the last look. The holder has been outside, without a switch, since then. */
static enum verdict judge(
        struct watch *watch, struct sighting *seen, int64_t cpu_ns, int64_t now_ns)
{
    int64_t used_ns = cpu_ns - seen->cpu_ns;
    seen->cpu_ns = cpu_ns;
    if (used_ns >= CPU_SLACK_NS) {
        seen->still_since_ns = now_ns;
    } else {
        /* Asked last: it costs as much as all the rest. */
        int r = is_asleep(watch, seen);
        if (r > 0 || (r < 0 && now_ns - seen->still_since_ns >= BLIND_NS)) return BLOCKED;
    }
    return cpu_ns - seen->first_cpu_ns >= BUSY_NS ? BUSY : FINE;
}

/* What can be said about worker, whose role is in our hands. */
static void describe(const struct sm_worker *worker, struct sm_incident *incident)
{
    const struct sm_task *task = worker->running;
    (void)snprintf(incident->name, sizeof incident->name, "%s", task->name);
    incident->shown.spawned_at = task->spawned_at;
    incident->returns =
            sm_load_relaxed(&incident->thread->returns); /* relaxed: it cannot come back */
}

static struct sm_incident begin_incident(
        const struct sm_worker *worker, const struct sighting *seen, enum verdict verdict)
{
    struct sm_incident incident = {
            .shown = {.worker = worker->index, .syscall_number = -1},
            .thread = seen->holder,
            .tick = seen->tick,
            .since_ns = seen->since_ns,
            .is_declared = verdict == DECLARED,
    };
    incident.shown.kind = verdict == BUSY ? SEAM_INCIDENT_BUSY : SEAM_INCIDENT_BLOCKED;
    incident.shown.lasted_ns = sm_now_ns() - seen->since_ns;
    struct sm_os_syscall call;
    if (verdict == BLOCKED
            /* relaxed: as in is_asleep(). */
            && sm_os_thread_syscall(sm_load_relaxed(&seen->holder->tid), &call)) {
        incident.shown.syscall_number = call.number;
        incident.shown.pc = call.pc;
        incident.shown.sp = call.sp;
    }
    return incident;
}

/* Take the role, and give it to another thread or, where that may not or cannot be, back. */
static void act(
        struct watch *watch, struct sm_worker *worker, struct sighting *seen, enum verdict verdict)
{
    struct seam_runtime *runtime = watch->runtime;
    struct sm_incident incident = begin_incident(worker, seen, verdict);
    if (!sm_role_take(&worker->role, seen->holder)) return;

    describe(worker, &incident);
    bool is_given = runtime->may_overtake && sm_runtime_give_role(runtime, worker, seen->holder);
    /* release: pairs with the acquire in sm_enter() and sm_enter_slow(). The work waits for the old
     * holder, who may go on when we have read what is his. */
    if (!is_given) sm_store_release(&worker->role.holder, seen->holder);

    incident.shown.is_handed_over = is_given;
    if (is_given) {
        sm_count_relaxed(&runtime->handovers, 1);
    } else if (runtime->may_overtake) {
        incident.shown.kind = SEAM_INCIDENT_NO_THREAD;
        incident.is_declared = false;
        seen->retry_ns = sm_now_ns() + RETRY_AFTER_NS;
    }
    if (!seen->is_noted || is_given) sm_incidents_add(&watch->incidents, &incident);
    seen->is_noted = true;
    if (is_given) seen->holder = NULL;
}

/* May one more thread compute beside the workers? See the bound in monitor.h. */
static bool has_room_for_a_busy_one(struct watch *watch)
{
    if (watch->cpu_count == 0) watch->cpu_count = sm_os_cpu_count();
    return sm_incidents_runnable(&watch->incidents, watch->cpu_count) < watch->cpu_count;
}

static bool may_act(
        struct watch *watch, const struct sighting *seen, enum verdict verdict, int64_t now_ns)
{
    if (verdict == FINE || now_ns < seen->retry_ns) return false;
    if (!watch->runtime->may_overtake) return !seen->is_noted && verdict != DECLARED;
    return verdict != BUSY || has_room_for_a_busy_one(watch);
}

/* A thread that sleeps outside, with work waiting, and has not slept through a whole period yet, is
 * not one to be seen again only when it suits. */
static void alarm_if_asleep(struct watch *watch, struct sighting *seen)
{
    if (!watch->is_alarmed) watch->is_alarmed = is_asleep(watch, seen) > 0;
}

/* Give a role away whose holder has ended and found nobody. Where that fails, not at once again. */
static void adopt_orphan(struct watch *watch, struct sm_worker *worker, int64_t now_ns)
{
    struct sighting *seen = &watch->seen[worker->index];
    if (now_ns < seen->retry_ns || sm_runtime_adopt(watch->runtime, worker)) return;
    seen->retry_ns = now_ns + RETRY_AFTER_NS;
}

static void look_at(struct watch *watch, struct sm_worker *worker, int64_t now_ns)
{
    struct sighting *seen = &watch->seen[worker->index];
    /* acquire: pairs with the release in serve() and give_to_spare(). It carries the
     * thread's record, which is never unmapped; whether it still holds the role, the CAS decides. */
    struct sm_thread *holder = sm_load_acquire(&worker->role.holder);
    if (holder == NULL || holder == SM_ROLE_CONTESTED || holder == SM_ROLE_ORPHAN
            || sm_load_relaxed(&holder->inside) != 0) { /* relaxed: sm_role_take() looks again */
        seen->holder = NULL;
        if (holder == SM_ROLE_ORPHAN) adopt_orphan(watch, worker, now_ns);
        return;
    }
    /* relaxed: the tick moves or it does not; the mark is a hint; the clock is the thread's own for good. */
    uint64_t tick = sm_load_relaxed(&worker->stats.switches);
    int64_t cpu_ns = sm_os_clock_ns(sm_load_relaxed(&holder->cpu_clock));
    bool is_marked = sm_load_relaxed(&holder->mark) == tick + 1;
    if (seen->holder != holder || seen->tick != tick) {
        *seen = (struct sighting){.holder = holder,
                .tick = tick,
                .since_ns = now_ns,
                .first_cpu_ns = cpu_ns,
                .cpu_ns = cpu_ns,
                .still_since_ns = now_ns,
                .lookout = seen->lookout};
        if (!is_marked) {
            if (sm_worker_has_work(worker, now_ns)) alarm_if_asleep(watch, seen);
            return;
        }
    }
    if (!sm_worker_has_work(worker, now_ns)) {
        seen->cpu_ns = cpu_ns;
        seen->still_since_ns = now_ns;
        return;
    }
    /* An idle worker that can take the tasks is the cheaper help. */
    if (sm_ring_count(&worker->ring) > 0 && watch->runtime->steal != SEAM_STEAL_NONE) {
        (void)sm_runtime_wake_idle(watch->runtime);
    }
    enum verdict verdict = is_marked ? DECLARED : judge(watch, seen, cpu_ns, now_ns);
    if (verdict == FINE) alarm_if_asleep(watch, seen);
    if (may_act(watch, seen, verdict, now_ns)) act(watch, worker, seen, verdict);
}

static bool is_at_rest(struct sm_worker *worker)
{
    /* seq_cst: pairs with the exchange in sleep_in_poller(): a worker that wakes clears it and then
     * looks whether we sleep. */
    if (sm_load_seq_cst(&worker->is_sleeping) != 0) return true;
    /* Nobody drives. seq_cst: pairs with the CAS in sm_worker_try_hold(), likewise. */
    return worker->poller.is_driven && sm_load_seq_cst(&worker->role.holder) == NULL;
}

static bool everybody_sleeps(struct seam_runtime *runtime)
{
    for (uint32_t i = 0; i < runtime->worker_count; i++) {
        if (!is_at_rest(&runtime->workers[i])) return false;
    }
    return true;
}

/* When there will be work that nobody brings: the first timer that is not due yet. */
static int64_t next_work_ns(struct seam_runtime *runtime)
{
    int64_t now_ns = sm_now_ns();
    int64_t first_ns = INT64_MAX;
    for (uint32_t i = 0; i < runtime->worker_count; i++) {
        /* relaxed: as in sm_worker_has_work(). */
        int64_t next_ns = sm_load_relaxed(&runtime->workers[i].timers.next_ns);
        if (next_ns > now_ns && next_ns < first_ns) first_ns = next_ns;
    }
    return first_ns;
}

/* Sleep for a period or, while all workers sleep, until one wakes up. Without a limit unless there
 * is an incident to be shown. */
static void pause_watch(struct watch *watch)
{
    struct sm_monitor *monitor = &watch->runtime->monitor;
    int64_t periods = watch->is_alarmed ? 1 : PERIODS_UNALARMED;
    watch->is_alarmed = false;
    int64_t until_ns = sm_now_ns() + periods * monitor->period_ns;
    /* seq_cst: pairs with the load in sm_monitor_rouse(): we say that we sleep, then look; a
     * worker wakes, then looks whether we sleep. */
    sm_store_seq_cst(&monitor->sleeps, 1);
    if (everybody_sleeps(watch->runtime)) {
        until_ns = sm_incidents_next_ns(&watch->incidents);
    } else {
        sm_store_seq_cst(&monitor->sleeps, 0); /* seq_cst: pairs with as above */
    }
    if (sm_sim_is_built_in()) sm_sim_pause_begin(next_work_ns(watch->runtime));
    uint32_t signal = SM_SIGNAL_NONE;
    (void)sm_os.futex_wait(&monitor->signal, signal, until_ns);
    sm_sim_pause_end();
    /* A rousing is used up; an end stays. acq_rel: pairs with the CAS in sm_monitor_rouse(). */
    signal = SM_SIGNAL_ROLE;
    (void)sm_cas_acq_rel(&monitor->signal, &signal, SM_SIGNAL_NONE);
    sm_store_seq_cst(&monitor->sleeps, 0); /* seq_cst: pairs with as above */
}

static void watch_until_the_end(struct watch *watch)
{
    struct seam_runtime *runtime = watch->runtime;
    /* acquire: pairs with the release in sm_monitor_stop(). */
    while (sm_load_acquire(&runtime->monitor.signal) != SM_SIGNAL_END) {
        pause_watch(watch);
        int64_t now_ns = sm_now_ns();
        for (uint32_t i = 0; i < runtime->worker_count; i++) {
            look_at(watch, &runtime->workers[i], now_ns);
        }
        sm_incidents_look(&watch->incidents, now_ns);
    }
}

static void *monitor_main(void *arg)
{
    struct seam_runtime *runtime = arg;
    char name[24] = "";
    (void)snprintf(name, sizeof name, "%s-mon", runtime->name);
    sm_os_thread_name(name);
    sm_os_membarrier_prepare();

    watch_until_the_end(runtime->monitor.watch);
    return NULL;
}

void sm_monitor_rouse(struct seam_runtime *runtime)
{
    struct sm_monitor *monitor = &runtime->monitor;
    /* seq_cst: pairs with the stores in pause_watch(). */
    if (sm_load_seq_cst(&monitor->sleeps) == 0) return;

    uint32_t none = SM_SIGNAL_NONE;
    /* acq_rel: pairs with the CAS in pause_watch(); an end is not overwritten. */
    if (sm_cas_acq_rel(&monitor->signal, &none, SM_SIGNAL_ROLE)) {
        sm_os.futex_wake(&monitor->signal, 1);
    }
}

static size_t watch_bytes(const struct seam_runtime *runtime)
{
    return sizeof(struct watch) + runtime->worker_count * sizeof(struct sighting);
}

static int new_watch(struct seam_runtime *runtime, struct watch **out_watch)
{
    struct watch *watch = sm_os.map(watch_bytes(runtime));
    if (watch == NULL) return -ENOMEM;
    watch->runtime = runtime;
    for (uint32_t i = 0; i < runtime->worker_count; i++) {
        watch->seen[i].lookout.state_fd = -1;
    }
    /* Nobody's yet: the first to be given up, where there is none left for the first lookout. */
    watch->seen[0].lookout.state_fd = eventfd(0, EFD_CLOEXEC);
    int r = sm_incidents_init(&watch->incidents, runtime);
    if (r < 0) {
        unwatch(&watch->seen[0].lookout);
        sm_os.unmap(watch, watch_bytes(runtime));
        return r;
    }
    *out_watch = watch;
    return 0;
}

static void free_watch(struct watch *watch)
{
    for (uint32_t i = 0; i < watch->runtime->worker_count; i++) {
        unwatch(&watch->seen[i].lookout);
    }
    sm_incidents_fini(&watch->incidents);
    sm_os.unmap(watch, watch_bytes(watch->runtime));
}

int sm_monitor_start(struct seam_runtime *runtime)
{
    struct sm_monitor *monitor = &runtime->monitor;
    int r = new_watch(runtime, &monitor->watch);
    if (r < 0) return r;

    r = sm_os.thread_start(&monitor->thread, monitor_main, runtime);
    monitor->has_thread = r == 0;
    if (r < 0) free_watch(monitor->watch);
    return r;
}

void sm_monitor_stop(struct seam_runtime *runtime)
{
    struct sm_monitor *monitor = &runtime->monitor;
    if (!monitor->has_thread) return;
    /* release: pairs with the acquire in watch_until_the_end(). */
    sm_store_release(&monitor->signal, SM_SIGNAL_END);
    sm_os.futex_wake(&monitor->signal, 1);
    (void)pthread_join(monitor->thread, NULL);
    free_watch(monitor->watch);
    sm_lock(&runtime->lock);
    monitor->has_thread = false;
    sm_unlock(&runtime->lock);
}
