/* SPDX-License-Identifier: MIT */
/*
 * glob.c - two places to return to are enough.
 *
 * When a match fails, the nearest star before the failure takes one more character; trying an
 * earlier star of the same kind cannot help, because the later one can reach every text position
 * the earlier could give it. A '*' that would have to take a '/' gives up, and then the nearest
 * "**" takes one more. So: no recursion, no stack, and a step budget against patterns made to be
 * slow.
 */
#include "kit/glob.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

enum { STEPS_MAX = 1 << 22 };

/* Where to go on after a failure. pattern NULL: nowhere. */
struct star {
    const char *pattern; /* just behind the star */
    const char *text;    /* the first character the star has not taken */
};

struct class_name {
    const char *name;
    int (*is_member)(int);
};

static const struct class_name class_names[] = {{"alnum", isalnum}, {"alpha", isalpha},
        {"blank", isblank}, {"cntrl", iscntrl}, {"digit", isdigit}, {"graph", isgraph},
        {"lower", islower}, {"print", isprint}, {"punct", ispunct}, {"space", isspace},
        {"upper", isupper}, {"xdigit", isxdigit}};

/* "[:name:]" at at: 1 member, 0 not, -1 no such class. */
static int class_has(const char *at, size_t name_len, int c)
{
    for (size_t i = 0; i < sizeof class_names / sizeof class_names[0]; i++) {
        const struct class_name *class = &class_names[i];
        if (strlen(class->name) != name_len || memcmp(class->name, at, name_len) != 0) continue;
        return class->is_member(c) != 0;
    }
    return -1;
}

/* One element of a set: a class, a character, or a range. Moves *at behind it; false when the set
 * is malformed. */
static bool set_element_has(const char **at, unsigned char c, bool *has)
{
    const char *p = *at;
    if (p[0] == '[' && p[1] == ':') {
        const char *end = strstr(p + 2, ":]");
        if (end == NULL) return false;
        int member = class_has(p + 2, (size_t)(end - p - 2), c);
        if (member < 0) return false;
        *has |= member == 1;
        *at = end + 2;
        return true;
    }
    if (*p == '\\') p++;
    if (*p == '\0') return false;
    unsigned char low = (unsigned char)*p++;
    unsigned char high = low;
    if (p[0] == '-' && p[1] != ']' && p[1] != '\0') {
        p++;
        if (*p == '\\') p++;
        if (*p == '\0') return false;
        high = (unsigned char)*p++;
    }
    *has |= low <= c && c <= high;
    *at = p;
    return true;
}

/* A set, at behind '['. Where the pattern goes on if c is in it, or NULL. */
static const char *match_set(const char *at, unsigned char c)
{
    bool is_negated = *at == '!' || *at == '^';
    if (is_negated) at++;

    bool has = false;
    bool is_first = true;
    while (*at != ']' || is_first) {
        if (*at == '\0') return NULL;
        if (!set_element_has(&at, c, &has)) return NULL;
        is_first = false;
    }
    return has != is_negated ? at + 1 : NULL;
}

/* One character against one non-star element. Where the pattern goes on, or NULL. */
static const char *match_one(const char *pattern, char c, bool is_flat)
{
    bool is_slash = c == '/' && !is_flat;
    switch (*pattern) {
    case '?': return is_slash ? NULL : pattern + 1;
    case '[': return is_slash ? NULL : match_set(pattern + 1, (unsigned char)c);
    case '\\':
        if (pattern[1] == '\0') return c == '\\' ? pattern + 1 : NULL;
        return pattern[1] == c ? pattern + 2 : NULL;
    default: return *pattern != '\0' && *pattern == c ? pattern + 1 : NULL;
    }
}

/* Let a star take one more character and go on behind it. */
static bool resume(struct star *star, bool stops_at_slash, const char **pattern, const char **text)
{
    if (star->pattern == NULL || *star->text == '\0') return false;
    if (stops_at_slash && *star->text == '/') return false;
    star->text++;
    *pattern = star->pattern;
    *text = star->text;
    return true;
}

static enum glob_verdict match(const char *pattern, const char *text, bool is_flat)
{
    struct star one = {};
    struct star two = {};
    for (int steps = 0; steps < STEPS_MAX; steps++) {
        size_t stars = strspn(pattern, "*");
        pattern += stars;
        struct star here = {.pattern = pattern, .text = text};
        if (stars > 1 || (stars == 1 && is_flat)) {
            two = here;
            one = (struct star){};
        } else if (stars == 1) {
            one = here;
        }
        if (*pattern == '\0' && *text == '\0') return GLOB_MATCHES;

        const char *next = *text == '\0' ? NULL : match_one(pattern, *text, is_flat);
        if (next != NULL) {
            pattern = next;
            text++;
        } else if (!resume(&one, true, &pattern, &text)) {
            one = (struct star){};
            if (!resume(&two, false, &pattern, &text)) return GLOB_DIFFERS;
        }
    }
    return GLOB_TOO_COSTLY;
}

enum glob_verdict glob_match(const char *pattern, const char *text)
{
    return match(pattern, text, false);
}

enum glob_verdict glob_match_flat(const char *pattern, const char *text)
{
    return match(pattern, text, true);
}

bool glob_has_wildcard(const char *pattern)
{
    return strpbrk(pattern, "*?[") != NULL;
}
