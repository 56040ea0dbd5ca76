/* SPDX-License-Identifier: MIT */
#include "kit/fault.h"

#include <stdarg.h>
#include <stdio.h>

__attribute__((format(printf, 3, 0))) static void set_text(
        struct fault *fault, int line, const char *format, va_list args)
{
    fault->line = line;
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): started by both callers */
    (void)vsnprintf(fault->text, sizeof fault->text, format, args);
    for (char *c = fault->text; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f) *c = '?';
    }
}

int fault_set(struct fault *fault, int error, const char *format, ...)
{
    if (fault == NULL) return error;
    va_list args;
    va_start(args, format);
    set_text(fault, 0, format, args);
    va_end(args);
    return error;
}

int fault_set_at(struct fault *fault, int error, int line, const char *format, ...)
{
    if (fault == NULL) return error;
    va_list args;
    va_start(args, format);
    set_text(fault, line, format, args);
    va_end(args);
    return error;
}
