/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "seam.h"

#include "check/check.h"

/* A task that holds up another, and what was told of it. */
struct scene {
    int fds[2];
    atomic_int flag;
    atomic_int told;
    bool callback_helps;
    struct seam_incident incident;
    char task_name[32];
    struct seam_runtime_stats stats;
};

static void note_incident(const struct seam_incident *incident, void *arg)
{
    struct scene *scene = arg;
    if (atomic_fetch_add(&scene->told, 1) > 0) return;
    scene->incident = *incident;
    (void)snprintf(scene->task_name, sizeof scene->task_name, "%s", incident->task_name);
    if (scene->callback_helps) CHECK_EQ(write(scene->fds[1], "x", 1), 1);
}

static int block(void *arg)
{
    const struct scene *scene = arg;
    char byte = 0;
    CHECK_EQ(read(scene->fds[0], &byte, 1), 1);
    return 0;
}

static int compute(void *arg)
{
    struct scene *scene = arg;
    while (atomic_load(&scene->flag) == 0) {
    }
    return 0;
}

static int help(void *arg)
{
    struct scene *scene = arg;
    atomic_store(&scene->flag, 1);
    return scene->callback_helps ? 0 : (int)write(scene->fds[1], "x", 1);
}

static void play(struct scene *scene, struct seam_options options, seam_fn *fn, const char *name)
{
    CHECK_OK(pipe2(scene->fds, O_CLOEXEC));
    options.on_incident = note_incident;
    options.incident_arg = scene;
    options.quiet_incidents = true;
    seam_runtime *runtime = NULL;
    CHECK_OK(seam_runtime_new(&options, &runtime));
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, runtime, SEAM_FOREVER));
    const struct seam_task_options task = {.name = name};
    CHECK_OK(seam_spawn(&scope, fn, scene, &task, NULL));
    CHECK_OK(seam_spawn(&scope, help, scene, NULL, NULL));
    CHECK_OK(seam_scope_end(&scope));
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_runtime_stats_read(runtime, &scene->stats);
    seam_runtime_free(runtime);
    CHECK_OK(close(scene->fds[0]));
    CHECK_OK(close(scene->fds[1]));
}

/* The task that blocks may have come second, and held up nobody: then there is nothing to tell. */
TEST(an_incident_says_which_task_blocked_in_which_call)
{
    struct scene scene = {};
    while (atomic_load(&scene.told) == 0) {
        play(&scene, (struct seam_options){.workers = 1}, block, "angler");
    }
    const struct seam_incident *incident = &scene.incident;
    CHECK_EQ(incident->kind, SEAM_INCIDENT_BLOCKED);
    CHECK_EQ(incident->worker, 0);
    CHECK_EQ(strcmp(scene.task_name, "angler"), 0);
    CHECK(incident->spawned_at != NULL);
    CHECK(incident->is_handed_over);
    CHECK(incident->lasted_ns > 0);
    CHECK_EQ(scene.stats.blocked, 1);
    CHECK_EQ(scene.stats.busy, 0);
    if (incident->syscall_number < 0) CHECK_SKIP("no /proc/self/task/TID/syscall here");
    CHECK_EQ(incident->syscall_number, SYS_read);
    CHECK(incident->pc != 0);
    CHECK(incident->sp != 0);
}

TEST(an_incident_says_which_task_computed)
{
    struct scene scene = {};
    while (atomic_load(&scene.told) == 0) {
        play(&scene, (struct seam_options){.workers = 1}, compute, "thinker");
    }
    CHECK_EQ(scene.incident.kind, SEAM_INCIDENT_BUSY);
    CHECK_EQ(strcmp(scene.task_name, "thinker"), 0);
    CHECK(scene.incident.is_handed_over);
    CHECK_EQ(scene.incident.syscall_number, -1);
    CHECK_EQ(scene.stats.busy, 1);
}

/* The work waits; only the callback ends the block. */
static void tell_only(struct seam_options options)
{
    struct scene scene = {.callback_helps = true};
    options.overtake = SEAM_OVERTAKE_OFF;
    play(&scene, options, block, "angler");
    CHECK_EQ(atomic_load(&scene.told), 1);
    CHECK_EQ(scene.incident.kind, SEAM_INCIDENT_BLOCKED);
    CHECK(!scene.incident.is_handed_over);
    CHECK_EQ(scene.stats.handovers, 0);
    CHECK_EQ(scene.stats.blocked, 1);
}

TEST(an_incident_is_only_told_where_nobody_may_be_overtaken)
{
    tell_only((struct seam_options){.workers = 1, .steal = SEAM_STEAL_NONE});
}

TEST(an_incident_is_told_of_a_driver)
{
    tell_only((struct seam_options){.current_thread = true});
}

/* ---- without descriptors ---- */

enum { FDS_MAX = 64 };

struct drought {
    struct seam_scope scope;
    int first[2];
    int second[2];
    struct rlimit before;
    rlim_t fds_max;
    int fds[FDS_MAX];
    int fd_count;
    atomic_bool is_dry; /* publishes the two before */
};

