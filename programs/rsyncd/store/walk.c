/* SPDX-License-Identifier: MIT */
#include "store/walk.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "seam.h"

#include "kit/auto.h"
#include "kit/path.h"
#include "protocol/mux.h"
#include "store/root.h"
#include "store/walk_parts.h"

enum { NOTES_MAX = 4 << 20, ENTRIES_PER_STEP = 512, MERGE_FILE_BYTES_MAX = 64 << 10 };

int walk_init(struct walk *walk)
{
    idset_init(&walk->users);
    idset_init(&walk->groups);
    buf_init(&walk->notes, NOTES_MAX);
    walk->base_fd = -1;
    walk->path = malloc(WALK_PATH_BYTES);
    walk->below = malloc(WALK_PATH_BYTES);
    walk->target = malloc(WALK_PATH_BYTES);
    bool has_memory = walk->path != NULL && walk->below != NULL && walk->target != NULL;
    return has_memory ? 0 : -ENOMEM;
}

void walk_trim(struct walk *walk)
{
    for (size_t i = 0; i < walk->pending_count; i++) {
        free(walk->pending[i].path);
    }
    for (size_t i = 0; i < walk->sources_count; i++) {
        free(walk->sources[i].path);
    }
    walk->pending_count = walk->sources_count = 0;
    void **const owned[] = {(void **)&walk->pending, (void **)&walk->sources,
            (void **)&walk->dir_path, (void **)&walk->implied, (void **)&walk->path,
            (void **)&walk->below, (void **)&walk->target};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) {
        free(*owned[i]);
        *owned[i] = NULL;
    }
    if (walk->dir != NULL) (void)closedir(walk->dir);
    if (walk->base_fd >= 0) (void)close(walk->base_fd);
    walk->dir = NULL;
    walk->base_fd = -1;
    buf_fini(&walk->notes);
}

void walk_fini(struct walk *walk)
{
    walk_trim(walk);
    for (size_t i = 0; i < walk->bases_count; i++) {
        free(walk->bases[i]);
    }
    free(walk->bases);
    free(walk->origins);
    link_groups_fini(&walk->links);
    idset_fini(&walk->users);
    idset_fini(&walk->groups);
}

int walk_below(const struct walk *walk, uint32_t base, const char *name, char *out)
{
    const char *dir = walk->bases[base];
    if (strcmp(name, ".") == 0) name = "";
    size_t dir_len = strlen(dir);
    size_t name_len = strlen(name);
    bool has_slash = dir_len > 0 && name_len > 0;
    if (dir_len + name_len + 2 > WALK_PATH_BYTES) return -ENAMETOOLONG;

    memcpy(out, dir, dir_len);
    if (has_slash) out[dir_len++] = '/';
    memcpy(out + dir_len, name, name_len);
    out[dir_len + name_len] = '\0';
    return 0;
}

void walk_quote(const struct walk *walk, uint32_t base, const char *name, char *out, size_t size)
{
    const char *dir = walk->bases[base];
    bool has_dir = *dir != '\0';
    (void)snprintf(out, size, "\"%s%s%s%s\" (in %s)", has_dir ? "/" : "", dir, has_dir ? "/" : "",
            name, walk->module);
}

void walk_note_failure(struct walk *walk, const char *what, const char *name, int error)
{
    char quoted[2048];
    char reason[128];
    walk_quote(walk, walk->base, name, quoted, sizeof quoted);
    const char *words = strerror_r(-error, reason, sizeof reason);
    walk->io_error |= IO_ERROR_GENERAL;
    (void)mux_put_text(&walk->notes, MUX_ERROR_XFER, "rsync: [sender] %s %s failed: %s (%d)", what,
            quoted, words, -error);
}

static void note_vanished(struct walk *walk, const char *name)
{
    char quoted[2048];
    walk_quote(walk, walk->base, name, quoted, sizeof quoted);
    walk->io_error |= IO_ERROR_VANISHED;
    (void)mux_put_text(&walk->notes, MUX_WARNING, "file has vanished: %s", quoted);
}

