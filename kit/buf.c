/* SPDX-License-Identifier: MIT */
#include "kit/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY_FIRST = 256 };

void buf_init(struct buf *buf, size_t max)
{
    *buf = (struct buf){.max = max};
}

void buf_fini(struct buf *buf)
{
    free(buf->bytes);
    buf_init(buf, buf->max);
}

uint8_t *buf_data(const struct buf *buf)
{
    return buf->bytes == NULL ? NULL : buf->bytes + buf->start;
}

size_t buf_room(const struct buf *buf)
{
    return buf->max - buf->len;
}

static int grow(struct buf *buf, size_t wanted)
{
    size_t capacity = buf->capacity == 0 ? CAPACITY_FIRST : buf->capacity;
    while (capacity < wanted && capacity <= buf->max / 2) {
        capacity *= 2;
    }
    if (capacity < wanted || capacity > buf->max) capacity = buf->max;

    uint8_t *bytes = realloc(buf->bytes, capacity);
    if (bytes == NULL) return -ENOMEM;

    buf->bytes = bytes;
    buf->capacity = capacity;
    return 0;
}

uint8_t *buf_reserve(struct buf *buf, size_t len)
{
    if (buf->error < 0) return NULL;
    if (len > buf_room(buf)) {
        buf->error = -ENOBUFS;
        return NULL;
    }
    size_t needed = buf->len + len;
    if (buf->start > 0 && needed > buf->capacity - buf->start) {
        memmove(buf->bytes, buf->bytes + buf->start, buf->len);
        buf->start = 0;
    }
    if (buf->bytes == NULL || needed > buf->capacity) {
        buf->error = grow(buf, needed);
        if (buf->error < 0) return NULL;
    }
    return buf->bytes + buf->start + buf->len;
}

void buf_commit(struct buf *buf, size_t len)
{
    if (len > buf->capacity - buf->start - buf->len) abort();
    buf->len += len;
}

int buf_put(struct buf *buf, const void *bytes, size_t len)
{
    if (len == 0) return buf->error;
    uint8_t *room = buf_reserve(buf, len);
    if (room == NULL) return buf->error;

    memcpy(room, bytes, len);
    buf->len += len;
    return 0;
}

int buf_put_byte(struct buf *buf, unsigned byte)
{
    uint8_t one = (uint8_t)byte;
    return buf_put(buf, &one, 1);
}

int buf_put_u16le(struct buf *buf, uint32_t value)
{
    uint8_t bytes[2] = {(uint8_t)value, (uint8_t)(value >> 8)};
    return buf_put(buf, bytes, sizeof bytes);
}

int buf_put_u32le(struct buf *buf, uint32_t value)
{
    uint8_t bytes[4];
    for (unsigned i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(value >> 8 * i);
    }
    return buf_put(buf, bytes, sizeof bytes);
}

int buf_put_u64le(struct buf *buf, uint64_t value)
{
    uint8_t bytes[8];
    for (unsigned i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(value >> 8 * i);
    }
    return buf_put(buf, bytes, sizeof bytes);
}

int buf_put_str(struct buf *buf, const char *text)
{
    return buf_put(buf, text, strlen(text));
}

int buf_put_format(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0) {
        if (buf->error == 0) buf->error = -EINVAL;
        return buf->error;
    }

    /* One more: vsnprintf() ends with a NUL, which is not committed. */
    uint8_t *room = buf_reserve(buf, (size_t)len + 1);
    if (room == NULL) return buf->error;

    va_start(args, format);
    (void)vsnprintf((char *)room, (size_t)len + 1, format, args);
    va_end(args);
    buf->len += (size_t)len;
    return 0;
}

void buf_drop(struct buf *buf, size_t len)
{
    if (len > buf->len) abort();
    buf->len -= len;
    buf->start = buf->len == 0 ? 0 : buf->start + len;
}

void buf_clear(struct buf *buf)
{
    buf->start = 0;
    buf->len = 0;
    buf->error = 0;
}
