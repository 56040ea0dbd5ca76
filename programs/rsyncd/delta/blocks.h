/* SPDX-License-Identifier: MIT */
/*
 * blocks.h - the sums of a basis file's blocks, as received, and an index over the weak ones.
 *
 * Memory per block: 8 bytes, plus the strong sum's prefix, plus 4 to 8 bytes of hash table.
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
};

/* The four numbers of a sum head that was checked. bytes_max bounds the memory. 0, or -E2BIG if the
 * promised blocks could not fit. Allocates nothing yet. */
int blocks_init(struct blocks *blocks, int32_t count, int32_t block_bytes, int32_t strong_bytes,
        int32_t remainder, size_t bytes_max);
void blocks_fini(struct blocks *blocks);

/* Consume sums. 0 when all have arrived and the index is built, -EAGAIN when in has no further
 * complete sum (the rest must be kept), -ENOMEM. */
int blocks_feed(struct blocks *blocks, struct cursor *in);

/* First candidate for a weak sum, and the next; -1 when there is none. They share a slot with the
 * sum: compare blocks->weak[i]. */
int32_t blocks_find(const struct blocks *blocks, uint32_t weak);
static inline int32_t blocks_next(const struct blocks *blocks, int32_t index)
{
    return blocks->next[index];
}
