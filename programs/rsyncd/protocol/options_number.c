/* SPDX-License-Identifier: MIT */
#include "protocol/options_number.h"

#include <string.h>

bool options_number(const char *text, int64_t min, int64_t max, int64_t *out_number)
{
    bool is_negative = *text == '-';
    if (*text == '-' || *text == '+') text++;
    if (*text == '\0') return false;

    int64_t number = 0;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9') return false;
        if (number > INT64_MAX / 10 - 1) return false;
        number = number * 10 + (*text - '0');
    }
    if (is_negative) number = -number;
    if (number < min || number > max) return false;
    *out_number = number;
    return true;
}

/* The factor of the suffix at *at; moves behind it. 0: no such suffix. */
static int64_t take_factor(const char **at)
{
    static const char letters[] = "bkmgtp";
    char letter = (char)(**at | 0x20);
    if (**at == '\0' || **at == '+' || **at == '-') return 1;
    const char *found = strchr(letters, letter);
    if (found == NULL || *found == '\0') return 0;
    (*at)++;
    int power = (int)(found - letters);
    int64_t unit = 1024;
    if (power > 0 && (**at | 0x20) == 'i' && ((*at)[1] | 0x20) == 'b') {
        *at += 2;
    } else if (power > 0 && (**at | 0x20) == 'b') {
        *at += 1;
        unit = 1000;
    }
    int64_t factor = 1;
    for (int i = 0; i < power; i++) {
        factor *= unit;
    }
    return factor;
}

bool options_size(const char *text, int64_t *out_bytes)
{
    int64_t number = 0;
    int64_t millionths = 0;
    int64_t weight = 1000000;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        number = number * 10 + (*at - '0');
        if (number > INT64_MAX / 16) return false;
    }
    if (at == text) return false;
    if (*at == '.') {
        for (at++; *at >= '0' && *at <= '9'; at++) {
            weight /= 10;
            millionths += (*at - '0') * weight;
        }
    }
    int64_t factor = take_factor(&at);
    if (factor == 0 || (number > 0 && factor > INT64_MAX / 2 / number)) return false;
    int64_t bytes = number * factor + factor / 1000000 * millionths
            + factor % 1000000 * millionths / 1000000;
    if (strcmp(at, "+1") == 0) {
        bytes++;
    } else if (strcmp(at, "-1") == 0 && bytes > 0) {
        bytes--;
    } else if (*at != '\0') {
        return false;
    }
    *out_bytes = bytes;
    return true;
}
