/* SPDX-License-Identifier: MIT */
/*
 * echo.c - a server that sends back what it gets: one task per client, straight-line code in each.
 *
 *     example_echo [PORT]      prints the port it listens on; any free one by default
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "seam.h"

enum { BUF_BYTES = 4096 };

/* One client, from hello to goodbye. A quiet one is let go after a minute. */
static SEAM_SUSPENDS int serve_client(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buf[BUF_BYTES];
    ssize_t got = 0;
    while ((got = seam_read(fd, buf, sizeof buf, seam_after(60 * SEAM_SECOND))) > 0) {
        if (seam_write(fd, buf, (size_t)got, seam_after(60 * SEAM_SECOND)) < got) break;
    }
    return seam_close(fd);
}

static SEAM_SUSPENDS int accept_clients(int listen_fd, struct seam_scope *clients)
{
    for (;;) {
        int fd = seam_accept(listen_fd, NULL, NULL, SEAM_FOREVER);
        if (fd == -EMFILE || fd == -ENFILE) { /* somebody will leave; they wait in the backlog */
            fd = seam_sleep(seam_after(10 * SEAM_MILLISECOND));
            if (fd == 0) continue;
        }
        if (fd < 0) return fd;

        /* NOLINTNEXTLINE(performance-no-int-to-ptr): a number that needs no memory of its own */
        int r = seam_spawn(clients, serve_client, (void *)(intptr_t)fd, NULL, NULL);
        if (r < 0) (void)seam_close(fd); /* no room for one more; the others stay */
    }
}

static SEAM_SUSPENDS int serve(void *arg)
{
    struct sockaddr_storage address;
    socklen_t len = 0;
    int r = seam_address("127.0.0.1", *(int *)arg, &address, &len);
    if (r < 0) return r;

    int listen_fd = seam_listen((struct sockaddr *)&address, len, 0);
    if (listen_fd < 0) return listen_fd;

    if (getsockname(listen_fd, (struct sockaddr *)&address, &len) == 0) {
        printf("%d\n", ntohs(((struct sockaddr_in *)&address)->sin_port));
        (void)fflush(stdout);
    }

    struct seam_scope clients;
    r = seam_scope_begin(&clients, NULL, SEAM_FOREVER);
    if (r == 0) {
        r = accept_clients(listen_fd, &clients);
        (void)seam_scope_cancel(&clients);
        (void)seam_scope_end(&clients); /* waits for the last of them */
    }
    (void)seam_close(listen_fd);
    return r;
}

int main(int argc, char **argv)
{
    int port = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 0;
    int r = seam_run(NULL, serve, &port);
    (void)fprintf(stderr, "echo: %s\n", strerror(-r));
    return EXIT_FAILURE;
}
