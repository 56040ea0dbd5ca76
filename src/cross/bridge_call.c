/* SPDX-License-Identifier: MIT */
/*
 * cross/bridge_call.c - one call through a bridge: in, across with seam_call(), out.
 *
 * The scope that seam_call() runs the function in carries a pointer to the call. Scopes inherit it
 * from the one they are opened in, and so do the jobs of seam_block(): that is how a call finds out
 * that it is made inside another, and seam_fail() which reply it is about.
 */
#include <errno.h>
#include <execinfo.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "seam/bridge.h"
#include "seam/scope.h"
#include "seam/time.h"

#include "base/panic.h"
#include "cross/bridge.h"
#include "sched/runtime.h"
#include "task/scope.h"
#include "task/task.h"
#include "task/wait.h"

/* ---- on the side of the runtime ---- */

static struct sm_thread *enter_as_callee(void)
{
    struct sm_thread *thread = sm_enter();
    if (thread == NULL) sm_panic("a forked child must not return from a call", __FILE__, __LINE__);
    return thread;
}

/* fn's thread was ended under it, and with it, in place, the caller: who leaves all the same. */
SEAM_SUSPENDS static void lose(struct sm_scope *scope)
{
    struct sm_call *call = scope->call;
    bool is_in_place = scope->owner == sm_thread_party(enter_as_callee()) && call->lost == NULL;
    sm_lock(&call->lock);
    call->scope = NULL; /* as in end() */
    sm_unlock(&call->lock);
    sm_leave();
    if (call->lost != NULL) call->lost(scope); /* call may be gone */
    /* Else another waits for the call, and learns from that it has not ended. */
    if (!is_in_place) return;
    (void)seam_scope_cancel((struct seam_scope *)scope);
    (void)seam_scope_end((struct seam_scope *)scope);
    sm_bridge_leave(call, -EPIPE);
}

static bool begin(struct sm_call *call)
{
    struct sm_scope *scope = sm_thread_party(enter_as_callee())->scope;
    sm_assert(!scope->is_root); /* it is the call's own */
    scope->call = call;
    call->lost = scope->lost;
    scope->lost = lose;
    sm_lock(&call->lock);
    bool may_run = !call->is_cancelled;
    call->has_begun = may_run;
    if (may_run) call->scope = scope;
    sm_unlock(&call->lock);
    if (may_run && call->reply != NULL) {
        call->reply->message[0] = '\0';
        call->reply->frame_count = 0;
    }
    sm_leave();
    return may_run;
}

static void end(struct sm_call *call, int result)
{
    (void)enter_as_callee();
    sm_lock(&call->lock);
    call->scope = NULL; /* from here on it may close */
    call->has_ended = true;
    call->result = result;
    if (call->reply != NULL) call->reply->result = result;
    sm_unlock(&call->lock);
    sm_leave();
}

static int serve(void *arg)
{
    struct sm_call *call = arg;
    if (!begin(call)) return -ECANCELED;
    int result = call->fn(call->arg);
    end(call, result);
    return result;
}

/* ---- on the side of the caller ---- */

/* Field by field, since clearing all of it would be a tenth of a call in place. The others are set by
 * sm_bridge_come_in(). */
static void init(
        struct sm_call *call, seam_bridge *bridge, seam_fn *fn, void *arg, int64_t deadline_ns)
{
    call->bridge = bridge;
    call->runtime = NULL;
    call->fn = fn;
    call->arg = arg;
    call->deadline_ns = deadline_ns;
    call->link = (struct sm_list){};
    call->lock = (struct sm_lock){};
    call->may_outlive = false;
    call->is_cancelled = false;
    call->has_begun = false;
    call->has_ended = false;
    call->scope = NULL;
    call->reply = NULL;
    call->result = 0;
}

static int64_t patience(int64_t deadline_ns)
{
    return deadline_ns <= SEAM_NOW ? SEAM_FOREVER : deadline_ns;
}

