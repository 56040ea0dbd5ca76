/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "seam/attr.h"

#include "base/atomic.h"

SEAM_API int *seam_errno_location(void);

/* Out of line, and with a barrier that keeps link-time optimisation from seeing that the C library
 * calls its part of this const. */
SM_NOINLINE int *seam_errno_location(void)
{
    sm_compiler_barrier();
    int *location = &errno;
    __asm__ volatile("" : "+r"(location) : : "memory");
    return location;
}
