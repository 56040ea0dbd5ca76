/* SPDX-License-Identifier: MIT */
/*
 * cross/bridge.c - the life of a bridge: new, close, reopen, free.
 */
#include "cross/bridge.h"

#include <errno.h>
#include <execinfo.h>
#include <stdlib.h>
#include <string.h>

#include "seam/scope.h"
#include "seam/time.h"

#include "base/cast.h"
#include "base/panic.h"
#include "sched/runtime.h"
#include "task/scope.h"
#include "task/task.h"
#include "task/wait.h"

enum { IN_FLIGHT_DEFAULT = 1024, WORKERS_DEFAULT = 1 };
#define GRACE_DEFAULT_NS SEAM_SECOND

/* ---- the runtime behind it ---- */

/* Where a bridge's calls are to run: shared, or made for it. */
struct basis {
    seam_runtime *runtime;
    bool is_private;
};

static int find_basis(const seam_bridge *bridge, seam_runtime *shared, struct basis *out_basis)
{
    if (shared != NULL) {
        if (!sm_runtime_is_open(shared)) return -ESHUTDOWN;
        sm_runtime_ref(shared);
        *out_basis = (struct basis){.runtime = shared};
        return 0;
    }
    const struct seam_options options = {.workers = bridge->workers, .name = bridge->name};
    seam_runtime *own = NULL;
    int r = seam_runtime_new(&options, &own);
    if (r == 0) *out_basis = (struct basis){.runtime = own, .is_private = true};
    return r;
}

/* Stand on basis from now on. Returns what the bridge stood on before, or NULL. Under the lock;
 * nobody is inside. */
static seam_runtime *stand_on(seam_bridge *bridge, const struct basis *basis)
{
    seam_runtime *before = bridge->runtime;
    bridge->runtime = basis->runtime;
    bridge->is_private = basis->is_private;
    bridge->is_cancelling = false;
    /* Who closes it meanwhile comes after us. */
    if (bridge->state == SM_BRIDGE_CLOSED) bridge->state = SM_BRIDGE_OPEN;
    return before;
}

/* ---- the beginning ---- */

static int check_options(const struct seam_bridge_options *options)
{
    size_t length = options->name != NULL ? strnlen(options->name, SEAM_BRIDGE_NAME_MAX + 1) : 0;
    if (length == 0 || length > SEAM_BRIDGE_NAME_MAX) return -EINVAL;
    if (options->runtime != NULL && options->workers != 0) return -EINVAL;
    if (options->grace_ns < 0) return -EINVAL;
    for (size_t i = 0; i < sizeof options->reserved / sizeof options->reserved[0]; i++) {
        if (options->reserved[i] != 0) return -EINVAL;
    }
    return 0;
}

/* The first backtrace of a process loads a library, for which the stack of a task may be too small
 * and the moment of a failure too late. */
static void prepare_backtraces(void)
{
    void *frame = NULL;
    (void)backtrace(&frame, 1);
}

int seam_bridge_new(const struct seam_bridge_options *options, seam_bridge **out_bridge)
{
    if (sm_os_is_forked_child()) return -EOWNERDEAD;
    int r = check_options(options);
    if (r < 0) return r;
    seam_bridge *bridge = calloc(1, sizeof *bridge);
    if (bridge == NULL) return -ENOMEM;

    (void)memcpy(bridge->name, options->name, strlen(options->name)); /* checked */
    bridge->workers = options->workers != 0 ? options->workers : WORKERS_DEFAULT;
    bridge->in_flight_max =
            options->in_flight_max != 0 ? options->in_flight_max : IN_FLIGHT_DEFAULT;
    bridge->grace_ns = options->grace_ns != 0 ? options->grace_ns : GRACE_DEFAULT_NS;
    sm_list_init(&bridge->calls);
    sm_list_init(&bridge->line);
    struct basis basis = {};
    r = find_basis(bridge, options->runtime, &basis);
    if (r < 0) {
        free(bridge);
        return r;
    }
    (void)stand_on(bridge, &basis);
    prepare_backtraces();
    *out_bridge = bridge;
    return 0;
}

/* ---- the end ---- */

/* Nobody comes in any more; whoever stands in line is turned away. Inside. */
static void refuse(seam_bridge *bridge)
{
    struct sm_list turned_away;
    sm_list_init(&turned_away);
    sm_lock(&bridge->lock);
    if (bridge->state == SM_BRIDGE_OPEN) {
        bridge->state = SM_BRIDGE_CLOSING;
        bridge->report = (struct seam_bridge_report){};
        sm_waiters_claim_all(&bridge->line, &turned_away);
    }
    sm_unlock(&bridge->lock);
    sm_waiters_complete_all(&turned_away, -ESHUTDOWN);
}

