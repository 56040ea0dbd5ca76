/* SPDX-License-Identifier: MIT */
#include "kit/hash.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static const struct {
    const char *name;
    size_t bytes;
} kinds[] = {
        [HASH_NONE] = {"none", 0},
        [HASH_MD5] = {"md5", 16},
        [HASH_SHA1] = {"sha1", 20},
        [HASH_SHA256] = {"sha256", 32},
        [HASH_SHA512] = {"sha512", 64},
        [HASH_XXH64] = {"xxh64", 8},
        [HASH_XXH3] = {"xxh3", 8},
        [HASH_XXH128] = {"xxh128", 16},
};

size_t hash_bytes(enum hash_kind kind)
{
    return kinds[kind].bytes;
}

const char *hash_name(enum hash_kind kind)
{
    return kinds[kind].name;
}

enum hash_kind hash_by_name(const char *name, size_t len)
{
    for (unsigned i = HASH_MD5; i < sizeof kinds / sizeof kinds[0]; i++) {
        bool is_same = strlen(kinds[i].name) == len && memcmp(kinds[i].name, name, len) == 0;
        if (is_same) return (enum hash_kind)i;
    }
    return HASH_NONE;
}

static const EVP_MD *evp_of(enum hash_kind kind)
{
    switch (kind) {
    case HASH_MD5: return EVP_md5();
    case HASH_SHA1: return EVP_sha1();
    case HASH_SHA256: return EVP_sha256();
    case HASH_SHA512: return EVP_sha512();
    case HASH_NONE:
    case HASH_XXH64:
    case HASH_XXH3:
    case HASH_XXH128: return NULL;
    }
    return NULL;
}

static void *new_state(enum hash_kind kind)
{
    switch (kind) {
    case HASH_NONE: return NULL;
    case HASH_MD5:
    case HASH_SHA1:
    case HASH_SHA256:
    case HASH_SHA512: return EVP_MD_CTX_new();
    case HASH_XXH64: return XXH64_createState();
    case HASH_XXH3:
    case HASH_XXH128: return XXH3_createState();
    }
    return NULL;
}

int hash_init(struct hash *hash, enum hash_kind kind, uint64_t seed)
{
    *hash = (struct hash){.kind = kind, .seed = seed};
    if (kind == HASH_NONE) return 0;

    hash->state = new_state(kind);
    if (hash->state == NULL) return -ENOMEM;
    if (evp_of(kind) != NULL && EVP_DigestInit_ex(hash->state, evp_of(kind), NULL) != 1) {
        /* The library cannot make this digest; its only reason here is memory. */
        hash_fini(hash);
        return -ENOMEM;
    }
    hash_reset(hash);
    return 0;
}

void hash_fini(struct hash *hash)
{
    switch (hash->kind) {
    case HASH_NONE: break;
    case HASH_MD5:
    case HASH_SHA1:
    case HASH_SHA256:
    case HASH_SHA512: EVP_MD_CTX_free(hash->state); break;
    case HASH_XXH64: (void)XXH64_freeState(hash->state); break;
    case HASH_XXH3:
    case HASH_XXH128: (void)XXH3_freeState(hash->state); break;
    }
    *hash = (struct hash){};
}

void hash_reset(struct hash *hash)
{
    switch (hash->kind) {
    case HASH_NONE: break;
    case HASH_MD5:
    case HASH_SHA1:
    case HASH_SHA256:
    case HASH_SHA512:
        /* The digest was fetched by hash_init(); starting it again needs no memory. */
        if (EVP_DigestInit_ex(hash->state, NULL, NULL) != 1) abort();
        break;
    case HASH_XXH64: (void)XXH64_reset(hash->state, hash->seed); break;
    case HASH_XXH3: (void)XXH3_64bits_reset_withSeed(hash->state, hash->seed); break;
    case HASH_XXH128: (void)XXH3_128bits_reset_withSeed(hash->state, hash->seed); break;
    }
}

void hash_update(struct hash *hash, const void *bytes, size_t len)
{
    if (len == 0) return;
    switch (hash->kind) {
    case HASH_NONE: break;
    case HASH_MD5:
    case HASH_SHA1:
    case HASH_SHA256:
    case HASH_SHA512:
        if (EVP_DigestUpdate(hash->state, bytes, len) != 1) abort();
        break;
    case HASH_XXH64: (void)XXH64_update(hash->state, bytes, len); break;
    case HASH_XXH3: (void)XXH3_64bits_update(hash->state, bytes, len); break;
    case HASH_XXH128: (void)XXH3_128bits_update(hash->state, bytes, len); break;
    }
}

static void put_u64le(uint8_t *out, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) {
        out[i] = (uint8_t)(value >> 8 * i);
    }
}

void hash_final(struct hash *hash, uint8_t *out_digest)
{
    switch (hash->kind) {
    case HASH_NONE: break;
    case HASH_MD5:
    case HASH_SHA1:
    case HASH_SHA256:
    case HASH_SHA512:
        if (EVP_DigestFinal_ex(hash->state, out_digest, NULL) != 1) abort();
        break;
    case HASH_XXH64: put_u64le(out_digest, XXH64_digest(hash->state)); break;
    case HASH_XXH3: put_u64le(out_digest, XXH3_64bits_digest(hash->state)); break;
    case HASH_XXH128: {
        XXH128_hash_t digest = XXH3_128bits_digest(hash->state);
        put_u64le(out_digest, digest.low64);
        put_u64le(out_digest + 8, digest.high64);
        break;
    }
    }
}
