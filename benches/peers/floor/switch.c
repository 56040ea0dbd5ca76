/* SPDX-License-Identifier: MIT */
/*
 * floor/switch.c - how fast can two stacks take turns with no runtime around them?
 *
 * yield       main <-> one coroutine, 10 M bare switches; value = time / switches.
 * spawn_seq   set up a hot, reused stack, enter a trivial function on it, leave; 1 M times.
 * spawn_batch the same over 1000 task records at a time, all on the one hot stack.
 * ping_pong   main and a coroutine pass a u64 through two slots: 2 switches a round trip.
 *
 * What differs from the peers: no queue, no scheduler, no join object, no second thread; THREADS
 * is only repeated in the output, since the best thing a runtime with two workers can do with
 * this work is to leave it on one. The switch saves the callee-saved registers and ends in an
 * indirect jump. x86_64 only.
 */
#include <stdlib.h>

#include "common/bench.h"

enum { STACK_BYTES = 64 * 1024, BATCH = 1000, TASK_RECORD_BYTES = 64 };

/* Saves the current context in *save, continues in `load`. */
void floor_switch(void **save, void *load);
void floor_enter(void);

__asm__(".text\n"
        ".p2align 4\n"
        ".globl floor_switch\n"
        ".type floor_switch, @function\n"
        "floor_switch:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    popq %rcx\n"
        "    jmpq *%rcx\n"
        ".size floor_switch, . - floor_switch\n"
        ".p2align 4\n"
        ".globl floor_enter\n"
        ".type floor_enter, @function\n"
        "floor_enter:\n" /* a new stack starts here: function in r12 */
        "    callq *%r12\n"
        "    ud2\n"
        ".size floor_enter, . - floor_enter\n");

static void *main_context;
static void *task_context;
static char *stack;
static uint64_t runs;
static uint64_t to_task;
static uint64_t to_main;

struct record {
    void (*entry)(void);
    uint64_t state;
    char rest[TASK_RECORD_BYTES - 16];
};

static void prepare(void (*entry)(void))
{
    void **top = (void **)(void *)(stack + STACK_BYTES - 64);

    *--top = (void *)floor_enter;
    for (int i = 0; i < 6; i++)
        *--top = NULL;
    top[3] = (void *)entry; /* popped into r12 */
    task_context = top;
}

static void switch_for_ever(void)
{
    for (;;)
        floor_switch(&task_context, main_context);
}

static void count_once(void)
{
    runs++;
    floor_switch(&task_context, main_context);
}

static void answer_for_ever(void)
{
    for (;;) {
        to_main = to_task + 1;
        floor_switch(&task_context, main_context);
    }
}

static void measure_yield(const struct bench_run *run)
{
    long switches = bench_count(run, 10000000, 2);
    int64_t start_ns;

    prepare(switch_for_ever);
    start_ns = bench_now_ns();
    for (long i = 0; i < switches / 2; i++)
        floor_switch(&main_context, task_context);
    bench_report_ns(run, start_ns, switches);
}

static void measure_spawn_seq(const struct bench_run *run)
{
    long spawns = bench_count(run, 1000000, 1);
    int64_t start_ns = bench_now_ns();

    for (long i = 0; i < spawns; i++) {
        prepare(count_once);
        floor_switch(&main_context, task_context);
    }
    bench_report_ns(run, start_ns, spawns);
    bench_need(runs == (uint64_t)spawns, "a task did not run");
}

static void measure_spawn_batch(const struct bench_run *run)
{
    static struct record records[BATCH];
    long spawns = bench_count(run, 1000000, BATCH);
    int64_t start_ns = bench_now_ns();

    for (long done = 0; done < spawns; done += BATCH) {
        for (int i = 0; i < BATCH; i++)
            records[i].entry = count_once;
        for (int i = 0; i < BATCH; i++) {
            prepare(records[i].entry);
            floor_switch(&main_context, task_context);
            records[i].state = runs;
        }
    }
    bench_report_ns(run, start_ns, spawns);
    bench_need(runs == (uint64_t)spawns, "a task did not run");
}

static void measure_ping_pong(const struct bench_run *run)
{
    long trips = bench_count(run, 1000000, 1);
    int64_t start_ns;

    prepare(answer_for_ever);
    start_ns = bench_now_ns();
    for (long i = 0; i < trips; i++) {
        to_task = to_main;
        floor_switch(&main_context, task_context);
    }
    bench_report_ns(run, start_ns, trips);
    bench_need(to_main == (uint64_t)trips, "a message was lost");
}

int main(int argc, char **argv)
{
    static const struct bench_case cases[] = {
            {"yield", measure_yield},
            {"spawn_seq", measure_spawn_seq},
            {"spawn_batch", measure_spawn_batch},
            {"ping_pong", measure_ping_pong},
            {NULL, NULL},
    };

    stack = aligned_alloc(4096, STACK_BYTES);
    bench_need(stack != NULL, "no memory");
    return bench_main(argc, argv, "floor", cases);
}
