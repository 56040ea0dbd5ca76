/* SPDX-License-Identifier: MIT */
#include "delta/blocks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY_FIRST = 64, INDEX_BYTES_PER_BLOCK = 4 + 20 };

int blocks_init(struct blocks *blocks, int32_t count, int32_t block_bytes, int32_t strong_bytes,
        int32_t remainder, size_t bytes_max)
{
    *blocks = (struct blocks){.count = count,
            .block_bytes = block_bytes,
            .strong_bytes = strong_bytes,
            .last_len = remainder != 0 ? remainder : block_bytes};
    size_t each = sizeof *blocks->weak + (size_t)strong_bytes + INDEX_BYTES_PER_BLOCK;
    return (size_t)count > bytes_max / each ? -E2BIG : 0;
}

static void free_index(struct blocks *blocks)
{
    free(blocks->next);
    free(blocks->slots);
    free(blocks->seen);
    blocks->next = NULL;
    blocks->slots = NULL;
    blocks->seen = NULL;
}

void blocks_fini(struct blocks *blocks)
{
    free(blocks->weak);
    free(blocks->strong);
    free_index(blocks);
    *blocks = (struct blocks){};
}

static int grow(struct blocks *blocks)
{
    int32_t capacity = blocks->capacity == 0 ? CAPACITY_FIRST : blocks->capacity;
    if (blocks->capacity > 0) capacity = capacity > INT32_MAX / 2 ? INT32_MAX : 2 * capacity;
    if (capacity > blocks->count) capacity = blocks->count;

    uint32_t *weak = realloc(blocks->weak, (size_t)capacity * sizeof *weak);
    if (weak == NULL) return -ENOMEM;
    blocks->weak = weak;
    /* One byte more: a sum may have length 0. */
    uint8_t *strong = realloc(blocks->strong, (size_t)capacity * (size_t)blocks->strong_bytes + 1);
    if (strong == NULL) return -ENOMEM;
    blocks->strong = strong;
    blocks->capacity = capacity;
    return 0;
}

static int build_index(struct blocks *blocks)
{
    uint32_t slots = 16;
    /* At least two slots for each block, so that most places of a file that differs meet none. */
    while (slots / 2 < (uint32_t)blocks->count && slots < 1u << 26) {
        slots *= 2;
    }
    blocks->next = malloc((size_t)blocks->count * sizeof *blocks->next);
    blocks->slots = malloc(slots * sizeof *blocks->slots);
    blocks->seen = calloc(slots, 1);
    if (blocks->next == NULL || blocks->slots == NULL || blocks->seen == NULL) {
        free_index(blocks); /* slots says whether the index is there */
        return -ENOMEM;
    }

    blocks->slots_mask = slots - 1;
    memset(blocks->slots, 0xff, slots * sizeof *blocks->slots);
    /* From the last to the first, so that a chain begins with its lowest block. */
    for (int32_t i = blocks->count - 1; i >= 0; i--) {
        uint32_t hash = blocks_hash(blocks->weak[i]);
        int32_t *slot = &blocks->slots[hash & blocks->slots_mask];
        blocks->seen[hash >> 3 & blocks->slots_mask] |= (uint8_t)(1u << (hash & 7));
        blocks->next[i] = *slot;
        *slot = i;
    }
    return 0;
}

int blocks_feed(struct blocks *blocks, struct cursor *in)
{
    size_t each = sizeof(uint32_t) + (size_t)blocks->strong_bytes;
    while (blocks->count_read < blocks->count) {
        if (cursor_left(in) < each) return -EAGAIN;
        if (blocks->count_read == blocks->capacity) {
            int r = grow(blocks);
            if (r < 0) return r;
        }
        (void)cursor_get_u32le(in, &blocks->weak[blocks->count_read]);
        size_t len = (size_t)blocks->strong_bytes;
        memcpy(blocks->strong + (size_t)blocks->count_read * len, in->at, len);
        in->at += len;
        blocks->count_read++;
    }
    if (blocks->count == 0 || blocks->slots != NULL) return 0;
    return build_index(blocks);
}
