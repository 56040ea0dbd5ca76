/* SPDX-License-Identifier: MIT */
/*
 * task/scope.h - the tree that cancellation walks down.
 *
 * The memory is the caller's struct seam_scope. Each scope knows its tasks and the scopes opened
 * inside it, by its owner or by tasks below; each party knows its innermost scope.
 *
 * Invariants
 *   1. Locks are taken from a scope towards the scopes inside it; from a root, by way of the list
 *      that a guest is on.
 *   2. cancelled is set in a scope before it is set in those inside, and never cleared. A scope
 *      registered with a cancelled parent begins cancelled.
 *   3. A party looks at the flag of its innermost scope only: the flags above have been copied
 *      down, except across a shield, which is where no parent is registered.
 *   4. live counts the tasks that have not finished; the list also holds finished ones with a
 *      handle nobody has joined.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "seam/attr.h"
#include "seam/scope.h"

#include "base/cast.h"
#include "base/list.h"
#include "os/lock.h"
#include "task/party.h"
#include "time/timer.h"

struct sm_call;
struct sm_task;
struct sm_thread;

enum { SM_SCOPE_OPEN = 0x5ea4, SM_SCOPE_CLOSED = 0xdead };

/* Scopes that use a runtime from outside: one list of several, so that threads that call at once
 * rarely meet. An owner's scopes are all on the same. */
struct sm_guests {
    struct sm_lock lock;
    bool are_refused;    /* the runtime stops; under lock, as all here */
    uint64_t with_task;  /* how many brought a task along, ever */
    struct sm_list list; /* struct sm_scope.in_runtime */
    char rest_of_line[24];
};
enum { SM_GUEST_SHARES = 8 };

/* Lives in memory that was declared as struct seam_scope. */
struct __attribute__((may_alias)) sm_scope {
    struct sm_lock lock;
    _Atomic(uint32_t) cancelled;
    uint32_t is_open;     /* SM_SCOPE_OPEN between begin and end */
    uint32_t live;        /* tasks that have not finished, and who joins them; under lock */
    uint16_t depth;       /* in the owner's chain */
    uint16_t outer_depth; /* the owner's scope_depth before */
    bool is_root;
    bool is_guest;           /* on a list of root->guests; the owner's own */
    bool has_timed_out;      /* its own deadline did it; under lock */
    struct sm_party *owner;  /* NULL for a root */
    struct sm_scope *outer;  /* the owner's innermost scope before */
    struct sm_scope *parent; /* whom we are registered with; NULL: nobody */
    /* NULL: a thread's, that nothing is spawned into. */
    seam_runtime *runtime;
    /* If its owner's thread is ended: closes it. If it is that of a task spawned in it: does not. */
    void (*lost)(struct sm_scope *scope); /* or NULL */
    struct sm_call *call;      /* the bridge's call it is in (cross/bridge.h); NULL: none */
    struct sm_list in_parent;  /* parent->children; under parent's lock */
    struct sm_list in_runtime; /* a list of root->guests; under that list's lock */
    struct sm_list children;
    struct sm_list tasks;
    struct sm_guests *guests; /* root only: SM_GUEST_SHARES of them */
    struct sm_waiter *ender;  /* waits for live == 0; under lock */
    struct sm_timer timer;
};
_Static_assert(sizeof(struct sm_scope) <= sizeof(struct seam_scope), "see seam/scope.h");

static inline struct sm_scope *sm_scope_of(const struct seam_scope *scope)
{
    return sm_drop_const(scope); /* the runtime's own memory behind the public type */
}

/* Does a runtime that stops wait for the scope? It need not where no tasks are spawned into it. */
enum sm_scope_counting { SM_SCOPE_COUNTED, SM_SCOPE_UNCOUNTED };

/* Open scope inside party's innermost one, with first (may be NULL), which nobody knows yet, in it.
 * root: of the runtime it uses; NULL: none, and uncounted. -ESHUTDOWN, with nothing changed, if it
 * would be a guest and the runtime stops. Never suspends. */
int sm_scope_open(struct sm_scope *scope, struct sm_party *party, struct sm_scope *root,
        enum sm_scope_counting counting, struct sm_task *first);

/* Take scope off party's chain and out of the tree. Nothing is live in it. 0, -ETIMEDOUT or
 * -ECANCELED. root: as for sm_scope_open(). Never suspends. */
int sm_scope_close(struct sm_scope *scope, struct sm_party *party, struct sm_scope *root);

void sm_scope_init_root(
        struct sm_scope *scope, seam_runtime *runtime, struct sm_guests guests[SM_GUEST_SHARES]);

/* Has root neither tasks nor guests? Under its lock. */
bool sm_scope_root_is_empty(struct sm_scope *root);

/* How many scopes were opened from outside with a task. */
uint64_t sm_scope_count_calls(struct sm_scope *root);

/* Cancel scope and all below. Any thread that knows it to be open. Never suspends. */
void sm_scope_cancel(struct sm_scope *scope);

/* Call fn for every task of a runtime that has not finished: those in its root, in its guests, and
 * in all scopes of its below. Not reached are scopes that were opened behind a shield. Under the
 * locks of the path to the task, so fn must be quick, and take no scope's lock. Any thread. */
typedef void sm_scope_visit_fn(void *arg, struct sm_task *task);
void sm_scope_each_live(struct sm_scope *root, sm_scope_visit_fn *fn, void *arg);

/* Does cancellation reach this party now? */
static inline bool sm_party_is_cancelled(const struct sm_party *party)
{
    if (party->scope == NULL || party->shield_depth >= party->scope_depth) return false;
    /* relaxed: whoever must not miss a concurrent cancellation parks, and wait.c looks again. */
    return sm_load_relaxed(&party->scope->cancelled) != 0;
}

/* The bridge's call that party is in, or NULL. */
static inline struct sm_call *sm_party_call(const struct sm_party *party)
{
    return party->scope != NULL ? party->scope->call : NULL;
}

/* One task or joiner less. Under scope's lock. Returns the claimed party that waits for the scope to be empty,
 * if it now is: complete it. */
struct sm_party *sm_scope_count_down(struct sm_scope *scope);

/* Give back the finished tasks whose handles nobody has joined; whoever is joining one just now has it
 * or not. No task is live. */
void sm_scope_dispose_finished(struct sm_scope *scope);
