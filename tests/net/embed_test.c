/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>

#include "base/atomic.h"
#include "net_kit.h"

static _Atomic(uint32_t) tasks_left;

static int returns; /* of what the loop waits in; its tasks run where it does */

/* The foreign loop: until no task is left; how often poll() returned. */
static int loop(seam_runtime *runtime)
{
    struct pollfd watched = {.fd = (int)CHECK_OK(seam_runtime_fd(runtime)), .events = POLLIN};
    returns = 0;
    while (sm_load_seq_cst(&tasks_left) > 0) {
        CHECK_OK(poll(&watched, 1, -1));
        CHECK_OK(seam_runtime_poll(runtime));
        returns++;
    }
    return returns;
}

static seam_runtime *embedded(void)
{
    seam_runtime *runtime = NULL;
    CHECK_OK(seam_runtime_new(&(struct seam_options){.current_thread = true}, &runtime));
    return runtime;
}

static void stop(seam_runtime *runtime)
{
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    CHECK_ERR(seam_runtime_fd(runtime), ESHUTDOWN);
    CHECK_ERR(seam_runtime_poll(runtime), ESHUTDOWN);
    seam_runtime_free(runtime);
}

static SEAM_SUSPENDS int sleep_in_steps(void *arg)
{
    for (int i = 0; i < *(int *)arg; i++) {
        int before = returns;
        do { /* on a machine that is busy the time may be over before the sleep begins */
            int64_t deadline_ns = seam_after(10 * SEAM_MILLISECOND);
            CHECK_OK(seam_sleep(deadline_ns));
            CHECK(seam_now_ns() >= deadline_ns);
        } while (returns == before);
    }
    (void)sm_sub_acq_rel(&tasks_left, 1);
    return 0;
}

TEST(timers_fire_in_a_foreign_loop_that_is_not_kept_busy)
{
    seam_runtime *runtime = embedded();
    int steps = 5;
    sm_store_seq_cst(&tasks_left, 1);
    CHECK_OK(seam_spawn(seam_runtime_root(runtime), sleep_in_steps, &steps, NULL, NULL));
    CHECK(loop(runtime) >= steps);
    CHECK_EQ(returns > 3 * steps + 3 ? returns : 0, 0);
    stop(runtime);
}

static SEAM_SUSPENDS int echo(void *arg)
{
    int fd = *(int *)arg;
    char buf[64];
    ssize_t got = 0;
    while ((got = seam_read(fd, buf, sizeof buf, in_time())) > 0) {
        CHECK_EQ(seam_write(fd, buf, (size_t)got, in_time()), got);
    }
    (void)sm_sub_acq_rel(&tasks_left, 1);
    return 0;
}

/* Whatever the loop needs it has had since it asked for what to watch; what it cannot have then, it
 * may ask for again. */
TEST(timers_fire_in_a_foreign_loop_when_there_are_no_descriptors_left)
{
    seam_runtime *runtime = embedded();
    int lowest = (int)CHECK_OK(open("/dev/null", O_RDONLY | O_CLOEXEC));
    CHECK_OK(close(lowest));
    struct rlimit before;
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &before));
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &(struct rlimit){(rlim_t)lowest, before.rlim_max}));
    CHECK_ERR(seam_runtime_fd(runtime), EMFILE);
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &before));
    CHECK_OK(seam_runtime_fd(runtime));
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &(struct rlimit){(rlim_t)lowest, before.rlim_max}));

    int steps = 2;
    sm_store_seq_cst(&tasks_left, 1);
    CHECK_OK(seam_spawn(seam_runtime_root(runtime), sleep_in_steps, &steps, NULL, NULL));
    CHECK(loop(runtime) >= steps);

    CHECK_OK(setrlimit(RLIMIT_NOFILE, &before));
    stop(runtime);
}

enum { REQUESTS = 50, CALLERS = 4, CALLS = 50 };

static void *ask(void *arg)
{
    for (int i = 0; i < REQUESTS; i++) {
        char byte = (char)i;
        CHECK_EQ(write(*(int *)arg, &byte, 1), 1);
        CHECK_EQ(read(*(int *)arg, &byte, 1), 1);
        CHECK_EQ(byte, (char)i);
    }
    CHECK_OK(shutdown(*(int *)arg, SHUT_WR));
    return NULL;
}

TEST(sockets_are_served_in_a_foreign_loop)
{
    seam_runtime *runtime = embedded();
    int fds[2];
    pair_of(SOCK_STREAM, fds);
    sm_store_seq_cst(&tasks_left, 1);
    CHECK_OK(seam_spawn(seam_runtime_root(runtime), echo, &fds[0], NULL, NULL));
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, ask, &fds[1]), 0);
    CHECK(loop(runtime) <= 4 * REQUESTS);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    close_both(fds);
    stop(runtime);
}

static SEAM_SUSPENDS int add_one(void *arg)
{
    (*(int *)arg)++;
    return 0;
}

static SEAM_SUSPENDS int count_off(void *arg)
{
    (void)arg;
    (void)sm_sub_acq_rel(&tasks_left, 1);
    return 0;
}

/* Calls, and tasks that nobody waits for: those need the loop to be woken. */
static void *call_in(void *arg)
{
    seam_runtime *runtime = arg;
    int sum = 0;
    for (int i = 0; i < CALLS; i++) {
        CHECK_OK(seam_call(runtime, add_one, &sum, NULL, in_time()));
        CHECK_OK(seam_spawn(seam_runtime_root(runtime), count_off, NULL, NULL, NULL));
    }
    CHECK_EQ(sum, CALLS);
    return NULL;
}

TEST(calls_and_tasks_of_other_threads_wake_a_foreign_loop)
{
    seam_runtime *runtime = embedded();
    sm_store_seq_cst(&tasks_left, CALLERS * CALLS);
    pthread_t threads[CALLERS];
    for (int i = 0; i < CALLERS; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, call_in, runtime), 0);
    }
    struct pollfd watched = {.fd = (int)CHECK_OK(seam_runtime_fd(runtime)), .events = POLLIN};
    while (sm_load_seq_cst(&tasks_left) > 0) {
        CHECK(poll(&watched, 1, 10000) >= 0);
        int r = seam_runtime_poll(runtime);
        CHECK(r == 0 || r == 1 || r == -EBUSY); /* a caller may be driving */
        if (r == -EBUSY) CHECK_OK(seam_yield());
        watched.revents = 0;
    }
    for (int i = 0; i < CALLERS; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
    stop(runtime);
}

static SEAM_SUSPENDS int poll_nested(void *arg)
{
    seam_runtime *runtime = arg;
    int fd = (int)CHECK_OK(seam_runtime_fd(runtime));
    while (sm_load_seq_cst(&tasks_left) > 0) {
        CHECK_OK(seam_await_fd(fd, SEAM_READABLE, in_time()));
        CHECK_OK(seam_runtime_poll(runtime));
        returns++;
    }
    return (int)CHECK_OK(seam_release(fd));
}

TEST(a_task_of_another_runtime_can_be_the_foreign_loop)
{
    for (int i = 0; i < FLAVOURS; i++) {
        seam_runtime *runtime = embedded();
        int steps = 3;
        sm_store_seq_cst(&tasks_left, 1);
        CHECK_OK(seam_spawn(seam_runtime_root(runtime), sleep_in_steps, &steps, NULL, NULL));
        run_in(&flavours[i], poll_nested, runtime);
        stop(runtime);
    }
}
