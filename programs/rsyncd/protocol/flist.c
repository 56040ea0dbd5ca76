/* SPDX-License-Identifier: MIT */
/*
 * flist.c - 56 bytes and a name for each file.
 *
 * The arena holds, back to back: directory names (each once for a run of siblings), last
 * components, and "extras", all NUL-terminated where they are text. What only some kinds of entry
 * have (link target, checksum, device numbers) is behind extra_at; the mode says which it is.
 *
 * Invariants
 *   1. Arena offsets grow with each entry added: names at a lower offset were added earlier.
 *   2. Directory names carry no trailing slash; "" is the transfer root.
 */
#include "protocol/flist.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "kit/path.h"

struct flist_entry {
    int64_t size;
    int64_t mtime;
    uint32_t mtime_ns;
    uint32_t uid;
    uint32_t gid;
    uint32_t name_at;  /* last component */
    uint32_t dir_at;   /* directory name; 0: the root */
    uint32_t extra_at; /* 0: none */
    int32_t hlink;
    uint16_t mode;
    uint16_t extra_len;
    uint8_t flags;
};
_Static_assert(sizeof(struct flist_entry) <= 56, "an entry is small: there may be millions");

enum { IS_TOP_DIR = 1 << 0, NO_CONTENT = 1 << 1 };
enum { ENTRIES_FIRST = 16, ARENA_FIRST = 1024 };

void flist_init(struct flist *list, size_t bytes_max)
{
    *list = (struct flist){.bytes_max = bytes_max};
}

void flist_fini(struct flist *list)
{
    free(list->entries);
    free(list->arena);
    flist_init(list, list->bytes_max);
}

size_t flist_bytes(const struct flist *list)
{
    return list->capacity * sizeof *list->entries + list->arena_capacity;
}

/* Double a block of memory within the list's limit, at least to wanted bytes. */
static int grow(const struct flist *list, void **block, size_t *bytes, size_t wanted)
{
    size_t others = flist_bytes(list) - *bytes;
    if (others > list->bytes_max || wanted > list->bytes_max - others) return -ENOBUFS;
    size_t target = wanted > *bytes * 2 ? wanted : *bytes * 2;
    if (target > list->bytes_max - others) target = list->bytes_max - others;

    void *grown = realloc(*block, target);
    if (grown == NULL) return -ENOMEM;
    *block = grown;
    *bytes = target;
    return 0;
}

static int reserve_entry(struct flist *list)
{
    if (list->count < list->capacity) return 0;
    if (list->count >= INT32_MAX) return -ENOBUFS;
    size_t wanted_count = list->count == 0 ? ENTRIES_FIRST : list->count + 1;
    size_t bytes = list->capacity * sizeof *list->entries;
    void *block = list->entries;
    int r = grow(list, &block, &bytes, wanted_count * sizeof *list->entries);
    if (r < 0) return r;

    list->entries = block;
    list->capacity = bytes / sizeof *list->entries;
    return 0;
}

static int reserve_arena(struct flist *list, size_t len)
{
    if (list->arena_len == 0) list->arena_len = 1; /* offset 0 means "none" */
    size_t wanted = list->arena_len + len;
    if (wanted > UINT32_MAX) return -ENOBUFS;
    if (wanted <= list->arena_capacity) return 0;
    if (wanted < ARENA_FIRST && list->bytes_max > 2 * (size_t)ARENA_FIRST) wanted = ARENA_FIRST;
    void *block = list->arena;
    size_t bytes = list->arena_capacity;
    int r = grow(list, &block, &bytes, wanted);
    if (r < 0) return r;

    list->arena = block;
    list->arena_capacity = bytes;
    list->arena[0] = '\0';
    return 0;
}

/* Copy into the arena, which has room; text gets its NUL. */
static uint32_t keep(struct flist *list, const void *bytes, size_t len)
{
    uint32_t at = (uint32_t)list->arena_len;
    memcpy(list->arena + at, bytes, len);
    list->arena[at + len] = '\0';
    list->arena_len += len + 1;
    return at;
}

static const char *text_at(const struct flist *list, uint32_t at)
{
    return at == 0 ? "" : (const char *)list->arena + at;
}

