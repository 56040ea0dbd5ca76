/* SPDX-License-Identifier: MIT */
/*
 * What libc and the system promise, kept by the simulation. Each of these runs inside of it.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "seam.h"
#include "seam/sim.h"

#include "check/check.h"

static int64_t clock_ns(clockid_t clock)
{
    struct timespec time;
    CHECK_EQ(clock_gettime(clock, &time), 0);
    return (int64_t)time.tv_sec * SEAM_SECOND + time.tv_nsec;
}

static pthread_t start(void *(*fn)(void *), void *arg)
{
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, fn, arg), 0);
    return thread;
}

static void *join(pthread_t thread)
{
    void *result = NULL;
    CHECK_EQ(pthread_join(thread, &result), 0);
    return result;
}

/* ---- time ---- */

TEST(a_year_of_sleep_takes_no_time_and_is_not_early)
{
    int64_t begun_ns = clock_ns(CLOCK_MONOTONIC);
    for (int day = 0; day < 2; day++) {
        CHECK_EQ(nanosleep(&(struct timespec){.tv_sec = 10000}, NULL), 0);
    }
    CHECK(clock_ns(CLOCK_MONOTONIC) >= begun_ns + 20000 * SEAM_SECOND);
}

TEST(a_thread_uses_the_cpu_only_while_it_runs)
{
    int64_t begun_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    CHECK_EQ(usleep(1000000), 0);
    CHECK(clock_ns(CLOCK_THREAD_CPUTIME_ID) < begun_ns + SEAM_MILLISECOND);
    int64_t end_ns = clock_ns(CLOCK_MONOTONIC) + SEAM_MILLISECOND;
    while (clock_ns(CLOCK_MONOTONIC) < end_ns) {
    }
    CHECK(clock_ns(CLOCK_THREAD_CPUTIME_ID) > begun_ns);
}

/* ---- locks ---- */

struct shared {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    sem_t semaphore;
    pthread_rwlock_t rwlock;
    int count;
    int turn;
};

#define SHARED_INIT \
    { \
        .mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER, \
        .rwlock = PTHREAD_RWLOCK_INITIALIZER \
    }

static void *count_under_mutex(void *arg)
{
    struct shared *shared = arg;
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(pthread_mutex_lock(&shared->mutex), 0);
        int count = shared->count;
        (void)sched_yield();
        shared->count = count + 1;
        CHECK_EQ(pthread_mutex_unlock(&shared->mutex), 0);
    }
    return NULL;
}

TEST(a_mutex_keeps_others_out)
{
    struct shared shared = SHARED_INIT;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        threads[i] = start(count_under_mutex, &shared);
    }
    for (int i = 0; i < 4; i++) {
        (void)join(threads[i]);
    }
    CHECK_EQ(shared.count, 80);
}

static void *count_under_rwlock(void *arg)
{
    struct shared *shared = arg;
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(pthread_rwlock_wrlock(&shared->rwlock), 0);
        int count = shared->count;
        (void)sched_yield();
        shared->count = count + 1;
        CHECK_EQ(pthread_rwlock_unlock(&shared->rwlock), 0);
        CHECK_EQ(pthread_rwlock_rdlock(&shared->rwlock), 0);
        CHECK(shared->count > count);
        CHECK_EQ(pthread_rwlock_unlock(&shared->rwlock), 0);
    }
    return NULL;
}

TEST(a_read_write_lock_keeps_writers_apart)
{
    struct shared shared = SHARED_INIT;
    pthread_t one = start(count_under_rwlock, &shared);
    pthread_t two = start(count_under_rwlock, &shared);
    (void)join(one);
    (void)join(two);
    CHECK_EQ(shared.count, 40);
}

static void *take_turns(void *arg)
{
    struct shared *shared = arg;
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(pthread_mutex_lock(&shared->mutex), 0);
        while (shared->turn != 1) {
            CHECK_EQ(pthread_cond_wait(&shared->cond, &shared->mutex), 0);
        }
        shared->turn = 0;
        CHECK_EQ(pthread_cond_signal(&shared->cond), 0);
        CHECK_EQ(pthread_mutex_unlock(&shared->mutex), 0);
    }
    return NULL;
}

