/* SPDX-License-Identifier: MIT */
/*
 * Time, processors, and the bare system calls that the runtime makes.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "sim/real.h"
#include "sim/sim.h"
#include "sim/times.h"

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): libc's names are not ours */

enum { CPUS = 4, NS_PER_US = 1000, ARGS = 6 };

/* ---- clocks ---- */

STANDS_IN int clock_gettime(clockid_t clock, struct timespec *out_time)
{
    if (!sm_sim_is_simulated()) return REAL(clock_gettime)(clock, out_time);
    int64_t ns = sm_sim_now_ns();
    if (clock == CLOCK_THREAD_CPUTIME_ID) {
        ns = sm_sim_self()->cpu_ns;
    } else if (clock < 0) {
        ns = sm_sim_cpu_ns(clock);
        if (ns < 0) return REAL(clock_gettime)(clock, out_time);
    } else {
        ns += sm_sim_offset_ns(clock);
    }
    *out_time = sm_sim_timespec(ns);
    return 0;
}

STANDS_IN int gettimeofday(struct timeval *restrict out_time, void *restrict zone)
{
    if (!sm_sim_is_simulated()) return REAL(gettimeofday)(out_time, zone);
    int64_t ns = sm_sim_now_ns() + sm_sim_offset_ns(CLOCK_REALTIME);
    *out_time = (struct timeval){
            .tv_sec = ns / SM_SIM_NS_PER_S, .tv_usec = ns % SM_SIM_NS_PER_S / NS_PER_US};
    return 0;
}

STANDS_IN time_t time(time_t *out_time)
{
    if (!sm_sim_is_simulated()) return REAL(time)(out_time);
    time_t now = (sm_sim_now_ns() + sm_sim_offset_ns(CLOCK_REALTIME)) / SM_SIM_NS_PER_S;
    if (out_time != NULL) *out_time = now;
    return now;
}

/* ---- sleeping ---- */

static int sleep_until(int64_t deadline_ns)
{
    enum sm_sim_outcome outcome = SM_SIM_WOKEN;
    do {
        outcome = sm_sim_block(SM_SIM_SLEEP, NULL, deadline_ns);
    } while (outcome == SM_SIM_WOKEN);
    return outcome == SM_SIM_INTERRUPTED ? EINTR : 0;
}

STANDS_IN int clock_nanosleep(
        clockid_t clock, int flags, const struct timespec *wait, struct timespec *out_left)
{
    if (!sm_sim_is_simulated()) return REAL(clock_nanosleep)(clock, flags, wait, out_left);
    int64_t now_ns = sm_sim_now_ns();
    bool is_absolute = (flags & TIMER_ABSTIME) != 0;
    int64_t deadline_ns = is_absolute ? sm_sim_deadline(clock, wait) : sm_sim_after(now_ns, wait);
    int r = sleep_until(deadline_ns);
    if (r != 0 && out_left != NULL && !is_absolute) {
        int64_t left_ns = deadline_ns - sm_sim_now_ns();
        *out_left = sm_sim_timespec(left_ns > 0 ? left_ns : 0);
    }
    return r;
}

STANDS_IN int nanosleep(const struct timespec *wait, struct timespec *out_left)
{
    if (!sm_sim_is_simulated()) return REAL(nanosleep)(wait, out_left);
    int r = clock_nanosleep(CLOCK_MONOTONIC, 0, wait, out_left);
    if (r == 0) return 0;
    errno = r;
    return -1;
}

STANDS_IN int usleep(useconds_t us)
{
    if (!sm_sim_is_simulated()) return REAL(usleep)(us);
    const struct timespec wait = sm_sim_timespec((int64_t)us * NS_PER_US);
    return nanosleep(&wait, NULL);
}

STANDS_IN unsigned sleep(unsigned seconds)
{
    if (!sm_sim_is_simulated()) return REAL(sleep)(seconds);
    struct timespec wait = {.tv_sec = seconds};
    return nanosleep(&wait, &wait) == 0 ? 0 : (unsigned)wait.tv_sec;
}

