/* SPDX-License-Identifier: MIT */
/*
 * exits/exits_test.c - processes and threads that end while runtimes are at work.
 *
 * Each case is a process of its own, which must end as its code says: not hang, not crash. What every
 * single function returns in exit() and in a forked child is in tests/contexts.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "seam.h"

#include "base/sanitizer.h"
#include "check/check.h"

enum {
    CODE = 42,
    VISITS_MAX = SM_TSAN ? 2 : 3, /* in the last round the thread sanitizer has gone before us */
};

/* ---- a process, and what keeps it busy ---- */

typedef void ending(void);

static void check_ends_with_code(ending *end)
{
    CHECK_NOT_SIMULATED("a forked child is not simulated");
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        end();
        _exit(EXIT_FAILURE);
    }
    int status = -1;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), CODE);
}

static atomic_bool is_over; /* never */

static int wait_for_ever(void *arg)
{
    (void)arg;
    struct seam_event never = SEAM_EVENT_INIT;
    return seam_event_wait(&never, SEAM_FOREVER);
}

static int compute_for_ever(void *arg)
{
    (void)arg;
    while (!atomic_load(&is_over)) {
    }
    return 0;
}

static int yield_for_ever(void *arg)
{
    (void)arg;
    while (seam_yield() == 0) {
        (void)seam_sleep(seam_after(SEAM_MICROSECOND));
    }
    return 0;
}

static int pause_for_ever(void *arg)
{
    (void)arg;
    while (!atomic_load(&is_over)) {
        (void)pause();
    }
    return 0;
}

static int block_for_ever(void *arg)
{
    return seam_block(NULL, pause_for_ever, arg, NULL, SEAM_FOREVER);
}

static int compute_in_job_for_ever(void *arg)
{
    return seam_block(NULL, compute_for_ever, arg, NULL, SEAM_FOREVER);
}

static seam_runtime *default_runtime(void)
{
    seam_runtime *runtime = NULL;
    CHECK_OK(seam_runtime_default(&runtime));
    return runtime;
}

/* A task of each kind, detached. */
static void be_busy(seam_runtime *runtime)
{
    static seam_fn *const kinds[] = {wait_for_ever, yield_for_ever, block_for_ever,
            compute_for_ever, compute_in_job_for_ever};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        CHECK_OK(seam_spawn(seam_runtime_root(runtime), kinds[i], NULL, NULL, NULL));
    }
}

static seam_runtime *busy_runtime(void)
{
    seam_runtime *runtime = NULL;
    CHECK_OK(seam_runtime_new(&(struct seam_options){.workers = 2}, &runtime));
    be_busy(runtime);
    be_busy(default_runtime());
    return runtime;
}

/* ---- exit() and its like ---- */

static int exit_now(void *arg)
{
    (void)arg;
    exit(CODE);
}

static int exit_from_pool(void *arg)
{
    return seam_block(NULL, exit_now, arg, NULL, SEAM_FOREVER);
}

static void exit_from_main(void)
{
    seam_runtime *runtime = busy_runtime();
    for (int i = 0; i < 4; i++) {
        struct seam_scope *root = seam_runtime_root(runtime);
        CHECK_OK(seam_spawn(root, compute_for_ever, NULL, NULL, NULL));
    }
    exit(CODE); /* as returning from main() does */
}

static void exit_from_task(void)
{
    seam_runtime *runtime = busy_runtime();
    (void)seam_call(runtime, exit_now, NULL, NULL, SEAM_FOREVER);
}

static void exit_from_task_of_default(void)
{
    (void)busy_runtime();
    (void)seam_call(NULL, exit_now, NULL, NULL, SEAM_FOREVER);
}

static void exit_from_task_of_current_thread(void)
{
    (void)busy_runtime();
    (void)seam_run(&(struct seam_options){.current_thread = true}, exit_now, NULL);
}

static void exit_from_job(void)
{
    seam_runtime *runtime = busy_runtime();
    (void)seam_call(runtime, exit_from_pool, NULL, NULL, SEAM_FOREVER);
}

static void exit_quickly(void)
{
    (void)busy_runtime();
    quick_exit(CODE);
}

static int exit_quickly_now(void *arg)
{
    (void)arg;
    quick_exit(CODE);
}

