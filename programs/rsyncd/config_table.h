/* SPDX-License-Identifier: MIT */
/*
 * config_table.h - the directives of rsyncd.conf, and small text helpers. Used by config.c only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum directive_kind {
    DIRECTIVE_TEXT,
    DIRECTIVE_HOSTS, /* text, checked as a list of hosts */
    DIRECTIVE_NUMBER,
    DIRECTIVE_BOOL,
    DIRECTIVE_FILTER,
    DIRECTIVE_INCLUDE,
    DIRECTIVE_EXCLUDE,
    DIRECTIVE_UNSERVED,
};

struct directive {
    const char *name;
    enum directive_kind kind;
    bool is_global;
    uint32_t offset; /* in struct config if global, else in struct config_module */
    int32_t min;     /* of a number */
    int32_t max;
};

/* By name: case and blanks are ignored. NULL if rsync has no such directive. */
const struct directive *config_directive(const char *name);

/* 1 yes, 0 no, -1 neither. */
int config_truth(const char *value);

/* Text without the blanks at its ends; changes text. */
char *config_trim(char *text);
