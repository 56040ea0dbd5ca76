/* SPDX-License-Identifier: MIT */
/*
 * ndx.h - file indices, coded as differences. One struct ndx for each direction of a connection.
 */
#pragma once

#include <stdint.h>

#include "kit/buf.h"
#include "kit/cursor.h"

enum {
    NDX_DONE = -1,
    NDX_FLIST_EOF = -2,
    NDX_DEL_STATS = -3,
    NDX_FLIST_OFFSET = -101, /* a sub-list of directory n is announced as NDX_FLIST_OFFSET - n */
};

struct ndx {
    int32_t prev_positive;
    int32_t prev_negative; /* kept as a positive number */
};

void ndx_init(struct ndx *ndx);
int ndx_put(struct ndx *ndx, struct buf *out, int32_t value);

/* 0, -EAGAIN (nothing moved), -EPROTO (beyond 2^31 - 1). */
int ndx_get(struct ndx *ndx, struct cursor *in, int32_t *out_value);
