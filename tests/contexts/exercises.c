/* SPDX-License-Identifier: MIT */
/*
 * contexts/exercises.c - one call of each public function, on things that are ready for it.
 */
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "check/check.h"
#include "contexts/things.h"

static int count_run(void *arg)
{
    (*(int *)arg)++;
    return 0;
}

/* Ran exactly if the call says so. */
static int check_run_once(int r, int runs)
{
    CHECK_EQ(runs, r == 0 ? 1 : 0);
    return r;
}

struct owned {
    int runs;
    int destroyed;
};

static void count_destroyed(void *arg, int result)
{
    CHECK_EQ(result, -ECANCELED);
    ((struct owned *)arg)->destroyed++;
}

/* Ran, or was destroyed. */
static int check_owned(int r, const struct owned *owned)
{
    CHECK_EQ(owned->runs, r == 0 ? 1 : 0);
    CHECK_EQ(owned->destroyed, r == 0 ? 0 : 1);
    return r;
}

/* ---- blocking.h ---- */

static int call_blocking_begin(struct things *things)
{
    (void)things;
    seam_blocking_begin();
    return 0;
}

static int call_blocking_end(struct things *things)
{
    (void)things;
    seam_blocking_end();
    return 0;
}

/* ---- bridge.h ---- */

static int call_bridge_new(struct things *things)
{
    /* Its own runtime, and closed where a cancelled caller can wait for that. */
    const struct seam_bridge_options options = {.name = "fresh", .workers = 1};
    seam_bridge *bridge = NULL;
    int r = seam_bridge_new(&options, &bridge);
    if (r < 0) return r;
    CHECK_OK(seam_bridge_close(things->closed, NULL, SEAM_FOREVER));
    seam_bridge_free(things->closed);
    things->closed = bridge;
    return 0;
}

static int call_bridge_call(struct things *things)
{
    int runs = 0;
    struct seam_reply reply;
    int r = seam_bridge_call(things->bridge, count_run, &runs, &reply, SEAM_FOREVER);
    if (r == 0) CHECK_EQ(reply.result, 0);
    return check_run_once(r, runs);
}

static int call_bridge_call_owned(struct things *things)
{
    struct owned owned = {};
    return check_owned(seam_bridge_call_owned(things->bridge, count_run, &owned, count_destroyed,
                               NULL, SEAM_FOREVER),
            &owned);
}

static int call_bridge_close(struct things *things)
{
    return seam_bridge_close(things->bridge, NULL, SEAM_FOREVER);
}

static int call_bridge_reopen(struct things *things)
{
    return seam_bridge_reopen(things->closed, things->runtime);
}

static int call_bridge_free(struct things *things)
{
    seam_bridge_free(things->closed);
    things->closed = NULL;
    return 0;
}

static int call_bridge_stats_read(struct things *things)
{
    struct seam_bridge_stats stats;
    seam_bridge_stats_read(things->bridge, &stats);
    return 0;
}

static int call_fail(struct things *things)
{
    (void)things;
    return seam_fail(-EIO, "in %s", "vain") == -EIO ? 0 : -EINVAL;
}

/* ---- chan.h ---- */

static int call_chan_new(struct things *things)
{
    (void)things;
    seam_chan *chan = NULL;
    int r = seam_chan_new(8, 8, &chan);
    seam_chan_free(chan);
    return r;
}

static int call_chan_free(struct things *things)
{
    seam_chan_free(things->chan);
    things->chan = NULL;
    return 0;
}

static int call_chan_send(struct things *things)
{
    return seam_chan_send(things->chan, &things->got, SEAM_FOREVER);
}

static int call_chan_recv(struct things *things)
{
    return seam_chan_recv(things->chan, &things->got, SEAM_FOREVER);
}

static int call_chan_close(struct things *things)
{
    seam_chan_close(things->chan);
    return 0;
}

/* ---- cross.h ---- */

static int call_call(struct things *things)
{
    int runs = 0;
    int r = seam_call(things->runtime, count_run, &runs, NULL, SEAM_FOREVER);
    return check_run_once(r, runs);
}

static int call_call_owned(struct things *things)
{
    struct owned owned = {};
    return check_owned(seam_call_owned(things->runtime, count_run, &owned, count_destroyed, NULL,
                               SEAM_FOREVER),
            &owned);
}

static int call_block(struct things *things)
{
    (void)things;
    int runs = 0;
    int r = seam_block(NULL, count_run, &runs, NULL, SEAM_FOREVER);
    return check_run_once(r, runs);
}

