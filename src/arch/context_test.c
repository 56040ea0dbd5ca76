/* SPDX-License-Identifier: MIT */
#include "arch/context.h"

#include <execinfo.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check/check.h"

enum { STACK_BYTES = 256 * 1024, ROUNDS = 1000 };

/* A context on a stack of its own, which hands control back to whoever entered it. */
struct coroutine {
    struct sm_context home; /* where to go back to */
    struct sm_context self;
    char *stack;
    void (*body)(struct coroutine *);
    long value;
};

static void leave(struct coroutine *coroutine)
{
    sm_context_switch(&coroutine->self, &coroutine->home);
}

/* As a task is resumed: the home context describes the thread that enters, whichever that is. */
static void enter(struct coroutine *coroutine)
{
    sm_context_adopt(&coroutine->home);
    sm_context_switch(&coroutine->home, &coroutine->self);
}

static void run_body(void *arg)
{
    struct coroutine *coroutine = arg;
    coroutine->body(coroutine);
    leave(coroutine);
    abort();
}

static void reuse(struct coroutine *coroutine, void (*body)(struct coroutine *))
{
    coroutine->body = body;
    sm_context_init(&coroutine->self, coroutine->stack, STACK_BYTES, run_body, coroutine);
}

static struct coroutine *start(void (*body)(struct coroutine *))
{
    struct coroutine *coroutine = calloc(1, sizeof *coroutine);
    if (coroutine == NULL) abort();
    coroutine->stack = malloc(STACK_BYTES);
    if (coroutine->stack == NULL) abort();
    /* For valgrind; ASan would for ever look for pointers in what we are going to free. */
    if (!SM_ASAN) {
        sm_sanitizer_grow_stacks(
                coroutine->stack, coroutine->stack, coroutine->stack + STACK_BYTES);
    }
    reuse(coroutine, body);
    return coroutine;
}

static void finish(struct coroutine *coroutine)
{
    sm_context_fini(&coroutine->self);
    free(coroutine->stack);
    free(coroutine);
}

static void count_for_ever(struct coroutine *coroutine)
{
    for (;;) {
        coroutine->value++;
        leave(coroutine);
    }
}

TEST(a_context_continues_where_it_left)
{
    struct coroutine *coroutine = start(count_for_ever);
    for (int i = 1; i <= ROUNDS; i++) {
        enter(coroutine);
        CHECK_EQ(coroutine->value, i);
    }
    finish(coroutine);
}

static void count_once(struct coroutine *coroutine)
{
    coroutine->value++;
}

/* Also shows that a sanitizer build survives more contexts than it can have fibres. */
TEST(a_stack_serves_one_context_after_another)
{
    struct coroutine *coroutine = start(count_once);
    for (int i = 1; i <= 20 * ROUNDS; i++) {
        enter(coroutine);
        CHECK_EQ(coroutine->value, i);
        sm_context_fini(&coroutine->self);
        reuse(coroutine, count_once);
    }
    finish(coroutine);
}

TEST(a_context_that_never_ran_can_be_retired)
{
    for (int i = 0; i < ROUNDS; i++) {
        finish(start(count_once));
    }
}

static void *enter_many_times(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        enter(arg);
    }
    return NULL;
}