TEST(a_condition_wakes_who_waits_for_it)
{
    struct shared shared = SHARED_INIT;
    pthread_t thread = start(take_turns, &shared);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(pthread_mutex_lock(&shared.mutex), 0);
        while (shared.turn != 0) {
            CHECK_EQ(pthread_cond_wait(&shared.cond, &shared.mutex), 0);
        }
        shared.turn = 1;
        CHECK_EQ(pthread_cond_broadcast(&shared.cond), 0);
        CHECK_EQ(pthread_mutex_unlock(&shared.mutex), 0);
    }
    (void)join(thread);
}

TEST(a_condition_that_nobody_signals_times_out)
{
    struct shared shared = SHARED_INIT;
    struct timespec until;
    CHECK_EQ(clock_gettime(CLOCK_REALTIME, &until), 0);
    until.tv_sec += 5;
    int64_t begun_ns = clock_ns(CLOCK_MONOTONIC);
    CHECK_EQ(pthread_mutex_lock(&shared.mutex), 0);
    int r = 0;
    while (r == 0) { /* it may wake up for no reason */
        r = pthread_cond_timedwait(&shared.cond, &shared.mutex, &until);
    }
    CHECK_EQ(r, ETIMEDOUT);
    CHECK(clock_ns(CLOCK_MONOTONIC) >= begun_ns + 4 * SEAM_SECOND);
    CHECK_EQ(pthread_mutex_unlock(&shared.mutex), 0);
}

static void *post_twice(void *arg)
{
    struct shared *shared = arg;
    CHECK_EQ(sem_post(&shared->semaphore), 0);
    CHECK_EQ(sem_post(&shared->semaphore), 0);
    return shared;
}

TEST(a_semaphore_is_waited_for)
{
    struct shared shared = SHARED_INIT;
    CHECK_EQ(sem_init(&shared.semaphore, 0, 0), 0);
    pthread_t thread = start(post_twice, &shared);
    CHECK_EQ(sem_wait(&shared.semaphore), 0);
    CHECK_EQ(sem_wait(&shared.semaphore), 0);
    CHECK(join(thread) == &shared);
}

/* ---- atomic operations ---- */

/* A lock of each operation that one can be made of; who waits for it calls nothing else. */
struct spinlock {
    atomic_int word;
    atomic_flag flag;
    int count;
};

static void lock_by_exchange(struct spinlock *lock)
{
    int expected = 0;
    while (!atomic_compare_exchange_weak(&lock->word, &expected, 1)) {
        expected = 0;
    }
}

static void lock_by_strong_exchange(struct spinlock *lock)
{
    int expected = 0;
    while (!atomic_compare_exchange_strong_explicit(
            &lock->word, &expected, 1, memory_order_acquire, memory_order_relaxed)) {
        expected = 0;
    }
}

static void lock_by_bit(struct spinlock *lock)
{
    while ((atomic_fetch_or(&lock->word, 1) & 1) != 0) {
    }
}

static void unlock_word(struct spinlock *lock)
{
    atomic_fetch_and(&lock->word, ~1);
}

static void lock_by_flag(struct spinlock *lock)
{
    while (atomic_flag_test_and_set(&lock->flag)) {
    }
}

static void unlock_flag(struct spinlock *lock)
{
    atomic_flag_clear(&lock->flag);
}

struct spinning {
    void (*lock)(struct spinlock *lock);
    void (*unlock)(struct spinlock *lock);
    struct spinlock spinlock;
};

static void *count_under_spinlock(void *arg)
{
    struct spinning *spinning = arg;
    for (int i = 0; i < 10; i++) {
        spinning->lock(&spinning->spinlock);
        int count = spinning->spinlock.count;
        (void)sched_yield();
        spinning->spinlock.count = count + 1;
        spinning->unlock(&spinning->spinlock);
    }
    return NULL;
}

TEST(who_spins_for_a_lock_lets_its_holder_go_on)
{
    struct spinning locks[] = {
            {.lock = lock_by_exchange, .unlock = unlock_word},
            {.lock = lock_by_strong_exchange, .unlock = unlock_word},
            {.lock = lock_by_bit, .unlock = unlock_word},
            {.lock = lock_by_flag, .unlock = unlock_flag},
    };
    for (size_t i = 0; i < sizeof locks / sizeof locks[0]; i++) {
        pthread_t one = start(count_under_spinlock, &locks[i]);
        pthread_t two = start(count_under_spinlock, &locks[i]);
        (void)join(one);
        (void)join(two);
        CHECK_EQ(locks[i].spinlock.count, 20);
    }
}

