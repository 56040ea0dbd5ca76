/* SPDX-License-Identifier: MIT */
#include "sched/worker.h"

#include <sys/mman.h>

#include "seam.h"

#include "check/check.h"
#include "os/os.h"

/* ---- promises of stacks ---- */

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static uint64_t mapped_stacks(void)
{
    struct sm_stack_stats stats;
    sm_stack_stats_read(&stats);
    return stats.mapped_bytes / sm_stack_class_bytes(SM_STACK_64K);
}

/* A task from outside comes with a promise of its own, but runs on a stack of the worker's. */
TEST(calls_from_outside_do_not_pile_up_promises)
{
    const struct seam_options options = {.workers = 1};
    seam_runtime *runtime = NULL;
    CHECK_OK(seam_runtime_new(&options, &runtime));
    for (int i = 0; i < 20000; i++) {
        CHECK_OK(seam_call(runtime, nothing, NULL, NULL, SEAM_FOREVER));
    }
    CHECK(mapped_stacks() < 8192);
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_runtime_free(runtime);
}

static int slabs_allowed;

static void *map_a_few(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    /* Smaller ones are the alternate stacks of threads that begin to run tasks. */
    bool is_slab = bytes >= sm_stack_class_bytes(SM_STACK_64K);
    if (is_slab && slabs_allowed == 0) return MAP_FAILED;
    if (is_slab) slabs_allowed--;
    return mmap(address, bytes, protection, flags, fd, offset);
}

static int wait_for_event(void *arg)
{
    return seam_event_wait(arg, SEAM_FOREVER);
}

/* Tasks until there is no memory for more; then all of them end. How many there were. */
static int exhaust(void *arg)
{
    int *count = arg;
    struct seam_event go = SEAM_EVENT_INIT;
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    int r = 0;
    for (*count = 0; r == 0; (*count)++) {
        r = seam_spawn(&scope, wait_for_event, &go, NULL, NULL);
    }
    (*count)--;
    CHECK_EQ(r, -ENOMEM);
    CHECK_OK(seam_yield()); /* let them begin: each takes its stack */
    seam_event_set(&go);
    return seam_scope_end(&scope);
}

static int exhaust_again_and_again(void *arg)
{
    int first = 0;
    CHECK_OK(exhaust(&first));
    CHECK(first > 64); /* the first slab is for 64 */
    for (int round = 0; round < 5; round++) {
        int again = 0;
        CHECK_OK(exhaust(&again));
        CHECK_EQ(again, first);
    }
    (void)arg;
    return 0;
}

/* Goal: running out of stacks is an error to the one who spawns, and over when tasks have ended.
 * Method: no more slabs after two, and the same again: as many tasks fit as before. */
TEST(a_task_can_spawn_again_after_stacks_ran_out)
{
    const struct seam_options options = {.workers = 1};
    seam_runtime *runtime = NULL;
    sm_memory_calls.map = map_a_few;
    slabs_allowed = 2;
    CHECK_OK(seam_runtime_new(&options, &runtime));
    CHECK_OK(seam_call(runtime, exhaust_again_and_again, NULL, NULL, SEAM_FOREVER));
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_runtime_free(runtime);
}

/* Stacks that workers keep for themselves are others' when there are no more. A worker may have to be
 * told first: then who asks is refused meanwhile. */
static void exhaust_and_call(const struct seam_options *options)
{
    slabs_allowed = 3;
    seam_runtime *runtime = NULL;
    CHECK_OK(seam_runtime_new(options, &runtime));
    for (int round = 0; round < 3; round++) {
        int count = 0;
        int r = -ENOMEM;
        while (r == -ENOMEM) {
            r = seam_call(runtime, exhaust, &count, NULL, SEAM_FOREVER);
        }
        CHECK_OK(r);
    }
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_runtime_free(runtime);
}

TEST(a_thread_can_call_again_after_stacks_ran_out)
{
    sm_memory_calls.map = map_a_few;
    exhaust_and_call(&(struct seam_options){.workers = 1});
    exhaust_and_call(&(struct seam_options){.workers = 4});
    exhaust_and_call(&(struct seam_options){.current_thread = true});
    sm_memory_calls.map = mmap;
}

/* ---- headers ---- */

static void *(*real_map)(size_t bytes);
static int maps_allowed;
static int maps_made;

static void *count_maps(size_t bytes)
{
    if (maps_allowed == 0) return NULL;
    maps_allowed--;
    maps_made++;
    return real_map(bytes);
}

/* One block of memory for headers holds some two thousand; then there is no more. */
static int exhaust_headers(void *arg)
{
    int *count = arg;
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    int r = 0;
    for (*count = 0; r == 0 && *count < 100000; (*count)++) {
        r = seam_spawn(&scope, nothing, NULL, NULL, NULL);
    }
    CHECK_EQ(r, -ENOMEM);
    return seam_scope_end(&scope);
}

TEST(headers_are_refused_and_used_again)
{
    const struct seam_options options = {.workers = 1};
    seam_runtime *runtime = NULL;
    real_map = sm_os.map;
    sm_os.map = count_maps;
    maps_allowed = INT32_MAX;
    CHECK_OK(seam_runtime_new(&options, &runtime));
    maps_made = 0; /* by nobody but us from now on */
    maps_allowed = 2;
    int counts[3] = {};
    for (int round = 0; round < 3; round++) {
        CHECK_OK(seam_call(runtime, exhaust_headers, &counts[round], NULL, SEAM_FOREVER));
        CHECK(counts[round] > 1000);
        CHECK(counts[round] >= counts[0] - 1);
    }
    CHECK_EQ(maps_made, 2);
    sm_os.map = real_map;
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_runtime_free(runtime);
}
