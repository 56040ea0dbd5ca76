/* SPDX-License-Identifier: MIT */
#include "time/timer.h"

#include <stddef.h>

#include "base/atomic.h"
#include "base/panic.h"

void sm_timer_heap_init(struct sm_timer_heap *heap)
{
    *heap = (struct sm_timer_heap){.next_ns = INT64_MAX};
}

/* Make one tree of two: the later root becomes the first child of the earlier. On equal deadlines
 * a stays above, so that timers of one deadline fire roughly in the order they were added. */
static struct sm_timer *meld(struct sm_timer *a, struct sm_timer *b)
{
    if (b == NULL) return a;
    if (a == NULL) return b;
    if (b->deadline_ns < a->deadline_ns) {
        struct sm_timer *swap = a;
        a = b;
        b = swap;
    }
    b->next = a->child;
    b->prev = a;
    if (a->child != NULL) a->child->prev = b;
    a->child = b;
    a->next = NULL;
    a->prev = NULL;
    return a;
}

/* Make one tree of a list of siblings: pair them from left to right, then join the pairs from
 * right to left. The two passes are what makes removal O(log n) amortised. */
static struct sm_timer *meld_siblings(struct sm_timer *first)
{
    struct sm_timer *pairs = NULL;
    while (first != NULL) {
        struct sm_timer *a = first;
        struct sm_timer *b = a->next;
        first = b != NULL ? b->next : NULL;
        a->next = NULL;
        if (b != NULL) b->next = NULL;
        struct sm_timer *pair = meld(a, b);
        pair->next = pairs;
        pairs = pair;
    }
    struct sm_timer *root = NULL;
    while (pairs != NULL) {
        struct sm_timer *next = pairs->next;
        pairs->next = NULL;
        root = meld(pairs, root);
        pairs = next;
    }
    if (root != NULL) root->prev = NULL;
    return root;
}

static void publish_next(struct sm_timer_heap *heap)
{
    /* relaxed: a hint for sleepers. Who makes it earlier wakes them (sm_timer_add). */
    sm_store_relaxed(&heap->next_ns, heap->root != NULL ? heap->root->deadline_ns : INT64_MAX);
}

bool sm_timer_add(struct sm_timer_heap *heap, struct sm_timer *timer)
{
    sm_assert(!timer->is_waiting);
    timer->heap = heap;
    timer->is_waiting = true;
    timer->child = NULL;
    timer->next = NULL;
    timer->prev = NULL;

    sm_lock(&heap->lock);
    heap->root = meld(heap->root, timer);
    bool is_earliest = heap->root == timer;
    if (is_earliest) publish_next(heap);
    sm_unlock(&heap->lock);
    return is_earliest;
}

static void take_out(struct sm_timer_heap *heap, struct sm_timer *timer)
{
    if (timer == heap->root) {
        heap->root = meld_siblings(timer->child);
        publish_next(heap);
    } else {
        if (timer->prev->child == timer) {
            timer->prev->child = timer->next;
        } else {
            timer->prev->next = timer->next;
        }
        if (timer->next != NULL) timer->next->prev = timer->prev;
        heap->root = meld(heap->root, meld_siblings(timer->child));
    }
    timer->is_waiting = false;
}

bool sm_timer_remove(struct sm_timer *timer)
{
    struct sm_timer_heap *heap = timer->heap;
    if (heap == NULL) return false;

    /* Locked even if it has fired: fire() may still be at work on what the caller is about to
     * give up. */
    sm_lock(&heap->lock);
    bool was_waiting = timer->is_waiting;
    if (was_waiting) take_out(heap, timer);
    sm_unlock(&heap->lock);
    return was_waiting;
}

unsigned sm_timer_fire_due(struct sm_timer_heap *heap, int64_t now_ns)
{
    /* relaxed: a timer added meanwhile wakes us, so missing it now costs one round. */
    if (sm_load_relaxed(&heap->next_ns) > now_ns) return 0;

    unsigned count = 0;
    sm_lock(&heap->lock);
    while (heap->root != NULL && heap->root->deadline_ns <= now_ns) {
        struct sm_timer *timer = heap->root;
        take_out(heap, timer);
        timer->fire(timer);
        count++;
    }
    sm_unlock(&heap->lock);
    return count;
}

void sm_timer_heap_check(struct sm_timer_heap *heap)
{
    sm_lock(&heap->lock);
    struct sm_timer *timer = heap->root;
    while (timer != NULL) {
        sm_assert(timer->heap == heap && timer->is_waiting);
        if (timer->child != NULL) {
            sm_assert(timer->child->prev == timer);
            sm_assert(timer->child->deadline_ns >= timer->deadline_ns);
        }
        if (timer->next != NULL) {
            sm_assert(timer->next->prev == timer);
        }
        /* Pre-order walk without recursion: down, else right, else up until a right exists. */
        struct sm_timer *next = timer->child != NULL ? timer->child : timer->next;
        while (next == NULL && timer->prev != NULL) {
            bool is_first = timer->prev->child == timer;
            timer = timer->prev;
            if (is_first) next = timer->next;
        }
        timer = next;
    }
    sm_unlock(&heap->lock);
}
