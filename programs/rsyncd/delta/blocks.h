/* SPDX-License-Identifier: MIT */
/*
 * blocks.h - the sums of a basis file's blocks, as received, and an index over the weak ones.
 *
 * Memory per block: 8 bytes, plus the strong sum's prefix, plus 10 to 20 bytes of hash table.
 *
 *     blocks_init()   blocks_feed() until it returns 0   hand to matcher_init()   blocks_fini()
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kit/cursor.h"
#include "kit/fault.h"

struct blocks {
    int32_t count;
    int32_t block_bytes;
    int32_t strong_bytes;
    int32_t last_len;   /* of the last block */
    int32_t count_read; /* sums received so far */
    int32_t capacity;   /* allocated sums; grows with what arrives, not with what is promised */
    size_t bytes_max;   /* memory allowed */
    uint32_t *weak;     /* heap; count */
    uint8_t *strong;    /* heap; count * strong_bytes */
    int32_t *next;      /* heap; chain of equal slots, -1 ends; built when complete */
    int32_t *slots;     /* heap; slots_mask + 1 chain heads */
    uint32_t slots_mask;
    uint8_t *seen; /* heap; slots_mask + 1 bytes, a bit for each sum's hash: most misses end here */
};

/* The four numbers of a sum head that was checked. bytes_max bounds the memory. 0, or -E2BIG if the
 * promised blocks could not fit. Allocates nothing yet. */
int blocks_init(struct blocks *blocks, int32_t count, int32_t block_bytes, int32_t strong_bytes,
        int32_t remainder, size_t bytes_max);
void blocks_fini(struct blocks *blocks);

/* Consume sums. 0 when all have arrived and the index is built, -EAGAIN when in has no further
 * complete sum (the rest must be kept), -ENOMEM. */
int blocks_feed(struct blocks *blocks, struct cursor *in);

/* A weak sum's hash: its low bits say the slot, its low bits but three the byte in seen. Both halves
 * of a weak sum are poor in their low bits; the product's upper half is not. Here, and not in
 * blocks.c, because it is done for each byte of a file. */
static inline uint32_t blocks_hash(uint32_t weak)
{
    return (uint32_t)((weak * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
}

/* The lowest block with this weak sum, and the next one; -1 when there is none. */
static inline int32_t blocks_next(const struct blocks *blocks, int32_t index)
{
    uint32_t weak = blocks->weak[index];
    do {
        index = blocks->next[index];
    } while (index >= 0 && blocks->weak[index] != weak);
    return index;
}

static inline int32_t blocks_find(const struct blocks *blocks, uint32_t weak)
{
    uint32_t hash = blocks_hash(weak);
    if ((blocks->seen[hash >> 3 & blocks->slots_mask] & 1u << (hash & 7)) == 0) return -1;
    int32_t index = blocks->slots[hash & blocks->slots_mask];
    while (index >= 0 && blocks->weak[index] != weak) {
        index = blocks->next[index];
    }
    return index;
}