static int call_block_owned(struct things *things)
{
    (void)things;
    check_leaves_a_runtime(); /* from a plain thread: the default one */
    struct owned owned = {};
    return check_owned(
            seam_block_owned(NULL, count_run, &owned, count_destroyed, NULL, SEAM_FOREVER), &owned);
}

/* ---- errno.h, time.h ---- */

static int call_errno_location(struct things *things)
{
    (void)things;
    CHECK(seam_errno_location() != NULL);
    return 0;
}

static int call_now_ns(struct things *things)
{
    (void)things;
    CHECK(seam_now_ns() > SEAM_NOW);
    return 0;
}

static int call_after(struct things *things)
{
    (void)things;
    CHECK(seam_after(1) > SEAM_NOW);
    return 0;
}

static int call_sleep(struct things *things)
{
    (void)things;
    return seam_sleep(seam_now_ns());
}

/* ---- net.h ---- */

static int call_address(struct things *things)
{
    return seam_address("127.0.0.1", 80, &things->address, &things->len);
}

static int call_listen(struct things *things)
{
    (void)things;
    struct sockaddr_storage address;
    socklen_t len = 0;
    CHECK_OK(seam_address("127.0.0.1", 0, &address, &len));
    int fd = seam_listen((const struct sockaddr *)&address, len, 0);
    return fd < 0 ? fd : seam_close(fd);
}

static int call_accept(struct things *things)
{
    int fd = seam_accept(things->listen_fd, NULL, NULL, SEAM_FOREVER);
    return fd < 0 ? fd : seam_close(fd);
}

static int call_connect(struct things *things)
{
    int fd = seam_connect((const struct sockaddr *)&things->address, things->len, SEAM_FOREVER);
    return fd < 0 ? fd : seam_close(fd);
}

static int call_read(struct things *things)
{
    char byte = 0;
    return (int)seam_read(things->pair[0], &byte, 1, SEAM_FOREVER);
}

static int call_write(struct things *things)
{
    return (int)seam_write(things->pair[0], "", 1, SEAM_FOREVER);
}

static int call_await_fd(struct things *things)
{
    return seam_await_fd(things->pair[0], SEAM_READABLE, SEAM_FOREVER);
}

static int call_shutdown(struct things *things)
{
    return seam_shutdown(things->pair[0], SHUT_RDWR);
}

static int call_close(struct things *things)
{
    int fd = things->pair[0];
    things->pair[0] = -1;
    return seam_close(fd);
}

static int call_adopt(struct things *things)
{
    return seam_adopt(things->pair[1]);
}

static int call_release(struct things *things)
{
    return seam_release(things->pair[0]);
}

/* ---- runtime.h ---- */

static int call_run(struct things *things)
{
    (void)things;
    int runs = 0;
    int r = seam_run(&flavour, count_run, &runs);
    return check_run_once(r, runs);
}

static int call_runtime_new(struct things *things)
{
    return seam_runtime_new(&flavour, &things->made);
}

static int call_runtime_stop(struct things *things)
{
    return seam_runtime_stop(things->runtime, NULL, SEAM_FOREVER);
}

static int call_runtime_free(struct things *things)
{
    seam_runtime_free(things->spare);
    things->spare = NULL;
    return 0;
}

static int call_runtime_default(struct things *things)
{
    (void)things;
    check_leaves_a_runtime();
    seam_runtime *runtime = NULL;
    int r = seam_runtime_default(&runtime);
    CHECK((runtime != NULL) == (r == 0));
    return r;
}

static int call_runtime_root(struct things *things)
{
    CHECK(seam_runtime_root(things->runtime) != NULL);
    return 0;
}

static int call_runtime_jobs(struct things *things)
{
    CHECK(seam_runtime_jobs(things->runtime, SEAM_JOBS_FILES) != NULL);
    return 0;
}

static int call_job_class_new(struct things *things)
{
    seam_job_class *job_class = NULL;
    int r = seam_job_class_new(things->runtime, NULL, &job_class);
    CHECK((job_class != NULL) == (r == 0));
    return r;
}

static int call_job_class_stats_read(struct things *things)
{
    struct seam_job_stats stats;
    seam_job_class_stats_read(seam_runtime_jobs(things->runtime, SEAM_JOBS_USER), &stats);
    CHECK_EQ(stats.refused, 0);
    return 0;
}

static int call_runtime_fd(struct things *things)
{
    return seam_runtime_fd(things->runtime);
}

static int call_runtime_poll(struct things *things)
{
    return seam_runtime_poll(things->runtime);
}

