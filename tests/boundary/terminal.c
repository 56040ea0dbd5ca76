/* SPDX-License-Identifier: MIT */
/*
 * boundary/terminal.c - a read of standard input that is given up holds nobody: row m.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>

#include "boundary/flavours.h"

/* A terminal, as its two sides see it, and how it was when the program was started. */
struct terminal {
    int screen_fd;
    int program_fd;
    struct termios mode;
    int flags;
};

static void terminal_open(struct terminal *terminal)
{
    terminal->screen_fd = (int)CHECK_OK(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    CHECK_OK(grantpt(terminal->screen_fd));
    CHECK_OK(unlockpt(terminal->screen_fd));
    const char *name = ptsname(terminal->screen_fd);
    terminal->program_fd = (int)CHECK_OK(open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
    CHECK_OK(tcgetattr(terminal->program_fd, &terminal->mode));
    terminal->flags = (int)CHECK_OK(fcntl(terminal->program_fd, F_GETFL));
}

/* The program has ended; what it shared with its shell is as it was. */
static void terminal_close(const struct terminal *terminal)
{
    struct termios mode;
    CHECK_OK(tcgetattr(terminal->program_fd, &mode));
    CHECK_EQ(mode.c_iflag, terminal->mode.c_iflag);
    CHECK_EQ(mode.c_oflag, terminal->mode.c_oflag);
    CHECK_EQ(mode.c_cflag, terminal->mode.c_cflag);
    CHECK_EQ(mode.c_lflag, terminal->mode.c_lflag);
    CHECK(memcmp(mode.c_cc, terminal->mode.c_cc, sizeof mode.c_cc) == 0);
    CHECK_EQ(fcntl(terminal->program_fd, F_GETFL), terminal->flags);
    CHECK_OK(close(terminal->program_fd));
    CHECK_OK(close(terminal->screen_fd));
}

/* Run fn as a program on the terminal; its result is the exit status. It has a session of its own, so
 * that nobody who runs the tests in a terminal is asked for anything. */
static int run_on(const struct terminal *terminal, const struct seam_options *options, seam_fn *fn)
{
    pid_t child = fork();
    CHECK_OK(child);
    if (child == 0) {
        CHECK_OK(setsid());
        CHECK_OK(ioctl(terminal->program_fd, TIOCSCTTY, 0));
        CHECK_OK(dup2(terminal->program_fd, STDIN_FILENO));
        exit(options != NULL ? seam_run(options, fn, NULL) : fn(NULL));
    }
    int status = 0;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static SEAM_SUSPENDS int give_up_reading(void *unused)
{
    (void)unused;
    char key = 0;
    CHECK_ERR(seam_read(STDIN_FILENO, &key, 1, seam_after(5 * SEAM_MILLISECOND)), ETIMEDOUT);
    return 7;
}

/* Row m. With Tokio the program hangs in its exit until somebody presses Enter. */
ON_EVERY_RUNTIME(a_read_of_the_terminal_that_is_given_up_does_not_hold_the_exit)
{
    struct terminal terminal;
    terminal_open(&terminal);
    CHECK_EQ(run_on(&terminal, options, give_up_reading), 7);
    terminal_close(&terminal);
}

TEST(a_read_of_the_terminal_that_a_thread_gives_up_does_not_hold_the_exit)
{
    struct terminal terminal;
    terminal_open(&terminal);
    CHECK_EQ(run_on(&terminal, NULL, give_up_reading), 7);
    terminal_close(&terminal);
}

static SEAM_SUSPENDS int read_in_a_task(void *unused)
{
    (void)unused;
    char key = 0;
    CHECK_ERR(seam_read(STDIN_FILENO, &key, 1, SEAM_FOREVER), ECANCELED);
    return 0;
}

static SEAM_SUSPENDS int leave_a_reader_behind(void *unused)
{
    (void)unused;
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, read_in_a_task, NULL, NULL, NULL));
    CHECK_OK(seam_yield());
    CHECK_OK(seam_scope_cancel(&scope));
    CHECK_ERR(seam_scope_end(&scope), ECANCELED);
    return 7;
}

ON_EVERY_RUNTIME(a_read_of_the_terminal_that_is_cancelled_does_not_hold_the_exit)
{
    struct terminal terminal;
    terminal_open(&terminal);
    CHECK_EQ(run_on(&terminal, options, leave_a_reader_behind), 7);
    terminal_close(&terminal);
}

/* ---- pipes in blocking mode, as a shell makes them ---- */

enum { MUCH = 300000 };

static SEAM_SUSPENDS int write_much(void *arg)
{
    const struct gate *pipe = arg;
    static const char bytes[MUCH];
    CHECK_EQ(seam_write(pipe->fds[1], bytes, MUCH, SEAM_FOREVER), MUCH);
    return 0;
}

static SEAM_SUSPENDS int read_much(void *arg)
{
    const struct gate *pipe = arg;
    char bytes[4096];
    for (ssize_t sum = 0; sum < MUCH;) {
        sum += (ssize_t)CHECK_OK(seam_read(pipe->fds[0], bytes, sizeof bytes, SEAM_FOREVER));
    }
    return 0;
}

static SEAM_SUSPENDS int pass_much(void *arg)
{
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, read_much, arg, NULL, NULL)); /* finds nothing */
    CHECK_OK(seam_yield());
    CHECK_OK(seam_spawn(&scope, write_much, arg, NULL, NULL));
    return (int)CHECK_OK(seam_scope_end(&scope));
}

ON_EVERY_RUNTIME(two_tasks_at_the_ends_of_a_blocking_pipe_do_not_block_each_other)
{
    struct gate pipe;
    gate_init(&pipe);
    CHECK_OK(seam_run(options, pass_much, &pipe));
    CHECK_EQ(fcntl(pipe.fds[0], F_GETFL) & O_NONBLOCK, 0);
    CHECK_EQ(fcntl(pipe.fds[1], F_GETFL) & O_NONBLOCK, 0);
    CHECK_OK(seam_close(pipe.fds[0]));
    CHECK_OK(seam_close(pipe.fds[1]));
}
