/* SPDX-License-Identifier: MIT */
#include "os/overflow.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch/context.h"
#include "check/check.h"
#include "os/stack.h"

enum { OUTPUT_MAX = 16384, EXIT_CHAINED = 33 };

/* What a task is to these tests. */
struct owner {
    const char *name;
    const void *spawned_at;
};

static void describe(const void *arg, struct sm_overflow_culprit *out_culprit)
{
    const struct owner *owner = arg;
    out_culprit->name = owner->name;
    out_culprit->spawned_at = owner->spawned_at;
}

static void spawn_here(void) {}

static const struct owner deep_diver = {.name = "deep diver", .spawned_at = (void *)spawn_here};

static struct sm_context home;
static struct sm_context task;
static volatile long sink;

/* NOLINTNEXTLINE(misc-no-recursion): without end, which is the point */
static void recurse(long depth)
{
    volatile char frame[256];
    frame[0] = (char)depth;
    if (depth < 1L << 40) recurse(depth + 1);
    sink += frame[0];
}

static void overflow(void *arg)
{
    (void)arg;
    recurse(0);
    abort();
}

/* As far as into the guard page, and not through it. */
static void overflow_a_little(void *arg)
{
    struct sm_stack *stack = arg;
    memset((char *)sm_stack_low(stack) - 64, 0x5a, 128);
    sm_context_switch(&task, &home);
    abort();
}

static struct sm_stack *run_on_stack(sm_context_entry *entry)
{
    struct sm_stack *stack = NULL;
    CHECK_OK(sm_stack_get(SM_STACK_64K, &stack));
    stack->owner = &deep_diver;
    sm_context_adopt(&home);
    sm_context_init(&task, sm_stack_low(stack), sm_stack_usable(stack), entry, stack);
    sm_context_switch(&home, &task);
    return stack;
}

/* How a child ended, and what it wrote to its standard error. */
struct outcome {
    int status;
    char output[OUTPUT_MAX];
};

static struct outcome run_in_child(void (*child)(void))
{
    int output_fd = memfd_create("stderr", MFD_CLOEXEC);
    CHECK(output_fd >= 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        (void)dup2(output_fd, STDERR_FILENO);
        child();
        _exit(EXIT_SUCCESS);
    }
    struct outcome outcome = {};
    CHECK_EQ(waitpid(pid, &outcome.status, 0), pid);
    CHECK(pread(output_fd, outcome.output, sizeof outcome.output - 1, 0) >= 0);
    (void)close(output_fd);
    return outcome;
}

/* Sanitizers handle SIGSEGV themselves, before us: they report it and exit. */
static bool died_of_segv(const struct outcome *outcome)
{
    if (SM_ASAN || SM_TSAN) {
        return WIFEXITED(outcome->status) && WEXITSTATUS(outcome->status) != EXIT_SUCCESS
                && strstr(outcome->output, "Sanitizer") != NULL;
    }
    return WIFSIGNALED(outcome->status) && WTERMSIG(outcome->status) == SIGSEGV;
}

static void need_guard_pages(void)
{
    struct sm_stack *stack = NULL;
    CHECK_OK(sm_stack_get(SM_STACK_64K, &stack));
    if (stack->guard == SM_GUARD_CANARY) CHECK_SKIP("this guard has no page to fault on");
    sm_stack_put(stack);
}

static void overflow_handled(void)
{
    CHECK_OK(sm_overflow_install(describe));
    CHECK_OK(sm_overflow_thread_begin());
    (void)run_on_stack(overflow);
}

TEST(an_overflow_names_the_task_where_it_was_spawned_and_its_stack_and_kills)
{
    need_guard_pages();
    struct outcome outcome = run_in_child(overflow_handled);
    const char *line = "seam: stack overflow in task 'deep diver' (stack 64 KiB, spawned at /";
    CHECK(strstr(outcome.output, line) != NULL);
    CHECK(strstr(outcome.output, "overflow_test+0x") != NULL);
    CHECK(died_of_segv(&outcome));
}

static void overflow_unhandled(void)
{
    CHECK_OK(sm_overflow_thread_begin());
    (void)run_on_stack(overflow);
}

TEST(without_our_handler_an_overflow_just_kills)
{
    need_guard_pages();
    struct outcome outcome = run_in_child(overflow_unhandled);
    CHECK(strstr(outcome.output, "seam:") == NULL);
    CHECK(died_of_segv(&outcome));
}

static void overflow_uninstalled(void)
{
    CHECK_OK(sm_overflow_install(describe));
    CHECK_OK(sm_overflow_install(describe));
    sm_overflow_uninstall();
    overflow_unhandled();
}

TEST(after_uninstall_an_overflow_just_kills)
{
    need_guard_pages();
    struct outcome outcome = run_in_child(overflow_uninstalled);
    CHECK(strstr(outcome.output, "seam:") == NULL);
    CHECK(died_of_segv(&outcome));
}

static void exit_by_handler(int signo, siginfo_t *info, void *ucontext)
{
    (void)ucontext;
    bool is_complete = signo == SIGSEGV && info->si_addr != NULL;
    _exit(is_complete ? EXIT_CHAINED : EXIT_FAILURE);
}

static void handle_segv_first(int flags)
{
    struct sigaction action = {.sa_sigaction = exit_by_handler, .sa_flags = SA_SIGINFO | flags};
    CHECK_EQ(sigaction(SIGSEGV, &action, NULL), 0);
}

static void overflow_chained(void)
{
    handle_segv_first(0);
    overflow_handled();
}

