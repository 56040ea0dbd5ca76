/* SPDX-License-Identifier: MIT */
/*
 * flist_coder.h - entries of the file list on the wire, both directions.
 *
 * Each entry is coded as its difference from the one before, so a coder carries the previous
 * entry. One coder per direction; it lives as long as the connection (sub-lists do not reset it).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kit/buf.h"
#include "kit/cursor.h"
#include "kit/fault.h"
#include "protocol/compat.h"
#include "protocol/flist.h"
#include "protocol/options.h"

/* What both sides agreed on. */
struct flist_terms {
    int protocol;
    bool has_varint_flags;
    bool has_safe_errors;  /* protocol >= 31 or COMPAT_SAFE_FLIST */
    bool has_inline_names; /* COMPAT_INC_RECURSE */
    bool keep_links;
    bool keep_owner;
    bool keep_group;
    bool keep_devices;
    bool keep_specials;
    bool keep_hard_links;
    size_t sum_bytes; /* of each regular file's checksum; 0 without -c */
};

struct flist_coder {
    struct flist_terms terms;
    bool has_previous;
    uint32_t mode;
    uint32_t uid;
    uint32_t gid;
    uint32_t rdev_major;
    int64_t mtime;
    size_t path_len;
    char path[FLIST_PATH_MAX];
};

struct flist_terms flist_terms_of(const struct options *options, const struct compat *compat);
void flist_coder_init(struct flist_coder *coder, const struct flist_terms *terms);

/* Append one entry. 0, -EINVAL (what flist_add() would reject), or the buffer's error. */
int flist_write_entry(struct flist_coder *coder, const struct flist_item *item, struct buf *out);

/* The end mark; io_error is the sum of 1 general, 2 vanished, 4 delete limit. Id lists follow
 * unless names travel in line: idlist.h. */
int flist_write_end(struct flist_coder *coder, int32_t io_error, struct buf *out);

enum { FLIST_ENTRY = 0, FLIST_END = 1 };

/*
 * Read one entry. FLIST_ENTRY with *out_item (path in coder->path, valid until the next call;
 * target, sum and names in in's bytes, not NUL-terminated: see the lengths), or FLIST_END with *out_io_error,
 * -EAGAIN (nothing moved), -EPROTO with words. A follower of a hard link group has only path and
 * hlink; what it shares is in the entry that hlink names: give that to flist_coder_follow().
 */
int flist_read_entry(struct flist_coder *coder, struct cursor *in, struct flist_item *out_item,
        int32_t *out_io_error, struct fault *fault);

/* After a follower was read: the next entry is a difference from the group's first. */
void flist_coder_follow(struct flist_coder *coder, const struct flist_item *first);
