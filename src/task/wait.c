/* SPDX-License-Identifier: MIT */
#include "task/wait.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "seam/time.h"

#include "base/panic.h"
#include "base/stuck.h"
#include "task/scope.h"
#include "task/task.h"
#include "time/clock.h"
#include "time/timer.h"

/* A wait's own deadline. */
struct deadline {
    struct sm_timer timer;
    struct sm_party *party;
};

static void fire_deadline(struct sm_timer *timer)
{
    struct deadline *deadline = sm_container_of(timer, struct deadline, timer);
    struct sm_party *party = deadline->party;
    if (sm_party_claim(party)) sm_party_complete(party, -ETIMEDOUT);
}

/* From here on the party can be claimed; the object's lock is opened last, since wakers that hold
 * it expect to be able to. */
static void publish(struct sm_party *party, const struct sm_wait *wait)
{
    /* Once published and unlocked, the party may go on and its frame, with *wait, be gone. */
    void (*unlock)(void *object) = wait->unlock;
    void *object = wait->object;
    uint32_t shield = wait->ignores_cancel ? SM_PARTY_UNCANCELLABLE : party->shield_depth;
    struct sm_scope *scope = party->scope;
    uint32_t scope_depth = party->scope_depth;

    /* seq_cst: pairs with the seq_cst load in claim_unless_shielded() and store in cancel_here().
     * It carries the party's frame to the claimer, and orders the look at the flag below.
     *
     *     party                        canceller
     *     word = WAITING               cancelled = 1
     *     cancelled?                   word == WAITING?                                        */
    (void)sm_exchange_seq_cst(&party->word, SM_PARTY_WAITING | shield << SM_PARTY_SHIELD_SHIFT);
    if (scope != NULL
            && shield < scope_depth
            /* seq_cst: pairs with the seq_cst store in cancel_here(). */
            && sm_load_seq_cst(&scope->cancelled) != 0
            && sm_party_claim_for_cancel(party, scope_depth)) {
        unlock(object);
        sm_party_complete(party, -ECANCELED);
        return;
    }
    unlock(object);
}

struct departure {
    struct sm_party *party;
    const struct sm_wait *wait;
};

static void publish_task(void *arg)
{
    const struct departure *departure = arg;
    publish(departure->party, departure->wait);
}

static int wait_as_task(struct sm_thread *thread, const struct sm_wait *wait)
{
    struct sm_party *party = &thread->task->party;
    thread->task->reason = wait->reason;

    struct deadline deadline;
    bool has_deadline = wait->deadline_ns != INT64_MAX;
    if (has_deadline) {
        deadline = (struct deadline){
                .timer = {.deadline_ns = wait->deadline_ns, .fire = fire_deadline},
                .party = party,
        };
        /* Nobody fires the timer before we have parked: that takes the role, which we hold. */
        (void)sm_timer_add(sm_runner_timers(thread), &deadline.timer);
    }
    struct departure departure = {.party = party, .wait = wait};
    struct sm_sim_parked parked;
    sm_sim_park(&parked, thread->task);
    sm_runner_suspend(thread, publish_task, &departure);
    sm_sim_unpark(&parked);
    /* Resumed, so it was claimed and completed. */
    if (has_deadline) (void)sm_timer_remove(&deadline.timer);
    return party->result;
}

static bool spin_until_done(struct sm_thread *thread)
{
    if (sm_clock_spins_are_pointless()) return false;
    bool is_done = false;
    for (unsigned left = sm_spin_budget(&thread->spin); left > 0 && !is_done; left--) {
        sm_spin_pause();
        /* acquire: pairs with the release in complete_thread(). */
        is_done = sm_load_acquire(&thread->party.word) == SM_PARTY_DONE;
    }
    sm_spin_learn(&thread->spin, is_done);
    return is_done;
}

/* End our own wait, unless somebody is faster. */
static void claim_own(struct sm_party *party, int result)
{
    if (sm_party_claim(party)) {
        party->result = result;
        sm_clock_busy();
    } else {
        sm_party_wait_for_done(party);
    }
}

/* The earliest deadline among the scopes that a thread has opened, or NULL. They are in the heap of
 * a runtime that nobody may be driving, or of none: so the thread looks for itself. */