static int end_drought(void *arg)
{
    struct drought *drought = arg;
    while (!atomic_load(&drought->is_dry)) {
        CHECK_OK(seam_yield());
    }
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &drought->before));
    while (drought->fd_count > 0) {
        CHECK_OK(close(drought->fds[--drought->fd_count]));
    }
    CHECK_EQ(write(drought->second[1], "x", 1), 1);
    return (int)write(drought->first[1], "x", 1);
}

static int block_in_drought(void *arg)
{
    struct drought *drought = arg;
    CHECK_OK(seam_spawn(&drought->scope, end_drought, drought, NULL, NULL));
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &drought->before));
    const struct rlimit tight = {drought->fds_max, drought->before.rlim_max};
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &tight));
    int fd = 0;
    while ((fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0) {
        drought->fds[drought->fd_count++] = fd;
    }
    CHECK_EQ(errno, EMFILE);
    atomic_store(&drought->is_dry, true);
    char byte = 0;
    return (int)read(drought->second[0], &byte, 1);
}

static int block_before_drought(void *arg)
{
    struct drought *drought = arg;
    CHECK_OK(seam_spawn(&drought->scope, block_in_drought, drought, NULL, NULL));
    char byte = 0;
    return (int)read(drought->first[0], &byte, 1);
}

/* Each task runs only because the one before was overtaken. */
static void dry_up(seam_fn *first, rlim_t fds_max)
{
    struct drought drought = {.fds_max = fds_max};
    CHECK_OK(pipe2(drought.first, O_CLOEXEC));
    CHECK_OK(pipe2(drought.second, O_CLOEXEC));
    seam_runtime *runtime = NULL;
    const struct seam_options options = {.workers = 1, .quiet_incidents = true};
    CHECK_OK(seam_runtime_new(&options, &runtime));
    CHECK_OK(seam_scope_begin(&drought.scope, runtime, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&drought.scope, first, &drought, NULL, NULL));
    CHECK_OK(seam_scope_end(&drought.scope));
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_runtime_free(runtime);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(close(drought.first[i]));
        CHECK_OK(close(drought.second[i]));
    }
}

TEST(a_task_that_blocks_is_overtaken_where_no_descriptor_is_left)
{
    dry_up(block_before_drought, FDS_MAX);
}

TEST(the_first_task_that_blocks_is_overtaken_where_no_descriptor_is_left)
{
    dry_up(block_in_drought, FDS_MAX);
}

/* None can be opened, not even in place of one that is closed. */
TEST(a_task_that_blocks_is_overtaken_where_no_descriptor_can_be_had)
{
    CHECK_NOT_SIMULATED("poll(), by which a simulated thread waits, is refused with such a limit");
    dry_up(block_in_drought, 0);
}

/* A long name is cut, not read past its end. */
TEST(an_incident_shows_as_much_of_a_name_as_there_is_room_for)
{
    struct scene scene = {.callback_helps = true};
    const struct seam_options options = {.current_thread = true, .overtake = SEAM_OVERTAKE_OFF};
    play(&scene, options, block, "0123456789012345678901234567890123456789");
    CHECK_EQ(strcmp(scene.task_name, "0123456789012345678901234567890"), 0);
}

/* ---- the line on stderr ---- */

/* The line is what the task that it is about waits for. */
static int read_line(void *arg)
{
    struct scene *scene = arg;
    char line[400] = "";
    ssize_t len = read(scene->fds[0], line, sizeof line - 1);
    CHECK(len > 0);
    CHECK_EQ(line[len - 1], '\n');
    CHECK(strstr(line, "task \"reporter\"") != NULL);
    CHECK(strstr(line, "blocks worker 0 of \"news\"") != NULL);
    CHECK(strstr(line, "another thread has taken over") != NULL);
    return 0;
}

TEST(a_task_that_blocks_its_thread_for_long_is_shown_on_stderr)
{
    struct scene scene = {};
    CHECK_OK(pipe2(scene.fds, O_CLOEXEC));
    int stderr_fd = (int)CHECK_OK(dup(STDERR_FILENO));
    CHECK_OK(dup2(scene.fds[1], STDERR_FILENO));
    const struct seam_options options = {
            .current_thread = true, .overtake = SEAM_OVERTAKE_ON, .name = "news"};
    seam_runtime *runtime = NULL;
    CHECK_OK(seam_runtime_new(&options, &runtime));
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, runtime, SEAM_FOREVER));
    const struct seam_task_options task = {.name = "reporter"};
    CHECK_OK(seam_spawn(&scope, read_line, &scene, &task, NULL));
    scene.callback_helps = true; /* the second task does not write */
    CHECK_OK(seam_spawn(&scope, help, &scene, NULL, NULL));
    CHECK_OK(seam_scope_end(&scope));
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_runtime_free(runtime);
    CHECK_OK(dup2(stderr_fd, STDERR_FILENO));
    CHECK_OK(close(stderr_fd));
    CHECK_OK(close(scene.fds[0]));
    CHECK_OK(close(scene.fds[1]));
}
