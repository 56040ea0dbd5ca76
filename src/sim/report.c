/* SPDX-License-Identifier: MIT */
/*
 * Who does what, for people: while a run is told, and where it ends because nobody can go on.
 */
#include <inttypes.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

#include "sim/real.h"
#include "sim/sim.h"
#include "sim/state.h"

enum { NS_PER_US = 1000, NS_PER_MS = 1000000, TASKS_SHOWN_MAX = 32 };

static int64_t virtual_ns(int64_t ns)
{
    return ns - SM_SIM_START_NS;
}

/* Of an address to return to: the call before it, as addr2line wants to have it, whatever address the
 * file was loaded at. */
static void show_code(const void *pc)
{
    const char *call = (const char *)pc - 1;
    Dl_info info;
    struct link_map *map = NULL;
    if (dladdr1(call, &info, (void **)&map, RTLD_DL_LINKMAP) == 0) {
        (void)fprintf(stderr, "%p", (const void *)call);
        return;
    }
    const char *slash = strrchr(info.dli_fname, '/');
    (void)fprintf(stderr, "%s+%#" PRIxPTR, slash != NULL ? slash + 1 : info.dli_fname,
            (uintptr_t)call - (uintptr_t)map->l_addr);
}

static const char *name_of(enum sm_sim_wait wait)
{
    static const char *const waits[] = {[SM_SIM_FUTEX] = "waits in a futex",
            [SM_SIM_MUTEX] = "waits for a mutex",
            [SM_SIM_RWLOCK] = "waits for a read-write lock",
            [SM_SIM_COND] = "waits for a condition",
            [SM_SIM_SEMAPHORE] = "waits for a semaphore",
            [SM_SIM_ONCE] = "waits for pthread_once()",
            [SM_SIM_JOIN] = "joins a thread",
            [SM_SIM_FILES] = "waits for descriptors",
            [SM_SIM_SLEEP] = "sleeps"};
    return waits[wait];
}

static const char *state_of(const struct sm_sim_thread *thread)
{
    switch (thread->state) {
    case SM_SIM_READY: return "could run";
    case SM_SIM_RUNNING: return "runs";
    case SM_SIM_GONE: return "has ended";
    case SM_SIM_BLOCKED: break;
    }
    return name_of(thread->wait);
}

void sm_sim_tell_time(void)
{
    int64_t ns = virtual_ns(sm_sim.now_ns);
    (void)fprintf(stderr, "  %3" PRId64 ".%06" PRId64 " ms  ", ns / NS_PER_MS, ns % NS_PER_MS);
}

void sm_sim_tell(const struct sm_sim_thread *from, const struct sm_sim_thread *to, const void *pc)
{
    if (!sm_sim_is_told() || (from->is_watcher && to->is_watcher)) return;
    sm_sim_tell_time();
    (void)fprintf(
            stderr, "thread %u, point %" PRIu64 ", %s", from->index, from->points, state_of(from));
    if (pc != NULL) {
        (void)fprintf(stderr, " (preempted at ");
        show_code(pc);
        (void)fprintf(stderr, ")");
    }
    (void)fprintf(stderr, ", thread %u goes on\n", to->index);
}

/* ---- what happened ---- */

static void show_choice(enum sm_sim_why why, unsigned value)
{
    static const char *const questions[] = {[SM_SIM_PREEMPT] = "who goes on instead",
            [SM_SIM_NEXT] = "who goes on next",
            [SM_SIM_YIELD] = "to whom it yields",
            [SM_SIM_HANDOVER] = "whether one that was woken goes on at once",
            [SM_SIM_WAKE] = "which of those that wait is woken",
            [SM_SIM_STALL] = "how much time passes meanwhile",
            [SM_SIM_FAULT] = "whether something fails",
            [SM_SIM_CUT] = "whether what is sent is cut, and where",
            [SM_SIM_LATENCY] = "how long it is under way",
            [SM_SIM_SPINS] = "whether spinning is any use"};
    (void)fprintf(stderr, "it is chosen %s: %u\n", questions[why], value);
}

static void show_wake(enum sm_sim_outcome outcome, unsigned thread)
{
    static const char *const ends[] = {[SM_SIM_WOKEN] = "can go on",
            [SM_SIM_TIMED_OUT] = "can go on, its time has come",
            [SM_SIM_INTERRUPTED] = "can go on, a signal is there"};
    (void)fprintf(stderr, "thread %u %s\n", thread, ends[outcome]);
}

