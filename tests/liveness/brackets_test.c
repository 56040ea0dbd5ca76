/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

#include "seam.h"

#include "check/check.h"

/* A task that blocks or computes until another has run; the one worker must be taken from it. */
struct scene {
    int fds[2];
    atomic_int flag;
    struct seam_runtime_stats stats;
};

static void pass(const struct scene *scene)
{
    char byte = 0;
    CHECK_EQ(read(scene->fds[0], &byte, 1), 1);
}

static int help(void *arg)
{
    struct scene *scene = arg;
    atomic_store(&scene->flag, 1);
    return (int)write(scene->fds[1], "x", 1);
}

static void play(struct scene *scene, seam_fn *fn)
{
    CHECK_OK(pipe2(scene->fds, O_CLOEXEC));
    const struct seam_options options = {.workers = 1, .quiet_incidents = true};
    seam_runtime *runtime = NULL;
    CHECK_OK(seam_runtime_new(&options, &runtime));
    CHECK_OK(seam_call(runtime, fn, scene, NULL, SEAM_FOREVER));
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_runtime_stats_read(runtime, &scene->stats);
    seam_runtime_free(runtime);
    CHECK_OK(close(scene->fds[0]));
    CHECK_OK(close(scene->fds[1]));
}

/* Spawn the helper, do body with a mark or without, and wait for the helper. */
#define BEGIN_SCENE(arg) \
    struct scene *scene = (arg); \
    struct seam_scope scope; \
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER)); \
    CHECK_OK(seam_spawn(&scope, help, scene, NULL, NULL))
#define END_SCENE() return seam_scope_end(&scope)

static int block_marked(void *arg)
{
    BEGIN_SCENE(arg);
    seam_blocking_begin();
    pass(scene);
    seam_blocking_end();
    END_SCENE();
}

TEST(a_task_that_says_it_blocks_is_overtaken_and_not_reported)
{
    struct scene scene = {};
    play(&scene, block_marked);
    CHECK_EQ(scene.stats.handovers, 1);
    CHECK_EQ(scene.stats.blocked, 0);
}

static int compute_marked(void *arg)
{
    BEGIN_SCENE(arg);
    seam_blocking_begin();
    while (atomic_load(&scene->flag) == 0) {
    }
    seam_blocking_end();
    END_SCENE();
}

TEST(a_task_that_says_it_blocks_is_believed)
{
    struct scene scene = {};
    play(&scene, compute_marked);
    CHECK_EQ(scene.stats.handovers, 1);
    CHECK_EQ(scene.stats.busy, 0);
}

static int block_marked_twice(void *arg)
{
    BEGIN_SCENE(arg);
    seam_blocking_begin();
    seam_blocking_begin();
    seam_blocking_end();
    pass(scene);
    seam_blocking_end();
    END_SCENE();
}

TEST(a_mark_lasts_until_its_outermost_end)
{
    struct scene scene = {};
    play(&scene, block_marked_twice);
    CHECK_EQ(scene.stats.blocked, 0);
}

static int block_after_the_end(void *arg)
{
    BEGIN_SCENE(arg);
    seam_blocking_end();
    seam_blocking_begin();
    seam_blocking_begin();
    seam_blocking_end();
    seam_blocking_end();
    pass(scene);
    END_SCENE();
}

TEST(a_mark_that_has_ended_has_no_effect)
{
    struct scene scene = {};
    play(&scene, block_after_the_end);
    CHECK_EQ(scene.stats.blocked, 1);
}

static int block_after_a_wait(void *arg)
{
    seam_blocking_begin();
    CHECK_OK(seam_yield());
    BEGIN_SCENE(arg);
    pass(scene);
    seam_blocking_end();
    END_SCENE();
}

TEST(a_mark_ends_with_a_wait)
{
    struct scene scene = {};
    play(&scene, block_after_a_wait);
    CHECK_EQ(scene.stats.blocked, 1);
}
