/* SPDX-License-Identifier: MIT */
/*
 * os/stack.h - stacks for tasks: a million of them, each costing one page when it is idle.
 *
 *     slab:  | slot 0 | slot 1 | slot 2 | ...        one mapping; a slot per stack
 *
 *     slot:  | guard page | usable ...        <- top | struct sm_stack | colour |
 *            low address                                            high address
 *
 * Slabs are mapped without reserve, the first of a class for 64 stacks and each next one for twice
 * as many, up to 4 GiB; where address space is limited they halve. Nothing is ever unmapped: a
 * stack that is put back keeps its pages and is the first to be handed out again.
 *
 * The record of a stack lies at the top of the stack itself, in the page that is touched anyway.
 * The colour moves record and top by 0 to 7 cache lines, so that the tops of many stacks, which are
 * all a power of two apart, do not compete for the same few sets of the cache.
 *
 * How a slot is guarded, best first. Where one way is refused, the next is used.
 *
 *   guard      costs                       overflow is found             refused by
 *   MADVISE    a page table entry          at once (SIGSEGV)             Linux < 6.13; locked memory
 *   MPROTECT   two of the process's maps   at once (SIGSEGV)             our budget, half of all maps
 *   CANARY     reading a page at put       when the stack is put back    nobody
 *
 * Invariants
 *   1. A guard is installed once, before its stack is first handed out, and never removed.
 *   2. A slab's place never changes, so sm_stack_at_fault() can search without a lock.
 *   3. Who got a stack owns it and its record, until it is put back.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/atomic.h"

enum sm_stack_class {
    SM_STACK_16K,
    SM_STACK_64K,
    SM_STACK_256K,
    SM_STACK_1M,
};
enum { SM_STACK_CLASS_COUNT = SM_STACK_1M + 1 };

enum sm_guard_mode {
    SM_GUARD_AUTO, /* the best there is; under AddressSanitizer or valgrind that is MPROTECT */
    SM_GUARD_MADVISE,
    SM_GUARD_MPROTECT,
    SM_GUARD_CANARY,
};
enum { SM_GUARD_MODE_COUNT = SM_GUARD_CANARY + 1 };

struct sm_thread;

struct sm_stack {
    struct sm_stack *next; /* free lists: ours, or a worker's cache */
    const void *owner;     /* for the owner to set: who an overflow is reported for; or NULL */
    void *low;             /* read only: the first usable byte, just above the guard */
    uint8_t class;         /* read only: an sm_stack_class */
    uint8_t guard;         /* read only: an sm_guard_mode other than AUTO */
    bool is_free;          /* ours: finds the stack that is put back twice */
    /* For the owner: the thread that the task is bound to; see sched/bound.h. */
    bool is_bound_to_guest; /* it is none of the runtime's own */
    uint32_t pins;
    uint32_t bound_life;
    struct sm_thread *bound_to; /* NULL: none */
};

extern _Atomic(uint32_t) sm_stack_scarce; /* a bit for each class; see sm_stack_is_scarce() */

/* A stack of the class, its owner NULL, its contents undefined. -ENOMEM if there is none to be had.
 * Any thread; takes a lock; a system call or two if no stack was put back before. */
int sm_stack_get(enum sm_stack_class class, struct sm_stack **out_stack);

/*
 * Promise up to count stacks of the class, so that taking them later cannot fail: 0 to count are
 * granted, 0 only where there is no memory. Each is taken or given back once. Nothing is touched
 * yet. Any thread; takes a lock.
 */
uint32_t sm_stack_reserve(enum sm_stack_class class, uint32_t count);
void sm_stack_unreserve(enum sm_stack_class class, uint32_t count);
struct sm_stack *sm_stack_take_reserved(enum sm_stack_class class);

/* Was somebody refused a stack, or a promise, for whom there was no memory, and none could be had
 * since? Then who keeps stacks and promises for later gives them back. A hint. Any thread. */
static inline bool sm_stack_is_scarce(void)
{
    return sm_load_relaxed(&sm_stack_scarce) != 0; /* relaxed: a hint */
}

/* The stack is used no more. Panics, after reporting the owner, if a canary shows an overflow.
 * Any thread, not on the stack; takes a lock; no system call; never fails. */
void sm_stack_put(struct sm_stack *stack);

/* Panics, after reporting the owner, if a canary shows an overflow. sm_stack_put() does it; who
 * keeps stacks for reuse does it himself. */
void sm_stack_check(const struct sm_stack *stack);

/* The usable part is [low, low + usable), its end a multiple of 64. Any thread. */
static inline void *sm_stack_low(const struct sm_stack *stack)
{
    return stack->low;
}

static inline size_t sm_stack_usable(const struct sm_stack *stack)
{
    return (size_t)((const char *)stack - (const char *)stack->low);
}

/* The distance between two stacks of the class: its nominal size. */
size_t sm_stack_class_bytes(enum sm_stack_class class);

/* The smallest class for a stack of so many bytes. Sizes are nominal, so that round numbers fit:
 * guard and record are inside. -EINVAL above 1 MiB. */
int sm_stack_class_for(size_t bytes, enum sm_stack_class *out_class);

/* The stack in whose guard page the address lies, or NULL. Any context, signal handlers too. */
const struct sm_stack *sm_stack_at_fault(const void *address);

/* Guard the stacks that are carved from now on this way, or the next best. -EINVAL if it is no
 * mode. For tests, and for those who know that a way works badly for them. */
int sm_stack_force_guard(enum sm_guard_mode mode);

/* The stack that is in use at the address, or NULL. Any context, signal handlers too. */
const struct sm_stack *sm_stack_around(const void *address);

struct sm_stack_stats {
    enum sm_guard_mode mode; /* what the latest stack got; AUTO before the first */
    uint32_t slabs;
    size_t mapped_bytes;                   /* address space, most of it never touched */
    uint32_t guarded[SM_GUARD_MODE_COUNT]; /* stacks by guard */
    uint32_t carved[SM_STACK_CLASS_COUNT]; /* stacks that exist, by class */
    uint32_t free[SM_STACK_CLASS_COUNT];   /* of those, how many are on the free list */
};

/* A consistent picture. Any thread; takes the lock. */
void sm_stack_stats_read(struct sm_stack_stats *out_stats);

/*
 * The system calls behind it, so that tests can make them fail: mmap(), madvise() and mprotect(),
 * results and errno as theirs. Change them before other threads use stacks.
 */
struct sm_memory_calls {
    void *(*map)(void *address, size_t bytes, int protection, int flags, int fd, off_t offset);
    int (*advise)(void *address, size_t bytes, int advice);
    int (*protect)(void *address, size_t bytes, int protection);
};
extern struct sm_memory_calls sm_memory_calls;
