/* SPDX-License-Identifier: MIT */
#include "sched/worker.h"

#include <sched.h>
#include <stddef.h>

#include "seam/time.h"

#include "base/panic.h"
#include "io/fd.h"
#include "os/lockcheck.h"
#include "sched/bound.h"
#include "sched/monitor.h"
#include "sched/runtime.h"

enum {
    LOOK_EVERY_MAX = 64,     /* switches between two looks at the clock */
    QUANTUM_NS = 200 * 1000, /* how long events may go unnoticed while tasks run */
    BACKLOG_BATCH = SM_RING_SLOTS / 2,
    CREDIT_BATCH = 64,
    CACHED_STACKS_MAX = 2048, /* a burst of a thousand tasks is served without a lock */
    CREDITS_MAX = 2048,       /* likewise */
};

/* ---- construction ---- */

static bool wake_for_clock(struct sm_clock_heap *self)
{
    struct sm_worker *worker = sm_container_of(self, struct sm_worker, clock_heap);
    /* seq_cst: pairs with the seq_cst store in sleep_in_poller(). */
    if (sm_exchange_seq_cst(&worker->is_sleeping, 0) == 0) return false;
    sm_poller_wake(&worker->poller);
    return true;
}

/* Whoever takes the role from here on looks by himself; but a foreign loop must be told to. */
static bool is_anybody_there(const struct sm_worker *worker)
{
    /* seq_cst: pairs with the CAS in sm_worker_try_hold(). What the taker is wanted for has been
     * written before this load; he looks for it after his CAS. */
    return sm_load_seq_cst(&worker->role.holder) != NULL || sm_poller_is_embedded(&worker->poller);
}

/* Where nobody is there, nobody looks: a wake-up that came late, when there was no need of it any more,
 * must not stop the clock. */
static bool has_events_for_clock(struct sm_clock_heap *self)
{
    struct sm_worker *worker = sm_container_of(self, struct sm_worker, clock_heap);
    return is_anybody_there(worker) && sm_poller_has_events(&worker->poller);
}

int sm_worker_init(struct sm_worker *worker, struct seam_runtime *runtime, uint32_t index)
{
    *worker = (struct sm_worker){
            .runtime = runtime,
            .index = index,
            .look_every = LOOK_EVERY_MAX,
            .spin.budget = SM_SPIN_MAX / 4,
            .random = index * 2654435761u + 1,
            .clock_heap = {.wake = wake_for_clock, .has_events = has_events_for_clock},
    };
    int r = sm_poller_init(&worker->poller);
    if (r < 0) return r;
    worker->poller.is_driven = runtime->is_driven && index == 0;

    sm_timer_heap_init(&worker->timers);
    worker->clock_heap.heap = &worker->timers;
    if (sm_clock_is_virtual()) sm_clock_register(&worker->clock_heap);
    return 0;
}

/* All that is kept for later, stacks and promises. The holder only. */
static SM_COLD void give_back_stacks(struct sm_worker *worker)
{
    for (int class = 0; class < SM_STACK_CLASS_COUNT; class ++) {
        struct sm_stack_cache *cache = &worker->stacks[class];
        while (cache->free != NULL) {
            struct sm_stack *stack = cache->free;
            cache->free = stack->next;
            sm_stack_put(stack);
        }
        if (cache->credits > 0) sm_stack_unreserve((enum sm_stack_class) class, cache->credits);
        *cache = (struct sm_stack_cache){};
    }
}

void sm_worker_fini(struct sm_worker *worker)
{
    /* acquire: pairs with the subtraction in sm_worker_send(): nobody touches us any more. */
    while (sm_load_acquire(&worker->senders) != 0) {
        (void)sched_yield();
    }
    if (sm_clock_is_virtual()) sm_clock_unregister(&worker->clock_heap);
    give_back_stacks(worker);
    sm_task_empty_cache(&worker->role);
    sm_fd_forget_poller(&worker->poller);
    sm_poller_fini(&worker->poller);
}

/* ---- stacks ---- */

