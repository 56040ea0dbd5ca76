/* SPDX-License-Identifier: MIT */
/*
 * matcher.c - a window slides over the file.
 *
 *     window  |.... literal .......|<--- block_bytes --->|... not looked at ...|
 *             0                    at                                     window_len
 *
 * At each place the weak sum is looked up; a strong sum is computed only where a weak one agrees,
 * and at most once. What lies before a match, or before the place where the chunk ends, is said as
 * literal bytes; the rest, less than a block, waits for the next chunk.
 */
#include "delta/matcher.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "delta/token.h"

enum { CANDIDATES_MAX = 1024 };

/* The strong sum of the window being looked up, computed on demand. */
struct lookup {
    const uint8_t *bytes;
    size_t len;
    int64_t offset; /* in the file */
    uint32_t weak;
    bool has_strong;
    uint8_t strong[HASH_BYTES_MAX];
};

static bool has_blocks(const struct matcher *matcher)
{
    return matcher->options.blocks != NULL && matcher->options.blocks->count > 0;
}

int matcher_init(struct matcher *matcher, const struct matcher_options *options)
{
    *matcher = (struct matcher){.options = *options, .skip_left = options->append_from};
    if (has_blocks(matcher)) {
        bool is_usable = options->strong != NULL && options->blocks->slots != NULL
                && options->append_from == 0;
        if (!is_usable) return -EINVAL;
    }
    return hash_init(&matcher->whole, options->whole_sum, 0);
}

void matcher_fini(struct matcher *matcher)
{
    hash_fini(&matcher->whole);
    free(matcher->window);
    *matcher = (struct matcher){};
}

size_t matcher_out_max(const struct matcher *matcher, size_t len)
{
    enum { TOKEN_BYTES = 4, SLACK = 2 * HASH_BYTES_MAX };
    size_t block = has_blocks(matcher) ? (size_t)matcher->options.blocks->block_bytes : len + 1;
    size_t bytes = matcher->window_len + len;
    /* At most a literal and a copy for each block, and the cuts of long literals. */
    size_t tokens = 2 * (bytes / block + 1) + bytes / TOKEN_LITERAL_BYTES_MAX + 2;
    return bytes + TOKEN_BYTES * tokens + SLACK;
}

/* Whether block index is what the lookup has found. */
static bool is_block(const struct matcher *matcher, struct lookup *lookup, int32_t index)
{
    const struct blocks *blocks = matcher->options.blocks;
    if (blocks->weak[index] != lookup->weak) return false;
    int32_t len = index == blocks->count - 1 ? blocks->last_len : blocks->block_bytes;
    if ((size_t)len != lookup->len) return false;
    /* In place, what lies before the output's end has been overwritten. */
    int64_t basis_offset = (int64_t)index * blocks->block_bytes;
    if (matcher->options.is_inplace && basis_offset < lookup->offset) return false;

    if (!lookup->has_strong) {
        strong_block(matcher->options.strong, lookup->bytes, lookup->len, lookup->strong);
        lookup->has_strong = true;
    }
    size_t strong_bytes = (size_t)blocks->strong_bytes;
    const uint8_t *wanted = blocks->strong + (size_t)index * strong_bytes;
    return memcmp(lookup->strong, wanted, strong_bytes) == 0;
}

/* The block equal to the lookup's bytes, or -1; first is the first with its weak sum. */
static int32_t find_block(const struct matcher *matcher, struct lookup *lookup, int32_t first)
{
    const struct blocks *blocks = matcher->options.blocks;
    int32_t hint = matcher->block_hint;
    if (hint < blocks->count && is_block(matcher, lookup, hint)) return hint;
    int32_t index = first;
    for (int tried = 0; index >= 0 && tried < CANDIDATES_MAX; tried++) {
        if (is_block(matcher, lookup, index)) return index;
        index = blocks_next(blocks, index);
    }
    return -1;
}

static void say_literal(struct matcher *matcher, const uint8_t *bytes, size_t len, struct buf *out)
{
    (void)token_put_literal(out, bytes, len);
    matcher->literal_bytes += (int64_t)len;
}

static void say_copy(struct matcher *matcher, int32_t index, size_t len, struct buf *out)
{
    (void)token_put_copy(out, index);
    matcher->matched_bytes += (int64_t)len;
    matcher->block_hint = index + 1;
}

static int extend_window(struct matcher *matcher, const uint8_t *bytes, size_t len)
{
    size_t wanted = matcher->window_len + len;
    if (wanted > matcher->window_capacity) {
        uint8_t *window = realloc(matcher->window, wanted);
        if (window == NULL) return -ENOMEM;
        matcher->window = window;
        matcher->window_capacity = wanted;
    }
    memcpy(matcher->window + matcher->window_len, bytes, len);
    matcher->window_len = wanted;
    return 0;
}

