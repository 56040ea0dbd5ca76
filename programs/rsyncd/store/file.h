/* SPDX-License-Identifier: MIT */
/*
 * store/file.h - one regular file, read from its beginning to its end by a task.
 *
 * What is in the page cache is taken at once, on the worker; only what the disk must bring is
 * asked for on a thread of the blocking pool.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "seam.h"

struct file {
    int fd; /* -1: none */
    int64_t offset;
    int64_t size;      /* when it was opened */
    bool never_inline; /* this file system cannot read without blocking */
};

/*
 * Open path below root_fd. follows_links: links inside the module are resolved (--copy-links).
 * 0, -EINVAL if it is not a regular file, or a negative errno of openat2(2). Suspends.
 */
SEAM_SUSPENDS int file_open(struct file *file, int root_fd, const char *path, bool follows_links);

/* The next bytes: how many, 0 at the end, or a negative errno. Suspends. */
SEAM_SUSPENDS ssize_t file_read(struct file *file, void *buf, size_t bytes);

/* -1 is fine. Never suspends. */
void file_close(struct file *file);
