/* SPDX-License-Identifier: MIT */
#include "sched/runtime.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/panic.h"
#include "io/fd.h"
#include "os/overflow.h"
#include "sched/bound.h"
#include "sched/lost.h"
#include "sched/monitor.h"
#include "task/wait.h"

/* ---- threads ---- */

/* What a new thread is told; it copies it before the starter goes on. */
struct start {
    struct seam_runtime *runtime;
    struct sm_worker *worker;
    _Atomic(int) *tid;
};

/* Be a spare until there is a role for us, or the end. We come from last. */
static bool wait_for_role(
        struct seam_runtime *runtime, struct sm_thread *thread, struct sm_worker *last)
{
    sm_store_relaxed(&thread->signal, SM_SIGNAL_NONE); /* relaxed: nobody knows us yet */
    sm_lock(&runtime->lock);
    /* relaxed: written before the lock was taken by whoever ends the runtime. */
    if (sm_load_relaxed(&runtime->ending) == 0) {
        thread->last_role = &last->role;
        sm_list_push_back(&runtime->spares, &thread->link);
    } else {
        sm_store_relaxed(&thread->signal, SM_SIGNAL_END); /* relaxed: we read it ourselves */
    }
    sm_unlock(&runtime->lock);
    if (sm_thread_has_bound(thread)) sm_bound_ask(last);

    uint32_t signal = SM_SIGNAL_NONE;
    /* acquire: pairs with the release in signal_spare(). It carries thread->role. */
    while ((signal = sm_load_acquire(&thread->signal)) == SM_SIGNAL_NONE) {
        (void)sm_os.futex_wait(&thread->signal, SM_SIGNAL_NONE, INT64_MAX);
    }
    return signal == SM_SIGNAL_ROLE;
}

static void signal_spare(struct sm_thread *thread, uint32_t signal)
{
    /* release: pairs with the acquire in wait_for_role(). It carries thread->role. */
    sm_store_release(&thread->signal, signal);
    sm_os.futex_wake(&thread->signal, 1);
}

/* Call the thread name-index, or name alone where that is too long to be shown. */
static void name_worker_thread(const struct seam_runtime *runtime, uint32_t index)
{
    char name[sizeof runtime->name + 11] = "";
    int length = snprintf(name, sizeof name, "%s-%u", runtime->name, index);
    sm_os_thread_name(length < (int)sizeof runtime->name ? name : runtime->name);
}

static void tell_one(struct seam_runtime *runtime);
static void end_driving(struct seam_runtime *runtime, struct sm_thread *thread);

/* Hold roles until the runtime ends; worker's first. */
static void serve(struct seam_runtime *runtime, struct sm_worker *worker)
{
    struct sm_thread *thread = sm_thread_self();
    thread->serves = runtime;
    sm_thread_prepare_to_run(thread);
    sm_store_relaxed(&thread->inside, 1); /* relaxed: nobody knows us before we hold a role */
    thread->role = &worker->role;
    /* release: pairs with the acquire in sm_enter_slow() and the CAS in sm_role_take(). */
    sm_store_release(&worker->role.holder, thread);
    bool has_role = true;
    enum sm_worker_end end = SM_WORKER_DONE;
    while (has_role && (end = sm_worker_run(thread, NULL)) != SM_WORKER_DONE) {
        if (end == SM_WORKER_BACK) end_driving(runtime, thread);
        if (end == SM_WORKER_HEIR) sm_runtime_pass_on(runtime, thread);
        sm_clock_idle();
        has_role = wait_for_role(runtime, thread, worker);
        if (has_role) worker = sm_worker_of(thread);
        sm_store_relaxed(&thread->inside, 1); /* relaxed: as above */
    }
    if (has_role) sm_clock_idle();
    if (thread->role != NULL) {
        sm_worker_of(thread)->absent = NULL;
        sm_worker_let_go(sm_worker_of(thread), thread);
    }
}

