/* SPDX-License-Identifier: MIT */
/*
 * rolling.h - the weak sum that slides: bytes are signed, two 16-bit halves.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct rolling {
    uint32_t s1;
    uint32_t s2;
};

/* The sum of len bytes. */
struct rolling rolling_of(const uint8_t *bytes, size_t len);

/* As it travels. */
static inline uint32_t rolling_value(struct rolling sum)
{
    return (sum.s1 & 0xffff) | sum.s2 << 16;
}

/* Slide a window of len bytes by one: old leaves on the left, new enters on the right. */
static inline struct rolling rolling_slide(struct rolling sum, size_t len, uint8_t old, uint8_t new)
{
    sum.s1 += (uint32_t)(int32_t)(int8_t) new - (uint32_t)(int32_t)(int8_t)old;
    sum.s2 += sum.s1 - (uint32_t)len * (uint32_t)(int32_t)(int8_t)old;
    return sum;
}
