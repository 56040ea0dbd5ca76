/* SPDX-License-Identifier: MIT */
/*
 * seam/blocking.h - a task says that it is about to block its thread.
 *
 *     seam_blocking_begin();
 *     r = legacy_query(db);          may sit in the kernel for long
 *     seam_blocking_end();
 *
 * A task that blocks its thread is noticed anyway (seam/runtime.h), after two looks of the monitor,
 * and reported. One that says so beforehand has its work taken over at the first look that finds
 * any, and is not reported. It costs a few nanoseconds. seam_block() costs a change of thread each
 * time, and holds up nobody at all.
 */
#pragma once

#include "seam/attr.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * seam_blocking_begin() - Say that what follows may block the calling thread.
 *
 * May be nested; the outermost seam_blocking_end() counts. If the task waits in between, in a call
 * that is marked SEAM_SUSPENDS, the mark is gone, and its ends do nothing. Where nobody may be
 * overtaken (SEAM_OVERTAKE_OFF) it has no effect, on a plain thread or in a pool job neither.
 *
 * Context: any.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API void seam_blocking_begin(void);

/**
 * seam_blocking_end() - Say that it no longer may.
 *
 * Without a mark it does nothing.
 *
 * Context: any.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API void seam_blocking_end(void);

#ifdef __cplusplus
}
#endif
