/* SPDX-License-Identifier: MIT */
#include "kit/path.h"

#include <stdio.h>
#include <string.h>

#include "check/check.h"

static bool collapses(const char *path, const char *wanted)
{
    char text[100];
    (void)snprintf(text, sizeof text, "%s", path);
    return path_collapse(text) == strlen(wanted) && strcmp(text, wanted) == 0;
}

TEST(nothing_climbs_above_the_root)
{
    CHECK(collapses("/../../etc/passwd", "etc/passwd"));
    CHECK(collapses("a/../../b", "b"));
    CHECK(collapses("..", ""));
    CHECK(collapses("a/b/../..", ""));
    CHECK(collapses("a/b/../../../c/", "c"));
}

TEST(dots_and_doubled_slashes_go_away)
{
    CHECK(collapses("./a//b/./c/", "a/b/c"));
    CHECK(collapses("/", ""));
    CHECK(collapses("", ""));
    CHECK(collapses("...", "..."));
    CHECK(collapses(".a/..b", ".a/..b"));
}

TEST(a_safe_path_is_relative_and_plain)
{
    CHECK(path_is_safe("."));
    CHECK(path_is_safe("a/b"));
    CHECK(path_is_safe("..."));
    CHECK(!path_is_safe(""));
    CHECK(!path_is_safe("/a"));
    CHECK(!path_is_safe("a/"));
    CHECK(!path_is_safe("a//b"));
    CHECK(!path_is_safe("../a"));
    CHECK(!path_is_safe("a/.."));
    CHECK(!path_is_safe("a/./b"));
}