/* NOLINTNEXTLINE(readability-function-size): pthread_cleanup_push() nests three blocks */
static void *thread_main(void *arg)
{
    (void)sm_thread_begin();
    struct start start = *(struct start *)arg;
    free(arg);
    struct seam_runtime *runtime = start.runtime;
    name_worker_thread(runtime, start.worker->index);
    sm_store_relaxed(start.tid, sm_os_thread_id()); /* relaxed: for reports */

    /* A cancellation would strike in the runtime's own system calls. */
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    pthread_cleanup_push(sm_thread_lost, runtime);
    serve(runtime, start.worker);
    pthread_cleanup_pop(0);
    sm_thread_end();
    return NULL;
}

/* Does a slot belong to a thread that is to be joined? Under the lock, or where none is lost. */
static bool is_slot_used(const struct seam_runtime *runtime, uint32_t slot)
{
    return sm_load_relaxed(&runtime->tids[slot]) != SM_TID_NONE; /* relaxed: under the lock */
}

/* Under the lock, or before the runtime is known. The role is the caller's to give. */
static int start_thread(struct seam_runtime *runtime, struct sm_worker *worker)
{
    if (runtime->thread_count == runtime->worker_count + SM_SPARES_MAX) return -EAGAIN;
    struct start *start = malloc(sizeof *start);
    if (start == NULL) return -ENOMEM;

    uint32_t slot = 0;
    while (slot < runtime->thread_slots && is_slot_used(runtime, slot)) {
        slot++;
    }
    _Atomic(int) *tid = &runtime->tids[slot];
    sm_store_relaxed(tid, 0); /* relaxed: the thread writes it next, if there is one */
    *start = (struct start){.runtime = runtime, .worker = worker, .tid = tid};
    sm_clock_busy();
    int r = sm_thread_start(&runtime->threads[slot], thread_main, start);
    if (r < 0) {
        sm_store_relaxed(tid, SM_TID_NONE); /* relaxed: under the lock */
        sm_clock_idle();
        free(start);
        return r;
    }
    runtime->thread_count++;
    if (slot == runtime->thread_slots) runtime->thread_slots++;
    return 0;
}

/* Who has bound tasks takes no role but the one it had. Under the lock; NULL: none. */
static struct sm_thread *find_spare(struct seam_runtime *runtime, const struct sm_worker *worker)
{
    for (struct sm_list *link = runtime->spares.next; link != &runtime->spares; link = link->next) {
        struct sm_thread *spare = sm_container_of(link, struct sm_thread, link);
        if (!sm_thread_has_bound(spare) || spare->last_role == &worker->role) return spare;
    }
    return NULL;
}

static bool give_to_spare(struct seam_runtime *runtime, struct sm_worker *worker)
{
    sm_lock(&runtime->lock);
    struct sm_thread *spare = find_spare(runtime, worker);
    if (spare == NULL) {
        int r = start_thread(runtime, worker);
        sm_unlock(&runtime->lock);
        return r == 0;
    }
    sm_list_remove(&spare->link);
    sm_unlock(&runtime->lock);

    /* If one of the others blocks it at each first turn, its bound tasks must not wait for a second. */
    if (sm_thread_has_bound(spare)) worker->bound_first = false;
    sm_store_relaxed(&spare->inside, 1); /* relaxed: published with the role */
    spare->role = &worker->role;
    /* release: pairs with the acquire in sm_enter_slow() and the CAS in sm_role_take(). */
    sm_store_release(&worker->role.holder, spare);
    sm_clock_busy();
    signal_spare(spare, SM_SIGNAL_ROLE);
    return true;
}

void sm_runtime_rest_role(struct seam_runtime *runtime, struct sm_worker *worker)
{
    worker->absent = NULL;
    sm_bound_reconsider(worker);
    sm_worker_rest(worker);
    /* Under the lock, which whoever ends the runtime takes last: the caller may be a thread that
     * nobody joins. seq_cst: pairs with the CAS in sm_worker_try_hold(), as in sm_worker_let_go(). */
    sm_lock(&runtime->lock);
    sm_store_seq_cst(&worker->role.holder, NULL);
    tell_one(runtime);
    sm_unlock(&runtime->lock);
}

