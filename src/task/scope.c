/* SPDX-License-Identifier: MIT */
#include "task/scope.h"

#include <errno.h>
#include <stddef.h>

#include "base/panic.h"
#include "task/task.h"

static void init(struct sm_scope *scope, seam_runtime *runtime)
{
    *scope = (struct sm_scope){.is_open = SM_SCOPE_OPEN, .runtime = runtime};
    sm_list_init(&scope->in_parent);
    sm_list_init(&scope->in_runtime);
    sm_list_init(&scope->children);
    sm_list_init(&scope->tasks);
}

void sm_scope_init_root(
        struct sm_scope *scope, seam_runtime *runtime, struct sm_guests guests[SM_GUEST_SHARES])
{
    init(scope, runtime);
    scope->is_root = true;
    scope->guests = guests;
    for (int i = 0; i < SM_GUEST_SHARES; i++) {
        guests[i] = (struct sm_guests){};
        sm_list_init(&guests[i].list);
    }
}

/* The list that party's scopes are on. Parties lie on cache lines: the bits above those differ. */
static struct sm_guests *guests_of(const struct sm_scope *root, const struct sm_party *party)
{
    sm_assert(root != NULL); /* a scope without a runtime is nobody's guest */
    uint32_t line = (uint32_t)((uintptr_t)party >> 6);
    return &root->guests[(line * 2654435769u) >> 29];
}
_Static_assert(SM_GUEST_SHARES == 1 << (32 - 29), "guests_of() takes the upper three bits");

bool sm_scope_root_is_empty(struct sm_scope *root)
{
    bool is_empty = root->live == 0;
    for (int i = 0; i < SM_GUEST_SHARES && is_empty; i++) {
        sm_lock(&root->guests[i].lock);
        is_empty = sm_list_is_empty(&root->guests[i].list);
        sm_unlock(&root->guests[i].lock);
    }
    return is_empty;
}

uint64_t sm_scope_count_calls(struct sm_scope *root)
{
    uint64_t count = 0;
    for (int i = 0; i < SM_GUEST_SHARES; i++) {
        sm_lock(&root->guests[i].lock);
        count += root->guests[i].with_task;
        sm_unlock(&root->guests[i].lock);
    }
    return count;
}

/* Become a child of parent, as cancelled as it is. */
static void register_child(struct sm_scope *scope, struct sm_scope *parent)
{
    sm_lock(&parent->lock);
    sm_list_push_back(&parent->children, &scope->in_parent);
    /* relaxed: written under the lock we hold. */
    if (sm_load_relaxed(&parent->cancelled) != 0) sm_store_relaxed(&scope->cancelled, 1);
    sm_unlock(&parent->lock);
}

/* Become a guest, unless the runtime stops: then whoever stops it may have counted its guests. */
static bool register_guest(struct sm_scope *scope, struct sm_scope *root)
{
    struct sm_guests *guests = guests_of(root, scope->owner);
    sm_lock(&guests->lock);
    scope->is_guest = !guests->are_refused;
    if (scope->is_guest) {
        sm_list_push_back(&guests->list, &scope->in_runtime);
        guests->with_task += scope->live;
    }
    sm_unlock(&guests->lock);
    return scope->is_guest;
}

/* The end of a guest. Returns the party that waits for the last one, claimed, if this was it. The
 * runtime may be gone once the guest is off its list, and whatever lock that took is opened. */
static struct sm_party *retire_guest(struct sm_scope *scope, struct sm_scope *root)
{
    struct sm_guests *guests = guests_of(root, scope->owner);
    sm_lock(&guests->lock);
    bool are_refused = guests->are_refused;
    if (!are_refused) sm_list_remove(&scope->in_runtime);
    sm_unlock(&guests->lock);
    if (!are_refused) return NULL; /* nobody waits yet, or will find the list empty */

    sm_lock(&root->lock);
    sm_lock(&guests->lock);
    sm_list_remove(&scope->in_runtime);
    sm_unlock(&guests->lock);
    struct sm_party *stopper = NULL;
    if (root->ender != NULL && sm_scope_root_is_empty(root) && sm_party_claim(root->ender->party)) {
        stopper = root->ender->party;
    }
    sm_unlock(&root->lock);
    return stopper;
}

