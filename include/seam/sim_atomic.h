/* SPDX-License-Identifier: MIT */
/*
 * seam/sim_atomic.h - atomic operations of a program that is simulated (seam/sim.h).
 *
 *     cc -include seam/sim_atomic.h ... -lseam_sim
 *
 * gives <stdatomic.h> to each source, with functions before which the simulation may let another
 * thread go on. Without it, it does so at calls of libc and of seam only: a loop that waits for an
 * atomic variable to change and calls nothing would not end. C only; the sources stay as they are.
 * The plain operators, as in x = x + 1 on an _Atomic x, are no functions: nothing is done about them.
 */
#pragma once

#ifndef __cplusplus

#include <stdatomic.h>

/**
 * seam_sim_point() - Let another thread go on, if the simulation likes.
 *
 * Context: any.  Nothing outside of a simulation.
 * Thread-safe: yes.
 * Since: 0.1
 */
void seam_sim_point(void);

/*
 * What <stdatomic.h> defines stays, for all types; shadowed are the builtins that it is made of. A macro
 * is not expanded within itself, so each ends at the builtin.
 */
/* NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming): the compiler's names */
#define SEAM_SIM_POINT_AND(builtin, ...) (seam_sim_point(), builtin(__VA_ARGS__))

#ifdef __clang__
#define __c11_atomic_load(...)      SEAM_SIM_POINT_AND(__c11_atomic_load, __VA_ARGS__)
#define __c11_atomic_store(...)     SEAM_SIM_POINT_AND(__c11_atomic_store, __VA_ARGS__)
#define __c11_atomic_exchange(...)  SEAM_SIM_POINT_AND(__c11_atomic_exchange, __VA_ARGS__)
#define __c11_atomic_fetch_add(...) SEAM_SIM_POINT_AND(__c11_atomic_fetch_add, __VA_ARGS__)
#define __c11_atomic_fetch_sub(...) SEAM_SIM_POINT_AND(__c11_atomic_fetch_sub, __VA_ARGS__)
#define __c11_atomic_fetch_or(...)  SEAM_SIM_POINT_AND(__c11_atomic_fetch_or, __VA_ARGS__)
#define __c11_atomic_fetch_xor(...) SEAM_SIM_POINT_AND(__c11_atomic_fetch_xor, __VA_ARGS__)
#define __c11_atomic_fetch_and(...) SEAM_SIM_POINT_AND(__c11_atomic_fetch_and, __VA_ARGS__)
#define __c11_atomic_compare_exchange_strong(...) \
    SEAM_SIM_POINT_AND(__c11_atomic_compare_exchange_strong, __VA_ARGS__)
#define __c11_atomic_compare_exchange_weak(...) \
    SEAM_SIM_POINT_AND(__c11_atomic_compare_exchange_weak, __VA_ARGS__)
#else
#define __atomic_load(...)             SEAM_SIM_POINT_AND(__atomic_load, __VA_ARGS__)
#define __atomic_store(...)            SEAM_SIM_POINT_AND(__atomic_store, __VA_ARGS__)
#define __atomic_exchange(...)         SEAM_SIM_POINT_AND(__atomic_exchange, __VA_ARGS__)
#define __atomic_compare_exchange(...) SEAM_SIM_POINT_AND(__atomic_compare_exchange, __VA_ARGS__)
#define __atomic_fetch_add(...)        SEAM_SIM_POINT_AND(__atomic_fetch_add, __VA_ARGS__)
#define __atomic_fetch_sub(...)        SEAM_SIM_POINT_AND(__atomic_fetch_sub, __VA_ARGS__)
#define __atomic_fetch_or(...)         SEAM_SIM_POINT_AND(__atomic_fetch_or, __VA_ARGS__)
#define __atomic_fetch_xor(...)        SEAM_SIM_POINT_AND(__atomic_fetch_xor, __VA_ARGS__)
#define __atomic_fetch_and(...)        SEAM_SIM_POINT_AND(__atomic_fetch_and, __VA_ARGS__)
#define __atomic_test_and_set(...)     SEAM_SIM_POINT_AND(__atomic_test_and_set, __VA_ARGS__)
#define __atomic_clear(...)            SEAM_SIM_POINT_AND(__atomic_clear, __VA_ARGS__)
#endif
/* NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming) */

#endif