static int push_pending(struct walk *walk, const char *path, size_t merge_index, int filter_mark)
{
    int r = walk_grow((void **)&walk->pending, &walk->pending_capacity, walk->pending_count,
            sizeof *walk->pending);
    if (r < 0) return r;
    char *copy = path == NULL ? NULL : strdup(path);
    if (path != NULL && copy == NULL) return -ENOMEM;

    walk->pending[walk->pending_count++] = (struct walk_pending){
            .path = copy, .merge_index = merge_index, .filter_mark = filter_mark};
    return 0;
}

static int find_base(const struct walk *walk, const char *path, size_t len)
{
    for (size_t i = walk->bases_count; i-- > 0;) {
        const char *base = walk->bases[i];
        if (strlen(base) == len && memcmp(base, path, len) == 0) return (int)i;
    }
    return -ENOENT;
}

static int add_base(struct walk *walk, const char *path, size_t len)
{
    char **bases = realloc(walk->bases, (walk->bases_count + 1) * sizeof *bases);
    if (bases == NULL) return -ENOMEM;
    walk->bases = bases;
    bases[walk->bases_count] = strndup(path, len);
    if (bases[walk->bases_count] == NULL) return -ENOMEM;
    return (int)walk->bases_count++;
}

int walk_use_base(struct walk *walk, const char *path, size_t len)
{
    int base = find_base(walk, path, len);
    if (base < 0) base = add_base(walk, path, len);
    if (base < 0) return base;
    if (walk->base_fd >= 0 && walk->base == (uint32_t)base) return 0;

    if (walk->base_fd >= 0) (void)close(walk->base_fd);
    walk->base = (uint32_t)base;
    /* A negative errno stays, for whoever begins a source here. */
    walk->base_fd =
            root_open_below(walk->root_fd, walk->bases[base], O_PATH | O_DIRECTORY, ROOT_FOLLOW);
    return filter_set_root(walk->filter, walk->bases[base]);
}

/* Open a directory of the transfer: links only where the client wants them followed. */
static int open_directory(struct walk *walk, const char *path)
{
    const struct options *options = walk->options;
    int r = walk_below(walk, walk->base, path, walk->below);
    if (r < 0) return r;

    bool follows =
            options->copies_links || options->copies_dir_links || options->copies_unsafe_links;
    int flags = O_RDONLY | O_DIRECTORY | O_NONBLOCK;
    if (follows) return root_open_below(walk->root_fd, walk->below, flags, ROOT_FOLLOW);
    if (walk->base_fd < 0) return -ENOENT;
    return root_open_below(walk->base_fd, path, flags, ROOT_NO_LINKS);
}

/* The rules in one per-directory file; they hold until the matching leave. */
static int enter_rules(struct walk *walk, int dir_fd, size_t merge_index, const char *name)
{
    sm_auto_close int fd =
            root_open_below(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, ROOT_NO_LINKS);
    if (fd < 0) return 0;
    char *text = malloc(MERGE_FILE_BYTES_MAX);
    if (text == NULL) return -ENOMEM;

    /* A file that is not all rules still gives those before the bad one. */
    int mark = filter_mark(walk->filter, merge_index);
    ssize_t len = read(fd, text, MERGE_FILE_BYTES_MAX);
    int r = 0;
    if (len > 0) {
        r = filter_enter_dir(walk->filter, merge_index, walk->dir_path, text, (size_t)len, NULL);
    }
    free(text);
    if (r == -ENOMEM || r == -E2BIG) return r;
    return push_pending(walk, NULL, merge_index, mark);
}