/* What the caller is told, given what seam_call() said. */
static int settle(const struct sm_call *call, int r)
{
    /* The runtime's stop; the bridge's own has been seen before. */
    if (r == -ESHUTDOWN) return -EOWNERDEAD;
    /* A runtime that is stopped cancels what has not begun, too. */
    bool is_stopped = r == -ECANCELED && !sm_runtime_is_open(call->runtime);
    if (is_stopped && seam_cancelled() == 0) return -EOWNERDEAD;
    if (r == 0 && !call->has_begun) return -ESHUTDOWN;
    if (r == 0 && !call->has_ended) return -EPIPE;
    return r;
}

int seam_bridge_call(seam_bridge *bridge, seam_fn *fn, void *arg, struct seam_reply *out_reply,
        int64_t deadline_ns)
{
    struct sm_call call;
    init(&call, bridge, fn, arg, deadline_ns);
    call.reply = out_reply;
    int r = sm_bridge_come_in(&call);
    if (r < 0) return r;
    r = settle(&call, seam_call(call.runtime, serve, &call, NULL, patience(deadline_ns)));
    sm_bridge_leave(&call, r);
    return r;
}

/* A call that may be given up: then the runtime's side lets go of everything. */
struct owned_call {
    struct sm_call call;
    struct seam_reply reply;
    seam_destroy_fn *destroy;
};

static void give_up(void *arg, int result)
{
    struct owned_call *owned = arg;
    owned->destroy(owned->call.arg, owned->call.has_begun ? result : -ECANCELED);
    sm_bridge_leave(&owned->call, SM_BRIDGE_GIVEN_UP);
    free(owned);
}

/* Have it come in; on error everything has been given back. Suspends. */
static int come_in_owned(struct owned_call *owned)
{
    owned->call.reply = &owned->reply;
    owned->call.may_outlive = true;
    int r = sm_bridge_come_in(&owned->call);
    owned->call.outer = NULL; /* which may end before we do */
    if (r == 0) return 0;
    owned->destroy(owned->call.arg, -ECANCELED);
    free(owned);
    return r;
}

int seam_bridge_call_owned(seam_bridge *bridge, seam_fn *fn, void *arg, seam_destroy_fn *destroy,
        struct seam_reply *out_reply, int64_t deadline_ns)
{
    struct owned_call *owned = calloc(1, sizeof *owned);
    if (owned == NULL) {
        destroy(arg, -ECANCELED);
        return -ENOMEM;
    }
    init(&owned->call, bridge, fn, arg, deadline_ns);
    owned->destroy = destroy;
    int r = come_in_owned(owned);
    if (r < 0) return r;

    seam_runtime *runtime = owned->call.runtime;
    r = seam_call_owned(runtime, serve, owned, give_up, NULL, patience(deadline_ns));
    if (r < 0) return r == -ESHUTDOWN ? -EOWNERDEAD : r; /* *owned has been given up */

    r = settle(&owned->call, 0);
    if (r == 0 && out_reply != NULL) *out_reply = owned->reply;
    sm_bridge_leave(&owned->call, r);
    free(owned);
    if (r < 0) destroy(arg, r == -EPIPE ? -EPIPE : -ECANCELED);
    return r;
}

/* ---- why it failed ---- */

int seam_fail(int code, const char *format, ...)
{
    char message[SEAM_REPLY_MESSAGE_MAX];
    void *frames[SEAM_REPLY_FRAMES_MAX + 1];
    struct sm_thread *thread = sm_enter();
    if (thread == NULL) return code;
    struct sm_call *call = sm_party_call(sm_thread_party(thread));
    if (call != NULL && call->reply != NULL) {
        va_list args;
        va_start(args, format);
        /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is, in the line before */
        (void)vsnprintf(message, sizeof message, format, args);
        va_end(args);
        int count = backtrace(frames, SEAM_REPLY_FRAMES_MAX + 1);

        /* Tasks inside the call may fail at the same time. */
        sm_lock(&call->lock);
        struct seam_reply *reply = call->reply;
        (void)memcpy(reply->message, message, sizeof message);
        reply->frame_count = count > 1 ? (uint32_t)count - 1 : 0; /* without ourselves */
        for (uint32_t i = 0; i < reply->frame_count; i++) {
            reply->frames[i] = frames[i + 1];
        }
        sm_unlock(&call->lock);
    }
    sm_leave();
    return code;
}