bool sm_runtime_give_role(
        struct seam_runtime *runtime, struct sm_worker *worker, struct sm_thread *from)
{
    if (sm_worker_is_wanted_back(worker)) {
        sm_runtime_rest_role(runtime, worker);
        return true;
    }
    struct sm_thread *absent = worker->absent;
    if (runtime->is_current_thread && absent == NULL) {
        worker->absent = from;
        worker->absent_returns = sm_load_relaxed(&from->returns); /* relaxed: it is astray */
    }
    bool is_given = give_to_spare(runtime, worker);
    if (!is_given) worker->absent = absent;
    return is_given;
}

bool sm_runtime_adopt(struct seam_runtime *runtime, struct sm_worker *worker)
{
    struct sm_thread *holder = SM_ROLE_ORPHAN;
    /* acquire: pairs with the release in leave_orphan() (sched/lost.c), and with ours. */
    if (!sm_cas_acquire(&worker->role.holder, &holder, SM_ROLE_CONTESTED)) return true;
    if (give_to_spare(runtime, worker)) return true;
    /* release: pairs with the acquire above and in sm_enter_slow(). */
    sm_store_release(&worker->role.holder, SM_ROLE_ORPHAN);
    return false;
}

void sm_runtime_forget_this_thread(struct seam_runtime *runtime)
{
    sm_lock(&runtime->lock);
    uint32_t i = 0;
    while (!is_slot_used(runtime, i) || !pthread_equal(runtime->threads[i], pthread_self())) {
        i++;
        sm_assert(i < runtime->thread_slots);
    }
    /* The others stay where they are: one that has not run yet knows where to write its id. */
    sm_store_relaxed(&runtime->tids[i], SM_TID_NONE); /* relaxed: under the lock */
    runtime->thread_count--;
    sm_unlock(&runtime->lock);
    (void)pthread_detach(pthread_self());
}

/* ---- construction ---- */

static int check_options(const struct seam_options *options, uint8_t *out_stack_class)
{
    if (options->workers > SM_WORKERS_MAX) return -EINVAL;
    if (options->current_thread && options->workers > 1) return -EINVAL;
    if (options->steal > SEAM_STEAL_FULL || options->blockers_max > 65536) return -EINVAL;
    if (options->overtake > SEAM_OVERTAKE_ON) return -EINVAL;
    int64_t period_ns = options->monitor_period_ns;
    if (period_ns != 0 && (period_ns < SM_PERIOD_MIN_NS || period_ns > SM_PERIOD_MAX_NS)) {
        return -EINVAL;
    }
    for (size_t i = 0; i < sizeof options->reserved / sizeof options->reserved[0]; i++) {
        if (options->reserved[i] != 0) return -EINVAL;
    }
    enum sm_stack_class class = SM_STACK_64K;
    size_t bytes = options->stack_bytes != 0 ? options->stack_bytes : (size_t)64 * 1024;
    int r = sm_stack_class_for(bytes, &class);
    *out_stack_class = (uint8_t) class;
    return r;
}

static int init_workers(struct seam_runtime *runtime)
{
    size_t bytes = sizeof *runtime->workers * (size_t)runtime->worker_count;
    size_t threads_max = (size_t)runtime->worker_count + SM_SPARES_MAX;
    runtime->workers = sm_os.map(bytes);
    runtime->threads = calloc(threads_max, sizeof *runtime->threads);
    runtime->tids = calloc(threads_max, sizeof *runtime->tids);
    bool has_memory = runtime->workers != NULL && runtime->threads != NULL && runtime->tids != NULL;
    int r = has_memory ? 0 : -ENOMEM;
    uint32_t ready = 0;
    while (r == 0 && ready < runtime->worker_count) {
        r = sm_worker_init(&runtime->workers[ready], runtime, ready);
        if (r == 0) ready++;
    }
    if (r == 0) return 0;

    while (ready > 0) {
        sm_worker_fini(&runtime->workers[--ready]);
    }
    if (runtime->workers != NULL) sm_os.unmap(runtime->workers, bytes);
    free(runtime->threads);
    free(runtime->tids);
    return r;
}

