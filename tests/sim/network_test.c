/* SPDX-License-Identifier: MIT */
/*
 * What is under way: with a latency, and without. Nothing of what the kernel promises may be lost by it.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "seam.h"

#include "check/check.h"

/* ---- two ends ---- */

struct ends {
    int fds[2];
};

static struct ends open_unix(void)
{
    struct ends ends;
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.fds));
    return ends;
}

static struct ends open_tcp(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int listener = (int)CHECK_OK(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    CHECK_OK(bind(listener, (struct sockaddr *)&address, len));
    CHECK_OK(listen(listener, 1));
    CHECK_OK(getsockname(listener, (struct sockaddr *)&address, &len));
    struct ends ends;
    ends.fds[0] = (int)CHECK_OK(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    CHECK_OK(connect(ends.fds[0], (struct sockaddr *)&address, len));
    ends.fds[1] = (int)CHECK_OK(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
    CHECK_OK(close(listener));
    return ends;
}

static void close_both(const struct ends *ends)
{
    CHECK_OK(close(ends->fds[0]));
    CHECK_OK(close(ends->fds[1]));
}

static void with_both_kinds(void (*fn)(const struct ends *ends))
{
    struct ends ends = open_unix();
    fn(&ends);
    ends = open_tcp();
    fn(&ends);
}

static pthread_t start(void *(*fn)(void *), const void *arg)
{
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, fn, (void *)(uintptr_t)arg), 0);
    return thread;
}

/* ---- bytes ---- */

/* Few: of more small packets that nobody has read yet, TCP keeps some back for as long as it likes. */
enum { MESSAGES = 8 };

static void *send_numbers(void *arg)
{
    const struct ends *ends = arg;
    for (unsigned char i = 0; i < MESSAGES; i++) {
        const unsigned char message[3] = {i, i, i};
        CHECK_EQ(write(ends->fds[1], message, sizeof message), sizeof message);
    }
    CHECK_OK(close(ends->fds[1]));
    return NULL;
}

static void read_numbers(const struct ends *ends)
{
    pthread_t thread = start(send_numbers, ends);
    unsigned char byte = 0;
    for (int i = 0; i < MESSAGES * 3; i++) {
        CHECK_EQ(read(ends->fds[0], &byte, 1), 1);
        CHECK_EQ(byte, i / 3);
    }
    CHECK_EQ(read(ends->fds[0], &byte, 1), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_OK(close(ends->fds[0]));
}

TEST(messages_keep_their_order_and_the_end_comes_after_them)
{
    with_both_kinds(read_numbers);
}

static void shut_down_and_listen(const struct ends *ends)
{
    CHECK_EQ(send(ends->fds[1], "last words", 10, 0), 10);
    CHECK_OK(shutdown(ends->fds[1], SHUT_WR));
    CHECK_EQ(send(ends->fds[1], "no", 2, MSG_NOSIGNAL), -1);
    CHECK_EQ(errno, EPIPE);
    char words[11] = "";
    CHECK_EQ(recv(ends->fds[0], words, 10, MSG_WAITALL), 10);
    CHECK_EQ(strcmp(words, "last words"), 0);
    CHECK_EQ(recv(ends->fds[0], words, 1, 0), 0);
    CHECK_EQ(send(ends->fds[0], "yes", 3, 0), 3);
    CHECK_EQ(recv(ends->fds[1], words, 3, MSG_WAITALL), 3);
    close_both(ends);
}

TEST(who_has_shut_down_its_half_sends_no_more_and_still_hears)
{
    with_both_kinds(shut_down_and_listen);
}

TEST(who_writes_after_its_shutdown_is_sent_a_signal)
{
    sigset_t broken_pipe;
    CHECK_OK(sigemptyset(&broken_pipe));
    CHECK_OK(sigaddset(&broken_pipe, SIGPIPE));
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &broken_pipe, NULL), 0);
    struct ends ends = open_unix();
    CHECK_OK(shutdown(ends.fds[1], SHUT_WR));
    CHECK_EQ(write(ends.fds[1], "no", 2), -1);
    CHECK_EQ(errno, EPIPE);
    sigset_t pending;
    CHECK_OK(sigpending(&pending));
    CHECK_EQ(sigismember(&pending, SIGPIPE), 1);
    close_both(&ends);
}