/* Where there is no memory for more stacks, those we keep for later are worth more as promises. */
static SM_COLD bool fetch_credits(struct sm_stack_cache *cache, enum sm_stack_class class)
{
    cache->credits = sm_stack_reserve(class, CREDIT_BATCH);
    while (cache->credits == 0 && cache->free != NULL) {
        struct sm_stack *stack = cache->free;
        cache->free = stack->next;
        cache->free_count--;
        sm_stack_put(stack);
        cache->credits = sm_stack_reserve(class, 1);
    }
    return cache->credits > 0;
}

bool sm_worker_take_credit(struct sm_worker *worker, unsigned stack_class)
{
    struct sm_stack_cache *cache = &worker->stacks[stack_class];
    if (sm_unlikely(cache->credits == 0)
            && !fetch_credits(cache, (enum sm_stack_class)stack_class)) {
        return false;
    }
    cache->credits--;
    return true;
}

/* Tasks from outside and stolen ones bring credits that their spawners took elsewhere: without a
 * limit these would only ever become more. */
static SM_COLD void return_credits(struct sm_stack_cache *cache, enum sm_stack_class class)
{
    sm_stack_unreserve(class, CREDITS_MAX / 2);
    cache->credits -= CREDITS_MAX / 2;
}

/* A stack for a task whose spawner took a credit for it: one of ours, and the credit back, or one
 * that was reserved. */
static struct sm_stack *take_stack(struct sm_worker *worker, unsigned stack_class)
{
    struct sm_stack_cache *cache = &worker->stacks[stack_class];
    struct sm_stack *stack = cache->free;
    if (sm_likely(stack != NULL)) {
        cache->free = stack->next;
        cache->free_count--;
        if (sm_unlikely(++cache->credits > CREDITS_MAX)) {
            return_credits(cache, (enum sm_stack_class)stack_class);
        }
        return stack;
    }
    return sm_stack_take_reserved((enum sm_stack_class)stack_class);
}

static void give_stack(struct sm_worker *worker, struct sm_stack *stack)
{
    struct sm_stack_cache *cache = &worker->stacks[stack->class];
    sm_stack_check(stack);
    sm_lockcheck_end(stack);
    stack->owner = NULL;
    if (cache->free_count == CACHED_STACKS_MAX) {
        sm_stack_put(stack);
        return;
    }
    stack->next = cache->free;
    cache->free = stack;
    cache->free_count++;
}

/* ---- switching ---- */

/* The first thing on every context that has just been switched to. */
static void arrive(void)
{
    struct sm_thread *thread = sm_thread_self();
    sm_after_fn *after = thread->after;
    if (after == NULL) return;
    thread->after = NULL;
    after(thread->after_arg);
}

/* The last of a task, from the context that follows it. */
static void clear_away(void *arg)
{
    struct sm_task *task = arg;
    struct sm_worker *worker = sm_load_relaxed(&task->worker); /* relaxed: it ran here */
    if (sm_unlikely(task->stage == SM_TASK_BOUND)) sm_bound_unbind(task);
    sm_context_fini(&task->context);
    give_stack(worker, task->stack);
    task->stack = NULL;
    sm_count_relaxed(&worker->stats.finished, 1);
    sm_task_finish(task);
}

static void run_task(void *arg);

static void begin(struct sm_worker *worker, struct sm_task *task)
{
    struct sm_stack *stack = take_stack(worker, task->stack_class);
    stack->owner = task;
    task->stack = stack;
    task->stage = SM_TASK_STARTED;
    stack->pins = task->is_thread_bound;
    if (task->is_thread_bound) sm_bound_bind(task, sm_thread_self());
    /* Nobody may have looked at the clock of a driven worker for long. relaxed: for reports. */
    if (!worker->poller.is_driven) {
        sm_store_relaxed(&task->began, (uint32_t)(worker->looked_ns >> SM_TASK_BEGAN_SHIFT));
    }
    sm_context_init(&task->context, sm_stack_low(stack), sm_stack_usable(stack), run_task, task);
}

