/* SPDX-License-Identifier: MIT */
/*
 * Linked into every unit test: SEAM_TEST_GUARD=madvise|mprotect|canary makes all stacks of the test
 * guarded that way. The library itself reads no environment.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/stack.h"

__attribute__((constructor)) static void choose_guard(void)
{
    static const char *const names[SM_GUARD_MODE_COUNT] = {
            [SM_GUARD_MADVISE] = "madvise",
            [SM_GUARD_MPROTECT] = "mprotect",
            [SM_GUARD_CANARY] = "canary",
    };
    const char *wanted = getenv("SEAM_TEST_GUARD");
    if (wanted == NULL) return;

    for (int mode = SM_GUARD_MADVISE; mode < SM_GUARD_MODE_COUNT; mode++) {
        if (strcmp(wanted, names[mode]) != 0) continue;
        (void)sm_stack_force_guard((enum sm_guard_mode)mode);
        return;
    }
    (void)fprintf(stderr, "SEAM_TEST_GUARD=%s: want madvise, mprotect or canary\n", wanted);
    exit(EXIT_FAILURE);
}
