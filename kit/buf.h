/* SPDX-License-Identifier: MIT */
/*
 * kit/buf.h - a growable queue of bytes with a limit.
 *
 *      bytes            start              start+len        capacity      max
 *        |  (consumed)    |   waiting bytes    |   (room)      |  (may grow) |
 *
 * Bytes are put at the end and dropped from the front. Nothing is allocated before the first put.
 *
 * Invariants
 *   1. start + len <= capacity <= max.
 *   2. error is sticky: after the first put that failed, puts change nothing. So a writer may put
 *      a whole record and look at error once, at its end.
 *
 * An all-zero struct buf is a valid empty buffer with max 0; every put to it fails.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct buf {
    uint8_t *bytes;  /* heap; NULL when nothing is allocated */
    size_t start;    /* of the first waiting byte */
    size_t len;      /* waiting bytes */
    size_t capacity; /* allocated */
    size_t max;      /* capacity never exceeds this */
    int error;       /* 0, -ENOMEM, or -ENOBUFS when max was in the way */
};

/* An empty buffer that will hold at most max bytes. Allocates nothing, never fails. */
void buf_init(struct buf *buf, size_t max);

/* Give the memory back; the buffer is then as after buf_init() with the same max. */
void buf_fini(struct buf *buf);

/* First waiting byte. Valid until the next call that is not buf_data(). NULL when never used. */
uint8_t *buf_data(const struct buf *buf);

/* Put at the end. Each returns buf->error: 0, or the sticky negative errno. */
int buf_put(struct buf *buf, const void *bytes, size_t len);
int buf_put_byte(struct buf *buf, unsigned byte);
int buf_put_u16le(struct buf *buf, uint32_t value);
int buf_put_u32le(struct buf *buf, uint32_t value);
int buf_put_u64le(struct buf *buf, uint64_t value);
int buf_put_str(struct buf *buf, const char *text);
int buf_put_format(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Room for len bytes at the end, for someone else to fill (read(2), say), followed by
 * buf_commit() of as many as were filled. NULL, and buf->error set, when there is no room. */
uint8_t *buf_reserve(struct buf *buf, size_t len);
void buf_commit(struct buf *buf, size_t len);

/* Bytes that still fit before max is reached. */
size_t buf_room(const struct buf *buf);

/* Forget len bytes at the front; len <= buf->len. Memory is kept for the next put. */
void buf_drop(struct buf *buf, size_t len);

/* Forget everything and the error; keep the memory. */
void buf_clear(struct buf *buf);
