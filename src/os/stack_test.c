/* SPDX-License-Identifier: MIT */
#include "os/stack.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/sanitizer.h"
#include "check/check.h"

enum { ADVICE_GUARD_INSTALL = 102 };

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

static long count_lines(const char *path)
{
    FILE *file = fopen(path, "r");
    CHECK(file != NULL);
    long count = 0;
    for (int c = getc(file); c != EOF; c = getc(file)) {
        count += c == '\n';
    }
    (void)fclose(file);
    return count;
}

static struct sm_stack_stats stats(void)
{
    struct sm_stack_stats stats = {};
    sm_stack_stats_read(&stats);
    return stats;
}

static struct sm_stack *get(enum sm_stack_class class)
{
    struct sm_stack *stack = NULL;
    CHECK_OK(sm_stack_get(class, &stack));
    return stack;
}

TEST(the_stack_put_back_last_is_handed_out_first)
{
    struct sm_stack *first = get(SM_STACK_64K);
    struct sm_stack *second = get(SM_STACK_64K);
    sm_stack_put(first);
    sm_stack_put(second);
    CHECK(get(SM_STACK_64K) == second);
    CHECK(get(SM_STACK_64K) == first);
    CHECK_EQ(stats().carved[SM_STACK_64K], 2);
}

TEST(all_of_the_usable_part_can_be_written)
{
    for (int class = 0; class < SM_STACK_CLASS_COUNT; class ++) {
        struct sm_stack *stack = get((enum sm_stack_class) class);
        size_t nominal = sm_stack_class_bytes((enum sm_stack_class) class);
        CHECK_EQ(stack->class, class);
        CHECK(sm_stack_usable(stack) < nominal);
        CHECK(sm_stack_usable(stack) >= nominal - 4096 - 512);
        CHECK_EQ((uintptr_t)stack % 64, 0);
        memset(sm_stack_low(stack), 0xa5, sm_stack_usable(stack));
        sm_stack_put(stack);
    }
}

TEST(a_stack_comes_back_without_an_owner)
{
    struct sm_stack *stack = get(SM_STACK_16K);
    stack->owner = &stack;
    sm_stack_put(stack);
    CHECK(get(SM_STACK_16K)->owner == NULL);
}

TEST(a_size_gets_the_smallest_class_that_holds_it)
{
    enum sm_stack_class class = SM_STACK_1M;
    CHECK_OK(sm_stack_class_for(0, &class));
    CHECK_EQ(class, SM_STACK_16K);
    CHECK_OK(sm_stack_class_for(16384, &class));
    CHECK_EQ(class, SM_STACK_16K);
    CHECK_OK(sm_stack_class_for(16385, &class));
    CHECK_EQ(class, SM_STACK_64K);
    CHECK_OK(sm_stack_class_for(1 << 20, &class));
    CHECK_EQ(class, SM_STACK_1M);
    CHECK_ERR(sm_stack_class_for((1 << 20) + 1, &class), EINVAL);
}

TEST(neighbouring_stacks_begin_in_different_cache_sets)
{
    struct sm_stack *first = get(SM_STACK_64K);
    struct sm_stack *second = get(SM_STACK_64K);
    CHECK((uintptr_t)first % 4096 != (uintptr_t)second % 4096);
}

TEST(an_address_in_a_guard_page_names_its_stack)
{
    struct sm_stack *other = get(SM_STACK_64K);
    struct sm_stack *stack = get(SM_STACK_64K);
    CHECK(other != stack);
    const char *low = sm_stack_low(stack);
    bool has_guard = stack->guard != SM_GUARD_CANARY;
    CHECK(sm_stack_at_fault(low - 1) == (has_guard ? stack : NULL));
    CHECK(sm_stack_at_fault(low - 4096) == (has_guard ? stack : NULL));
    CHECK(sm_stack_at_fault(low) == NULL);
    CHECK(sm_stack_at_fault(low - 4097) == NULL);
    CHECK(sm_stack_at_fault(low - 1 + 65536) == NULL); /* not carved yet */
    CHECK(sm_stack_at_fault(&low) == NULL);
    CHECK(sm_stack_at_fault(NULL) == NULL);
}

TEST(a_mode_that_is_none_is_refused)
{
    CHECK_ERR(sm_stack_force_guard((enum sm_guard_mode)SM_GUARD_MODE_COUNT), EINVAL);
}

#if SM_ASAN
#include <sanitizer/lsan_interface.h>

/* Not in a frame of the test, where a copy of the pointer could stay behind. */
__attribute__((noinline)) static void hide_memory_in(struct sm_stack *stack)
{
    void **place = sm_stack_low(stack);
    *place = malloc(100);
    CHECK(*place != NULL);
}
#endif

TEST(what_only_a_parked_stack_points_to_is_no_leak)
{
#if SM_ASAN
    hide_memory_in(get(SM_STACK_64K));
    CHECK_EQ(__lsan_do_recoverable_leak_check(), 0);
#else
    CHECK_SKIP("there is no leak check in this build");
#endif
}

