/* SPDX-License-Identifier: MIT */
/*
 * bridge/lost.c - tasks that end the thread they run on: what is lost, and what is not.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sanitizer.h"
#include "boundary/flavours.h"
#include "bridge/doors.h"
#include "cross/bridge.h"

/* The first thing of each test. */
static void check_threads_can_be_ended(void)
{
    if (SM_TSAN) CHECK_SKIP("ThreadSanitizer aborts when a thread ends on the stack of a task");
}

static int end_the_thread(void *arg)
{
    (void)arg;
    pthread_exit(NULL);
}

static int return_seven(void *arg)
{
    (void)arg;
    return 7;
}

static void check_serves(seam_bridge *bridge)
{
    struct seam_reply reply;
    CHECK_OK(seam_bridge_call(bridge, return_seven, NULL, &reply, SEAM_FOREVER));
    CHECK_EQ(reply.result, 7);
}

/* For what follows a runtime needs threads of its own. */
#define ON_BRIDGES_WITH_WORKERS(name) \
    static void name(const struct kind *kind); \
    ON_KIND(name, through_a_view_of_one_worker, .runtime.workers = 1) \
    ON_KIND(name, through_a_view_of_eight_workers, .runtime.workers = 8) \
    ON_KIND(name, through_one_worker_of_its_own, .runtime.workers = 1, .is_private = true) \
    static void name(const struct kind *kind)

/* ---- the call ---- */

ON_BRIDGES_WITH_WORKERS(a_call_that_ends_its_thread_is_lost_and_the_next_is_served)
{
    check_threads_can_be_ended();
    struct door door;
    door_open(&door, kind, 1);
    for (int i = 0; i < 100; i++) {
        CHECK_ERR(seam_bridge_call(door.bridge, end_the_thread, NULL, NULL, SEAM_FOREVER), EPIPE);
        check_serves(door.bridge);
    }
    struct seam_bridge_stats stats;
    seam_bridge_stats_read(door.bridge, &stats);
    CHECK_EQ(stats.by_caller[SEAM_CALLER_THREAD].lost, 100);
    CHECK_EQ(stats.by_caller[SEAM_CALLER_THREAD].calls, 100);
    CHECK_EQ(stats.in_flight, 0);
    door_close(&door);
}

static int say_why_and_end_the_thread(void *arg)
{
    (void)seam_fail(-EIO, "for %s", (const char *)arg);
    pthread_exit(NULL);
}

ON_BRIDGES_WITH_WORKERS(what_a_lost_call_has_said_arrives)
{
    check_threads_can_be_ended();
    struct door door;
    door_open(&door, kind, 1);
    struct seam_reply reply;
    char why[] = "a reason";
    CHECK_ERR(seam_bridge_call(door.bridge, say_why_and_end_the_thread, why, &reply, SEAM_FOREVER),
            EPIPE);
    CHECK_EQ(strcmp(reply.message, "for a reason"), 0);
    door_close(&door);
}

static int call_in_place(void *arg)
{
    (void)seam_bridge_call(arg, end_the_thread, NULL, NULL, SEAM_FOREVER);
    CHECK(false);
    return 0;
}

/* The caller is lost with what it called, and leaves the bridge all the same. */
ON_BRIDGES_WITH_WORKERS(calls_in_place_are_lost_together)
{
    check_threads_can_be_ended();
    struct door door;
    door_open(&door, kind, 1);
    CHECK_ERR(seam_bridge_call(door.bridge, call_in_place, door.bridge, NULL, SEAM_FOREVER), EPIPE);
    check_serves(door.bridge);
    struct seam_bridge_stats stats;
    seam_bridge_stats_read(door.bridge, &stats);
    CHECK_EQ(stats.by_caller[SEAM_CALLER_TASK].lost, 1);
    CHECK_EQ(stats.by_caller[SEAM_CALLER_THREAD].lost, 1);
    CHECK_EQ(stats.in_flight, 0);
    door_close(&door);
}

static void note_result(void *arg, int result)
{
    *(int *)arg = result;
}

ON_BRIDGES_WITH_WORKERS(a_lost_owned_call_destroys_its_context)
{
    check_threads_can_be_ended();
    struct door door;
    door_open(&door, kind, 1);
    int result = 0;
    CHECK_ERR(seam_bridge_call_owned(
                      door.bridge, end_the_thread, &result, note_result, NULL, SEAM_FOREVER),
            EPIPE);
    CHECK_EQ(result, -EPIPE);
    check_serves(door.bridge);
    door_close(&door);
}

static void note_cleaned(void *arg)
{
    *(bool *)arg = true;
}

static int end_the_thread_cleanly(void *arg)
{
    pthread_cleanup_push(note_cleaned, arg);
    pthread_exit(NULL);
    pthread_cleanup_pop(0);
}

