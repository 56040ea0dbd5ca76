/* SPDX-License-Identifier: MIT */
/*
 * Descriptors: sockets, pipes, terminals; from tasks and from threads.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "seam.h"

#include "faults.h"

/* Nothing free to wait or to open with; what read(2), write(2), accept(2), connect(2) and others say. */
#define WAIT_ERRORS    ENOMEM, EMFILE, ENFILE, ENOSPC
#define MOVE_ERRORS    WAIT_ERRORS, EIO, ECONNRESET, ENOBUFS
#define LISTEN_ERRORS  ENOMEM, EMFILE, ENFILE, ENOBUFS, EADDRINUSE
#define CONNECT_ERRORS WAIT_ERRORS, ENOBUFS, ECONNREFUSED, ENETUNREACH

enum { BYTES = 256 * 1024 }; /* more than fits between the two */

struct place {
    struct sockaddr_storage address;
    socklen_t len;
};

/* Whatever the errors, a peer sees the end of the stream, and so comes to its own. */
static SEAM_SUSPENDS long read_all(int fd)
{
    static const size_t piece = 32 * 1024;
    char *buf = malloc(piece);
    CHECK(buf != NULL);
    long total = 0;
    ssize_t n = 0;
    while ((n = (ssize_t)MAY(seam_read(fd, buf, piece, SEAM_FOREVER), MOVE_ERRORS)) > 0) {
        total += n;
    }
    free(buf);
    return n < 0 ? n : total;
}

static SEAM_SUSPENDS long write_all(int fd)
{
    char *buf = calloc(1, BYTES);
    CHECK(buf != NULL);
    long total = 0;
    ssize_t n = 1;
    while (n > 0 && total < BYTES) {
        size_t left = (size_t)(BYTES - total);
        n = (ssize_t)MAY(seam_write(fd, buf, left, SEAM_FOREVER), MOVE_ERRORS, EPIPE);
        if (n > 0) total += n;
    }
    free(buf);
    return n < 0 ? n : total;
}

/* ---- sockets ---- */

struct exchange {
    const char *host;
    int listener;
    struct place place;
};

/* What failed for want of something leaves the connection where it is. The listener goes when the other
 * side has failed. */
static SEAM_SUSPENDS int accept_at_last(int listener)
{
    int fd = -EMFILE;
    while (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM || fd == -ENOBUFS || fd == -ENOSPC) {
        fd = (int)MAY(seam_accept(listener, NULL, NULL, SEAM_FOREVER), WAIT_ERRORS, ENOBUFS,
                ECANCELED, EBADF);
    }
    return fd;
}

/* Takes all, then says how much. */
static SEAM_SUSPENDS int serve(void *arg)
{
    const struct exchange *exchange = arg;
    int fd = accept_at_last(exchange->listener);
    if (fd < 0) return fd;
    long total = read_all(fd);
    long r = total;
    if (total >= 0) {
        r = (long)MAY(seam_write(fd, &total, sizeof total, SEAM_FOREVER), MOVE_ERRORS, EPIPE);
    }
    (void)MAY(seam_close(fd), EIO);
    return r < 0 ? (int)r : 0;
}

static SEAM_SUSPENDS int talk(int fd)
{
    long r = write_all(fd);
    if (r >= 0) r = MAY(seam_shutdown(fd, SHUT_WR), ENOTCONN);
    if (r < 0) return (int)r;
    long total = 0;
    r = MAY(seam_read(fd, &total, sizeof total, SEAM_FOREVER), MOVE_ERRORS);
    if (r == sizeof total) CHECK_EQ(total, BYTES);
    return r < 0 ? (int)r : 0;
}

static SEAM_SUSPENDS int ask(void *arg)
{
    const struct exchange *exchange = arg;
    const struct sockaddr *to = (const struct sockaddr *)&exchange->place.address;
    int fd = (int)MAY(seam_connect(to, exchange->place.len, SEAM_FOREVER), CONNECT_ERRORS);
    if (fd < 0) return fd;
    int r = talk(fd);
    (void)MAY(seam_close(fd), EIO);
    return r;
}

static int open_listener(struct exchange *exchange)
{
    struct place *place = &exchange->place;
    CHECK_OK(seam_address(exchange->host, 0, &place->address, &place->len));
    int fd =
            (int)MAY(seam_listen((struct sockaddr *)&place->address, place->len, 0), LISTEN_ERRORS);
    if (fd < 0 || place->address.ss_family == AF_UNIX) return fd;
    place->len = sizeof place->address;
    CHECK_OK(getsockname(fd, (struct sockaddr *)&place->address, &place->len));
    return fd;
}

