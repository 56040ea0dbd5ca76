/* SPDX-License-Identifier: MIT */
/*
 * seam/errno.h - an errno that is still right after a task has moved to another thread.
 *
 * glibc declares the function behind errno __attribute__((const)), so compilers fetch its address
 * once per function and keep it across calls. A task that waits in between may continue on another
 * thread and would then read the first thread's errno. The accessor below cannot be cached.
 *
 * No function of seam sets or reads errno; this is for the C library calls a task makes itself.
 */
#pragma once

#include <errno.h>

#include "seam/attr.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * seam_errno_location() - The address of the calling thread's errno, looked up now.
 *
 * Use errno; this is what it expands to once this header is included. The address is good until
 * the next call that may suspend.
 *
 * Return: a pointer that is never NULL
 *
 * Context: any, signal handler.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API int *seam_errno_location(void);

#ifdef __cplusplus
}
#endif

#undef errno
#define errno (*seam_errno_location())