static int start_threads(struct seam_runtime *runtime)
{
    uint32_t first = runtime->is_driven ? 1 : 0;
    for (uint32_t i = first; i < runtime->worker_count; i++) {
        int r = start_thread(runtime, &runtime->workers[i]);
        if (r < 0) return r;
    }
    return runtime->monitor.is_wanted ? sm_monitor_start(runtime) : 0;
}

/* Who a stack overflow happened to; runs in the signal handler. */
static void describe_task(const void *owner, struct sm_overflow_culprit *out_culprit)
{
    const struct sm_task *task = owner;
    *out_culprit = (struct sm_overflow_culprit){.name = task->name, .spawned_at = task->spawned_at};
}

static void set_options(
        struct seam_runtime *runtime, const struct seam_options *options, bool drive)
{
    runtime->is_current_thread = options->current_thread;
    runtime->is_driven = drive || options->current_thread;
    runtime->may_overtake = options->overtake == SEAM_OVERTAKE_ON
            || (options->overtake == SEAM_OVERTAKE_DEFAULT && !options->current_thread);
    runtime->monitor = (struct sm_monitor){
            /* On virtual time nothing is taken from anybody: a look at a real clock would not
             * repeat. */
            .is_wanted = !sm_clock_is_virtual()
                    && (runtime->may_overtake || options->overtake == SEAM_OVERTAKE_OFF),
            .is_quiet = options->quiet_incidents,
            .period_ns = options->monitor_period_ns != 0 ? options->monitor_period_ns
                                                         : SM_PERIOD_DEFAULT_NS,
            .on_incident = options->on_incident,
            .incident_arg = options->incident_arg,
    };
    runtime->steal = options->steal == SEAM_STEAL_DEFAULT ? SEAM_STEAL_UNSTARTED : options->steal;
    runtime->worker_count = options->current_thread ? 1 : options->workers;
    if (runtime->worker_count == 0) runtime->worker_count = sm_os_cpu_count();
    if (runtime->worker_count > SM_WORKERS_MAX) runtime->worker_count = SM_WORKERS_MAX;
    (void)snprintf(runtime->name, sizeof runtime->name, "%s",
            options->name != NULL ? options->name : "seam");
}

int sm_runtime_new(
        const struct seam_options *options, bool drive, struct seam_runtime **out_runtime)
{
    static const struct seam_options defaults;
    if (options == NULL) options = &defaults;
    uint8_t stack_class = 0;
    int r = check_options(options, &stack_class);
    if (r < 0) return r;

    struct seam_runtime *runtime = calloc(1, sizeof *runtime);
    if (runtime == NULL) return -ENOMEM;
    sm_os_mark_parent(); /* our threads will, but a fork may come first */
    set_options(runtime, options, drive);
    runtime->stack_class = stack_class;
    sm_list_init(&runtime->spares);
    sm_list_init(&runtime->drivers);
    sm_store_relaxed(&runtime->refs, 1); /* relaxed: nobody knows it yet */
    sm_scope_init_root(sm_runtime_root(runtime), runtime, runtime->guests);
    if (!options->no_overflow_handler) (void)sm_overflow_install(describe_task);

    r = init_workers(runtime);
    if (r < 0) {
        free(runtime);
        return r;
    }
    if (runtime->is_driven) sm_worker_rest(&runtime->workers[0]);
    r = start_threads(runtime);
    if (r < 0) {
        sm_runtime_discard(runtime);
        return r;
    }
    *out_runtime = runtime;
    return 0;
}

/* ---- the end ---- */

void sm_runtime_refuse(struct seam_runtime *runtime)
{
    uint32_t open = SM_RUNTIME_OPEN;
    /* acq_rel: pairs with the relaxed load under a scope's lock, by who admits a task. */
    (void)sm_cas_acq_rel(&runtime->state, &open, SM_RUNTIME_STOPPING);
    sm_scope_cancel(sm_runtime_root(runtime));
    if (!runtime->is_driven) return;
    /* Threads that do not drive any more are not waited for. Another may be ending the runtime by now.
     * relaxed: who ends it takes the lock after writing this and before its workers go. */
    sm_lock(&runtime->lock);
    if (sm_load_relaxed(&runtime->ending) == 0) sm_bound_ask(&runtime->workers[0]);
    sm_unlock(&runtime->lock);
}

