/* SPDX-License-Identifier: MIT */
/*
 * seam/time.h - one clock, one unit, one form of time-out.
 *
 * Time is int64_t nanoseconds on the system's monotonic clock. Every call that may wait takes an
 * absolute deadline_ns as its last argument:
 *
 *     seam_chan_recv(chan, &value, SEAM_FOREVER)                 wait without limit
 *     seam_chan_recv(chan, &value, SEAM_NOW)                     take it if it is there
 *     seam_chan_recv(chan, &value, seam_after(5 * SEAM_SECOND))  wait five seconds
 *
 * A deadline is never early: a wait that ends with -ETIMEDOUT ends at its deadline or later.
 */
#pragma once

#include <stdint.h>

#include "seam/attr.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SEAM_NANOSECOND  INT64_C(1)
#define SEAM_MICROSECOND INT64_C(1000)
#define SEAM_MILLISECOND INT64_C(1000000)
#define SEAM_SECOND      INT64_C(1000000000)

/** A deadline that has always passed: the call never waits and returns -EAGAIN instead. */
#define SEAM_NOW INT64_C(0)

/** No deadline. */
#define SEAM_FOREVER INT64_MAX

/**
 * seam_now_ns() - The time, in nanoseconds on the monotonic clock.
 *
 * Return: the time now; always greater than SEAM_NOW
 *
 * Context: any, signal handler.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API int64_t seam_now_ns(void);

/**
 * seam_after() - The deadline that lies this far ahead.
 *
 * @ns: nanoseconds from now; negative values count as 0
 *
 * Return: seam_now_ns() + @ns, or SEAM_FOREVER where the sum would not fit
 *
 * Context: any, signal handler.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API int64_t seam_after(int64_t ns);

/**
 * seam_sleep() - Let time pass.
 *
 * @deadline_ns: when to go on; a deadline that has passed returns at once, SEAM_FOREVER sleeps
 *               until cancelled
 *
 * Return: 0 at the deadline or later, or
 *   -ECANCELED   the caller's scope was cancelled; possibly before the deadline
 *   -EOWNERDEAD  this is a forked child of the process that owns the runtime
 *
 * Context: any.  Suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API SEAM_SUSPENDS int seam_sleep(int64_t deadline_ns);

#ifdef __cplusplus
}
#endif
