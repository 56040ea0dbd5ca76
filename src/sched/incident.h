/* SPDX-License-Identifier: MIT */
/*
 * sched/incident.h - what tasks did to their workers: counted, told, and shown where it lasts.
 *
 * The life of an incident
 *
 *     noticed ----> told ----> shown ----> over
 *                     |                     ^
 *                     +---------------------+
 *
 *   told    sm_incidents_add(): counted, and the callback called
 *   shown   sm_incidents_look(): it has lasted SHOW_AFTER: a line on stderr, unless there was one
 *           within a second; then the next line says how many were not shown
 *   over    sm_incidents_look(): the thread has come back to the role that was taken from it, or,
 *           where none was taken, its worker goes on; or the thread has been ended
 *
 * All of it is the monitor thread's own. The table has room for all threads there can be.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "seam/runtime.h"

struct sm_thread;

struct sm_incident {
    struct seam_incident shown; /* task_name points to name */
    char name[32];
    struct sm_thread *thread;
    uint32_t returns; /* the thread's, when its role was taken */
    uint64_t tick;    /* the worker's, when it stood still */
    int64_t since_ns;
    bool is_declared; /* the task had said so: kept only to know who is astray */
    bool is_settled;  /* shown, or never to be */
};

struct sm_incidents {
    struct seam_runtime *runtime;
    struct sm_incident *open;
    uint32_t count;
    uint32_t max;
    uint32_t unshown;     /* not shown since the last line */
    int64_t next_line_ns; /* no line before */
};

/* -ENOMEM. */
int sm_incidents_init(struct sm_incidents *incidents, struct seam_runtime *runtime);
void sm_incidents_fini(struct sm_incidents *incidents);

/* Count it, tell the callback, and watch it. Copies. */
void sm_incidents_add(struct sm_incidents *incidents, const struct sm_incident *incident);

/* Forget those that are over, and show those that last. */
void sm_incidents_look(struct sm_incidents *incidents, int64_t now_ns);

/* When sm_incidents_look() will have something to show; INT64_MAX: never. */
int64_t sm_incidents_next_ns(const struct sm_incidents *incidents);

/* How many threads whose roles were taken are computing, or want to. Stops counting at enough. */
uint32_t sm_incidents_runnable(const struct sm_incidents *incidents, uint32_t enough);
