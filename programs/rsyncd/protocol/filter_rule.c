/* SPDX-License-Identifier: MIT */
#include "protocol/filter_rule.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "kit/glob.h"

struct prefix {
    const char *word; /* the long form */
    char letter;
    enum filter_rule_kind kind;
};

/* Hide and show are a sender's exclude and include. Protect and risk speak to a receiver that
 * deletes; a sender has nothing to protect. */
static const struct prefix prefixes[] = {{"exclude", '-', RULE_EXCLUDE},
        {"include", '+', RULE_INCLUDE}, {"dir-merge", ':', RULE_MERGE}, {"hide", 'H', RULE_EXCLUDE},
        {"show", 'S', RULE_INCLUDE}, {"protect", 'P', RULE_NOTHING}, {"risk", 'R', RULE_NOTHING},
        {"clear", '!', RULE_CLEAR}};

/* Text being taken apart: [at, end). */
struct piece {
    const char *at;
    const char *end;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || c == '-';
}

/* The prefix at the front, long or short, removed from it; NULL if there is none. */
static const struct prefix *take_prefix(struct piece *piece)
{
    size_t left = (size_t)(piece->end - piece->at);
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        const struct prefix *prefix = &prefixes[i];
        size_t len = strlen(prefix->word);
        bool is_word = left >= len && memcmp(piece->at, prefix->word, len) == 0
                && (left == len || !is_letter(piece->at[len]));
        if (is_word) {
            piece->at += len;
            return prefix;
        }
    }
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        if (left > 0 && *piece->at == prefixes[i].letter) {
            piece->at++;
            return &prefixes[i];
        }
    }
    return NULL;
}

/* Whether the modifier is known; its flag goes to rule. */
static bool heed_modifier(char modifier, struct filter_rule *rule)
{
    bool is_merge = rule->kind == RULE_MERGE;
    switch (modifier) {
    case '/': rule->flags |= RULE_ABSOLUTE; return true;
    case '!': rule->flags |= RULE_NEGATED; return !is_merge;
    case 's': /* our side, or perishable: which matters only while deleting */
    case 'r':
    case 'p': return true;
    case 'n': rule->flags |= RULE_NOT_INHERITED; return is_merge;
    case 'w': rule->flags |= RULE_SPLITS_WORDS; return is_merge;
    case 'e': rule->flags |= RULE_EXCLUDES_SELF; return is_merge;
    case '-': rule->flags |= RULE_ALL_EXCLUDE; return is_merge;
    case '+': rule->flags |= RULE_ALL_INCLUDE; return is_merge;
    case 'C':
        rule->flags |= RULE_NOT_INHERITED | RULE_SPLITS_WORDS | RULE_ALL_EXCLUDE;
        return is_merge;
    default: return false; /* 'x', too: it would filter extended attributes */
    }
}

static int take_modifiers(
        struct piece *piece, bool is_word, struct filter_rule *rule, struct fault *fault)
{
    if (is_word && piece->at < piece->end && *piece->at == ',') piece->at++;
    for (; piece->at < piece->end && *piece->at != ' ' && *piece->at != '_'; piece->at++) {
        if (!heed_modifier(*piece->at, rule)) {
            return fault_set(fault, -EINVAL, "invalid modifier '%c' in a filter rule", *piece->at);
        }
    }
    if (piece->at < piece->end) piece->at++;
    return 0;
}

