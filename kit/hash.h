/* SPDX-License-Identifier: MIT */
/*
 * kit/hash.h - digests under one roof: MD5 and SHA from libcrypto, the XXH family from xxHash.
 *
 * XXH digests come out as rsync sends them: 64-bit halves little-endian, the low half first.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum hash_kind {
    HASH_NONE, /* no digest at all; 0 bytes */
    HASH_MD5,
    HASH_SHA1,
    HASH_SHA256,
    HASH_SHA512,
    HASH_XXH64,
    HASH_XXH3,
    HASH_XXH128,
};

enum { HASH_BYTES_MAX = 64 };

/* One running digest; the fields belong to hash.c. All zero is valid and is HASH_NONE. */
struct hash {
    enum hash_kind kind;
    uint64_t seed; /* XXH only */
    void *state;   /* heap */
};

/* Length of a digest; 0 for HASH_NONE. */
size_t hash_bytes(enum hash_kind kind);

/* rsync's name of a digest ("md5", "xxh128"), and the way back; HASH_NONE for no such name. */
const char *hash_name(enum hash_kind kind);
enum hash_kind hash_by_name(const char *name, size_t len);

/* Start a digest. seed is used by the XXH kinds and ignored by the others. 0 or -ENOMEM. */
int hash_init(struct hash *hash, enum hash_kind kind, uint64_t seed);
void hash_fini(struct hash *hash);

/* Begin anew with the same kind and seed. */
void hash_reset(struct hash *hash);
void hash_update(struct hash *hash, const void *bytes, size_t len);

/* Write hash_bytes() bytes. The digest must be reset before it is used again. */
void hash_final(struct hash *hash, uint8_t *out_digest);
