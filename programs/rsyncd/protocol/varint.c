/* SPDX-License-Identifier: MIT */
#include "protocol/varint.h"

#include <stdbool.h>
#include <string.h>

/* How many bytes a lead byte promises beyond the minimum: one per leading 1 bit, six at most. */
static unsigned extra_bytes(uint8_t lead)
{
    unsigned extra = 0;
    while (extra < 6 && (lead & 0x80u >> extra) != 0) {
        extra++;
    }
    return extra;
}

/* bytes_max is that of the value: 4 or 8. */
static int put_number(struct buf *out, uint64_t value, unsigned bytes_min, unsigned bytes_max)
{
    uint8_t bytes[8];
    for (unsigned i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(value >> 8 * i);
    }
    unsigned len = bytes_max;
    while (len > bytes_min && bytes[len - 1] == 0) {
        len--;
    }

    /* The top byte shares the lead byte with the prefix if it leaves the prefix's bits free. */
    unsigned extra = len - bytes_min;
    uint8_t prefix = (uint8_t) ~(0xffu >> extra);
    uint8_t top = bytes[len - 1];
    if (top < 1u << (7 - extra)) {
        (void)buf_put_byte(out, prefix | top);
        return buf_put(out, bytes, len - 1);
    }
    prefix = (uint8_t) ~(0xffu >> (extra + 1));
    (void)buf_put_byte(out, prefix);
    return buf_put(out, bytes, len);
}

static int get_number(
        struct cursor *in, unsigned bytes_min, unsigned bytes_max, uint64_t *out_value)
{
    if (cursor_left(in) < 1) return -EAGAIN;
    uint8_t lead = *in->at;
    unsigned extra = extra_bytes(lead);
    if (bytes_min + extra > bytes_max + 1) return -EPROTO;
    if (cursor_left(in) < bytes_min + extra) return -EAGAIN;

    const uint8_t *bytes = in->at + 1;
    unsigned len = bytes_min + extra - 1;
    uint64_t value = 0;
    for (unsigned i = 0; i < len; i++) {
        value |= (uint64_t)bytes[i] << 8 * i;
    }
    uint64_t top = extra == 0 ? lead : lead & ((1u << (8 - extra)) - 1);
    if (len >= bytes_max) {
        if (top != 0) return -EPROTO;
    } else {
        value |= top << 8 * len;
    }
    in->at += bytes_min + extra;
    *out_value = value;
    return 0;
}

int varint_put(struct buf *out, int32_t value)
{
    return put_number(out, (uint32_t)value, 1, 4);
}

int varint_get(struct cursor *in, int32_t *out_value)
{
    uint64_t value = 0;
    int r = get_number(in, 1, 4, &value);
    if (r < 0) return r;

    *out_value = (int32_t)(uint32_t)value;
    return 0;
}

int varlong_put(struct buf *out, int64_t value, unsigned bytes_min)
{
    return put_number(out, (uint64_t)value, bytes_min, 8);
}

int varlong_get(struct cursor *in, unsigned bytes_min, int64_t *out_value)
{
    uint64_t value = 0;
    int r = get_number(in, bytes_min, 8, &value);
    if (r < 0) return r;

    *out_value = (int64_t)value;
    return 0;
}

int vstring_put(struct buf *out, const void *bytes, size_t len)
{
    if (len > VSTRING_MAX) return -EINVAL;
    if (len >= 0x80) (void)buf_put_byte(out, 0x80u | (unsigned)(len >> 8));
    (void)buf_put_byte(out, len & 0xff);
    return buf_put(out, bytes, len);
}

int vstring_get(struct cursor *in, size_t len_max, const uint8_t **out_bytes, size_t *out_len)
{
    struct cursor at = *in;
    uint8_t first = 0;
    int r = cursor_get_byte(&at, &first);
    if (r < 0) return r;

    size_t len = first;
    if ((first & 0x80) != 0) {
        uint8_t second = 0;
        r = cursor_get_byte(&at, &second);
        if (r < 0) return r;
        len = (size_t)(first & 0x7f) << 8 | second;
    }
    if (len > len_max) return -EPROTO;
    r = cursor_get_bytes(&at, len, out_bytes);
    if (r < 0) return r;

    *out_len = len;
    *in = at;
    return 0;
}
