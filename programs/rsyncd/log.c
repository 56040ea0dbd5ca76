/* SPDX-License-Identifier: MIT */
#include "log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "kit/auto.h"

enum { LINE_MAX_BYTES = 1024 };

/* Written by main() before and after the tasks; only read in between. */
static int log_fd = STDERR_FILENO;

int log_open(const char *path)
{
    if (path == NULL) return 0;

    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) return sm_neg_errno();

    log_close();
    log_fd = fd;
    return 0;
}

void log_close(void)
{
    if (log_fd != STDERR_FILENO) (void)close(log_fd);
    log_fd = STDERR_FILENO;
}

void log_line(const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    struct tm now;
    time_t seconds = time(NULL);
    size_t len = 0;
    if (localtime_r(&seconds, &now) != NULL) {
        len = strftime(line, sizeof line, "%Y/%m/%d %H:%M:%S ", &now);
    }
    int n = snprintf(line + len, sizeof line - len, "[%ld] ", (long)getpid());
    if (n > 0) len += (size_t)n;
    size_t text_from = len;

    va_list args;
    va_start(args, format);
    n = vsnprintf(line + len, sizeof line - len - 1, format, args);
    va_end(args);
    if (n > 0) len += (size_t)n;
    if (len > sizeof line - 2) len = sizeof line - 2;

    /* What clients send ends up here: one line must stay one line. */
    for (size_t i = text_from; i < len; i++) {
        unsigned char byte = (unsigned char)line[i];
        if (byte < 0x20 || byte == 0x7f) line[i] = '?';
    }
    line[len++] = '\n';
    ssize_t written = write(log_fd, line, len);
    (void)written; /* a log that cannot be written has nobody to tell */
}
