/* SPDX-License-Identifier: MIT */
/*
 * seam/sim.h - run a program's threads and tasks under a seed, and find the order that breaks it.
 *
 * Only in libseam_sim.a, which is the library with a simulation below it: link with it in place of
 * libseam.a. Then
 *
 *     static int transfer(void *arg) { ... start threads and tasks, wait for them, CHECK ... }
 *
 *     int main(void)
 *     {
 *         struct seam_sim_options options = {.seeds = 1000};
 *         return seam_sim_run("transfer", transfer, NULL, &options) < 0;
 *     }
 *
 * runs transfer() a thousand times, each time in a child process in which one thread runs at a time,
 * and a seed decides which. Time is virtual. What fails is shrunk to the few moments at which threads
 * had to change over for it to fail, and shown. See docs/testing.md.
 */
#pragma once

#include <stdint.h>

#include "seam/attr.h"

#ifdef __cplusplus
extern "C" {
#endif

/** How the next thread is chosen. */
enum seam_sim_strategy {
    SEAM_SIM_BOTH,   /* every second seed */
    SEAM_SIM_RANDOM, /* by dice, at moments that are diced */
    SEAM_SIM_PCT,    /* by random priorities, which change at a few random moments */
};

/** What may go wrong, where nothing in the program asked for it. */
enum seam_sim_faults {
    SEAM_SIM_FAULT_THREADS = 1,    /* pthread_create() fails: EAGAIN */
    SEAM_SIM_FAULT_SPURIOUS = 2,   /* condition variables and futexes wake up for no reason */
    SEAM_SIM_FAULT_SHORT = 4,      /* reads, writes, recv() and send() move less than asked */
    SEAM_SIM_FAULT_RESET = 8,      /* stream sockets, when read or written: ECONNRESET */
    SEAM_SIM_FAULT_INTERRUPT = 16, /* calls that wait, as by a signal: EINTR */
};

/** All zero is fine. */
struct seam_sim_options {
    uint64_t first_seed;
    uint64_t seeds; /* how many; 0: one */
    enum seam_sim_strategy strategy;
    uint32_t faults;      /* of enum seam_sim_faults */
    uint32_t seconds;     /* of real time, for one run: then SIGALRM, and SIGKILL; 0: twenty */
    const char *schedule; /* as printed: replay it, under first_seed only; NULL: none */
    /* How long what is sent over a stream socket is under way, in virtual time: a second at most. */
    uint32_t latency_min_ns;
    uint32_t latency_max_ns; /* 0: it is there at once, as on one machine */
    uint32_t reserved[4];    /* zero */
};

/**
 * seam_sim_run() - Run a function under many seeds, until one makes it fail.
 *
 * @name: to print; borrowed
 * @fn: what to run, in a forked child; it fails by returning a negative number, by a signal, by
 *      exit() with anything but 0 or 77, by a deadlock of everybody in it, or by never ending
 * @arg: for @fn, which gets a copy of what it points to
 * @options: NULL is as good as all zero
 *
 * Some seeds are run twice, the first sixteen among them, and what happened is compared: if that
 * differs, the run depends on something that the simulation does not decide, and is a failure, too. A
 * failure is made smaller, then printed to standard error, with what to pass to see it again. Of what a
 * run prints, only the end is kept.
 *
 * Call it while the process has one thread, and has not used the library yet.
 *
 * With a latency, each packet that a simulated thread sends over a connected stream socket is under way for
 * a time that the seed draws between the two, and so is the end of the stream; they arrive in their
 * order. The seed may also cut what is sent at once into packets that arrive one after the other.
 *
 * Return: the number of seeds that passed; 0 if @fn ended with exit(77), which is to say that it
 *         cannot run here; -ECHILD if it failed; -EINVAL before anything has run, for a strategy or a
 *         bit of faults that there is not, for a latency that is longer than a second or at least
 *         more than at most, for what is reserved and not zero, and for a schedule that cannot be
 *         read, of which standard error is told where; -ENOMEM; another negative errno if a
 *         child could not be started
 *
 * Context: a thread, the only one of its process.  Waits for its children.
 * Thread-safe: no.
 * Since: 0.1
 */
int64_t seam_sim_run(
        const char *name, seam_fn *fn, void *arg, const struct seam_sim_options *options);

/**
 * seam_sim_seed() - The seed of this run, for a program that has dice of its own.
 *
 * Return: the seed, also in the replay of a schedule, if it is in the options; 0 outside of
 *         seam_sim_run()
 *
 * Context: any, signal handler.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
uint64_t seam_sim_seed(void);

#ifdef __cplusplus
}
#endif
