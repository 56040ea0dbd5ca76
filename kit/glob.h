/* SPDX-License-Identifier: MIT */
/*
 * kit/glob.h - rsync's wildcard patterns.
 *
 *     *       any run of characters without '/'
 *     **      any run of characters
 *     ?       one character, not '/'
 *     [a-z]   one character of a set, not '/'; [!..] and [^..] negate; [[:alpha:]] classes
 *     \x      x itself
 *
 * Matching is bytewise, does not recurse, and is bounded: a hostile pattern gets GLOB_TOO_COSTLY
 * where other matchers would think for years.
 */
#pragma once

#include <stdbool.h>

enum glob_verdict { GLOB_DIFFERS, GLOB_MATCHES, GLOB_TOO_COSTLY };

/* Does the whole text match the whole pattern? */
enum glob_verdict glob_match(const char *pattern, const char *text);

/* The same for names without structure (host names, option names): '*' and '?' meet '/' too. */
enum glob_verdict glob_match_flat(const char *pattern, const char *text);

/* Whether pattern contains '*', '?' or '['. */
bool glob_has_wildcard(const char *pattern);
