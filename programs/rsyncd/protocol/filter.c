/* SPDX-License-Identifier: MIT */
#include "protocol/filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kit/glob.h"
#include "kit/path.h"
#include "protocol/filter_rule.h"

enum { RULES_FIRST = 8, RULE_OVERHEAD = 64, TEXT_MAX = 2 * FILTER_RULE_BYTES_MAX };

void filter_init(struct filter *filter)
{
    *filter = (struct filter){};
}

static void truncate_rules(struct filter *filter, struct filter_rules *rules, size_t count)
{
    while (rules->count > count) {
        struct filter_rule *rule = &rules->rules[--rules->count];
        filter->bytes -= strlen(rule->pattern) + RULE_OVERHEAD;
        free(rule->pattern);
        free(rule->only_dir);
    }
}

static void fini_merges(struct filter *filter)
{
    for (size_t i = 0; i < filter->merges_count; i++) {
        struct filter_merge *merge = &filter->merges[i];
        truncate_rules(filter, &merge->stack, 0);
        free(merge->stack.rules);
        free(merge->name);
        *merge = (struct filter_merge){};
    }
    filter->merges_count = 0;
}

void filter_fini(struct filter *filter)
{
    truncate_rules(filter, &filter->rules, 0);
    free(filter->rules.rules);
    fini_merges(filter);
    free(filter->root);
    filter_init(filter);
}

int filter_set_root(struct filter *filter, const char *root)
{
    char *copy = strdup(root);
    if (copy == NULL) return -ENOMEM;
    free(filter->root);
    filter->root = copy;
    return 0;
}

/* Takes nothing: pattern is copied from parsed. */
static int append(struct filter *filter, struct filter_rules *rules,
        const struct filter_rule *parsed, struct fault *fault)
{
    size_t bytes = strlen(parsed->pattern) + RULE_OVERHEAD;
    if (filter->bytes + bytes > FILTER_BYTES_MAX) {
        return fault_set(fault, -E2BIG, "more than %d bytes of filter rules", FILTER_BYTES_MAX);
    }
    if (rules->count == rules->capacity) {
        size_t capacity = rules->capacity == 0 ? RULES_FIRST : 2 * rules->capacity;
        struct filter_rule *grown = realloc(rules->rules, capacity * sizeof *grown);
        if (grown == NULL) return -ENOMEM;
        rules->rules = grown;
        rules->capacity = capacity;
    }
    struct filter_rule rule = *parsed;
    rule.only_dir = NULL;
    rule.pattern = strdup(parsed->pattern);
    if (rule.pattern == NULL) return -ENOMEM;
    rules->rules[rules->count++] = rule;
    filter->bytes += bytes;
    return 0;
}

static int add_merge(struct filter *filter, struct filter_rule *rule, struct fault *fault)
{
    if (filter->merges_count == FILTER_MERGES_MAX) {
        return fault_set(
                fault, -E2BIG, "more than %d per-directory merge files", FILTER_MERGES_MAX);
    }
    /* ": /name" also asks for the file in the parents of the transfer root: not our tree. */
    const char *name = rule->pattern[0] == '/' ? rule->pattern + 1 : rule->pattern;
    if (name[0] == '\0' || strchr(name, '/') != NULL || strcmp(name, "..") == 0) {
        return fault_set(fault, -EINVAL, "invalid name of a merge file: %s", rule->pattern);
    }
    rule->merge_index = (int)filter->merges_count;
    char *copy = strdup(name);
    if (copy == NULL) return -ENOMEM;
    int r = append(filter, &filter->rules, rule, fault);
    if (r < 0) {
        free(copy);
        return r;
    }
    filter->merges[filter->merges_count++] =
            (struct filter_merge){.name = copy, .flags = rule->flags};
    return 0;
}

/* Put one parsed rule where it belongs in the main list. */
static int add_parsed(struct filter *filter, struct filter_rule *rule, struct fault *fault)
{
    switch (rule->kind) {
    case RULE_NOTHING: return 0;
    case RULE_CLEAR:
        truncate_rules(filter, &filter->rules, 0);
        fini_merges(filter);
        return 0;
    case RULE_MERGE: return add_merge(filter, rule, fault);
    case RULE_INCLUDE:
    case RULE_EXCLUDE: return append(filter, &filter->rules, rule, fault);
    }
    return 0;
}

