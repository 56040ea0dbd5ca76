/* SPDX-License-Identifier: MIT */
#include "store/root.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "seam.h"

#include "kit/auto.h"

/* The kernel gives up with EAGAIN when a directory was renamed under its feet. */
enum { RACES_MAX = 16 };

int root_open(const char *path)
{
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? sm_neg_errno() : fd;
}

int root_open_below(int root_fd, const char *path, int flags, unsigned how)
{
    struct open_how request = {
            .flags = (uint64_t)(flags | O_CLOEXEC),
            .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    if (how & ROOT_NO_LINKS) request.resolve |= RESOLVE_NO_SYMLINKS;
    if (how & ROOT_CACHED_ONLY) request.resolve |= RESOLVE_CACHED;
    /* With RESOLVE_NO_SYMLINKS a link in the last component is an error too, unless it is the link
     * itself that is wanted (O_PATH | O_NOFOLLOW). */
    for (int i = 0; i < RACES_MAX; i++) {
        long fd =
                syscall(SYS_openat2, root_fd, *path == '\0' ? "." : path, &request, sizeof request);
        if (fd >= 0) return (int)fd;

        int r = sm_neg_errno();
        if (r == -EXDEV) return -EACCES;
        if (r != -EAGAIN || (how & ROOT_CACHED_ONLY)) return r;
    }
    return -EAGAIN;
}
