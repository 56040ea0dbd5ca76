/* SPDX-License-Identifier: MIT */
/*
 * request.h - what a generator asks for, and the head of the sender's reply.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kit/buf.h"
#include "kit/cursor.h"
#include "kit/fault.h"
#include "protocol/ndx.h"

enum request_flag {
    REQUEST_CONTENT = 0x0002,
    REQUEST_SIZE = 0x0004,
    REQUEST_TIME = 0x0008,
    REQUEST_XATTR = 0x0100,
    REQUEST_HAS_BASIS = 0x0800,
    REQUEST_HAS_NAME = 0x1000,
    REQUEST_IS_NEW = 0x2000,
    REQUEST_LOCAL_CHANGE = 0x4000,
    REQUEST_TRANSFER = 0x8000,
};

enum { REQUEST_NAME_MAX = 4096, SUMHEAD_BLOCK_BYTES_MAX = 131072, SUMHEAD_COUNT_MAX = 1 << 28 };

struct request {
    int32_t ndx; /* >= 0, or NDX_DONE, or NDX_DEL_STATS; the rest is meaningful for >= 0 */
    uint16_t iflags;
    uint8_t basis; /* with REQUEST_HAS_BASIS */
    size_t name_len;
    char name[REQUEST_NAME_MAX]; /* with REQUEST_HAS_NAME; NUL-terminated */
};

struct sumhead {
    int32_t count;
    int32_t block_bytes;
    int32_t strong_bytes; /* of each strong sum that is sent */
    int32_t remainder;    /* length of the last block if shorter, else 0 */
};

/*
 * Read index, flags, basis, name. entries_count bounds the index, files only when it is a
 * transfer is the caller's check. 0, -EAGAIN (nothing moved), -EPROTO with words: an index out of
 * range, REQUEST_XATTR (never agreed), a name too long.
 */
int request_get(struct ndx *ndx, struct cursor *in, int32_t entries_count,
        struct request *out_request, struct fault *fault);

/* Index, flags, basis and name of the reply: the request echoed. */
int request_put(struct ndx *ndx, const struct request *request, struct buf *out);

/* Read and check a sum head; digest_bytes is the transfer digest's length. */
int sumhead_get(
        struct cursor *in, size_t digest_bytes, struct sumhead *out_head, struct fault *fault);
int sumhead_put(const struct sumhead *head, struct buf *out);

/* Bytes that the blocks of a head describe: the basis's length. */
int64_t sumhead_basis_bytes(const struct sumhead *head);

/* Length of block index. */
int32_t sumhead_block_len(const struct sumhead *head, int32_t index);

/* The five numbers after NDX_DEL_STATS: regular, dirs, symlinks, devices, specials. */
struct del_stats {
    int32_t deleted[5];
};
int del_stats_get(struct cursor *in, struct del_stats *out_stats, struct fault *fault);
int del_stats_put(struct ndx *ndx, const struct del_stats *stats, struct buf *out);

/* The closing statistics of a server sender. */
struct stats {
    int64_t read_bytes;    /* by us, from the socket */
    int64_t written_bytes; /* by us, to the socket */
    int64_t files_bytes;   /* sum of the sizes of all files listed */
    int64_t build_ms;
    int64_t transfer_ms;
};
int stats_put(const struct stats *stats, struct buf *out);
int stats_get(struct cursor *in, struct stats *out_stats);
