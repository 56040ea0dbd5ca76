/* SPDX-License-Identifier: MIT */
/*
 * fuzz.h - what every fuzz target shares.
 *
 * A target takes any bytes. It may not crash, leak, or break what it asserts with FUZZ_CHECK: the
 * assertions are what makes a target more than a smoke test. tools/fuzz builds and runs them.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit/cursor.h"

/* The fuzzer's entry point; its name is libFuzzer's. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define FUZZ_CHECK(holds) \
    do { \
        if (!(holds)) { \
            (void)fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #holds); \
            abort(); \
        } \
    } while (0)

/* Take one byte that steers the target; 0 when there is none. */
static inline uint8_t fuzz_choice(struct cursor *in)
{
    uint8_t choice = 0;
    (void)cursor_get_byte(in, &choice);
    return choice;
}
