/* SPDX-License-Identifier: MIT */
#include "delta/rolling.h"

struct rolling rolling_of(const uint8_t *bytes, size_t len)
{
    struct rolling sum = {};
    for (size_t i = 0; i < len; i++) {
        sum.s1 += (uint32_t)(int32_t)(int8_t)bytes[i];
        sum.s2 += sum.s1;
    }
    return sum;
}
