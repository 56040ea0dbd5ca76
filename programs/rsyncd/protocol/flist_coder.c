/* SPDX-License-Identifier: MIT */
/*
 * flist_coder.c - one place for the flags, used by writer and reader alike.
 *
 * The order of the fields is the protocol's; it is the order of the statements in write_fields()
 * and read_fields(), which should be read side by side.
 */
#include "protocol/flist_coder.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "kit/path.h"
#include "protocol/varint.h"

enum entry_flag {
    TOP_DIR = 1u << 0,
    SAME_MODE = 1u << 1,
    EXTENDED = 1u << 2,
    SAME_UID = 1u << 3,
    SAME_GID = 1u << 4,
    SHARES_PREFIX = 1u << 5,
    LONG_NAME = 1u << 6,
    SAME_MTIME = 1u << 7,
    SAME_MAJOR = 1u << 8, /* devices */
    NO_CONTENT = 1u << 8, /* directories */
    HLINKED = 1u << 9,
    USER_NAME = 1u << 10,
    GROUP_NAME = 1u << 11,
    HLINK_FIRST = 1u << 12,
    END_WITH_ERROR = 1u << 12 | EXTENDED,
    HAS_NS = 1u << 13,
    FLAGS_KNOWN = (1u << 14) - 1,
};

enum { PREFIX_MAX = 255, SHORT_NAME_MAX = 255, NAME_BYTES_MAX = 255, NS_PER_S = 1000000000 };

struct flist_terms flist_terms_of(const struct options *options, const struct compat *compat)
{
    return (struct flist_terms){
            .protocol = compat->protocol,
            .has_varint_flags = (compat->flags & COMPAT_VARINT_FLIST) != 0,
            .has_safe_errors = compat->protocol >= 31 || (compat->flags & COMPAT_SAFE_FLIST) != 0,
            .has_inline_names = (compat->flags & COMPAT_INC_RECURSE) != 0,
            .keep_links = options->keep_links,
            .keep_owner = options->keep_owner,
            .keep_group = options->keep_group,
            .keep_devices = options->keep_devices,
            .keep_specials = options->keep_specials,
            .keep_hard_links = options->keep_hard_links,
            .sum_bytes = options->with_checksum ? hash_bytes(compat->flist_sum) : 0,
    };
}

void flist_coder_init(struct flist_coder *coder, const struct flist_terms *terms)
{
    *coder = (struct flist_coder){.terms = *terms};
}

static bool is_device(uint32_t mode)
{
    return S_ISCHR(mode) || S_ISBLK(mode);
}

static bool is_special(uint32_t mode)
{
    return S_ISFIFO(mode) || S_ISSOCK(mode);
}

/* Whether an entry of this mode carries device numbers. */
static bool has_rdev(const struct flist_terms *terms, uint32_t mode)
{
    if (is_device(mode)) return terms->keep_devices;
    return is_special(mode) && terms->keep_specials && terms->protocol < 31;
}

static size_t shared_prefix(const struct flist_coder *coder, const struct flist_item *item)
{
    size_t len = 0;
    while (len < PREFIX_MAX && len < coder->path_len && len < item->path_len
            && coder->path[len] == item->path[len]) {
        len++;
    }
    return len;
}

static unsigned owner_flags(const struct flist_coder *coder, const struct flist_item *item)
{
    const struct flist_terms *terms = &coder->terms;
    unsigned flags = 0;
    if (!terms->keep_owner || (coder->has_previous && coder->uid == item->uid)) {
        flags |= SAME_UID;
    } else if (terms->has_inline_names && item->user_name != NULL) {
        flags |= USER_NAME;
    }
    if (!terms->keep_group || (coder->has_previous && coder->gid == item->gid)) {
        flags |= SAME_GID;
    } else if (terms->has_inline_names && item->group_name != NULL) {
        flags |= GROUP_NAME;
    }
    return flags;
}

static unsigned flags_of(
        const struct flist_coder *coder, const struct flist_item *item, size_t prefix)
{
    const struct flist_terms *terms = &coder->terms;
    unsigned flags = owner_flags(coder, item);
    if (S_ISDIR(item->mode)) {
        if (item->is_top_dir) flags |= TOP_DIR;
        if (item->no_content) flags |= NO_CONTENT;
    } else if (is_device(item->mode) && terms->keep_devices) {
        if (item->rdev_major == coder->rdev_major) flags |= SAME_MAJOR;
    } else if (has_rdev(terms, item->mode)) {
        flags |= SAME_MAJOR;
    }
    if (item->mode == coder->mode) flags |= SAME_MODE;
    if (item->mtime == coder->mtime) flags |= SAME_MTIME;
    if (item->mtime_ns != 0 && terms->protocol >= 31) flags |= HAS_NS;
    if (terms->keep_hard_links && item->hlink != FLIST_HLINK_NONE) {
        flags |= HLINKED;
        if (item->hlink == FLIST_HLINK_FIRST) flags |= HLINK_FIRST;
    }
    if (prefix > 0) flags |= SHARES_PREFIX;
    if (item->path_len - prefix > SHORT_NAME_MAX) flags |= LONG_NAME;
    return flags;
}

