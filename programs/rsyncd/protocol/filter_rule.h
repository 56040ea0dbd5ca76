/* SPDX-License-Identifier: MIT */
/*
 * filter_rule.h - one rule of a filter: its text understood. Used by filter.c only.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kit/cursor.h"
#include "kit/fault.h"
#include "protocol/filter.h"

enum filter_rule_kind { RULE_NOTHING, RULE_INCLUDE, RULE_EXCLUDE, RULE_MERGE, RULE_CLEAR };

enum filter_rule_flag {
    /* What the pattern is like; filter_rule_study() finds out. */
    RULE_WILD = 1u << 0,
    RULE_WILD2 = 1u << 1,       /* has "**" */
    RULE_WILD2_FIRST = 1u << 2, /* begins with it */
    RULE_WILD3_LAST = 1u << 3,  /* ends in a triple star */
    /* What was said about it. */
    RULE_ONLY_DIRS = 1u << 4, /* ended in '/' */
    RULE_NEGATED = 1u << 5,   /* '!' */
    RULE_ABSOLUTE = 1u << 6,  /* '/' */
    /* Of a merge rule: about the rules in the file. */
    RULE_NOT_INHERITED = 1u << 7, /* 'n' */
    RULE_EXCLUDES_SELF = 1u << 8, /* 'e' */
    /* How text is parsed. */
    RULE_SPLITS_WORDS = 1u << 9, /* 'w': rules are separated by blanks, not by lines */
    RULE_OLD_EXCLUDE = 1u << 10, /* bare patterns exclude; "+ " and "- " are understood */
    RULE_OLD_INCLUDE = 1u << 11,
    RULE_ALL_EXCLUDE = 1u << 12, /* '-': every line is a pattern to exclude */
    RULE_ALL_INCLUDE = 1u << 13, /* '+' */
    RULE_SPLITS_LINES = 1u << 14,
};

struct filter_rule {
    char *pattern;  /* while parsing: FILTER_RULE_BYTES_MAX bytes of the caller; then heap */
    char *only_dir; /* heap; the rule holds for names directly in this directory; NULL: all */
    size_t group;   /* merge stacks: index of the first rule of the same file */
    enum filter_rule_kind kind;
    unsigned flags;   /* enum filter_rule_flag */
    unsigned slashes; /* in the pattern */
    int merge_index;  /* RULE_MERGE: into filter->merges */
};

/* Take one rule from in, into out_rule->pattern and the other fields. RULE_NOTHING for a comment,
 * an empty line, or a rule for the other side. 0 or -EINVAL with words. */
int filter_rule_parse(
        struct cursor *in, unsigned flags, struct filter_rule *out_rule, struct fault *fault);

/* Derive flags and slashes from the pattern. */
void filter_rule_study(struct filter_rule *rule);

/* How the text of a merge file is parsed, from the flags of its merge rule. */
unsigned filter_rule_merge_flags(unsigned flags);