static void write_until_broken(const struct ends *ends)
{
    CHECK_OK(close(ends->fds[0]));
    ssize_t r = 0;
    do {
        r = send(ends->fds[1], "hello", 5, MSG_NOSIGNAL);
        CHECK_EQ(poll(NULL, 0, 1), 0); /* give it time */
    } while (r == 5);
    CHECK_EQ(r, -1);
    CHECK(errno == EPIPE || errno == ECONNRESET);
    CHECK_OK(close(ends->fds[1]));
}

TEST(who_writes_to_nobody_hears_of_it)
{
    with_both_kinds(write_until_broken);
}

/* ---- readiness ---- */

static void look_and_wait(const struct ends *ends)
{
    char byte = 0;
    struct pollfd wanted = {.fd = ends->fds[0], .events = POLLIN};
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(send(ends->fds[1], "x", 1, 0), 1);
        if (recv(ends->fds[0], &byte, 1, MSG_DONTWAIT) == 1) continue;
        CHECK_EQ(errno, EAGAIN);
        CHECK_EQ(poll(&wanted, 1, 10000), 1);
        CHECK_EQ(recv(ends->fds[0], &byte, 1, MSG_DONTWAIT), 1);
        CHECK_EQ(poll(&wanted, 1, 0), 0);
    }
    close_both(ends);
}

TEST(who_waits_for_a_byte_finds_it_when_it_is_told)
{
    with_both_kinds(look_and_wait);
}

static int watch(int fd, uint32_t events)
{
    int epoll_fd = (int)CHECK_OK(epoll_create1(EPOLL_CLOEXEC));
    struct epoll_event event = {.events = events, .data.fd = fd};
    CHECK_OK(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event));
    return epoll_fd;
}

/* Reads until there is no more, then waits for the edge. */
static void read_by_edges(const struct ends *ends)
{
    CHECK_OK(fcntl(ends->fds[0], F_SETFL, O_NONBLOCK));
    int epoll_fd = watch(ends->fds[0], EPOLLIN | EPOLLRDHUP | EPOLLET);
    pthread_t thread = start(send_numbers, ends);
    char bytes[16];
    ssize_t total = 0;
    ssize_t r = -1;
    while (r != 0) {
        struct epoll_event event;
        CHECK_EQ(epoll_wait(epoll_fd, &event, 1, 60000), 1);
        while ((r = read(ends->fds[0], bytes, sizeof bytes)) > 0) {
            total += r;
        }
    }
    CHECK_EQ(total, MESSAGES * 3);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_OK(close(ends->fds[0]));
    CHECK_OK(close(epoll_fd));
}

TEST(each_arrival_is_an_edge)
{
    with_both_kinds(read_by_edges);
}

enum { MUCH = 2 * 1024 * 1024 };

static void *write_by_edges(void *arg)
{
    const struct ends *ends = arg;
    static char bytes[50000];
    CHECK_OK(fcntl(ends->fds[1], F_SETFL, O_NONBLOCK));
    int epoll_fd = watch(ends->fds[1], EPOLLOUT | EPOLLET);
    for (size_t done = 0; done < MUCH;) {
        size_t left = MUCH - done;
        ssize_t r = write(ends->fds[1], bytes, left < sizeof bytes ? left : sizeof bytes);
        if (r > 0) done += (size_t)r;
        if (r > 0) continue;
        CHECK_EQ(errno, EAGAIN);
        struct epoll_event event;
        CHECK_EQ(epoll_wait(epoll_fd, &event, 1, 60000), 1);
    }
    CHECK_OK(close(ends->fds[1]));
    CHECK_OK(close(epoll_fd));
    return NULL;
}

TEST(who_writes_more_than_there_is_room_for_waits_for_who_reads)
{
    struct ends ends = open_unix(); /* of so much over TCP, the kernel decides too much */
    pthread_t thread = start(write_by_edges, &ends);
    CHECK_EQ(poll(NULL, 0, 10), 0);
    static char bytes[30000];
    size_t total = 0;
    ssize_t r = 0;
    while ((r = read(ends.fds[0], bytes, sizeof bytes)) > 0) {
        total += (size_t)r;
    }
    CHECK_EQ(r, 0);
    CHECK_EQ(total, MUCH);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_OK(close(ends.fds[0]));
}

TEST(a_closed_descriptor_is_watched_no_more_although_its_bytes_are_under_way)
{
    struct ends ends = open_unix();
    int epoll_fd = watch(ends.fds[1], EPOLLIN | EPOLLRDHUP);
    CHECK_EQ(send(ends.fds[1], "x", 1, 0), 1);
    CHECK_OK(close(ends.fds[1]));
    (void)send(ends.fds[0], "x", 1, MSG_NOSIGNAL); /* there may still be somebody, or not */
    struct epoll_event event;
    CHECK_EQ(epoll_wait(epoll_fd, &event, 1, 100), 0);
    CHECK_OK(close(ends.fds[0]));
    CHECK_OK(close(epoll_fd));
}

