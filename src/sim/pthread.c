/* SPDX-License-Identifier: MIT */
/*
 * Threads, locks and conditions. A lock is the real one, tried; only the waiting is ours. A condition
 * variable is nothing but its address, since all who wait for it are ours.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <time.h>

#include "sim/real.h"
#include "sim/sim.h"
#include "sim/times.h"

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): libc's names are not ours */

/* ---- threads ---- */

STANDS_IN int pthread_create(
        pthread_t *out_thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
    if (!sm_sim_is_simulated()) return REAL(pthread_create)(out_thread, attr, run, arg);
    sm_sim_step();
    if (sm_sim_has_fault(SEAM_SIM_FAULT_THREADS)) return EAGAIN;
    int state = PTHREAD_CREATE_JOINABLE;
    if (attr != NULL) (void)pthread_attr_getdetachstate(attr, &state);
    struct sm_sim_thread *thread = sm_sim_thread_new(run, arg, state == PTHREAD_CREATE_DETACHED);
    if (thread == NULL) return EAGAIN;
    int r = REAL(pthread_create)(out_thread, attr, sm_sim_trampoline, thread);
    if (r != 0) {
        sm_sim_thread_drop(thread);
        return r;
    }
    sm_sim_thread_launch(thread, *out_thread);
    sm_sim_after_wake();
    return 0;
}

STANDS_IN int pthread_join(pthread_t pthread, void **out_result)
{
    if (!sm_sim_is_simulated()) return REAL(pthread_join)(pthread, out_result);
    sm_sim_step();
    struct sm_sim_thread *thread = sm_sim_thread_find(pthread);
    while (thread != NULL && thread->state != SM_SIM_GONE) {
        (void)sm_sim_block(SM_SIM_JOIN, thread, INT64_MAX);
    }
    int r = REAL(pthread_join)(pthread, out_result);
    if (r == 0 && thread != NULL) sm_sim_thread_forget(thread);
    return r;
}

STANDS_IN int pthread_detach(pthread_t pthread)
{
    if (!sm_sim_is_simulated()) return REAL(pthread_detach)(pthread);
    sm_sim_step();
    struct sm_sim_thread *thread = sm_sim_thread_find(pthread);
    int r = REAL(pthread_detach)(pthread);
    if (r != 0 || thread == NULL) return r;
    thread->is_detached = true;
    if (thread->state == SM_SIM_GONE) sm_sim_thread_forget(thread);
    return 0;
}

STANDS_IN int pthread_kill(pthread_t pthread, int signo)
{
    if (!sm_sim_is_simulated()) return REAL(pthread_kill)(pthread, signo);
    sm_sim_step();
    struct sm_sim_thread *thread = sm_sim_thread_find(pthread);
    if (thread == NULL || thread == sm_sim_self() || signo == 0) {
        return REAL(pthread_kill)(pthread, signo);
    }
    if (thread->state != SM_SIM_GONE) sm_sim_signal(thread, signo);
    return 0;
}

STANDS_IN int pthread_once(pthread_once_t *once, void (*run)(void))
{
    if (!sm_sim_is_simulated()) return REAL(pthread_once)(once, run);
    /* Whoever is in it is kept in a list, in their frames. */
    static struct once_in_progress {
        const pthread_once_t *once;
        struct once_in_progress *next;
    } * first;
    sm_sim_step();
    for (;;) {
        struct once_in_progress *other = first;
        while (other != NULL && other->once != once) {
            other = other->next;
        }
        if (other == NULL) break;
        (void)sm_sim_block(SM_SIM_ONCE, once, INT64_MAX);
    }
    struct once_in_progress own = {.once = once, .next = first};
    first = &own;
    int r = REAL(pthread_once)(once, run);
    struct once_in_progress **link = &first;
    while (*link != &own) {
        link = &(*link)->next;
    }
    *link = own.next;
    (void)sm_sim_wake(SM_SIM_ONCE, once, INT_MAX);
    return r;
}

/* ---- mutexes ---- */

static int lock_mutex(pthread_mutex_t *mutex, int64_t deadline_ns)
{
    int r = 0;
    while ((r = REAL(pthread_mutex_trylock)(mutex)) == EBUSY) {
        if (sm_sim_block(SM_SIM_MUTEX, mutex, deadline_ns) == SM_SIM_TIMED_OUT) return ETIMEDOUT;
    }
    return r;
}

static int unlock_mutex(pthread_mutex_t *mutex)
{
    int r = REAL(pthread_mutex_unlock)(mutex);
    if (r == 0) (void)sm_sim_wake(SM_SIM_MUTEX, mutex, 1);
    return r;
}

STANDS_IN int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    if (!sm_sim_is_simulated()) return REAL(pthread_mutex_lock)(mutex);
    sm_sim_step();
    return lock_mutex(mutex, INT64_MAX);
}

STANDS_IN int pthread_mutex_trylock(pthread_mutex_t *mutex)
{
    if (sm_sim_is_simulated()) sm_sim_step();
    return REAL(pthread_mutex_trylock)(mutex);
}

STANDS_IN int pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until)
{
    if (!sm_sim_is_simulated()) return REAL(pthread_mutex_timedlock)(mutex, until);
    sm_sim_step();
    return lock_mutex(mutex, sm_sim_deadline(CLOCK_REALTIME, until));
}

