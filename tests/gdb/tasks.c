/* SPDX-License-Identifier: MIT */
/*
 * A program for the debugger: one task waits for an event, three calls deep, the other runs three
 * calls deep and stops at show_to_debugger(). backtrace.sh looks at both.
 */
#include <stdio.h>
#include <stdlib.h>

#include "seam.h"

static struct seam_event bread = SEAM_EVENT_INIT;
seam_task *toaster;

void show_to_debugger(void);
__attribute__((noinline)) void show_to_debugger(void)
{
    (void)puts("shown");
}

/* After the call there is something to do, so that no call is the last and optimised away. */
static volatile int returned;

SEAM_SUSPENDS __attribute__((noinline)) static void wait_for_bread(void)
{
    if (seam_event_wait(&bread, SEAM_FOREVER) < 0) abort();
    returned++;
}

SEAM_SUSPENDS __attribute__((noinline)) static int make_toast(void *arg)
{
    (void)arg;
    wait_for_bread();
    return 0;
}

__attribute__((noinline)) static void boil_egg(void)
{
    show_to_debugger();
    returned++;
}

__attribute__((noinline)) static int set_table(void *arg)
{
    (void)arg;
    boil_egg();
    seam_event_set(&bread);
    return 0;
}

SEAM_SUSPENDS static int make_breakfast(void *arg)
{
    (void)arg;
    struct seam_scope scope;
    int r = seam_scope_begin(&scope, NULL, SEAM_FOREVER);
    if (r < 0) return r;
    r = seam_spawn(&scope, make_toast, NULL, NULL, &toaster);
    if (r == 0) r = seam_yield();
    if (r == 0) r = seam_spawn(&scope, set_table, NULL, NULL, NULL);
    int ended = seam_scope_end(&scope);
    return r < 0 ? r : ended;
}

int main(void)
{
    const struct seam_options options = {.current_thread = true};
    return seam_run(&options, make_breakfast, NULL) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
