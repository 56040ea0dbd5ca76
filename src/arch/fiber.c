/* SPDX-License-Identifier: MIT */
#include "arch/fiber.h"

#include "base/panic.h"

#if SM_ASAN

#include <pthread.h>
#include <sanitizer/asan_interface.h>

void sm_fiber_init(struct sm_fiber *fiber, void *stack_low, size_t stack_bytes)
{
    /* The last task here ended without returning: the red zones of its frames are still marked. */
    __asan_unpoison_memory_region(stack_low, stack_bytes);
    *fiber = (struct sm_fiber){.stack_low = stack_low, .stack_bytes = stack_bytes};
}

/*
 * A fake stack is freed by leaving it for good, so enter it once more, in name only, and do that.
 * Not instrumented: a frame of ours must not be on the fake stack that goes.
 */
__attribute__((no_sanitize_address)) void sm_fiber_fini(struct sm_fiber *fiber)
{
    if (fiber->fake_stack == NULL) return;

    void *own_fake_stack = NULL;
    const void *own_low = NULL;
    size_t own_bytes = 0;
    __sanitizer_start_switch_fiber(&own_fake_stack, fiber->stack_low, fiber->stack_bytes);
    __sanitizer_finish_switch_fiber(fiber->fake_stack, &own_low, &own_bytes);
    __sanitizer_start_switch_fiber(NULL, own_low, own_bytes);
    __sanitizer_finish_switch_fiber(own_fake_stack, NULL, NULL);
    fiber->fake_stack = NULL;
}

/* Asked once by each thread: for the first of a process libc reads the list of all mappings. */
static void find_own_stack(struct sm_fiber *own)
{
    pthread_attr_t attr;
    void *low = NULL;
    size_t bytes = 0;
    sm_assert(pthread_getattr_np(pthread_self(), &attr) == 0);
    sm_assert(pthread_attr_getstack(&attr, &low, &bytes) == 0);
    (void)pthread_attr_destroy(&attr);
    *own = (struct sm_fiber){.stack_low = low, .stack_bytes = bytes};
}

void sm_fiber_adopt(struct sm_fiber *fiber)
{
    static _Thread_local struct sm_fiber own;
    if (own.stack_low == NULL) find_own_stack(&own);
    *fiber = own;
}

#elif SM_TSAN

#include <pthread.h>
#include <stdlib.h>

/*
 * Creating a fibre costs 10 us and two mappings, so a fibre that is done with serves again. Not for
 * ever: a task never returns from its entry, so TSan's record of its call stack is not popped and
 * the next use starts on top of it. That record has 65,536 entries and is not checked for overflow.
 */
enum { USES_MAX = 256 };

struct sm_pooled_fiber {
    struct sm_pooled_fiber *next;
    void *handle;
    int use_count;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sm_pooled_fiber *pool; /* under the lock */

static struct sm_pooled_fiber *take_from_pool(void)
{
    (void)pthread_mutex_lock(&lock);
    struct sm_pooled_fiber *pooled = pool;
    if (pooled != NULL) pool = pooled->next;
    (void)pthread_mutex_unlock(&lock);
    return pooled;
}

static void give_to_pool(struct sm_pooled_fiber *pooled)
{
    (void)pthread_mutex_lock(&lock);
    pooled->next = pool;
    pool = pooled;
    (void)pthread_mutex_unlock(&lock);
}

static void retire(struct sm_pooled_fiber *pooled)
{
    /* Run on it once, in name: TSan's runtime breaks when a fibre dies that never ran. */
    void *own = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(pooled->handle, 0);
    __tsan_switch_to_fiber(own, 0);
    __tsan_destroy_fiber(pooled->handle);
    free(pooled);
}

void sm_fiber_init(struct sm_fiber *fiber, void *stack_low, size_t stack_bytes)
{
    (void)stack_low;
    (void)stack_bytes;
    struct sm_pooled_fiber *pooled = take_from_pool();
    if (pooled == NULL) {
        pooled = calloc(1, sizeof *pooled);
        sm_assert(pooled != NULL); /* a sanitizer build need not survive running out of memory */
        pooled->handle = __tsan_create_fiber(0);
    }
    pooled->use_count++;
    *fiber = (struct sm_fiber){.handle = pooled->handle, .pooled = pooled};
}

void sm_fiber_fini(struct sm_fiber *fiber)
{
    sm_assert(fiber->pooled != NULL); /* a thread's own stack is adopted, and never retired */
    sm_assert(fiber->handle != __tsan_get_current_fiber());
    if (fiber->pooled->use_count < USES_MAX) {
        give_to_pool(fiber->pooled);
    } else {
        retire(fiber->pooled);
    }
    *fiber = (struct sm_fiber){};
}

void sm_fiber_adopt(struct sm_fiber *fiber)
{
    *fiber = (struct sm_fiber){.handle = __tsan_get_current_fiber()};
}

#else

void sm_fiber_init(struct sm_fiber *fiber, void *stack_low, size_t stack_bytes)
{
    (void)fiber;
    (void)stack_low;
    (void)stack_bytes;
}

void sm_fiber_fini(struct sm_fiber *fiber)
{
    (void)fiber;
}

void sm_fiber_adopt(struct sm_fiber *fiber)
{
    (void)fiber;
}

#endif