int sm_scope_open(struct sm_scope *scope, struct sm_party *party, struct sm_scope *root,
        enum sm_scope_counting counting, struct sm_task *first)
{
    init(scope, root != NULL ? root->runtime : NULL);
    if (first != NULL) {
        sm_list_push_back(&scope->tasks, &first->in_home);
        scope->live = 1;
    }
    scope->owner = party;
    scope->outer = party->scope;
    if (party->scope != NULL) scope->call = party->scope->call;
    scope->outer_depth = party->scope_depth;
    scope->depth = (uint16_t)(party->depth + 1);

    /* A shield between us and the outer scope: nothing comes through. */
    bool is_shielded = party->shield_depth >= party->scope_depth && party->shield_depth > 0;
    if (!is_shielded) scope->parent = party->scope;

    /* A runtime that is being stopped must know who still uses it: those that are not below its
     * own tasks anyway. */
    bool is_below =
            party->is_task && party->scope != NULL && party->scope->runtime == scope->runtime;
    if (!is_below && counting == SM_SCOPE_COUNTED && !register_guest(scope, root)) {
        return -ESHUTDOWN;
    }
    if (scope->parent != NULL) register_child(scope, scope->parent);
    party->depth++;
    party->scope = scope;
    party->scope_depth = scope->depth;
    return 0;
}

int sm_scope_close(struct sm_scope *scope, struct sm_party *party, struct sm_scope *root)
{
    sm_assert(party->scope == scope);
    party->scope = scope->outer;
    party->scope_depth = scope->outer_depth;
    party->depth--;

    if (scope->parent != NULL) {
        sm_lock(&scope->parent->lock);
        sm_list_remove(&scope->in_parent);
        sm_unlock(&scope->parent->lock);
    }
    struct sm_party *stopper = scope->is_guest ? retire_guest(scope, root) : NULL;
    scope->is_open = SM_SCOPE_CLOSED;
    int r = scope->has_timed_out ? -ETIMEDOUT : 0;
    /* relaxed: nobody above or below can reach the scope any more. */
    if (r == 0 && sm_load_relaxed(&scope->cancelled) != 0) r = -ECANCELED;
    if (stopper != NULL) sm_party_complete(stopper, 0);
    return r;
}

static void cancel_party(struct sm_party *party, unsigned depth)
{
    if (sm_party_claim_for_cancel(party, depth)) sm_party_complete(party, -ECANCELED);
}

/* Set the flag and wake those who wait in this very scope. Under its lock; false if it was set. */
static bool cancel_here(struct sm_scope *scope)
{
    /* relaxed: written under the lock only. */
    if (sm_load_relaxed(&scope->cancelled) != 0) return false;

    /* seq_cst: pairs with the seq_cst exchange in publish() (task/wait.c): flag first, word second;
     * there, word first, flag second. One of us sees the other. */
    sm_store_seq_cst(&scope->cancelled, 1);
    if (scope->owner != NULL) cancel_party(scope->owner, scope->depth);
    for (struct sm_list *link = scope->tasks.next; link != &scope->tasks; link = link->next) {
        cancel_party(&sm_container_of(link, struct sm_task, in_home)->party, 1);
    }
    return true;
}

/* What follows child in its parent's list, or NULL. Under the parent's lock. */
static struct sm_scope *next_sibling(struct sm_scope *child)
{
    struct sm_list *next = child->in_parent.next;
    return next == &child->parent->children ? NULL
                                            : sm_container_of(next, struct sm_scope, in_parent);
}

static struct sm_scope *first_child(struct sm_scope *scope)
{
    struct sm_list *link = sm_list_first(&scope->children);
    return link == NULL ? NULL : sm_container_of(link, struct sm_scope, in_parent);
}

/* The next scope at or after child, its lock taken, that was not cancelled before; NULL at the end of
 * the list. One that was has cancelled everything below it already. Under the parent's lock. */
static struct sm_scope *cancel_next(struct sm_scope *child)
{
    while (child != NULL) {
        sm_lock(&child->lock);
        if (cancel_here(child)) return child;
        struct sm_scope *passed = child;
        child = next_sibling(passed);
        sm_unlock(&passed->lock);
    }
    return NULL;
}

/* Walk the tree below top, which is locked, with the locks of the path held: down if there is a
 * scope below, else on, else up. */
