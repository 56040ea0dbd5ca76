/* SPDX-License-Identifier: MIT */
/*
 * arch/fiber.h - what the sanitizers must be told when a thread changes stacks.
 *
 *     sm_fiber_leave(from, to)     on the old stack, just before the switch
 *     sm_fiber_arrive(from)        on the same stack, when somebody has switched back to it
 *     sm_fiber_begin()             on a new stack, before anything else runs there
 *
 * AddressSanitizer must know where the current stack lies, and carries a second, fake stack for
 * each when it looks for use after return. ThreadSanitizer keeps its clocks and call stack in an
 * object per stack, which it calls a fibre. In an ordinary build all of this is empty.
 */
#pragma once

#include <stddef.h>

#include "base/sanitizer.h"

#if SM_ASAN

#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

struct sm_fiber {
    const void *stack_low;
    size_t stack_bytes;
    void *fake_stack; /* ASan's; NULL until the first switch away */
};

static inline void sm_fiber_leave(struct sm_fiber *from, const struct sm_fiber *to)
{
    __sanitizer_start_switch_fiber(&from->fake_stack, to->stack_low, to->stack_bytes);
}

static inline void sm_fiber_arrive(struct sm_fiber *from)
{
    __sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
}

static inline void sm_fiber_begin(void)
{
    __sanitizer_finish_switch_fiber(NULL, NULL, NULL);
}

#elif SM_TSAN

#include <sanitizer/tsan_interface.h>

struct sm_pooled_fiber;

struct sm_fiber {
    void *handle;                   /* TSan's */
    struct sm_pooled_fiber *pooled; /* its record in our pool; NULL if it is a thread's own */
};

static inline void sm_fiber_leave(struct sm_fiber *from, const struct sm_fiber *to)
{
    (void)from;
    __tsan_switch_to_fiber(to->handle, 0); /* 0: what ran before happens before what runs now */
}

static inline void sm_fiber_arrive(struct sm_fiber *from)
{
    (void)from;
}

#else

struct sm_fiber {
};

static inline void sm_fiber_leave(struct sm_fiber *from, const struct sm_fiber *to)
{
    (void)from;
    (void)to;
}

static inline void sm_fiber_arrive(struct sm_fiber *from)
{
    (void)from;
}

#endif

/* The thread has left one stack for another by a jump, which nobody has announced. */
static inline void sm_fiber_jumped(struct sm_fiber *from, struct sm_fiber *to)
{
    sm_fiber_leave(from, to);
    sm_fiber_arrive(to);
#if SM_ASAN
    /* The frames that were jumped over have left their red zones behind. */
    char *here = __builtin_frame_address(0);
    __asan_unpoison_memory_region(to->stack_low, (size_t)(here - (const char *)to->stack_low));
#endif
}

/* A stack that nobody runs on is about to be run on from its top; it may have served before. */
void sm_fiber_init(struct sm_fiber *fiber, void *stack_low, size_t stack_bytes);

/* Nobody will run on it again. From another stack. */
void sm_fiber_fini(struct sm_fiber *fiber);

/* Describe the stack the calling thread is running on. */
void sm_fiber_adopt(struct sm_fiber *fiber);
