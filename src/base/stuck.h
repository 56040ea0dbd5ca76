/* SPDX-License-Identifier: MIT */
/*
 * base/stuck.h - what a simulation must be told to know a deadlock when it sees one, and to describe it.
 *
 * In a library built with SM_SIM: src/sim is what is told, src/task what describes. In every other
 * build all of this is nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct sm_task;

/* A task that waits: in the frame of its wait. */
struct sm_sim_parked {
    struct sm_list link;
    const struct sm_task *task;
};

#ifdef SM_SIM

/* Implemented in src/sim. A thread that is not simulated comes back at once. */
void sm_sim_park(struct sm_sim_parked *parked, const struct sm_task *task);
void sm_sim_unpark(struct sm_sim_parked *parked);

/*
 * The calling thread does nothing but look after others, and pauses between two looks. That a pause ends
 * is no reason for anybody to go on, unless something will be due then, which is at until_ns at the
 * earliest; INT64_MAX: nothing will.
 */
void sm_sim_pause_begin(int64_t until_ns);
void sm_sim_pause_end(void);

static inline bool sm_sim_is_built_in(void)
{
    return true;
}

/* What can be said of a task, or of a plain thread: strings that live as long as it does what it does. */
struct sm_sim_told {
    const char *name;       /* NULL: no task */
    const void *spawned_at; /* NULL: not known */
    const char *reason;     /* what it waits for; NULL: it does not wait, as far as we know */
};

/* Implemented in src/task. What the calling thread does; and what a task does while all threads stand
 * still. */
void sm_sim_describe_thread(struct sm_sim_told *out_told);
void sm_sim_describe_task(const struct sm_task *task, struct sm_sim_told *out_told);

#else

static inline void sm_sim_park(struct sm_sim_parked *parked, const struct sm_task *task)
{
    (void)parked;
    (void)task;
}

static inline void sm_sim_unpark(struct sm_sim_parked *parked)
{
    (void)parked;
}

static inline void sm_sim_pause_begin(int64_t until_ns)
{
    (void)until_ns;
}

static inline void sm_sim_pause_end(void) {}

static inline bool sm_sim_is_built_in(void)
{
    return false;
}

#endif