static int call_runtime_stats_read(struct things *things)
{
    struct seam_runtime_stats stats;
    seam_runtime_stats_read(things->runtime, &stats);
    /* A forked child has none, and says so. */
    if (stats.workers == 0) CHECK_EQ(seam_yield(), -EOWNERDEAD);
    return 0;
}

/* ---- stop.h ---- */

static int call_stop_report_print(struct things *things)
{
    (void)things;
    static const struct seam_stop_report report = {
            .left_count = 2, .listed_count = 1, .left = {{.name = "somebody"}}};
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    seam_stop_report_print(&report, fd);
    CHECK_OK(close(fd));
    return 0;
}

/* ---- scope.h ---- */

static void open_scope(struct things *things)
{
    CHECK_OK(seam_scope_begin(&things->scope, things->runtime, SEAM_FOREVER));
    things->has_scope = true;
}

static void end_scope(struct things *things)
{
    if (things->has_scope) (void)seam_scope_end(&things->scope);
    things->has_scope = false;
}

static int call_scope_begin(struct things *things)
{
    int r = seam_scope_begin(&things->scope, things->runtime, SEAM_FOREVER);
    things->has_scope = r == 0;
    return r;
}

static int call_scope_end(struct things *things)
{
    things->has_scope = false;
    return seam_scope_end(&things->scope);
}

static int call_scope_cancel(struct things *things)
{
    return seam_scope_cancel(&things->scope);
}

static int call_cancelled(struct things *things)
{
    (void)things;
    return seam_cancelled();
}

static void begin_shield(struct things *things)
{
    seam_shield_begin(&things->shield);
    things->has_shield = true;
}

static void end_shield(struct things *things)
{
    if (things->has_shield) seam_shield_end(&things->shield);
    things->has_shield = false;
}

static int call_shield_begin(struct things *things)
{
    begin_shield(things);
    return 0;
}

static int call_shield_end(struct things *things)
{
    end_shield(things);
    return 0;
}

/* ---- sync.h ---- */

static int call_mutex_init(struct things *things)
{
    seam_mutex_init(&things->mutex);
    return 0;
}

static void lock_mutex(struct things *things)
{
    CHECK_OK(seam_mutex_lock(&things->mutex, SEAM_FOREVER));
}

static int call_mutex_lock(struct things *things)
{
    return seam_mutex_lock(&things->mutex, SEAM_FOREVER);
}

static int call_mutex_unlock(struct things *things)
{
    seam_mutex_unlock(&things->mutex);
    return 0;
}

static int call_semaphore_init(struct things *things)
{
    seam_semaphore_init(&things->semaphore, 1);
    return 0;
}

static int call_semaphore_acquire(struct things *things)
{
    return seam_semaphore_acquire(&things->semaphore, SEAM_FOREVER);
}

static int call_semaphore_post(struct things *things)
{
    return seam_semaphore_post(&things->semaphore);
}

static int call_event_init(struct things *things)
{
    seam_event_init(&things->event);
    return 0;
}

static int call_event_set(struct things *things)
{
    seam_event_set(&things->event);
    return 0;
}

static int call_event_reset(struct things *things)
{
    seam_event_reset(&things->event);
    return 0;
}

static int call_event_wait(struct things *things)
{
    return seam_event_wait(&things->event, SEAM_FOREVER);
}

/* ---- task.h ---- */

static int do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int call_spawn(struct things *things)
{
    return seam_spawn(seam_runtime_root(things->runtime), do_nothing, NULL, NULL, NULL);
}

static int call_join(struct things *things)
{
    return seam_join(things->task, NULL, SEAM_FOREVER);
}

static int call_yield(struct things *things)
{
    (void)things;
    return seam_yield();
}

static int call_pin_begin(struct things *things)
{
    (void)things;
    seam_pin_begin();
    return 0;
}

static int call_pin_end(struct things *things)
{
    (void)things;
    seam_pin_begin();
    seam_pin_end();
    seam_pin_end(); /* one too many */
    return 0;
}

static int call_task_name(struct things *things)
{
    const char *name = seam_task_name();
    return (name != NULL) == things->in_task ? 0 : -EINVAL;
}

