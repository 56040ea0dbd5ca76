/* SPDX-License-Identifier: MIT */
#include "kit/glob.h"

#include <string.h>

#include "check/check.h"

static bool matches(const char *pattern, const char *text)
{
    return glob_match(pattern, text) == GLOB_MATCHES;
}

TEST(a_star_stops_at_a_slash_and_two_stars_do_not)
{
    CHECK(matches("*.c", "a.c"));
    CHECK(!matches("*.c", "d/a.c"));
    CHECK(matches("**.c", "d/a.c"));
    CHECK(matches("a/**/z", "a/b/c/z"));
    CHECK(!matches("a/*/z", "a/b/c/z"));
    CHECK(matches("**a*b/c", "xa/yab/c"));
    CHECK(matches("*", ""));
    CHECK(matches("a**", "a"));
    CHECK(!matches("?", "/"));
    CHECK(!matches("?", ""));
}

TEST(backtracking_finds_the_later_place)
{
    CHECK(matches("*ab", "aab"));
    CHECK(matches("**/*x/y", "ax/b/cx/y"));
    CHECK(matches("*a*a*b", "aaaaab"));
    CHECK(!matches("*a*a*b", "aaaaa"));
}

TEST(sets_know_ranges_negation_classes_and_brackets)
{
    CHECK(matches("[a-c]x", "bx"));
    CHECK(!matches("[a-c]x", "dx"));
    CHECK(matches("[!a-c]x", "dx"));
    CHECK(matches("[^a-c]x", "dx"));
    CHECK(matches("[]]", "]"));
    CHECK(matches("[]-]", "-"));
    CHECK(matches("[[:digit:]_]", "7"));
    CHECK(matches("[[:digit:]_]", "_"));
    CHECK(!matches("[[:digit:]]", "a"));
    CHECK(!matches("[[:nonsense:]]", "a"));
    CHECK(!matches("[!a]", "/"));
    CHECK(!matches("[a", "a"));
    CHECK(matches("[\\]]", "]"));
}

TEST(a_backslash_protects_what_follows)
{
    CHECK(matches("\\*", "*"));
    CHECK(!matches("\\*", "a"));
    CHECK(matches("a\\", "a\\"));
}

TEST(a_pattern_made_to_be_slow_is_given_up)
{
    char text[4000];
    char pattern[4000];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    for (size_t i = 0; i + 2 < sizeof pattern; i += 2) {
        pattern[i] = 'a';
        pattern[i + 1] = '*';
    }
    pattern[sizeof pattern - 2] = 'b';
    pattern[sizeof pattern - 1] = '\0';
    CHECK(glob_match(pattern, text) != GLOB_MATCHES);
    pattern[0] = '*';
    CHECK(glob_match(pattern, text) != GLOB_MATCHES);
}
