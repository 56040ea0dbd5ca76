/* SPDX-License-Identifier: MIT */
#include "store/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kit/auto.h"
#include "store/root.h"

struct opening {
    int root_fd;
    const char *path;
    unsigned how;
    int fd;
};

/* O_NONBLOCK: what was a file when it was listed may be a FIFO by now. */
enum { OPEN_FLAGS = O_RDONLY | O_NONBLOCK | O_NOCTTY };

static int open_on_pool(void *arg)
{
    struct opening *opening = arg;
    int fd = root_open_below(opening->root_fd, opening->path, OPEN_FLAGS, opening->how);
    if (fd < 0) return fd;

    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* a hint: failure changes nothing */
    opening->fd = fd;
    return 0;
}

SEAM_SUSPENDS int file_open(struct file *file, int root_fd, const char *path, bool follows_links)
{
    struct opening opening = {
            .root_fd = root_fd,
            .path = path,
            .how = follows_links ? ROOT_FOLLOW : ROOT_NO_LINKS,
            .fd = -1,
    };
    *file = (struct file){.fd = -1};
    int fd = root_open_below(root_fd, path, OPEN_FLAGS, opening.how | ROOT_CACHED_ONLY);
    if (fd == -EAGAIN) {
        int result = 0;
        int r = seam_block(NULL, open_on_pool, &opening, &result, SEAM_FOREVER);
        if (r == 0) r = result;
        if (r < 0) return r;
        fd = opening.fd;
    }
    if (fd < 0) return fd;

    struct stat st;
    int r = fstat(fd, &st) < 0 ? sm_neg_errno() : 0;
    if (r == 0 && !S_ISREG(st.st_mode)) r = -EINVAL;
    if (r < 0) {
        (void)close(fd);
        return r;
    }
    file->fd = fd;
    file->size = st.st_size;
    return 0;
}

struct reading {
    const struct file *file;
    void *buf;
    size_t bytes;
};

static int read_on_pool(void *arg)
{
    struct reading *reading = arg;
    ssize_t n = pread(reading->file->fd, reading->buf, reading->bytes, reading->file->offset);
    return n < 0 ? sm_neg_errno() : (int)n;
}

SEAM_SUSPENDS ssize_t file_read(struct file *file, void *buf, size_t bytes)
{
    if (!file->never_inline) {
        struct iovec piece = {.iov_base = buf, .iov_len = bytes};
        ssize_t n = preadv2(file->fd, &piece, 1, file->offset, RWF_NOWAIT);
        if (n >= 0) {
            file->offset += n;
            return n;
        }
        if (errno == EOPNOTSUPP) {
            file->never_inline = true;
        } else if (errno != EAGAIN && errno != EINTR) {
            return sm_neg_errno();
        }
    }

    struct reading reading = {.file = file, .buf = buf, .bytes = bytes};
    int result = 0;
    int r = seam_block(NULL, read_on_pool, &reading, &result, SEAM_FOREVER);
    if (r < 0) return r;
    if (result > 0) file->offset += result;
    return result;
}

void file_close(struct file *file)
{
    if (file->fd >= 0) (void)close(file->fd);
    file->fd = -1;
}