static void exit_quickly_from_task(void)
{
    seam_runtime *runtime = busy_runtime();
    (void)seam_call(runtime, exit_quickly_now, NULL, NULL, SEAM_FOREVER);
}

static int exit_at_once_now(void *arg)
{
    (void)arg;
    _exit(CODE);
}

static void exit_at_once_from_task(void)
{
    seam_runtime *runtime = busy_runtime();
    (void)seam_call(runtime, exit_at_once_now, NULL, NULL, SEAM_FOREVER);
}

TEST(a_program_may_return_from_main_while_tasks_run)
{
    check_ends_with_code(exit_from_main);
}

TEST(a_task_may_exit)
{
    check_ends_with_code(exit_from_task);
    check_ends_with_code(exit_from_task_of_default);
    check_ends_with_code(exit_from_task_of_current_thread);
}

TEST(a_pool_job_may_exit)
{
    check_ends_with_code(exit_from_job);
}

TEST(a_program_may_end_without_its_exit_handlers)
{
    check_ends_with_code(exit_quickly);
    check_ends_with_code(exit_quickly_from_task);
    check_ends_with_code(exit_at_once_from_task);
}

/* ---- handlers of exit() ---- */

static int do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int block_briefly(void *arg)
{
    return seam_block(NULL, do_nothing, arg, NULL, SEAM_FOREVER);
}

static seam_runtime *own;
static bool was_working;

/* Registered after the first use, so it runs first. */
static void find_it_working(void)
{
    CHECK_OK(seam_call(own, block_briefly, NULL, NULL, SEAM_FOREVER));
    was_working = true;
}

/* Registered before, so it runs last. */
static void find_it_stopping(void)
{
    CHECK(was_working);
    CHECK_ERR(seam_call(own, block_briefly, NULL, NULL, SEAM_FOREVER), ESHUTDOWN);
    seam_runtime *runtime = NULL;
    CHECK_ERR(seam_runtime_default(&runtime), ESHUTDOWN);
    /* What needs no default runtime works. */
    CHECK_OK(seam_sleep(seam_after(SEAM_MICROSECOND)));
    CHECK_OK(seam_run(&(struct seam_options){.workers = 1}, block_briefly, NULL));
    _exit(CODE);
}

static void exit_with_handlers(void)
{
    CHECK_EQ(atexit(find_it_stopping), 0);
    own = default_runtime();
    be_busy(own);
    CHECK_EQ(atexit(find_it_working), 0);
    exit(EXIT_FAILURE);
}

static void exit_with_handlers_from_task(void)
{
    CHECK_EQ(atexit(find_it_stopping), 0);
    own = default_runtime();
    be_busy(own);
    CHECK_EQ(atexit(find_it_working), 0);
    (void)seam_run(&(struct seam_options){.current_thread = true}, exit_now, NULL);
}

TEST(handlers_find_the_default_runtime_working_or_stopping_as_they_were_registered)
{
    check_ends_with_code(exit_with_handlers);
    check_ends_with_code(exit_with_handlers_from_task);
}

static void stop_own(void)
{
    struct seam_stop_report report;
    CHECK_OK(seam_runtime_stop(own, &report, SEAM_FOREVER));
    CHECK_EQ(report.left_count, 0);
    seam_runtime_free(own);
    _exit(CODE);
}

static void exit_and_stop(void)
{
    CHECK_OK(seam_runtime_new(&(struct seam_options){.workers = 2}, &own));
    CHECK_OK(seam_spawn(seam_runtime_root(own), wait_for_ever, NULL, NULL, NULL));
    CHECK_EQ(atexit(stop_own), 0);
    exit(EXIT_FAILURE);
}

static void stop_own_in_vain(void)
{
    CHECK_ERR(seam_runtime_stop(own, NULL, SEAM_FOREVER), EINPROGRESS);
    _exit(CODE);
}

static void exit_from_own_and_stop(void)
{
    CHECK_OK(seam_runtime_new(&(struct seam_options){.workers = 2}, &own));
    CHECK_EQ(atexit(stop_own_in_vain), 0);
    (void)seam_call(own, exit_now, NULL, NULL, SEAM_FOREVER);
}

TEST(a_handler_may_stop_a_runtime)
{
    check_ends_with_code(exit_and_stop);
    check_ends_with_code(exit_from_own_and_stop);
}

