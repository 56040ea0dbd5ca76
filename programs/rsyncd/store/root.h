/* SPDX-License-Identifier: MIT */
/*
 * store/root.h - a module's directory, and the only way to reach what is below it.
 *
 * Every path of a client is resolved by the kernel with RESOLVE_BENEATH from the module's own
 * descriptor: no "..", absolute link or renamed directory can lead outside, whatever changes in the
 * tree meanwhile. That is what stands in for chroot(), which one process serving many modules
 * cannot use.
 */
#pragma once

#include <stddef.h>

enum root_how {
    ROOT_FOLLOW = 0,            /* links that stay inside the module are followed */
    ROOT_NO_LINKS = 1u << 0,    /* no link in any component but the last */
    ROOT_CACHED_ONLY = 1u << 1, /* -EAGAIN if the disk would have to be asked */
};

/* Open a module's directory. The descriptor, or a negative errno. May block: not in a task. */
int root_open(const char *path);

/*
 * Open what is at path below root_fd ("" is the root itself), with open(2)'s flags; O_CLOEXEC is
 * added. The descriptor, or a negative errno: what would lead outside is -EACCES. May block unless
 * ROOT_CACHED_ONLY is given. Never suspends.
 */
int root_open_below(int root_fd, const char *path, int flags, unsigned how);