static SEAM_SUSPENDS int exchange_in_tasks(void *arg)
{
    struct exchange *exchange = arg;
    exchange->listener = open_listener(exchange);
    if (exchange->listener < 0) return exchange->listener;
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    seam_task *server = NULL;
    int r = (int)MAY(seam_spawn(&scope, serve, exchange, NULL, &server), ENOMEM);
    if (r == 0) r = ask(exchange);
    (void)MAY(seam_close(exchange->listener), EIO);
    int served = 0;
    if (server != NULL) CHECK_OK(seam_join(server, &served, SEAM_FOREVER));
    CHECK_OK(seam_scope_end(&scope));
    return r < 0 ? r : served;
}

static int exchange_at(const char *host, const struct seam_options *options)
{
    struct exchange exchange = {.host = host};
    return (int)MAY(seam_run(options, exchange_in_tasks, &exchange), RUNTIME_ERRORS, MOVE_ERRORS,
            LISTEN_ERRORS, CONNECT_ERRORS, ECANCELED, EBADF, EPIPE, ENOTCONN);
}

static const struct seam_options current_thread = {.current_thread = true};
static const struct seam_options two_workers = {.workers = 2, .quiet_incidents = true};

static int exchange_over_tcp(void)
{
    int r = exchange_at("127.0.0.1", &current_thread);
    return r < 0 ? r : exchange_at("127.0.0.1", &two_workers);
}

TEST(tasks_talk_over_tcp_in_spite_of_each_failure)
{
    each_fault(exchange_over_tcp);
}

static int exchange_over_unix(void)
{
    char host[64];
    (void)snprintf(host, sizeof host, "unix:@seam-faults-%d", (int)getpid());
    return exchange_at(host, &current_thread);
}

TEST(tasks_talk_over_unix_sockets_in_spite_of_each_failure)
{
    each_fault(exchange_over_unix);
}

/* ---- threads, and others' descriptors ---- */

struct end {
    int fd;
    int r;
};

static void *write_in_thread(void *arg)
{
    struct end *end = arg;
    fault_enrol();
    long r = write_all(end->fd);
    end->r = r < 0 ? (int)r : 0;
    (void)MAY(seam_close(end->fd), EIO);
    return NULL;
}

/* fds[1] is written to in a thread, fds[0] read in the caller. */
static int move_between_threads(const int fds[2])
{
    struct end end = {.fd = fds[1]};
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, write_in_thread, &end), 0);
    long r = read_all(fds[0]);
    (void)MAY(seam_close(fds[0]), EIO);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    return r < 0 ? (int)r : end.r;
}

static int move_through_pipe(void)
{
    int fds[2];
    CHECK_OK(pipe2(fds, O_CLOEXEC));
    return move_between_threads(fds);
}

TEST(threads_move_bytes_through_a_pipe_in_spite_of_each_failure)
{
    each_fault(move_through_pipe);
}

static int move_through_socket_pair(void)
{
    int fds[2];
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
    return move_between_threads(fds);
}

TEST(threads_move_bytes_through_a_socket_in_spite_of_each_failure)
{
    each_fault(move_through_socket_pair);
}

static SEAM_SUSPENDS int write_pipe(void *arg)
{
    const int *fds = arg;
    long r = write_all(fds[1]);
    (void)MAY(seam_close(fds[1]), EIO);
    return r < 0 ? (int)r : 0;
}

static SEAM_SUSPENDS int adopt_and_release(int fd)
{
    int r = (int)MAY(seam_adopt(fd), ENOMEM);
    if (r == 0) r = (int)MAY(seam_await_fd(fd, SEAM_READABLE, SEAM_FOREVER), WAIT_ERRORS);
    if (r >= 0) CHECK_OK(seam_release(fd));
    return r;
}

static SEAM_SUSPENDS int move_in_tasks(void *arg)
{
    (void)arg;
    int fds[2];
    CHECK_OK(pipe2(fds, O_CLOEXEC));
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    seam_task *writer = NULL;
    long r = MAY(seam_spawn(&scope, write_pipe, fds, NULL, &writer), ENOMEM);
    if (r < 0) (void)MAY(seam_close(fds[1]), EIO);
    if (r == 0) r = adopt_and_release(fds[0]);
    if (r >= 0) r = read_all(fds[0]);
    (void)MAY(seam_close(fds[0]), EIO);
    int result = 0;
    if (writer != NULL) CHECK_OK(seam_join(writer, &result, SEAM_FOREVER));
    CHECK_OK(seam_scope_end(&scope));
    return r < 0 ? (int)r : result;
}

