/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "seam/sim_atomic.h"

#include "base/panic.h"
#include "base/stuck.h"
#include "sim/real.h"
#include "sim/sim.h"
#include "sim/state.h"

enum {
    POINT_NS = 10,  /* a point takes this long */
    CLOCK_NS = 400, /* and a look at the clock; long, or whoever waits by looking looks too often */
    SWITCH_NS = 500,    /* another thread going on */
    FAIR_AFTER = 20000, /* points: nobody keeps the baton for longer */
    ROUNDS = 4,         /* of destructors: PTHREAD_DESTRUCTOR_ITERATIONS, in libc */
    KERNEL_MS = 200,    /* how long it may take to say that a timer has gone off */
    STALLS = 4,
    LOOKS_MAX = 64,      /* of a watcher, all in vain; and */
    IDLE_NS = 100000000, /* for this long: then it will not see anything new */
};

#define VIRTUAL_MAX  (INT64_C(100000) * 1000000000)
#define SWITCHES_MAX (UINT64_C(3000000))

bool sm_sim_is_active;
struct sm_sim_world sm_sim;

static _Thread_local struct sm_sim_thread *self;
static pthread_key_t end_key;
static struct sm_sim_thread records[SM_SIM_THREADS_MAX];

/* ---- the baton ---- */

