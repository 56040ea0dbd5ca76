/* SPDX-License-Identifier: MIT */
/*
 * options_table.h - every option that clients send, and what it does. Used by options.c only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_kind {
    OPTION_SET,     /* bool at offset becomes value */
    OPTION_COUNT,   /* int at offset grows by one */
    OPTION_CHOOSE,  /* enum options_delete at offset becomes value */
    OPTION_TEXT,    /* takes an argument: string at offset */
    OPTION_NUMBER,  /* takes an argument: int32_t at offset, 0 to value */
    OPTION_SIZE,    /* takes an argument: int64_t at offset; suffixes K, M, G, T */
    OPTION_SPECIAL, /* options.c knows; value is an enum option_special */
    OPTION_SPECIAL_ARG,
    OPTION_IGNORE, /* understood, and nothing to us */
    OPTION_IGNORE_ARG,
    OPTION_UNSERVED, /* refused as if the configuration said so */
    OPTION_UNSERVED_ARG,
};

enum option_special {
    SPECIAL_SERVER,
    SPECIAL_SENDER,
    SPECIAL_DEVICES, /* -D: devices and specials */
    SPECIAL_NO_DEVICES,
    SPECIAL_CAPABILITIES,
    SPECIAL_CHECKSUM_SEED,
    SPECIAL_MAX_DELETE,
    SPECIAL_COMPRESS_ZLIBX,
    SPECIAL_COMPRESS_ZLIB,
    SPECIAL_APPEND_VERIFY,
};

struct option {
    const char *name; /* without dashes */
    char letter;      /* 0: none */
    enum option_kind kind;
    uint32_t offset; /* in struct options */
    int32_t value;
};

/* NULL if there is no such option. */
const struct option *option_by_letter(char letter);
const struct option *option_by_name(const char *name, size_t len);

/* Whether the option is followed by an argument. */
bool option_takes_argument(const struct option *option);
