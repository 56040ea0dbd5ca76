/* SPDX-License-Identifier: MIT */
/*
 * walk_source.c - arguments: wildcards are expanded, each source is looked up and begun.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "seam.h"

#include "kit/auto.h"
#include "kit/glob.h"
#include "kit/path.h"
#include "protocol/mux.h"
#include "store/root.h"
#include "store/walk_parts.h"

/* literal_len: how much of path is names that were found, not pattern. */
static int add_source(struct walk *walk, const char *path, size_t literal_len,
        const struct options_path *argument)
{
    if (walk->sources_count == WALK_SOURCES_MAX) return -ENOBUFS;
    int r = walk_grow((void **)&walk->sources, &walk->sources_capacity, walk->sources_count,
            sizeof *walk->sources);
    if (r < 0) return r;
    char *copy = strdup(path);
    if (copy == NULL) return -ENOMEM;

    walk->sources[walk->sources_count++] = (struct walk_source){
            .path = copy,
            .literal_len = literal_len,
            .relative_from = argument->relative_from,
            .wants_contents = argument->wants_contents,
    };
    return 0;
}

static int compare_sources(const void *left, const void *right)
{
    const struct walk_source *a = left;
    const struct walk_source *b = right;
    return strcmp(a->path, b->path);
}

/* One wild component of a path, and what is around it. */
struct wild {
    const char *dir;  /* before it, without trailing slash */
    const char *rest; /* behind it, without leading slash */
    char component[256];
};

/* The first wild component at or after literal_len; cuts path there. False if there is none. */
static bool cut_at_wild(char *path, size_t literal_len, struct wild *out_wild)
{
    for (size_t from = literal_len; path[from] != '\0';) {
        size_t len = strcspn(path + from, "/");
        size_t kept = len < sizeof out_wild->component ? len : 0;
        memcpy(out_wild->component, path + from, kept);
        out_wild->component[kept] = '\0';
        size_t next = from + len + (path[from + len] == '/' ? 1 : 0);
        if (glob_has_wildcard(out_wild->component)) {
            out_wild->dir = from == 0 ? "" : path;
            out_wild->rest = path + next;
            if (from > 0) path[from - 1] = '\0';
            return true;
        }
        from = next;
    }
    return false;
}

/* Whether walk->path is a directory, or a link to one; type is what readdir(3) says. */
static bool is_directory(const struct walk *walk, unsigned char type)
{
    if (type == DT_DIR) return true;
    if (type != DT_LNK && type != DT_UNKNOWN) return false;
    sm_auto_close int fd =
            root_open_below(walk->root_fd, walk->path, O_PATH | O_DIRECTORY, ROOT_FOLLOW);
    return fd >= 0;
}

/* Upstream's patterns do not match links that point nowhere. One that points out of the module is
 * none of those: we do not look where it leads. */
static bool points_nowhere(const struct walk *walk, unsigned char type)
{
    if (type != DT_LNK && type != DT_UNKNOWN) return false;
    sm_auto_close int fd = root_open_below(walk->root_fd, walk->path, O_PATH, ROOT_FOLLOW);
    return fd == -ENOENT;
}

/* A name that matched: "dir/name/rest" becomes a source, unless the daemon hides it. */
static int add_match(struct walk *walk, const struct wild *wild, const struct dirent *entry,
        const struct options_path *argument)
{
    const char *slash = *wild->dir == '\0' ? "" : "/";
    int len = snprintf(walk->path, WALK_PATH_BYTES, "%s%s%s", wild->dir, slash, entry->d_name);
    if (len < 0 || (size_t)len + strlen(wild->rest) + 1 >= FLIST_PATH_MAX) return 0;
    if (filter_excludes_below(walk->hidden, walk->path, entry->d_type == DT_DIR)) return 0;

    bool must_be_dir = *wild->rest != '\0' || argument->wants_contents;
    if (must_be_dir && !is_directory(walk, entry->d_type)) return 0;
    if (points_nowhere(walk, entry->d_type)) return 0;

    size_t literal_len = (size_t)len;
    if (*wild->rest != '\0') {
        walk->path[literal_len++] = '/';
        memcpy(walk->path + literal_len, wild->rest, strlen(wild->rest) + 1);
    }
    return add_source(walk, walk->path, literal_len, argument);
}