/* ---- fork ---- */

static void check_child(pid_t pid, int code)
{
    int status = -1;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), code);
}

static void call_as_child(void)
{
    struct seam_event never = SEAM_EVENT_INIT;
    struct seam_stop_report report;
    seam_runtime *runtime = NULL;
    CHECK_ERR(seam_yield(), EOWNERDEAD);
    CHECK_ERR(seam_sleep(seam_after(1)), EOWNERDEAD);
    CHECK_ERR(seam_event_wait(&never, SEAM_FOREVER), EOWNERDEAD);
    CHECK_ERR(seam_call(NULL, do_nothing, NULL, NULL, SEAM_FOREVER), EOWNERDEAD);
    CHECK_ERR(seam_block(NULL, do_nothing, NULL, NULL, SEAM_FOREVER), EOWNERDEAD);
    CHECK_ERR(seam_run(NULL, do_nothing, NULL), EOWNERDEAD);
    CHECK_ERR(seam_runtime_default(&runtime), EOWNERDEAD);
    CHECK_ERR(seam_runtime_stop(own, &report, SEAM_FOREVER), EOWNERDEAD);
    CHECK_EQ(report.left_count, 0);
    seam_stop_report_print(&report, STDERR_FILENO);
}

static int fork_in_every_way(void *arg)
{
    for (int way = 0; way < 3; way++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid > 0) {
            check_child(pid, way == 2 ? 0 : CODE);
            continue;
        }
        if (way == 2) (void)execl("/bin/true", "true", NULL);
        call_as_child();
        /* LeakSanitizer does not know the stacks of threads that a child has not got. */
        if (way == 0 || SM_ASAN) _exit(CODE);
        exit(CODE);
    }
    return arg != NULL ? seam_block(NULL, fork_in_every_way, NULL, NULL, SEAM_FOREVER) : 0;
}

static void fork_everywhere(void)
{
    own = busy_runtime();
    CHECK_OK(seam_call(own, fork_in_every_way, own, NULL, SEAM_FOREVER));
    CHECK_OK(fork_in_every_way(NULL));
    _exit(CODE);
}

TEST(a_child_forked_in_a_task_a_job_or_a_thread_may_call_exit_and_exec)
{
    check_ends_with_code(fork_everywhere);
}

static int return_as_child(void *arg)
{
    (void)arg;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) return 0;
    int status = 0;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGABRT);
    return 0;
}

static void return_as_child_of_each(void)
{
    seam_runtime *runtime = busy_runtime();
    CHECK_OK(seam_call(runtime, return_as_child, NULL, NULL, SEAM_FOREVER));
    _exit(CODE);
}

TEST(a_task_that_returns_in_a_forked_child_stops_the_child)
{
    check_ends_with_code(return_as_child_of_each);
}

static int end_thread_as_child(void *arg)
{
    (void)arg;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) pthread_exit(NULL);
    int status = 0;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    return 0;
}

static int run_where_it_was_spawned(void *arg)
{
    CHECK_EQ(getpid(), *(pid_t *)arg);
    return 0;
}

static int end_child_before_others(void *arg)
{
    pid_t pid = getpid();
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, run_where_it_was_spawned, &pid, NULL, NULL));
    CHECK_OK(end_thread_as_child(arg));
    return (int)CHECK_OK(seam_scope_end(&scope));
}

static void end_threads_of_children(void)
{
    const struct seam_options options = {.workers = 1, .quiet_incidents = true};
    seam_runtime *runtime = NULL;
    CHECK_OK(seam_runtime_new(&options, &runtime));
    CHECK_OK(seam_call(runtime, end_child_before_others, NULL, NULL, SEAM_FOREVER));
    _exit(CODE);
}

/* It is the child's only thread: nobody takes its place, and what waits there is the parent's. */
TEST(a_task_that_ends_its_thread_in_a_forked_child_ends_the_child)
{
    if (SM_TSAN || SM_ASAN) {
        CHECK_SKIP("where a thread ends in a forked child, sanitizers take locks of their own that "
                   "another thread may have held at the fork");
    }
    check_ends_with_code(end_threads_of_children);
}

/* ---- threads that end ---- */

struct visitor {
    seam_runtime *runtime;
    pthread_key_t key;
    atomic_int visits;
    int visits_wanted;
};

