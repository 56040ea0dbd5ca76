/* SPDX-License-Identifier: MIT */
/*
 * sim/state.h - what threads.c and choose.c share. The holder's of the baton.
 */
#pragma once

#include "base/list.h"
#include "sim/sim.h"

#define SM_SIM_START_NS (INT64_C(1000000) * 1000000000)

enum { SM_SIM_THREADS_MAX = 4096, SM_SIM_TIMERS_MAX = 256 };

struct sm_sim_timer {
    int fd;
    int64_t deadline_ns;
};

struct sm_sim_world {
    struct sm_sim_thread
            *current; /* who has the baton; read by others to see that it is not they */
    struct sm_sim_thread *ready[SM_SIM_THREADS_MAX]; /* who has waited longest comes first */
    unsigned ready_count;
    struct sm_sim_thread *all[SM_SIM_THREADS_MAX]; /* without the joined */
    unsigned all_count;
    unsigned live_count;   /* of them, not GONE */
    unsigned file_waiters; /* BLOCKED in FILES */
    uint32_t created_count;
    int64_t now_ns;
    int64_t next_deadline_ns; /* of those who are BLOCKED, and of timers; or earlier */
    uint64_t preempt_at;      /* this many points */
    uint64_t switched_at;     /* points, when the baton changed hands last */
    int dying_tid;            /* of who has just gone, and is not waited for yet; 0: nobody */
    bool files_changed;
    struct sm_list parked; /* struct sm_sim_parked.link: tasks, who has waited longest first */
    uint64_t news;         /* changes of threads, but from watcher to watcher */
    int64_t news_ns;       /* when that was last */
    struct sm_sim_timer timers[SM_SIM_TIMERS_MAX];
    unsigned timer_count;
};

extern struct sm_sim_world sm_sim;