/*
 * Threads whose waits on tasks of ours have ended may not have left them yet.
 *
 *   enlisted     before the task that ends the wait has finished: under the lock of the task's scope,
 *                or with a scope or a call of the thread's own that keeps the runtime from ending
 *   finished     the wait is claimed, the root may be empty, and we are here
 *   retired      a few instructions later; taking itself off the list is the thread's last touch
 */
static void wait_for_drivers(struct seam_runtime *runtime)
{
    bool is_empty = false;
    while (!is_empty) {
        sm_lock(&runtime->lock);
        is_empty = sm_list_is_empty(&runtime->drivers);
        sm_unlock(&runtime->lock);
        if (!is_empty) (void)sched_yield();
    }
}

void sm_runtime_end(struct seam_runtime *runtime)
{
    sm_monitor_stop(runtime);
    /* seq_cst: pairs with the load in is_over() (sched/worker.c), for the order against is_sleeping. */
    sm_store_seq_cst(&runtime->ending, 1);
    for (uint32_t i = 0; i < runtime->worker_count; i++) {
        sm_worker_wake(&runtime->workers[i]);
    }
    sm_lock(&runtime->lock);
    struct sm_list *link = NULL;
    while ((link = sm_list_first(&runtime->spares)) != NULL) {
        sm_list_remove(link);
        signal_spare(sm_container_of(link, struct sm_thread, link), SM_SIGNAL_END);
    }
    sm_unlock(&runtime->lock);
    for (uint32_t i = 0; i < runtime->thread_slots; i++) {
        if (is_slot_used(runtime, i)) (void)pthread_join(runtime->threads[i], NULL);
    }
    wait_for_drivers(runtime);
    /* A caller that polls may still be in the first worker's loop. From here on nobody gets the role. We may hold another: a task
     * whose new runtime could not be completed. */
    struct sm_thread *thread = sm_thread_self();
    struct sm_role *role = thread->role;
    while (runtime->is_driven && !sm_worker_try_hold(&runtime->workers[0], thread)) {
        (void)sched_yield();
    }
    thread->role = role;
    sm_lock(&runtime->lock);
    runtime->thread_count = 0;
    runtime->thread_slots = 0;
    sm_unlock(&runtime->lock);
    for (uint32_t i = 0; i < runtime->worker_count; i++) {
        sm_worker_fini(&runtime->workers[i]);
    }
    /* release: pairs with the acquire in stop_alone(). */
    sm_store_release(&runtime->state, SM_RUNTIME_STOPPED);
}

void sm_runtime_discard(struct seam_runtime *runtime)
{
    sm_runtime_refuse(runtime);
    sm_runtime_end(runtime);
    sm_runtime_unref(runtime);
}

void sm_runtime_ref(struct seam_runtime *runtime)
{
    (void)sm_add_relaxed(&runtime->refs, 1); /* relaxed: the caller has a reference */
}

void sm_runtime_unref(struct seam_runtime *runtime)
{
    /* acq_rel: pairs with itself: the last one sees what the others did. */
    if (sm_sub_acq_rel(&runtime->refs, 1) != 1) return;
    if (runtime->pool != NULL) runtime->free_pool(runtime->pool);
    sm_os.unmap(runtime->workers, sizeof *runtime->workers * (size_t)runtime->worker_count);
    free(runtime->threads);
    free(runtime->tids);
    free(runtime);
}

/* Exact once they have. */
static uint64_t count_finished(const struct seam_runtime *runtime)
{
    uint64_t finished = 0;
    for (uint32_t i = 0; i < runtime->worker_count; i++) {
        finished += sm_load_relaxed(&runtime->workers[i].stats.finished);
    }
    return finished;
}

