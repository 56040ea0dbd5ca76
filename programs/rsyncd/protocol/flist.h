/* SPDX-License-Identifier: MIT */
/*
 * flist.h - the file list in memory: compact, sorted as both sides must sort it.
 *
 * An entry costs sizeof(struct flist_entry) plus its last name component; directory names, link
 * targets and sums live in one arena, and siblings share their directory's name.
 *
 *     flist_add() ...   flist_sort()   flist_get(list, index)    index is what travels on the wire
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FLIST_PATH_MAX = 4096,
    FLIST_SUM_BYTES_MAX = 20,
    FLIST_HLINK_NONE = -1,
    FLIST_HLINK_FIRST = -2,
};

/* One entry, unpacked. Pointers are borrowed. */
struct flist_item {
    const char *path; /* relative to the transfer root; "." is the root itself */
    size_t path_len;
    int64_t size;
    int64_t mtime;
    uint32_t mode; /* st_mode */
    uint32_t mtime_ns;
    uint32_t uid;
    uint32_t gid;
    uint32_t rdev_major;
    uint32_t rdev_minor;
    const char *target; /* symlinks; NULL otherwise */
    size_t target_len;
    const uint8_t *sum; /* regular files under -c; NULL otherwise */
    size_t sum_len;
    int32_t hlink;   /* FLIST_HLINK_*, or the index of the first link of the group */
    bool is_top_dir; /* an argument directory whose contents follow */
    bool no_content; /* a directory that is not descended into */
    /* Incremental recursion only: names sent in line with an id's first appearance, or NULL. */
    const char *user_name;
    const char *group_name;
};

struct flist_entry; /* flist.c */

struct flist {
    struct flist_entry *entries; /* heap */
    size_t count;
    size_t capacity;
    uint8_t *arena; /* heap; offset 0 is never used */
    size_t arena_len;
    size_t arena_capacity;
    size_t bytes_max;  /* entries and arena together */
    uint32_t last_dir; /* arena offset of the directory name added last */
    uint32_t last_dir_len;
};

/* An empty list that will use at most bytes_max bytes. */
void flist_init(struct flist *list, size_t bytes_max);
void flist_fini(struct flist *list);

/* Copy one entry in. 0, -EINVAL (path empty, unsafe or too long, target or sum too long),
 * -ENOBUFS (bytes_max), -ENOMEM. */
int flist_add(struct flist *list, const struct flist_item *item);

/* Sort as protocol 29 and later do. Equal paths keep the order they were added in. */
void flist_sort(struct flist *list);

/* Unpack an entry; path[FLIST_PATH_MAX] receives its name and item->path points to it. -EINVAL if
 * there is no such index. */
int flist_get(const struct flist *list, size_t index, struct flist_item *out_item, char *path);

/* Mode alone, without unpacking; 0 if there is no such index. */
uint32_t flist_mode(const struct flist *list, size_t index);

/* The order itself, for two paths: < 0, 0, > 0. */
int flist_compare_paths(const char *left, bool left_is_dir, const char *right, bool right_is_dir);

/* Bytes used. */
size_t flist_bytes(const struct flist *list);