int filter_add(struct filter *filter, const char *rule, size_t len, struct fault *fault)
{
    char pattern[FILTER_RULE_BYTES_MAX];
    struct filter_rule parsed = {.pattern = pattern};
    struct cursor in = cursor_of(rule, len);
    int r = filter_rule_parse(&in, 0, &parsed, fault);
    if (r < 0) return r;
    return add_parsed(filter, &parsed, fault);
}

static int add_split(struct filter *filter, const char *text, unsigned flags, struct fault *fault)
{
    char pattern[FILTER_RULE_BYTES_MAX];
    struct cursor in = cursor_of(text, strlen(text));
    while (cursor_left(&in) > 0) {
        struct filter_rule rule = {.pattern = pattern};
        int r = filter_rule_parse(&in, flags | RULE_SPLITS_WORDS, &rule, fault);
        if (r == 0 && rule.kind == RULE_MERGE) {
            r = fault_set(fault, -EINVAL, "merge files are not served here: %s", rule.pattern);
        }
        if (r == 0) r = add_parsed(filter, &rule, fault);
        if (r < 0) return r;
    }
    return 0;
}

int filter_add_words(struct filter *filter, const char *words, bool is_include, struct fault *fault)
{
    return add_split(filter, words, is_include ? RULE_OLD_INCLUDE : RULE_OLD_EXCLUDE, fault);
}

int filter_add_rules(struct filter *filter, const char *rules, struct fault *fault)
{
    return add_split(filter, rules, 0, fault);
}

int filter_get(struct filter *filter, struct cursor *in, struct fault *fault)
{
    for (;;) {
        struct cursor at = *in;
        uint32_t len = 0;
        int r = cursor_get_u32le(&at, &len);
        if (r < 0) return r;
        if (len == 0) {
            *in = at;
            return 0;
        }
        if (len >= FILTER_RULE_BYTES_MAX) {
            return fault_set(fault, -E2BIG, "a filter rule of %u bytes", len);
        }
        const uint8_t *rule = NULL;
        r = cursor_get_bytes(&at, len, &rule);
        if (r < 0) return r;
        r = filter_add(filter, (const char *)rule, len, fault);
        if (r < 0) return r;
        *in = at;
    }
}

/* Whether the last components of text, one more than pattern has slashes, match it. */
static enum glob_verdict match_tail(const char *pattern, const char *text, unsigned slashes)
{
    const char *at = text + strlen(text);
    unsigned wanted = slashes + 1;
    while (at > text) {
        if (at[-1] == '/' && --wanted == 0) break;
        at--;
    }
    if (at == text && wanted > 1) return GLOB_DIFFERS;
    return glob_match(pattern, at);
}

/* Whether text from its start or from behind any of its slashes matches. */
static enum glob_verdict match_after_slashes(const char *pattern, const char *text)
{
    for (;;) {
        enum glob_verdict verdict = glob_match(pattern, text);
        if (verdict != GLOB_DIFFERS) return verdict;
        const char *slash = strchr(text, '/');
        if (slash == NULL) return GLOB_DIFFERS;
        text = slash + 1;
    }
}

static bool ends_with_components(const char *text, const char *pattern)
{
    size_t text_len = strlen(text);
    size_t len = strlen(pattern);
    if (len > text_len || memcmp(text + text_len - len, pattern, len) != 0) return false;
    return len == text_len || text[text_len - len - 1] == '/';
}