static struct sm_timer *first_own_timer(const struct sm_party *party)
{
    struct sm_timer *first = NULL;
    for (struct sm_scope *scope = party->scope; scope != NULL; scope = scope->outer) {
        struct sm_timer *timer = &scope->timer;
        /* relaxed: who has set it has dealt with the timer. */
        if (timer->heap == NULL || sm_load_relaxed(&scope->cancelled) != 0) continue;
        if (first == NULL || timer->deadline_ns < first->deadline_ns) first = timer;
    }
    return first;
}

/* When a thread that waits until deadline_ns must look again. */
static int64_t wake_up_time(const struct sm_party *party, int64_t deadline_ns)
{
    if (sm_clock_is_virtual()) return INT64_MAX;
    const struct sm_timer *own = first_own_timer(party);
    return own != NULL && own->deadline_ns < deadline_ns ? own->deadline_ns : deadline_ns;
}

/* It is now_ns, at least: if that is the deadline of one of our scopes, have it cancel itself. */
static void fire_own_timer(const struct sm_party *party, int64_t now_ns)
{
    struct sm_timer *own = first_own_timer(party);
    if (own != NULL && own->deadline_ns <= now_ns && sm_timer_remove(own)) own->fire(own);
}

void sm_wait_fire_own_timers(const struct sm_party *party)
{
    const struct sm_timer *own = NULL;
    /* What has fired, here or elsewhere, has cancelled its scope and is not found again. */
    while ((own = first_own_timer(party)) != NULL && own->deadline_ns <= sm_now_ns()) {
        fire_own_timer(party, own->deadline_ns);
    }
}

static void sleep_in_futex(struct sm_thread *thread, const struct sm_wait *wait)
{
    struct sm_party *party = &thread->party;
    if (!sm_party_change_flags(party, SM_PARTY_SLEEPS, 0)) {
        sm_party_wait_for_done(party);
        return;
    }
    for (;;) {
        /* acquire: pairs with the release in complete_thread(). */
        uint32_t word = sm_load_acquire(&party->word);
        if (word == SM_PARTY_DONE) return;
        if ((word & SM_PARTY_RETRY) != 0 && (word & SM_PARTY_STATE_MASK) == SM_PARTY_WAITING) {
            sm_clock_busy();
            if (sm_runner_drive(thread, wait->to_drive)) return;
            sm_clock_idle();
            continue;
        }
        int64_t until_ns = wake_up_time(party, wait->deadline_ns);
        if (sm_os.futex_wait(&party->word, word, until_ns) != -ETIMEDOUT) continue;
        if (until_ns == wait->deadline_ns) {
            claim_own(party, -ETIMEDOUT);
            return;
        }
        fire_own_timer(party, until_ns);
    }
}

/* The thread's own poll() stands in for a poller; whoever claims the wait pokes the event
 * descriptor. */
static void sleep_in_poll(struct sm_thread *thread, const struct sm_wait *wait)
{
    struct sm_party *party = &thread->party;
    short events = 0;
    if ((wait->poll_events & 1) != 0) events |= POLLIN;
    if ((wait->poll_events & 2) != 0) events |= POLLOUT;
    struct pollfd fds[] = {
            {.fd = wait->poll_fd, .events = events},
            {.fd = thread->event_fd, .events = POLLIN},
    };
    if (!sm_party_change_flags(party, SM_PARTY_POLLS, 0)) {
        sm_party_wait_for_done(party);
        return;
    }
    int r = -ETIMEDOUT;
    int64_t until_ns = 0;
    while (r == -ETIMEDOUT && until_ns != wait->deadline_ns) {
        fire_own_timer(party, until_ns); /* pokes us if it ends the wait */
        until_ns = wake_up_time(party, wait->deadline_ns);
        r = sm_os.poll(fds, 2, until_ns);
    }
    claim_own(party, r == -ETIMEDOUT ? -ETIMEDOUT : 0);
    /* Drained, so that the next poll() does not return for this one's sake. */
    uint64_t count = 0;
    (void)!read(thread->event_fd, &count, sizeof count);
}

/* The wait is published: until it has ended, sleep or run others. A job of the pool that cannot go
 * on at once gives its slot back meanwhile: what it waits for may need one. */
