/* SPDX-License-Identifier: MIT */
#include "os/lockcheck.h"

#if SM_LOCK_CHECK

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/panic.h"
#include "os/lock.h"

enum { HELD_MAX = 256, SITES_MAX = 256, FRAMES_MAX = 24 };

/* A lock held on a task's stack. */
struct held {
    const void *lock;             /* NULL: free */
    const struct sm_stack *stack; /* the task's */
    const void *site;             /* the code that locked it */
    int frame_count;
    void *frames[FRAMES_MAX];
};

static struct sm_lock lock; /* the tables; what does not fit into them is not noticed */
static struct held table[HELD_MAX];
static const void *reported[SITES_MAX];
static _Atomic(uint32_t) held_count;     /* used places in table; written under the lock */
static _Atomic(uint32_t) reported_count; /* likewise of reported */

/* backtrace() may lock something itself, when it loads what it needs. */
static _Thread_local bool is_at_work __attribute__((tls_model("initial-exec")));

static void note_locked(const void *object, const void *site)
{
    const struct sm_stack *stack = sm_stack_around(__builtin_frame_address(0));
    if (stack == NULL || is_at_work) return;
    is_at_work = true;
    struct held held = {.lock = object, .stack = stack, .site = site};
    held.frame_count = backtrace(held.frames, FRAMES_MAX);
    is_at_work = false;

    sm_lock(&lock);
    for (int i = 0; i < HELD_MAX; i++) {
        if (table[i].lock != NULL) continue;
        table[i] = held;
        sm_count_relaxed(&held_count, 1); /* relaxed: see note_unlocked() */
        break;
    }
    sm_unlock(&lock);
}

/* Under the lock. */
static void drop(struct held *held)
{
    held->lock = NULL;
    /* relaxed: under the lock. */
    sm_store_relaxed(&held_count, sm_load_relaxed(&held_count) - 1);
}

/* Before it is unlocked: afterwards it may be another's, or gone. It is the unlocker's own note that
 * goes: of one lock there may be several readers. Only where there is none, another's: some have a
 * mutex unlocked by whom they have handed it to. */
static void note_unlocked(const void *object)
{
    /* relaxed: whoever unlocks it has locked it, and sees that. */
    if (sm_load_relaxed(&held_count) == 0) return;
    const struct sm_stack *stack = sm_stack_around(__builtin_frame_address(0));
    sm_lock(&lock);
    struct held *last = NULL;
    for (int i = 0; i < HELD_MAX; i++) {
        if (table[i].lock != object) continue;
        if (last == NULL || last->stack != stack || table[i].stack == stack) last = &table[i];
    }
    if (last != NULL) drop(last);
    sm_unlock(&lock);
}

void sm_lockcheck_end(const struct sm_stack *stack)
{
    if (sm_load_relaxed(&held_count) == 0) return; /* relaxed: as above */
    sm_lock(&lock);
    for (int i = 0; i < HELD_MAX; i++) {
        if (table[i].lock != NULL && table[i].stack == stack) drop(&table[i]);
    }
    sm_unlock(&lock);
}

/* ---- reporting ---- */

/* Is it the first time? Under the lock. */
static bool is_news(const void *site)
{
    uint32_t count = sm_load_relaxed(&reported_count); /* relaxed: under the lock */
    for (uint32_t i = 0; i < count; i++) {
        if (reported[i] == site) return false;
    }
    if (count == SITES_MAX) return false;
    reported[count] = site;
    sm_store_relaxed(&reported_count, count + 1); /* relaxed: a figure */
    return true;
}

static void report(const struct held *held, const char *name, const void *spawned_at)
{
    void *frames[FRAMES_MAX];
    int frame_count = backtrace(frames, FRAMES_MAX);
    (void)dprintf(STDERR_FILENO,
            "seam: task \"%s\", spawned at %p, waits while it holds the OS lock %p.\n"
            "  Whoever wants the lock on this thread blocks it, and every task it runs. A struct\n"
            "  seam_mutex may be held across a wait. It was locked here:\n",
            name, spawned_at, held->lock);
    backtrace_symbols_fd(held->frames, held->frame_count, STDERR_FILENO);
    (void)dprintf(STDERR_FILENO, "  and the task waits here:\n");
    backtrace_symbols_fd(frames, frame_count, STDERR_FILENO);
}

