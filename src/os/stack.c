/* SPDX-License-Identifier: MIT */
#include "os/stack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/panic.h"
#include "base/sanitizer.h"
#include "os/lock.h"
#include "os/overflow.h"

enum {
    ADVICE_GUARD_INSTALL = 102, /* MADV_GUARD_INSTALL; younger than the headers we build with */
    FIRST_SLAB_STACKS = 64,
    SLABS_MAX = 1024,
    LINE_BYTES = 64,
    COLOURS = 8,              /* one page holds the record, all colours, and 3.5 KiB of stack */
    MAPS_MAX_DEFAULT = 65530, /* the kernel's, where we cannot read what this one allows */
};

#define SLAB_BYTES_MAX ((size_t)4 << 30)

struct slab {
    char *base;
    size_t slot_bytes;
    uint32_t slot_count;
    struct slab *next;        /* of the same class, mapped later; under the lock */
    const char *told_from;    /* the sanitizer knows from here to the last slot; under the lock */
    bool madvise_is_refused;  /* under the lock */
    _Atomic(uint32_t) carved; /* slots in use, from 0 up; written under the lock */
};

/* All that is free of one class, under the lock. */
struct depot {
    struct sm_stack *free; /* latest first: its pages are the ones still in the cache */
    uint32_t free_count;
    uint32_t carved_count;
    uint32_t next_slab_stacks; /* how many the next slab should hold; 0 = FIRST_SLAB_STACKS */
    uint64_t uncarved_count;   /* slots left in slab and those that follow it */
    uint64_t reserved;         /* stacks promised: no more than are free or uncarved */
    struct slab *slab;         /* where the next stack is carved; NULL before the first */
    struct slab *last_slab;    /* slabs are mapped for promises, ahead of being carved */
};

_Atomic(uint32_t) sm_stack_scarce;
struct sm_memory_calls sm_memory_calls = {mmap, madvise, mprotect};

static struct sm_lock lock;
static struct depot depots[SM_STACK_CLASS_COUNT];
static struct slab
        slabs[SLABS_MAX]; /* [0, slab_count) are immutable but for the fields that say so */
static _Atomic(uint32_t) slab_count; /* written under the lock */
static size_t page_bytes;            /* set before the first slab, then constant */
static long mprotect_left; /* how many more maps we may use up, in stacks; under the lock */
static enum sm_guard_mode forced_mode;        /* under the lock */
static enum sm_guard_mode latest_mode;        /* under the lock */
static uint32_t guarded[SM_GUARD_MODE_COUNT]; /* under the lock */

size_t sm_stack_class_bytes(enum sm_stack_class class)
{
    return (size_t)16384 << (2 * class);
}

int sm_stack_class_for(size_t bytes, enum sm_stack_class *out_class)
{
    /* Where pages are large, the smallest classes would be all guard. */
    size_t worthwhile = 4 * (size_t)sysconf(_SC_PAGESIZE);
    for (int class = 0; class < SM_STACK_CLASS_COUNT; class ++) {
        size_t class_bytes = sm_stack_class_bytes((enum sm_stack_class) class);
        if (bytes > class_bytes || worthwhile > class_bytes) continue;
        *out_class = (enum sm_stack_class) class;
        return 0;
    }
    return -EINVAL;
}

static long read_maps_max(void)
{
    char text[24] = "";
    int fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return MAPS_MAX_DEFAULT;
    ssize_t len = read(fd, text, sizeof text - 1);
    (void)close(fd);
    return len > 0 ? strtol(text, NULL, 10) : MAPS_MAX_DEFAULT;
}

static void begin_once(void)
{
    if (page_bytes != 0) return;
    page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    mprotect_left = read_maps_max() / 4;
}

static struct sm_stack *record_of(const struct slab *slab, uint32_t slot)
{
    char *end = slab->base + (slot + (size_t)1) * slab->slot_bytes;
    size_t colour = slot % COLOURS;
    return (struct sm_stack *)(void *)(end - (colour + 1) * LINE_BYTES);
}
_Static_assert(sizeof(struct sm_stack) <= LINE_BYTES, "record_of() leaves it one line");

/*
 * Does the guard guard? Some emulators of Linux say yes to advice they do not know. A system call
 * that reads a path from the page tells: it cannot, or it finds an empty name.
 */
static bool is_readable(const char *page)
{
    return access(page, F_OK) == 0 || errno != EFAULT;
}

static bool guard_by_madvise(struct slab *slab, char *page)
{
    if (slab->madvise_is_refused) return false;
    bool is_first = sm_load_relaxed(&slab->carved) == 0; /* relaxed: we hold the lock */
    slab->madvise_is_refused = sm_memory_calls.advise(page, page_bytes, ADVICE_GUARD_INSTALL) < 0
            || (is_first && is_readable(page));
    return !slab->madvise_is_refused;
}

static bool guard_by_mprotect(char *page)
{
    if (mprotect_left <= 0) return false;
    if (sm_memory_calls.protect(page, page_bytes, PROT_NONE) < 0) return false;
    mprotect_left--;
    return true;
}

