/* SPDX-License-Identifier: MIT */
/*
 * A program for the debugger: one context is parked three calls deep, the other runs three calls
 * deep and stops at show_to_debugger(). backtrace.sh looks at both.
 */
#include <stdio.h>
#include <stdlib.h>

#include "arch/context.h"

enum { STACK_BYTES = 64 * 1024 };

struct sm_context home;
struct sm_context parked;
struct sm_context running;

void show_to_debugger(void);
__attribute__((noinline)) void show_to_debugger(void)
{
    (void)puts("shown");
}

/* After the call there is something to do, so that no call is the last and optimised away. */
static volatile int returned;

__attribute__((noinline)) static void wait_for_bread(void)
{
    sm_context_switch(&parked, &home);
    returned++;
}

__attribute__((noinline)) static void make_toast(void)
{
    wait_for_bread();
    returned++;
}

__attribute__((noinline)) static void make_breakfast(void *arg)
{
    (void)arg;
    make_toast();
    abort();
}

__attribute__((noinline)) static void boil_egg(void)
{
    show_to_debugger();
    returned++;
}

__attribute__((noinline)) static void set_table(void *arg)
{
    (void)arg;
    boil_egg();
    sm_context_switch(&running, &home);
    abort();
}

__attribute__((noinline)) static void run(struct sm_context *context, sm_context_entry *entry)
{
    void *stack = malloc(STACK_BYTES);
    if (stack == NULL) abort();
    sm_context_init(context, stack, STACK_BYTES, entry, NULL);
    sm_context_switch(&home, context);
    returned++;
}

int main(void)
{
    sm_context_adopt(&home);
    run(&parked, make_breakfast);
    run(&running, set_table);
    return 0;
}