static int expand_wild(
        struct walk *walk, const struct wild *wild, const struct options_path *argument)
{
    int flags = O_RDONLY | O_DIRECTORY | O_NONBLOCK;
    int fd = root_open_below(walk->root_fd, wild->dir, flags, ROOT_FOLLOW);
    if (fd < 0) return 0;
    DIR *names = fdopendir(fd);
    if (names == NULL) {
        (void)close(fd);
        return -ENOMEM;
    }

    int r = 0;
    const struct dirent *entry = NULL;
    while (r == 0 && (entry = readdir(names)) != NULL) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
        if (glob_match(wild->component, name) != GLOB_MATCHES) continue;
        r = add_match(walk, wild, entry, argument);
    }
    (void)closedir(names);
    return r;
}

int walk_expand(struct walk *walk, const struct options_path *argument)
{
    size_t first = walk->sources_count;
    int r = add_source(walk, argument->path, 0, argument);

    /* What a component matched is appended and looked at in its turn, for the next component. */
    for (size_t i = first; r == 0 && i < walk->sources_count; i++) {
        struct wild wild;
        char *path = walk->sources[i].path;
        if (!cut_at_wild(path, walk->sources[i].literal_len, &wild)) continue;
        walk->sources[i].path = NULL;
        r = expand_wild(walk, &wild, argument);
        free(path);
    }

    size_t kept = first;
    for (size_t i = first; i < walk->sources_count; i++) {
        if (walk->sources[i].path != NULL) walk->sources[kept++] = walk->sources[i];
    }
    walk->sources_count = kept;
    if (r < 0) return r;
    if (kept == first) return add_source(walk, argument->path, strlen(argument->path), argument);
    qsort(walk->sources + first, kept - first, sizeof *walk->sources, compare_sources);
    return 0;
}

/* Split a source's path into the base that names start from and the name in the list. */
static const char *split_source(
        const struct walk_source *source, bool is_relative, size_t *out_base_len)
{
    const char *path = source->path;
    size_t base_len = 0;
    if (is_relative) {
        base_len = source->relative_from < strlen(path) ? source->relative_from : strlen(path);
    } else if (source->wants_contents || *path == '\0') {
        base_len = strlen(path);
    } else {
        base_len = (size_t)(path_base(path) - path);
    }
    const char *name = path + base_len;
    while (base_len > 0 && path[base_len - 1] == '/') {
        base_len--;
    }
    *out_base_len = base_len;
    return *name == '\0' ? "." : name;
}

/* What the source is; walk->path and walk->below are its names. */
static int stat_source(struct walk *walk, bool wants_contents, struct stat *out_st)
{
    int flags = O_PATH | (wants_contents || walk->options->copies_links ? 0 : O_NOFOLLOW);
    sm_auto_close int fd = root_open_below(walk->root_fd, walk->below, flags, ROOT_FOLLOW);
    if (fd < 0) return fd;
    if (fstat(fd, out_st) < 0) return sm_neg_errno();
    if (wants_contents && !S_ISDIR(out_st->st_mode)) return -ENOTDIR;

    if (S_ISLNK(out_st->st_mode)) {
        ssize_t len = readlinkat(fd, "", walk->target, FLIST_PATH_MAX - 1);
        if (len < 0) return sm_neg_errno();
        walk->target[len] = '\0';
    }
    bool is_hidden = *walk->below != '\0'
            && filter_excludes_below(walk->hidden, walk->below, S_ISDIR(out_st->st_mode));
    return is_hidden ? -ENOENT : 0;
}

/* With --relative the directories above a source are entries too, whatever --no-implied-dirs says
 * (that is about their attributes). A run of siblings sends them once; beyond that a double entry
 * does no harm, the receiver passes over it. */