static const struct exercise exercises[] = {
        {"seam_accept", NULL, call_accept, NULL},
        {"seam_address", NULL, call_address, NULL},
        {"seam_adopt", NULL, call_adopt, NULL},
        {"seam_after", NULL, call_after, NULL},
        {"seam_await_fd", NULL, call_await_fd, NULL},
        {"seam_block", NULL, call_block, NULL},
        {"seam_block_owned", NULL, call_block_owned, NULL},
        {"seam_blocking_begin", NULL, call_blocking_begin, NULL},
        {"seam_blocking_end", NULL, call_blocking_end, NULL},
        {"seam_bridge_call", NULL, call_bridge_call, NULL},
        {"seam_bridge_call_owned", NULL, call_bridge_call_owned, NULL},
        {"seam_bridge_close", NULL, call_bridge_close, NULL},
        {"seam_bridge_free", NULL, call_bridge_free, NULL},
        {"seam_bridge_new", NULL, call_bridge_new, NULL},
        {"seam_bridge_reopen", NULL, call_bridge_reopen, NULL},
        {"seam_bridge_stats_read", NULL, call_bridge_stats_read, NULL},
        {"seam_call", NULL, call_call, NULL},
        {"seam_call_owned", NULL, call_call_owned, NULL},
        {"seam_cancelled", NULL, call_cancelled, NULL},
        {"seam_chan_close", NULL, call_chan_close, NULL},
        {"seam_chan_free", NULL, call_chan_free, NULL},
        {"seam_chan_new", NULL, call_chan_new, NULL},
        {"seam_chan_recv", NULL, call_chan_recv, NULL},
        {"seam_chan_send", NULL, call_chan_send, NULL},
        {"seam_close", NULL, call_close, NULL},
        {"seam_connect", NULL, call_connect, NULL},
        {"seam_errno_location", NULL, call_errno_location, NULL},
        {"seam_event_init", NULL, call_event_init, NULL},
        {"seam_event_reset", NULL, call_event_reset, NULL},
        {"seam_event_set", NULL, call_event_set, NULL},
        {"seam_event_wait", NULL, call_event_wait, NULL},
        {"seam_fail", NULL, call_fail, NULL},
        {"seam_job_class_new", NULL, call_job_class_new, NULL},
        {"seam_job_class_stats_read", NULL, call_job_class_stats_read, NULL},
        {"seam_join", NULL, call_join, NULL},
        {"seam_listen", NULL, call_listen, NULL},
        {"seam_mutex_init", NULL, call_mutex_init, NULL},
        {"seam_mutex_lock", NULL, call_mutex_lock, NULL},
        {"seam_mutex_unlock", lock_mutex, call_mutex_unlock, NULL},
        {"seam_now_ns", NULL, call_now_ns, NULL},
        {"seam_pin_begin", NULL, call_pin_begin, NULL},
        {"seam_pin_end", NULL, call_pin_end, NULL},
        {"seam_read", NULL, call_read, NULL},
        {"seam_release", NULL, call_release, NULL},
        {"seam_run", NULL, call_run, NULL},
        {"seam_runtime_default", NULL, call_runtime_default, NULL},
        {"seam_runtime_fd", NULL, call_runtime_fd, NULL},
        {"seam_runtime_free", NULL, call_runtime_free, NULL},
        {"seam_runtime_new", NULL, call_runtime_new, NULL},
        {"seam_runtime_poll", NULL, call_runtime_poll, NULL},
        {"seam_runtime_jobs", NULL, call_runtime_jobs, NULL},
        {"seam_runtime_root", NULL, call_runtime_root, NULL},
        {"seam_runtime_stats_read", NULL, call_runtime_stats_read, NULL},
        {"seam_runtime_stop", NULL, call_runtime_stop, NULL},
        {"seam_scope_begin", NULL, call_scope_begin, end_scope},
        {"seam_scope_cancel", open_scope, call_scope_cancel, end_scope},
        {"seam_scope_end", open_scope, call_scope_end, end_scope},
        {"seam_semaphore_acquire", NULL, call_semaphore_acquire, NULL},
        {"seam_semaphore_init", NULL, call_semaphore_init, NULL},
        {"seam_semaphore_post", NULL, call_semaphore_post, NULL},
        {"seam_shield_begin", NULL, call_shield_begin, end_shield},
        {"seam_shield_end", begin_shield, call_shield_end, end_shield},
        {"seam_shutdown", NULL, call_shutdown, NULL},
        {"seam_sleep", NULL, call_sleep, NULL},
        {"seam_spawn", NULL, call_spawn, NULL},
        {"seam_stop_report_print", NULL, call_stop_report_print, NULL},
        {"seam_task_name", NULL, call_task_name, NULL},
        {"seam_write", NULL, call_write, NULL},
        {"seam_yield", NULL, call_yield, NULL},
};

const struct exercise *find_exercise(const char *name)
{
    for (size_t i = 0; i < sizeof exercises / sizeof exercises[0]; i++) {
        if (strcmp(exercises[i].name, name) == 0) return &exercises[i];
    }
    return NULL;
}
