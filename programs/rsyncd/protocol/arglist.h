/* SPDX-License-Identifier: MIT */
/*
 * arglist.h - the client's arguments as they arrive: NUL-terminated strings, an empty one ends.
 *
 * Memory is bounded by ARGLIST_BYTES_MAX whatever the client sends.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kit/buf.h"
#include "kit/cursor.h"
#include "kit/fault.h"

enum {
    ARGLIST_COUNT_MAX = 16000,
    ARGLIST_ARG_BYTES_MAX = 5120,
    ARGLIST_BYTES_MAX = 1 << 20, /* all together, terminators included */
};

struct arglist {
    struct buf bytes; /* every argument so far with its NUL */
    size_t arg_start; /* in bytes: of the argument being read */
    size_t count;     /* complete arguments, the empty one not counted */
    bool is_complete;
    char **args; /* heap, count + 1 pointers, the last NULL; NULL until complete */
};

void arglist_init(struct arglist *list);
void arglist_fini(struct arglist *list);

/* Consume bytes from in up to the end of the list. 0 when complete, -EAGAIN when all of in was
 * consumed and the list goes on; -E2BIG with words in fault; -ENOMEM. */
int arglist_feed(struct arglist *list, struct cursor *in, struct fault *fault);