/* Wait until everybody has left. Inside; suspends. */
static int wait_until_left(seam_bridge *bridge, int64_t deadline_ns, bool ignores_cancel)
{
    struct sm_thread *thread = sm_thread_self();
    sm_lock(&bridge->lock);
    int r = bridge->callers == 0 ? 0 : sm_wait_refused(deadline_ns);
    if (bridge->callers == 0 || r < 0) {
        sm_unlock(&bridge->lock);
        return r;
    }
    struct sm_waiter closer = {.party = sm_thread_party(thread)};
    seam_runtime *runtime = bridge->runtime;
    bool needs_driver = !bridge->is_reopening && runtime->is_driven && thread->task == NULL;
    bridge->closer = &closer;
    const struct sm_wait wait = {
            .reason = "bridge close",
            .deadline_ns = deadline_ns,
            .ignores_cancel = ignores_cancel,
            .to_drive = needs_driver ? runtime : NULL,
            .unlock = sm_wait_unlock,
            .object = &bridge->lock,
    };
    r = sm_wait(&wait);
    sm_lock(&bridge->lock);
    bridge->closer = NULL;
    sm_unlock(&bridge->lock);
    return r;
}

/* Cancel what runs, and have what has come in not begin. Inside. */
static void cancel_calls(seam_bridge *bridge)
{
    sm_lock(&bridge->lock);
    /* Another may have closed it by now, and a third have opened it again. */
    bool is_closing = bridge->state == SM_BRIDGE_CLOSING;
    if (is_closing) bridge->is_cancelling = true;
    for (struct sm_list *link = bridge->calls.next; is_closing && link != &bridge->calls;
            link = link->next) {
        struct sm_call *call = sm_container_of(link, struct sm_call, link);
        sm_lock(&call->lock);
        if (!call->is_cancelled && !call->has_ended) {
            call->is_cancelled = true;
            bridge->report.cancelled++;
            if (call->scope != NULL) sm_scope_cancel(call->scope);
        }
        sm_unlock(&call->lock);
    }
    sm_unlock(&bridge->lock);
}

/* Drain; then cancel, and wait for what that takes. Inside; suspends. */
static int empty(seam_bridge *bridge, int64_t deadline_ns, int64_t *out_until_ns)
{
    int r = wait_until_left(bridge, deadline_ns, false);
    *out_until_ns = seam_after(bridge->grace_ns);
    if (r == 0 || r == -ECANCELED) return r;
    cancel_calls(bridge);
    return wait_until_left(bridge, *out_until_ns, true);
}

/* Nobody is inside, and nobody will be. Outside; suspends. */
SEAM_SUSPENDS static int end_runtime(seam_bridge *bridge, int64_t until_ns)
{
    seam_runtime *runtime = bridge->runtime;
    int r = 0;
    if (bridge->is_private) {
        /* The caller may have been cancelled; the runtime has to be taken down all the same. */
        struct seam_shield shield;
        seam_shield_begin(&shield);
        r = seam_runtime_stop(runtime, NULL, until_ns);
        seam_shield_end(&shield);
        if (r < 0) return r;
        seam_runtime_free(runtime);
    } else {
        sm_runtime_unref(runtime);
    }
    (void)sm_enter();
    sm_lock(&bridge->lock);
    bridge->runtime = NULL;
    bridge->state = SM_BRIDGE_CLOSED;
    sm_unlock(&bridge->lock);
    sm_leave();
    return 0;
}

static bool is_closed(seam_bridge *bridge)
{
    sm_lock(&bridge->lock);
    bool is_closed = bridge->state == SM_BRIDGE_CLOSED;
    sm_unlock(&bridge->lock);
    return is_closed;
}

/* With the close mutex held: nobody else closes or reopens it. */
SEAM_SUSPENDS static int close_alone(seam_bridge *bridge, int64_t deadline_ns)
{
    if (is_closed(bridge)) return 0;
    int64_t until_ns = 0;
    (void)sm_enter();
    int r = empty(bridge, deadline_ns, &until_ns);
    sm_leave();
    return r == 0 ? end_runtime(bridge, until_ns) : r;
}

static void report(seam_bridge *bridge, struct seam_bridge_report *out_report)
{
    sm_lock(&bridge->lock);
    *out_report = bridge->report;
    out_report->left = bridge->callers;
    sm_unlock(&bridge->lock);
}

