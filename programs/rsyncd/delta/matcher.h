/* SPDX-License-Identifier: MIT */
/*
 * matcher.h - find the blocks of a basis in a file that arrives in chunks, and say the file in
 * tokens.
 *
 *     matcher_init()
 *     for each chunk read from the file: matcher_feed(chunk) -> tokens in out; flush out
 *     matcher_finish() -> last tokens, the end token, the whole-file sum
 *     matcher_fini()
 *
 * Memory: one window of block_bytes plus one chunk when there is a basis; nothing when there is
 * none. What a call can put into out is bounded: matcher_out_max().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "delta/blocks.h"
#include "delta/rolling.h"
#include "delta/strong.h"
#include "kit/buf.h"
#include "kit/hash.h"

struct matcher_options {
    const struct blocks *blocks; /* complete; NULL or count 0: send literals; kept until fini */
    struct strong *strong;       /* block sums; needed with blocks; kept until fini */
    enum hash_kind whole_sum;    /* of the sum after the tokens */
    bool is_inplace;             /* the receiver overwrites the basis as it goes */
    int64_t append_from;         /* > 0: the receiver has this many bytes; blocks must be NULL */
    bool append_is_verified;     /* the whole-file sum covers those bytes too */
};

struct matcher {
    struct matcher_options options;
    struct hash whole;
    uint8_t *window; /* heap; bytes from file offset window_at on that were not said yet */
    size_t window_len;
    size_t window_capacity;
    int64_t file_at;    /* file offset of window[0] */
    int64_t skip_left;  /* append: bytes still to be passed over */
    struct rolling sum; /* of window[0] on; meaningful with has_sum */
    bool has_sum;       /* the block at window[0] was looked up and not found */
    int32_t block_hint; /* the block after the last match: tried first */
    int64_t matched_bytes;
    int64_t literal_bytes;
};

/* 0, -ENOMEM, or -EINVAL (blocks that are not complete, or together with append_from). */
int matcher_init(struct matcher *matcher, const struct matcher_options *options);
void matcher_fini(struct matcher *matcher);

/* Bytes that a feed of len, or a finish (len 0), can put into out at most. */
size_t matcher_out_max(const struct matcher *matcher, size_t len);

/* The next len bytes of the file. 0, -ENOMEM, or out's error. */
int matcher_feed(struct matcher *matcher, const uint8_t *bytes, size_t len, struct buf *out);

/* The file has ended. has_read_error makes the whole-file sum wrong on purpose, so that the client
 * asks again. */
int matcher_finish(struct matcher *matcher, bool has_read_error, struct buf *out);