static void drop_window(struct matcher *matcher, size_t len)
{
    matcher->window_len -= len;
    if (len > 0) memmove(matcher->window, matcher->window + len, matcher->window_len);
    matcher->file_at += (int64_t)len;
}

/* Look at every place of the window where a whole block fits. */
static void scan(struct matcher *matcher, struct buf *out)
{
    const size_t block = (size_t)matcher->options.blocks->block_bytes;
    const uint8_t *window = matcher->window;
    const size_t end = matcher->window_len;
    size_t literal_from = 0;
    size_t at = 0;
    while (at + block <= end) {
        if (matcher->has_sum) {
            /* This place was looked at; the next needs one byte more. */
            if (at + block == end) break;
            matcher->sum = rolling_slide(matcher->sum, block, window[at], window[at + block]);
            at++;
        } else {
            matcher->sum = rolling_of(window + at, block);
            matcher->has_sum = true;
        }
        uint32_t weak = rolling_value(matcher->sum);
        int32_t first = blocks_find(matcher->options.blocks, weak);
        if (first < 0) continue;
        struct lookup lookup = {.bytes = window + at,
                .len = block,
                .offset = matcher->file_at + (int64_t)at,
                .weak = weak};
        int32_t index = find_block(matcher, &lookup, first);
        if (index < 0) continue;

        say_literal(matcher, window + literal_from, at - literal_from, out);
        say_copy(matcher, index, block, out);
        matcher->has_sum = false;
        at += block;
        literal_from = at;
    }
    say_literal(matcher, window + literal_from, at - literal_from, out);
    drop_window(matcher, at);
}

/* Appending: pass over what the receiver has. Returns how many of the bytes that were. */
static size_t skip(struct matcher *matcher, const uint8_t *bytes, size_t len)
{
    size_t skipped = (int64_t)len < matcher->skip_left ? len : (size_t)matcher->skip_left;
    if (matcher->options.append_is_verified) hash_update(&matcher->whole, bytes, skipped);
    matcher->skip_left -= (int64_t)skipped;
    return skipped;
}

int matcher_feed(struct matcher *matcher, const uint8_t *bytes, size_t len, struct buf *out)
{
    if (matcher->skip_left > 0) {
        size_t skipped = skip(matcher, bytes, len);
        bytes += skipped;
        len -= skipped;
    }
    if (len == 0) return out->error;
    hash_update(&matcher->whole, bytes, len);
    if (!has_blocks(matcher)) {
        say_literal(matcher, bytes, len, out);
        return out->error;
    }
    int r = extend_window(matcher, bytes, len);
    if (r < 0) return r;

    scan(matcher, out);
    return out->error;
}

/* The window is less than a block, or a block that was not found. Only the basis's last, shorter
 * block can still be in it, and only at its end. */
static void say_rest(struct matcher *matcher, struct buf *out)
{
    const struct blocks *blocks = matcher->options.blocks;
    size_t last_len = (size_t)blocks->last_len;
    bool may_match = last_len < (size_t)blocks->block_bytes && last_len <= matcher->window_len;
    size_t at = matcher->window_len - (may_match ? last_len : 0);
    struct lookup lookup = {.bytes = matcher->window + at,
            .len = last_len,
            .offset = matcher->file_at + (int64_t)at};
    if (may_match) lookup.weak = rolling_value(rolling_of(lookup.bytes, last_len));
    if (may_match && is_block(matcher, &lookup, blocks->count - 1)) {
        say_literal(matcher, matcher->window, at, out);
        say_copy(matcher, blocks->count - 1, last_len, out);
    } else {
        say_literal(matcher, matcher->window, matcher->window_len, out);
    }
    drop_window(matcher, matcher->window_len);
}

int matcher_finish(struct matcher *matcher, bool has_read_error, struct buf *out)
{
    if (has_blocks(matcher) && matcher->window_len > 0) say_rest(matcher, out);
    (void)token_put_end(out);

    uint8_t sum[HASH_BYTES_MAX] = {};
    size_t sum_len = hash_bytes(matcher->options.whole_sum);
    hash_final(&matcher->whole, sum);
    if (sum_len == 0) return buf_put_byte(out, 0);
    if (has_read_error) {
        static const uint8_t zeros[HASH_BYTES_MAX] = {};
        bool is_zero = memcmp(sum, zeros, sum_len) == 0;
        memset(sum, is_zero ? 0xff : 0, sum_len);
    }
    return buf_put(out, sum, sum_len);
}
