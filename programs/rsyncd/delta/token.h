/* SPDX-License-Identifier: MIT */
/*
 * token.h - the uncompressed token stream: literal bytes, copies of basis blocks, an end.
 *
 *     int32 n > 0: n literal bytes follow;  n < 0: block -(n + 1);  0: the end
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kit/buf.h"
#include "kit/cursor.h"
#include "kit/fault.h"

enum { TOKEN_LITERAL_BYTES_MAX = 32768 };

/* Literal bytes, cut into tokens of at most TOKEN_LITERAL_BYTES_MAX. Nothing for len 0. */
int token_put_literal(struct buf *out, const uint8_t *bytes, size_t len);
int token_put_copy(struct buf *out, int32_t block);
int token_put_end(struct buf *out);

enum token_kind { TOKEN_END, TOKEN_LITERAL, TOKEN_COPY };

struct token_reader {
    uint32_t literal_left; /* of the literal token being read */
};

struct token {
    enum token_kind kind;
    const uint8_t *bytes; /* literal: in in's bytes; a long literal comes in pieces */
    size_t len;
    int32_t block; /* copy */
};

/* 0, -EAGAIN (an incomplete number is left in in), -EPROTO (block >= blocks_count). */
int token_get(struct token_reader *reader, struct cursor *in, int32_t blocks_count,
        struct token *out_token, struct fault *fault);