/* Leave from for task. Returns when somebody switches back to from. */
static inline void switch_to(
        struct sm_thread *thread, struct sm_context *from, struct sm_task *task)
{
    struct sm_worker *worker = sm_worker_of(thread);
    sm_count_relaxed(&worker->stats.switches, 1);
    thread->task = task;
    sm_store_relaxed(&task->worker, worker); /* relaxed: published by its next wait */
    worker->running = task;
    if (task->stage == SM_TASK_FRESH) begin(worker, task);
    /* relaxed: the task is on no queue and nobody can claim it. */
    sm_store_relaxed(&task->party.word, SM_PARTY_RUNNING);
    sm_context_switch(from, &task->context);
    arrive();
}

/* Take turns, so that neither what has begun nor what has not can starve the other. */
static inline struct sm_task *take_next(struct sm_worker *worker)
{
    worker->ring_first = !worker->ring_first;
    struct sm_task *task = worker->ring_first ? sm_ring_pop(&worker->ring) : NULL;
    if (task == NULL) task = sm_fifo_pop(&worker->fifo);
    if (task == NULL && !worker->ring_first) task = sm_ring_pop(&worker->ring);
    return task;
}

/* Leave the running task for whatever comes next: another task if there is one at hand and it is
 * not time to look around, else the thread's own stack. */
static void leave(struct sm_thread *thread, struct sm_context *from)
{
    struct sm_worker *worker = sm_worker_of(thread);
    struct sm_task *next = NULL;
    if (sm_likely(worker->until_look > 0)) {
        worker->until_look--;
        next = take_next(worker);
    }
    if (sm_likely(next != NULL)) {
        switch_to(thread, from, next);
        return;
    }
    thread->task = NULL;
    sm_context_switch(from, thread->native);
    arrive();
}

void sm_runner_suspend(struct sm_thread *thread, sm_after_fn *after, void *arg)
{
    const struct sm_task *task = thread->task;
    sm_lockcheck_leave(task->stack, task->name, task->spawned_at);
    thread->after = after;
    thread->after_arg = arg;
    leave(thread, &thread->task->context);
}

/* A task from its first to its last instruction. */
static void run_task(void *arg)
{
    struct sm_task *task = arg;
    arrive();
    sm_leave();

    int result = task->fn(task->arg);

    struct sm_thread *thread = sm_enter();
    if (thread == NULL) sm_panic("a forked child must not return from a task", __FILE__, __LINE__);
    task->party.result = result;
    thread->after = clear_away;
    thread->after_arg = task;
    leave(thread, &task->context);
    sm_panic("a finished task does not run", __FILE__, __LINE__);
}

static void send_home(void *arg)
{
    struct sm_task *task = arg;
    sm_worker_send(sm_load_relaxed(&task->worker), task); /* relaxed: it ran here */
}

struct sm_thread *sm_runner_rejoin(struct sm_thread *thread)
{
    struct sm_task *task = thread->task;
    sm_count_relaxed(&thread->returns, 1);
    if (thread->role != NULL && sm_thread_has_bound(thread)) sm_bound_ask(sm_worker_of(thread));
    thread->task = NULL;
    thread->after = send_home;
    thread->after_arg = task;
    sm_context_switch(&task->context, thread->native);
    arrive();
    return sm_thread_self();
}

/* Something to do on the stack of a parked task. */
struct visit {
    struct sm_task *task;
    sm_after_fn *fn;
    void *arg;
};

static void be_visited(void *arg)
{
    const struct visit *visit = arg;
    struct sm_task *task = visit->task;
    visit->fn(visit->arg);
    sm_context_switch(&task->context, sm_thread_self()->native);
    /* The visitor has gone, perhaps long ago: this is what the task was parked for. */
    arrive();
}

void sm_worker_visit(struct sm_task *task, sm_after_fn *fn, void *arg)
{
    struct sm_thread *thread = sm_thread_self();
    struct visit visit = {.task = task, .fn = fn, .arg = arg};
    thread->after = be_visited;
    thread->after_arg = &visit;
    sm_context_switch(thread->native, &task->context);
}

/* ---- queues ---- */

void sm_worker_push_fresh(struct sm_worker *worker, struct sm_task *task)
{
    if (sm_fifo_peek(&worker->backlog) == NULL && sm_ring_push(&worker->ring, task)) return;
    sm_fifo_push(&worker->backlog, task);
}

