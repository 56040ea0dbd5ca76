/* SPDX-License-Identifier: MIT */
/*
 * options_number.h - numbers in options.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The whole text as a decimal number between min and max. */
bool options_number(const char *text, int64_t min, int64_t max, int64_t *out_number);

/* A size: digits, a fraction, a suffix K, M, G, T or P with "B" (thousands) or "iB", and "+1" or
 * "-1" at the end. Not negative. */
bool options_size(const char *text, int64_t *out_bytes);
