/* SPDX-License-Identifier: MIT */
#include "daemon.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kit/auto.h"
#include "log.h"
#include "session.h"

static const int64_t drain_ns = 30 * SEAM_SECOND;
static const int64_t scarcity_pause_ns = 50 * SEAM_MILLISECOND;
static const int64_t scarcity_report_ns = 10 * SEAM_SECOND;

int daemon_init(struct daemon *daemon)
{
    daemon->listen_fd = -1;
    seam_event_init(&daemon->is_empty);
    daemon->module_live = calloc(daemon->config->modules_count + 1, sizeof *daemon->module_live);
    if (daemon->module_live == NULL) return -ENOMEM;

    return -pthread_mutex_init(&daemon->lock, NULL);
}

void daemon_fini(struct daemon *daemon)
{
    (void)pthread_mutex_destroy(&daemon->lock);
    free(daemon->module_live);
    free(daemon->motd);
}

void daemon_enter(struct daemon *daemon, struct session *session)
{
    (void)pthread_mutex_lock(&daemon->lock);
    session->previous = NULL;
    session->next = daemon->sessions;
    if (session->next != NULL) session->next->previous = session;
    daemon->sessions = session;
    daemon->sessions_total++;
    daemon->sessions_live++;
    if (daemon->sessions_live > daemon->sessions_peak) {
        daemon->sessions_peak = daemon->sessions_live;
    }
    (void)pthread_mutex_unlock(&daemon->lock);
}

void daemon_leave(struct daemon *daemon, struct session *session)
{
    (void)pthread_mutex_lock(&daemon->lock);
    if (session->next != NULL) session->next->previous = session->previous;
    if (session->previous != NULL) {
        session->previous->next = session->next;
    } else {
        daemon->sessions = session->next;
    }
    daemon->sessions_live--;
    daemon->read_bytes += (uint64_t)session->stream.read_bytes;
    daemon->written_bytes += (uint64_t)session->stream.written_bytes;
    bool is_last = daemon->is_stopping && daemon->sessions_live == 0;
    (void)pthread_mutex_unlock(&daemon->lock);

    if (is_last) seam_event_set(&daemon->is_empty);
}

void daemon_set_handshake(
        struct daemon *daemon, struct session *session, struct seam_scope *handshake)
{
    (void)pthread_mutex_lock(&daemon->lock);
    session->handshake = handshake;
    if (handshake != NULL && daemon->is_stopping) (void)seam_scope_cancel(handshake);
    (void)pthread_mutex_unlock(&daemon->lock);
}

int daemon_claim(struct daemon *daemon, const struct config_module *module)
{
    uint32_t *live = &daemon->module_live[module - daemon->config->modules];
    (void)pthread_mutex_lock(&daemon->lock);
    bool is_full = module->connections_max < 0
            || (module->connections_max > 0 && *live >= (uint32_t)module->connections_max);
    if (!is_full) (*live)++;
    (void)pthread_mutex_unlock(&daemon->lock);
    return is_full ? -EBUSY : 0;
}

void daemon_unclaim(struct daemon *daemon, const struct config_module *module)
{
    (void)pthread_mutex_lock(&daemon->lock);
    daemon->module_live[module - daemon->config->modules]--;
    (void)pthread_mutex_unlock(&daemon->lock);
}

/* No new sessions; those that have not said what they want end at once. */
static void begin_stop(struct daemon *daemon)
{
    (void)seam_scope_cancel(daemon->accepting);
    (void)pthread_mutex_lock(&daemon->lock);
    daemon->is_stopping = true;
    for (struct session *session = daemon->sessions; session != NULL; session = session->next) {
        if (session->handshake != NULL) (void)seam_scope_cancel(session->handshake);
    }
    bool is_empty = daemon->sessions_live == 0;
    (void)pthread_mutex_unlock(&daemon->lock);

    if (is_empty) seam_event_set(&daemon->is_empty);
}

static SEAM_SUSPENDS int watch_signals(void *arg)
{
    struct daemon *daemon = arg;
    bool is_first = true;
    for (;;) {
        int r = seam_await_fd(daemon->signal_fd, SEAM_READABLE, SEAM_FOREVER);
        if (r == -ECANCELED) return 0;
        /* For want of something to wait with. A daemon that hears no signals could not be stopped. */
        if (r < 0) {
            if (seam_sleep(seam_after(scarcity_pause_ns)) < 0) return 0;
            continue;
        }
        struct signalfd_siginfo info;
        ssize_t n = read(daemon->signal_fd, &info, sizeof info); /* does not block: SFD_NONBLOCK */
        if (n != sizeof info) continue;

        if (is_first) {
            begin_stop(daemon);
        } else {
            (void)seam_scope_cancel(daemon->serving);
        }
        is_first = false;
    }
}

/* Numeric text of a peer's address; IPv4 in IPv6 clothes is IPv4. */
static void describe_peer(const struct sockaddr_storage *peer, char *out_text, size_t size)
{
    (void)snprintf(out_text, size, "unknown");
    if (peer->ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, peer, sizeof in);
        (void)inet_ntop(AF_INET, &in.sin_addr, out_text, (socklen_t)size);
    } else if (peer->ss_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, peer, sizeof in6);
        if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
            (void)inet_ntop(AF_INET, &in6.sin6_addr.s6_addr[12], out_text, (socklen_t)size);
        } else {
            (void)inet_ntop(AF_INET6, &in6.sin6_addr, out_text, (socklen_t)size);
        }
    }
}

