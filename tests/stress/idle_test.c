/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sanitizer.h"
#include "stress/stress.h"

/* Times that the threads of a process gave up the CPU, and how many threads there are. */
struct census {
    long switches;
    int threads;
};

static long read_switches(pid_t pid, const char *tid)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/task/%.16s/status", (int)pid, tid);
    FILE *file = fopen(path, "r");
    if (file == NULL) return 0; /* it has just ended */
    char line[256];
    long count = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        const char *number = strstr(line, "voluntary_ctxt_switches:"); /* and nonvoluntary */
        if (number != NULL) count += strtol(strchr(number, ':') + 1, NULL, 10);
    }
    (void)fclose(file);
    return count;
}

static struct census take_census(pid_t pid)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *directory = opendir(path);
    if (directory == NULL) CHECK_SKIP("no /proc/PID/task here");
    struct census census = {};
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        if (entry->d_name[0] == '.') continue;
        census.switches += read_switches(pid, entry->d_name);
        census.threads++;
    }
    (void)closedir(directory);
    return census;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int use_everything(void *arg)
{
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    for (int i = 0; i < 1000; i++) {
        CHECK_OK(seam_spawn(&scope, nothing, NULL, NULL, NULL));
    }
    CHECK_OK(seam_block(NULL, nothing, NULL, NULL, SEAM_FOREVER));
    CHECK_OK(seam_sleep(seam_after(SEAM_MILLISECOND)));
    (void)arg;
    return seam_scope_end(&scope);
}

static int wait_for_ever(void *arg)
{
    return seam_event_wait(arg, SEAM_FOREVER);
}

/* A process with a runtime that has worked and has nothing to do any more. */
static _Noreturn void be_idle(int ready_fd)
{
    seam_runtime *runtime = start_runtime(8, SEAM_STEAL_DEFAULT);
    static struct seam_event never;
    for (int i = 0; i < 10; i++) {
        CHECK_OK(seam_call(runtime, use_everything, NULL, NULL, SEAM_FOREVER));
        struct seam_scope *root = seam_runtime_root(runtime);
        CHECK_OK(seam_spawn(root, wait_for_ever, &never, NULL, NULL));
    }
    CHECK_EQ(write(ready_fd, "x", 1), 1);
    for (;;) {
        (void)pause();
    }
}

/*
 * Goal: idle means idle: no thread of an idle runtime wakes up, not even now and then. Method: a
 * child that has nothing to do; the kernel's counters of how often its threads were switched do not
 * move for a second. The first looks are allowed to differ: it may still be settling.
 */
TEST(an_idle_runtime_does_not_wake_up)
{
    if (SM_TSAN) CHECK_SKIP("the sanitizer has a thread of its own that does");
    int ready[2];
    CHECK_EQ(pipe(ready), 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) be_idle(ready[1]);
    (void)close(ready[1]);
    char byte = 0;
    CHECK_EQ(read(ready[0], &byte, 1), 1);

    struct census before = {};
    struct census after = take_census(child);
    CHECK(after.threads >= 10); /* main, eight workers, the monitor, the pool */
    int looks = 0;
    do {
        before = after;
        CHECK_OK(seam_sleep(seam_after(SEAM_SECOND)));
        after = take_census(child);
        looks++;
    } while (after.switches != before.switches && looks < 5);
    printf("%d threads, %ld wake-ups in a second, %d looks\n", after.threads,
            after.switches - before.switches, looks);
    CHECK_EQ(kill(child, SIGKILL), 0);
    CHECK_EQ(waitpid(child, NULL, 0), child);
    (void)close(ready[0]);
    CHECK_EQ(after.switches, before.switches);
}
