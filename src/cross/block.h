/* SPDX-License-Identifier: MIT */
/*
 * cross/block.h - what the doors need a thread for themselves.
 */
#pragma once

#include "seam/attr.h"

#include "cross/pool.h"

/* As seam_block(), on threads that users' jobs do not take: an errand of one runtime must not wait in
 * line behind the jobs of another's tasks. From a thread, in the caller. The deadline is for the wait
 * in line; fn, which begins also after it where it need not wait, keeps it by itself. */
SEAM_SUSPENDS int sm_block_errand(
        enum sm_errand which, seam_fn *fn, void *arg, int *out_result, int64_t deadline_ns);
