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
 * Task stacks live in [low, end) from now on, for the life of the process; those below old_end, if
 * any, are known already.
 *
 * LeakSanitizer looks for pointers there, and would otherwise call all that only a parked task
 * points to a leak. What the list of maps calls readable must be so: no guard by madvise() inside.
 * It goes through that list once for each range, so there must be few of them. Valgrind learns that
 * a stack pointer which jumps into the range has changed stacks, and was not moved by a huge array.
 */
static inline void sm_sanitizer_grow_stacks(const char *low, const char *old_end, const char *end)
{
#if SM_ASAN
    if (old_end > low) __lsan_unregister_root_region(low, (size_t)(old_end - low));
    __lsan_register_root_region(low, (size_t)(end - low));
#elif defined(VALGRIND_STACK_REGISTER)
    (void)low;
    (void)VALGRIND_STACK_REGISTER(old_end, end);
#else
    (void)low;
    (void)old_end;
    (void)end;
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
