/* SPDX-License-Identifier: MIT */
/*
 * loadgen.c - how many 64-byte echoes a second does a server answer, and how late?
 *
 *     loadgen PEER THREADS PORT CONNECTIONS PID CPU [DIVISOR]
 *
 * One epoll thread, pinned to CPU (-1: not pinned), loopback only. Every connection sends 64
 * bytes, waits for all 64 to come back, and sends again (closed loop, one outstanding). After
 * a warm-up of 0.3 s (0.6 s from 10 000 connections) it measures for 1.5 s. Prints req/s, p50
 * and p99 of the round trip, and the CPU that process PID used per request in the same time.
 * Latencies fall into 64 buckets per doubling: 1.6 % exact. Since client and kernel share the
 * client's CPU, p50 is mostly queueing: CONNECTIONS / (req/s).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/bench.h"

enum { MESSAGE_BYTES = 64, EVENTS = 256, SUB_BITS = 6, BUCKETS = 64 << SUB_BITS };
enum { CONNECTIONS_MAX = 16384 };

struct conn {
    int fd;
    int missing_bytes; /* of the answer that is under way */
    int64_t sent_ns;
};

static struct conn conns[CONNECTIONS_MAX];
static uint64_t histogram[BUCKETS];
static uint64_t answers;
static bool is_measuring;

static unsigned bucket_of(uint64_t ns)
{
    unsigned doubling;

    if (ns < (1u << SUB_BITS)) return (unsigned)ns;
    doubling = 63u - (unsigned)__builtin_clzll(ns) - SUB_BITS;
    return ((doubling + 1) << SUB_BITS) + (unsigned)(ns >> doubling) - (1u << SUB_BITS);
}

static double bucket_us(unsigned bucket)
{
    unsigned doubling = bucket >> SUB_BITS;
    unsigned rest = bucket & ((1u << SUB_BITS) - 1);

    if (doubling == 0) return rest / 1e3;
    return (double)((uint64_t)(rest + (1u << SUB_BITS)) << (doubling - 1)) / 1e3;
}

static double percentile_us(double part)
{
    uint64_t wanted = (uint64_t)((double)answers * part);
    uint64_t seen = 0;

    for (unsigned i = 0; i < BUCKETS; i++) {
        seen += histogram[i];
        if (seen > wanted) return bucket_us(i);
    }
    return 0;
}

static int64_t cpu_used_ns(pid_t pid)
{
    clockid_t clock;
    struct timespec used;

    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0) return 0;
    return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

static void ask(struct conn *conn)
{
    static const char message[MESSAGE_BYTES] = "echo";

    conn->missing_bytes = MESSAGE_BYTES;
    conn->sent_ns = bench_now_ns();
    bench_need(send(conn->fd, message, sizeof(message), MSG_NOSIGNAL) == MESSAGE_BYTES, "send");
}

static void on_readable(struct conn *conn)
{
    char buf[MESSAGE_BYTES];
    ssize_t r = recv(conn->fd, buf, sizeof(buf), MSG_DONTWAIT);

    if (r < 0 && errno == EAGAIN) return;
    bench_need(r > 0, "the server closed a connection");
    conn->missing_bytes -= (int)r;
    if (conn->missing_bytes > 0) return;

    if (is_measuring) {
        histogram[bucket_of((uint64_t)(bench_now_ns() - conn->sent_ns))]++;
        answers++;
    }
    ask(conn);
}

static void connect_one(struct conn *conn, uint16_t port, int epoll_fd)
{
    struct sockaddr_in addr = {
            .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = conn}};
    int on = 1;

    conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bench_need(conn->fd >= 0, "socket");
    bench_need(connect(conn->fd, (struct sockaddr *)&addr, sizeof(addr)) == 0, "connect");
    (void)setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    bench_need(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, conn->fd, &event) == 0, "epoll_ctl");
}

static void run_until(int epoll_fd, int64_t until_ns)
{
    struct epoll_event events[EVENTS];

    while (bench_now_ns() < until_ns) {
        int count = epoll_wait(epoll_fd, events, EVENTS, 100);

        for (int i = 0; i < count; i++)
            on_readable(events[i].data.ptr);
    }
}

static void report(const struct bench_run *run, double seconds, double cpu_ns)
{
    char workload[64];

    bench_need(answers > 0, "no answer in the measured time");
    bench_report_as(run, run->workload, (double)answers / seconds, "req/s");
    (void)snprintf(workload, sizeof(workload), "%s_p50", run->workload);
    bench_report_as(run, workload, percentile_us(0.50), "us");
    (void)snprintf(workload, sizeof(workload), "%s_p99", run->workload);
    bench_report_as(run, workload, percentile_us(0.99), "us");
    (void)snprintf(workload, sizeof(workload), "%s_cpu", run->workload);
    bench_report_as(run, workload, cpu_ns / 1e3 / (double)answers, "us/req");
}

static void measure(const struct bench_run *run, uint16_t port, int connections, pid_t pid)
{
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int64_t warm_up_ns = connections >= 10000 ? 600000000 : 300000000;
    int64_t start_ns;
    int64_t cpu_ns;

    bench_need(epoll_fd >= 0, "epoll_create1");
    for (int i = 0; i < connections; i++)
        connect_one(&conns[i], port, epoll_fd);
    for (int i = 0; i < connections; i++)
        ask(&conns[i]);
    run_until(epoll_fd, bench_now_ns() + warm_up_ns / run->divisor);

    is_measuring = true;
    cpu_ns = cpu_used_ns(pid);
    start_ns = bench_now_ns();
    run_until(epoll_fd, start_ns + 1500000000 / run->divisor);
    report(run, (double)(bench_now_ns() - start_ns) / 1e9, (double)(cpu_used_ns(pid) - cpu_ns));
}

int main(int argc, char **argv)
{
    struct bench_run run = {.divisor = 1};
    char workload[32];
    long port;
    long connections;
    int cpu;

    if (argc < 7) {
        (void)fprintf(stderr, "usage: loadgen PEER THREADS PORT CONNECTIONS PID CPU [DIVISOR]\n");
        return 2;
    }
    run.peer = argv[1];
    run.threads = (int)strtol(argv[2], NULL, 10);
    port = strtol(argv[3], NULL, 10);
    connections = strtol(argv[4], NULL, 10);
    cpu = (int)strtol(argv[6], NULL, 10);
    if (argc > 7) run.divisor = strtol(argv[7], NULL, 10);
    bench_need(port > 0 && port <= UINT16_MAX, "PORT");
    bench_need(connections > 0 && connections <= CONNECTIONS_MAX, "CONNECTIONS");
    bench_need(run.divisor >= 1, "DIVISOR");

    (void)snprintf(workload, sizeof(workload), "echo_%ld", connections);
    run.workload = workload;
    (void)alarm(BENCH_SECONDS_MAX);
    if (cpu >= 0) bench_pin(cpu);
    measure(&run, (uint16_t)port, (int)connections, (pid_t)strtol(argv[5], NULL, 10));
    return 0;
}
