/* SPDX-License-Identifier: MIT */
/*
 * kit/fault.h - what went wrong, in words, beside the negative errno.
 *
 * A parser that rejects its input returns fault_set(fault, -EPROTO, "..."): the number for the
 * program, the words for the person. The words may quote hostile input: fault_set() replaces
 * control characters, so they are safe in a log and in one line of a text protocol.
 */
#pragma once

struct fault {
    int line;       /* where, counted from 1; 0 when lines mean nothing */
    char text[480]; /* what and why, one line, no newline at its end; "" when nothing is wrong */
};

/* Write the words; returns error, so that a caller can return it at once. fault may be NULL.
 * Never fails; cuts what is too long. */
int fault_set(struct fault *fault, int error, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* The same, with a line number. */
int fault_set_at(struct fault *fault, int error, int line, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