static enum glob_verdict match_text(const struct filter_rule *rule, const char *text)
{
    const char *pattern = rule->pattern;
    bool is_anchored = *pattern == '/';
    if (is_anchored) {
        pattern++;
        if (*text == '/') text++;
    }
    if ((rule->flags & RULE_WILD) == 0) {
        bool is_same =
                is_anchored ? strcmp(text, pattern) == 0 : ends_with_components(text, pattern);
        return is_same ? GLOB_MATCHES : GLOB_DIFFERS;
    }
    if (is_anchored || (rule->flags & RULE_WILD2_FIRST) != 0) return glob_match(pattern, text);
    if ((rule->flags & RULE_WILD2) != 0) return match_after_slashes(pattern, text);
    if (rule->slashes > 0) return match_tail(pattern, text, rule->slashes);
    return glob_match(pattern, text);
}

static bool is_in_dir(const char *path, const char *dir)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path);
    return strlen(dir) == len && memcmp(path, dir, len) == 0;
}

static enum glob_verdict match_rule(
        const struct filter *filter, const struct filter_rule *rule, const char *path, bool is_dir)
{
    if ((rule->flags & RULE_ONLY_DIRS) != 0 && !is_dir) return GLOB_DIFFERS;
    if (rule->only_dir != NULL && !is_in_dir(path, rule->only_dir)) return GLOB_DIFFERS;

    bool is_whole_path = rule->slashes > 0 || (rule->flags & RULE_WILD2) != 0;
    const char *slash = strrchr(path, '/');
    if (!is_whole_path) return match_text(rule, slash == NULL ? path : slash + 1);

    const char *root =
            (rule->flags & RULE_ABSOLUTE) != 0 && filter->root != NULL ? filter->root : "";
    bool has_lead = (rule->flags & RULE_WILD2_FIRST) != 0;
    bool has_trail = is_dir && (rule->flags & RULE_WILD3_LAST) != 0;
    if (root[0] == '\0' && !has_lead && !has_trail) return match_text(rule, path);

    char text[TEXT_MAX];
    size_t len = 0;
    size_t root_len = strlen(root);
    size_t path_len = strlen(path);
    if (root_len + path_len + 4 > sizeof text) return GLOB_TOO_COSTLY;
    if (has_lead) text[len++] = '/';
    memcpy(text + len, root, root_len);
    len += root_len;
    if (root_len > 0) text[len++] = '/';
    memcpy(text + len, path, path_len);
    len += path_len;
    if (has_trail) text[len++] = '/';
    text[len] = '\0';
    return match_text(rule, text);
}

static enum filter_verdict judge_rule(
        const struct filter *filter, const struct filter_rule *rule, const char *path, bool is_dir)
{
    enum glob_verdict verdict = match_rule(filter, rule, path, is_dir);
    if (verdict == GLOB_TOO_COSTLY) {
        /* Whoever made this pattern does not get a name shown by it. */
        return rule->kind == RULE_EXCLUDE ? FILTER_EXCLUDED : FILTER_NO_MATCH;
    }
    bool is_match = (verdict == GLOB_MATCHES) != ((rule->flags & RULE_NEGATED) != 0);
    if (!is_match) return FILTER_NO_MATCH;
    return rule->kind == RULE_EXCLUDE ? FILTER_EXCLUDED : FILTER_INCLUDED;
}

/* The rules of a merge file's directories, deepest directory first. */
static enum filter_verdict judge_merge(const struct filter *filter,
        const struct filter_merge *merge, const char *path, bool is_dir)
{
    const struct filter_rules *stack = &merge->stack;
    bool hides_itself = (merge->flags & RULE_EXCLUDES_SELF) != 0 && !is_dir;
    if (hides_itself && strcmp(path_base(path), merge->name) == 0) return FILTER_EXCLUDED;
    size_t end = stack->count;
    while (end > 0) {
        size_t start = stack->rules[end - 1].group;
        for (size_t i = start; i < end; i++) {
            enum filter_verdict verdict = judge_rule(filter, &stack->rules[i], path, is_dir);
            if (verdict != FILTER_NO_MATCH) return verdict;
        }
        end = start;
    }
    return FILTER_NO_MATCH;
}

