/* SPDX-License-Identifier: MIT */
/*
 * kit/cursor.h - reading a record from bytes that may not all have arrived.
 *
 * A decoder works on a copy of its caller's cursor and stores it back when the record is complete:
 * on -EAGAIN ("not all here yet") nothing has moved and the same call is right once more bytes are
 * behind the same position.
 *
 *     struct cursor in = cursor_of(buf_data(&input), input.len);
 *     int r = varint_get(&in, &value);
 *     if (r == 0) buf_drop(&input, input.len - cursor_left(&in));
 */
#pragma once

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
};

static inline struct cursor cursor_of(const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    return (struct cursor){.at = at, .end = len == 0 ? at : at + len};
}

static inline size_t cursor_left(const struct cursor *in)
{
    return (size_t)(in->end - in->at);
}

/* Each takes from the front: 0, or -EAGAIN and nothing moved. Integers are little-endian. */
int cursor_get_byte(struct cursor *in, uint8_t *out_byte);
int cursor_get_u16le(struct cursor *in, uint16_t *out_value);
int cursor_get_u32le(struct cursor *in, uint32_t *out_value);
int cursor_get_u64le(struct cursor *in, uint64_t *out_value);

/* len bytes in place: *out_bytes points into the cursor's bytes. */
int cursor_get_bytes(struct cursor *in, size_t len, const uint8_t **out_bytes);