static void pass_baton(struct sm_sim_thread *to)
{
    __atomic_store_n(&sm_sim.current, to, __ATOMIC_RELAXED);
    to->state = SM_SIM_RUNNING;
    /* Release: pairs with the acquire in await_baton(). It carries all that the simulation knows. */
    __atomic_store_n(&to->baton, 1, __ATOMIC_RELEASE);
    (void)REAL(syscall)(SYS_futex, &to->baton, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* Whoever went before us is off the system before we go on. The first thread never is. */
static void bury(void)
{
    int tid = sm_sim.dying_tid;
    sm_sim.dying_tid = 0;
    if (tid == 0 || tid == getpid()) return;
    while (REAL(syscall)(SYS_tgkill, getpid(), tid, 0) == 0) {
        (void)REAL(sched_yield)();
    }
}

static void await_baton(struct sm_sim_thread *me)
{
    /* Acquire: pairs with the release in pass_baton(). */
    while (__atomic_load_n(&me->baton, __ATOMIC_ACQUIRE) == 0) {
        (void)REAL(syscall)(SYS_futex, &me->baton, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    }
    __atomic_store_n(&me->baton, 0, __ATOMIC_RELAXED);
    bury();
}

struct sm_sim_thread *sm_sim_self(void)
{
    return self;
}

bool sm_sim_is_simulated(void)
{
    return sm_sim_is_active && self != NULL
            && __atomic_load_n(&sm_sim.current, __ATOMIC_RELAXED) == self;
}

/* ---- who can go on ---- */

static void queue(struct sm_sim_thread *thread)
{
    thread->ready_since = sm_sim_record()->switches;
    sm_sim.ready[sm_sim.ready_count++] = thread;
}

static void make_ready(struct sm_sim_thread *thread, enum sm_sim_outcome outcome)
{
    if (thread->state == SM_SIM_BLOCKED && thread->wait == SM_SIM_FILES) sm_sim.file_waiters--;
    thread->state = SM_SIM_READY;
    thread->outcome = outcome;
    queue(thread);
    sm_sim_log(SM_SIM_EVENT_WAKE, (uint64_t)outcome << 32 | thread->index);
}

static struct sm_sim_thread *take_ready(unsigned index)
{
    struct sm_sim_thread *thread = sm_sim.ready[index];
    sm_sim.ready_count--;
    for (unsigned i = index; i < sm_sim.ready_count; i++) {
        sm_sim.ready[i] = sm_sim.ready[i + 1];
    }
    return thread;
}

static void fire_timers(void)
{
    for (unsigned i = 0; i < sm_sim.timer_count; i++) {
        struct sm_sim_timer *timer = &sm_sim.timers[i];
        if (timer->deadline_ns > sm_sim.now_ns) continue;
        timer->deadline_ns = INT64_MAX;
        struct itimerspec past = {.it_value.tv_nsec = 1};
        if (REAL(timerfd_settime)(timer->fd, TFD_TIMER_ABSTIME, &past, NULL) < 0) continue;
        /* The kernel says so a moment later. */
        (void)REAL(poll)(&(struct pollfd){.fd = timer->fd, .events = POLLIN}, 1, KERNEL_MS);
        sm_sim.files_changed = true;
    }
}

static void wake_those_who_are_due(void)
{
    if (sm_sim.now_ns < sm_sim.next_deadline_ns) return;
    fire_timers();
    int64_t next_ns = sm_sim_network_arrive();
    for (unsigned i = 0; i < sm_sim.all_count; i++) {
        struct sm_sim_thread *thread = sm_sim.all[i];
        if (thread->state != SM_SIM_BLOCKED) continue;
        if (thread->deadline_ns <= sm_sim.now_ns) {
            make_ready(thread, SM_SIM_TIMED_OUT);
        } else if (thread->deadline_ns < next_ns) {
            next_ns = thread->deadline_ns;
        }
    }
    for (unsigned i = 0; i < sm_sim.timer_count; i++) {
        if (sm_sim.timers[i].deadline_ns < next_ns) next_ns = sm_sim.timers[i].deadline_ns;
    }
    sm_sim.next_deadline_ns = next_ns;
}

static void wake_those_with_files(void)
{
    if (!sm_sim.files_changed || sm_sim.file_waiters == 0) return;
    sm_sim.files_changed = false;
    for (unsigned i = 0; i < sm_sim.all_count; i++) {
        struct sm_sim_thread *thread = sm_sim.all[i];
        if (thread->state != SM_SIM_BLOCKED || thread->wait != SM_SIM_FILES) continue;
        if (REAL(poll)(thread->fds, thread->fd_count, 0) != 0) make_ready(thread, SM_SIM_WOKEN);
    }
}

static void wake_all(void)
{
    (void)sm_sim_network_arrive();
    wake_those_with_files();
    wake_those_who_are_due();
    wake_those_with_files(); /* timers are files */
}

/* What everybody waits for lies outside of the process, if anywhere. */
static bool waits_for_the_outside(void)
{
    struct pollfd fds[64];
    unsigned count = 0;
    for (unsigned i = 0; i < sm_sim.all_count; i++) {
        const struct sm_sim_thread *thread = sm_sim.all[i];
        if (thread->state != SM_SIM_BLOCKED || thread->wait != SM_SIM_FILES) continue;
        for (unsigned k = 0; k < thread->fd_count && count < 64; k++) {
            fds[count++] = thread->fds[k];
        }
    }
    sm_sim.files_changed = true;
    return count > 0 && REAL(poll)(fds, count, sm_sim_patience_ms()) > 0;
}

static _Noreturn void give_up(const char *verdict)
{
    sm_sim_report(verdict);
    abort();
}

/*
 * When a thread that is BLOCKED will do something, although nobody else does; INT64_MAX: never.
 *
 * Most do when their time comes. But a watcher, which is what the library's monitor is, pauses, looks
 * whether others need help, and pauses again. What a look comes to depends on what others have done
 * meanwhile, on how many looks have shown the same, and for how long: it has patience for a few looks,
 * and for some milliseconds. So, if LOOKS_MAX of them and IDLE_NS have passed in which nobody else has
 * had the baton, the next will be in vain, too; until one of the others goes on, or something is due
 * that it would see to, of which it tells before each pause.
 */
static int64_t acts_at(const struct sm_sim_thread *thread)
{
    bool is_patient = thread->looks < LOOKS_MAX || thread->news != sm_sim.news
            || sm_sim.now_ns - sm_sim.news_ns < IDLE_NS;
    bool is_for_good = thread->deadline_ns == INT64_MAX;
    if (!thread->is_pausing || is_patient || is_for_good) return thread->deadline_ns;
    return thread->due_ns > sm_sim.now_ns ? thread->due_ns : INT64_MAX;
}

/* When somebody will; nobody can go on before. */
static int64_t next_act(void)
{
    int64_t next_ns = sm_sim_network_arrive();
    for (unsigned i = 0; i < sm_sim.timer_count; i++) {
        if (sm_sim.timers[i].deadline_ns < next_ns) next_ns = sm_sim.timers[i].deadline_ns;
    }
    for (unsigned i = 0; i < sm_sim.all_count; i++) {
        if (sm_sim.all[i]->state != SM_SIM_BLOCKED) continue;
        int64_t at_ns = acts_at(sm_sim.all[i]);
        if (at_ns < next_ns) next_ns = at_ns;
    }
    return next_ns;
}

/* Nobody can go on: let time pass until somebody can. */
static void pass_the_time(void)
{
    sm_sim_describe_thread(&sm_sim.current->told);
    for (;;) {
        sm_sim.files_changed = true;
        wake_all();
        if (sm_sim.ready_count > 0) return;
        int64_t next_ns = next_act();
        if (next_ns == INT64_MAX) {
            if (!waits_for_the_outside()) give_up("deadlock: nobody can ever go on");
        } else {
            sm_sim.now_ns = next_ns;
            if (sm_sim.now_ns > SM_SIM_START_NS + VIRTUAL_MAX) give_up("no end: a day has passed");
            sm_sim_log(SM_SIM_EVENT_TIME, (uint64_t)sm_sim.now_ns);
        }
    }
}

/* ---- changing over ---- */

static void switch_to(struct sm_sim_thread *from, struct sm_sim_thread *to, const void *pc)
{
    struct sm_sim_record *record = sm_sim_record();
    sm_sim_log(SM_SIM_EVENT_SWITCH, to->index);
    sm_sim_tell(from, to, pc);
    if (!from->is_watcher || !to->is_watcher) {
        sm_sim.news++;
        sm_sim.news_ns = sm_sim.now_ns;
    }
    record->switches++;
    record->virtual_ns = sm_sim.now_ns - SM_SIM_START_NS;
    if (record->switches > SWITCHES_MAX) give_up("no end: too many changes of threads");
    sm_sim.now_ns += SWITCH_NS;
    sm_sim.switched_at = record->points;
    if (to == from) {
        from->state = SM_SIM_RUNNING;
        return;
    }
    sm_sim_describe_thread(&from->told);
    pass_baton(to);
}

static bool interrupts(int signo)
{
    sigset_t mask;
    struct sigaction action;
    (void)pthread_sigmask(SIG_BLOCK, NULL, &mask);
    if (sigismember(&mask, signo) != 0 || sigaction(signo, NULL, &action) < 0) return false;
    if (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN) return false;
    return (action.sa_flags & SA_RESTART) == 0;
}

/* What others have sent while we had no baton. Does one of them end a system call? */
static bool take_signals(struct sm_sim_thread *me)
{
    bool is_interrupted = false;
    while (me->signals != 0) {
        int signo = __builtin_ctzll(me->signals) + 1;
        me->signals &= me->signals - 1;
        is_interrupted = interrupts(signo) || is_interrupted;
        (void)REAL(syscall)(SYS_tgkill, getpid(), me->tid, signo);
    }
    return is_interrupted;
}

/* Leave, for one of those who are ready. Returns when we have the baton again. */
static bool change_over(struct sm_sim_thread *me, enum sm_sim_why why, const void *pc)
{
    if (sm_sim.ready_count == 0) pass_the_time();
    unsigned index = sm_sim_choose(sm_sim.ready_count, why);
    if (why == SM_SIM_PREEMPT) {
        /* One in many is a machine that has no time for anybody. */
        static const int64_t stalls_ns[STALLS] = {0, 50000, 1000000, 5000000};
        sm_sim.now_ns += stalls_ns[sm_sim_choose(STALLS, SM_SIM_STALL)];
    }
    struct sm_sim_thread *next = take_ready(index);
    if (me->state == SM_SIM_RUNNING) {
        me->state = SM_SIM_READY;
        queue(me);
    }
    switch_to(me, next, pc);
    if (next != me) await_baton(me);
    if (sm_sim_is_replay()) sm_sim.preempt_at = sm_sim_next_preemption(); /* ours */
    return take_signals(me);
}

static void preempt(struct sm_sim_thread *me, const void *pc)
{
    bool is_due = sm_sim_record()->points >= sm_sim.preempt_at;
    wake_all();
    sm_sim.switched_at = sm_sim_record()->points;
    if (sm_sim.ready_count > 0) {
        (void)change_over(me, is_due ? SM_SIM_PREEMPT : SM_SIM_YIELD, pc);
    }
    /* Only now: it may have been long. */
    if (sm_sim.preempt_at <= sm_sim_record()->points) {
        sm_sim.preempt_at = sm_sim_next_preemption();
    }
}

static void be_at_point(const void *pc)
{
    struct sm_sim_thread *me = self;
    struct sm_sim_record *record = sm_sim_record();
    record->points++;
    me->points++;
    sm_sim.now_ns += POINT_NS;
    me->cpu_ns += POINT_NS;
    if (record->points < sm_sim.preempt_at && record->points - sm_sim.switched_at < FAIR_AFTER) {
        return;
    }
    preempt(me, pc);
}

void sm_sim_point_slow(void)
{
    if (sm_sim_is_simulated()) be_at_point(__builtin_return_address(0));
}

void seam_sim_point(void)
{
    if (sm_sim_is_active && sm_sim_is_simulated()) be_at_point(__builtin_return_address(0));
}

void sm_sim_step(void)
{
    be_at_point(__builtin_return_address(0));
}

void sm_sim_yield(void)
{
    struct sm_sim_thread *me = self;
    sm_sim_step();
    sm_sim.now_ns += CLOCK_NS;
    me->cpu_ns += CLOCK_NS;
    wake_all();
    if (sm_sim.ready_count > 0) (void)change_over(me, SM_SIM_YIELD, NULL);
}

void sm_sim_after_wake(void)
{
    if (sm_sim.ready_count == 0 || sm_sim_choose(2, SM_SIM_HANDOVER) == 0) return;
    (void)change_over(self, SM_SIM_NEXT, NULL);
}

/* ---- waiting ---- */

static enum sm_sim_outcome block(struct sm_sim_thread *me)
{
    for (;;) {
        me->state = SM_SIM_BLOCKED;
        if (me->deadline_ns < sm_sim.next_deadline_ns) sm_sim.next_deadline_ns = me->deadline_ns;
        if (me->wait == SM_SIM_FILES) sm_sim.file_waiters++;
        sm_sim_log(SM_SIM_EVENT_BLOCK, me->wait);
        wake_all();
        bool is_interrupted = change_over(me, SM_SIM_NEXT, NULL);
        if (me->outcome != SM_SIM_INTERRUPTED || is_interrupted) return me->outcome;
        /* A wake may have come while it was up for nothing. */
        if (me->wait == SM_SIM_FUTEX || me->wait == SM_SIM_SEMAPHORE) return SM_SIM_WOKEN;
    }
}

static bool may_be_interrupted(enum sm_sim_wait wait)
{
    switch (wait) {
    case SM_SIM_FUTEX:
    case SM_SIM_SEMAPHORE:
    case SM_SIM_FILES:
    case SM_SIM_SLEEP: return true;
    case SM_SIM_MUTEX:
    case SM_SIM_RWLOCK:
    case SM_SIM_COND:
    case SM_SIM_ONCE:
    case SM_SIM_JOIN: break;
    }
    return false;
}

enum sm_sim_outcome sm_sim_block(enum sm_sim_wait wait, const void *object, int64_t deadline_ns)
{
    struct sm_sim_thread *me = self;
    if (may_be_interrupted(wait) && sm_sim_has_fault(SEAM_SIM_FAULT_INTERRUPT)) {
        sm_sim_yield();
        return SM_SIM_INTERRUPTED;
    }
    me->wait = wait;
    me->object = object;
    me->deadline_ns = deadline_ns;
    return block(me);
}

enum sm_sim_outcome sm_sim_block_files(struct pollfd *fds, unsigned count, int64_t deadline_ns)
{
    struct sm_sim_thread *me = self;
    me->fds = fds;
    me->fd_count = count;
    sm_sim.files_changed = true;
    return sm_sim_block(SM_SIM_FILES, fds, deadline_ns);
}

/* Those who wait for object, in the order of their ages. */
static unsigned find_waiters(
        enum sm_sim_wait wait, const void *object, struct sm_sim_thread **found, unsigned max)
{
    unsigned count = 0;
    for (unsigned i = 0; i < sm_sim.all_count && count < max; i++) {
        struct sm_sim_thread *thread = sm_sim.all[i];
        if (thread->state != SM_SIM_BLOCKED || thread->wait != wait) continue;
        if (thread->object == object) found[count++] = thread;
    }
    return count;
}

int sm_sim_wake(enum sm_sim_wait wait, const void *object, int max)
{
    enum { AT_ONCE = 128 };
    int woken = 0;
    while (woken < max) {
        struct sm_sim_thread *found[AT_ONCE];
        unsigned count = find_waiters(wait, object, found, AT_ONCE);
        if (count == 0) break;
        unsigned left = max - woken < (int)count ? (unsigned)(max - woken) : count;
        unsigned index = left < count ? sm_sim_choose(count, SM_SIM_WAKE) : 0;
        make_ready(found[index], SM_SIM_WOKEN);
        woken++;
    }
    return woken;
}

void sm_sim_files_changed(void)
{
    sm_sim.files_changed = true;
}

void sm_sim_signal(struct sm_sim_thread *thread, int signo)
{
    thread->signals |= UINT64_C(1) << (signo - 1);
    if (thread->state == SM_SIM_BLOCKED && may_be_interrupted(thread->wait)) {
        make_ready(thread, SM_SIM_INTERRUPTED);
    }
}

/* ---- what the library tells ---- */

void sm_sim_park(struct sm_sim_parked *parked, const struct sm_task *task)
{
    parked->task = task;
    sm_list_init(&parked->link);
    if (sm_sim_is_active && sm_sim_is_simulated()) {
        sm_list_push_back(&sm_sim.parked, &parked->link);
    }
}

void sm_sim_unpark(struct sm_sim_parked *parked)
{
    sm_list_remove(&parked->link);
}

void sm_sim_pause_begin(int64_t until_ns)
{
    if (!sm_sim_is_active || !sm_sim_is_simulated()) return;
    self->is_watcher = true;
    self->is_pausing = true;
    self->due_ns = until_ns;
    self->looks = self->news == sm_sim.news ? self->looks + 1 : 0;
    self->news = sm_sim.news;
}

void sm_sim_pause_end(void)
{
    if (sm_sim_is_active && sm_sim_is_simulated()) self->is_pausing = false;
}

/* ---- time ---- */

int64_t sm_sim_now_ns(void)
{
    sm_sim_step();
    sm_sim.now_ns += CLOCK_NS;
    self->cpu_ns += CLOCK_NS;
    return sm_sim.now_ns;
}

int64_t sm_sim_cpu_ns(clockid_t clock)
{
    for (unsigned i = 0; i < sm_sim.all_count; i++) {
        const struct sm_sim_thread *thread = sm_sim.all[i];
        if (thread->state != SM_SIM_GONE && thread->cpu_clock == clock) return thread->cpu_ns;
    }
    return -1;
}

void sm_sim_timer_set(int fd, int64_t deadline_ns)
{
    unsigned i = 0;
    while (i < sm_sim.timer_count && sm_sim.timers[i].fd != fd) {
        i++;
    }
    if (i == SM_SIM_TIMERS_MAX) sm_panic("so many timers in a simulation", __FILE__, __LINE__);
    if (i == sm_sim.timer_count) sm_sim.timer_count++;
    sm_sim.timers[i] = (struct sm_sim_timer){.fd = fd, .deadline_ns = deadline_ns};
    if (deadline_ns < sm_sim.next_deadline_ns) sm_sim.next_deadline_ns = deadline_ns;
}

void sm_sim_timer_forget(int fd)
{
    for (unsigned i = 0; i < sm_sim.timer_count; i++) {
        if (sm_sim.timers[i].fd != fd) continue;
        sm_sim.timers[i] = sm_sim.timers[--sm_sim.timer_count];
        return;
    }
}

/* ---- the life of a thread ---- */

void sm_sim_thread_forget(struct sm_sim_thread *thread)
{
    unsigned i = 0;
    while (sm_sim.all[i] != thread) {
        i++;
    }
    sm_sim.all_count--;
    for (; i < sm_sim.all_count; i++) {
        sm_sim.all[i] = sm_sim.all[i + 1];
    }
    thread->run = NULL;
}

struct sm_sim_thread *sm_sim_thread_new(void *(*run)(void *), void *arg, bool is_detached)
{
    unsigned i = 0;
    while (i < SM_SIM_THREADS_MAX && records[i].run != NULL) {
        i++;
    }
    if (i == SM_SIM_THREADS_MAX) return NULL;
    records[i] = (struct sm_sim_thread){.index = sm_sim.created_count++,
            .is_detached = is_detached,
            .priority = sm_sim_new_priority(),
            .run = run,
            .arg = arg};
    return &records[i];
}

void sm_sim_thread_drop(struct sm_sim_thread *thread)
{
    thread->run = NULL;
}

void sm_sim_thread_launch(struct sm_sim_thread *thread, pthread_t pthread)
{
    thread->pthread = pthread;
    (void)pthread_getcpuclockid(pthread, &thread->cpu_clock);
    sm_sim.all[sm_sim.all_count++] = thread;
    sm_sim.live_count++;
    make_ready(thread, SM_SIM_WOKEN);
}

/* The last of a thread, as far as we see. */
static void leave(struct sm_sim_thread *me)
{
    sm_sim_log(SM_SIM_EVENT_END, me->index);
    me->state = SM_SIM_GONE;
    sm_sim.live_count--;
    (void)sm_sim_wake(SM_SIM_JOIN, me, INT_MAX);
    if (me->is_detached) sm_sim_thread_forget(me);
    self = NULL;
    sm_sim.dying_tid = me->tid;
    if (sm_sim.live_count == 0) {
        sm_sim_is_active = false; /* the last of all: the process ends */
        return;
    }
    if (sm_sim.ready_count == 0) pass_the_time();
    switch_to(me, take_ready(sm_sim_choose(sm_sim.ready_count, SM_SIM_NEXT)), NULL);
}

/* Our key is older than any other that the program's threads use here, so its destructor is the first
 * of each round. In the last round, what others have to say has been said. */
static void end(void *arg)
{
    struct sm_sim_thread *me = arg;
    if (!sm_sim_is_active || self != me) return;
    if (++me->rounds < ROUNDS) {
        (void)pthread_setspecific(end_key, me);
    } else {
        leave(me);
    }
}

void *sm_sim_trampoline(void *thread)
{
    struct sm_sim_thread *me = thread;
    me->tid = (int)REAL(syscall)(SYS_gettid);
    (void)pthread_setspecific(end_key, me);
    self = me;
    await_baton(me);
    sm_sim_log(SM_SIM_EVENT_BEGIN, me->index);
    if (sm_sim_is_replay()) sm_sim.preempt_at = sm_sim_next_preemption();
    (void)take_signals(me);
    return me->run(me->arg);
}

struct sm_sim_thread *sm_sim_thread_find(pthread_t pthread)
{
    for (unsigned i = 0; i < sm_sim.all_count; i++) {
        if (pthread_equal(sm_sim.all[i]->pthread, pthread)) return sm_sim.all[i];
    }
    return NULL;
}

struct sm_sim_thread *sm_sim_thread_of_tid(int tid)
{
    for (unsigned i = 0; i < sm_sim.all_count; i++) {
        if (sm_sim.all[i]->tid == tid && sm_sim.all[i]->state != SM_SIM_GONE) return sm_sim.all[i];
    }
    return NULL;
}

bool sm_sim_thread_is_runnable(int tid, bool really)
{
    if (!sm_sim_is_simulated()) return really;
    const struct sm_sim_thread *thread = sm_sim_thread_of_tid(tid);
    return thread == NULL ? really : thread->state != SM_SIM_BLOCKED;
}

bool sm_sim_has_thread(int tid)
{
    return sm_sim_is_simulated() && sm_sim_thread_of_tid(tid) != NULL;
}

/* ---- beginning ---- */

static void leave_the_child_alone(void)
{
    sm_sim_is_active = false;
    self = NULL;
}

/* One CPU: then a change of threads costs two microseconds, and no two threads run at once even
 * where one has gone already. */
static void stay_on_this_cpu(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    int cpu = sched_getcpu();
    CPU_SET(cpu < 0 ? 0 : (unsigned)cpu, &set);
    (void)sched_setaffinity(0, sizeof set, &set);
    /* Who is woken waits until we sleep, in the next system call. */
    (void)sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){});
}

static void *first_thread(void *unused)
{
    return unused;
}

void sm_sim_begin(const struct sm_sim_plan *plan, struct sm_sim_record *record)
{
    stay_on_this_cpu();
    sm_sim.now_ns = SM_SIM_START_NS;
    sm_sim.next_deadline_ns = INT64_MAX;
    (void)pthread_key_create(&end_key, end);
    (void)pthread_atfork(NULL, NULL, leave_the_child_alone);
    struct sm_sim_thread *me = &records[0];
    *me = (struct sm_sim_thread){.run = first_thread, .state = SM_SIM_RUNNING};
    sm_sim.current = me;
    sm_sim_choices_begin(plan, record);
    sm_sim_network_begin(plan);
    me->priority = sm_sim_new_priority();
    me->pthread = pthread_self();
    me->tid = (int)REAL(syscall)(SYS_gettid);
    (void)pthread_getcpuclockid(me->pthread, &me->cpu_clock);
    (void)pthread_setspecific(end_key, me);
    sm_sim.all[sm_sim.all_count++] = me;
    sm_sim.live_count = 1;
    sm_sim.created_count = 1;
    self = me;
    sm_sim.preempt_at = sm_sim_next_preemption();
    sm_sim_is_active = true;
}
