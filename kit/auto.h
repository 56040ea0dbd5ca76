/* SPDX-License-Identifier: MIT */
/*
 * kit/auto.h - things that clean up after themselves, and how to hand them on.
 *
 * The twin of base/auto.h for programs, which may not look into the library: same words, same
 * meaning. It is the one copy the house allows.
 */
#pragma once

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* The error of the system call that just failed, as we return it. Never 0, never positive. */
static inline int sm_neg_errno(void)
{
    if (errno <= 0) abort();
    return -errno;
}

#define sm_take(ptr) \
    __extension__({ \
        __typeof__(ptr) taken_ = (ptr); \
        (ptr) = NULL; \
        taken_; \
    })

#define sm_take_fd(fd) \
    __extension__({ \
        int taken_ = (fd); \
        (fd) = -1; \
        taken_; \
    })

static inline void sm_close_on_exit(const int *fd)
{
    if (*fd >= 0) (void)close(*fd);
}
#define sm_auto_close __attribute__((cleanup(sm_close_on_exit)))

/* SM_DEFINE_AUTO(config, struct config, config_free) makes SM_AUTO(config) available. */
#define SM_DEFINE_AUTO(name, type, free_fn) \
    static inline void sm_##name##_on_exit(__typeof__(type) *const *ptr) \
    { \
        free_fn(*ptr); \
    }
#define SM_AUTO(name) __attribute__((cleanup(sm_##name##_on_exit)))
