/* SPDX-License-Identifier: MIT */
#include "protocol/ndx.h"

enum { LONG_FORM = 0xfe, NEGATIVE = 0xff, SHORT_MAX = 0xfd };

void ndx_init(struct ndx *ndx)
{
    *ndx = (struct ndx){.prev_positive = -1, .prev_negative = 1};
}

int ndx_put(struct ndx *ndx, struct buf *out, int32_t value)
{
    if (value == NDX_DONE) return buf_put_byte(out, 0);

    int32_t *prev = &ndx->prev_positive;
    if (value < 0) {
        if (value == INT32_MIN) return -EINVAL;
        (void)buf_put_byte(out, NEGATIVE);
        value = -value;
        prev = &ndx->prev_negative;
    }
    int64_t distance = (int64_t)value - *prev;
    *prev = value;

    if (distance >= 1 && distance <= SHORT_MAX) return buf_put_byte(out, (unsigned)distance);
    (void)buf_put_byte(out, LONG_FORM);
    if (distance >= 0 && distance <= 0x7fff) {
        (void)buf_put_byte(out, (unsigned)distance >> 8);
        return buf_put_byte(out, (unsigned)distance & 0xff);
    }
    (void)buf_put_byte(out, (unsigned)value >> 24 | 0x80);
    (void)buf_put_byte(out, (unsigned)value & 0xff);
    (void)buf_put_byte(out, (unsigned)value >> 8 & 0xff);
    return buf_put_byte(out, (unsigned)value >> 16 & 0xff);
}

/* The bytes after LONG_FORM. */
static int get_long_form(struct cursor *in, int32_t prev, int64_t *out_value)
{
    const uint8_t *b = NULL;
    int r = cursor_get_bytes(in, 2, &b);
    if (r < 0) return r;

    if ((b[0] & 0x80) == 0) {
        *out_value = (int64_t)prev + (b[0] << 8 | b[1]);
        return 0;
    }
    const uint8_t *more = NULL;
    r = cursor_get_bytes(in, 2, &more);
    if (r < 0) return r;

    *out_value = (int64_t)(b[0] & 0x7f) << 24 | (int64_t)more[1] << 16 | more[0] << 8 | b[1];
    return 0;
}

int ndx_get(struct ndx *ndx, struct cursor *in, int32_t *out_value)
{
    struct cursor at = *in;
    uint8_t first = 0;
    int r = cursor_get_byte(&at, &first);
    if (r < 0) return r;

    if (first == 0) {
        *out_value = NDX_DONE;
        *in = at;
        return 0;
    }
    int32_t *prev = &ndx->prev_positive;
    if (first == NEGATIVE) {
        prev = &ndx->prev_negative;
        r = cursor_get_byte(&at, &first);
        if (r < 0) return r;
    }
    int64_t value = (int64_t)*prev + first;
    if (first == LONG_FORM) {
        r = get_long_form(&at, *prev, &value);
        if (r < 0) return r;
    }
    /* A second NEGATIVE byte is no distance. */
    if (first == NEGATIVE || value > INT32_MAX || value < 0) return -EPROTO;

    *out_value = prev == &ndx->prev_negative ? (int32_t)-value : (int32_t)value;
    *prev = (int32_t)value;
    *in = at;
    return 0;
}