STANDS_IN int pthread_mutex_clocklock(
        pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until)
{
    if (!sm_sim_is_simulated()) return REAL(pthread_mutex_clocklock)(mutex, clock, until);
    sm_sim_step();
    return lock_mutex(mutex, sm_sim_deadline(clock, until));
}

STANDS_IN int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    if (!sm_sim_is_simulated()) return REAL(pthread_mutex_unlock)(mutex);
    sm_sim_step();
    int r = unlock_mutex(mutex);
    sm_sim_after_wake();
    return r;
}

/* ---- read-write locks ---- */

#define LOCK_AS(name, try_name) \
    STANDS_IN int name(pthread_rwlock_t *lock) \
    { \
        if (!sm_sim_is_simulated()) return REAL(name)(lock); \
        sm_sim_step(); \
        int r = 0; \
        while ((r = REAL(try_name)(lock)) == EBUSY) { \
            (void)sm_sim_block(SM_SIM_RWLOCK, lock, INT64_MAX); \
        } \
        return r; \
    }
LOCK_AS(pthread_rwlock_rdlock, pthread_rwlock_tryrdlock)
LOCK_AS(pthread_rwlock_wrlock, pthread_rwlock_trywrlock)

STANDS_IN int pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
    if (!sm_sim_is_simulated()) return REAL(pthread_rwlock_unlock)(lock);
    sm_sim_step();
    int r = REAL(pthread_rwlock_unlock)(lock);
    (void)sm_sim_wake(SM_SIM_RWLOCK, lock, INT_MAX);
    sm_sim_after_wake();
    return r;
}

/* ---- conditions ---- */

static int wait_for_condition(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t deadline_ns)
{
    sm_sim_step();
    int r = unlock_mutex(mutex);
    if (r != 0) return r;
    enum sm_sim_outcome outcome = SM_SIM_WOKEN;
    if (sm_sim_has_fault(SEAM_SIM_FAULT_SPURIOUS)) {
        sm_sim_yield();
    } else {
        outcome = sm_sim_block(SM_SIM_COND, cond, deadline_ns);
    }
    (void)lock_mutex(mutex, INT64_MAX);
    return outcome == SM_SIM_TIMED_OUT ? ETIMEDOUT : 0;
}

STANDS_IN int pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    if (!sm_sim_is_simulated()) return REAL(pthread_cond_wait)(cond, mutex);
    return wait_for_condition(cond, mutex, INT64_MAX);
}

STANDS_IN int pthread_cond_timedwait(
        pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until)
{
    if (!sm_sim_is_simulated()) return REAL(pthread_cond_timedwait)(cond, mutex, until);
    /* By which clock, only libc knows. But the two are decades apart. */
    clockid_t clock = until->tv_sec >= SM_SIM_WALL_S ? CLOCK_REALTIME : CLOCK_MONOTONIC;
    return wait_for_condition(cond, mutex, sm_sim_deadline(clock, until));
}

STANDS_IN int pthread_cond_clockwait(
        pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until)
{
    if (!sm_sim_is_simulated()) return REAL(pthread_cond_clockwait)(cond, mutex, clock, until);
    return wait_for_condition(cond, mutex, sm_sim_deadline(clock, until));
}

static int wake_condition(const pthread_cond_t *cond, int max)
{
    sm_sim_step();
    (void)sm_sim_wake(SM_SIM_COND, cond, max);
    sm_sim_after_wake();
    return 0;
}

STANDS_IN int pthread_cond_signal(pthread_cond_t *cond)
{
    if (!sm_sim_is_simulated()) return REAL(pthread_cond_signal)(cond);
    return wake_condition(cond, 1);
}

STANDS_IN int pthread_cond_broadcast(pthread_cond_t *cond)
{
    if (!sm_sim_is_simulated()) return REAL(pthread_cond_broadcast)(cond);
    return wake_condition(cond, INT_MAX);
}

/* ---- semaphores ---- */

static int take_semaphore(sem_t *semaphore, int64_t deadline_ns)
{
    sm_sim_step();
    while (REAL(sem_trywait)(semaphore) < 0) {
        if (errno != EAGAIN) return -1;
        switch (sm_sim_block(SM_SIM_SEMAPHORE, semaphore, deadline_ns)) {
        case SM_SIM_TIMED_OUT: errno = ETIMEDOUT; return -1;
        case SM_SIM_INTERRUPTED: errno = EINTR; return -1;
        case SM_SIM_WOKEN: break;
        }
    }
    return 0;
}

STANDS_IN int sem_wait(sem_t *semaphore)
{
    if (!sm_sim_is_simulated()) return REAL(sem_wait)(semaphore);
    return take_semaphore(semaphore, INT64_MAX);
}

STANDS_IN int sem_timedwait(sem_t *semaphore, const struct timespec *until)
{
    if (!sm_sim_is_simulated()) return REAL(sem_timedwait)(semaphore, until);
    return take_semaphore(semaphore, sm_sim_deadline(CLOCK_REALTIME, until));
}

STANDS_IN int sem_post(sem_t *semaphore)
{
    if (!sm_sim_is_simulated()) return REAL(sem_post)(semaphore);
    sm_sim_step();
    int r = REAL(sem_post)(semaphore);
    (void)sm_sim_wake(SM_SIM_SEMAPHORE, semaphore, 1);
    sm_sim_after_wake();
    return r;
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
