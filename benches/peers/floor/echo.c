/* SPDX-License-Identifier: MIT */
/*
 * floor/echo.c - what does the kernel alone allow a TCP echo server?
 *
 * Level-triggered epoll, one loop per thread, recv then send, no task and no state per
 * connection. The first thread accepts and deals connections out in turn. Prints "port N" and
 * serves until it is killed, or its time is up. What differs from the peers: a full socket
 * buffer would be an error here; with 64-byte messages and one outstanding it cannot happen.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/bench.h"

enum { WORKERS_MAX = 64, EVENTS = 256, MESSAGE_MAX = 1024 };

static int epoll_fds[WORKERS_MAX];
static int workers;
static int listen_fd;

static void watch(int epoll_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};

    bench_need(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
}

static void accept_all(void)
{
    static int next;
    int fd;

    while ((fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        watch(epoll_fds[next++ % workers], fd);
}

static void echo(int fd)
{
    char buf[MESSAGE_MAX];
    ssize_t r = recv(fd, buf, sizeof(buf), 0);

    if (r < 0 && errno == EAGAIN) return;
    if (r <= 0 || send(fd, buf, (size_t)r, MSG_NOSIGNAL) != r) (void)close(fd);
}

static void *serve(void *arg)
{
    int epoll_fd = *(const int *)arg;
    struct epoll_event events[EVENTS];

    while (workers > 0) {
        int count = epoll_wait(epoll_fd, events, EVENTS, -1);

        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listen_fd)
                accept_all();
            else
                echo(events[i].data.fd);
        }
    }
    return NULL;
}

static void measure_echo(const struct bench_run *run)
{
    uint16_t port;

    workers = run->threads < WORKERS_MAX ? run->threads : WORKERS_MAX;
    listen_fd = bench_listen(&port);
    for (int i = 0; i < workers; i++) {
        epoll_fds[i] = epoll_create1(EPOLL_CLOEXEC);
        bench_need(epoll_fds[i] >= 0, "epoll_create1");
    }
    watch(epoll_fds[0], listen_fd);
    for (int i = 1; i < workers; i++) {
        pthread_t thread;

        bench_need(pthread_create(&thread, NULL, serve, &epoll_fds[i]) == 0, "pthread_create");
    }
    (void)printf("port %u\n", port);
    (void)fflush(stdout);
    (void)serve(&epoll_fds[0]);
}

int main(int argc, char **argv)
{
    static const struct bench_case cases[] = {{"echo", measure_echo}, {NULL, NULL}};

    return bench_main(argc, argv, "floor", cases);
}
