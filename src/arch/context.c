/* SPDX-License-Identifier: MIT */
#include "arch/context.h"

#include <stdint.h>

#include "base/panic.h"

/* Room for the first frame of the hungriest switch, ucontext on aarch64 (5 KiB), and for entry. */
enum { STACK_BYTES_MIN = 8192 };

#if SM_ASAN
/* At the top of a fresh stack: what to call once ASan knows that the stack has changed. */
struct start {
    sm_context_entry *entry;
    void *arg;
};

static void begin(void *arg)
{
    sm_fiber_begin();
    const struct start *start = arg;
    start->entry(start->arg);
}

static void *prepare(char *top, sm_context_entry *entry, void *arg)
{
    struct start *start = (struct start *)(void *)top - 1;
    *start = (struct start){.entry = entry, .arg = arg};
    return sm_switch_prepare(start, begin, start);
}
#else
static void *prepare(char *top, sm_context_entry *entry, void *arg)
{
    return sm_switch_prepare(top, entry, arg);
}
#endif

void sm_context_init(struct sm_context *context, void *stack_low, size_t stack_bytes,
        sm_context_entry *entry, void *arg)
{
    sm_assert(stack_bytes >= STACK_BYTES_MIN);
    sm_fiber_init(&context->fiber, stack_low, stack_bytes);
    char *top = (char *)stack_low + stack_bytes;
    top -= (uintptr_t)top % 16;
    context->sp = prepare(top, entry, arg);
}

void sm_context_fini(struct sm_context *context)
{
    sm_fiber_fini(&context->fiber);
    context->sp = NULL;
}

void sm_context_adopt(struct sm_context *context)
{
    context->sp = NULL;
    sm_fiber_adopt(&context->fiber);
}
