/* SPDX-License-Identifier: MIT */
/*
 * seam/echo.c - what does a task per connection cost over raw epoll?
 *
 * seam_accept(), then a task per connection that reads and writes in a straight line. Prints
 * "port N" and serves until it is killed. Backlog 4096; NODELAY is seam's default.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

#include "run.h"

enum { MESSAGE_MAX = 1024, BACKLOG = 4096 };

static int echo(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buf[MESSAGE_MAX];
    ssize_t r;

    while ((r = seam_read(fd, buf, sizeof(buf), SEAM_FOREVER)) > 0) {
        if (seam_write(fd, buf, (size_t)r, SEAM_FOREVER) != r) break;
    }
    return seam_close(fd);
}

static int listen_anywhere(void)
{
    struct sockaddr_in address = {
            .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = 0};
    socklen_t len = sizeof(address);
    int fd = seam_listen((const struct sockaddr *)&address, len, BACKLOG);

    bench_need(fd >= 0, "seam_listen");
    bench_need(getsockname(fd, (struct sockaddr *)&address, &len) == 0, "getsockname");
    (void)printf("port %u\n", ntohs(address.sin_port));
    (void)fflush(stdout);
    return fd;
}

static int serve(void *arg)
{
    int listen_fd = listen_anywhere();
    struct seam_scope scope;

    (void)arg;
    bench_need(seam_scope_begin(&scope, NULL, SEAM_FOREVER) == 0, "seam_scope_begin");
    for (;;) {
        int fd = seam_accept(listen_fd, NULL, NULL, SEAM_FOREVER);

        if (fd < 0) break;
        bench_need(seam_spawn(&scope, echo, (void *)(intptr_t)fd, NULL, NULL) == 0, "seam_spawn");
    }
    (void)seam_close(listen_fd);
    return seam_scope_end(&scope);
}

static void measure_echo(const struct bench_run *run)
{
    run_in_seam(run, serve);
}

int main(int argc, char **argv)
{
    static const struct bench_case cases[] = {{"echo", measure_echo}, {NULL, NULL}};

    return bench_main(argc, argv, "seam", cases);
}