static int wait_briefly(void *arg)
{
    (void)arg;
    return seam_sleep(seam_after(SEAM_MICROSECOND));
}

/* A call of each kind. */
static void use_everything(seam_runtime *runtime)
{
    struct seam_scope scope;
    struct seam_mutex mutex = SEAM_MUTEX_INIT;
    struct seam_event event = SEAM_EVENT_INIT;
    seam_task *task = NULL;
    uint64_t value = 1;
    seam_chan *chan = NULL;
    int fds[2];
    int result = -1;
    CHECK_OK(seam_call(runtime, wait_briefly, NULL, NULL, seam_after(60 * SEAM_SECOND)));
    CHECK_OK(seam_block(NULL, wait_briefly, NULL, NULL, SEAM_FOREVER));
    CHECK_OK(seam_scope_begin(&scope, runtime, seam_after(60 * SEAM_SECOND)));
    CHECK_OK(seam_spawn(&scope, wait_briefly, NULL, NULL, &task));
    CHECK_OK(seam_join(task, &result, SEAM_FOREVER));
    CHECK_OK(seam_scope_end(&scope));
    CHECK_OK(seam_mutex_lock(&mutex, SEAM_FOREVER));
    seam_mutex_unlock(&mutex);
    CHECK_ERR(seam_event_wait(&event, seam_after(SEAM_MICROSECOND)), ETIMEDOUT);
    CHECK_OK(seam_chan_new(sizeof value, 1, &chan));
    CHECK_OK(seam_chan_send(chan, &value, SEAM_FOREVER));
    CHECK_OK(seam_chan_recv(chan, &value, SEAM_FOREVER));
    seam_chan_free(chan);
    CHECK_OK(pipe(fds));
    CHECK_ERR(seam_await_fd(fds[0], SEAM_READABLE, seam_after(SEAM_MICROSECOND)), ETIMEDOUT);
    CHECK_OK(seam_release(fds[0]));
    CHECK_OK(close(fds[0]));
    CHECK_OK(close(fds[1]));
    CHECK_OK(seam_yield());
    CHECK_OK(seam_run(&(struct seam_options){.current_thread = true}, wait_briefly, NULL));
}

static void visit_again(void *arg)
{
    struct visitor *visitor = arg;
    use_everything(visitor->runtime);
    int visits = atomic_fetch_add(&visitor->visits, 1) + 1;
    if (visits < visitor->visits_wanted) (void)pthread_setspecific(visitor->key, visitor);
}

static void *visit(void *arg)
{
    struct visitor *visitor = arg;
    CHECK_EQ(pthread_setspecific(visitor->key, visitor), 0);
    use_everything(visitor->runtime);
    return NULL;
}

static void end_thread_that_calls(struct visitor *visitor, int visits)
{
    pthread_t thread;
    atomic_store(&visitor->visits, 0);
    visitor->visits_wanted = visits;
    CHECK_EQ(pthread_create(&thread, NULL, visit, visitor), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(atomic_load(&visitor->visits), visits);
}

static void run_visits(bool key_is_first)
{
    struct visitor visitor = {};
    if (key_is_first) CHECK_EQ(pthread_key_create(&visitor.key, visit_again), 0);
    CHECK_OK(seam_runtime_new(&(struct seam_options){.workers = 2}, &visitor.runtime));
    CHECK_OK(seam_call(visitor.runtime, do_nothing, NULL, NULL, SEAM_FOREVER));
    if (!key_is_first) CHECK_EQ(pthread_key_create(&visitor.key, visit_again), 0);
    for (int i = 0; i < 20; i++) {
        end_thread_that_calls(&visitor, 1 + i % VISITS_MAX);
    }
    CHECK_OK(seam_runtime_stop(visitor.runtime, NULL, SEAM_FOREVER));
    seam_runtime_free(visitor.runtime);
    CHECK_EQ(pthread_key_delete(visitor.key), 0);
}

/* Destructors run in the order of their keys, again as long as values are set: some come after ours,
 * which has let go of what the library knew of the thread. */
TEST(destructors_of_thread_specific_values_may_call)
{
    run_visits(true);
}

TEST(destructors_that_come_after_ours_may_call)
{
    run_visits(false);
}