static void refill_ring(struct sm_worker *worker)
{
    for (int i = 0; i < BACKLOG_BATCH; i++) {
        struct sm_task *task = sm_fifo_peek(&worker->backlog);
        if (task == NULL) return;
        struct sm_task *rest = task->next;
        if (!sm_ring_push(&worker->ring, task)) return;
        sm_store_relaxed(&worker->backlog.head, rest); /* relaxed: owner only */
    }
}

/* Queue a task that may go on here. */
static void push_ready(struct sm_worker *worker, struct sm_task *task)
{
    if (task->stage == SM_TASK_FRESH) {
        sm_worker_push_fresh(worker, task);
    } else if (sm_unlikely(task->stage == SM_TASK_BOUND)) {
        sm_fifo_push(&worker->bound, task);
    } else if (worker->runtime->steal != SEAM_STEAL_FULL || !sm_ring_push(&worker->ring, task)) {
        sm_fifo_push(&worker->fifo, task);
    }
}

static void empty_inbox(struct sm_worker *worker)
{
    struct sm_task *task = sm_inbox_take_all(&worker->inbox);
    while (task != NULL) {
        struct sm_task *next = task->next;
        if (sm_unlikely(task->stage == SM_TASK_ERRAND)) {
            (void)task->fn(task->arg);
        } else {
            push_ready(worker, task);
        }
        task = next;
    }
}

void sm_worker_wake(struct sm_worker *worker)
{
    /* seq_cst: pairs with the seq_cst store in sleep_in_poller(). What it is woken for has been
     * written before this load; the sleeper looks for it after its store. */
    if (sm_load_seq_cst(&worker->is_sleeping) == 0) return;
    /* seq_cst: pairs with as above; of several wakers one makes the system call. */
    if (sm_exchange_seq_cst(&worker->is_sleeping, 0) == 0) return;
    sm_clock_busy();
    if (is_anybody_there(worker)) sm_poller_wake(&worker->poller);
}

void sm_worker_deliver(struct sm_worker *worker, struct sm_task *task)
{
    sm_inbox_push(&worker->inbox, task);
    sm_worker_wake(worker);
}

void sm_worker_send(struct sm_worker *worker, struct sm_task *task)
{
    /* Until it is pushed, the task keeps the runtime from ending; from then on, this count does. */
    (void)sm_add_relaxed(&worker->senders, 1); /* relaxed: published by the push */
    sm_worker_deliver(worker, task);
    /* acq_rel: pairs with the acquire in sm_worker_fini(). It is our last touch. */
    (void)sm_sub_acq_rel(&worker->senders, 1);
}

void sm_runner_ready(struct sm_task *task)
{
    struct sm_worker *worker = sm_load_relaxed(&task->worker); /* relaxed: published by its wait */
    if (sm_likely(sm_thread_self()->role == &worker->role)) {
        push_ready(worker, task);
    } else {
        sm_worker_send(worker, task);
    }
}

bool sm_worker_has_work(struct sm_worker *worker, int64_t now_ns)
{
    /* relaxed: the monitor's guess. */
    return sm_fifo_peek(&worker->fifo) != NULL || sm_fifo_peek(&worker->backlog) != NULL
            || sm_ring_count(&worker->ring) > 0 || !sm_inbox_is_empty(&worker->inbox)
            || sm_fifo_peek(&worker->bound) != NULL || sm_load_relaxed(&worker->wanted) != 0
            || sm_load_relaxed(&worker->timers.next_ns) <= now_ns
            /* Asked last, and only if there is anything to hear of: it costs a system call. */
            || (sm_poller_has_watched(&worker->poller) && sm_poller_has_events(&worker->poller));
}

/* ---- looking for work ---- */

/* Timers and events, without waiting; and whether others need what we keep. */
static void look_around(struct sm_worker *worker, int64_t now_ns)
{
    worker->looked_ns = now_ns;
    if (sm_unlikely(sm_stack_is_scarce())) give_back_stacks(worker);
    (void)sm_timer_fire_due(&worker->timers, now_ns);
    /* A foreign loop sees the poller readable until its wake-ups have been taken, too. */
    if (worker->poller.is_driven || sm_poller_has_watched(&worker->poller)) {
        sm_count_relaxed(&worker->stats.polls, 1);
        (void)sm_poller_wait(&worker->poller, 0);
    }
    /* What has waited for a whole quantum is worth another worker's wake-up; less is not. */
    if (sm_ring_count(&worker->ring) > 0) (void)sm_runtime_wake_idle(worker->runtime);
}