/* ---- coming in ---- */

static enum seam_bridge_caller kind_of(struct sm_thread *thread, const seam_runtime *runtime)
{
    if (thread->task != NULL) {
        return sm_runtime_current(thread) == runtime ? SEAM_CALLER_TASK : SEAM_CALLER_OTHER_TASK;
    }
    return thread->pool_of != NULL ? SEAM_CALLER_POOL : SEAM_CALLER_THREAD;
}

static bool is_inside(const struct sm_call *call, const seam_bridge *bridge)
{
    while (call != NULL && call->bridge != bridge) {
        call = call->outer;
    }
    return call != NULL;
}

bool sm_bridge_is_inside(struct sm_thread *thread, const seam_bridge *bridge)
{
    return is_inside(sm_party_call(sm_thread_party(thread)), bridge);
}

/* Is the bridge of any use? Under its lock. */
static int check_open(const seam_bridge *bridge, const struct sm_call *call)
{
    bool is_let_in = bridge->state == SM_BRIDGE_OPEN
            || (bridge->state == SM_BRIDGE_CLOSING && call->is_inside);
    if (!is_let_in) return -ESHUTDOWN;
    return sm_runtime_is_open(bridge->runtime) ? 0 : -EOWNERDEAD;
}

struct sm_party *sm_bridge_count_out(seam_bridge *bridge)
{
    bridge->callers--;
    if (bridge->callers > 0 || bridge->closer == NULL) return NULL;
    return sm_party_claim(bridge->closer->party) ? bridge->closer->party : NULL;
}

static void take_place(seam_bridge *bridge)
{
    bridge->in_flight++;
    if (bridge->in_flight > bridge->in_flight_high) bridge->in_flight_high = bridge->in_flight;
}

/* Wait for a place. The lock is held, and again when this returns. */
static int stand_in_line(struct sm_thread *thread, struct sm_call *call)
{
    seam_bridge *bridge = call->bridge;
    int r = sm_wait_refused(call->deadline_ns);
    if (r < 0) return r;
    struct sm_waiter waiter = {.party = sm_thread_party(thread), .value = call};
    const struct sm_wait wait = {
            .reason = "bridge",
            .deadline_ns = call->deadline_ns,
            .to_drive = call->runtime->is_driven && thread->task == NULL ? call->runtime : NULL,
            .unlock = sm_wait_unlock,
            .object = &bridge->lock,
    };
    bridge->queued++;
    r = sm_wait_on_queue(&bridge->lock, &bridge->line, &waiter, &wait);
    sm_lock(&bridge->lock);
    bridge->queued--;
    return r;
}

/* Under the lock. */
static int find_place(struct sm_thread *thread, struct sm_call *call)
{
    seam_bridge *bridge = call->bridge;
    int r = check_open(bridge, call);
    if (r < 0) return r;
    call->runtime = bridge->runtime;
    bridge->callers++;
    call->has_own_place = !call->is_inside || call->may_outlive;
    if (!call->is_inside && bridge->in_flight >= bridge->in_flight_max) {
        return stand_in_line(thread, call);
    }
    if (call->has_own_place) take_place(bridge);
    return 0;
}

static void count_refusal(struct sm_call *call, int r)
{
    seam_bridge *bridge = call->bridge;
    struct seam_bridge_caller_stats *stats = &bridge->by_caller[call->caller];
    if (r == -ETIMEDOUT) stats->timeouts++;
    if (r == -ECANCELED) stats->cancels++;
    if (r == -ESHUTDOWN || r == -EOWNERDEAD || r == -EAGAIN) stats->refused++;
    if (r == -ESHUTDOWN) bridge->report.refused++;
}

/* In-place calls are so short that two looks at the clock would show: of these every 16th is timed.
 * Under the lock. */
