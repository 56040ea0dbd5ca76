/* SPDX-License-Identifier: MIT */
/*
 * daemon.h - the listener, the sessions, and how both end.
 *
 *     SIGTERM --signalfd--> watch_signals() --cancel--> accept loop ends, port is free
 *                                |                      sessions in their greeting end at once
 *                                |                      transfers have DRAIN_NS to finish
 *                                +--second signal-----> transfers are cut
 *
 * Invariants
 *   1. A session is on the list from its accept until its task is about to end.
 *   2. `lock` is a leaf: nobody waits or takes another lock while holding it.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "seam.h"

#include "config.h"

struct session;

struct daemon {
    /* Set before daemon_main(), not changed afterwards. */
    const struct config *config;
    const char *address; /* numeric; NULL: every address */
    int port;            /* 0: the system chooses */
    int signal_fd;       /* delivers SIGTERM and SIGINT */
    char *motd;          /* heap; NULL: none */

    int listen_fd;
    struct seam_scope *accepting; /* cancelled by the first signal */
    struct seam_scope *serving;   /* by the second */
    struct seam_event is_empty;   /* set when the last session has left after a signal */

    pthread_mutex_t lock; /* for all that follows */
    bool is_stopping;
    struct session *sessions;
    uint32_t sessions_live;
    uint32_t sessions_peak;
    uint64_t sessions_total;
    uint64_t read_bytes; /* of sessions that have ended */
    uint64_t written_bytes;
    uint32_t *module_live; /* heap; sessions in each module of config */
};

/* 0 or -ENOMEM. The fields above the blank line are the caller's to set. */
int daemon_init(struct daemon *daemon);
void daemon_fini(struct daemon *daemon);

/* The first task: listen, serve until told to stop, see the sessions out. arg is the daemon. */
SEAM_SUSPENDS int daemon_main(void *arg);

/* A session begins or ends. Never suspends. */
void daemon_enter(struct daemon *daemon, struct session *session);
void daemon_leave(struct daemon *daemon, struct session *session);

/* The scope to cancel if the daemon stops before the session has its arguments; NULL: it has. */
void daemon_set_handshake(
        struct daemon *daemon, struct session *session, struct seam_scope *handshake);

/* Take one of a module's connections: 0, or -EBUSY when all are taken. Never suspends. */
int daemon_claim(struct daemon *daemon, const struct config_module *module);
void daemon_unclaim(struct daemon *daemon, const struct config_module *module);