void sm_runtime_stats_read(struct seam_runtime *runtime, struct seam_runtime_stats *out_stats)
{
    static const char *const guards[] = {"none yet", "madvise", "mprotect", "canary"};
    struct sm_stack_stats stacks;
    sm_stack_stats_read(&stacks);
    struct seam_runtime_stats stats = {
            .workers = runtime->worker_count,
            .handovers = sm_load_relaxed(&runtime->handovers),
            .blocked = sm_load_relaxed(&runtime->monitor.counts[SEAM_INCIDENT_BLOCKED]),
            .busy = sm_load_relaxed(&runtime->monitor.counts[SEAM_INCIDENT_BUSY]),
            .without_thread = sm_load_relaxed(&runtime->monitor.counts[SEAM_INCIDENT_NO_THREAD]),
            .threads_lost = sm_load_relaxed(&runtime->threads_lost),
            .stack_guard = guards[stacks.mode],
            .poller = "epoll",
    };
    for (int i = 0; i < SM_STACK_CLASS_COUNT; i++) {
        stats.stacks_mapped += stacks.carved[i];
    }
    /* Finished first: then no more can have finished than were spawned. */
    uint64_t finished = count_finished(runtime);
    stats.tasks_spawned = sm_load_relaxed(&runtime->spawned_outside)
            + sm_scope_count_calls(sm_runtime_root(runtime));
    for (uint32_t i = 0; i < runtime->worker_count; i++) {
        const struct sm_worker_stats *from = &runtime->workers[i].stats;
        stats.tasks_spawned += sm_load_relaxed(&from->spawned);
        stats.switches += sm_load_relaxed(&from->switches);
        stats.steals += sm_load_relaxed(&from->steals);
        stats.polls += sm_load_relaxed(&from->polls);
        stats.parks += sm_load_relaxed(&from->parks);
    }
    /* Tasks may have been spawned and finished since the first figure was read. */
    stats.tasks_live = stats.tasks_spawned > finished ? stats.tasks_spawned - finished : 0;
    sm_lock(&runtime->lock);
    stats.threads = runtime->thread_count + (runtime->monitor.has_thread ? 1 : 0);
    sm_unlock(&runtime->lock);
    *out_stats = stats;
}

/* ---- choosing workers ---- */

void sm_runtime_set_idle(struct sm_worker *worker, bool is_idle)
{
    _Atomic(uint64_t) *word = &worker->runtime->idle[worker->index / 64];
    uint64_t bit = UINT64_C(1) << worker->index % 64;
    /* relaxed: the bit is a hint, is_sleeping decides. */
    if (is_idle) {
        (void)sm_or_relaxed(word, bit);
    } else {
        (void)sm_and_relaxed(word, ~bit);
    }
}

static struct sm_worker *first_idle(struct seam_runtime *runtime)
{
    for (uint32_t i = 0; i * 64 < runtime->worker_count; i++) {
        uint64_t bits = sm_load_relaxed(&runtime->idle[i]); /* relaxed: a hint */
        if (bits != 0) return &runtime->workers[i * 64 + (uint32_t)__builtin_ctzll(bits)];
    }
    return NULL;
}

bool sm_runtime_wake_idle(struct seam_runtime *runtime)
{
    struct sm_worker *worker = first_idle(runtime);
    if (worker == NULL) return false;
    sm_worker_wake(worker);
    return true;
}

void sm_runtime_call_in_stacks(struct seam_runtime *runtime)
{
    sm_lock(&runtime->lock);
    /* relaxed: who ends the runtime takes the lock after writing this and before its workers go. */
    bool is_over = sm_load_relaxed(&runtime->ending) != 0;
    for (uint32_t i = 0; i < runtime->worker_count && !is_over; i++) {
        sm_worker_wake(&runtime->workers[i]);
    }
    sm_unlock(&runtime->lock);
}

struct sm_worker *sm_runtime_choose_worker(struct seam_runtime *runtime)
{
    if (runtime->worker_count == 1) return &runtime->workers[0];
    struct sm_worker *idle = first_idle(runtime);
    if (idle != NULL) return idle;
    /* relaxed: any worker will do. */
    return &runtime->workers[sm_add_relaxed(&runtime->next_worker, 1) % runtime->worker_count];
}