static int open_next(struct walk *walk)
{
    struct walk_pending next = walk->pending[--walk->pending_count];
    if (next.path == NULL) {
        filter_leave_dir(walk->filter, next.merge_index, next.filter_mark);
        return 0;
    }

    free(walk->dir_path);
    walk->dir_path = next.path;
    int fd = open_directory(walk, next.path);
    if (fd < 0) {
        if (fd == -ENOENT) {
            note_vanished(walk, next.path);
        } else {
            walk_note_failure(walk, "opendir", next.path, fd);
        }
        return 0;
    }
    walk->dir = fdopendir(fd);
    if (walk->dir == NULL) {
        (void)close(fd);
        return -ENOMEM;
    }
    if (strcmp(next.path, ".") == 0) walk->dir_path[0] = '\0';
    const char *merge = NULL;
    for (size_t i = 0; (merge = filter_merge_name(walk->filter, i)) != NULL; i++) {
        int r = enter_rules(walk, fd, i, merge);
        if (r < 0) return r;
    }
    return 0;
}

/* One name of the directory being scanned. */
static int add_name(struct walk *walk, const char *name)
{
    bool is_top = walk->dir_path[0] == '\0';
    int len = snprintf(
            walk->path, WALK_PATH_BYTES, "%s%s%s", walk->dir_path, is_top ? "" : "/", name);
    if (len >= FLIST_PATH_MAX || walk_below(walk, walk->base, walk->path, walk->below) < 0) {
        walk_note_failure(walk, "readlink_stat", name, -ENAMETOOLONG);
        return 0;
    }

    struct stat st;
    int r = walk_stat(walk, dirfd(walk->dir), name, &st);
    if (r < 0) {
        bool is_hidden = filter_excludes(walk->hidden, walk->below, false)
                || filter_excludes(walk->filter, walk->path, false);
        if (is_hidden || r == -ECHILD) return 0; /* -ECHILD: walk_stat() has told why */
        if (r == -ENOENT) {
            note_vanished(walk, walk->path);
        } else {
            walk_note_failure(walk, "readlink_stat", walk->path, r);
        }
        return 0;
    }

    bool is_dir = S_ISDIR(st.st_mode);
    if (filter_excludes(walk->hidden, walk->below, is_dir)) return 0;
    if (filter_excludes(walk->filter, walk->path, is_dir)) return 0;

    bool is_mount = is_dir && walk->options->stays_on_filesystem && st.st_dev != walk->device;
    bool has_contents = is_dir && walk->options->is_recursive && !is_mount;
    r = walk_add_entry(walk, &st, is_dir && !has_contents ? WALK_NO_CONTENT : 0);
    if (r < 0 || !has_contents) return r < 0 ? r : 0;
    return push_pending(walk, walk->path, 0, 0);
}

static int scan_some(struct walk *walk, int *budget)
{
    while (*budget > 0) {
        errno = 0;
        const struct dirent *entry = readdir(walk->dir);
        if (entry == NULL) {
            if (errno > 0) walk_note_failure(walk, "readdir", walk->dir_path, -errno);
            (void)closedir(walk->dir);
            walk->dir = NULL;
            return 0;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;

        (*budget)--;
        int r = add_name(walk, entry->d_name);
        if (r < 0) return r;
    }
    return 0;
}

int walk_push_directory(struct walk *walk, const char *name)
{
    return push_pending(walk, name, 0, 0);
}

int walk_step(void *arg)
{
    struct walk *walk = arg;
    int budget = ENTRIES_PER_STEP;
    while (budget > 0) {
        int r = 0;
        if (walk->dir != NULL) {
            r = scan_some(walk, &budget);
        } else if (walk->pending_count > 0) {
            budget--;
            r = open_next(walk);
        } else if (walk->argument < walk->options->paths_count) {
            budget--;
            r = walk_expand(walk, &walk->options->paths[walk->argument++]);
        } else if (walk->source < walk->sources_count) {
            budget--;
            r = walk_begin_source(walk, &walk->sources[walk->source++]);
        } else {
            return 0;
        }
        if (r < 0) return r;
    }
    return 1;
}
