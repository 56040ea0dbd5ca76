/* SPDX-License-Identifier: MIT */
/*
 * session.h - one client, from greeting to goodbye, in straight lines.
 *
 *     greeting -> module line -> [listing | @ERROR] or OK -> arguments -> setup -> transfer -> end
 *     |------------------ handshake: 60 seconds in all -------------------|
 *
 * Whatever a client does ends its own session, with one line in the log.
 */
#pragma once

#include <netinet/in.h>

#include "seam.h"

#include "config.h"
#include "kit/fault.h"
#include "stream.h"

struct daemon;

struct session {
    struct daemon *daemon;
    struct session *next; /* the daemon's list and lock */
    struct session *previous;
    struct seam_scope *handshake;       /* the daemon's lock; NULL when it is over */
    const struct config_module *module; /* NULL until the client may have it */
    int root_fd;                        /* of the module, O_PATH; -1: none */
    int protocol;
    struct stream stream;
    int64_t files_sent;
    struct fault fault; /* why the session ended; "" when all went well */
    char address[INET6_ADDRSTRLEN];
};

/* A session that owns fd; NULL when there is no memory, and fd is still the caller's. */
struct session *session_new(struct daemon *daemon, int fd, const char *address);

/* Closes the connection. NULL is fine. Never suspends. */
void session_free(struct session *session);

/* The task's body; arg is the session, taken. Always 0. Suspends. */
SEAM_SUSPENDS int session_main(void *arg);
