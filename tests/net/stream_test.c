/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/atomic.h"
#include "net_kit.h"

enum { HOSTS = 4, BIG_BYTES = 4 << 20, PIECE = 100000 };

/* Names of this process's own, since others may run the same test beside it. */
static void *host(int i)
{
    static char hosts[HOSTS][40] = {"127.0.0.1", "::1"};
    (void)snprintf(hosts[2], sizeof hosts[2], "unix:@seam-net-test-%d", getpid());
    (void)snprintf(hosts[3], sizeof hosts[3], "unix:seam-net-test-%d.sock", getpid());
    return hosts[i];
}

/* A byte that tells its place. */
static char stamp(size_t at)
{
    return (char)(at * 2654435761u >> 13);
}

static SEAM_SUSPENDS int write_stamped(void *arg)
{
    char *buf = malloc(PIECE);
    CHECK(buf != NULL);
    for (size_t at = 0; at < BIG_BYTES;) {
        size_t bytes = BIG_BYTES - at < PIECE ? BIG_BYTES - at : PIECE;
        for (size_t i = 0; i < bytes; i++) {
            buf[i] = stamp(at + i);
        }
        CHECK_EQ(seam_write(*(int *)arg, buf, bytes, in_time()), (ssize_t)bytes);
        at += bytes;
    }
    free(buf);
    return (int)CHECK_OK(seam_shutdown(*(int *)arg, SHUT_WR));
}

static SEAM_SUSPENDS int read_stamped(void *arg)
{
    char *buf = malloc(PIECE);
    CHECK(buf != NULL);
    size_t at = 0;
    ssize_t got = 0;
    while ((got = seam_read(*(int *)arg, buf, PIECE, in_time())) > 0) {
        for (ssize_t i = 0; i < got; i++, at++) {
            if (buf[i] != stamp(at)) CHECK_EQ(buf[i], stamp(at));
        }
    }
    CHECK_EQ(got, 0);
    CHECK_EQ((long long)at, BIG_BYTES);
    free(buf);
    return 0;
}

static void *read_stamped_in_thread(void *arg)
{
    (void)read_stamped(arg);
    return NULL;
}

struct connection {
    int listener;
    int client;
    int server;
};

static SEAM_SUSPENDS struct connection open_connection(const char *host)
{
    struct place place;
    struct connection made = {.listener = listen_at(host, &place)};
    made.client = (int)CHECK_OK(connect_to(&place, in_time()));
    made.server = (int)CHECK_OK(seam_accept(made.listener, NULL, NULL, in_time()));
    if (strncmp(host, "unix:s", 6) == 0) CHECK_OK(unlink(host + 5));
    return made;
}

static SEAM_SUSPENDS void close_connection(const struct connection *made)
{
    CHECK_OK(seam_close(made->client));
    CHECK_OK(seam_close(made->server));
    CHECK_OK(seam_close(made->listener));
}

static SEAM_SUSPENDS int transfer_mixed(void *arg)
{
    struct connection made = open_connection(arg);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, read_stamped_in_thread, &made.server), 0);
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, write_stamped, &made.client, NULL, NULL));
    CHECK_OK(seam_scope_end(&scope));
    CHECK_EQ(pthread_join(thread, NULL), 0);

    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, write_stamped, &made.server, NULL, NULL));
    CHECK_OK(seam_block(NULL, read_stamped, &made.client, NULL, in_time()));
    CHECK_OK(seam_scope_end(&scope));
    close_connection(&made);
    return 0;
}

TEST(tasks_threads_and_pool_threads_move_the_same_bytes)
{
    check_time_limit(60);
    for (int i = 0; i < HOSTS; i++) {
        run_in(&flavours[i % FLAVOURS], transfer_mixed, host(i));
    }
    for (int i = 0; i < FLAVOURS; i++) {
        run_in(&flavours[i], transfer_mixed, host(0));
    }
}