/* ---- processors ---- */

STANDS_IN int sched_yield(void)
{
    if (!sm_sim_is_simulated()) return REAL(sched_yield)();
    sm_sim_yield();
    return 0;
}

/* As many everywhere: or a seed would mean something else on another machine. */
STANDS_IN int sched_getaffinity(pid_t pid, size_t bytes, cpu_set_t *out_set)
{
    if (!sm_sim_is_simulated()) return REAL(sched_getaffinity)(pid, bytes, out_set);
    (void)memset(out_set, 0, bytes);
    for (size_t cpu = 0; cpu < CPUS; cpu++) {
        CPU_SET_S(cpu, bytes, out_set);
    }
    return 0;
}

/* ---- system calls ---- */

static int wait_in_futex(const uint32_t *word, uint32_t expected, int64_t deadline_ns)
{
    sm_sim_step();
    if (__atomic_load_n(word, __ATOMIC_SEQ_CST) != expected) return -EAGAIN;
    if (sm_sim_has_fault(SEAM_SIM_FAULT_SPURIOUS)) {
        sm_sim_yield();
        return 0;
    }
    switch (sm_sim_block(SM_SIM_FUTEX, word, deadline_ns)) {
    case SM_SIM_TIMED_OUT: return -ETIMEDOUT;
    case SM_SIM_INTERRUPTED: return -EINTR;
    case SM_SIM_WOKEN: break;
    }
    return 0;
}

/* -ENOSYS: one that we know nothing of. */
static int call_futex(const long args[ARGS])
{
    /* NOLINTBEGIN(performance-no-int-to-ptr): what a system call is given */
    const uint32_t *word = (const uint32_t *)args[0];
    const struct timespec *time = (const struct timespec *)args[3];
    /* NOLINTEND(performance-no-int-to-ptr) */
    clockid_t clock = (args[1] & FUTEX_CLOCK_REALTIME) != 0 ? CLOCK_REALTIME : CLOCK_MONOTONIC;
    switch (args[1] & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME)) {
    case FUTEX_WAIT:
        return wait_in_futex(word, (uint32_t)args[2],
                time == NULL ? INT64_MAX : sm_sim_after(sm_sim_now_ns(), time));
    case FUTEX_WAIT_BITSET:
        return wait_in_futex(
                word, (uint32_t)args[2], time == NULL ? INT64_MAX : sm_sim_deadline(clock, time));
    case FUTEX_WAKE:
    case FUTEX_WAKE_BITSET: {
        sm_sim_step();
        int woken = sm_sim_wake(SM_SIM_FUTEX, word, (int)args[2]);
        sm_sim_after_wake();
        return woken;
    }
    default: return -ENOSYS;
    }
}

/* -ENOSYS: not to one of ours. */
static int call_tgkill(int tid, int signo)
{
    struct sm_sim_thread *thread = sm_sim_thread_of_tid(tid);
    sm_sim_step();
    if (thread == NULL || thread == sm_sim_self() || signo == 0) return -ENOSYS;
    sm_sim_signal(thread, signo);
    return 0;
}

static long stand_in(long number, const long args[ARGS])
{
    switch (number) {
    case SYS_futex: return call_futex(args);
    case SYS_tgkill: return call_tgkill((int)args[1], (int)args[2]);
    case SYS_membarrier: sm_sim_step(); return 0;
    default: return -ENOSYS;
    }
}

STANDS_IN long syscall(long number, ...)
{
    /* As many as there can be: libc's own does not know either. */
    long args[ARGS];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < ARGS; i++) {
        args[i] = va_arg(list, long);
    }
    va_end(list);
    long r = sm_sim_is_simulated() ? stand_in(number, args) : -ENOSYS;
    if (r == -ENOSYS) {
        return REAL(syscall)(number, args[0], args[1], args[2], args[3], args[4], args[5]);
    }
    if (r >= 0) return r;
    errno = (int)-r;
    return -1;
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
