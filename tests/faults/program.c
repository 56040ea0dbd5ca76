/* SPDX-License-Identifier: MIT */
/*
 * For a program that is built with the stand-ins: FAULT=call:nth:errno makes one call fail, counted from
 * the program's start; FAULT_COUNTS names a file that receives, at its end, how many there were of each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "calls.h"

static const char *const names[FAULT_CALL_COUNT] = {
#define X(name, ...) #name,
        FAULT_CALLS(X)
#undef X
};

static _Atomic(unsigned) counts[FAULT_CALL_COUNT];
static struct {
    char name[64];
    unsigned nth;
    int error; /* its number */
} chosen;

int fault_turn(enum fault_call call)
{
    unsigned nth = sm_add_relaxed(&counts[call], 1) + 1;
    return nth == chosen.nth && strcmp(names[call], chosen.name) == 0 ? chosen.error : 0;
}

static void write_counts(void)
{
    const char *path = getenv("FAULT_COUNTS");
    FILE *file = path != NULL ? fopen(path, "we") : NULL;
    if (file == NULL) return;
    for (int call = 0; call < FAULT_CALL_COUNT; call++) {
        (void)fprintf(file, "%s %u\n", names[call], sm_load_relaxed(&counts[call]));
    }
    (void)fclose(file);
}

__attribute__((constructor)) static void choose(void)
{
    const char *wanted = getenv("FAULT");
    if (wanted != NULL) {
        (void)sscanf(wanted, "%63[^:]:%u:%d", chosen.name, &chosen.nth, &chosen.error);
    }
    (void)atexit(write_counts);
}
