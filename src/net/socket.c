/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "seam/net.h"
#include "seam/time.h"

#include "base/auto.h"
#include "io/fd.h"
#include "task/scope.h"
#include "task/task.h"
#include "task/wait.h"

static bool is_tcp(const struct sockaddr *address)
{
    return address->sa_family == AF_INET || address->sa_family == AF_INET6;
}

static int listen_there(const struct sockaddr *address, socklen_t len, int backlog)
{
    /* Our own description: its mode is nobody else's business, and accept4() has no MSG_DONTWAIT. */
    sm_auto_close int fd =
            socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return sm_neg_errno();

    int on = 1;
    if (is_tcp(address) && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0) {
        return sm_neg_errno();
    }
    if (bind(fd, address, len) < 0) return sm_neg_errno();
    if (listen(fd, backlog > 0 ? backlog : INT32_MAX) < 0) return sm_neg_errno();

    int r = sm_fd_adopt_new(fd, SM_FD_LISTENER);
    return r < 0 ? r : sm_take_fd(fd);
}

int seam_listen(const struct sockaddr *address, socklen_t len, int backlog)
{
    if (sm_enter() == NULL) return -EOWNERDEAD;
    int fd = listen_there(address, len, backlog);
    sm_leave();
    return fd;
}

/* Small writes are sent at once, if it is TCP: what it is. */
static enum sm_fd_kind set_nodelay(int fd)
{
    int on = 1;
    int r = setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return r == 0 ? SM_FD_SOCKET : SM_FD_MESSAGES;
}

/* -EAGAIN if nobody is there. */
static int try_accept(int fd, struct sockaddr *out_address, socklen_t *inout_len)
{
    for (;;) {
        int client = accept4(fd, out_address, inout_len, SOCK_CLOEXEC);
        if (client >= 0) return client;
        switch (errno) {
        case EINTR:
        case ECONNABORTED:
        case EPROTO: break; /* that one gave up; the next may not have */
        default: return sm_neg_errno();
        }
    }
}

