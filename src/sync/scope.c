/* SPDX-License-Identifier: MIT */
#include "task/scope.h"

#include <errno.h>

#include "seam/runtime.h"
#include "seam/time.h"

#include "base/panic.h"
#include "sched/runtime.h"
#include "sync/inside.h"
#include "task/task.h"
#include "task/wait.h"
#include "time/clock.h"

/* Lives in memory declared as struct seam_shield. */
struct __attribute__((may_alias)) shield {
    uint16_t outer_depth; /* the party's shield_depth before */
};
_Static_assert(sizeof(struct shield) <= sizeof(struct seam_shield), "see seam/scope.h");

static void time_out(struct sm_scope *scope)
{
    sm_lock(&scope->lock);
    /* relaxed: under the lock. A cancellation that came first is what the scope reports. */
    if (sm_load_relaxed(&scope->cancelled) == 0) scope->has_timed_out = true;
    sm_unlock(&scope->lock);
    sm_scope_cancel(scope);
}

static void fire_deadline(struct sm_timer *timer)
{
    time_out(sm_container_of(timer, struct sm_scope, timer));
}

/* A thread's timer: with a runtime, to be fired by that one's workers. */
static void add_timer(struct sm_timer *timer, seam_runtime *runtime)
{
    if (runtime == NULL) {
        sm_clock_add_timer(timer);
    } else if (sm_timer_add(sm_runner_shared_timers(runtime), timer)) {
        sm_runner_timer_added(runtime);
    }
}

static void arm(struct sm_thread *thread, struct sm_scope *scope, int64_t deadline_ns)
{
    scope->timer.deadline_ns = deadline_ns;
    scope->timer.fire = fire_deadline;
    if (deadline_ns <= sm_now_ns()) {
        time_out(scope);
    } else if (thread->task != NULL) {
        (void)sm_timer_add(sm_runner_timers(thread), &scope->timer);
    } else {
        add_timer(&scope->timer, scope->runtime);
    }
}

/* What a thread opened without a runtime has nobody to fire its timer but the thread, which may be
 * busy driving. While there is a scope in a runtime below, that one's workers do: with NULL, no more. */
static void move_timers(const struct sm_scope *below, seam_runtime *runtime)
{
    struct sm_scope *scope = below->outer;
    for (; scope != NULL && scope->runtime == NULL; scope = scope->outer) {
        if (sm_timer_remove(&scope->timer)) {
            add_timer(&scope->timer, runtime);
        } else {
            scope->timer.heap = NULL; /* it has fired, and the heap may go before the scope does */
        }
    }
}

int sm_scope_runtime(struct sm_thread *thread, seam_runtime **inout_runtime)
{
    if (*inout_runtime == NULL) *inout_runtime = sm_runtime_current(thread);
    if (*inout_runtime != NULL) return 0;
    int r = seam_runtime_default(inout_runtime);
    (void)sm_enter(); /* that has left */
    return r;
}

int sm_scope_begin(struct sm_thread *thread, struct sm_scope *scope, seam_runtime *runtime,
        int64_t deadline_ns, struct sm_task *first)
{
    if (!sm_runtime_is_open(runtime)) return -ESHUTDOWN;
    struct sm_scope *root = sm_runtime_root(runtime);
    int r = sm_scope_open(scope, sm_thread_party(thread), root, SM_SCOPE_COUNTED, first);
    if (r < 0) return r;
    move_timers(scope, runtime);
    if (deadline_ns != SEAM_FOREVER) arm(thread, scope, deadline_ns);
    return 0;
}

void sm_scope_begin_alone(struct sm_thread *thread, struct sm_scope *scope, int64_t deadline_ns)
{
    (void)sm_scope_open(scope, sm_thread_party(thread), NULL, SM_SCOPE_UNCOUNTED, NULL);
    arm(thread, scope, deadline_ns);
}

int seam_scope_begin(struct seam_scope *public_scope, seam_runtime *runtime, int64_t deadline_ns)
{
    struct sm_thread *thread = sm_enter();
    if (thread == NULL) return -EOWNERDEAD;

    int r = sm_scope_runtime(thread, &runtime);
    if (r == 0) r = sm_scope_begin(thread, sm_scope_of(public_scope), runtime, deadline_ns, NULL);
    sm_leave();
    return r;
}

static void wait_until_empty(struct sm_thread *thread, struct sm_scope *scope)
{
    sm_lock(&scope->lock);
    if (scope->live == 0) {
        sm_unlock(&scope->lock);
        return;
    }
    struct sm_waiter waiter = {.party = sm_thread_party(thread)};
    scope->ender = &waiter;
    const struct sm_wait wait = {
            .reason = "scope end",
            .deadline_ns = SEAM_FOREVER,
            .ignores_cancel = true,
            .to_drive = scope->runtime->is_driven ? scope->runtime : NULL,
            .unlock = sm_wait_unlock,
            .object = &scope->lock,
    };
    (void)sm_wait(&wait);
}

int sm_scope_end(struct sm_thread *thread, struct sm_scope *scope)
{
    struct sm_party *party = sm_thread_party(thread);
    wait_until_empty(thread, scope);
    (void)sm_timer_remove(&scope->timer);
    sm_scope_dispose_finished(scope);
    if (scope->runtime == NULL) return sm_scope_close(scope, party, NULL);
    move_timers(scope, NULL); /* the runtime may end with this scope */
    return sm_scope_close(scope, party, sm_runtime_root(scope->runtime));
}

int seam_scope_end(struct seam_scope *public_scope)
{
    struct sm_thread *thread = sm_enter();
    if (thread == NULL) return -EOWNERDEAD;

    struct sm_scope *scope = sm_scope_of(public_scope);
    struct sm_party *party = sm_thread_party(thread);
    bool is_last = !scope->is_root && scope->is_open == SM_SCOPE_OPEN && scope->owner == party
            && party->scope == scope;
    int r = is_last ? sm_scope_end(thread, scope) : -EINVAL;
    sm_leave();
    return r;
}

int seam_scope_cancel(struct seam_scope *public_scope)
{
    struct sm_thread *thread = sm_enter();
    if (thread == NULL) return -EOWNERDEAD;

    struct sm_scope *scope = sm_scope_of(public_scope);
    int r = scope->is_root ? -EINVAL : 0;
    if (r == 0) sm_scope_cancel(scope);
    sm_leave();
    return r;
}

int seam_cancelled(void)
{
    struct sm_thread *thread = sm_enter();
    if (thread == NULL) return 0;
    if (thread->task == NULL) sm_wait_fire_own_timers(&thread->party);
    int r = sm_party_is_cancelled(sm_thread_party(thread)) ? -ECANCELED : 0;
    sm_leave();
    return r;
}

void seam_shield_begin(struct seam_shield *public_shield)
{
    struct sm_thread *thread = sm_enter();
    if (thread == NULL) return;
    struct sm_party *party = sm_thread_party(thread);
    struct shield *shield = (struct shield *)(void *)public_shield;
    shield->outer_depth = party->shield_depth;
    party->shield_depth = ++party->depth;
    sm_assert(party->depth != 0);
    sm_leave();
}

void seam_shield_end(struct seam_shield *public_shield)
{
    struct sm_thread *thread = sm_enter();
    if (thread == NULL) return;
    struct sm_party *party = sm_thread_party(thread);
    const struct shield *shield = (const struct shield *)(const void *)public_shield;
    sm_assert(party->depth == party->shield_depth);
    party->depth--;
    party->shield_depth = shield->outer_depth;
    sm_leave();
}