struct seam_runtime *sm_runtime_current(struct sm_thread *thread)
{
    return thread->task != NULL ? sm_worker_of(thread)->runtime : thread->pool_of;
}

/* ---- driving ---- */

struct sm_timer_heap *sm_runner_shared_timers(struct seam_runtime *runtime)
{
    return &runtime->workers[0].timers;
}

void sm_runner_timer_added(struct seam_runtime *runtime)
{
    sm_worker_wake(&runtime->workers[0]);
}

void sm_runner_drive_enlist(struct sm_thread *thread, struct seam_runtime *runtime)
{
    sm_lock(&runtime->lock);
    sm_list_push_back(&runtime->drivers, &thread->driving);
    sm_unlock(&runtime->lock);
}

/* True: it will try. Who drives already is in a task from which its role was taken, perhaps for long:
 * it will try when it comes back, and another should now. */
static bool tell(struct sm_party *party)
{
    /* relaxed: who has begun to drive since then has got the role; who has ended looks again. */
    bool is_astray = (sm_load_relaxed(&party->word) & SM_PARTY_DRIVES) != 0;
    if (!sm_party_change_flags(party, SM_PARTY_RETRY, 0)) return false;
    sm_os.futex_wake(&party->word, 1);
    return !is_astray;
}

/* The role is free: tell one of those enlisted. Its word is only touched while it waits. Under the
 * lock. */
static void tell_one(struct seam_runtime *runtime)
{
    for (struct sm_list *link = runtime->drivers.next; link != &runtime->drivers;
            link = link->next) {
        if (tell(&sm_container_of(link, struct sm_thread, driving)->party)) return;
    }
}

static void tell_a_driver(struct seam_runtime *runtime)
{
    sm_lock(&runtime->lock);
    tell_one(runtime);
    sm_unlock(&runtime->lock);
}

/* Prefer heir, if it is still enlisted. */
static void tell_heir(struct seam_runtime *runtime, const struct sm_thread *heir)
{
    bool is_told = false;
    sm_lock(&runtime->lock);
    for (struct sm_list *link = runtime->drivers.next; link != &runtime->drivers && !is_told;
            link = link->next) {
        struct sm_thread *thread = sm_container_of(link, struct sm_thread, driving);
        is_told = thread == heir && tell(&thread->party);
    }
    if (!is_told) tell_one(runtime);
    sm_unlock(&runtime->lock);
}

void sm_runner_drive_retire(struct sm_thread *thread, struct seam_runtime *runtime)
{
    sm_lock(&runtime->lock);
    sm_list_remove(&thread->driving);
    /* If we were told and are leaving instead, somebody else must be.
     * seq_cst: pairs with the store in pass_role(). */
    if (sm_load_seq_cst(&runtime->workers[0].role.holder) == NULL) tell_one(runtime);
    sm_unlock(&runtime->lock); /* our last touch: see wait_for_drivers() */
}

/* Nobody holds the role from here on. */
static void rest(struct sm_worker *worker, struct sm_thread *thread)
{
    worker->absent = NULL;
    sm_worker_rest(worker);
    sm_worker_let_go(worker, thread);
}

void sm_runtime_stop_driving(struct seam_runtime *runtime, struct sm_thread *thread)
{
    rest(&runtime->workers[0], thread);
    tell_a_driver(runtime);
}

void sm_runtime_pass_on(struct seam_runtime *runtime, struct sm_thread *thread)
{
    struct sm_worker *worker = sm_worker_of(thread);
    struct sm_thread *heir = worker->heir;
    worker->heir = NULL;
    if (worker->is_heir_guest) {
        rest(worker, thread);
        tell_heir(runtime, heir);
        return;
    }
    /* It only stands in for us, and we are back already: as in sm_runtime_give_role(). */
    if (runtime->is_current_thread && worker->absent == NULL) {
        worker->absent = thread;
        worker->absent_returns = sm_load_relaxed(&thread->returns) - 1; /* relaxed: our own */
    }
    sm_clock_busy();
    sm_worker_pass_on(worker, thread, heir);
    signal_spare(heir, SM_SIGNAL_ROLE);
}

