/* SPDX-License-Identifier: MIT */
/*
 * walk_entry.c - one file: what it is, and its line in the list.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "seam.h"

#include "kit/auto.h"
#include "protocol/mux.h"
#include "store/root.h"
#include "store/walk_parts.h"

enum { SUM_READ_BYTES = 128 << 10 };

int walk_grow(void **records, size_t *capacity, size_t count, size_t record_bytes)
{
    if (count < *capacity) return 0;

    size_t wanted = *capacity == 0 ? 16 : *capacity * 2;
    void *grown = realloc(*records, wanted * record_bytes);
    if (grown == NULL) return -ENOMEM;
    *records = grown;
    *capacity = wanted;
    return 0;
}

/* Whether a link at `from` (relative to the transfer root) points out of the transfer. */
static bool is_unsafe_link(const char *target, const char *from)
{
    if (*target == '\0' || *target == '/') return true;

    int depth = 0;
    for (const char *at = from; (at = strchr(at, '/')) != NULL; at++) {
        depth++;
    }
    while (*target != '\0') {
        size_t len = strcspn(target, "/");
        bool is_up = len == 2 && target[0] == '.' && target[1] == '.';
        bool is_here = len == 0 || (len == 1 && target[0] == '.');
        if (is_up && --depth < 0) return true;
        if (!is_up && !is_here) depth++;
        target += len;
        target += strspn(target, "/");
    }
    return false;
}

static int stat_through_link(struct walk *walk, struct stat *out_st)
{
    sm_auto_close int fd = root_open_below(walk->root_fd, walk->below, O_PATH, ROOT_FOLLOW);
    if (fd < 0) return fd;
    return fstat(fd, out_st) < 0 ? sm_neg_errno() : 0;
}

static void note_no_referent(struct walk *walk)
{
    char quoted[2048];
    walk_quote(walk, walk->base, walk->path, quoted, sizeof quoted);
    walk->io_error |= IO_ERROR_GENERAL;
    (void)mux_put_text(&walk->notes, MUX_ERROR_XFER, "symlink has no referent: %s", quoted);
}

int walk_stat(struct walk *walk, int dir_fd, const char *name, struct stat *out_st)
{
    const struct options *options = walk->options;
    if (fstatat(dir_fd, name, out_st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0) {
        return sm_neg_errno();
    }
    if (!S_ISLNK(out_st->st_mode)) return 0;

    ssize_t len = readlinkat(dir_fd, name, walk->target, FLIST_PATH_MAX - 1);
    if (len < 0) return sm_neg_errno();
    walk->target[len] = '\0';

    bool is_wanted = options->copies_links
            || (options->copies_unsafe_links && is_unsafe_link(walk->target, walk->path));
    if (!is_wanted && !options->copies_dir_links) return 0;

    struct stat behind;
    int r = stat_through_link(walk, &behind);
    if (r == 0 && (is_wanted || S_ISDIR(behind.st_mode))) *out_st = behind;
    if (!is_wanted || r != -ENOENT) return is_wanted ? r : 0;

    bool is_hidden = filter_excludes(walk->hidden, walk->below, false)
            || filter_excludes(walk->filter, walk->path, false);
    if (!is_hidden) note_no_referent(walk);
    return -ECHILD; /* told already */
}

/* The whole file's sum for --checksum. A file that cannot be read has zeros, which differ. */
static void sum_file(struct walk *walk, uint8_t *out_sum)
{
    struct hash hash;
    uint8_t *chunk = malloc(SUM_READ_BYTES);
    memset(out_sum, 0, FLIST_SUM_BYTES_MAX);
    if (chunk == NULL || hash_init(&hash, walk->sum, 0) < 0) {
        free(chunk);
        return;
    }

    sm_auto_close int fd = root_open_below(
            walk->root_fd, walk->below, O_RDONLY | O_NONBLOCK | O_NOCTTY, ROOT_FOLLOW);
    ssize_t n = fd < 0 ? -1 : read(fd, chunk, SUM_READ_BYTES);
    while (n > 0) {
        hash_update(&hash, chunk, (size_t)n);
        n = read(fd, chunk, SUM_READ_BYTES);
    }
    if (n == 0) hash_final(&hash, out_sum);
    hash_fini(&hash);
    free(chunk);
}

/* Where the entry is, for the time the list is in memory: an index into origins. */
static int32_t note_origin(struct walk *walk, const struct stat *st)
{
    int32_t group = -1;
    if (walk->options->keep_hard_links && !S_ISDIR(st->st_mode) && st->st_nlink > 1) {
        group = link_groups_add(&walk->links, st->st_dev, st->st_ino);
        if (group < 0) return group;
    }

    /* Siblings share one record; only members of hard link groups need their own. */
    const struct walk_origin *last =
            walk->origins_count == 0 ? NULL : &walk->origins[walk->origins_count - 1];
    if (last != NULL && last->base == walk->base && last->group == group) {
        return (int32_t)walk->origins_count - 1;
    }
    int r = walk_grow((void **)&walk->origins, &walk->origins_capacity, walk->origins_count,
            sizeof *walk->origins);
    if (r < 0 || walk->origins == NULL) return -ENOMEM;
    walk->origins[walk->origins_count] = (struct walk_origin){.base = walk->base, .group = group};
    return (int32_t)walk->origins_count++;
}

static void fill_item(struct flist_item *item, const struct walk *walk, const struct stat *st)
{
    item->path = walk->path;
    item->path_len = strlen(walk->path);
    item->mode = st->st_mode;
    item->size = st->st_size;
    item->mtime = st->st_mtim.tv_sec;
    item->mtime_ns = (uint32_t)st->st_mtim.tv_nsec;
    item->uid = st->st_uid;
    item->gid = st->st_gid;
    if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) {
        item->rdev_major = major(st->st_rdev);
        item->rdev_minor = minor(st->st_rdev);
    }
    if (S_ISLNK(st->st_mode)) {
        item->target = walk->target;
        item->target_len = strlen(walk->target);
        item->size = (int64_t)item->target_len;
    } else if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode)) {
        item->size = 0;
    }
}

int walk_add_entry(struct walk *walk, const struct stat *st, unsigned flags)
{
    uint8_t sum[FLIST_SUM_BYTES_MAX];
    struct flist_item item = {
            .is_top_dir = (flags & WALK_TOP_DIR) != 0,
            .no_content = (flags & WALK_NO_CONTENT) != 0,
            .hlink = note_origin(walk, st),
    };
    if (item.hlink < 0) return item.hlink;
    fill_item(&item, walk, st);
    if (walk->sum != HASH_NONE && S_ISREG(st->st_mode)) {
        sum_file(walk, sum);
        item.sum = sum;
        item.sum_len = hash_bytes(walk->sum);
    }

    int r = flist_add(walk->list, &item);
    if (r == -EINVAL) {
        walk_note_failure(walk, "send_file_name", walk->path, -ENAMETOOLONG);
        return 0;
    }
    if (r < 0) return r;
    if (S_ISREG(st->st_mode) || S_ISLNK(st->st_mode)) walk->total_bytes += item.size;
    if (walk->options->keep_owner) (void)idset_add(&walk->users, st->st_uid);
    if (walk->options->keep_group) (void)idset_add(&walk->groups, st->st_gid);
    return 0;
}