static void put_flags(const struct flist_terms *terms, unsigned flags, bool is_dir, struct buf *out)
{
    if (terms->has_varint_flags) {
        /* Zero ends the list; the extension bit means nothing here and says "not the end". */
        (void)varint_put(out, flags == 0 ? EXTENDED : (int32_t)flags);
        return;
    }
    if (flags == 0 && !is_dir) flags = TOP_DIR;
    if (flags == 0 || (flags & 0xff00) != 0) {
        (void)buf_put_u16le(out, flags | EXTENDED);
    } else {
        (void)buf_put_byte(out, flags);
    }
}

static void put_id(struct buf *out, uint32_t id, const char *name)
{
    (void)varint_put(out, (int32_t)id);
    if (name == NULL) return;
    size_t len = strlen(name) > NAME_BYTES_MAX ? 0 : strlen(name);
    (void)buf_put_byte(out, (unsigned)len);
    (void)buf_put(out, name, len);
}

static void write_fields(const struct flist_coder *coder, const struct flist_item *item,
        unsigned flags, struct buf *out)
{
    const struct flist_terms *terms = &coder->terms;
    bool has_no_size = is_device(item->mode) || is_special(item->mode);
    (void)varlong_put(out, has_no_size ? 0 : item->size, 3);
    if ((flags & SAME_MTIME) == 0) (void)varlong_put(out, item->mtime, 4);
    if ((flags & HAS_NS) != 0) (void)varint_put(out, (int32_t)item->mtime_ns);
    if ((flags & SAME_MODE) == 0) (void)buf_put_u32le(out, item->mode);
    if ((flags & SAME_UID) == 0) {
        put_id(out, item->uid, (flags & USER_NAME) != 0 ? item->user_name : NULL);
    }
    if ((flags & SAME_GID) == 0) {
        put_id(out, item->gid, (flags & GROUP_NAME) != 0 ? item->group_name : NULL);
    }
    if (has_rdev(terms, item->mode)) {
        if ((flags & SAME_MAJOR) == 0) (void)varint_put(out, (int32_t)item->rdev_major);
        (void)varint_put(out, is_device(item->mode) ? (int32_t)item->rdev_minor : 0);
    }
    if (terms->keep_links && S_ISLNK(item->mode)) {
        (void)varint_put(out, (int32_t)item->target_len);
        (void)buf_put(out, item->target, item->target_len);
    }
    if (terms->sum_bytes > 0 && S_ISREG(item->mode)) (void)buf_put(out, item->sum, item->sum_len);
}

/* Whether the writer may send this at all. */
static bool is_sendable(const struct flist_coder *coder, const struct flist_item *item)
{
    const struct flist_terms *terms = &coder->terms;
    if (item->path_len == 0 || item->path_len >= FLIST_PATH_MAX) return false;
    if (item->size < 0 || item->mtime_ns >= NS_PER_S) return false;
    bool has_target = terms->keep_links && S_ISLNK(item->mode);
    if (has_target && (item->target_len == 0 || item->target_len >= FLIST_PATH_MAX)) return false;
    return terms->sum_bytes == 0 || !S_ISREG(item->mode) || item->sum_len == terms->sum_bytes;
}

/* What the next entry's flags compare with. */
static void remember(struct flist_coder *coder, const struct flist_item *item)
{
    coder->has_previous = true;
    coder->mode = item->mode;
    coder->mtime = item->mtime;
    coder->uid = item->uid;
    coder->gid = item->gid;
    if (is_device(item->mode) && coder->terms.keep_devices) coder->rdev_major = item->rdev_major;
}

static void remember_path(struct flist_coder *coder, const struct flist_item *item)
{
    memmove(coder->path, item->path, item->path_len);
    coder->path[item->path_len] = '\0';
    coder->path_len = item->path_len;
}

void flist_coder_follow(struct flist_coder *coder, const struct flist_item *first)
{
    remember(coder, first);
}

