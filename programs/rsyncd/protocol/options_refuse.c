/* SPDX-License-Identifier: MIT */
/*
 * options_refuse.c - a module's "refuse options": patterns over option names and letters, the last
 * one that matches decides, "!" in front allows again.
 */
#include <string.h>

#include "kit/glob.h"
#include "protocol/options.h"

enum { PATTERN_MAX = 64 };

/* A session cannot work without these, so a wildcard does not mean them; their names still do. */
static bool is_vital(const char *name)
{
    static const char *const vital[] = {"server", "sender", "rsh", "dry-run", "iconv", "no-iconv",
            "secluded-args", "protect-args", "log-format", "from0", "msgs2stderr", "no-msgs2stderr",
            "max-alloc"};
    for (size_t i = 0; i < sizeof vital / sizeof vital[0]; i++) {
        if (strcmp(vital[i], name) == 0) return true;
    }
    return false;
}

static bool pattern_matches(const char *pattern, const char *name, char letter)
{
    if (strcmp(pattern, "a") == 0 || strcmp(pattern, "archive") == 0) pattern = "[ardlptgoD]";
    const char letter_text[2] = {letter, '\0'};
    if (glob_has_wildcard(pattern) && is_vital(name)) return false;
    if (glob_match_flat(pattern, name) == GLOB_MATCHES) return true;
    return letter != '\0' && glob_match_flat(pattern, letter_text) == GLOB_MATCHES;
}

bool options_refuses(const char *refuse, const char *name, char letter)
{
    bool is_refused = false;
    if (refuse == NULL) return false;
    for (const char *at = refuse + strspn(refuse, " \t,"); *at != '\0'; at += strspn(at, " \t,")) {
        size_t len = strcspn(at, " \t,");
        bool is_negated = *at == '!';
        char pattern[PATTERN_MAX];
        if (len - is_negated < sizeof pattern) {
            memcpy(pattern, at + is_negated, len - is_negated);
            pattern[len - is_negated] = '\0';
            if (pattern_matches(pattern, name, letter)) is_refused = !is_negated;
        }
        at += len;
    }
    return is_refused;
}