static int move_in_runtime(void)
{
    return (int)MAY(
            seam_run(&two_workers, move_in_tasks, NULL), RUNTIME_ERRORS, MOVE_ERRORS, EPIPE);
}

TEST(tasks_move_bytes_through_a_pipe_in_spite_of_each_failure)
{
    each_fault(move_in_runtime);
}

/* A listener and a connection that others have opened; what is always ready; what never is. */
static SEAM_SUSPENDS int use_others_descriptors(void *arg)
{
    (void)arg;
    struct sockaddr_storage address;
    socklen_t len = 0;
    char host[64];
    (void)snprintf(host, sizeof host, "unix:@seam-faults-%d", (int)getpid());
    CHECK_OK(seam_address(host, 0, &address, &len));
    int listener = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    CHECK_OK(bind(listener, (struct sockaddr *)&address, len));
    CHECK_OK(listen(listener, 1));
    int client = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    CHECK_OK(connect(client, (struct sockaddr *)&address, len));
    int file = (int)CHECK_OK(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));

    char byte = 0;
    long r = MAY(seam_accept(listener, NULL, NULL, SEAM_FOREVER), WAIT_ERRORS, ENOBUFS);
    if (r >= 0) (void)MAY(seam_close((int)r), EIO);
    if (r >= 0) r = MAY(seam_read(file, &byte, 1, SEAM_FOREVER), MOVE_ERRORS);
    if (r >= 0) r = MAY(seam_await_fd(file, SEAM_READABLE, SEAM_FOREVER), WAIT_ERRORS);
    if (r >= 0) {
        r = seam_accept(listener, NULL, NULL, seam_after(SEAM_MILLISECOND));
        r = r == -ETIMEDOUT ? 0 : MAY(r, WAIT_ERRORS, ENOBUFS);
    }
    (void)MAY(seam_close(file), EIO);
    (void)MAY(seam_close(listener), EIO);
    (void)MAY(seam_close(client), EIO);
    return r < 0 ? (int)r : 0;
}

static int use_others_in_thread_and_task(void)
{
    int r = use_others_descriptors(NULL);
    if (r < 0) return r;
    return (int)MAY(
            seam_run(&current_thread, use_others_descriptors, NULL), RUNTIME_ERRORS, MOVE_ERRORS);
}

TEST(descriptors_from_elsewhere_are_used_in_spite_of_each_failure)
{
    each_fault(use_others_in_thread_and_task);
}

/* ---- terminals ---- */

static int open_terminal(int *out_control)
{
    int control = (int)CHECK_OK(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    CHECK_OK(grantpt(control));
    CHECK_OK(unlockpt(control));
    char name[64];
    CHECK_EQ(ptsname_r(control, name, sizeof name), 0);
    *out_control = control;
    return (int)CHECK_OK(open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
}

static SEAM_SUSPENDS int type_soon(void *arg)
{
    const int *control = arg;
    CHECK_OK(seam_sleep(seam_after(SEAM_MILLISECOND)));
    CHECK_EQ(write(*control, "yes\n", 4), 4);
    return 0;
}

static SEAM_SUSPENDS int use_terminal(void *arg)
{
    (void)arg;
    int control = -1;
    int terminal = open_terminal(&control);
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    long r = MAY(seam_spawn(&scope, type_soon, &control, NULL, NULL), ENOMEM);
    char line[16];
    if (r == 0) r = MAY(seam_write(terminal, "sure? ", 6, SEAM_FOREVER), MOVE_ERRORS);
    if (r > 0) r = MAY(seam_read(terminal, line, sizeof line, SEAM_FOREVER), MOVE_ERRORS);
    CHECK_OK(seam_scope_end(&scope));
    (void)MAY(seam_close(terminal), EIO);
    CHECK_OK(close(control));
    return r < 0 ? (int)r : 0;
}

static int ask_at_terminal(void)
{
    int r = (int)MAY(seam_run(&current_thread, use_terminal, NULL), RUNTIME_ERRORS, MOVE_ERRORS);
    return r < 0
            ? r
            : (int)MAY(seam_run(&two_workers, use_terminal, NULL), RUNTIME_ERRORS, MOVE_ERRORS);
}

TEST(a_terminal_is_asked_in_spite_of_each_failure)
{
    each_fault(ask_at_terminal);
}
