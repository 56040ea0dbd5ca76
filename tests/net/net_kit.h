/* SPDX-License-Identifier: MIT */
/*
 * net_kit.h - what the tests of io/ and net/ have in common.
 */
#pragma once

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "seam.h"

#include "check/check.h"
#include "io/fd.h"

/* Longer than anything takes that goes right. */
static inline int64_t in_time(void)
{
    return seam_after(10 * SEAM_SECOND);
}

static inline int64_t soon(void)
{
    return seam_after(20 * SEAM_MILLISECOND);
}

/* Until so many wait for something to read from fd. */
static inline SEAM_SUSPENDS void await_readers(int fd, int count)
{
    struct sm_fd_use use;
    CHECK_OK(sm_fd_get(fd, &use));
    for (int waiting = -1; waiting < count;) {
        if (waiting >= 0) CHECK_OK(seam_sleep(seam_after(SEAM_MILLISECOND)));
        waiting = 0;
        sm_lock(&use.entry->lock);
        struct sm_list *readers = &use.entry->readers;
        for (struct sm_list *link = readers->next; link != NULL && link != readers;
                link = link->next) {
            waiting++;
        }
        sm_unlock(&use.entry->lock);
    }
}

static const struct seam_options flavours[] = {
        {.current_thread = true},
        {.workers = 1},
        {.workers = 2},
        {.workers = 8},
};
enum { FLAVOURS = sizeof flavours / sizeof flavours[0] };

static inline void run_in(const struct seam_options *options, seam_fn *fn, void *arg)
{
    CHECK_OK(seam_run(options, fn, arg));
}

static inline void run_in_each(seam_fn *fn, void *arg)
{
    for (int i = 0; i < FLAVOURS; i++) {
        run_in(&flavours[i], fn, arg);
    }
}

/* A listener at host, any port; where it listens. */
struct place {
    struct sockaddr_storage address;
    socklen_t len;
};

/* When what TCP carries has arrived, the kernel decides: simulated, it is another family's. */
static inline const char *simulated_host(const char *host)
{
#ifdef SM_SIM
    static char name[40];
    static int count;
    if (strncmp(host, "unix:", 5) == 0) return host;
    (void)snprintf(name, sizeof name, "unix:@seam-net-%d-%d", getpid(), count++);
    return name;
#else
    return host;
#endif
}

static inline int listen_at(const char *host, struct place *place)
{
    host = simulated_host(host);
    CHECK_OK(seam_address(host, 0, &place->address, &place->len));
    int fd = (int)CHECK_OK(seam_listen((struct sockaddr *)&place->address, place->len, 0));
    if (place->address.ss_family == AF_UNIX) return fd;
    place->len = sizeof place->address;
    CHECK_OK(getsockname(fd, (struct sockaddr *)&place->address, &place->len));
    return fd;
}

static inline int connect_to(const struct place *place, int64_t deadline_ns)
{
    return seam_connect((const struct sockaddr *)&place->address, place->len, deadline_ns);
}

static inline void pair_of(int type, int fds[2])
{
    CHECK_OK(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds));
}

static inline void close_both(const int fds[2])
{
    CHECK_OK(seam_close(fds[0]));
    CHECK_OK(seam_close(fds[1]));
}

/* One call in a task or thread of its own. */
struct reading {
    int fd;
    size_t bytes;
    int64_t deadline_ns;
    ssize_t got;
    char buf[64];
};

static inline SEAM_SUSPENDS int read_once(void *arg)
{
    struct reading *reading = arg;
    reading->got = seam_read(reading->fd, reading->buf, reading->bytes, reading->deadline_ns);
    return 0;
}

static inline void *read_in_thread(void *arg)
{
    (void)read_once(arg);
    return NULL;
}
