/* SPDX-License-Identifier: MIT */
/*
 * cross/bridge.h - what a bridge and the calls through it know of each other.
 *
 *     bridge.c        the bridge's life: new, close, reopen, free; who may come in
 *     bridge_call.c   one call: come in, run, leave
 *
 * Invariants, all under the bridge's lock
 *   1. callers counts everybody between coming in and leaving: those with a place, those in line
 *      and those inside another call. The bridge is not closed before it is 0, so whoever has come
 *      in may touch the bridge until he leaves, which is his last touch.
 *   2. Somebody waits in line only while in_flight == in_flight_max; a place that becomes free goes
 *      to the first in line.
 *   3. Locks are taken in the order bridge, call, scope.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "seam/bridge.h"
#include "seam/runtime.h"
#include "seam/sync.h"

#include "base/list.h"
#include "os/lock.h"
#include "task/party.h"

struct sm_scope;
struct sm_thread;

enum sm_bridge_state { SM_BRIDGE_OPEN, SM_BRIDGE_CLOSING, SM_BRIDGE_CLOSED };

struct seam_bridge {
    /* Fixed. */
    char name[SEAM_BRIDGE_NAME_MAX + 1];
    uint32_t workers;
    uint32_t in_flight_max;
    int64_t grace_ns;

    struct sm_lock lock; /* everything below */
    enum sm_bridge_state state;
    bool is_private;       /* the runtime is ours to stop */
    bool is_reopening;     /* by somebody who counts as a caller, the only one */
    bool is_cancelling;    /* who has come in must not begin any more */
    seam_runtime *runtime; /* we hold a reference; changes only while callers == 0 */
    uint32_t callers;
    uint32_t in_flight;
    uint32_t in_flight_high;
    uint32_t queued;
    struct sm_list calls;     /* struct sm_call: everybody who has come in and is not in line */
    struct sm_list line;      /* struct sm_waiter, its value the struct sm_call */
    struct sm_waiter *closer; /* waits for callers == 0 */
    struct seam_bridge_report report;
    struct seam_bridge_caller_stats by_caller[SEAM_CALLER_KINDS];

    struct seam_mutex close_mutex; /* one closes it at a time; not under lock */
};

/* One call; in the caller's frame, or on the heap if it may be given up. */
struct sm_call {
    seam_bridge *bridge;
    seam_runtime *runtime; /* the bridge's, when the call came in */
    struct sm_call
            *outer; /* the call that its caller runs in; NULL: none, or one that may end first */
    seam_fn *fn;
    void *arg;
    int64_t deadline_ns;
    int64_t came_ns;     /* if not is_timed: give or take a tick of the kernel's */
    struct sm_list link; /* bridge->calls; under the bridge's lock */
    uint8_t caller;      /* enum seam_bridge_caller */
    bool is_timed;       /* how long it takes is counted */
    bool is_inside; /* its caller is in a call of the same bridge: it does not wait for a place */
    bool has_own_place; /* else it uses that call's */
    bool may_outlive;   /* the caller: it is owned */

    struct sm_lock lock; /* what follows, until the call's end is known */
    bool is_cancelled;   /* by who closes the bridge */
    bool has_begun;
    bool has_ended;
    struct sm_scope *scope;               /* fn runs in it: open; NULL before and after */
    void (*lost)(struct sm_scope *scope); /* of an owned call's scope, before ours; or NULL */
    struct seam_reply *reply;             /* may be NULL */
    int result;
};

/* Come in, waiting in line if need be; 0, or the error of seam_bridge_call(). Suspends. */
int sm_bridge_come_in(struct sm_call *call);

/* Go, with r as the result of the call, or SM_BRIDGE_GIVEN_UP. The last touch of the bridge. Never
 * suspends. */
enum { SM_BRIDGE_GIVEN_UP = 1 };
void sm_bridge_leave(struct sm_call *call, int r);

/* One caller less: the claimed party that has waited for that, to be completed, or NULL. Under the
 * bridge's lock. */
struct sm_party *sm_bridge_count_out(seam_bridge *bridge);

/* Does thread run in a call of the bridge? */
bool sm_bridge_is_inside(struct sm_thread *thread, const seam_bridge *bridge);
