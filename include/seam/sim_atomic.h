/* SPDX-License-Identifier: MIT */
/*
 * seam/sim_atomic.h - atomic operations of a program that is simulated (seam/sim.h).
 *
 *     cc -include seam/sim_atomic.h ... -lseam_sim
 *
 * gives <stdatomic.h> to each source, with functions before which the simulation may let another
 * thread go on. Without it, it does so at calls of libc and of seam only: a loop that waits for an
 * atomic variable to change and calls nothing would not end. C only; the sources stay as they are.
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

#ifdef __clang__
#define SEAM_SIM_BUILTIN(name) __c11_atomic_##name
#else
#define SEAM_SIM_BUILTIN(name) __atomic_##name##_n
#endif

#undef atomic_load
#undef atomic_load_explicit
#undef atomic_store
#undef atomic_store_explicit
#undef atomic_exchange
#undef atomic_exchange_explicit
#undef atomic_fetch_add
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub
#undef atomic_fetch_sub_explicit

#define atomic_load_explicit(p, order) (seam_sim_point(), SEAM_SIM_BUILTIN(load)((p), (order)))
#define atomic_store_explicit(p, v, order) \
    (seam_sim_point(), SEAM_SIM_BUILTIN(store)((p), (v), (order)))
#define atomic_exchange_explicit(p, v, order) \
    (seam_sim_point(), SEAM_SIM_BUILTIN(exchange)((p), (v), (order)))

#ifdef __clang__
#define atomic_fetch_add_explicit(p, v, order) \
    (seam_sim_point(), __c11_atomic_fetch_add((p), (v), (order)))
#define atomic_fetch_sub_explicit(p, v, order) \
    (seam_sim_point(), __c11_atomic_fetch_sub((p), (v), (order)))
#else
#define atomic_fetch_add_explicit(p, v, order) \
    (seam_sim_point(), __atomic_fetch_add((p), (v), (order)))
#define atomic_fetch_sub_explicit(p, v, order) \
    (seam_sim_point(), __atomic_fetch_sub((p), (v), (order)))
#endif

#define atomic_load(p)         atomic_load_explicit((p), memory_order_seq_cst)
#define atomic_store(p, v)     atomic_store_explicit((p), (v), memory_order_seq_cst)
#define atomic_exchange(p, v)  atomic_exchange_explicit((p), (v), memory_order_seq_cst)
#define atomic_fetch_add(p, v) atomic_fetch_add_explicit((p), (v), memory_order_seq_cst)
#define atomic_fetch_sub(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_seq_cst)

#endif