static enum sm_guard_mode install_guard(struct slab *slab, char *page)
{
    enum sm_guard_mode best = forced_mode;
    if (best == SM_GUARD_AUTO) {
        best = sm_sanitizer_reads_maps() ? SM_GUARD_MPROTECT : SM_GUARD_MADVISE;
    }

    if (best <= SM_GUARD_MADVISE && guard_by_madvise(slab, page)) return SM_GUARD_MADVISE;
    if (best <= SM_GUARD_MPROTECT && guard_by_mprotect(page)) return SM_GUARD_MPROTECT;
    return SM_GUARD_CANARY;
}

/* The canary is the guard page itself: nobody uses it, so it is still as the kernel gave it. Reading
 * it costs no memory, only a write would, and unlike a word at its end it cannot be stepped over. */
static bool canary_lives(const struct sm_stack *stack)
{
    const uintptr_t *word = (const uintptr_t *)(const void *)((char *)stack->low - page_bytes);
    uintptr_t seen = 0;
    for (size_t i = 0; i < page_bytes / sizeof *word; i++) {
        seen |= word[i];
    }
    return seen == 0;
}

/* Maps a slab of the wanted size, or half, or a quarter ... Returns how many stacks it holds, or 0. */
static uint32_t map_slots(size_t slot_bytes, uint32_t wanted, char **out_base)
{
    for (uint32_t count = wanted; count > 0; count /= 2) {
        void *base = sm_memory_calls.map(NULL, count * slot_bytes, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (base == MAP_FAILED) continue;
        /* A huge page would make 2 MiB of the 4 KiB we touch. No kernel without them minds. */
        (void)sm_memory_calls.advise(base, count * slot_bytes, MADV_NOHUGEPAGE);
        *out_base = base;
        return count;
    }
    return 0;
}

static int add_slab(enum sm_stack_class class)
{
    begin_once();
    uint32_t index = sm_load_relaxed(&slab_count); /* relaxed: we hold the lock */
    if (index == SLABS_MAX) return -ENOMEM;

    struct depot *depot = &depots[class];
    struct slab *slab = &slabs[index];
    uint32_t wanted = depot->next_slab_stacks != 0 ? depot->next_slab_stacks : FIRST_SLAB_STACKS;
    slab->slot_bytes = sm_stack_class_bytes(class);
    slab->slot_count = map_slots(slab->slot_bytes, wanted, &slab->base);
    if (slab->slot_count == 0) return -ENOMEM;

    uint32_t most = (uint32_t)(SLAB_BYTES_MAX / slab->slot_bytes);
    depot->next_slab_stacks = slab->slot_count < most / 2 ? 2 * slab->slot_count : most;
    if (depot->slab == NULL) {
        depot->slab = slab;
    } else {
        depot->last_slab->next = slab;
    }
    depot->last_slab = slab;
    depot->uncarved_count += slab->slot_count;
    /* release: pairs with the acquire in slab_of(). It publishes where the slab is, and page_bytes. */
    sm_store_release(&slab_count, index + 1);
    return 0;
}

/* Of the next slot, which begins with page. A guard that the list of maps does not show splits. */
static void tell_sanitizer(struct slab *slab, const char *page, enum sm_guard_mode mode)
{
    const char *known_end = page;
    if (page == slab->base || mode == SM_GUARD_MADVISE) {
        slab->told_from = known_end = page + page_bytes;
    }
    sm_sanitizer_grow_stacks(slab->told_from, known_end, page + slab->slot_bytes);
}

/* A new stack. There is a slot: it was reserved. */
static struct sm_stack *carve(enum sm_stack_class class)
{
    struct depot *depot = &depots[class];
    /* relaxed, here and below: we hold the lock, and only who holds it writes. */
    if (sm_load_relaxed(&depot->slab->carved) == depot->slab->slot_count) {
        depot->slab = depot->slab->next;
    }
    struct slab *slab = depot->slab;
    uint32_t slot = sm_load_relaxed(&slab->carved);
    char *page = slab->base + slot * slab->slot_bytes;
    enum sm_guard_mode mode = install_guard(slab, page);
    struct sm_stack *stack = record_of(slab, slot);
    *stack = (struct sm_stack){
            .low = page + page_bytes, .class = (uint8_t) class, .guard = (uint8_t)mode};
    tell_sanitizer(slab, page, mode);

    latest_mode = mode;
    guarded[mode]++;
    depot->carved_count++;
    depot->uncarved_count--;
    /* release: pairs with the acquire in sm_stack_at_fault(). It publishes the stack's record. */
    sm_store_release(&slab->carved, slot + 1);
    return stack;
}

static uint32_t reserve(enum sm_stack_class class, uint32_t count)
{
    struct depot *depot = &depots[class];
    uint64_t room = depot->free_count + depot->uncarved_count - depot->reserved;
    int r = 0;
    while (room < count && (r = add_slab(class)) == 0) {
        room = depot->free_count + depot->uncarved_count - depot->reserved;
        /* relaxed, here and below: a hint. */
        (void)sm_and_relaxed(&sm_stack_scarce, ~(UINT32_C(1) << class));
    }
    if (r < 0) (void)sm_or_relaxed(&sm_stack_scarce, UINT32_C(1) << class);

    uint32_t granted = room < count ? (uint32_t)room : count;
    depot->reserved += granted;
    return granted;
}

static struct sm_stack *take_reserved(enum sm_stack_class class)
{
    struct depot *depot = &depots[class];
    sm_assert(depot->reserved > 0);
    depot->reserved--;
    struct sm_stack *stack = depot->free;
    if (stack != NULL) {
        depot->free = stack->next;
        depot->free_count--;
    } else {
        stack = carve(class);
    }
    stack->next = NULL;
    stack->is_free = false;
    return stack;
}

uint32_t sm_stack_reserve(enum sm_stack_class class, uint32_t count)
{
    sm_lock(&lock);
    uint32_t granted = reserve(class, count);
    sm_unlock(&lock);
    return granted;
}

void sm_stack_unreserve(enum sm_stack_class class, uint32_t count)
{
    sm_lock(&lock);
    sm_assert(depots[class].reserved >= count);
    depots[class].reserved -= count;
    sm_unlock(&lock);
}

struct sm_stack *sm_stack_take_reserved(enum sm_stack_class class)
{
    sm_lock(&lock);
    struct sm_stack *stack = take_reserved(class);
    sm_unlock(&lock);
    return stack;
}

int sm_stack_get(enum sm_stack_class class, struct sm_stack **out_stack)
{
    sm_lock(&lock);
    struct sm_stack *stack = reserve(class, 1) == 1 ? take_reserved(class) : NULL;
    sm_unlock(&lock);
    if (stack == NULL) return -ENOMEM;

    *out_stack = stack;
    return 0;
}

void sm_stack_check(const struct sm_stack *stack)
{
    if (stack->guard != SM_GUARD_CANARY || canary_lives(stack)) return;
    sm_overflow_report(stack);
    sm_panic("no stack reaches into its guard page", __FILE__, __LINE__);
}

void sm_stack_put(struct sm_stack *stack)
{
    sm_assert(!stack->is_free);
    sm_stack_check(stack);
    stack->owner = NULL;
    stack->is_free = true;

    struct depot *depot = &depots[stack->class];
    sm_lock(&lock);
    stack->next = depot->free;
    depot->free = stack;
    depot->free_count++;
    sm_unlock(&lock);
}

static const struct slab *slab_of(const char *address)
{
    /* acquire: pairs with the release in add_slab(). The slabs counted are complete. */
    uint32_t count = sm_load_acquire(&slab_count);
    for (uint32_t i = 0; i < count; i++) {
        const struct slab *slab = &slabs[i];
        uintptr_t offset = (uintptr_t)address - (uintptr_t)slab->base;
        if (offset < slab->slot_count * slab->slot_bytes) return slab;
    }
    return NULL;
}

const struct sm_stack *sm_stack_at_fault(const void *address)
{
    const struct slab *slab = slab_of(address);
    if (slab == NULL) return NULL;

    size_t offset = (size_t)((const char *)address - slab->base);
    uint32_t slot = (uint32_t)(offset / slab->slot_bytes);
    if (offset % slab->slot_bytes >= page_bytes) return NULL;
    /* acquire: pairs with the release in carve(). The records of the slots counted are written. */
    if (slot >= sm_load_acquire(&slab->carved)) return NULL;

    const struct sm_stack *stack = record_of(slab, slot);
    return stack->guard != SM_GUARD_CANARY ? stack : NULL;
}

const struct sm_stack *sm_stack_around(const void *address)
{
    const struct slab *slab = slab_of(address);
    if (slab == NULL) return NULL;

    uint32_t slot = (uint32_t)((size_t)((const char *)address - slab->base) / slab->slot_bytes);
    /* acquire: pairs with the release in carve(), as in sm_stack_at_fault(). */
    return slot < sm_load_acquire(&slab->carved) ? record_of(slab, slot) : NULL;
}

int sm_stack_force_guard(enum sm_guard_mode mode)
{
    if (mode < SM_GUARD_AUTO || mode > SM_GUARD_CANARY) return -EINVAL;
    sm_lock(&lock);
    forced_mode = mode;
    sm_unlock(&lock);
    return 0;
}

void sm_stack_stats_read(struct sm_stack_stats *out_stats)
{
    sm_lock(&lock);
    struct sm_stack_stats stats = {.mode = latest_mode};
    stats.slabs = sm_load_relaxed(&slab_count); /* relaxed: we hold the lock */
    for (uint32_t i = 0; i < stats.slabs; i++) {
        stats.mapped_bytes += slabs[i].slot_count * slabs[i].slot_bytes;
    }
    for (int i = 0; i < SM_STACK_CLASS_COUNT; i++) {
        stats.carved[i] = depots[i].carved_count;
        stats.free[i] = depots[i].free_count;
    }
    for (int i = 0; i < SM_GUARD_MODE_COUNT; i++) {
        stats.guarded[i] = guarded[i];
    }
    sm_unlock(&lock);
    *out_stats = stats;
}
