/* SPDX-License-Identifier: MIT */
/*
 * filter.h - include and exclude rules: which names are part of a transfer.
 *
 * The first rule that matches decides; no rule means included. A session has two lists: the
 * daemon's own (from the configuration, asked first: what it excludes does not exist) and the
 * client's.
 *
 * Per-directory merge files (": .rsync-filter") are reported by filter_merge_name(): whoever walks
 * the tree reads the file in each directory and gives its text to filter_enter_dir(). Their rules
 * are asked at the place of the merge rule, those of the deepest directory first.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kit/buf.h"
#include "kit/cursor.h"
#include "kit/fault.h"

enum { FILTER_RULE_BYTES_MAX = 4096, FILTER_BYTES_MAX = 1 << 20, FILTER_MERGES_MAX = 16 };

struct filter_rule; /* filter.c */

/* Rules in the order of evaluation. */
struct filter_rules {
    struct filter_rule *rules; /* heap */
    size_t count;
    size_t capacity;
};

struct filter_merge {
    char *name;                /* heap; of the file to look for in each directory */
    unsigned flags;            /* how its text is parsed; filter.c's */
    struct filter_rules stack; /* of the directories the walk is in, deepest last */
};

struct filter {
    struct filter_rules rules;
    size_t bytes; /* of everything on the heap, bounded by FILTER_BYTES_MAX */
    size_t merges_count;
    struct filter_merge merges[FILTER_MERGES_MAX];
    char *root; /* heap; where the transfer root is in the module; NULL: at its root */
};

enum filter_verdict { FILTER_NO_MATCH, FILTER_INCLUDED, FILTER_EXCLUDED };

void filter_init(struct filter *filter);
void filter_fini(struct filter *filter);

/* Where the transfer root lies below the module's root ("" or "sub/dir"): what rules with the '/'
 * modifier are matched against. Default "". 0 or -ENOMEM. */
int filter_set_root(struct filter *filter, const char *root);

/* One rule as protocol 29 and later send it ("- /a/b", "+p x", "!" clears). 0, -EINVAL with words,
 * -E2BIG (too many bytes), -ENOMEM. */
int filter_add(struct filter *filter, const char *rule, size_t len, struct fault *fault);

/* Words of a configuration's "exclude" (is_include false) or "include": bare patterns separated by
 * spaces, each may begin with "+ " or "- ". */
int filter_add_words(
        struct filter *filter, const char *words, bool is_include, struct fault *fault);

/* A configuration's "filter": rules separated by spaces, each beginning with its prefix. */
int filter_add_rules(struct filter *filter, const char *rules, struct fault *fault);

/* Read the client's list: int32 length + rule, repeated, ended by int32 0. 0 when the end was
 * read; -EAGAIN (complete rules are consumed, the rest of in must be kept); or an error as in
 * filter_add(). */
int filter_get(struct filter *filter, struct cursor *in, struct fault *fault);

/* What the list says of one name. path is relative to the transfer root without leading slash
 * ("a/b"). Parents are not looked at: the walker does not descend into what is excluded. */
enum filter_verdict filter_judge(const struct filter *filter, const char *path, bool is_dir);

/* filter_judge() says excluded. */
bool filter_excludes(const struct filter *filter, const char *path, bool is_dir);

/* The same for a path nobody walked to: true if path or any of its parents is excluded. */
bool filter_excludes_below(const struct filter *filter, const char *path, bool is_dir);

/* Name of the index-th per-directory merge file, or NULL. */
const char *filter_merge_name(const struct filter *filter, size_t index);

/* The walk enters dir (relative, "" for the transfer root), where merge file merge_index has this
 * text. Returns a mark for filter_leave_dir(), or a negative errno with words: then the rules
 * before the bad one are in force, and the caller leaves with the mark of filter_mark(). */
int filter_enter_dir(struct filter *filter, size_t merge_index, const char *dir, const char *text,
        size_t len, struct fault *fault);
int filter_mark(const struct filter *filter, size_t merge_index);
void filter_leave_dir(struct filter *filter, size_t merge_index, int mark);