static void begin_session(struct daemon *daemon, int fd, const struct sockaddr_storage *peer)
{
    int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);

    char address[INET6_ADDRSTRLEN];
    describe_peer(peer, address, sizeof address);
    struct session *session = session_new(daemon, fd, address);
    if (session == NULL) {
        (void)seam_close(fd);
        log_line("%s: no memory for a session", address);
        return;
    }

    static const struct seam_task_options options = {.name = "session"};
    daemon_enter(daemon, session);
    int r = seam_spawn(daemon->serving, session_main, session, &options, NULL);
    if (r < 0) {
        log_line("%s: cannot start a session: %s", address, strerrordesc_np(-r));
        daemon_leave(daemon, session);
        session_free(session);
    }
}

/* Will there never be another connection? Else it was about one of them, or something is short. */
static bool is_broken(int error)
{
    return error == -EBADF || error == -ENOTSOCK || error == -EINVAL || error == -EOWNERDEAD;
}

/* Returns when the accepting scope is cancelled, or when the listener is broken. */
static SEAM_SUSPENDS int accept_clients(struct daemon *daemon)
{
    int64_t report_ns = 0;
    for (;;) {
        struct sockaddr_storage peer = {};
        socklen_t len = sizeof peer;
        int fd = seam_accept(daemon->listen_fd, (struct sockaddr *)&peer, &len, SEAM_FOREVER);
        if (fd >= 0) {
            begin_session(daemon, fd, &peer);
            continue;
        }
        if (fd == -ECANCELED) return 0;
        if (is_broken(fd)) return fd;

        /* The connection may stay in the backlog, and the listener readable: without a pause
         * this loop would spin until a session ends. */
        if (seam_now_ns() >= report_ns) {
            log_line("cannot accept connections for now: %s", strerrordesc_np(-fd));
            report_ns = seam_after(scarcity_report_ns);
        }
        if (seam_sleep(seam_after(scarcity_pause_ns)) < 0) return 0;
    }
}

static int listen_at(const struct daemon *daemon, const char *address)
{
    struct sockaddr_storage where;
    socklen_t len = 0;
    int r = seam_address(address, daemon->port, &where, &len);
    if (r < 0) return r;
    return seam_listen((struct sockaddr *)&where, len, daemon->config->listen_backlog);
}

static int open_listener(struct daemon *daemon)
{
    const char *address = daemon->address;
    int fd = -1;
    if (address == NULL) {
        address = "::"; /* IPv4 too, unless the system says otherwise */
        fd = listen_at(daemon, address);
    }
    if (fd < 0) {
        if (daemon->address == NULL) address = "0.0.0.0";
        fd = listen_at(daemon, address);
    }
    if (fd < 0) {
        log_line("cannot listen on %s port %d: %s", address, daemon->port, strerrordesc_np(-fd));
        return fd;
    }

    struct sockaddr_storage bound = {};
    socklen_t len = sizeof bound;
    if (getsockname(fd, (struct sockaddr *)&bound, &len) < 0) return sm_neg_errno();
    struct sockaddr_in6 in6;
    struct sockaddr_in in;
    memcpy(&in6, &bound, sizeof in6);
    memcpy(&in, &bound, sizeof in);
    in_port_t port = bound.ss_family == AF_INET6 ? in6.sin6_port : in.sin_port;
    daemon->listen_fd = fd;
    printf("seam-rsyncd: listening on %s port %d\n", address, ntohs(port));
    (void)fflush(stdout);
    return 0;
}

/* Accept until told to stop, then let the transfers finish for a while. */
static SEAM_SUSPENDS int serve(struct daemon *daemon)
{
    struct seam_scope watching;
    int r = seam_scope_begin(&watching, NULL, SEAM_FOREVER);
    if (r < 0) return r;

    struct seam_scope accepting;
    r = seam_scope_begin(&accepting, NULL, SEAM_FOREVER);
    if (r == 0) {
        daemon->accepting = &accepting;
        r = seam_spawn(&watching, watch_signals, daemon, NULL, NULL);
        if (r == 0) r = accept_clients(daemon);
        (void)seam_close(daemon->listen_fd); /* first: the port is free while the old ones finish */
        (void)seam_scope_end(&accepting);
    }
    if (r < 0) begin_stop(daemon);

    int drained = seam_event_wait(&daemon->is_empty, seam_after(drain_ns));
    if (drained < 0) (void)seam_scope_cancel(daemon->serving);
    (void)seam_scope_cancel(&watching);
    (void)seam_scope_end(&watching);
    return r;
}

SEAM_SUSPENDS int daemon_main(void *arg)
{
    struct daemon *daemon = arg;
    int r = open_listener(daemon);
    if (r < 0) return r;

    struct seam_scope serving;
    r = seam_scope_begin(&serving, NULL, SEAM_FOREVER);
    if (r < 0) return r;

    daemon->serving = &serving;
    r = serve(daemon);
    (void)seam_scope_end(&serving);

    log_line("%llu sessions, peak %u at once, %llu bytes in, %llu bytes out",
            (unsigned long long)daemon->sessions_total, daemon->sessions_peak,
            (unsigned long long)daemon->read_bytes, (unsigned long long)daemon->written_bytes);
    return r;
}
