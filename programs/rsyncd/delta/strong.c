/* SPDX-License-Identifier: MIT */
#include "delta/strong.h"

static bool is_seeded_inside(enum hash_kind kind)
{
    return kind == HASH_XXH64 || kind == HASH_XXH3 || kind == HASH_XXH128;
}

int strong_init(struct strong *strong, enum hash_kind kind, int32_t seed, bool is_seed_first)
{
    *strong = (struct strong){.seed = seed, .is_seed_first = is_seed_first || kind != HASH_MD5};
    return hash_init(&strong->hash, kind, (uint64_t)(int64_t)seed);
}

void strong_fini(struct strong *strong)
{
    hash_fini(&strong->hash);
}

void strong_block(struct strong *strong, const uint8_t *bytes, size_t len, uint8_t *out_sum)
{
    uint8_t seed[4];
    for (unsigned i = 0; i < sizeof seed; i++) {
        seed[i] = (uint8_t)((uint32_t)strong->seed >> 8 * i);
    }
    bool adds_seed = strong->seed != 0 && !is_seeded_inside(strong->hash.kind);
    hash_reset(&strong->hash);
    if (adds_seed && strong->is_seed_first) hash_update(&strong->hash, seed, sizeof seed);
    hash_update(&strong->hash, bytes, len);
    if (adds_seed && !strong->is_seed_first) hash_update(&strong->hash, seed, sizeof seed);
    hash_final(&strong->hash, out_sum);
}
