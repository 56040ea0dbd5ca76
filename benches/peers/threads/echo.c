/* SPDX-License-Identifier: MIT */
/*
 * threads/echo.c - how does thread-per-connection with blocking calls echo?
 *
 * One detached thread with a 64 KiB stack per connection: recv, send, again. Prints "port N"
 * and serves until it is killed. What differs from the peers: THREADS is only repeated in the
 * output; "one worker" here means that the whole process is pinned to one CPU by who starts it.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/bench.h"

enum { STACK_BYTES = 64 * 1024, MESSAGE_MAX = 1024 };

static void *echo(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buf[MESSAGE_MAX];
    ssize_t r;

    while ((r = recv(fd, buf, sizeof(buf), 0)) > 0) {
        if (send(fd, buf, (size_t)r, MSG_NOSIGNAL) != r) break;
    }
    (void)close(fd);
    return NULL;
}

static void measure_echo(const struct bench_run *run)
{
    pthread_attr_t attr;
    uint16_t port;
    int listen_fd = bench_listen(&port);

    (void)run;
    (void)fcntl(listen_fd, F_SETFL, 0);
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    (void)printf("port %u\n", port);
    (void)fflush(stdout);
    for (;;) {
        pthread_t thread;
        int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0) continue;
        bench_need(
                pthread_create(&thread, &attr, echo, (void *)(intptr_t)fd) == 0, "pthread_create");
    }
}

int main(int argc, char **argv)
{
    static const struct bench_case cases[] = {{"echo", measure_echo}, {NULL, NULL}};

    return bench_main(argc, argv, "threads", cases);
}