int flist_write_entry(struct flist_coder *coder, const struct flist_item *item, struct buf *out)
{
    if (!is_sendable(coder, item)) return -EINVAL;
    size_t prefix = shared_prefix(coder, item);
    unsigned flags = flags_of(coder, item, prefix);
    put_flags(&coder->terms, flags, S_ISDIR(item->mode), out);
    if (prefix > 0) (void)buf_put_byte(out, (unsigned)prefix);
    size_t suffix = item->path_len - prefix;
    if ((flags & LONG_NAME) != 0) {
        (void)varint_put(out, (int32_t)suffix);
    } else {
        (void)buf_put_byte(out, (unsigned)suffix);
    }
    (void)buf_put(out, item->path + prefix, suffix);

    bool is_follower = (flags & HLINKED) != 0 && (flags & HLINK_FIRST) == 0;
    if (is_follower) {
        (void)varint_put(out, item->hlink);
    } else {
        write_fields(coder, item, flags, out);
    }
    remember_path(coder, item);
    remember(coder, item);
    return out->error;
}

int flist_write_end(struct flist_coder *coder, int32_t io_error, struct buf *out)
{
    if (coder->terms.has_varint_flags) {
        (void)varint_put(out, 0);
        return varint_put(out, io_error);
    }
    if (io_error == 0 || !coder->terms.has_safe_errors) return buf_put_byte(out, 0);
    (void)buf_put_u16le(out, END_WITH_ERROR);
    return varint_put(out, io_error);
}

/* FLIST_ENTRY with flags, or FLIST_END. */
static int read_flags(const struct flist_terms *terms, struct cursor *in, unsigned *out_flags,
        int32_t *out_io_error)
{
    if (terms->has_varint_flags) {
        int32_t flags = 0;
        int r = varint_get(in, &flags);
        if (r < 0) return r;
        *out_flags = (unsigned)flags;
        if (flags != 0) return FLIST_ENTRY;
        r = varint_get(in, out_io_error);
        return r < 0 ? r : FLIST_END;
    }
    uint8_t low = 0;
    int r = cursor_get_byte(in, &low);
    if (r < 0) return r;
    *out_flags = low;
    *out_io_error = 0;
    if (low == 0) return FLIST_END;
    if ((low & EXTENDED) == 0) return FLIST_ENTRY;
    uint8_t high = 0;
    r = cursor_get_byte(in, &high);
    if (r < 0) return r;
    *out_flags |= (unsigned)high << 8;
    if (!terms->has_safe_errors || *out_flags != (unsigned)END_WITH_ERROR) return FLIST_ENTRY;
    r = varint_get(in, out_io_error);
    return r < 0 ? r : FLIST_END;
}

/* The name, into path[FLIST_PATH_MAX] which holds the previous one. */
static int read_name(const struct flist_coder *coder, struct cursor *in, unsigned flags,
        struct flist_item *item, char *path)
{
    uint8_t prefix = 0;
    uint8_t short_len = 0;
    int32_t len = 0;
    int r = 0;
    if ((flags & SHARES_PREFIX) != 0) r = cursor_get_byte(in, &prefix);
    if (r < 0) return r;
    if ((flags & LONG_NAME) != 0) {
        r = varint_get(in, &len);
    } else {
        r = cursor_get_byte(in, &short_len);
        len = short_len;
    }
    if (r < 0) return r;
    if (prefix > coder->path_len || len < 0 || len >= FLIST_PATH_MAX - prefix) return -EPROTO;

    const uint8_t *suffix = NULL;
    r = cursor_get_bytes(in, (size_t)len, &suffix);
    if (r < 0) return r;
    memcpy(path, coder->path, prefix);
    memcpy(path + prefix, suffix, (size_t)len);
    item->path_len = prefix + (size_t)len;
    path[item->path_len] = '\0';
    item->path = path;
    if (strlen(path) != item->path_len || !path_is_safe(path)) return -EPROTO;
    return 0;
}

/* An id, and its name if one is announced: skipped, as the pointer could not be terminated. */
static int read_id(struct cursor *in, bool has_name, uint32_t *out_id)
{
    int32_t id = 0;
    int r = varint_get(in, &id);
    if (r < 0) return r;
    *out_id = (uint32_t)id;
    if (!has_name) return 0;
    uint8_t len = 0;
    r = cursor_get_byte(in, &len);
    if (r < 0) return r;
    const uint8_t *name = NULL;
    return cursor_get_bytes(in, len, &name);
}

static int read_times_and_mode(struct cursor *in, unsigned flags, struct flist_item *item)
{
    int r = varlong_get(in, 3, &item->size);
    if (r < 0) return r;
    if (item->size < 0) return -EPROTO;
    if ((flags & SAME_MTIME) == 0) {
        r = varlong_get(in, 4, &item->mtime);
        if (r < 0) return r;
    }
    if ((flags & HAS_NS) != 0) {
        int32_t ns = 0;
        r = varint_get(in, &ns);
        if (r < 0) return r;
        if (ns < 0 || ns >= NS_PER_S) return -EPROTO;
        item->mtime_ns = (uint32_t)ns;
    }
    if ((flags & SAME_MODE) == 0) {
        r = cursor_get_u32le(in, &item->mode);
        if (r < 0) return r;
    }
    return item->mode > UINT16_MAX || (item->mode & S_IFMT) == 0 ? -EPROTO : 0;
}