static int add_implied(struct walk *walk, const char *name)
{
    const char *base_name = path_base(name);
    if (base_name == name) return 0;
    size_t parent_len = (size_t)(base_name - name) - 1;
    bool is_known = walk->implied != NULL && strlen(walk->implied) == parent_len
            && memcmp(walk->implied, name, parent_len) == 0;
    if (is_known) return 0;

    for (size_t end = 1; end <= parent_len; end++) {
        if (end < parent_len && name[end] != '/') continue;
        memcpy(walk->path, name, end);
        walk->path[end] = '\0';
        struct stat st = {};
        int r = walk_below(walk, walk->base, walk->path, walk->below);
        if (r == 0) r = stat_source(walk, true, &st);
        if (r < 0) continue; /* the source itself will tell */
        r = walk_add_entry(walk, &st, WALK_TOP_DIR | WALK_NO_CONTENT);
        if (r < 0) return r;
    }
    free(walk->implied);
    walk->implied = strndup(name, parent_len);
    return walk->implied == NULL ? -ENOMEM : 0;
}

static int add_source_entry(
        struct walk *walk, const struct walk_source *source, const struct stat *st)
{
    const struct options *options = walk->options;
    bool is_dir = S_ISDIR(st->st_mode);
    if (is_dir && !options->is_recursive && !options->is_dirs) {
        (void)mux_put_text(&walk->notes, MUX_INFO, "skipping directory %s", walk->path);
        return 0;
    }
    if (!source->wants_contents && filter_excludes(walk->filter, walk->path, is_dir)) return 0;

    bool has_contents = is_dir && (options->is_recursive || source->wants_contents);
    unsigned flags = has_contents ? WALK_TOP_DIR : is_dir ? WALK_NO_CONTENT : 0u;
    int r = walk_add_entry(walk, st, flags);
    if (r < 0 || !has_contents) return r;

    walk->device = st->st_dev;
    return walk_push_directory(walk, walk->path);
}

/* Names start from a directory that must be there, and be visible. */
static int check_base(const struct walk *walk)
{
    const char *base = walk->bases[walk->base];
    if (*base == '\0') return 0;
    if (filter_excludes_below(walk->hidden, base, true)) return -ENOENT;
    return walk->base_fd < 0 ? walk->base_fd : 0;
}

static void note_no_base(struct walk *walk, int error)
{
    walk->io_error |= IO_ERROR_GENERAL;
    (void)mux_put_text(&walk->notes, MUX_ERROR_XFER,
            "rsync: [sender] change_dir \"%s\" (in %s) failed: %s (%d)", walk->bases[walk->base],
            walk->module, strerrordesc_np(-error), -error);
}

int walk_begin_source(struct walk *walk, const struct walk_source *source)
{
    const struct options *options = walk->options;
    size_t base_len = 0;
    const char *name = split_source(source, options->is_relative, &base_len);
    int r = walk_use_base(walk, source->path, base_len);
    if (r < 0) return r;
    if (strlen(name) >= FLIST_PATH_MAX) return 0;
    r = check_base(walk);
    if (r < 0) {
        note_no_base(walk, r);
        return 0;
    }
    if (options->is_relative) {
        r = add_implied(walk, name);
        if (r < 0) return r;
    }

    bool is_contents = source->wants_contents || strcmp(name, ".") == 0;
    (void)snprintf(walk->path, WALK_PATH_BYTES, "%s", name);
    struct stat st = {};
    r = walk_below(walk, walk->base, walk->path, walk->below);
    if (r == 0) r = stat_source(walk, is_contents, &st);
    if (r < 0) {
        if (r == -ENOENT && options->ignores_missing_args) return 0;
        walk_note_failure(walk, "link_stat", walk->path, r);
        return 0;
    }
    struct walk_source begun = *source;
    begun.wants_contents = is_contents;
    return add_source_entry(walk, &begun, &st);
}