static void cancel_below(struct sm_scope *top)
{
    struct sm_scope *scope = top;
    for (;;) {
        struct sm_scope *next = cancel_next(first_child(scope));
        while (next == NULL) {
            if (scope == top) return;
            struct sm_scope *done = scope;
            scope = done->parent;
            next = cancel_next(next_sibling(done));
            sm_unlock(&done->lock);
        }
        scope = next;
    }
}

static void cancel_guests(struct sm_guests *guests)
{
    sm_lock(&guests->lock);
    guests->are_refused = true;
    for (struct sm_list *link = guests->list.next; link != &guests->list; link = link->next) {
        struct sm_scope *guest = sm_container_of(link, struct sm_scope, in_runtime);
        sm_lock(&guest->lock);
        if (cancel_here(guest)) cancel_below(guest);
        sm_unlock(&guest->lock);
    }
    sm_unlock(&guests->lock);
}

void sm_scope_cancel(struct sm_scope *scope)
{
    sm_lock(&scope->lock);
    if (cancel_here(scope)) {
        cancel_below(scope);
        for (int i = 0; scope->is_root && i < SM_GUEST_SHARES; i++) {
            cancel_guests(&scope->guests[i]);
        }
    }
    sm_unlock(&scope->lock);
}

/* ---- looking around ---- */

struct visit {
    const seam_runtime *runtime;
    sm_scope_visit_fn *fn;
    void *arg;
};

/* Under scope's lock. */
static void visit_tasks(const struct visit *visit, struct sm_scope *scope)
{
    if (scope->runtime != visit->runtime) return;
    for (struct sm_list *link = scope->tasks.next; link != &scope->tasks; link = link->next) {
        struct sm_task *task = sm_container_of(link, struct sm_task, in_home);
        if (!task->has_finished) visit->fn(visit->arg, task);
    }
}

/* child or what follows it, but guests, who are visited as such by the runtime whose they are; or
 * NULL. Under the parent's lock. */
static struct sm_scope *skip_guests(struct sm_scope *child)
{
    while (child != NULL && child->is_guest) {
        child = next_sibling(child);
    }
    return child;
}

/* As cancel_below(): top is locked, and the path to where we are. */
static void visit_from(const struct visit *visit, struct sm_scope *top)
{
    struct sm_scope *scope = top;
    visit_tasks(visit, scope);
    for (;;) {
        struct sm_scope *next = skip_guests(first_child(scope));
        while (next == NULL) {
            if (scope == top) return;
            struct sm_scope *done = scope;
            scope = done->parent;
            next = skip_guests(next_sibling(done));
            sm_unlock(&done->lock);
        }
        sm_lock(&next->lock);
        visit_tasks(visit, next);
        scope = next;
    }
}

static void visit_guests(const struct visit *visit, struct sm_guests *guests)
{
    sm_lock(&guests->lock);
    for (struct sm_list *link = guests->list.next; link != &guests->list; link = link->next) {
        struct sm_scope *guest = sm_container_of(link, struct sm_scope, in_runtime);
        sm_lock(&guest->lock);
        visit_from(visit, guest);
        sm_unlock(&guest->lock);
    }
    sm_unlock(&guests->lock);
}

void sm_scope_each_live(struct sm_scope *root, sm_scope_visit_fn *fn, void *arg)
{
    const struct visit visit = {.runtime = root->runtime, .fn = fn, .arg = arg};
    sm_lock(&root->lock);
    visit_from(&visit, root);
    for (int i = 0; i < SM_GUEST_SHARES; i++) {
        visit_guests(&visit, &root->guests[i]);
    }
    sm_unlock(&root->lock);
}

struct sm_party *sm_scope_count_down(struct sm_scope *scope)
{
    scope->live--;
    if (scope->live > 0 || scope->ender == NULL) return NULL;
    if (scope->is_root && !sm_scope_root_is_empty(scope)) return NULL;
    return sm_party_claim(scope->ender->party) ? scope->ender->party : NULL;
}

void sm_scope_dispose_finished(struct sm_scope *scope)
{
    /* Under the lock also because a cancellation from further out may be walking over them. */
    sm_lock(&scope->lock);
    struct sm_list *link = NULL;
    while ((link = sm_list_first(&scope->tasks)) != NULL) {
        sm_list_remove(link);
        sm_task_dispose(sm_container_of(link, struct sm_task, in_home), sm_thread_self());
    }
    sm_unlock(&scope->lock);
}