ON_BRIDGES_WITH_WORKERS(the_clean_up_handlers_of_a_lost_call_run)
{
    check_threads_can_be_ended();
    struct door door;
    door_open(&door, kind, 1);
    bool is_cleaned = false;
    CHECK_ERR(
            seam_bridge_call(door.bridge, end_the_thread_cleanly, &is_cleaned, NULL, SEAM_FOREVER),
            EPIPE);
    CHECK(is_cleaned);
    check_serves(door.bridge);
    door_close(&door);
}

static int lock_the_bridge_and_end_the_thread(void *arg)
{
    seam_bridge *bridge = arg;
    sm_lock(&bridge->lock);
    pthread_exit(NULL);
}

static void destroy_nothing(void *arg, int result)
{
    (void)arg;
    CHECK_EQ(result, -EPIPE);
}

static void *call_and_be_lost(void *arg)
{
    CHECK_ERR(seam_bridge_call(arg, lock_the_bridge_and_end_the_thread, arg, NULL, SEAM_FOREVER),
            EPIPE);
    return NULL;
}

static void *call_owned_and_be_lost(void *arg)
{
    CHECK_ERR(seam_bridge_call_owned(arg, lock_the_bridge_and_end_the_thread, arg, destroy_nothing,
                      NULL, SEAM_FOREVER),
            EPIPE);
    return NULL;
}

/* Method: the caller is held up on its way out, by the bridge's lock. Who closes the bridge would
 * now cancel what the call still points to. */
static void check_scope_is_forgotten(seam_bridge *bridge, void *(*call)(void *arg))
{
    pthread_t caller;
    CHECK_EQ(pthread_create(&caller, NULL, call, bridge), 0);
    while (sm_load_acquire(&bridge->lock.word) != 2) {
        (void)sched_yield();
    }
    const struct sm_call *lost = sm_container_of(bridge->calls.next, struct sm_call, link);
    CHECK(lost->scope == NULL);
    sm_unlock(&bridge->lock);
    CHECK_EQ(pthread_join(caller, NULL), 0);
}

ON_BRIDGES_WITH_WORKERS(a_lost_call_on_its_way_out_has_no_scope_that_could_be_cancelled)
{
    check_threads_can_be_ended();
    struct door door;
    door_open(&door, kind, 1);
    check_scope_is_forgotten(door.bridge, call_and_be_lost);
    check_scope_is_forgotten(door.bridge, call_owned_and_be_lost);
    check_serves(door.bridge);
    door_close(&door);
}

/* ---- what the task leaves behind ---- */

struct family {
    struct seam_event born;
    _Atomic(int) ended;
};

static int be_a_child(void *arg)
{
    struct family *family = arg;
    struct seam_event never = SEAM_EVENT_INIT;
    seam_event_set(&family->born);
    CHECK_ERR(seam_event_wait(&never, SEAM_FOREVER), ECANCELED);
    atomic_fetch_add(&family->ended, 1);
    return 0;
}

static int leave_a_family(void *arg)
{
    struct family *family = arg;
    struct seam_scope outer;
    struct seam_scope inner;
    struct seam_shield shield;
    CHECK_OK(seam_scope_begin(&outer, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&outer, be_a_child, family, NULL, NULL));
    seam_shield_begin(&shield);
    CHECK_OK(seam_scope_begin(&inner, NULL, seam_after(3600 * SEAM_SECOND)));
    CHECK_OK(seam_spawn(&inner, be_a_child, family, NULL, NULL));
    CHECK_OK(seam_event_wait(&family->born, SEAM_FOREVER));
    pthread_exit(NULL);
}

ON_WORKERS(the_scopes_of_a_lost_task_are_cancelled_and_waited_for)
{
    check_threads_can_be_ended();
    seam_runtime *runtime = new_runtime(options);
    struct family family = {.born = SEAM_EVENT_INIT};
    int result = 0;
    CHECK_OK(seam_call(runtime, leave_a_family, &family, &result, SEAM_FOREVER));
    CHECK_EQ(result, -EPIPE);
    CHECK_EQ(atomic_load(&family.ended), 2);
    end_runtime(runtime);
}

static int join_the_lost(void *arg)
{
    struct seam_scope scope;
    seam_task *task = NULL;
    int result = 0;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, end_the_thread, arg, NULL, &task));
    CHECK_OK(seam_join(task, &result, SEAM_FOREVER));
    CHECK_OK(seam_scope_end(&scope));
    return result;
}

ON_WORKERS(who_joins_a_lost_task_is_told_and_its_worker_goes_on)
{
    check_threads_can_be_ended();
    seam_runtime *runtime = new_runtime(options);
    int result = 0;
    CHECK_OK(seam_call(runtime, join_the_lost, NULL, &result, SEAM_FOREVER));
    CHECK_EQ(result, -EPIPE);
    struct seam_runtime_stats stats;
    seam_runtime_stats_read(runtime, &stats);
    CHECK_EQ(stats.threads_lost, 1);
    end_runtime(runtime);
}

/* ---- a thread whose role has been taken ---- */

static int block_and_end_the_thread(void *arg)
{
    gate_pass(arg);
    pthread_exit(NULL);
}