/* The clock is read every look_every switches only; how many make a quantum is learnt. */
static void look_if_due(struct sm_worker *worker)
{
    if (worker->until_look > 0) return;

    int64_t now_ns = sm_now_ns();
    int64_t passed_ns = now_ns - worker->looked_ns;
    if (passed_ns > QUANTUM_NS) {
        if (worker->look_every > 1) worker->look_every /= 2;
    } else if (worker->look_every < LOOK_EVERY_MAX) {
        worker->look_every *= 2;
    }
    worker->until_look = worker->look_every;
    if (passed_ns >= QUANTUM_NS) look_around(worker, now_ns);
}

/* Is there anything for sm_bound_next()? */
static bool has_bound(const struct sm_worker *worker)
{
    /* relaxed: who is about to sleep asks again in order. */
    return sm_fifo_peek(&worker->bound) != NULL || sm_load_relaxed(&worker->wanted) != 0;
}

/* Bound tasks and the others take turns. Only here are there any to be had: the next turn comes
 * after one switch. */
static SM_COLD struct sm_task *next_with_bound(struct sm_worker *worker, struct sm_thread *thread)
{
    worker->bound_first = !worker->bound_first;
    struct sm_task *task = worker->bound_first ? sm_bound_next(worker, thread) : take_next(worker);
    if (task == NULL && worker->heir == NULL) {
        task = worker->bound_first ? take_next(worker) : sm_bound_next(worker, thread);
    }
    if (sm_fifo_peek(&worker->bound) != NULL) worker->until_look = 0;
    return task;
}

/* NULL: nothing to run, or there is an heir. */
static struct sm_task *next_task(struct sm_worker *worker, struct sm_thread *thread)
{
    look_if_due(worker);
    if (!sm_inbox_is_empty(&worker->inbox)) empty_inbox(worker);
    if (sm_fifo_peek(&worker->backlog) != NULL && sm_ring_count(&worker->ring) == 0) {
        refill_ring(worker);
    }
    return sm_unlikely(has_bound(worker)) ? next_with_bound(worker, thread) : take_next(worker);
}

static uint32_t next_random(struct sm_worker *worker)
{
    uint32_t x = worker->random;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    worker->random = x;
    return x;
}

/* Take half of somebody's ring. At most half of the workers search at a time: more would only get
 * in each other's way. */
static bool steal(struct sm_worker *worker)
{
    struct seam_runtime *runtime = worker->runtime;
    uint32_t count = runtime->worker_count;
    if (count == 1 || runtime->steal == SEAM_STEAL_NONE) return false;

    /* relaxed: a throttle. */
    if (sm_add_relaxed(&runtime->searching, 1) >= (count + 1) / 2) {
        (void)sm_sub_relaxed(&runtime->searching, 1);
        return false;
    }
    uint32_t start = next_random(worker) % count;
    uint32_t stolen = 0;
    for (uint32_t i = 0; i < count && stolen == 0; i++) {
        struct sm_worker *victim = &runtime->workers[(start + i) % count];
        if (victim == worker) continue;
        stolen = sm_ring_steal(&victim->ring, &worker->ring);
        if (stolen > 0 && sm_ring_count(&victim->ring) > 0) (void)sm_runtime_wake_idle(runtime);
    }
    (void)sm_sub_relaxed(&runtime->searching, 1);
    sm_count_relaxed(&worker->stats.steals, stolen);
    return stolen > 0;
}

static bool is_over(struct sm_worker *worker, struct sm_party *party)
{
    /* seq_cst: pairs with the seq_cst store in sm_runtime_end() and the CAS in sm_party_claim(), for
     * the order against is_sleeping. Claimed is as good as done: the claimer is about to say so. */
    if (sm_load_seq_cst(&worker->runtime->ending) != 0) return true;
    return party != NULL
            && (sm_load_seq_cst(&party->word) & SM_PARTY_STATE_MASK) != SM_PARTY_WAITING;
}