struct pair {
    int left;
    int right;
};

TEST(whatever_may_be_atomic_may_be_here)
{
    static _Atomic double number;
    atomic_store(&number, 1.5);
    CHECK(atomic_exchange(&number, 2.5) == 1.5);
    CHECK(atomic_load_explicit(&number, memory_order_acquire) == 2.5);
    static _Atomic struct pair pair;
    atomic_store(&pair, ((struct pair){1, 2}));
    struct pair now = atomic_load(&pair);
    CHECK_EQ(now.left + now.right, 3);
    CHECK(atomic_compare_exchange_strong(&pair, &now, ((struct pair){3, 4})));
    now = atomic_load(&pair);
    CHECK_EQ(now.left + now.right, 7);
}

/* ---- threads ---- */

static int once_count;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void count_once(void)
{
    (void)sched_yield();
    once_count++;
}

static void *call_once_more(void *unused)
{
    CHECK_EQ(pthread_once(&once, count_once), 0);
    CHECK_EQ(once_count, 1);
    return unused;
}

TEST(what_is_to_be_done_once_is_done_before_anybody_goes_on)
{
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        threads[i] = start(call_once_more, NULL);
    }
    for (int i = 0; i < 3; i++) {
        (void)join(threads[i]);
    }
}

static pthread_key_t key;
static atomic_int destroyed;

static void destroy(void *arg)
{
    (void)sched_yield();
    if (atomic_fetch_add(&destroyed, 1) == 0) CHECK_EQ(pthread_setspecific(key, arg), 0);
}

static void *leave_in_the_middle(void *arg)
{
    CHECK_EQ(pthread_setspecific(key, arg), 0);
    pthread_exit(arg);
}

TEST(a_thread_that_exits_runs_its_destructors_before_it_is_joined)
{
    CHECK_EQ(pthread_key_create(&key, destroy), 0);
    pthread_t thread = start(leave_in_the_middle, &key);
    CHECK(join(thread) == &key);
    CHECK_EQ(atomic_load(&destroyed), 2);
    CHECK_EQ(pthread_key_delete(key), 0);
}

static void *count_and_go(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
    return NULL;
}

TEST(a_detached_thread_comes_to_its_end)
{
    static atomic_int count;
    CHECK_EQ(pthread_detach(start(count_and_go, &count)), 0);
    pthread_attr_t attr;
    pthread_t thread;
    CHECK_EQ(pthread_attr_init(&attr), 0);
    CHECK_EQ(pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED), 0);
    CHECK_EQ(pthread_create(&thread, &attr, count_and_go, &count), 0);
    CHECK_EQ(pthread_attr_destroy(&attr), 0);
    while (atomic_load(&count) != 2) {
    }
}

TEST(a_child_is_not_simulated)
{
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t thread;
        static atomic_int count;
        bool is_fine = pthread_create(&thread, NULL, count_and_go, &count) == 0
                && pthread_join(thread, NULL) == 0;
        _exit(is_fine && atomic_load(&count) == 1 ? 0 : 1);
    }
    int status = 0;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

/* ---- signals ---- */

static atomic_int signals;

static void count_signal(int signo)
{
    (void)signo;
    atomic_fetch_add(&signals, 1);
}

static void *sleep_until_interrupted(void *unused)
{
    struct timespec left = {};
    while (nanosleep(&(struct timespec){.tv_sec = 1000}, &left) == 0) {
    }
    CHECK_EQ(errno, EINTR);
    return unused;
}

TEST(a_signal_to_a_thread_interrupts_its_sleep)
{
    struct sigaction action = {.sa_handler = count_signal};
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    pthread_t thread = start(sleep_until_interrupted, NULL);
    (void)nanosleep(&(struct timespec){.tv_sec = 1}, NULL); /* it sleeps by then */
    CHECK_EQ(pthread_kill(thread, SIGUSR1), 0);
    (void)join(thread);
    CHECK_EQ(atomic_load(&signals), 1);
}