static SEAM_SUSPENDS int end_with_data(void *arg)
{
    struct connection made = open_connection(arg);
    char byte = 0;
    CHECK_ERR((int)seam_read(made.server, &byte, 1, soon()), ETIMEDOUT); /* it is watched */
    CHECK_EQ(seam_write(made.client, "abc", 3, in_time()), 3);
    CHECK_OK(seam_shutdown(made.client, SHUT_WR));
    CHECK_OK(seam_sleep(soon())); /* one edge for both */
    char buf[8];
    CHECK_EQ(seam_await_fd(made.server, SEAM_READABLE, in_time()), SEAM_READABLE);
    CHECK_EQ(seam_read(made.server, buf, sizeof buf, in_time()), 3);
    CHECK_EQ(seam_read(made.server, buf, sizeof buf, in_time()), 0);
    CHECK_EQ(seam_read(made.server, buf, sizeof buf, in_time()), 0);
    CHECK_EQ(seam_write(made.server, "half", 4, in_time()), 4); /* the other half is open */
    CHECK_EQ(seam_read(made.client, buf, sizeof buf, in_time()), 4);
    close_connection(&made);
    return 0;
}

TEST(an_end_that_comes_with_the_data_is_seen_after_it)
{
    for (int i = 0; i < HOSTS; i++) {
        run_in_each(end_with_data, host(i));
    }
}

static SEAM_SUSPENDS int lose_nothing(void *arg)
{
    struct connection made = open_connection(arg);
    char buf[8];
    for (int i = 0; i < 20; i++) {
        CHECK_ERR((int)seam_read(made.server, buf, 4, SEAM_NOW), EAGAIN);
        CHECK_ERR((int)seam_read(made.server, buf, 4, seam_now_ns() - 1), ETIMEDOUT);
        CHECK_ERR((int)seam_read(made.server, buf, 4, seam_after(SEAM_MILLISECOND)), ETIMEDOUT);
        CHECK_EQ(seam_write(made.client, "data", 4, SEAM_NOW), 4);
        struct seam_scope scope;
        CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
        CHECK_OK(seam_scope_cancel(&scope));
        CHECK_ERR((int)seam_read(made.server, buf, 4, in_time()), ECANCELED);
        CHECK_ERR((int)seam_write(made.server, buf, 4, in_time()), ECANCELED);
        CHECK_ERR(seam_accept(made.listener, NULL, NULL, in_time()), ECANCELED);
        CHECK_ERR(seam_await_fd(made.server, SEAM_READABLE, in_time()), ECANCELED);
        CHECK_ERR(seam_scope_end(&scope), ECANCELED);
        CHECK_EQ(seam_read(made.server, buf, 4, in_time()), 4); /* exactly what is there */
    }
    CHECK_ERR(seam_accept(made.listener, NULL, NULL, SEAM_NOW), EAGAIN);
    CHECK_ERR(seam_accept(made.listener, NULL, NULL, soon()), ETIMEDOUT);
    close_connection(&made);
    return 0;
}

TEST(deadlines_and_cancellation_lose_no_bytes)
{
    for (int i = 0; i < HOSTS; i++) {
        run_in_each(lose_nothing, host(i));
    }
}

static SEAM_SUSPENDS int reset(void *arg)
{
    struct connection made = open_connection(arg);
    struct reading reading = {.fd = made.server, .bytes = 8, .deadline_ns = in_time()};
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, read_once, &reading, NULL, NULL));
    await_readers(made.server, 1);
    struct linger hard = {.l_onoff = 1};
    CHECK_OK(setsockopt(made.client, SOL_SOCKET, SO_LINGER, &hard, sizeof hard));
    CHECK_OK(seam_close(made.client));
    CHECK_OK(seam_scope_end(&scope));
    CHECK_ERR((int)reading.got, ECONNRESET);
    CHECK_ERR((int)seam_write(made.server, "x", 1, in_time()), EPIPE);
    CHECK_OK(seam_close(made.server));
    return (int)CHECK_OK(seam_close(made.listener));
}