static bool is_to_be_timed(const struct sm_call *call)
{
    enum { SAMPLE_EVERY = 16 };
    return call->caller != SEAM_CALLER_TASK
            || call->bridge->by_caller[SEAM_CALLER_TASK].calls % SAMPLE_EVERY == 0;
}

int sm_bridge_come_in(struct sm_call *call)
{
    struct sm_thread *thread = sm_enter();
    if (thread == NULL) return -EOWNERDEAD;
    seam_bridge *bridge = call->bridge;
    call->outer = sm_party_call(sm_thread_party(thread));
    call->is_inside = is_inside(call->outer, bridge);
    call->came_ns = thread->task != NULL ? sm_os_coarse_ns() : sm_now_ns();

    sm_lock(&bridge->lock);
    call->caller = (uint8_t)kind_of(thread, bridge->runtime);
    call->is_timed = is_to_be_timed(call);
    if (call->is_timed && thread->task != NULL) call->came_ns = sm_now_ns();
    int r = sm_party_is_cancelled(sm_thread_party(thread)) ? -ECANCELED : 0;
    if (r == 0) r = find_place(thread, call);
    struct sm_party *closer = NULL;
    if (r == 0) {
        call->is_cancelled = bridge->is_cancelling;
        sm_list_push_back(&bridge->calls, &call->link);
    } else {
        count_refusal(call, r);
        if (call->runtime != NULL) closer = sm_bridge_count_out(bridge);
    }
    sm_unlock(&bridge->lock);
    if (closer != NULL) sm_party_complete(closer, 0);
    sm_leave();
    return r;
}

/* ---- leaving ---- */

static void count_time(struct seam_bridge_caller_stats *stats, int64_t passed_ns)
{
    uint64_t ns = passed_ns > 0 ? (uint64_t)passed_ns : 1;
    int bucket = 63 - __builtin_clzll(ns);
    stats->latency[bucket < SEAM_BRIDGE_BUCKETS ? bucket : SEAM_BRIDGE_BUCKETS - 1]++;
}

/* Under the bridge's lock. */
static void count_end(struct sm_call *call, int r)
{
    struct seam_bridge_caller_stats *stats = &call->bridge->by_caller[call->caller];
    if (r == 0 && call->result < 0) stats->failures++;
    if (r == -ECANCELED) stats->cancels++;
    if (r == -ESHUTDOWN || r == -EOWNERDEAD) stats->refused++;
    if (r == -EPIPE) stats->lost++;
    if (r == SM_BRIDGE_GIVEN_UP) stats->abandoned++;
    if (r == 0) stats->calls++;
    if (!call->is_timed && call->deadline_ns == SEAM_FOREVER) return;

    int64_t now_ns = sm_now_ns();
    if (call->deadline_ns > SEAM_NOW && now_ns >= call->deadline_ns) stats->timeouts++;
    if (r == 0 && call->is_timed) count_time(stats, now_ns - call->came_ns);
}

/* The place goes to the first in line, if there is one: to be completed. Not one beyond the limit.
 * Under the lock. */
static struct sm_party *give_place(seam_bridge *bridge)
{
    struct sm_waiter *next = NULL;
    if (bridge->in_flight <= bridge->in_flight_max) next = sm_waiters_claim_first(&bridge->line);
    if (next != NULL) return next->party;
    bridge->in_flight--;
    return NULL;
}

void sm_bridge_leave(struct sm_call *call, int r)
{
    if (sm_enter() == NULL) return;
    seam_bridge *bridge = call->bridge;
    sm_lock(&bridge->lock);
    sm_list_remove(&call->link);
    count_end(call, r);
    if (bridge->state == SM_BRIDGE_CLOSING && !call->is_cancelled) bridge->report.drained++;
    struct sm_party *next = call->has_own_place ? give_place(bridge) : NULL;
    struct sm_party *closer = sm_bridge_count_out(bridge);
    sm_unlock(&bridge->lock);
    /* Never both: who has a place counts as a caller. */
    if (next != NULL) sm_party_complete(next, 0);
    if (closer != NULL) sm_party_complete(closer, 0);
    sm_leave();
}
