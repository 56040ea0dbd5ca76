/* SPDX-License-Identifier: MIT */
/*
 * sim/real.h - the functions of libc that the simulation stands in front of.
 *
 * REAL(read)(fd, buf, len) is what read() would be without us: the next definition of the name, in
 * libc or in a sanitizer before it.
 */
#pragma once

#include <dlfcn.h>

/* A null pointer until the first call; finding it twice is harmless. */
static inline void *sm_sim_find_real(void **known, const char *name)
{
    void *found = __atomic_load_n(known, __ATOMIC_RELAXED);
    if (__builtin_expect(found == NULL, 0)) {
        found = dlsym(RTLD_NEXT, name);
        __atomic_store_n(known, found, __ATOMIC_RELAXED);
    }
    return found;
}

/* NOLINTBEGIN(bugprone-macro-parentheses): it is a name */
#define REAL(name) \
    (__extension__({ \
        static void *known; \
        (__typeof__(&name))sm_sim_find_real(&known, #name); \
    }))
/* NOLINTEND(bugprone-macro-parentheses) */

/* These are seen by the shared libraries of the program, too. */
#define STANDS_IN __attribute__((visibility("default")))
