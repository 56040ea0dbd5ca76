/* SPDX-License-Identifier: MIT */
/*
 * base/sanitizer.h - which tool watches this build, and what it must know about stack memory.
 *
 * SM_ASAN and SM_TSAN are 0 or 1. What these tools must be told about switching stacks is in
 * arch/fiber.h; here is only what concerns the memory, because os/ hands that out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#ifdef __has_feature
#define SM_HAS_FEATURE(feature) __has_feature(feature)
#else
#define SM_HAS_FEATURE(feature) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || SM_HAS_FEATURE(address_sanitizer)
#define SM_ASAN 1
#else
#define SM_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__) || SM_HAS_FEATURE(thread_sanitizer)
#define SM_TSAN 1
#else
#define SM_TSAN 0
#endif

#if SM_ASAN
#include <sanitizer/lsan_interface.h>
#elif !SM_TSAN && __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif

/*
 * Task stacks will live in [low, low + bytes) from now on, for the life of the process.
 *
 * LeakSanitizer looks for pointers there, and would otherwise call all that only a parked task
 * points to a leak; the range must be readable, so without its guard. Valgrind learns that a stack
 * pointer which jumps into the range has changed stacks, and was not moved by a huge local array.
 */
static inline void sm_sanitizer_add_stack(void *low, size_t bytes)
{
#if SM_ASAN
    __lsan_register_root_region(low, bytes);
#elif defined(VALGRIND_STACK_REGISTER)
    (void)VALGRIND_STACK_REGISTER(low, (char *)low + bytes);
#else
    (void)low;
    (void)bytes;
#endif
}

/* Does the tool read, on its own, whatever the list of maps calls readable? Then memory that faults
 * must not look readable there. */
static inline bool sm_sanitizer_reads_maps(void)
{
#ifdef RUNNING_ON_VALGRIND
    return RUNNING_ON_VALGRIND != 0;
#else
    return SM_ASAN;
#endif
}