static int read_rdev(
        const struct flist_coder *coder, struct cursor *in, unsigned flags, struct flist_item *item)
{
    if (!has_rdev(&coder->terms, item->mode)) return 0;
    int32_t number = 0;
    int r = 0;
    item->rdev_major = coder->rdev_major;
    if ((flags & SAME_MAJOR) == 0) {
        r = varint_get(in, &number);
        item->rdev_major = (uint32_t)number;
    }
    if (r < 0) return r;
    r = varint_get(in, &number);
    item->rdev_minor = (uint32_t)number;
    return r;
}

static int read_tail(const struct flist_terms *terms, struct cursor *in, struct flist_item *item)
{
    if (terms->keep_links && S_ISLNK(item->mode)) {
        int32_t len = 0;
        int r = varint_get(in, &len);
        if (r < 0) return r;
        if (len <= 0 || len >= FLIST_PATH_MAX) return -EPROTO;
        const uint8_t *target = NULL;
        r = cursor_get_bytes(in, (size_t)len, &target);
        if (r < 0) return r;
        if (memchr(target, '\0', (size_t)len) != NULL) return -EPROTO;
        item->target = (const char *)target;
        item->target_len = (size_t)len;
    }
    if (terms->sum_bytes == 0 || !S_ISREG(item->mode)) return 0;
    item->sum_len = terms->sum_bytes;
    return cursor_get_bytes(in, terms->sum_bytes, &item->sum);
}

static int read_fields(
        const struct flist_coder *coder, struct cursor *in, unsigned flags, struct flist_item *item)
{
    int r = read_times_and_mode(in, flags, item);
    if (r < 0) return r;
    if (coder->terms.keep_owner && (flags & SAME_UID) == 0) {
        r = read_id(in, (flags & USER_NAME) != 0, &item->uid);
        if (r < 0) return r;
    }
    if (coder->terms.keep_group && (flags & SAME_GID) == 0) {
        r = read_id(in, (flags & GROUP_NAME) != 0, &item->gid);
        if (r < 0) return r;
    }
    r = read_rdev(coder, in, flags, item);
    if (r < 0) return r;
    if (S_ISDIR(item->mode)) {
        item->is_top_dir = (flags & TOP_DIR) != 0;
        item->no_content = (flags & NO_CONTENT) != 0;
    }
    return read_tail(&coder->terms, in, item);
}

int flist_read_entry(struct flist_coder *coder, struct cursor *in, struct flist_item *out_item,
        int32_t *out_io_error, struct fault *fault)
{
    struct cursor at = *in;
    unsigned flags = 0;
    int r = read_flags(&coder->terms, &at, &flags, out_io_error);
    if (r == FLIST_END) *in = at;
    if (r == -EPROTO) return fault_set(fault, r, "invalid flags in the file list");
    if (r != FLIST_ENTRY) return r;
    if ((flags & ~(unsigned)FLAGS_KNOWN) != 0) {
        return fault_set(fault, -EPROTO, "unknown flags 0x%x in the file list", flags);
    }

    char path[FLIST_PATH_MAX];
    struct flist_item item = {.mode = coder->mode,
            .mtime = coder->mtime,
            .uid = coder->uid,
            .gid = coder->gid,
            .hlink = FLIST_HLINK_NONE};
    r = read_name(coder, &at, flags, &item, path);
    if (r == -EPROTO) return fault_set(fault, r, "invalid name in the file list");
    if (r < 0) return r;

    bool is_linked = coder->terms.keep_hard_links && (flags & HLINKED) != 0;
    bool is_follower = is_linked && (flags & HLINK_FIRST) == 0;
    if (is_follower) {
        r = varint_get(&at, &item.hlink);
        if (r == 0 && item.hlink < 0) r = -EPROTO;
    } else {
        if (is_linked) item.hlink = FLIST_HLINK_FIRST;
        r = read_fields(coder, &at, flags, &item);
    }
    if (r == -EPROTO) return fault_set(fault, r, "invalid entry in the file list: %s", path);
    if (r < 0) return r;

    remember_path(coder, &item);
    if (is_follower) {
        coder->has_previous = true;
    } else {
        remember(coder, &item);
    }
    item.path = coder->path;
    *out_item = item;
    *in = at;
    return FLIST_ENTRY;
}
