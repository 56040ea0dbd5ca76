/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "base/sanitizer.h"
#include "os/stack.h"
#include "stress/stress.h"

enum { MILLION = 1000000, BYTES_EACH_MAX = 4812 }; /* 4.7 KiB */

/* The number behind "Key:" in a file of /proc, in its own unit; -1 if there is none. */
static long read_number(const char *path, const char *key)
{
    FILE *file = fopen(path, "r");
    CHECK(file != NULL);
    char line[256];
    long number = -1;
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, key, strlen(key)) == 0) number = strtol(line + strlen(key), NULL, 10);
    }
    (void)fclose(file);
    return number;
}

static long used_kib(void)
{
    return read_number("/proc/self/status", "VmRSS:") + read_number("/proc/self/status", "VmPTE:");
}

struct car_park {
    struct seam_event may_leave;
    _Atomic(long) parked;
};

static int park(void *arg)
{
    struct car_park *car_park = arg;
    (void)sm_add_relaxed(&car_park->parked, 1); /* relaxed: only waited for */
    return seam_event_wait(&car_park->may_leave, SEAM_FOREVER);
}

static int park_a_million(void *arg)
{
    struct car_park *car_park = arg;
    long before_kib = used_kib();
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    for (int i = 0; i < MILLION; i++) {
        CHECK_OK(seam_spawn(&scope, park, car_park, NULL, NULL));
    }
    while (sm_load_relaxed(&car_park->parked) < MILLION) { /* relaxed: as above */
        CHECK_OK(seam_yield());
    }
    long bytes_each = (used_kib() - before_kib) * 1024 / MILLION;
    struct sm_stack_stats stats;
    sm_stack_stats_read(&stats);
    printf("%d parked tasks: %ld bytes each with page tables, %u slabs\n", MILLION, bytes_each,
            stats.slabs);
    (void)fflush(stdout);
    CHECK(stats.guarded[SM_GUARD_CANARY] == 0);
    CHECK(bytes_each <= BYTES_EACH_MAX);
    seam_event_set(&car_park->may_leave);
    return seam_scope_end(&scope);
}

/* Goal: a million tasks wait at once, each on a guarded stack of its own, in a page and its share
 * of the page tables; and all of them go on. */
TEST(a_million_tasks_can_be_parked_at_once)
{
    if (SM_ASAN || SM_TSAN) CHECK_SKIP("sanitizers keep a shadow of every page");
    if (read_number("/proc/meminfo", "MemAvailable:") < 8L << 20) {
        CHECK_SKIP("less than 8 GiB of memory available");
    }
    struct sm_stack *probe = NULL;
    CHECK_OK(sm_stack_get(SM_STACK_64K, &probe));
    uint8_t guard = probe->guard;
    sm_stack_put(probe);
    if (guard != SM_GUARD_MADVISE) CHECK_SKIP("no guards without maps on this kernel");

    check_time_limit(60);
    static struct car_park car_park;
    const struct seam_options options = {.workers = 1};
    CHECK_OK(seam_run(&options, park_a_million, &car_park));
}
