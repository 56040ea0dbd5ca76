/* SPDX-License-Identifier: MIT */
#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int bench_main(int argc, char **argv, const char *peer, const struct bench_case *cases)
{
    struct bench_run run = {.peer = peer, .threads = 1, .divisor = 1};

    if (argc < 3) {
        (void)fprintf(stderr, "usage: %s WORKLOAD THREADS [DIVISOR]\n", argv[0]);
        return 2;
    }
    run.workload = argv[1];
    run.threads = (int)strtol(argv[2], NULL, 10);
    if (argc > 3) run.divisor = strtol(argv[3], NULL, 10);
    bench_need(run.threads >= 1 && run.divisor >= 1, "THREADS and DIVISOR must be at least 1");

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)alarm(BENCH_SECONDS_MAX);
    for (; cases->workload != NULL; cases++) {
        if (strcmp(cases->workload, run.workload) == 0) {
            cases->measure(&run);
            return 0;
        }
    }
    (void)fprintf(stderr, "%s: no workload %s\n", argv[0], run.workload);
    return 2;
}

long bench_count(const struct bench_run *run, long full, long step)
{
    long count = full / run->divisor / step * step;

    return count < step ? step : count;
}

void bench_report_as(
        const struct bench_run *run, const char *workload, double value, const char *unit)
{
    (void)printf("%s %s %d %.*f %s\n", workload, run->peer, run->threads, value < 10 ? 3 : 1, value,
            unit);
    (void)fflush(stdout);
}

void bench_report(const struct bench_run *run, double value, const char *unit)
{
    bench_report_as(run, run->workload, value, unit);
}

void bench_not_possible(const struct bench_run *run, const char *reason)
{
    (void)printf("%s %s %d n/a %s\n", run->workload, run->peer, run->threads, reason);
    (void)fflush(stdout);
}

void bench_report_ns(const struct bench_run *run, int64_t start_ns, long operations)
{
    bench_report(run, (double)(bench_now_ns() - start_ns) / (double)operations, "ns");
}

void bench_report_us(const struct bench_run *run, int64_t start_ns, long operations)
{
    bench_report(run, (double)(bench_now_ns() - start_ns) / (double)operations / 1e3, "us");
}

void bench_report_rate(const struct bench_run *run, int64_t start_ns, long operations)
{
    bench_report(run, (double)operations * 1e9 / (double)(bench_now_ns() - start_ns), "calls/s");
}

void bench_need(bool ok, const char *what)
{
    if (ok) return;

    (void)fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

int64_t bench_now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void bench_pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    bench_need(sched_setaffinity(0, sizeof(set), &set) == 0, "cannot pin to that CPU");
}

struct bench_memory bench_memory_now(void)
{
    struct bench_memory memory = {};
    char line[256];
    FILE *status = fopen("/proc/self/status", "re");

    bench_need(status != NULL, "cannot read /proc/self/status");
    while (fgets(line, sizeof(line), status) != NULL) {
        if (strncmp(line, "VmRSS:", 6) == 0)
            memory.resident_bytes = strtol(line + 6, NULL, 10) * 1024;
        if (strncmp(line, "VmPTE:", 6) == 0)
            memory.tables_bytes = strtol(line + 6, NULL, 10) * 1024;
    }
    (void)fclose(status);
    return memory;
}

void bench_report_memory(const struct bench_run *run, struct bench_memory before, long tasks)
{
    struct bench_memory now = bench_memory_now();
    double resident = (double)(now.resident_bytes - before.resident_bytes);
    double tables = (double)(now.tables_bytes - before.tables_bytes);
    char workload[64];

    bench_report(run, resident / (double)tasks, "bytes");
    (void)snprintf(workload, sizeof(workload), "%s_tables", run->workload);
    bench_report_as(run, workload, (resident + tables) / (double)tasks, "bytes");
}

int bench_listen(uint16_t *out_port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t addr_bytes = sizeof(addr);
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    bench_need(fd >= 0, "socket");
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* accepted ones inherit it */
    bench_need(bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0, "bind");
    bench_need(listen(fd, 4096) == 0, "listen");
    bench_need(getsockname(fd, (struct sockaddr *)&addr, &addr_bytes) == 0, "getsockname");
    *out_port = ntohs(addr.sin_port);
    return fd;
}
