/* SPDX-License-Identifier: MIT */
/*
 * What is a deadlock and what is not, and what the simulation says of those that are stuck in one.
 */
#include <dlfcn.h>
#include <inttypes.h>
#include <link.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <time.h>

#include "sim/shown.h"

static const struct seam_sim_options few_seeds = {.seeds = 100};

static void spawn(struct seam_scope *scope, const char *name, seam_fn *fn, void *arg)
{
    MUST(seam_spawn(scope, fn, arg, &(struct seam_task_options){.name = name}, NULL) == 0);
}

static void is_deadlock(seam_fn *fn, struct shown *shown)
{
    simulate(fn, &few_seeds, shown);
    printf("%s", shown->text);
    CHECK_EQ(shown->result, -ECHILD);
    CHECK(strstr(shown->text, "deadlock: nobody can ever go on") != NULL);
}

static void is_none(seam_fn *fn)
{
    CHECK_EQ(seam_sim_run("no deadlock", fn, NULL, &few_seeds), (int64_t)few_seeds.seeds);
}

/* ---- tasks ---- */

static struct seam_mutex mutexes[2];

static int lock_both(void *arg)
{
    const int first = arg == NULL ? 0 : 1;
    MUST(seam_mutex_lock(&mutexes[first], SEAM_FOREVER) == 0);
    MUST(seam_mutex_lock(&mutexes[1 - first], SEAM_FOREVER) == 0);
    seam_mutex_unlock(&mutexes[1 - first]);
    seam_mutex_unlock(&mutexes[first]);
    return 0;
}

static int lock_in_two_orders(void *unused)
{
    (void)unused;
    seam_runtime *runtime = new_runtime(2);
    seam_mutex_init(&mutexes[0]);
    seam_mutex_init(&mutexes[1]);
    struct seam_scope scope;
    MUST(seam_scope_begin(&scope, runtime, SEAM_FOREVER) == 0);
    spawn(&scope, "left", lock_both, NULL);
    spawn(&scope, "right", lock_both, mutexes);
    MUST(seam_scope_end(&scope) == 0);
    end_runtime(runtime);
    return 0;
}

/* Code addresses are those that addr2line takes: within the file, wherever that was loaded. */
static void is_in_this_program(const char *address)
{
    static const char program[] = "sim_verdicts+";
    CHECK(address != NULL);
    CHECK_EQ(strncmp(address, program, sizeof program - 1), 0);
    uintptr_t offset = strtoull(address + sizeof program - 1, NULL, 0);
    Dl_info own;
    Dl_info found;
    struct link_map *map = NULL;
    CHECK(dladdr1(program, &own, (void **)&map, RTLD_DL_LINKMAP) != 0);
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): an address */
    CHECK(dladdr((const void *)(map->l_addr + offset), &found) != 0);
    CHECK(found.dli_fbase == own.dli_fbase);
}

TEST(tasks_that_wait_for_each_other_are_listed_with_where_they_come_from)
{
    static struct shown shown;
    is_deadlock(lock_in_two_orders, &shown);
    static const char *const names[] = {"task 'left'", "task 'right'"};
    for (int i = 0; i < 2; i++) {
        const char *line = after(shown.text, names[i]);
        CHECK(line != NULL);
        is_in_this_program(after(line, ", spawned at "));
        const char *reason = after(line, ", waits: mutex\n");
        CHECK(reason == line + strcspn(line, "\n") + 1);
    }
    CHECK(strstr(shown.text, ", waits: scope end\n") != NULL); /* the first thread */
    is_in_this_program(after(shown.text, "preempted at "));
}

enum { MANY = 40, LISTED = 32 };

static int wait_for_nothing(void *event)
{
    return seam_event_wait(event, SEAM_FOREVER);
}

static int wait_all_for_nothing(void *unused)
{
    (void)unused;
    seam_runtime *runtime = new_runtime(1);
    struct seam_event event;
    seam_event_init(&event);
    struct seam_scope scope;
    MUST(seam_scope_begin(&scope, runtime, SEAM_FOREVER) == 0);
    for (int i = 0; i < MANY; i++) {
        spawn(&scope, "one of many", wait_for_nothing, &event);
    }
    (void)seam_scope_end(&scope);
    return 0;
}

TEST(of_many_tasks_that_wait_some_are_listed_and_the_others_counted)
{
    static struct shown shown;
    is_deadlock(wait_all_for_nothing, &shown);
    int count = 0;
    for (const char *at = after(shown.text, "waits: event\n"); at != NULL;
            at = after(at, "waits: event\n")) {
        count++;
    }
    CHECK_EQ(count, LISTED);
    CHECK(strstr(shown.text, "  and 8 more tasks\n") != NULL);
}

/* ---- tasks and locks of the system ---- */

static pthread_mutex_t os_mutexes[2] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER};

