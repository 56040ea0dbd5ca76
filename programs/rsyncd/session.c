/* SPDX-License-Identifier: MIT */
#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon.h"
#include "hello.h"
#include "log.h"
#include "sender.h"
#include "transfer.h"

static const int64_t handshake_ns = 60 * SEAM_SECOND;

struct session *session_new(struct daemon *daemon, int fd, const char *address)
{
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL) return NULL;

    session->daemon = daemon;
    session->root_fd = -1;
    stream_init(&session->stream, fd);
    (void)snprintf(session->address, sizeof session->address, "%s", address);
    return session;
}

void session_free(struct session *session)
{
    if (session == NULL) return;
    if (session->root_fd >= 0) (void)close(session->root_fd);
    stream_fini(&session->stream);
    free(session);
}

/* Everything up to the transfer, within the deadline. HELLO_SERVED when there will be none. */
static SEAM_SUSPENDS int shake_hands(struct session *session, struct transfer **out_transfer)
{
    struct seam_scope scope;
    int r = seam_scope_begin(&scope, NULL, seam_after(handshake_ns));
    if (r < 0) return r;

    daemon_set_handshake(session->daemon, session, &scope);
    r = hello_run(session);
    if (r == HELLO_WANTS_MODULE) r = transfer_new(session, out_transfer);
    daemon_set_handshake(session->daemon, session, NULL);
    int ended = seam_scope_end(&scope);

    if (r == -ECANCELED && ended == -ETIMEDOUT) {
        return fault_set(&session->fault, -ETIMEDOUT, "said too little within the first minute");
    }
    if (r == -ECANCELED) return fault_set(&session->fault, r, "the daemon stops");
    return r;
}

static const char *describe_end(int r)
{
    switch (-r) {
    case EPIPE: return "the client left early";
    case ECONNRESET: return "the client reset the connection";
    case ECONNABORTED: return "the client gave up";
    case ECANCELED: return "the daemon stops";
    case EMSGSIZE: return "the client sent too much at once";
    default: return strerrordesc_np(-r);
    }
}

static void log_end(const struct session *session, int r)
{
    const struct stream *stream = &session->stream;
    const char *module = session->module == NULL ? "-" : session->module->name;
    const char *words = session->fault.text;
    if (*words == '\0') words = r < 0 ? describe_end(r) : "done";
    log_line("%s %s: %s; %lld files, %lld bytes in, %lld bytes out, %lld ms", session->address,
            module, words, (long long)session->files_sent, (long long)stream->read_bytes,
            (long long)stream->written_bytes,
            (long long)((seam_now_ns() - stream->opened_ns) / SEAM_MILLISECOND));
}

SEAM_SUSPENDS int session_main(void *arg)
{
    struct session *session = arg;
    struct transfer *transfer = NULL;
    int r = shake_hands(session, &transfer);
    if (r == 0 && transfer != NULL) {
        r = transfer_begin(transfer);
        if (r == 0) r = sender_run(transfer);
        transfer_end(transfer, r);
    }
    transfer_free(transfer);

    log_end(session, r);
    if (session->module != NULL) daemon_unclaim(session->daemon, session->module);
    daemon_leave(session->daemon, session);
    session_free(session);
    return 0;
}
