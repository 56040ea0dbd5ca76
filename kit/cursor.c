/* SPDX-License-Identifier: MIT */
#include "kit/cursor.h"

int cursor_get_bytes(struct cursor *in, size_t len, const uint8_t **out_bytes)
{
    if (cursor_left(in) < len) return -EAGAIN;
    *out_bytes = in->at;
    if (len > 0) in->at += len;
    return 0;
}

static int get_integer(struct cursor *in, size_t len, uint64_t *out_value)
{
    const uint8_t *bytes = NULL;
    int r = cursor_get_bytes(in, len, &bytes);
    if (r < 0) return r;

    uint64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        value |= (uint64_t)bytes[i] << 8 * i;
    }
    *out_value = value;
    return 0;
}

int cursor_get_byte(struct cursor *in, uint8_t *out_byte)
{
    if (in->at == in->end) return -EAGAIN;
    *out_byte = *in->at++;
    return 0;
}

int cursor_get_u16le(struct cursor *in, uint16_t *out_value)
{
    uint64_t value = 0;
    int r = get_integer(in, 2, &value);
    if (r < 0) return r;

    *out_value = (uint16_t)value;
    return 0;
}

int cursor_get_u32le(struct cursor *in, uint32_t *out_value)
{
    uint64_t value = 0;
    int r = get_integer(in, 4, &value);
    if (r < 0) return r;

    *out_value = (uint32_t)value;
    return 0;
}

int cursor_get_u64le(struct cursor *in, uint64_t *out_value)
{
    return get_integer(in, 8, out_value);
}