static int open_gate(void *arg)
{
    gate_open(arg);
    return 0;
}

static int lose_a_spare(void *arg)
{
    struct gate gate;
    struct seam_scope scope;
    seam_task *task = NULL;
    int result = 0;
    gate_init(&gate);
    CHECK_OK(seam_scope_begin(&scope, arg, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, block_and_end_the_thread, &gate, NULL, &task));
    CHECK_OK(seam_spawn(&scope, open_gate, &gate, NULL, NULL));
    CHECK_OK(seam_join(task, &result, SEAM_FOREVER));
    CHECK_OK(seam_scope_end(&scope));
    gate_fini(&gate);
    return result;
}

/* On one worker the gate opens only after the role was taken from who waits at it. */
ON_WORKERS(a_thread_without_its_role_may_be_ended_too)
{
    check_threads_can_be_ended();
    seam_runtime *runtime = new_runtime(options);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(lose_a_spare(runtime), -EPIPE);
    end_runtime(runtime);
}

/* ---- cancellation ---- */

static int cancel_the_thread(void *arg)
{
    (void)arg;
    CHECK_EQ(pthread_cancel(pthread_self()), 0);
    pthread_testcancel();
    CHECK_OK(seam_sleep(seam_after(SEAM_MICROSECOND)));
    return 7;
}

ON_WORKERS(cancelling_a_workers_thread_does_nothing)
{
    seam_runtime *runtime = new_runtime(options);
    int result = 0;
    CHECK_OK(seam_call(runtime, cancel_the_thread, NULL, &result, SEAM_FOREVER));
    CHECK_EQ(result, 7);
    end_runtime(runtime);
}

static int tell_thread(void *arg)
{
    *(pthread_t *)arg = pthread_self();
    return 0;
}

static int cancel_in_job(void *arg)
{
    return seam_block(NULL, cancel_the_thread, arg, arg, SEAM_FOREVER);
}

/* While it runs a job, and while it waits for one. */
TEST(cancelling_a_pools_thread_does_nothing)
{
    const struct seam_options options = {.workers = 1, .blockers_max = 1};
    seam_runtime *runtime = new_runtime(&options);
    seam_job_class *job_class = seam_runtime_jobs(runtime, SEAM_JOBS_USER);
    int result = 0;
    CHECK_OK(seam_call(runtime, cancel_in_job, &result, NULL, SEAM_FOREVER));
    CHECK_EQ(result, 7);

    pthread_t thread;
    CHECK_OK(seam_block(job_class, tell_thread, &thread, NULL, SEAM_FOREVER));
    CHECK_EQ(pthread_cancel(thread), 0);
    result = 0;
    CHECK_OK(seam_block(job_class, cancel_the_thread, NULL, &result, SEAM_FOREVER));
    CHECK_EQ(result, 7);
    end_runtime(runtime);
}

/* ---- where it cannot be helped ---- */

static int end_a_pools_thread(void *arg)
{
    return seam_block(NULL, end_the_thread, arg, NULL, SEAM_FOREVER);
}

static int end_a_pools_thread_owned(void *arg)
{
    return seam_block_owned(NULL, end_the_thread, arg, destroy_nothing, NULL, SEAM_FOREVER);
}

/* The job is deeper in the runtime when it ends its thread. */
static int end_the_thread_in_a_scope(void *arg)
{
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    return end_the_thread(arg);
}

static int end_a_pools_thread_in_a_scope(void *arg)
{
    return seam_block(NULL, end_the_thread_in_a_scope, arg, NULL, SEAM_FOREVER);
}

/* Does the program end with this message if fn runs in a runtime that the calling thread drives? */
static void check_ends_the_program(seam_fn *fn, const char *message)
{
    int fds[2];
    CHECK_OK(pipe(fds));
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        (void)setrlimit(RLIMIT_CORE, &(struct rlimit){});
        (void)dup2(fds[1], STDERR_FILENO);
        const struct seam_options options = {.current_thread = true};
        (void)seam_run(&options, fn, NULL);
        _exit(EXIT_SUCCESS);
    }
    CHECK_OK(close(fds[1]));
    int status = 0;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGABRT);
    char said[512];
    ssize_t len = read(fds[0], said, sizeof said - 1);
    CHECK(len > 0);
    said[len] = '\0';
    CHECK(strstr(said, message) != NULL);
    CHECK_OK(close(fds[0]));
}

TEST(a_thread_that_drives_must_not_be_ended)
{
    check_threads_can_be_ended();
    check_ends_the_program(end_the_thread, "a thread was ended by a task that it drove");
}

TEST(a_thread_of_a_pool_must_not_be_ended)
{
    check_threads_can_be_ended();
    const char *message = "a thread of a pool was ended by its job";
    check_ends_the_program(end_a_pools_thread, message);
    check_ends_the_program(end_a_pools_thread_owned, message);
    check_ends_the_program(end_a_pools_thread_in_a_scope, message);
}
