/* SPDX-License-Identifier: MIT */
/*
 * base/cast.h - the one way to take const off a pointer.
 *
 * For memory that is ours although the caller may only look at it, and for functions that serve
 * both directions and write in one of them. Every use says why it is right.
 */
#pragma once

static inline void *sm_drop_const(const void *pointer)
{
    union {
        const void *from;
        void *to;
    } cast = {.from = pointer};
    return cast.to;
}