static uint32_t keep_dir(struct flist *list, const char *dir, size_t len)
{
    if (len == 0) return 0;
    bool is_same = list->last_dir != 0 && list->last_dir_len == len
            && memcmp(text_at(list, list->last_dir), dir, len) == 0;
    if (!is_same) {
        list->last_dir = keep(list, dir, len);
        list->last_dir_len = (uint32_t)len;
    }
    return list->last_dir;
}

/* What only some kinds of entry have. */
static void keep_extra(struct flist *list, struct flist_entry *entry, const struct flist_item *item)
{
    if (S_ISLNK(item->mode) && item->target != NULL) {
        entry->extra_at = keep(list, item->target, item->target_len);
        entry->extra_len = (uint16_t)item->target_len;
    } else if (S_ISREG(item->mode) && item->sum != NULL) {
        entry->extra_at = keep(list, item->sum, item->sum_len);
        entry->extra_len = (uint16_t)item->sum_len;
    } else if (S_ISCHR(item->mode) || S_ISBLK(item->mode)) {
        uint32_t rdev[2] = {item->rdev_major, item->rdev_minor};
        entry->extra_at = keep(list, rdev, sizeof rdev);
        entry->extra_len = sizeof rdev;
    }
}

int flist_add(struct flist *list, const struct flist_item *item)
{
    if (item->path_len >= FLIST_PATH_MAX || strlen(item->path) != item->path_len) return -EINVAL;
    if (!path_is_safe(item->path)) return -EINVAL;
    if (item->target_len >= FLIST_PATH_MAX || item->sum_len > FLIST_SUM_BYTES_MAX) return -EINVAL;
    if (item->mode > UINT16_MAX) return -EINVAL;

    const char *name = path_base(item->path);
    size_t dir_len = name == item->path ? 0 : (size_t)(name - item->path) - 1;
    size_t name_len = item->path_len - (size_t)(name - item->path);
    int r = reserve_entry(list);
    if (r < 0) return r;
    enum { TERMINATORS_AND_RDEV = 3 + 8 };
    r = reserve_arena(
            list, item->path_len + item->target_len + item->sum_len + TERMINATORS_AND_RDEV);
    if (r < 0) return r;

    struct flist_entry *entry = &list->entries[list->count++];
    *entry = (struct flist_entry){.size = item->size,
            .mtime = item->mtime,
            .mtime_ns = item->mtime_ns,
            .uid = item->uid,
            .gid = item->gid,
            .hlink = item->hlink,
            .mode = (uint16_t)item->mode};
    if (item->is_top_dir) entry->flags |= IS_TOP_DIR;
    if (item->no_content) entry->flags |= NO_CONTENT;
    entry->dir_at = keep_dir(list, item->path, dir_len);
    entry->name_at = keep(list, name, name_len);
    keep_extra(list, entry, item);
    return 0;
}

/* A path to compare: two texts, as if joined by a slash. */
struct key {
    const char *dir; /* "" for the root */
    const char *name;
    bool is_dir;
};

/* The next component: *dir is used up first, then *name. */
static const char *next_component(struct key *key, size_t *out_len, bool *out_is_dir)
{
    bool is_last = *key->dir == '\0';
    const char **from = is_last ? &key->name : &key->dir;
    const char *at = *from;
    size_t len = strcspn(at, "/");
    *from += len;
    if (**from == '/') (*from)++;
    *out_len = len;
    *out_is_dir = !is_last || *key->name != '\0' || key->is_dir;
    return at;
}

static int compare_components(
        const char *left, size_t left_len, const char *right, size_t right_len, bool are_dirs)
{
    size_t shared = left_len < right_len ? left_len : right_len;
    int r = memcmp(left, right, shared);
    if (r != 0 || left_len == right_len) return r;
    /* Behind its end a directory has a slash, a file has nothing. */
    int end = are_dirs ? '/' : -1;
    int left_byte = left_len > shared ? (unsigned char)left[shared] : end;
    int right_byte = right_len > shared ? (unsigned char)right[shared] : end;
    return left_byte - right_byte;
}

static bool is_root(const struct key *key)
{
    return *key->dir == '\0' && key->name[0] == '.' && key->name[1] == '\0';
}