/*
 * System calls that fail.
 */

static int maps_until_failure;
static size_t largest_map_allowed;

static void *map_unless(
        void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    if (maps_until_failure-- > 0 && bytes <= largest_map_allowed) {
        return mmap(address, bytes, protection, flags, fd, offset);
    }
    errno = ENOMEM;
    return MAP_FAILED;
}

static int refuse_guard(void *address, size_t bytes, int advice)
{
    if (advice != ADVICE_GUARD_INSTALL) return madvise(address, bytes, advice);
    errno = EINVAL;
    return -1;
}

static int ignore_guard(void *address, size_t bytes, int advice)
{
    return advice != ADVICE_GUARD_INSTALL ? madvise(address, bytes, advice) : 0;
}

static int refuse_protect(void *address, size_t bytes, int protection)
{
    (void)address;
    (void)bytes;
    (void)protection;
    errno = ENOMEM;
    return -1;
}

TEST(no_memory_at_all_is_an_error_and_can_pass)
{
    sm_memory_calls.map = map_unless;
    struct sm_stack *stack = NULL;
    CHECK_ERR(sm_stack_get(SM_STACK_64K, &stack), ENOMEM);
    CHECK(stack == NULL);
    CHECK_EQ(stats().slabs, 0);

    sm_memory_calls.map = mmap;
    CHECK_OK(sm_stack_get(SM_STACK_64K, &stack));
}

TEST(a_slab_that_is_refused_is_halved_down_to_one_stack)
{
    sm_memory_calls.map = map_unless;
    maps_until_failure = 100;
    largest_map_allowed = 65536;
    (void)get(SM_STACK_64K);
    CHECK_EQ(stats().mapped_bytes, 65536);

    largest_map_allowed = (size_t)8 * 65536;
    for (int i = 0; i < 3; i++) {
        (void)get(SM_STACK_64K);
    }
    CHECK_EQ(stats().mapped_bytes, (1L + 2 + 4) * 65536); /* and grows again where it may */
}

TEST(slabs_halve_when_address_space_is_limited)
{
    if (SM_ASAN || SM_TSAN) CHECK_SKIP("sanitizers need terabytes of address space");
    enum { ROOM = 64 << 20 };
    struct rlimit tight = {};
    CHECK_EQ(getrlimit(RLIMIT_AS, &tight), 0);
    tight.rlim_cur = (rlim_t)read_number("/proc/self/status", "VmSize:") * 1024 + ROOM;
    CHECK_EQ(setrlimit(RLIMIT_AS, &tight), 0);

    struct sm_stack *stack = NULL;
    int count = 0;
    while (sm_stack_get(SM_STACK_64K, &stack) == 0) {
        *(char *)sm_stack_low(stack) = 1;
        count++;
    }
    CHECK_ERR(sm_stack_get(SM_STACK_64K, &stack), ENOMEM);
    CHECK(count > 1000); /* of the 1024 that would fill the room to the last byte */
}

TEST(without_guard_advice_stacks_are_guarded_by_mprotect)
{
    sm_memory_calls.advise = refuse_guard;
    CHECK_OK(sm_stack_force_guard(SM_GUARD_MADVISE));
    CHECK_EQ(get(SM_STACK_64K)->guard, SM_GUARD_MPROTECT);
    CHECK_EQ(stats().mode, SM_GUARD_MPROTECT);
}

TEST(advice_that_is_accepted_and_ignored_is_noticed)
{
    CHECK_OK(sm_stack_force_guard(SM_GUARD_MADVISE));
    sm_memory_calls.advise = ignore_guard;
    CHECK_EQ(get(SM_STACK_64K)->guard, SM_GUARD_MPROTECT);
}

TEST(when_mprotect_fails_too_a_canary_guards)
{
    CHECK_OK(sm_stack_force_guard(SM_GUARD_MADVISE));
    sm_memory_calls.advise = refuse_guard;
    sm_memory_calls.protect = refuse_protect;
    CHECK_EQ(get(SM_STACK_64K)->guard, SM_GUARD_CANARY);
    CHECK_EQ(stats().mode, SM_GUARD_CANARY);
}

TEST(mprotect_guards_leave_half_of_the_maps_to_others)
{
    if (SM_ASAN) CHECK_SKIP("thousands of root regions make the leak check slow");
    long maps_max = read_number("/proc/sys/vm/max_map_count", "");
    if (maps_max > 200000) CHECK_SKIP("this kernel allows too many maps to use them up");

    CHECK_OK(sm_stack_force_guard(SM_GUARD_MPROTECT));
    for (long i = 0; i < maps_max / 4; i++) {
        CHECK_EQ(get(SM_STACK_16K)->guard, SM_GUARD_MPROTECT);
    }
    CHECK_EQ(get(SM_STACK_16K)->guard, SM_GUARD_CANARY);
    CHECK(count_lines("/proc/self/maps") < maps_max / 2 + 200);
}