static int lock_both_of_the_system(void *arg)
{
    const int first = arg == NULL ? 0 : 1;
    MUST(pthread_mutex_lock(&os_mutexes[first]) == 0);
    (void)sched_yield();
    MUST(pthread_mutex_lock(&os_mutexes[1 - first]) == 0);
    MUST(pthread_mutex_unlock(&os_mutexes[1 - first]) == 0);
    MUST(pthread_mutex_unlock(&os_mutexes[first]) == 0);
    return 0;
}

static int block_workers_for_ever(void *unused)
{
    (void)unused;
    seam_runtime *runtime = new_runtime(2);
    struct seam_scope scope;
    MUST(seam_scope_begin(&scope, runtime, SEAM_FOREVER) == 0);
    spawn(&scope, "left", lock_both_of_the_system, NULL);
    spawn(&scope, "right", lock_both_of_the_system, os_mutexes);
    (void)seam_scope_end(&scope);
    end_runtime(runtime);
    return 0;
}

TEST(tasks_that_block_their_threads_for_ever_are_a_deadlock_although_the_monitor_looks_on)
{
    static struct shown shown;
    is_deadlock(block_workers_for_ever, &shown);
    CHECK(strstr(shown.text, "no end") == NULL);
    CHECK(strstr(shown.text, ", in task 'left', spawned at ") != NULL);
    CHECK(strstr(shown.text, ", in task 'right', spawned at ") != NULL);
}

static int block_two_runtimes_for_ever(void *unused)
{
    (void)unused;
    seam_runtime *runtimes[] = {new_runtime(1), new_runtime(1)};
    struct seam_scope scopes[2];
    for (int i = 0; i < 2; i++) {
        MUST(seam_scope_begin(&scopes[i], runtimes[i], SEAM_FOREVER) == 0);
        spawn(&scopes[i], i == 0 ? "left" : "right", lock_both_of_the_system,
                i == 0 ? NULL : os_mutexes);
    }
    for (int i = 1; i >= 0; i--) {
        (void)seam_scope_end(&scopes[i]);
        end_runtime(runtimes[i]);
    }
    return 0;
}

TEST(two_monitors_that_look_on_do_not_keep_each_other_from_a_deadlock)
{
    static struct shown shown;
    is_deadlock(block_two_runtimes_for_ever, &shown);
    CHECK(strstr(shown.text, ", in task 'left', spawned at ") != NULL);
    CHECK(strstr(shown.text, ", in task 'right', spawned at ") != NULL);
}

/* ---- what is not a deadlock ---- */

static sem_t posted;

static int sleep_and_post(void *unused)
{
    (void)unused;
    MUST(seam_sleep(seam_after(3600 * SEAM_SECOND)) == 0);
    MUST(sem_post(&posted) == 0);
    return 0;
}

static int wait_in_semaphore(void *unused)
{
    (void)unused;
    MUST(sem_wait(&posted) == 0);
    return 0;
}

/* The timer is that of the worker whose thread is blocked: but for the monitor, nobody would ever look. */
static int wait_for_a_timer_of_a_blocked_worker(void *unused)
{
    (void)unused;
    MUST(sem_init(&posted, 0, 0) == 0);
    seam_runtime *runtime = new_runtime(1);
    struct seam_scope scope;
    MUST(seam_scope_begin(&scope, runtime, SEAM_FOREVER) == 0);
    spawn(&scope, "sleeps", sleep_and_post, NULL);
    spawn(&scope, "blocks", wait_in_semaphore, NULL);
    MUST(seam_scope_end(&scope) == 0);
    end_runtime(runtime);
    return 0;
}

TEST(a_timer_of_a_worker_that_is_blocked_is_waited_for)
{
    is_none(wait_for_a_timer_of_a_blocked_worker);
}

static int lock_one_of_the_system(void *unused)
{
    (void)unused;
    MUST(pthread_mutex_lock(&os_mutexes[0]) == 0);
    MUST(pthread_mutex_unlock(&os_mutexes[0]) == 0);
    return 0;
}

static int sleep_with_a_lock(void *unused)
{
    (void)unused;
    seam_runtime *runtime = new_runtime(2);
    struct seam_scope scope;
    MUST(pthread_mutex_lock(&os_mutexes[0]) == 0);
    MUST(seam_scope_begin(&scope, runtime, SEAM_FOREVER) == 0);
    spawn(&scope, "left", lock_one_of_the_system, NULL);
    spawn(&scope, "right", lock_one_of_the_system, NULL);
    MUST(nanosleep(&(struct timespec){.tv_sec = 3600}, NULL) == 0);
    MUST(pthread_mutex_unlock(&os_mutexes[0]) == 0);
    MUST(seam_scope_end(&scope) == 0);
    end_runtime(runtime);
    return 0;
}

TEST(a_thread_that_sleeps_with_a_lock_is_waited_for)
{
    is_none(sleep_with_a_lock);
}