/* ---- descriptors ---- */

struct ends {
    int fds[2];
};

enum { MANY_BYTES = 300000 };

static void *write_much(void *arg)
{
    const struct ends *ends = arg;
    static char bytes[MANY_BYTES];
    size_t done = 0;
    while (done < sizeof bytes) {
        ssize_t r = write(ends->fds[1], bytes + done, sizeof bytes - done);
        CHECK(r > 0);
        done += (size_t)r;
    }
    CHECK_EQ(close(ends->fds[1]), 0);
    return NULL;
}

static void read_it_all(const struct ends *ends)
{
    static char bytes[10000];
    size_t got = 0;
    ssize_t r = 0;
    while ((r = read(ends->fds[0], bytes, sizeof bytes)) > 0) {
        got += (size_t)r;
    }
    CHECK_EQ(r, 0);
    CHECK_EQ(got, MANY_BYTES);
    CHECK_EQ(close(ends->fds[0]), 0);
}

TEST(a_pipe_is_waited_for_at_both_ends)
{
    struct ends ends;
    CHECK_OK(pipe2(ends.fds, O_CLOEXEC));
    pthread_t thread = start(write_much, &ends);
    read_it_all(&ends);
    (void)join(thread);
}

TEST(a_socket_is_waited_for_at_both_ends)
{
    struct ends ends;
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.fds));
    pthread_t thread = start(write_much, &ends);
    read_it_all(&ends);
    (void)join(thread);
}

TEST(a_poll_for_what_does_not_come_times_out)
{
    struct ends ends;
    CHECK_OK(pipe2(ends.fds, O_CLOEXEC));
    int64_t begun_ns = clock_ns(CLOCK_MONOTONIC);
    struct pollfd wanted = {.fd = ends.fds[0], .events = POLLIN};
    CHECK_EQ(poll(&wanted, 1, 5000), 0);
    CHECK(clock_ns(CLOCK_MONOTONIC) >= begun_ns + 5 * SEAM_SECOND);
    CHECK_OK(close(ends.fds[0]));
    CHECK_OK(close(ends.fds[1]));
}

/* ---- tasks ---- */

static SEAM_SUSPENDS int write_much_in_task(void *arg)
{
    const struct ends *ends = arg;
    static const char bytes[MANY_BYTES];
    CHECK_EQ(seam_write(ends->fds[1], bytes, sizeof bytes, SEAM_FOREVER), MANY_BYTES);
    CHECK_OK(seam_close(ends->fds[1]));
    return 0;
}

static SEAM_SUSPENDS int read_it_all_in_task(void *arg)
{
    const struct ends *ends = arg;
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, write_much_in_task, arg, NULL, NULL));
    static char bytes[10000];
    ssize_t got = 0;
    ssize_t r = 0;
    while ((r = seam_read(ends->fds[0], bytes, sizeof bytes, SEAM_FOREVER)) > 0) {
        got += r;
    }
    CHECK_EQ(r, 0);
    CHECK_EQ(got, MANY_BYTES);
    CHECK_OK(seam_close(ends->fds[0]));
    return seam_scope_end(&scope);
}

TEST(tasks_wait_for_a_pipe_at_both_ends)
{
    struct ends ends;
    CHECK_OK(pipe2(ends.fds, O_CLOEXEC));
    CHECK_OK(seam_run(&(struct seam_options){.workers = 2}, read_it_all_in_task, &ends));
}

static int sleep_in_task(void *arg)
{
    (void)arg;
    return seam_sleep(seam_after(3600 * SEAM_SECOND));
}

TEST(a_task_sleeps_for_an_hour_in_no_time)
{
    seam_runtime *runtime = NULL;
    struct seam_options options = {.workers = 2};
    CHECK_OK(seam_runtime_new(&options, &runtime));
    int64_t begun_ns = seam_now_ns();
    int result = -1;
    CHECK_OK(seam_call(runtime, sleep_in_task, NULL, &result, SEAM_FOREVER));
    CHECK_EQ(result, 0);
    CHECK(seam_now_ns() >= begun_ns + 3600 * SEAM_SECOND);
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_runtime_free(runtime);
}