/*
 * Many.
 */

enum { MILLION = 1000000, THREADS = 4, TURNS = 5000, HELD = 8 };

TEST(a_million_guarded_stacks_fit_into_forty_maps_and_a_page_each)
{
    if (SM_ASAN || SM_TSAN) CHECK_SKIP("sanitizers keep a shadow of every page");
    if (getenv("SEAM_TEST_GUARD") != NULL) CHECK_SKIP("once is enough, with the default guard");
    if (read_number("/proc/meminfo", "MemAvailable:") < 8L << 20) {
        CHECK_SKIP("less than 8 GiB of memory available");
    }
    check_time_limit(100); /* a million page faults, perhaps beside others */
    if (get(SM_STACK_64K)->guard != SM_GUARD_MADVISE) {
        CHECK_SKIP("no guards without maps on this kernel");
    }

    long before =
            read_number("/proc/self/status", "VmRSS:") + read_number("/proc/self/status", "VmPTE:");
    for (int i = 0; i < MILLION; i++) {
        (void)get(SM_STACK_64K); /* writes the record, in the page of the first frames */
    }
    long after =
            read_number("/proc/self/status", "VmRSS:") + read_number("/proc/self/status", "VmPTE:");
    long maps = count_lines("/proc/self/maps");
    long bytes_each = (after - before) * 1024 / MILLION;
    printf("%d stacks: %ld maps, %u slabs, %ld bytes each with page tables\n", MILLION, maps,
            stats().slabs, bytes_each);
    (void)fflush(stdout); /* the test ends without */
    CHECK(maps <= 40);
    CHECK(bytes_each <= 4608);
}

static void *get_and_put(void *arg)
{
    for (int turn = 0; turn < TURNS; turn++) {
        struct sm_stack *held[HELD];
        for (int i = 0; i < HELD; i++) {
            held[i] = get(SM_STACK_16K);
            CHECK(held[i]->owner == NULL);
            held[i]->owner = arg;
        }
        for (int i = 0; i < HELD; i++) {
            CHECK(held[i]->owner == arg);
            sm_stack_put(held[i]);
        }
    }
    return NULL;
}

/* Goal: no stack is ever in two hands. Method: whoever has it signs it, and checks before giving
 * it back; TSan sees the record and the list. */
TEST(threads_never_get_the_same_stack)
{
    pthread_t threads[THREADS];
    static char marks[THREADS]; /* who they are */
    for (int i = 0; i < THREADS; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, get_and_put, &marks[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
    CHECK(stats().carved[SM_STACK_16K] <= THREADS * HELD);
    CHECK_EQ(stats().carved[SM_STACK_16K], stats().free[SM_STACK_16K]);
}

/*
 * Promises.
 */

static int slabs_allowed;

static void *map_a_few(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    if (slabs_allowed == 0) return MAP_FAILED;
    slabs_allowed--;
    return mmap(address, bytes, protection, flags, fd, offset);
}

TEST(what_was_promised_can_be_taken_when_there_is_no_more_memory)
{
    enum { PROMISED = 100 };
    CHECK_EQ(sm_stack_reserve(SM_STACK_64K, PROMISED), PROMISED);
    sm_memory_calls.map = map_a_few;
    struct sm_stack *stacks[PROMISED];
    uint32_t others = 0;
    struct sm_stack *stack = NULL;
    while (sm_stack_get(SM_STACK_64K, &stack) == 0) {
        others++; /* everybody else gets what nobody was promised */
    }
    CHECK_EQ(others, 64 + 128 - PROMISED);
    CHECK_EQ(sm_stack_reserve(SM_STACK_64K, 1), 0);
    for (int i = 0; i < PROMISED; i++) {
        stacks[i] = sm_stack_take_reserved(SM_STACK_64K);
        CHECK(stacks[i] != NULL);
    }
    CHECK_EQ(sm_stack_reserve(SM_STACK_64K, 1), 0);
    for (int i = 0; i < PROMISED; i++) {
        sm_stack_put(stacks[i]);
    }
    CHECK_EQ(sm_stack_reserve(SM_STACK_64K, 2 * PROMISED), PROMISED);
    sm_stack_unreserve(SM_STACK_64K, PROMISED);
    CHECK_OK(sm_stack_get(SM_STACK_64K, &stack));
}

TEST(promises_are_granted_as_far_as_there_is_memory)
{
    sm_memory_calls.map = map_a_few;
    slabs_allowed = 0;
    CHECK_EQ(sm_stack_reserve(SM_STACK_16K, 10), 0);
    slabs_allowed = 1;
    CHECK_EQ(sm_stack_reserve(SM_STACK_16K, 100), 64);
    CHECK_EQ(sm_stack_reserve(SM_STACK_16K, 1), 0);
    sm_stack_unreserve(SM_STACK_16K, 1);
    CHECK_EQ(sm_stack_reserve(SM_STACK_16K, 100), 1);
}