/* ---- descriptors among the bytes ---- */

union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

static void pass_descriptor(int to, int fd)
{
    union control control = {.header = {.cmsg_len = CMSG_LEN(sizeof fd),
                                     .cmsg_level = SOL_SOCKET,
                                     .cmsg_type = SCM_RIGHTS}};
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    char byte = 'd';
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &part,
            .msg_iovlen = 1,
            .msg_control = &control,
            .msg_controllen = sizeof control};
    CHECK_EQ(sendmsg(to, &message, 0), 1);
}

static int take_descriptor(int from)
{
    union control control;
    char byte = 0;
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &part,
            .msg_iovlen = 1,
            .msg_control = &control,
            .msg_controllen = sizeof control};
    CHECK_EQ(recvmsg(from, &message, MSG_CMSG_CLOEXEC), 1);
    CHECK_EQ(byte, 'd');
    int fd = -1;
    memcpy(&fd, CMSG_DATA(&control.header), sizeof fd);
    return fd;
}

TEST(a_descriptor_is_passed_after_the_bytes_before_it)
{
    struct ends ends = open_unix();
    struct ends passed = open_unix();
    CHECK_EQ(send(ends.fds[1], "bytes", 5, 0), 5);
    pass_descriptor(ends.fds[1], passed.fds[1]);
    char bytes[5];
    CHECK_EQ(recv(ends.fds[0], bytes, sizeof bytes, MSG_WAITALL), sizeof bytes);
    CHECK_OK(close(take_descriptor(ends.fds[0])));
    close_both(&ends);
    close_both(&passed);
}

/* ---- tasks ---- */

enum { REQUESTS = 8, REQUEST_MAX = 3000 };

static SEAM_SUSPENDS void move_all(int fd, char *buf, size_t bytes, bool writes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t r = writes ? seam_write(fd, buf + done, bytes - done, SEAM_FOREVER)
                           : seam_read(fd, buf + done, bytes - done, SEAM_FOREVER);
        CHECK(r > 0);
        done += (size_t)r;
    }
}

static size_t length_of(int request)
{
    return (size_t)(1 + request * 397 % REQUEST_MAX);
}

static SEAM_SUSPENDS int answer(void *arg)
{
    const struct ends *ends = arg;
    char buf[REQUEST_MAX];
    for (int i = 0; i < REQUESTS; i++) {
        move_all(ends->fds[1], buf, length_of(i), false);
        move_all(ends->fds[1], buf, length_of(i), true);
    }
    CHECK_OK(seam_close(ends->fds[1]));
    return 0;
}

static SEAM_SUSPENDS int ask(void *arg)
{
    const struct ends *ends = arg;
    char buf[REQUEST_MAX];
    for (int i = 0; i < REQUESTS; i++) {
        memset(buf, i, length_of(i));
        move_all(ends->fds[0], buf, length_of(i), true);
        memset(buf, -1, length_of(i));
        move_all(ends->fds[0], buf, length_of(i), false);
        CHECK_EQ(buf[length_of(i) - 1], i);
    }
    CHECK_EQ(seam_read(ends->fds[0], buf, 1, SEAM_FOREVER), 0);
    CHECK_OK(seam_close(ends->fds[0]));
    return 0;
}

static SEAM_SUSPENDS int ask_and_answer(void *arg)
{
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, answer, arg, NULL, NULL));
    CHECK_OK(ask(arg));
    return seam_scope_end(&scope);
}

static void run_tasks(const struct ends *ends)
{
    struct ends copy = *ends;
    CHECK_OK(seam_run(&(struct seam_options){.workers = 2}, ask_and_answer, &copy));
}

TEST(tasks_ask_and_answer)
{
    with_both_kinds(run_tasks);
}

static SEAM_SUSPENDS int hear_nothing(void *arg)
{
    const struct ends *ends = arg;
    char byte = 0;
    CHECK_EQ(seam_read(ends->fds[0], &byte, 1, seam_after(SEAM_SECOND)), -ETIMEDOUT);
    return 0;
}

TEST(a_task_that_is_sent_nothing_hears_nothing)
{
    struct ends ends = open_unix();
    CHECK_OK(seam_run(NULL, hear_nothing, &ends));
    close_both(&ends);
}