static int compare_keys(struct key left, struct key right)
{
    if (is_root(&left) || is_root(&right)) return (int)is_root(&right) - (int)is_root(&left);
    for (;;) {
        bool is_left_over = *left.dir == '\0' && *left.name == '\0';
        bool is_right_over = *right.dir == '\0' && *right.name == '\0';
        if (is_left_over || is_right_over) return (int)is_right_over - (int)is_left_over;

        size_t left_len = 0;
        size_t right_len = 0;
        bool is_left_dir = false;
        bool is_right_dir = false;
        const char *left_at = next_component(&left, &left_len, &is_left_dir);
        const char *right_at = next_component(&right, &right_len, &is_right_dir);
        if (is_left_dir != is_right_dir) return (int)is_left_dir - (int)is_right_dir;

        int r = compare_components(left_at, left_len, right_at, right_len, is_left_dir);
        if (r != 0) return r;
    }
}

int flist_compare_paths(const char *left, bool left_is_dir, const char *right, bool right_is_dir)
{
    struct key left_key = {.dir = "", .name = left, .is_dir = left_is_dir};
    struct key right_key = {.dir = "", .name = right, .is_dir = right_is_dir};
    return compare_keys(left_key, right_key);
}

static struct key key_of(const struct flist *list, const struct flist_entry *entry)
{
    return (struct key){.dir = text_at(list, entry->dir_at),
            .name = text_at(list, entry->name_at),
            .is_dir = S_ISDIR(entry->mode)};
}

static int compare_entries(const void *left_arg, const void *right_arg, void *list_arg)
{
    const struct flist *list = list_arg;
    const struct flist_entry *left = left_arg;
    const struct flist_entry *right = right_arg;
    struct key left_key = key_of(list, left);
    struct key right_key = key_of(list, right);
    if (left->dir_at == right->dir_at) {
        left_key.dir = "";
        right_key.dir = "";
    }
    int r = compare_keys(left_key, right_key);
    if (r != 0) return r;
    /* Equal paths: as they were added. */
    return left->name_at < right->name_at ? -1 : left->name_at > right->name_at;
}

void flist_sort(struct flist *list)
{
    if (list->count < 2) return;
    qsort_r(list->entries, list->count, sizeof *list->entries, compare_entries, list);
}

/* Join directory and name into path[FLIST_PATH_MAX]; flist_add() made sure that they fit. */
static size_t join(const struct flist *list, const struct flist_entry *entry, char *path)
{
    const char *dir = text_at(list, entry->dir_at);
    const char *name = text_at(list, entry->name_at);
    size_t len = strlen(dir);
    /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): the name brings the end */
    memcpy(path, dir, len);
    if (len > 0) path[len++] = '/';
    size_t name_len = strlen(name);
    memcpy(path + len, name, name_len + 1);
    return len + name_len;
}

int flist_get(const struct flist *list, size_t index, struct flist_item *out_item, char *path)
{
    if (index >= list->count) return -EINVAL;
    const struct flist_entry *entry = &list->entries[index];
    *out_item = (struct flist_item){.path = path,
            .path_len = join(list, entry, path),
            .mode = entry->mode,
            .size = entry->size,
            .mtime = entry->mtime,
            .mtime_ns = entry->mtime_ns,
            .uid = entry->uid,
            .gid = entry->gid,
            .hlink = entry->hlink,
            .is_top_dir = (entry->flags & IS_TOP_DIR) != 0,
            .no_content = (entry->flags & NO_CONTENT) != 0};
    if (entry->extra_at == 0) return 0;

    const uint8_t *extra = list->arena + entry->extra_at;
    if (S_ISLNK(entry->mode)) {
        out_item->target = (const char *)extra;
        out_item->target_len = entry->extra_len;
    } else if (S_ISREG(entry->mode)) {
        out_item->sum = extra;
        out_item->sum_len = entry->extra_len;
    } else {
        memcpy(&out_item->rdev_major, extra, sizeof out_item->rdev_major);
        memcpy(&out_item->rdev_minor, extra + 4, sizeof out_item->rdev_minor);
    }
    return 0;
}

uint32_t flist_mode(const struct flist *list, size_t index)
{
    return index < list->count ? list->entries[index].mode : 0;
}
