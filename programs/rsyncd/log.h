/* SPDX-License-Identifier: MIT */
/*
 * log.h - the daemon's log: whole lines, to a file or to standard error.
 *
 * A line is one write() with O_APPEND, so lines of several tasks never mix, and log rotation by
 * copy and truncate works. The file is a regular file or a terminal: such a write does not wait
 * for anybody, which is why it needs no helper thread.
 */
#pragma once

/* Where lines go from now on: a file, or standard error for NULL. 0 or a negative errno, and
 * nothing changed. Before any task runs. */
int log_open(const char *path);
void log_close(void);

/* One line; date, time and process id go before it, control characters are replaced. Any thread;
 * never suspends, never fails. */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
