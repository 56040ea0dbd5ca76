/* SPDX-License-Identifier: MIT */
/*
 * store/walk_parts.h - what the files of the walk share: walk.c (directories), walk_source.c
 * (arguments and wildcards), walk_entry.c (one file). Nobody else includes it.
 */
#pragma once

#include <stddef.h>
#include <sys/stat.h>

#include "store/walk.h"

enum { WALK_TOP_DIR = 1 << 0, WALK_NO_CONTENT = 1 << 1 };

/* Room for one more record in a growing array. 0 or -ENOMEM. */
int walk_grow(void **records, size_t *capacity, size_t count, size_t record_bytes);

/* A message for the client, and io_error. error is a negative errno. */
void walk_note_failure(struct walk *walk, const char *what, const char *name, int error);

/* Make a directory below the root the current base. */
int walk_use_base(struct walk *walk, const char *path, size_t len);

/* lstat(2), or stat(2) inside the module where the options follow links. walk->below is the path
 * from the root; name is looked up in dir_fd. The link's target is left in walk->target. */
int walk_stat(struct walk *walk, int dir_fd, const char *name, struct stat *out_st);

/* Add walk->path (and walk->target for a symlink) to the list. */
int walk_add_entry(struct walk *walk, const struct stat *st, unsigned flags);

int walk_expand(struct walk *walk, const struct options_path *argument);
int walk_begin_source(struct walk *walk, const struct walk_source *source);
int walk_push_directory(struct walk *walk, const char *name);
