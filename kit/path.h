/* SPDX-License-Identifier: MIT */
/*
 * kit/path.h - paths as text: no file system is asked.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * Rewrite path in place as a path below a root: leading, doubled and trailing slashes and "."
 * components go away, ".." eats the component before it and stops at the root. The root itself is
 * "". Never longer than before. Returns the new length.
 */
size_t path_collapse(char *path);

/* True if path is relative, not empty, and has no "..", no empty component and no "." except
 * as the whole path. What a name from a peer must be before it is used. */
bool path_is_safe(const char *path);

/* The last component of path. */
const char *path_base(const char *path);