/* What stack holds and nobody has been told of, the first of it; false if there is nothing. */
static bool find_news(const struct sm_stack *stack, struct held *out_held)
{
    bool found = false;
    sm_lock(&lock);
    for (int i = 0; i < HELD_MAX && !found; i++) {
        found = table[i].lock != NULL && table[i].stack == stack && is_news(table[i].site);
        if (found) *out_held = table[i];
    }
    sm_unlock(&lock);
    return found;
}

void sm_lockcheck_leave(const struct sm_stack *stack, const char *name, const void *spawned_at)
{
    /* relaxed: what the task itself has locked, it sees. */
    if (sm_load_relaxed(&held_count) == 0) return;
    is_at_work = true;
    struct held held;
    while (find_news(stack, &held)) {
        report(&held, name, spawned_at);
    }
    is_at_work = false;
}

uint64_t sm_lockcheck_reports(void)
{
    return sm_load_relaxed(&reported_count); /* relaxed: a figure */
}

/* ---- in front of pthread ---- */

/* What the next library calls by that name; in a program without libraries, the name that libc itself
 * uses. Found again rather than kept under a lock. */
static void *real(_Atomic(void *) *cache, const char *name, void *in_program)
{
    void *function = sm_load_relaxed(cache); /* relaxed: the address is all there is */
    if (function != NULL) return function;
    function = dlsym(RTLD_NEXT, name);
    if (function == NULL) function = in_program;
    sm_assert(function != NULL);
    sm_store_relaxed(cache, function); /* relaxed: as above */
    return function;
}

#define EXPORTED __attribute__((visibility("default")))

#define FUNCTION_THAT_LOCKS(name, object, parameters, arguments) \
    extern __typeof__(name) __##name __attribute__((weak)); \
    EXPORTED int name parameters \
    { \
        static _Atomic(void *) cache; \
        int(*next) parameters = (__typeof__(next))real(&cache, #name, (void *)__##name); \
        int r = next arguments; \
        if (r == 0 || r == EOWNERDEAD) note_locked(object, __builtin_return_address(0)); \
        return r; \
    }

#define FUNCTION_THAT_UNLOCKS(name, object, parameters) \
    extern __typeof__(name) __##name __attribute__((weak)); \
    EXPORTED int name parameters \
    { \
        static _Atomic(void *) cache; \
        int(*next) parameters = (__typeof__(next))real(&cache, #name, (void *)__##name); \
        note_unlocked(object); \
        return next(object); \
    }

typedef const struct timespec until;

FUNCTION_THAT_LOCKS(pthread_mutex_lock, m, (pthread_mutex_t * m), (m))
FUNCTION_THAT_LOCKS(pthread_mutex_trylock, m, (pthread_mutex_t * m), (m))
FUNCTION_THAT_LOCKS(pthread_mutex_timedlock, m, (pthread_mutex_t * m, until *time), (m, time))
FUNCTION_THAT_LOCKS(
        pthread_mutex_clocklock, m, (pthread_mutex_t * m, clockid_t id, until *time), (m, id, time))
FUNCTION_THAT_UNLOCKS(pthread_mutex_unlock, m, (pthread_mutex_t * m))

FUNCTION_THAT_LOCKS(pthread_rwlock_rdlock, l, (pthread_rwlock_t * l), (l))
FUNCTION_THAT_LOCKS(pthread_rwlock_wrlock, l, (pthread_rwlock_t * l), (l))
FUNCTION_THAT_LOCKS(pthread_rwlock_tryrdlock, l, (pthread_rwlock_t * l), (l))
FUNCTION_THAT_LOCKS(pthread_rwlock_trywrlock, l, (pthread_rwlock_t * l), (l))
FUNCTION_THAT_LOCKS(pthread_rwlock_timedrdlock, l, (pthread_rwlock_t * l, until *time), (l, time))
FUNCTION_THAT_LOCKS(pthread_rwlock_timedwrlock, l, (pthread_rwlock_t * l, until *time), (l, time))
FUNCTION_THAT_UNLOCKS(pthread_rwlock_unlock, l, (pthread_rwlock_t * l))

#endif
