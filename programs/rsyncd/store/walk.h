/* SPDX-License-Identifier: MIT */
/*
 * store/walk.h - from the client's path arguments to the file list.
 *
 *     arguments --expand wildcards--> sources --lstat--> entries
 *                                        | directory
 *                                        v
 *                                  pending directories --scan--> entries, more directories
 *
 * Reading directories blocks, so the walk runs on the blocking pool: walk_step() does a bounded
 * piece of it and returns, the session calls it again. In between other sessions have their turn
 * on the pool, and cancellation and time-outs are met.
 *
 * Invariants
 *   1. No recursion: directories that wait are on `pending`, last in first out, which makes the
 *      walk depth-first and lets per-directory filter rules nest.
 *   2. A directory is opened from its base's or the module's descriptor by path, so the walk holds
 *      one directory open, however deep the tree is.
 *   3. Every entry's hlink field is an index into `origins` while the list is in memory: where the
 *      file is on disk, and which others are the same file.
 */
#pragma once

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "kit/buf.h"
#include "kit/hash.h"
#include "protocol/filter.h"
#include "protocol/flist.h"
#include "protocol/idlist.h"
#include "protocol/options.h"
#include "store/link_groups.h"

enum walk_io_error { IO_ERROR_GENERAL = 1, IO_ERROR_VANISHED = 2 };

/* One argument after wildcards are expanded. */
struct walk_source {
    char *path;         /* heap; below the module root */
    size_t literal_len; /* of path: names; what follows may still be a pattern */
    size_t relative_from;
    bool wants_contents;
};

struct walk_pending {
    char *path;         /* heap; relative to the transfer root; NULL: leave a directory's rules */
    size_t merge_index; /* for filter_leave_dir() */
    int filter_mark;
};

struct walk_origin {
    uint32_t base; /* index into bases: the directory below the root that names start from */
    int32_t group; /* of hard links; -1: none */
};

struct walk {
    /* Given by the caller, kept until walk_fini(). */
    int root_fd;
    const char *module; /* its name, for messages */
    const struct options *options;
    const struct filter *hidden; /* the daemon's rules: what they exclude does not exist */
    struct filter *filter;       /* the client's rules */
    enum hash_kind sum;          /* HASH_NONE without --checksum */
    struct flist *list;

    /* Results. */
    struct idset users;
    struct idset groups;
    struct buf notes; /* messages for the client: whole frames */
    int32_t io_error; /* enum walk_io_error, together */
    int64_t total_bytes;
    char **bases; /* heap; "" is the module root */
    size_t bases_count;
    struct walk_origin *origins;
    size_t origins_count;
    size_t origins_capacity;
    struct link_groups links;

    /* Under way. */
    size_t argument; /* next to expand */
    struct walk_source *sources;
    size_t sources_count;
    size_t sources_capacity;
    size_t source; /* next to walk */
    struct walk_pending *pending;
    size_t pending_count;
    size_t pending_capacity;
    DIR *dir;       /* being scanned; NULL: none */
    char *dir_path; /* heap; relative to the transfer root; "" for "." */
    uint32_t base;  /* of the current source */
    dev_t device;   /* of the current source */
    int base_fd;    /* of the current base, O_PATH; < 0: why it is not open */
    char *implied;  /* heap; last parent sent with --relative */
    char *path;     /* heap, WALK_PATH_BYTES: names are put together here */
    char *below;    /* heap, WALK_PATH_BYTES: the same from the module root */
    char *target;   /* heap, WALK_PATH_BYTES: of a symlink */
};

enum { WALK_PATH_BYTES = 8192, WALK_SOURCES_MAX = 1 << 20 };

/* The fields given by the caller are set; the rest is zero. 0 or -ENOMEM. */
int walk_init(struct walk *walk);
void walk_fini(struct walk *walk);

/* The walk is over: keep what tells where the list's files are, free the rest. */
void walk_trim(struct walk *walk);

/* A seam_fn for seam_block(); arg is the struct walk. 1 while there is more to do, 0 at the end;
 * -ENOBUFS when the list is longer than it may be; -ENOMEM. */
int walk_step(void *arg);

/* A name of the list as a path below the module root, in out (WALK_PATH_BYTES). -ENAMETOOLONG. */
int walk_below(const struct walk *walk, uint32_t base, const char *name, char *out);

/* How upstream writes a file's name in messages: "name" or "/base/name", and the module. */
void walk_quote(const struct walk *walk, uint32_t base, const char *name, char *out, size_t size);
