/* SPDX-License-Identifier: MIT */
/*
 * varint.h - the variable-length integers and strings of protocol 30 and later.
 *
 * The lead byte's top bits say how many extra bytes follow; a varlong(n) has at least n bytes.
 * Negative numbers travel as their unsigned pattern.
 *
 * get functions: 0, -EAGAIN (more bytes needed, nothing moved), -EPROTO (no such number).
 * put functions return the buffer's sticky error.
 */
#pragma once

#include <stdint.h>

#include "kit/buf.h"
#include "kit/cursor.h"

enum { VSTRING_MAX = 0x7fff };

int varint_put(struct buf *out, int32_t value);
int varint_get(struct cursor *in, int32_t *out_value);

/* bytes_min is 3 (sizes, stats) or 4 (times); 1..8 work. */
int varlong_put(struct buf *out, int64_t value, unsigned bytes_min);
int varlong_get(struct cursor *in, unsigned bytes_min, int64_t *out_value);

/* A string of at most VSTRING_MAX bytes behind a one- or two-byte length. -EINVAL when longer. */
int vstring_put(struct buf *out, const void *bytes, size_t len);
/* *out_bytes points into in's bytes. -EPROTO when the length is above len_max. */
int vstring_get(struct cursor *in, size_t len_max, const uint8_t **out_bytes, size_t *out_len);
