/* SPDX-License-Identifier: MIT */
/*
 * contexts/things.h - what the calls are made on, ready so that none of them has to wait.
 */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

#include "seam.h"

struct things {
    seam_runtime *runtime; /* what the calls are about */
    seam_runtime *spare;   /* has been stopped; to be freed */
    seam_runtime *made;    /* by the call; or NULL */
    seam_bridge *bridge;   /* a view of runtime */
    seam_bridge *closed;   /* likewise, closed; the call may reopen or free it */
    bool in_task;
    bool has_scope;
    bool has_shield;
    struct seam_scope scope;
    struct seam_shield shield;
    struct seam_event event;         /* set */
    struct seam_mutex mutex;         /* free */
    struct seam_semaphore semaphore; /* one unit */
    seam_chan *chan;                 /* one value of two */
    seam_task *task;                 /* has ended */
    int pair[2];                     /* connected, a byte to read in either */
    int listen_fd;                   /* one connection in the backlog, room for more */
    int client_fd;                   /* that connection */
    struct sockaddr_storage address;
    socklen_t len;
    int got; /* what the call returned */
};

/* On a plain thread; runtime may be the default one. */
void things_init(struct things *things, seam_runtime *runtime);
void things_fini(struct things *things);

/* How runtimes are built in this run of the table. */
extern const struct seam_options flavour;

/* One call, in three steps: before the circumstances change, the call, and clean-up after it. */
struct exercise {
    const char *name;
    void (*enter)(struct things *things); /* may be NULL */
    int (*call)(struct things *things);
    void (*leave)(struct things *things); /* may be NULL */
};

/* NULL if there is none of that name. */
const struct exercise *find_exercise(const char *name);