enum filter_verdict filter_judge(const struct filter *filter, const char *path, bool is_dir)
{
    for (size_t i = 0; i < filter->rules.count; i++) {
        const struct filter_rule *rule = &filter->rules.rules[i];
        enum filter_verdict verdict = FILTER_NO_MATCH;
        if (rule->kind == RULE_MERGE) {
            const struct filter_merge *merge = &filter->merges[rule->merge_index];
            verdict = judge_merge(filter, merge, path, is_dir);
        } else {
            verdict = judge_rule(filter, rule, path, is_dir);
        }
        if (verdict != FILTER_NO_MATCH) return verdict;
    }
    return FILTER_NO_MATCH;
}

bool filter_excludes(const struct filter *filter, const char *path, bool is_dir)
{
    return filter_judge(filter, path, is_dir) == FILTER_EXCLUDED;
}

bool filter_excludes_below(const struct filter *filter, const char *path, bool is_dir)
{
    char parent[FILTER_RULE_BYTES_MAX];
    if (strlen(path) >= sizeof parent) return true;
    for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        size_t len = (size_t)(slash - path);
        memcpy(parent, path, len);
        parent[len] = '\0';
        if (filter_excludes(filter, parent, true)) return true;
    }
    return filter_excludes(filter, path, is_dir);
}

const char *filter_merge_name(const struct filter *filter, size_t index)
{
    return index < filter->merges_count ? filter->merges[index].name : NULL;
}

int filter_mark(const struct filter *filter, size_t merge_index)
{
    return (int)filter->merges[merge_index].stack.count;
}

/* Anchor a rule of a merge file at the file's directory: "/x" in a/b is "/a/b/x". */
static int anchor(struct filter_rule *rule, const char *dir)
{
    bool is_whole_path = rule->pattern[0] == '/' && (rule->flags & RULE_ABSOLUTE) == 0;
    if (!is_whole_path || dir[0] == '\0') return 0;
    size_t dir_len = strlen(dir);
    size_t len = strlen(rule->pattern);
    if (dir_len + len + 2 > FILTER_RULE_BYTES_MAX) return -E2BIG;
    memmove(rule->pattern + dir_len + 1, rule->pattern, len + 1);
    memcpy(rule->pattern + 1, dir, dir_len);
    filter_rule_study(rule);
    return 0;
}

static int enter_rule(struct filter *filter, struct filter_merge *merge, struct filter_rule *rule,
        const char *dir, struct fault *fault)
{
    if (rule->kind == RULE_NOTHING) return 0;
    if (rule->kind == RULE_MERGE) {
        return fault_set(
                fault, -EINVAL, "%s: merge rules inside merge files are not served", merge->name);
    }
    int r = anchor(rule, dir);
    if (r < 0) return fault_set(fault, r, "%s/%s: a rule is too long", dir, merge->name);
    r = append(filter, &merge->stack, rule, fault);
    if (r < 0 || (merge->flags & RULE_NOT_INHERITED) == 0) return r;

    struct filter_rule *kept = &merge->stack.rules[merge->stack.count - 1];
    kept->only_dir = strdup(dir);
    return kept->only_dir == NULL ? -ENOMEM : 0;
}

int filter_enter_dir(struct filter *filter, size_t merge_index, const char *dir, const char *text,
        size_t len, struct fault *fault)
{
    struct filter_merge *merge = &filter->merges[merge_index];
    char pattern[FILTER_RULE_BYTES_MAX];
    size_t mark = merge->stack.count;
    size_t group = mark;
    struct cursor in = cursor_of(text, len);
    while (cursor_left(&in) > 0) {
        struct filter_rule rule = {.pattern = pattern};
        int r = filter_rule_parse(&in, filter_rule_merge_flags(merge->flags), &rule, fault);
        if (r < 0) return r;
        if (rule.kind == RULE_CLEAR) {
            /* Forgets this file's rules; inherited ones stay hidden behind an empty group. */
            truncate_rules(filter, &merge->stack, mark);
            continue;
        }
        rule.group = group;
        r = enter_rule(filter, merge, &rule, dir, fault);
        if (r < 0) return r;
    }
    return (int)mark;
}

void filter_leave_dir(struct filter *filter, size_t merge_index, int mark)
{
    truncate_rules(filter, &filter->merges[merge_index].stack, (size_t)mark);
}
