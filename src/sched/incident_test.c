/* SPDX-License-Identifier: MIT */
#include "sched/incident.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check/check.h"
#include "sched/runtime.h"

#define MS INT64_C(1000000)

/* A runtime of which only the monitor's part is there, and stderr in a pipe. */
struct bench {
    struct seam_runtime runtime;
    struct sm_incidents incidents;
    struct sm_thread threads[4];
    int stderr_fd;
    int fds[2];
};

static void begin(struct bench *bench)
{
    bench->runtime.worker_count = 1;
    (void)snprintf(bench->runtime.name, sizeof bench->runtime.name, "test");
    CHECK_OK(sm_incidents_init(&bench->incidents, &bench->runtime));
    CHECK_OK(pipe2(bench->fds, O_CLOEXEC | O_NONBLOCK));
    bench->stderr_fd = (int)CHECK_OK(dup(STDERR_FILENO));
    CHECK_OK(dup2(bench->fds[1], STDERR_FILENO));
}

static void end(struct bench *bench)
{
    CHECK_OK(dup2(bench->stderr_fd, STDERR_FILENO));
    CHECK_OK(close(bench->stderr_fd));
    CHECK_OK(close(bench->fds[0]));
    CHECK_OK(close(bench->fds[1]));
    sm_incidents_fini(&bench->incidents);
}

/* Thread number index was overtaken at since_ns. */
static void add(struct bench *bench, int index, int64_t since_ns)
{
    struct sm_incident incident = {
            .shown = {.is_handed_over = true, .syscall_number = -1},
            .thread = &bench->threads[index],
            .returns = sm_load_relaxed(&bench->threads[index].returns),
            .since_ns = since_ns,
    };
    (void)snprintf(incident.name, sizeof incident.name, "task %d", index);
    sm_incidents_add(&bench->incidents, &incident);
}

static void come_back(struct bench *bench, int index)
{
    sm_count_relaxed(&bench->threads[index].returns, 1);
}

/* What has been written since the last time. */
static const char *written(struct bench *bench)
{
    static char text[1000];
    ssize_t len = read(bench->fds[0], text, sizeof text - 1);
    text[len > 0 ? len : 0] = '\0';
    return text;
}

TEST(an_incident_is_shown_once_when_it_has_lasted)
{
    struct bench bench = {};
    begin(&bench);
    add(&bench, 0, 5 * MS);
    CHECK_EQ(sm_incidents_next_ns(&bench.incidents), 15 * MS);
    sm_incidents_look(&bench.incidents, 15 * MS - 1);
    CHECK_EQ(strlen(written(&bench)), 0);
    sm_incidents_look(&bench.incidents, 15 * MS);
    CHECK(strstr(written(&bench), "task \"task 0\"") != NULL);
    CHECK_EQ(sm_incidents_next_ns(&bench.incidents), INT64_MAX);
    sm_incidents_look(&bench.incidents, 5000 * MS);
    CHECK_EQ(strlen(written(&bench)), 0);
    CHECK_EQ(bench.incidents.count, 1);
    end(&bench);
}

TEST(an_incident_that_is_over_soon_is_not_shown)
{
    struct bench bench = {};
    begin(&bench);
    add(&bench, 0, 0);
    come_back(&bench, 0);
    sm_incidents_look(&bench.incidents, 50 * MS);
    CHECK_EQ(strlen(written(&bench)), 0);
    CHECK_EQ(bench.incidents.count, 0);
    CHECK_EQ(sm_load_relaxed(&bench.runtime.monitor.counts[SEAM_INCIDENT_BLOCKED]), 1);
    end(&bench);
}

TEST(of_many_incidents_one_is_shown_in_a_second_and_the_others_are_counted)
{
    struct bench bench = {};
    begin(&bench);
    for (int i = 0; i < 3; i++) {
        add(&bench, i, 0);
    }
    sm_incidents_look(&bench.incidents, 20 * MS);
    const char *first = written(&bench);
    CHECK(strstr(first, "task 0") != NULL);
    CHECK(strstr(first, "task 1") == NULL);
    add(&bench, 3, 1500 * (int64_t)MS);
    sm_incidents_look(&bench.incidents, 1510 * (int64_t)MS);
    const char *second = written(&bench);
    CHECK(strstr(second, "task 3") != NULL);
    CHECK(strstr(second, "2 more not shown") != NULL);
    end(&bench);
}

/* Nobody who does not read our stderr may stop the monitor. */
TEST(an_incident_is_not_shown_where_stderr_takes_nothing)
{
    struct bench bench = {};
    begin(&bench);
    static const char junk[4096];
    while (write(bench.fds[1], junk, sizeof junk) > 0) {
    }
    add(&bench, 0, 0);
    sm_incidents_look(&bench.incidents, 20 * MS);
    CHECK_EQ(bench.incidents.unshown, 1);
    end(&bench);
}

TEST(a_quiet_runtime_shows_nothing)
{
    struct bench bench = {};
    begin(&bench);
    bench.runtime.monitor.is_quiet = true;
    add(&bench, 0, 0);
    CHECK_EQ(sm_incidents_next_ns(&bench.incidents), INT64_MAX);
    sm_incidents_look(&bench.incidents, 20 * MS);
    CHECK_EQ(strlen(written(&bench)), 0);
    end(&bench);
}
