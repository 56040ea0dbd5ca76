/* SPDX-License-Identifier: MIT */
#include "sched/worker.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

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

TEST_ONCE(a_thread_can_call_again_after_stacks_ran_out)
{
    sm_memory_calls.map = map_a_few;
    exhaust_and_call(&(struct seam_options){.workers = 1});
    exhaust_and_call(&(struct seam_options){.workers = 4});
    exhaust_and_call(&(struct seam_options){.current_thread = true});
    sm_memory_calls.map = mmap;
}

/* ---- a worker that has given up looking before it sleeps ---- */

/* A task that reads a pipe, a byte at a time, and counts. */
struct reader {
    int fds[2];
    int thread_id;
    _Atomic(uint32_t) count;
};

static int read_on(void *arg)
{
    struct reader *reader = arg;
    reader->thread_id = sm_os_thread_id();
    char byte = 0;
    while (seam_read(reader->fds[0], &byte, 1, SEAM_FOREVER) == 1) {
        (void)sm_add_acq_rel(&reader->count, 1);
    }
    return 0;
}

/* What the reader wrote before it counted is there to be read afterwards. */
static void wait_for_count(struct reader *reader, uint32_t count)
{
    while (sm_load_acquire(&reader->count) < count) {
        (void)sched_yield();
    }
}

/* Its worker wakes up for events only, for which looking at the inbox does not help. */
static void discourage_looking(struct reader *reader)
{
    enum { ROUNDS = 200 };
    uint32_t first = sm_load_relaxed(&reader->count);
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        CHECK_EQ(write(reader->fds[1], "x", 1), 1);
        wait_for_count(reader, first + i);
    }
}

static void begin_reading(struct reader *reader, struct seam_scope *scope)
{
    CHECK_OK(pipe2(reader->fds, O_CLOEXEC));
    CHECK_OK(seam_spawn(scope, read_on, reader, NULL, NULL));
    discourage_looking(reader);
}

static void end_reading(struct reader *reader, struct seam_scope *scope)
{
    CHECK_OK(close(reader->fds[1]));
    CHECK_OK(seam_scope_end(scope));
    CHECK_OK(seam_close(reader->fds[0]));
}

TEST(a_worker_that_only_wakes_up_to_sleep_again_gives_back_its_stacks)
{
    const struct seam_options options = {.workers = 1};
    sm_memory_calls.map = map_a_few;
    slabs_allowed = 1;
    seam_runtime *runtime = NULL;
    CHECK_OK(seam_runtime_new(&options, &runtime));
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, runtime, SEAM_FOREVER));
    struct reader reader = {};
    begin_reading(&reader, &scope);
    int count = 0;
    CHECK_OK(seam_call(runtime, exhaust, &count, NULL, SEAM_FOREVER));
    int refused = 0;
    for (int calls = 0; calls < 80; calls++) {
        int r = -ENOMEM;
        while (r == -ENOMEM) {
            r = seam_call(runtime, nothing, NULL, NULL, SEAM_FOREVER);
            if (r == -ENOMEM) refused++;
            (void)sched_yield();
            CHECK(refused < 100000);
        }
        CHECK_OK(r);
    }
    end_reading(&reader, &scope);
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_runtime_free(runtime);
    sm_memory_calls.map = mmap;
}

/* Short tasks without an end, a few at a time. */
struct stream {
    struct seam_scope *scope;
    struct reader *reader;
    int thread_id;
    uint32_t begun_late; /* after the reader could have read */
    _Atomic(uint32_t) begun;
    _Atomic(uint32_t) ended;
};

static int take_a_moment(void *arg)
{
    struct stream *stream = arg;
    (void)sm_add_relaxed(&stream->begun, 1);
    int64_t end_ns = seam_now_ns() + 100000;
    while (seam_now_ns() < end_ns) {
    }
    (void)sm_add_relaxed(&stream->ended, 1);
    return 0;
}

/* Has something to steal for the other worker whenever that asks, and lets go of its own never. */
static int stream_on(void *arg)
{
    enum { AT_HAND = 60, BEFORE = 100, ENOUGH = 1000 };
    struct stream *stream = arg;
    stream->thread_id = sm_os_thread_id();
    if (stream->thread_id == stream->reader->thread_id) return 0;
    uint32_t spawned = 0;
    uint32_t written_at = 0;
    uint32_t count = sm_load_relaxed(&stream->reader->count);
    while (written_at == 0 || sm_load_relaxed(&stream->reader->count) == count) {
        uint32_t begun = sm_load_relaxed(&stream->begun);
        if (written_at == 0 && begun > BEFORE) {
            written_at = begun;
            CHECK_EQ(write(stream->reader->fds[1], "x", 1), 1);
        }
        if (written_at > 0 && begun > written_at + ENOUGH) break;
        while (spawned < sm_load_relaxed(&stream->begun) + AT_HAND) {
            CHECK_OK(seam_spawn(stream->scope, take_a_moment, stream, NULL, NULL));
            spawned++;
        }
    }
    stream->begun_late = sm_load_relaxed(&stream->begun) - written_at;
    return 0;
}

/* Goal: events are seen soon by a worker that always finds something to steal, too.
 * Method: the reader on one worker, the stream on the other; the tasks that begin until the reader
 * has read are counted. Where both are on the same worker, again. */
TEST(a_worker_that_steals_all_the_time_looks_at_its_events)
{
    const struct seam_options options = {
            .workers = 2, .overtake = SEAM_OVERTAKE_OFF, .quiet_incidents = true};
    bool is_apart = false;
    while (!is_apart) {
        seam_runtime *runtime = NULL;
        CHECK_OK(seam_runtime_new(&options, &runtime));
        struct seam_scope scope;
        CHECK_OK(seam_scope_begin(&scope, runtime, SEAM_FOREVER));
        struct reader reader = {};
        begin_reading(&reader, &scope);
        struct stream stream = {.scope = &scope, .reader = &reader};
        seam_task *task = NULL;
        CHECK_OK(seam_spawn(&scope, stream_on, &stream, NULL, &task));
        CHECK_OK(seam_join(task, NULL, SEAM_FOREVER));
        end_reading(&reader, &scope);
        is_apart = stream.thread_id != reader.thread_id;
        CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
        seam_runtime_free(runtime);
        if (is_apart) CHECK(stream.begun_late < 200);
    }
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