/* Where nobody ever connects nothing would end the wait. */
static int check_listens(const struct sm_fd_use *use)
{
    /* relaxed: a kind that changes under a call in progress is the caller's race. */
    if (sm_load_relaxed(&use->entry->kind) == SM_FD_LISTENER) return 0;

    int listens = 0;
    socklen_t len = sizeof listens;
    if (getsockopt(use->fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0) return sm_neg_errno();
    return listens != 0 ? 0 : -EINVAL;
}

/* A listener that was opened elsewhere may be in blocking mode: ask first. If another process then
 * is faster to accept, we block until the next connection; who shares listeners makes them
 * nonblocking. */
static int ask_and_accept(
        const struct sm_fd_use *use, struct sockaddr *out_address, socklen_t *inout_len)
{
    sm_lock(&use->entry->trying);
    struct pollfd waiting = {.fd = use->fd, .events = POLLIN};
    int client = 0;
    do {
        client = poll(&waiting, 1, 0) < 0 ? sm_neg_errno() : 0;
    } while (client == -EINTR);
    if (client == 0 && waiting.revents == 0) client = -EAGAIN;
    if (client == 0) client = try_accept(use->fd, out_address, inout_len);
    sm_unlock(&use->entry->trying);
    return client;
}

/* Accept if somebody may be there, or the caller insists on trying; -EAGAIN if nobody is. */
static int accept_if_ready(const struct sm_fd_use *use, struct sockaddr *out_address,
        socklen_t *inout_len, bool insists)
{
    unsigned taken = sm_fd_take_ready(use->entry, SM_FD_READABLE);
    if (taken == 0 && !insists) return -EAGAIN;

    /* relaxed: a kind that changes under a call in progress is the caller's race. */
    bool is_ours = sm_load_relaxed(&use->entry->kind) == SM_FD_LISTENER;
    int client = is_ours ? try_accept(use->fd, out_address, inout_len)
                         : ask_and_accept(use, out_address, inout_len);
    /* There may be more, or the one we could not take is still there. */
    if (client != -EAGAIN) sm_fd_put_ready(use->entry, taken | SM_FD_READABLE);
    return client;
}

static int accept_one(
        int fd, struct sockaddr *out_address, socklen_t *inout_len, int64_t deadline_ns)
{
    struct sm_fd_use use;
    int r = sm_fd_get(fd, &use);
    if (r == 0) r = check_listens(&use);
    socklen_t room = inout_len != NULL ? *inout_len : 0;
    while (r == 0) {
        if (sm_party_is_cancelled(sm_thread_party(sm_thread_self()))) return -ECANCELED;
        if (inout_len != NULL) *inout_len = room;
        int client = accept_if_ready(&use, out_address, inout_len, deadline_ns <= SEAM_NOW);
        if (client != -EAGAIN) return client;
        r = sm_wait_refused(deadline_ns);
        if (r == 0) r = sm_fd_wait(&use, SM_FD_READABLE, deadline_ns);
    }
    return r;
}

int seam_accept(int fd, struct sockaddr *out_address, socklen_t *inout_len, int64_t deadline_ns)
{
    if (sm_enter() == NULL) return -EOWNERDEAD;
    int client = accept_one(fd, out_address, inout_len, deadline_ns);
    if (client >= 0) {
        enum sm_fd_kind kind = set_nodelay(client);
        /* Without memory for the table it is adopted later, by its first use: the connection has left
         * the backlog and must not be lost. */
        (void)sm_fd_adopt_new(client, kind);
    }
    sm_leave();
    return client;
}

/* Wait for the handshake that connect() has begun. */
static int finish_connecting(
        int fd, const struct sockaddr *address, socklen_t len, int64_t deadline_ns)
{
    struct sm_fd_use use;
    int r = sm_fd_get(fd, &use);
    while (r == 0) {
        (void)sm_fd_take_ready(use.entry, SM_FD_WRITABLE); /* not yet */
        r = sm_wait_refused(deadline_ns);
        if (r == 0) r = sm_fd_wait(&use, SM_FD_WRITABLE, deadline_ns);
        if (r < 0) return r;

        /* Asked again, it says how it went; a wait may end for a signal's sake. */
        if (connect(fd, address, len) == 0 || errno == EISCONN) return 0;
        if (errno != EALREADY && errno != EINPROGRESS) return sm_neg_errno();
    }
    return r;
}

static int connect_one(const struct sockaddr *address, socklen_t len, int64_t deadline_ns)
{
    if (sm_party_is_cancelled(sm_thread_party(sm_thread_self()))) return -ECANCELED;
    sm_auto_close int fd =
            socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return sm_neg_errno();

    int r = sm_fd_adopt_new(fd, is_tcp(address) ? SM_FD_SOCKET : SM_FD_MESSAGES);
    if (r == 0 && connect(fd, address, len) < 0) {
        r = errno == EINPROGRESS ? finish_connecting(fd, address, len, deadline_ns)
                                 : sm_neg_errno();
    }
    if (r < 0) {
        (void)sm_fd_forget(fd);
        return r;
    }
    if (is_tcp(address)) (void)set_nodelay(fd);
    return sm_take_fd(fd);
}

int seam_connect(const struct sockaddr *address, socklen_t len, int64_t deadline_ns)
{
    if (sm_enter() == NULL) return -EOWNERDEAD;
    int r = connect_one(address, len, deadline_ns);
    sm_leave();
    return r;
}

int seam_shutdown(int fd, int how)
{
    return shutdown(fd, how) < 0 ? sm_neg_errno() : 0;
}

int seam_close(int fd)
{
    if (sm_os_is_forked_child()) return close(fd) < 0 ? sm_neg_errno() : 0;
    (void)sm_enter();
    /* Forgotten first: from the close on, the number may belong to somebody else. */
    (void)sm_fd_forget(fd);
    int r = close(fd) < 0 ? sm_neg_errno() : 0;
    if (r == -EINTR) r = 0; /* on Linux it is closed all the same */
    sm_fd_closed(fd);
    sm_leave();
    return r;
}

int seam_adopt(int fd)
{
    if (sm_enter() == NULL) return -EOWNERDEAD;
    struct sm_fd_use use;
    int r = sm_fd_get(fd, &use);
    sm_leave();
    return r;
}

int seam_release(int fd)
{
    if (sm_enter() == NULL) return -EOWNERDEAD;
    int r = sm_fd_forget(fd);
    sm_leave();
    return r;
}
