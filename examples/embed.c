/* SPDX-License-Identifier: MIT */
/*
 * embed.c - tasks inside a loop that somebody else wrote: here, a plain poll() on one thread.
 *
 * The loop watches one descriptor more and calls seam_runtime_poll() when it is readable. Tasks run
 * on the loop's own thread, between its other callbacks, so neither needs a lock.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "seam.h"

static int tasks_left;

/* Three steps with a pause before each. The loop goes on meanwhile. */
static SEAM_SUSPENDS int count_down(void *arg)
{
    int r = 0;
    for (int step = 3; step > 0 && r == 0; step--) {
        printf("%s: %d\n", (const char *)arg, step);
        r = seam_sleep(seam_after(10 * SEAM_MILLISECOND));
    }
    tasks_left--;
    return r;
}

/* The foreign loop. A real one would have more descriptors than ours. */
static int loop(seam_runtime *runtime)
{
    struct pollfd watched = {.fd = seam_runtime_fd(runtime), .events = POLLIN};
    while (tasks_left > 0) {
        if (poll(&watched, 1, -1) < 0) return -errno;
        int r = seam_runtime_poll(runtime);
        if (r < 0) return r;
    }
    return 0;
}

int main(void)
{
    seam_runtime *runtime = NULL;
    const struct seam_options options = {.current_thread = true};
    int r = seam_runtime_new(&options, &runtime);
    if (r < 0) return EXIT_FAILURE;

    static char name[] = "task";
    r = seam_spawn(seam_runtime_root(runtime), count_down, name, NULL, NULL);
    if (r == 0) {
        tasks_left++;
        r = loop(runtime);
    }
    printf("the loop ends: %d\n", r);

    (void)seam_runtime_stop(runtime, NULL, SEAM_FOREVER);
    seam_runtime_free(runtime);
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
