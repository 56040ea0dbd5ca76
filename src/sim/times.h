/* SPDX-License-Identifier: MIT */
/*
 * sim/times.h - between the simulation's one clock and libc's many.
 */
#pragma once

#include <stdint.h>
#include <time.h>

enum { SM_SIM_NS_PER_S = 1000000000, SM_SIM_WALL_S = 1000000000 };

/* What is to be added to the monotonic clock to tell the time of day. */
static inline int64_t sm_sim_offset_ns(clockid_t clock)
{
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_TAI: return (int64_t)SM_SIM_WALL_S * SM_SIM_NS_PER_S;
    default: return 0;
    }
}

static inline int64_t sm_sim_timespec_ns(const struct timespec *time)
{
    if (time->tv_sec >= INT64_MAX / SM_SIM_NS_PER_S) return INT64_MAX;
    return (int64_t)time->tv_sec * SM_SIM_NS_PER_S + time->tv_nsec;
}

/* A time on clock, on ours. */
static inline int64_t sm_sim_deadline(clockid_t clock, const struct timespec *until)
{
    int64_t ns = sm_sim_timespec_ns(until);
    return ns == INT64_MAX ? ns : ns - sm_sim_offset_ns(clock);
}

static inline struct timespec sm_sim_timespec(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / SM_SIM_NS_PER_S, .tv_nsec = ns % SM_SIM_NS_PER_S};
}

/* From now on; NULL is for ever. */
static inline int64_t sm_sim_after(int64_t now_ns, const struct timespec *wait)
{
    int64_t ns = wait != NULL ? sm_sim_timespec_ns(wait) : INT64_MAX;
    return ns > INT64_MAX - now_ns ? INT64_MAX : now_ns + ns;
}