/* Another closes it, and has more patience than we had: our deadline counts all the same. */
static void close_beside(seam_bridge *bridge, int r)
{
    (void)sm_enter();
    if (r == -ETIMEDOUT || r == -EAGAIN) cancel_calls(bridge);
    sm_leave();
}

int seam_bridge_close(
        seam_bridge *bridge, struct seam_bridge_report *out_report, int64_t deadline_ns)
{
    if (bridge == NULL) return 0;
    struct sm_thread *thread = sm_enter();
    if (thread == NULL) return -EOWNERDEAD;
    bool is_inside = sm_bridge_is_inside(thread, bridge);
    refuse(bridge);
    sm_leave();
    if (is_inside) return -EINPROGRESS;

    int r = seam_mutex_lock(&bridge->close_mutex, deadline_ns);
    bool is_alone = r == 0;
    if (is_alone) {
        r = close_alone(bridge, deadline_ns);
    } else {
        close_beside(bridge, r);
    }
    if (out_report != NULL) report(bridge, out_report);
    if (is_alone) seam_mutex_unlock(&bridge->close_mutex);
    return r;
}

/* ---- again ---- */

/* Under the lock. */
static bool may_reopen(const seam_bridge *bridge)
{
    if (bridge->callers > 0) return false;
    if (bridge->state == SM_BRIDGE_CLOSED) return true;
    return bridge->state == SM_BRIDGE_OPEN && !sm_runtime_is_open(bridge->runtime);
}

/* Who reopens it counts as a caller meanwhile: others who would are refused, who closes it waits. */
static int begin_to_reopen(seam_bridge *bridge)
{
    sm_lock(&bridge->lock);
    int r = may_reopen(bridge) ? 0 : -EBUSY;
    if (r == 0) {
        bridge->callers++;
        bridge->is_reopening = true;
    }
    sm_unlock(&bridge->lock);
    return r;
}

static void end_reopening(seam_bridge *bridge, const struct basis *basis)
{
    (void)sm_enter();
    sm_lock(&bridge->lock);
    seam_runtime *before = basis != NULL ? stand_on(bridge, basis) : NULL;
    bridge->is_reopening = false;
    struct sm_party *closer = sm_bridge_count_out(bridge);
    sm_unlock(&bridge->lock);
    if (closer != NULL) sm_party_complete(closer, 0);
    if (before != NULL) sm_runtime_unref(before);
    sm_leave();
}

int seam_bridge_reopen(seam_bridge *bridge, seam_runtime *runtime)
{
    if (sm_os_is_forked_child()) return -EOWNERDEAD;
    int r = begin_to_reopen(bridge);
    if (r < 0) return r;
    struct basis basis = {};
    r = find_basis(bridge, runtime, &basis);
    end_reopening(bridge, r == 0 ? &basis : NULL);
    return r;
}

void seam_bridge_free(seam_bridge *bridge)
{
    if (bridge == NULL || sm_os_is_forked_child()) return;
    sm_assert(is_closed(bridge));
    free(bridge);
}

/* ---- seen from outside ---- */

/* How long ago the first call on the list came in. */
static int64_t age(const struct sm_call *call, int64_t now_ns)
{
    int64_t passed_ns = now_ns - call->came_ns;
    return passed_ns > 0 ? passed_ns : 1;
}

void seam_bridge_stats_read(const seam_bridge *public_bridge, struct seam_bridge_stats *out_stats)
{
    *out_stats = (struct seam_bridge_stats){};
    if (sm_enter() == NULL) return;
    seam_bridge *bridge = sm_drop_const(public_bridge); /* ours; only its lock is written */
    int64_t now_ns = sm_now_ns();
    sm_lock(&bridge->lock);
    out_stats->in_flight = bridge->in_flight;
    out_stats->in_flight_high = bridge->in_flight_high;
    out_stats->in_flight_max = bridge->in_flight_max;
    out_stats->queued = bridge->queued;
    struct sm_list *oldest = sm_list_first(&bridge->calls);
    if (oldest != NULL) {
        out_stats->oldest_ns = age(sm_container_of(oldest, struct sm_call, link), now_ns);
    }
    struct sm_list *first = sm_list_first(&bridge->line);
    if (first != NULL) {
        const struct sm_waiter *waiter = sm_container_of(first, struct sm_waiter, link);
        out_stats->oldest_queued_ns = age(waiter->value, now_ns);
    }
    (void)memcpy(out_stats->by_caller, bridge->by_caller, sizeof bridge->by_caller);
    sm_unlock(&bridge->lock);
    sm_leave();
}