void filter_rule_study(struct filter_rule *rule)
{
    const char *pattern = rule->pattern;
    size_t len = strlen(pattern);
    rule->flags &= ~(unsigned)(RULE_WILD | RULE_WILD2 | RULE_WILD2_FIRST | RULE_WILD3_LAST);
    rule->slashes = 0;
    for (const char *slash = strchr(pattern, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        rule->slashes++;
    }
    if (!glob_has_wildcard(pattern)) return;
    rule->flags |= RULE_WILD;
    if (strstr(pattern, "**") == NULL) return;
    rule->flags |= RULE_WILD2;
    if (strncmp(pattern, "**", 2) == 0) rule->flags |= RULE_WILD2_FIRST;
    if (len >= 3 && strcmp(pattern + len - 3, "***") == 0) rule->flags |= RULE_WILD3_LAST;
}

static int set_pattern(struct piece piece, struct filter_rule *rule, struct fault *fault)
{
    size_t len = (size_t)(piece.end - piece.at);
    if (len == 0 || len >= FILTER_RULE_BYTES_MAX) {
        return fault_set(fault, -EINVAL,
                len == 0 ? "a filter rule without a pattern" : "a filter rule is too long");
    }
    if (memchr(piece.at, '\0', len) != NULL) {
        return fault_set(fault, -EINVAL, "a NUL byte in a filter rule");
    }
    memcpy(rule->pattern, piece.at, len);
    if (len > 1 && rule->pattern[len - 1] == '/') {
        rule->flags |= RULE_ONLY_DIRS;
        len--;
    }
    rule->pattern[len] = '\0';
    filter_rule_study(rule);
    return 0;
}

static const char *find_blank(const char *at, const char *end)
{
    while (at < end && !is_blank(*at)) {
        at++;
    }
    return at;
}

/* The text of one rule, taken from in. */
static struct piece take_piece(struct cursor *in, unsigned flags)
{
    struct piece piece = {.at = (const char *)in->at, .end = (const char *)in->end};
    if ((flags & (RULE_SPLITS_LINES | RULE_SPLITS_WORDS)) == 0) {
        in->at = in->end;
        return piece;
    }
    if ((flags & RULE_SPLITS_WORDS) != 0) {
        while (piece.at < piece.end && is_blank(*piece.at)) {
            piece.at++;
        }
        /* A prefix may be followed by a blank that belongs to it: "- x". */
        const char *end = find_blank(piece.at, piece.end);
        struct piece word = {.at = piece.at, .end = end};
        bool has_prefix = (flags & (RULE_ALL_EXCLUDE | RULE_ALL_INCLUDE)) == 0;
        bool is_old = (flags & (RULE_OLD_EXCLUDE | RULE_OLD_INCLUDE)) != 0;
        bool is_bare = is_old ? end - piece.at == 1 && (*piece.at == '-' || *piece.at == '+')
                              : take_prefix(&word) != NULL && word.at[-1] != '!'
                        && memchr(word.at, '_', (size_t)(end - word.at)) == NULL;
        if (has_prefix && is_bare && end < piece.end) end = find_blank(end + 1, piece.end);
        piece.end = end;
        in->at = (const uint8_t *)end;
        return piece;
    }
    const char *newline = memchr(piece.at, '\n', (size_t)(piece.end - piece.at));
    if (newline != NULL) piece.end = newline;
    in->at = (const uint8_t *)(newline == NULL ? piece.end : newline + 1);
    if (piece.end > piece.at && piece.end[-1] == '\r') piece.end--;
    return piece;
}

/* Bare patterns, with at most a "+ " or "- " before them. */
static int parse_old(
        struct piece piece, unsigned flags, struct filter_rule *rule, struct fault *fault)
{
    bool is_plain = (flags & (RULE_ALL_EXCLUDE | RULE_ALL_INCLUDE)) != 0;
    bool is_include = (flags & (RULE_ALL_INCLUDE | RULE_OLD_INCLUDE)) != 0;
    if (piece.end - piece.at == 1 && *piece.at == '!') {
        rule->kind = RULE_CLEAR;
        return 0;
    }
    if (!is_plain && piece.end - piece.at >= 2 && piece.at[1] == ' ') {
        if (*piece.at == '+' || *piece.at == '-') {
            is_include = *piece.at == '+';
            piece.at += 2;
        }
    }
    rule->kind = is_include ? RULE_INCLUDE : RULE_EXCLUDE;
    return set_pattern(piece, rule, fault);
}

int filter_rule_parse(
        struct cursor *in, unsigned flags, struct filter_rule *out_rule, struct fault *fault)
{
    struct piece piece = take_piece(in, flags);
    out_rule->kind = RULE_NOTHING;
    out_rule->flags = 0;
    bool is_list = (flags & (RULE_SPLITS_LINES | RULE_SPLITS_WORDS)) != 0;
    if (is_list && piece.at == piece.end) return 0;
    bool is_comment =
            (flags & RULE_SPLITS_WORDS) == 0 && is_list && (*piece.at == '#' || *piece.at == ';');
    if (is_comment) return 0;
    unsigned old = RULE_OLD_EXCLUDE | RULE_OLD_INCLUDE | RULE_ALL_EXCLUDE | RULE_ALL_INCLUDE;
    if ((flags & old) != 0) return parse_old(piece, flags, out_rule, fault);

    struct piece rest = piece;
    const struct prefix *prefix = take_prefix(&rest);
    if (prefix == NULL) return fault_set(fault, -EINVAL, "unknown filter rule");
    out_rule->kind = prefix->kind;
    if (prefix->kind == RULE_CLEAR) {
        return rest.at == rest.end ? 0
                                   : fault_set(fault, -EINVAL, "something follows a filter's '!'");
    }
    bool is_word = rest.at - piece.at > 1;
    int r = take_modifiers(&rest, is_word, out_rule, fault);
    if (r < 0) return r;
    if (out_rule->kind == RULE_MERGE && rest.at == rest.end
            && (out_rule->flags & RULE_ALL_EXCLUDE) != 0) {
        /* ":C" stands for ".cvsignore". */
        rest = (struct piece){.at = ".cvsignore"};
        rest.end = rest.at + strlen(rest.at);
    }
    return set_pattern(rest, out_rule, fault);
}

unsigned filter_rule_merge_flags(unsigned flags)
{
    unsigned kept = flags & (RULE_SPLITS_WORDS | RULE_ALL_EXCLUDE | RULE_ALL_INCLUDE);
    return (kept & RULE_SPLITS_WORDS) != 0 ? kept : kept | RULE_SPLITS_LINES;
}
