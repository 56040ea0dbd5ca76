/* SPDX-License-Identifier: MIT */
/*
 * hex.h - bytes in tests, written as people read them: "de ad be ef", blanks ignored.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

static inline int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

/* Number of bytes written; at most max. */
static inline size_t hex_bytes(const char *hex, uint8_t *bytes, size_t max)
{
    size_t len = 0;
    while (*hex != '\0' && len < max) {
        if (hex_digit(hex[0]) < 0) {
            hex++;
            continue;
        }
        bytes[len++] = (uint8_t)(hex_digit(hex[0]) << 4 | hex_digit(hex[1]));
        hex += 2;
    }
    return len;
}

/* Whether bytes are what hex says; prints them if not. */
static inline bool hex_equals(const void *bytes, size_t len, const char *hex)
{
    uint8_t wanted[1024];
    size_t wanted_len = hex_bytes(hex, wanted, sizeof wanted);
    const uint8_t *got = bytes;
    bool is_equal = wanted_len == len;
    for (size_t i = 0; is_equal && i < len; i++) {
        is_equal = got[i] == wanted[i];
    }
    if (is_equal) return true;
    (void)fprintf(stderr, "got   ");
    for (size_t i = 0; i < len; i++) {
        (void)fprintf(stderr, " %02x", got[i]);
    }
    (void)fprintf(stderr, "\nwanted %s\n", hex);
    return false;
}
