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
    sm_list_init(&scope->guests);
}

void sm_scope_init_root(struct sm_scope *scope, seam_runtime *runtime)
{
    init(scope, runtime);
    scope->is_root = true;
}

/* Put scope on a list of above, and let it begin as cancelled as above is. */
static void register_below(
        struct sm_scope *scope, struct sm_scope *above, struct sm_list *list, struct sm_list *link)
{
    sm_lock(&above->lock);
    sm_list_push_back(list, link);
    /* relaxed: written under the lock we hold. */
    if (sm_load_relaxed(&above->cancelled) != 0) sm_store_relaxed(&scope->cancelled, 1);
    sm_unlock(&above->lock);
}

void sm_scope_open(struct sm_scope *scope, struct sm_party *party, struct sm_scope *root,
        enum sm_scope_counting counting)
{
    init(scope, root->runtime);
    scope->owner = party;
    scope->outer = party->scope;
    scope->outer_depth = party->scope_depth;
    scope->depth = ++party->depth;

    /* A shield between us and the outer scope: nothing comes through. */
    bool is_shielded = party->shield_depth >= party->scope_depth && party->shield_depth > 0;
    if (party->scope != NULL && !is_shielded) {
        scope->parent = party->scope;
        register_below(scope, scope->parent, &scope->parent->children, &scope->in_parent);
    }
    /* A runtime that is being stopped must know who still uses it: those that are not below its
     * own tasks anyway. */
    bool is_below =
            party->is_task && party->scope != NULL && party->scope->runtime == root->runtime;
    if (!is_below && counting == SM_SCOPE_COUNTED) {
        scope->is_guest = true;
        register_below(scope, root, &root->guests, &scope->in_runtime);
    }
    party->scope = scope;
    party->scope_depth = scope->depth;
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
    struct sm_party *stopper = NULL;
    if (scope->is_guest) {
        sm_lock(&root->lock);
        sm_list_remove(&scope->in_runtime);
        bool is_last = root->live == 0 && sm_list_is_empty(&root->guests);
        if (is_last && root->ender != NULL && sm_party_claim(root->ender->party)) {
            stopper = root->ender->party;
        }
        sm_unlock(&root->lock);
    }
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

/* Walk the tree below top, which is locked, with the locks of the path held. A scope that was
 * cancelled before has cancelled everything below it already. */
static void cancel_below(struct sm_scope *top)
{
    struct sm_scope *scope = top;
    struct sm_scope *child = first_child(top);
    for (;;) {
        while (child != NULL) {
            sm_lock(&child->lock);
            if (cancel_here(child)) {
                scope = child;
                child = first_child(scope);
            } else {
                struct sm_scope *done = child;
                child = next_sibling(done);
                sm_unlock(&done->lock);
            }
        }
        if (scope == top) return;

        struct sm_scope *done = scope;
        scope = done->parent;
        child = next_sibling(done);
        sm_unlock(&done->lock);
    }
}

void sm_scope_cancel(struct sm_scope *scope)
{
    sm_lock(&scope->lock);
    if (cancel_here(scope)) {
        cancel_below(scope);
        for (struct sm_list *link = scope->guests.next; link != &scope->guests; link = link->next) {
            struct sm_scope *guest = sm_container_of(link, struct sm_scope, in_runtime);
            sm_lock(&guest->lock);
            if (cancel_here(guest)) cancel_below(guest);
            sm_unlock(&guest->lock);
        }
    }
    sm_unlock(&scope->lock);
}

void sm_scope_add_task(struct sm_scope *scope, struct sm_task *task)
{
    sm_lock(&scope->lock);
    sm_list_push_back(&scope->tasks, &task->in_home);
    scope->live++;
    sm_unlock(&scope->lock);
}

struct sm_party *sm_scope_task_ended(struct sm_scope *scope, struct sm_task *task)
{
    struct sm_party *ender = NULL;
    sm_lock(&scope->lock);
    if (task != NULL) sm_list_remove(&task->in_home);
    scope->live--;
    if (scope->live == 0 && scope->ender != NULL && sm_list_is_empty(&scope->guests)
            && sm_party_claim(scope->ender->party)) {
        ender = scope->ender->party;
    }
    sm_unlock(&scope->lock);
    return ender;
}

void sm_scope_forget_task(struct sm_scope *scope, struct sm_task *task)
{
    sm_lock(&scope->lock);
    sm_list_remove(&task->in_home);
    sm_unlock(&scope->lock);
}