static void pass_the_time(struct sm_thread *thread, const struct sm_wait *wait)
{
    bool is_driver = wait->to_drive != NULL;
    if (!is_driver && wait->poll_events == 0 && spin_until_done(thread)) return;

    struct sm_slot *slot = thread->slot;
    if (slot != NULL) slot->lend(slot);
    if (!is_driver || !sm_runner_drive(thread, wait->to_drive)) {
        bool is_over = is_driver && wait->poll_events == 0 && spin_until_done(thread);
        if (!is_over) sm_clock_idle();
        if (wait->poll_events != 0) {
            sleep_in_poll(thread, wait);
        } else if (!is_over) {
            sleep_in_futex(thread, wait);
            sm_spin_slept(&thread->spin);
        }
    }
    if (slot != NULL) slot->reclaim(slot);
}

static int wait_as_thread(struct sm_thread *thread, const struct sm_wait *wait)
{
    struct sm_party *party = &thread->party;
    thread->reason = wait->reason;
    if (wait->to_drive != NULL) sm_runner_drive_enlist(thread, wait->to_drive);

    /* On virtual time, and while we drive, a thread's deadline is a timer like any other. */
    struct deadline deadline = {
            .timer = {.deadline_ns = wait->deadline_ns, .fire = fire_deadline},
            .party = party,
    };
    publish(party, wait);
    if (wait->deadline_ns != INT64_MAX && sm_clock_is_virtual()) {
        sm_clock_add_timer(&deadline.timer);
    } else if (wait->deadline_ns != INT64_MAX && wait->to_drive != NULL) {
        if (sm_timer_add(sm_runner_shared_timers(wait->to_drive), &deadline.timer)) {
            sm_runner_timer_added(wait->to_drive);
        }
    }
    pass_the_time(thread, wait);
    (void)sm_timer_remove(&deadline.timer);
    /* Last: until then the runtime stays, whatever its tasks and those who stop it have done. */
    if (wait->to_drive != NULL) sm_runner_drive_retire(thread, wait->to_drive);

    /* relaxed: the party is this thread's alone again. */
    sm_store_relaxed(&party->word, SM_PARTY_RUNNING);
    thread->reason = NULL;
    return party->result;
}

int sm_wait(const struct sm_wait *wait)
{
    struct sm_thread *thread = sm_thread_self();
    return thread->task != NULL ? wait_as_task(thread, wait) : wait_as_thread(thread, wait);
}

void sm_wait_unlock(void *lock)
{
    sm_unlock(lock);
}

int sm_wait_on_queue(struct sm_lock *lock, struct sm_list *queue, struct sm_waiter *waiter,
        const struct sm_wait *wait)
{
    sm_list_push_back(queue, &waiter->link);
    int r = sm_wait(wait);
    if (r == -ETIMEDOUT || r == -ECANCELED) {
        sm_lock(lock);
        sm_list_remove(&waiter->link);
        sm_unlock(lock);
    }
    return r;
}

int sm_wait_refused(int64_t deadline_ns)
{
    if (sm_likely(deadline_ns == SEAM_FOREVER)) return 0;
    if (deadline_ns <= SEAM_NOW) return -EAGAIN;
    return deadline_ns <= sm_now_ns() ? -ETIMEDOUT : 0;
}

/* ---- what a simulation asks ---- */

#ifdef SM_SIM

void sm_sim_describe_task(const struct sm_task *task, struct sm_sim_told *out_told)
{
    /* relaxed: all threads stand still. */
    bool waits = (sm_load_relaxed(&task->party.word) & SM_PARTY_STATE_MASK) == SM_PARTY_WAITING;
    *out_told = (struct sm_sim_told){.name = task->name,
            .spawned_at = task->spawned_at,
            .reason = waits ? task->reason : NULL};
}

void sm_sim_describe_thread(struct sm_sim_told *out_told)
{
    const struct sm_thread *thread = sm_thread_self_if_known();
    *out_told = (struct sm_sim_told){};
    if (thread == NULL) return;
    if (thread->task != NULL) {
        out_told->name = thread->task->name;
        out_told->spawned_at = thread->task->spawned_at;
    } else {
        out_told->reason = thread->reason;
    }
}

#endif