TEST(the_handler_that_was_there_gets_the_signal_after_the_report)
{
    need_guard_pages();
    struct outcome outcome = run_in_child(overflow_chained);
    CHECK(strstr(outcome.output, "seam: stack overflow in task 'deep diver'") != NULL);
    CHECK(WIFEXITED(outcome.status));
    CHECK_EQ(WEXITSTATUS(outcome.status), EXIT_CHAINED);
}

/* A page of ours that may not be touched, and is no guard. */
static void fault_elsewhere(void)
{
    handle_segv_first(0);
    CHECK_OK(sm_overflow_install(describe));
    volatile char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    page[0] = 1;
}

TEST(a_fault_elsewhere_goes_to_the_handler_that_was_there_without_a_word)
{
    struct outcome outcome = run_in_child(fault_elsewhere);
    CHECK_EQ(outcome.output[0], '\0');
    CHECK(WIFEXITED(outcome.status));
    CHECK_EQ(WEXITSTATUS(outcome.status), EXIT_CHAINED);
}

static void note_and_return(int signo)
{
    (void)signo;
    static const char note[] = "once\n";
    CHECK_EQ(write(STDERR_FILENO, note, sizeof note - 1), sizeof note - 1);
}

static void overflow_after_one_shot(void)
{
    struct sigaction action = {.sa_handler = note_and_return, .sa_flags = (int)SA_RESETHAND};
    CHECK_EQ(sigaction(SIGSEGV, &action, NULL), 0);
    overflow_handled();
}

TEST(a_handler_that_wanted_to_run_once_runs_once)
{
    need_guard_pages();
    struct outcome outcome = run_in_child(overflow_after_one_shot);
    const char *note = strstr(outcome.output, "once\n");
    CHECK(note != NULL && strstr(note + 1, "once\n") == NULL);
    CHECK(WIFSIGNALED(outcome.status));
    CHECK_EQ(WTERMSIG(outcome.status), SIGSEGV);
}

static void be_sent_segv(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    CHECK_EQ(sigaction(SIGSEGV, &action, NULL), 0);
    CHECK_OK(sm_overflow_install(NULL));
    (void)raise(SIGSEGV);
}

TEST(a_signal_that_somebody_sent_kills_as_it_would_without_us)
{
    struct outcome outcome = run_in_child(be_sent_segv);
    CHECK_EQ(outcome.output[0], '\0');
    CHECK(WIFSIGNALED(outcome.status));
    CHECK_EQ(WTERMSIG(outcome.status), SIGSEGV);
}

static void overflow_into_canary(void)
{
    CHECK_OK(sm_stack_force_guard(SM_GUARD_CANARY));
    CHECK_OK(sm_overflow_install(describe));
    struct sm_stack *stack = run_on_stack(overflow_a_little);
    sm_stack_put(stack);
}

TEST(a_dead_canary_is_found_when_the_stack_is_put_back)
{
    struct outcome outcome = run_in_child(overflow_into_canary);
    CHECK(strstr(outcome.output, "seam: stack overflow in task 'deep diver' (stack 64 KiB")
            != NULL);
    CHECK(strstr(outcome.output, "guard page") != NULL);
    CHECK(WIFSIGNALED(outcome.status));
    CHECK_EQ(WTERMSIG(outcome.status), SIGABRT);
}

TEST(somebody_elses_handler_over_ours_is_left_in_place)
{
    CHECK_OK(sm_overflow_install(NULL));
    handle_segv_first(0);
    sm_overflow_uninstall();
    struct sigaction current = {};
    CHECK_EQ(sigaction(SIGSEGV, NULL, &current), 0);
    CHECK(current.sa_sigaction == exit_by_handler);
}

TEST(a_thread_keeps_the_alternate_stack_it_has)
{
    static char memory[64 * 1024];
    stack_t mine = {.ss_sp = memory, .ss_size = sizeof memory};
    CHECK_EQ(sigaltstack(&mine, NULL), 0);
    CHECK_OK(sm_overflow_thread_begin());
    sm_overflow_thread_end();
    stack_t current = {};
    CHECK_EQ(sigaltstack(NULL, &current), 0);
    CHECK(current.ss_sp == memory);
    CHECK_EQ(current.ss_flags & SS_DISABLE, 0);
}

TEST(a_thread_gets_an_alternate_stack_and_gives_it_back)
{
    stack_t none = {.ss_flags = SS_DISABLE};
    CHECK_EQ(sigaltstack(&none, NULL), 0);
    CHECK_OK(sm_overflow_thread_begin());
    stack_t current = {};
    CHECK_EQ(sigaltstack(NULL, &current), 0);
    CHECK_EQ(current.ss_flags & SS_DISABLE, 0);
    sm_overflow_thread_end();
    CHECK_EQ(sigaltstack(NULL, &current), 0);
    CHECK(current.ss_flags & SS_DISABLE);
}

TEST(a_code_address_is_shown_as_file_and_offset)
{
    char text[4096];
    size_t len = sm_overflow_format_pc((const void *)spawn_here, text, sizeof text);
    CHECK_EQ(len, strlen(text));
    CHECK(strstr(text, "/overflow_test+0x") != NULL);

    char small[8];
    CHECK_EQ(sm_overflow_format_pc((const void *)spawn_here, small, sizeof small), 7);
    CHECK(strncmp(small, text, 7) == 0);

    (void)sm_overflow_format_pc((const void *)0x10, text, sizeof text);
    CHECK_EQ(strcmp(text, "0x10"), 0);
}