void sm_sim_show_event(const struct sm_sim_logged *logged)
{
    int64_t ns = virtual_ns(logged->ns);
    (void)fprintf(stderr,
            "point %" PRIu64 ", %" PRId64 ".%06" PRId64 " ms, thread %u: ", logged->points,
            ns / NS_PER_MS, ns % NS_PER_MS, logged->thread);
    unsigned upper = (unsigned)(logged->value >> 32);
    unsigned lower = (unsigned)logged->value;
    switch ((enum sm_sim_event)logged->event) {
    case SM_SIM_EVENT_CHOICE: show_choice((enum sm_sim_why)upper, lower); break;
    case SM_SIM_EVENT_SWITCH: (void)fprintf(stderr, "thread %u goes on\n", lower); break;
    case SM_SIM_EVENT_BLOCK: (void)fprintf(stderr, "%s\n", name_of(lower)); break;
    case SM_SIM_EVENT_WAKE: show_wake((enum sm_sim_outcome)upper, lower); break;
    case SM_SIM_EVENT_TIME: (void)fprintf(stderr, "nobody can go on, time passes\n"); break;
    case SM_SIM_EVENT_BEGIN: (void)fprintf(stderr, "begins\n"); break;
    case SM_SIM_EVENT_END: (void)fprintf(stderr, "ends\n"); break;
    case SM_SIM_EVENT_ARRIVE: (void)fprintf(stderr, "%u bytes arrive\n", lower); break;
    }
}

/* ---- threads ---- */

static void show_name(int tid)
{
    char path[64];
    char name[32] = "";
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/comm", tid);
    FILE *file = fopen(path, "re");
    if (file == NULL) return;
    if (fgets(name, sizeof name, file) != NULL) name[strcspn(name, "\n")] = '\0';
    (void)fclose(file);
    (void)fprintf(stderr, " (%s)", name);
}

static void show_files(const struct sm_sim_thread *thread)
{
    for (unsigned i = 0; i < thread->fd_count; i++) {
        short events = thread->fds[i].events;
        (void)fprintf(stderr, " %d%s%s", thread->fds[i].fd,
                (events & POLLIN) != 0 ? " to read" : "",
                (events & POLLOUT) != 0 ? " to write" : "");
    }
}

static void show_wait(const struct sm_sim_thread *thread)
{
    if (thread->wait == SM_SIM_FILES) {
        show_files(thread);
    } else {
        (void)fprintf(stderr, " %p", thread->object);
    }
    if (thread->deadline_ns == INT64_MAX) return;
    (void)fprintf(stderr, " until %" PRId64 " us", virtual_ns(thread->deadline_ns) / NS_PER_US);
}

static void show_task(const struct sm_sim_told *told)
{
    (void)fprintf(stderr, "task '%s'", told->name);
    if (told->spawned_at == NULL) return;
    (void)fprintf(stderr, ", spawned at ");
    show_code(told->spawned_at);
}

static void show_thread(const struct sm_sim_thread *thread)
{
    (void)fprintf(stderr, "  thread %u", thread->index);
    if (thread->state != SM_SIM_GONE) show_name(thread->tid);
    (void)fprintf(stderr, " %s", state_of(thread));
    if (thread->state == SM_SIM_BLOCKED) show_wait(thread);
    if (thread->state == SM_SIM_BLOCKED && thread->is_pausing) {
        (void)fprintf(stderr, ", to look after others");
    }
    if (thread->state != SM_SIM_GONE && thread->told.name != NULL) {
        (void)fprintf(stderr, ", in ");
        show_task(&thread->told);
    } else if (thread->state == SM_SIM_BLOCKED && thread->told.reason != NULL) {
        (void)fprintf(stderr, ", waits: %s", thread->told.reason);
    }
    (void)fprintf(stderr, "\n");
}

/* ---- tasks ---- */

static void show_parked(const struct sm_sim_parked *parked)
{
    struct sm_sim_told told;
    sm_sim_describe_task(parked->task, &told);
    (void)fprintf(stderr, "  ");
    show_task(&told);
    if (told.reason != NULL) {
        (void)fprintf(stderr, ", waits: %s\n", told.reason);
    } else {
        (void)fprintf(stderr, ", could run\n"); /* but no thread does it */
    }
}

static void show_tasks(void)
{
    unsigned count = 0;
    struct sm_list *first = sm_list_first(&sm_sim.parked);
    for (struct sm_list *link = first; link != NULL && link != &sm_sim.parked; link = link->next) {
        if (count++ < TASKS_SHOWN_MAX) {
            show_parked(sm_container_of(link, struct sm_sim_parked, link));
        }
    }
    if (count > TASKS_SHOWN_MAX) {
        (void)fprintf(stderr, "  and %u more tasks\n", count - TASKS_SHOWN_MAX);
    }
}

void sm_sim_report(const char *verdict)
{
    (void)fprintf(stderr, "simulation: %s\n", verdict);
    (void)fprintf(stderr, "  after %" PRIu64 " points, %" PRIu64 " changes, %" PRId64 " us\n",
            sm_sim_record()->points, sm_sim_record()->switches,
            virtual_ns(sm_sim.now_ns) / NS_PER_US);
    for (unsigned i = 0; i < sm_sim.all_count; i++) {
        show_thread(sm_sim.all[i]);
    }
    show_tasks();
}
