/* SPDX-License-Identifier: MIT */
#include "delta/token.h"

#include <errno.h>

int token_put_literal(struct buf *out, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        size_t piece = len < TOKEN_LITERAL_BYTES_MAX ? len : TOKEN_LITERAL_BYTES_MAX;
        (void)buf_put_u32le(out, (uint32_t)piece);
        (void)buf_put(out, bytes, piece);
        bytes += piece;
        len -= piece;
    }
    return out->error;
}

int token_put_copy(struct buf *out, int32_t block)
{
    return buf_put_u32le(out, (uint32_t)(-block - 1));
}

int token_put_end(struct buf *out)
{
    return buf_put_u32le(out, 0);
}

int token_get(struct token_reader *reader, struct cursor *in, int32_t blocks_count,
        struct token *out_token, struct fault *fault)
{
    if (reader->literal_left == 0) {
        struct cursor at = *in;
        uint32_t word = 0;
        int r = cursor_get_u32le(&at, &word);
        if (r < 0) return r;

        int32_t number = (int32_t)word;
        *out_token = (struct token){.kind = TOKEN_END};
        if (number < 0) *out_token = (struct token){.kind = TOKEN_COPY, .block = -(number + 1)};
        if (number < 0 && out_token->block >= blocks_count) {
            return fault_set(
                    fault, -EPROTO, "a token names block %d of %d", out_token->block, blocks_count);
        }
        *in = at;
        if (number <= 0) return 0;
        reader->literal_left = word;
    }
    size_t len = cursor_left(in) < reader->literal_left ? cursor_left(in) : reader->literal_left;
    if (len == 0) return -EAGAIN;
    *out_token = (struct token){.kind = TOKEN_LITERAL, .bytes = in->at, .len = len};
    in->at += len;
    reader->literal_left -= (uint32_t)len;
    return 0;
}