/* Work from other threads often follows soon: spinning a little saves them the wake-up and us the
 * sleep. */
static bool spin_for_work(struct sm_worker *worker, struct sm_party *party)
{
    if (sm_clock_spins_are_pointless()) return false;
    bool has_work = false;
    for (unsigned left = sm_spin_budget(&worker->spin); left > 0 && !has_work; left--) {
        sm_spin_pause();
        has_work =
                !sm_inbox_is_empty(&worker->inbox) || has_bound(worker) || is_over(worker, party);
    }
    sm_spin_learn(&worker->spin, has_work);
    return has_work;
}

/* False: there was no need to, and the poller has not been asked. */
static bool sleep_in_poller(struct sm_worker *worker, struct sm_party *party)
{
    sm_runtime_set_idle(worker, true);
    /* seq_cst: pairs with the seq_cst load in sm_worker_wake(). Who brings work after this wakes us;
     * what was brought before is seen below.
     *
     *     sleeper                      waker
     *     is_sleeping = 1              push to the inbox, claim the party, set ending, wanted
     *     inbox, party, ending, wanted?    is_sleeping?                                    */
    sm_store_seq_cst(&worker->is_sleeping, 1);
    bool may_sleep = sm_inbox_is_empty(&worker->inbox)
            && !is_over(worker, party)
            /* seq_cst: pairs with the store in sm_bound_ask(). */
            && sm_load_seq_cst(&worker->wanted) == 0;
    if (may_sleep) {
        sm_count_relaxed(&worker->stats.parks, 1);
        sm_clock_idle();
        int64_t deadline_ns = sm_clock_is_virtual()
                ? INT64_MAX
                : sm_load_relaxed(&worker->timers.next_ns); /* relaxed: who adds an earlier one
                                                             * wakes us */
        (void)sm_poller_wait(&worker->poller, deadline_ns);
    }
    /* seq_cst: pairs with the exchange in sm_worker_wake(): a waker that was first counted us, also
     * where we had not taken ourselves off the count. */
    bool is_counted = sm_exchange_seq_cst(&worker->is_sleeping, 0) == 0;
    if (may_sleep && !is_counted) sm_clock_busy();
    if (!may_sleep && is_counted) sm_clock_idle();
    sm_runtime_set_idle(worker, false);
    sm_monitor_rouse(worker->runtime);
    return may_sleep;
}

static bool has_tasks(struct sm_worker *worker)
{
    /* Where only the backlog has some, thieves have emptied the ring: there may be more to fill it. */
    return sm_fifo_peek(&worker->fifo) != NULL || sm_ring_count(&worker->ring) > 0
            || sm_fifo_peek(&worker->backlog) != NULL || has_bound(worker);
}

/* There is nothing in our queues. Find something, or sleep until there may be. Who does not spin need
 * not ask the poller first: it answers a sleeper at once. But who finds something to steal each time
 * does not sleep: he asks once in a quantum, as if he had been running tasks of his own. */
static void find_work(struct sm_worker *worker, struct sm_party *party)
{
    int64_t now_ns = sm_now_ns();
    worker->until_look = worker->look_every;
    if (sm_spin_budget(&worker->spin) > 0 || now_ns - worker->looked_ns >= QUANTUM_NS) {
        look_around(worker, now_ns);
    } else {
        if (sm_unlikely(sm_stack_is_scarce())) give_back_stacks(worker);
        (void)sm_timer_fire_due(&worker->timers, now_ns);
    }
    if (has_tasks(worker)) return;
    if (steal(worker)) return;
    if (spin_for_work(worker, party)) return;
    bool has_slept = sleep_in_poller(worker, party);
    if (!sm_inbox_is_empty(&worker->inbox)) sm_spin_slept(&worker->spin);
    now_ns = sm_now_ns();
    if (has_slept) worker->looked_ns = now_ns;
    (void)sm_timer_fire_due(&worker->timers, now_ns);
}

