/* SPDX-License-Identifier: MIT */
/*
 * compat.h - the binary setup between the arguments and the multiplexed stream.
 *
 *     S> varint flags   S> [our sums] [our compressors]   C> [theirs] [theirs]   S> int32 seed
 *
 *     compat_choose()   compat_put()                      compat_get()          compat_put_seed()
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kit/buf.h"
#include "kit/cursor.h"
#include "kit/fault.h"
#include "kit/hash.h"
#include "protocol/options.h"

enum compat_flag {
    COMPAT_INC_RECURSE = 1u << 0,
    COMPAT_SYMLINK_TIMES = 1u << 1,
    COMPAT_SYMLINK_ICONV = 1u << 2,
    COMPAT_SAFE_FLIST = 1u << 3,
    COMPAT_AVOID_XATTR_OPT = 1u << 4,
    COMPAT_CHKSUM_SEED_FIX = 1u << 5,
    COMPAT_INPLACE_PARTIAL = 1u << 6,
    COMPAT_VARINT_FLIST = 1u << 7,
    COMPAT_ID0_NAMES = 1u << 8,
};

#define COMPAT_SUMS_OFFERED "xxh128 xxh3 xxh64 md5 sha1"

struct compat {
    int protocol;
    unsigned flags;
    bool awaits_sums;     /* we offer a checksum list and the client answers with its own */
    bool awaits_compress; /* the same for compression; we offer "none" */
    enum hash_kind transfer_sum;
    enum hash_kind flist_sum;
    int32_t seed; /* 0 until compat_put_seed() */
};

/* Decide flags and explicit choices. 0, or -EINVAL with the line for the client in fault: a
 * checksum or compression that was asked for and is not offered. compat is complete even then, as
 * the setup has to be finished before the error can be told. */
int compat_choose(
        struct compat *compat, const struct options *options, int protocol, struct fault *fault);

/* Flags, then the lists that are due. */
int compat_put(const struct compat *compat, struct buf *out);

/* The client's lists. 0 (at once if none is due), -EAGAIN (nothing moved), -EPROTO with words. */
int compat_get(struct compat *compat, struct cursor *in, struct fault *fault);

/* The seed: the client's if it gave one, else random made positive and not zero. */
int compat_put_seed(
        struct compat *compat, const struct options *options, uint32_t random, struct buf *out);