TEST(a_context_continues_on_another_thread)
{
    struct coroutine *coroutine = start(count_for_ever);
    for (int i = 0; i < 4; i++) {
        pthread_t thread;
        CHECK_EQ(pthread_create(&thread, NULL, enter_many_times, coroutine), 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
        enter_many_times(coroutine);
    }
    CHECK_EQ(coroutine->value, 8L * ROUNDS);
    finish(coroutine);
}

struct relay {
    struct sm_context home;
    struct coroutine *first;
    struct coroutine *second;
    int step;
};

static struct relay relay;

static void pass_to_second(struct coroutine *first)
{
    CHECK_EQ(relay.step++, 0);
    sm_context_switch(&first->self, &relay.second->self);
}

static void pass_home(struct coroutine *second)
{
    CHECK_EQ(relay.step++, 1);
    sm_context_switch(&second->self, &relay.home);
}

TEST_ONCE(contexts_can_switch_to_each_other_without_going_home)
{
    relay.first = start(pass_to_second);
    relay.second = start(pass_home);
    sm_context_adopt(&relay.home);
    sm_context_switch(&relay.home, &relay.first->self);
    CHECK_EQ(relay.step, 2);
    finish(relay.first);
    finish(relay.second);
}

/* Every level writes to its frame and checks it on the way back, after having been away. */
/* NOLINTNEXTLINE(misc-no-recursion): depth is what it tests */
static long descend(struct coroutine *coroutine, int depth)
{
    volatile char frame[512];
    for (size_t i = 0; i < sizeof frame; i++) {
        frame[i] = (char)(depth & 0x7f);
    }
    long sum = 1;
    if (depth > 0) {
        sum += descend(coroutine, depth - 1);
    } else {
        leave(coroutine);
    }
    for (size_t i = 0; i < sizeof frame; i++) {
        CHECK(frame[i] == (depth & 0x7f));
    }
    return sum;
}

static void dive(struct coroutine *coroutine)
{
    coroutine->value = descend(coroutine, 200);
}

TEST(a_deep_stack_is_kept_while_it_is_left)
{
    struct coroutine *coroutine = start(dive);
    enter(coroutine);
    CHECK_EQ(coroutine->value, 0);
    enter(coroutine);
    CHECK_EQ(coroutine->value, 201);
    finish(coroutine);
}

static void sum_series(struct coroutine *coroutine)
{
    double sum = 0;
    double term = 1;
    for (int i = 0; i < 40; i++) {
        sum += term;
        term /= 2;
        leave(coroutine);
    }
    coroutine->value = (long)(sum * 1000 + 0.5);
}

TEST(floating_point_survives_a_switch)
{
    struct coroutine *first = start(sum_series);
    struct coroutine *second = start(sum_series);
    double mine = 0.25;
    for (int i = 0; i < 41; i++) {
        enter(first);
        mine *= 1.5;
        enter(second);
        mine /= 1.5;
    }
    CHECK_EQ(first->value, 2000);
    CHECK_EQ(second->value, 2000);
    CHECK(mine > 0.2499 && mine < 0.2501);
    finish(first);
    finish(second);
}

/* In registers_test.S, where the processor has one: switches with known values in every register
 * that a call must preserve, and returns how many of them were changed meanwhile. */
__attribute__((weak)) int switch_with(void **out_sp, void *sp, uintptr_t seed);

static int changed_inside;

static void keep_switching(void *arg)
{
    struct coroutine *coroutine = arg;
    for (;;) {
        changed_inside += switch_with(&coroutine->self.sp, coroutine->home.sp, 7000);
    }
}

/* Both sides fill all registers, with different values, so each finds those of the other unless the
 * switch brings back its own. */
TEST(registers_a_call_must_preserve_are_preserved)
{
    if (switch_with == NULL) CHECK_SKIP("nobody has written the register check for this processor");
    if (SM_ASAN || SM_TSAN) CHECK_SKIP("this goes behind the back of the sanitizer");
    struct coroutine *coroutine = start(count_once);
    sm_context_init(&coroutine->self, coroutine->stack, STACK_BYTES, keep_switching, coroutine);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(switch_with(&coroutine->home.sp, coroutine->self.sp, 1000), 0);
    }
    CHECK_EQ(changed_inside, 0);
    finish(coroutine);
}

enum { FRAMES_MAX = 64 };

static void count_frames(struct coroutine *coroutine)
{
    void *frames[FRAMES_MAX];
    coroutine->value = backtrace(frames, FRAMES_MAX);
}

TEST(unwinding_a_context_ends_at_its_root)
{
    struct coroutine *coroutine = start(count_frames);
    memset(coroutine->stack, 0x5a, STACK_BYTES - 8192); /* nothing below that looks like an end */
    enter(coroutine);
    /* At least this function, run_body() and the root; not what lies beyond the stack. */
    CHECK(coroutine->value >= 3);
    CHECK(coroutine->value <= 8);
    finish(coroutine);
}

static void check_alignment(struct coroutine *coroutine)
{
    coroutine->value = (long)((uintptr_t)__builtin_frame_address(0) % 16);
}

TEST(an_entry_gets_an_aligned_stack_whatever_memory_it_was_given)
{
    struct coroutine *coroutine = start(check_alignment);
    for (size_t odd = 0; odd < 64; odd += 7) {
        sm_context_fini(&coroutine->self);
        sm_context_init(
                &coroutine->self, coroutine->stack + odd, STACK_BYTES - 64, run_body, coroutine);
        coroutine->value = -1;
        enter(coroutine);
        CHECK_EQ(coroutine->value, 0);
    }
    finish(coroutine);
}
