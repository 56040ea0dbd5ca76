/* SPDX-License-Identifier: MIT */
/*
 * pipeline.c - three stages that run beside each other, joined by channels.
 *
 *     main (a thread)     count --- numbers ---> square --- squares ---> main adds up
 *
 * Closing a channel is the word that nothing more comes; it travels down the pipeline by itself.
 */
#include <stdio.h>
#include <stdlib.h>

#include "seam.h"

enum { LAST = 1000, ROOM = 16 };

struct pipeline {
    seam_chan *numbers;
    seam_chan *squares;
};

static SEAM_SUSPENDS int count(void *arg)
{
    struct pipeline *pipeline = arg;
    int r = 0;
    for (int64_t i = 1; i <= LAST && r == 0; i++) {
        r = seam_chan_send(pipeline->numbers, &i, SEAM_FOREVER);
    }
    seam_chan_close(pipeline->numbers);
    return r;
}

static SEAM_SUSPENDS int square(void *arg)
{
    struct pipeline *pipeline = arg;
    int64_t number = 0;
    int r = 0;
    while (r == 0 && seam_chan_recv(pipeline->numbers, &number, SEAM_FOREVER) == 0) {
        int64_t result = number * number;
        r = seam_chan_send(pipeline->squares, &result, SEAM_FOREVER);
    }
    seam_chan_close(pipeline->squares);
    return r;
}

/* Returns 0 when the stages have ended, each having done its part. */
static SEAM_SUSPENDS int add_up(struct pipeline *pipeline, int64_t *out_sum)
{
    struct seam_scope scope;
    int r = seam_scope_begin(&scope, NULL, seam_after(10 * SEAM_SECOND));
    if (r < 0) return r;

    int64_t sum = 0;
    int64_t value = 0;
    r = seam_spawn(&scope, count, pipeline, NULL, NULL);
    if (r == 0) r = seam_spawn(&scope, square, pipeline, NULL, NULL);
    while (r == 0 && (r = seam_chan_recv(pipeline->squares, &value, SEAM_FOREVER)) == 0) {
        sum += value;
    }
    if (r != -EPIPE) (void)seam_scope_cancel(&scope); /* not the ordinary end */
    int ended = seam_scope_end(&scope);
    *out_sum = sum;
    return r == -EPIPE ? ended : r;
}

int main(void)
{
    struct pipeline pipeline = {.numbers = NULL};
    int64_t sum = 0;
    int r = seam_chan_new(sizeof(int64_t), ROOM, &pipeline.numbers);
    if (r == 0) r = seam_chan_new(sizeof(int64_t), ROOM, &pipeline.squares);
    if (r == 0) r = add_up(&pipeline, &sum);
    printf("%d squares add up to %lld: %d\n", LAST, (long long)sum, r);
    seam_chan_free(pipeline.numbers);
    seam_chan_free(pipeline.squares);
    return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
