/* SPDX-License-Identifier: MIT */
/*
 * strong.h - strong sums of blocks and of whole files, seeded as the protocol wants them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kit/hash.h"

struct strong {
    struct hash hash;
    int32_t seed;
    bool is_seed_first; /* MD5: compat's CHKSUM_SEED_FIX */
};

/* For block sums. 0 or -ENOMEM. */
int strong_init(struct strong *strong, enum hash_kind kind, int32_t seed, bool is_seed_first);
void strong_fini(struct strong *strong);

/* The sum of one block: hash_bytes(kind) bytes. */
void strong_block(struct strong *strong, const uint8_t *bytes, size_t len, uint8_t *out_sum);