/* Give the role up after driving: to whom it must go, or to nobody. Who drives next may be the one
 * for whom something was set aside: a foreign loop must hear of that. */
static void end_driving(struct seam_runtime *runtime, struct sm_thread *thread)
{
    sm_bound_reconsider(sm_worker_of(thread));
    if (sm_worker_of(thread)->heir != NULL) {
        sm_runtime_pass_on(runtime, thread);
    } else {
        sm_runtime_stop_driving(runtime, thread);
    }
}

/* With the role in our hands: run until party is done (true), or the role is lost. */
static bool drive_held(struct sm_thread *thread, struct sm_party *party)
{
    (void)sm_worker_run(thread, party);
    if (sm_party_change_flags(party, 0, SM_PARTY_DRIVES)) return false;
    sm_party_wait_for_done(party);
    return true;
}

bool sm_runner_drive(struct sm_thread *thread, struct seam_runtime *runtime)
{
    struct sm_worker *worker = &runtime->workers[0];
    struct sm_party *party = &thread->party;
    if (!sm_party_change_flags(party, 0, SM_PARTY_RETRY)) return false;
    /* Whoever was refused when our slot was lent may have left. relaxed: published with the role. */
    sm_store_relaxed(&thread->inside, 1);
    if (!sm_worker_try_hold(worker, thread)) {
        if (sm_thread_has_bound(thread)) sm_bound_ask(worker);
        return false;
    }

    sm_thread_prepare_to_run(thread);
    thread->drives = runtime;
    bool is_done = false;
    if (sm_party_change_flags(party, SM_PARTY_DRIVES, 0)) is_done = drive_held(thread, party);
    if (thread->role != NULL) end_driving(runtime, thread);
    if (!is_done && sm_thread_has_bound(thread)) sm_bound_ask(worker);
    return is_done;
}

int sm_runtime_fd(struct seam_runtime *runtime)
{
    struct sm_poller *poller = &runtime->workers[0].poller;
    sm_lock(&runtime->lock);
    /* relaxed: who ends the runtime takes the lock after writing this and before its poller goes. */
    int r = sm_load_relaxed(&runtime->ending) == 0 ? sm_poller_embed(poller) : -ESHUTDOWN;
    sm_unlock(&runtime->lock);
    return r < 0 ? r : poller->epoll_fd;
}

int sm_runtime_poll(struct seam_runtime *runtime, struct sm_thread *thread)
{
    enum { LIMIT_NS = 1000 * 1000 };
    struct sm_worker *worker = &runtime->workers[0];
    struct sm_task *task = thread->task;
    struct sm_role *role = thread->role;
    struct sm_context *native = thread->native;
    /* A task of another runtime may be the foreign loop: then its stack is where we come back to. */
    if (task != NULL) thread->native = &task->context;
    thread->task = NULL;
    int r = -EBUSY;
    if (sm_worker_try_hold(worker, thread)) {
        if (task == NULL) sm_thread_prepare_to_run(thread);
        r = sm_worker_run_some(thread, LIMIT_NS) ? 1 : 0;
        /* What is aside now is not for the caller: it need not poll again for that. */
        if (thread->role != NULL && worker->heir != NULL) {
            sm_runtime_pass_on(runtime, thread);
        } else if (thread->role != NULL) {
            sm_runtime_stop_driving(runtime, thread);
        }
    }
    thread->task = task;
    thread->role = role;
    thread->native = native;
    /* Meanwhile the caller was as good as outside its own runtime. */
    if (task != NULL) (void)sm_enter();
    return r;
}

void sm_runner_wake_driver(struct sm_thread *thread)
{
    /* What it drives is stable, unlike its role: it was written before the word said DRIVES, and the
     * runtime stays until the thread has seen DONE. If the role was taken from it, or it is in the
     * loop of another runtime just now, it finds the word by itself. */
    struct sm_worker *worker = &thread->drives->workers[0];
    /* relaxed: while the thread is in the worker's loop, nobody writes another holder. */
    if (sm_load_relaxed(&worker->role.holder) != NULL) sm_worker_wake(worker);
}