enum sm_worker_end sm_worker_run(struct sm_thread *thread, struct sm_party *party)
{
    struct sm_worker *worker = sm_worker_of(thread);
    while (!is_over(worker, party)) {
        /* Bound tasks first: we may have been given the role for their sake. */
        if (sm_worker_is_wanted_back(worker) && !has_bound(worker)) return SM_WORKER_BACK;
        struct sm_task *task = next_task(worker, thread);
        if (worker->heir != NULL) return SM_WORKER_HEIR;
        if (task == NULL) {
            /* What was bound may all be aside now. */
            if (!sm_worker_is_wanted_back(worker)) find_work(worker, party);
            continue;
        }
        switch_to(thread, thread->native, task);
        if (thread->role == NULL) return SM_WORKER_LOST;
    }
    return SM_WORKER_DONE;
}

bool sm_worker_run_some(struct sm_thread *thread, int64_t limit_ns)
{
    struct sm_worker *worker = sm_worker_of(thread);
    int64_t end_ns = sm_now_ns() + limit_ns;
    look_around(worker, sm_now_ns());
    for (;;) {
        struct sm_task *task = next_task(worker, thread);
        if (task == NULL && worker->heir == NULL) {
            look_around(worker, sm_now_ns());
            task = next_task(worker, thread);
        }
        if (worker->heir != NULL) return true;
        if (task == NULL) return false;
        switch_to(thread, thread->native, task);
        if (thread->role == NULL || sm_now_ns() >= end_ns) return true;
    }
}

void sm_worker_rest(struct sm_worker *worker)
{
    if (sm_unlikely(sm_stack_is_scarce())) give_back_stacks(worker);
    /* seq_cst: pairs with the seq_cst load in sm_worker_wake(), as in sleep_in_poller(). */
    sm_store_seq_cst(&worker->is_sleeping, 1);
    /* relaxed: who adds an earlier timer from now on wakes us. */
    sm_poller_arm(&worker->poller, sm_load_relaxed(&worker->timers.next_ns));
    if (!sm_inbox_is_empty(&worker->inbox) || has_tasks(worker)) sm_worker_wake(worker);
}

bool sm_worker_try_hold(struct sm_worker *worker, struct sm_thread *thread)
{
    struct sm_thread *nobody = NULL;
    /* acq_rel: pairs with the release in pass_role(). It carries everything owner-only. */
    if (!sm_cas_seq_cst(&worker->role.holder, &nobody, thread)) return false;
    thread->role = &worker->role;
    /* seq_cst: pairs with the seq_cst load in sm_worker_wake(): we are awake. Who woke the worker
     * counted it as busy, which this thread is already. */
    if (sm_exchange_seq_cst(&worker->is_sleeping, 0) == 0) sm_clock_idle();
    sm_monitor_rouse(worker->runtime);
    sm_bound_reconsider(worker);
    return true;
}

static void pass_role(struct sm_worker *worker, struct sm_thread *thread, struct sm_thread *to)
{
    sm_assert(thread->role == &worker->role);
    thread->role = NULL;
    struct sm_thread *holder = thread;
    /* Not a plain store: a taker that contests the role sees us inside and writes us back.
     * seq_cst: pairs with the CAS in sm_worker_try_hold(): it carries everything owner-only, and
     * orders the look at those who would drive. */
    while (!sm_cas_seq_cst(&worker->role.holder, &holder, to)) {
        holder = thread;
        (void)sched_yield();
    }
}

void sm_worker_let_go(struct sm_worker *worker, struct sm_thread *thread)
{
    pass_role(worker, thread, NULL);
}

void sm_worker_pass_on(struct sm_worker *worker, struct sm_thread *thread, struct sm_thread *heir)
{
    sm_store_relaxed(&heir->inside, 1); /* relaxed: published with the role */
    heir->role = &worker->role;
    pass_role(worker, thread, heir);
}

struct sm_timer_heap *sm_runner_timers(struct sm_thread *thread)
{
    return &sm_worker_of(thread)->timers;
}

struct sm_poller *sm_fd_current_poller(void)
{
    struct sm_thread *thread = sm_thread_self();
    return thread->task != NULL ? &sm_worker_of(thread)->poller : NULL;
}
