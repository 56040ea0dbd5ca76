/* SPDX-License-Identifier: MIT */
#include "sched/incident.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "os/os.h"
#include "sched/runtime.h"
#include "task/thread.h"

enum {
    NS_PER_MS = 1000 * 1000,
    SHOW_AFTER_NS = 10 * NS_PER_MS,
    LINE_EVERY_NS = 1000 * NS_PER_MS,
};

int sm_incidents_init(struct sm_incidents *incidents, struct seam_runtime *runtime)
{
    /* One for each thread of the runtime, one for who drives, and one for each role that is left
     * where it is. */
    uint32_t max = 2 * runtime->worker_count + SM_SPARES_MAX + 1;
    *incidents = (struct sm_incidents){.runtime = runtime, .max = max};
    incidents->open = sm_os.map(max * sizeof *incidents->open);
    return incidents->open != NULL ? 0 : -ENOMEM;
}

void sm_incidents_fini(struct sm_incidents *incidents)
{
    sm_os.unmap(incidents->open, incidents->max * sizeof *incidents->open);
}

void sm_incidents_add(struct sm_incidents *incidents, const struct sm_incident *incident)
{
    struct sm_monitor *monitor = &incidents->runtime->monitor;
    if (!incident->is_declared) sm_count_relaxed(&monitor->counts[incident->shown.kind], 1);
    if (monitor->on_incident != NULL && !incident->is_declared) {
        struct seam_incident shown = incident->shown;
        shown.task_name = incident->name;
        monitor->on_incident(&shown, monitor->incident_arg);
    }
    if (incidents->count == incidents->max) return; /* impossible; it would only go unseen */
    struct sm_incident *kept = &incidents->open[incidents->count++];
    *kept = *incident;
    kept->is_settled = monitor->is_quiet || incident->is_declared;
}

static bool is_over(const struct sm_incidents *incidents, const struct sm_incident *incident)
{
    if (incident->shown.is_handed_over) {
        /* relaxed: it moves or it does not. */
        return sm_load_relaxed(&incident->thread->returns) != incident->returns;
    }
    const struct sm_worker *worker = &incidents->runtime->workers[incident->shown.worker];
    /* relaxed: likewise. */
    return sm_load_relaxed(&worker->stats.switches) != incident->tick
            || sm_load_relaxed(&worker->role.holder) != incident->thread;
}

/* Nobody may wait for whoever reads our stderr, least of all the monitor. */
static bool is_stderr_ready(void)
{
    struct pollfd wanted = {.fd = STDERR_FILENO, .events = POLLOUT};
    return sm_os.poll(&wanted, 1, 0) > 0 && (wanted.revents & POLLOUT) != 0;
}

static void show(struct sm_incidents *incidents, const struct sm_incident *incident, int64_t now_ns)
{
    if (now_ns < incidents->next_line_ns || !is_stderr_ready()) {
        incidents->unshown++;
        return;
    }
    const struct seam_incident *shown = &incident->shown;
    char where[80] = "";
    if (shown->syscall_number >= 0) {
        (void)snprintf(where, sizeof where, " in system call %d at %#llx", shown->syscall_number,
                (unsigned long long)shown->pc);
    }
    char others[48] = "";
    if (incidents->unshown > 0) {
        (void)snprintf(others, sizeof others, "; %u more not shown", incidents->unshown);
    }
    static const char *const deeds[] = {"blocks", "keeps busy", "holds up"};
    static const char *const ends[] = {
            "; what is behind it waits", "; another thread has taken over"};
    char line[320];
    int len = snprintf(line, sizeof line,
            "seam: task \"%s\", spawned at %p, %s worker %u of \"%s\" for %lld ms%s%s%s\n",
            incident->name, shown->spawned_at, deeds[shown->kind], shown->worker,
            incidents->runtime->name, (long long)((now_ns - incident->since_ns) / NS_PER_MS), where,
            ends[shown->is_handed_over ? 1 : 0], others);
    if (len > 0) (void)!write(STDERR_FILENO, line, strlen(line));
    incidents->unshown = 0;
    incidents->next_line_ns = now_ns + LINE_EVERY_NS;
}

void sm_incidents_look(struct sm_incidents *incidents, int64_t now_ns)
{
    uint32_t i = 0;
    while (i < incidents->count) {
        struct sm_incident *incident = &incidents->open[i];
        if (is_over(incidents, incident)) {
            *incident = incidents->open[--incidents->count];
            continue;
        }
        if (!incident->is_settled && now_ns - incident->since_ns >= SHOW_AFTER_NS) {
            show(incidents, incident, now_ns);
            incident->is_settled = true;
        }
        i++;
    }
}

int64_t sm_incidents_next_ns(const struct sm_incidents *incidents)
{
    int64_t next_ns = INT64_MAX;
    for (uint32_t i = 0; i < incidents->count; i++) {
        const struct sm_incident *incident = &incidents->open[i];
        int64_t at_ns = incident->since_ns + SHOW_AFTER_NS;
        if (!incident->is_settled && at_ns < next_ns) next_ns = at_ns;
    }
    return next_ns;
}

uint32_t sm_incidents_runnable(const struct sm_incidents *incidents, uint32_t enough)
{
    uint32_t runnable = 0;
    for (uint32_t i = 0; i < incidents->count && runnable < enough; i++) {
        const struct sm_incident *incident = &incidents->open[i];
        if (!incident->shown.is_handed_over || is_over(incidents, incident)) continue;
        /* relaxed: the thread is alive, since it has not come back. */
        if (sm_os_thread_is_runnable(sm_load_relaxed(&incident->thread->tid))) runnable++;
    }
    return runnable;
}