TEST(a_reset_is_an_error_once_and_a_broken_pipe_from_then_on)
{
    CHECK_NOT_SIMULATED("only TCP resets, and when that arrives, the kernel decides");
    run_in_each(reset, host(0));
    run_in_each(reset, host(1));
}

static SEAM_SUSPENDS int close_under_waiters(void *arg)
{
    bool releases = *(int *)arg != 0;
    int fds[2];
    pair_of(SOCK_STREAM, fds);
    struct reading readings[3];
    for (int i = 0; i < 3; i++) {
        readings[i] = (struct reading){.fd = fds[0], .bytes = 1, .deadline_ns = SEAM_FOREVER};
    }
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, read_once, &readings[0], NULL, NULL));
    CHECK_OK(seam_spawn(&scope, read_once, &readings[1], NULL, NULL));
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, read_in_thread, &readings[2]), 0);
    await_readers(fds[0], 3);
    CHECK_OK(releases ? seam_release(fds[0]) : seam_close(fds[0]));
    CHECK_OK(seam_scope_end(&scope));
    CHECK_EQ(pthread_join(thread, NULL), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_ERR((int)readings[i].got, ECANCELED);
    }
    if (releases) {
        CHECK_ERR(seam_release(fds[0]), EBADF);
        CHECK_EQ(write(fds[1], "x", 1), 1);
        char byte = 0;
        CHECK_EQ(seam_read(fds[0], &byte, 1, in_time()), 1); /* adopted again */
        CHECK_OK(seam_close(fds[0]));
    }
    return (int)CHECK_OK(seam_close(fds[1]));
}

TEST(closing_or_releasing_lets_tasks_and_threads_go)
{
    run_in_each(close_under_waiters, &(int){0});
    run_in_each(close_under_waiters, &(int){1});
}

static SEAM_SUSPENDS int be_refused(void *unused)
{
    (void)unused;
    struct place place;
    CHECK_OK(seam_close(listen_at("127.0.0.1", &place)));
    CHECK_ERR(connect_to(&place, in_time()), ECONNREFUSED);
    CHECK_OK(seam_close(listen_at(host(2), &place)));
    CHECK_ERR(connect_to(&place, in_time()), ECONNREFUSED);
    return 0;
}

