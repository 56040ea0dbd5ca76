/* SPDX-License-Identifier: MIT */
/*
 * What the simulation says of a scenario, to be looked at; and what scenarios are made of.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "seam.h"
#include "seam/sim.h"

#include "check/check.h"

/* ---- in a scenario ---- */

#define MUST(expr) \
    do { \
        if (!(expr)) { \
            (void)fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #expr); \
            abort(); \
        } \
    } while (0)

static inline seam_runtime *new_runtime(uint32_t workers)
{
    seam_runtime *runtime = NULL;
    struct seam_options options = {.workers = workers};
    MUST(seam_runtime_new(&options, &runtime) == 0);
    return runtime;
}

static inline void end_runtime(seam_runtime *runtime)
{
    MUST(seam_runtime_stop(runtime, NULL, SEAM_FOREVER) == 0);
    seam_runtime_free(runtime);
}

/* ---- looking at it ---- */

enum { SHOWN_MAX = 1 << 16 };

struct shown {
    int64_t result;
    char text[SHOWN_MAX];
};

static inline void simulate(
        seam_fn *fn, const struct seam_sim_options *options, struct shown *shown)
{
    int fd = memfd_create("shown", MFD_CLOEXEC);
    int before = dup(STDERR_FILENO);
    CHECK_OK(fd);
    CHECK_OK(dup2(fd, STDERR_FILENO));
    shown->result = seam_sim_run("shown", fn, NULL, options);
    CHECK_OK(dup2(before, STDERR_FILENO));
    ssize_t len = pread(fd, shown->text, SHOWN_MAX - 1, 0);
    shown->text[len > 0 ? len : 0] = '\0';
    CHECK_OK(close(fd));
    CHECK_OK(close(before));
}

static inline const char *after(const char *text, const char *words)
{
    const char *found = strstr(text, words);
    return found != NULL ? found + strlen(words) : NULL;
}