static SEAM_SUSPENDS int accept_from_others(void *unused)
{
    (void)unused;
    struct connection made = open_connection("127.0.0.1");
    int pair[2];
    int ends[2];
    pair_of(SOCK_DGRAM, pair);
    CHECK_OK(pipe2(ends, O_CLOEXEC));
    int file = (int)CHECK_OK(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    int unbound = (int)CHECK_OK(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const struct {
        int fd;
        int error;
    } others[] = {
            {made.server, -EINVAL},
            {unbound, -EINVAL},
            {pair[0], -EINVAL},
            {ends[0], -ENOTSOCK},
            {file, -ENOTSOCK},
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        CHECK_EQ(seam_accept(others[i].fd, NULL, NULL, in_time()), others[i].error);
        CHECK_EQ(seam_accept(others[i].fd, NULL, NULL, SEAM_NOW), others[i].error);
    }
    CHECK_OK(seam_close(file));
    CHECK_OK(seam_close(unbound));
    close_both(pair);
    close_both(ends);
    close_connection(&made);
    return 0;
}

TEST(what_does_not_listen_accepts_nobody)
{
    run_in_each(accept_from_others, NULL);
    CHECK_OK(accept_from_others(NULL));
    check_leaves_a_runtime(); /* no: the descriptor by which this thread waits */
}

TEST(a_refused_connection_leaves_nothing_open)
{
    run_in_each(be_refused, NULL);
}

enum { CROWD = 1000 };

static SEAM_SUSPENDS int serve(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buf[64];
    ssize_t got = 0;
    while ((got = seam_read(fd, buf, sizeof buf, in_time())) > 0) {
        CHECK_EQ(seam_write(fd, buf, (size_t)got, in_time()), got);
    }
    CHECK_EQ(got, 0);
    return (int)CHECK_OK(seam_close(fd));
}

static SEAM_SUSPENDS int accept_crowd(void *arg)
{
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    for (intptr_t i = 0; i < CROWD; i++) {
        intptr_t fd = (intptr_t)CHECK_OK(seam_accept(*(int *)arg, NULL, NULL, in_time()));
        /* NOLINTNEXTLINE(performance-no-int-to-ptr): a number that needs no memory of its own */
        CHECK_OK(seam_spawn(&scope, serve, (void *)fd, NULL, NULL));
    }
    return (int)CHECK_OK(seam_scope_end(&scope));
}

static SEAM_SUSPENDS int visit(void *arg)
{
    int fd = (int)CHECK_OK(connect_to(arg, in_time()));
    for (int i = 0; i < 3; i++) {
        char buf[6] = "";
        CHECK_EQ(seam_write(fd, "hello", 5, in_time()), 5);
        for (ssize_t at = 0; at < 5;) {
            at += (ssize_t)CHECK_OK(seam_read(fd, buf + at, sizeof buf - (size_t)at, in_time()));
        }
        CHECK(strcmp(buf, "hello") == 0);
    }
    return (int)CHECK_OK(seam_close(fd));
}

static SEAM_SUSPENDS int crowd(void *unused)
{
    (void)unused;
    struct place place;
    int listener = listen_at("127.0.0.1", &place);
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, accept_crowd, &listener, NULL, NULL));
    for (int i = 0; i < CROWD; i++) {
        CHECK_OK(seam_spawn(&scope, visit, &place, NULL, NULL));
    }
    CHECK_OK(seam_scope_end(&scope));
    return (int)CHECK_OK(seam_close(listener));
}

TEST(a_thousand_connections_at_once_are_served)
{
    CHECK_NOT_SIMULATED("so many changes of threads take minutes");
    struct rlimit limit;
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    if (limit.rlim_max < 3 * CROWD) CHECK_SKIP("needs more descriptors");
    limit.rlim_cur = 3 * CROWD;
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    run_in_each(crowd, NULL);
}

static SEAM_SUSPENDS int block_the_worker(void *arg)
{
    char byte = 0;
    CHECK_EQ(read(*(int *)arg, &byte, 1), 1); /* not seam's: the thread itself is stuck */
    return 0;
}

static SEAM_SUSPENDS int go_on_meanwhile(void *unused)
{
    (void)unused;
    int stuck[2];
    int fds[2];
    pair_of(SOCK_STREAM, stuck);
    pair_of(SOCK_STREAM, fds);
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): a number that needs no memory of its own */
    CHECK_OK(seam_spawn(&scope, serve, (void *)(intptr_t)fds[0], NULL, NULL));
    await_readers(fds[0], 1);
    CHECK_OK(seam_spawn(&scope, block_the_worker, &stuck[0], NULL, NULL));
    CHECK_EQ(write(fds[1], "hello", 5), 5); /* ready when the worker is blocked */
    char buf[8];
    for (int i = 0; i < 5; i++) {
        CHECK_EQ(seam_read(fds[1], buf, sizeof buf, in_time()), 5);
        CHECK_EQ(seam_write(fds[1], "hello", 5, in_time()), 5);
    }
    CHECK_EQ(write(stuck[1], "x", 1), 1);
    CHECK_EQ(seam_read(fds[1], buf, sizeof buf, in_time()), 5);
    CHECK_OK(seam_close(fds[1]));
    CHECK_OK(seam_scope_end(&scope));
    close_both(stuck);
    return 0;
}

TEST(connections_go_on_while_a_task_blocks_its_thread)
{
    run_in(&flavours[1], go_on_meanwhile, NULL);
    run_in(&flavours[2], go_on_meanwhile, NULL);
}
