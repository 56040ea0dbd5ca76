/* SPDX-License-Identifier: MIT */
/*
 * sim/sim.h - the threads of a process, one at a time, in an order that a seed decides.
 *
 * The threads are real. Exactly one of those that are registered has the *baton* and runs; each of
 * the others sleeps in a futex of its own. At each *point* (an atomic operation, a call of libc that
 * waits, wakes or asks for the time) the one that runs may hand the baton on.
 *
 *     READY    could run                     the baton has been given to another
 *     RUNNING  has the baton
 *     BLOCKED  waits for an object, descriptors, a time: struct sm_sim_thread says which
 *     GONE     has handed the baton on for the last time; kept until it is joined
 *
 *     from     to       by        when
 *     -        READY    creator   pthread_create()
 *     READY    RUNNING  holder    it is chosen
 *     RUNNING  READY    itself    it is preempted, or yields
 *     RUNNING  BLOCKED  itself    what it asked for is not to be had yet
 *     BLOCKED  READY    holder    woken, its descriptors are ready, its time has come, a signal
 *     RUNNING  GONE     itself    in the last round of its thread-specific destructors
 *
 * Invariants
 *  1. All of the simulation's memory belongs to the holder of the baton: nothing here is locked.
 *  2. A thread that is not registered, or a signal handler on a thread that has not got the baton,
 *     passes every call through to libc, and changes nothing here.
 *  3. Whatever could be otherwise is asked of sm_sim_choose(), so that the seed is all there is.
 *  4. A thread that has gone is waited for, really, by whoever gets its baton: what libc and the
 *     kernel do at its end cannot be seen by others in different orders.
 *
 * Who is stopped in a real system call that is not simulated stops everybody: the real-time limit of
 * the run ends that.
 */
#pragma once

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "seam/sim.h"

#include "base/point.h"
#include "base/stuck.h"

/* ---- choices: choose.c ---- */

/* Why something is chosen. */
enum sm_sim_why {
    SM_SIM_PREEMPT,  /* who goes on although the holder could */
    SM_SIM_NEXT,     /* who goes on: the holder waits, or has woken somebody */
    SM_SIM_YIELD,    /* who goes on: the holder could, but it is not its turn */
    SM_SIM_HANDOVER, /* does one that has just been woken go on at once? */
    SM_SIM_WAKE,     /* which of several that wait for the same */
    SM_SIM_STALL,    /* does time pass where nobody runs? */
    SM_SIM_FAULT,
    SM_SIM_CUT,     /* is what is sent cut, and after how many bytes? */
    SM_SIM_LATENCY, /* how long a packet is under way */
    SM_SIM_SPINS,   /* whether there is any point in spinning, in this run */
};

/* 0 to n - 1; 0 is what would happen without a simulation. */
unsigned sm_sim_choose(unsigned n, enum sm_sim_why why);

bool sm_sim_is_replay(void);

/* Also diced, but not recorded, since a replay has what came of them: after how many points of all the
 * holder is preempted, and the priority of a new thread. */
uint64_t sm_sim_next_preemption(void);
uint64_t sm_sim_new_priority(void);

/* Is this kind of failure wanted, here and now? */
bool sm_sim_has_fault(enum seam_sim_faults fault);

/* Something happened that must happen again under the same seed. */
enum sm_sim_event {
    SM_SIM_EVENT_CHOICE,
    SM_SIM_EVENT_SWITCH,
    SM_SIM_EVENT_BLOCK,
    SM_SIM_EVENT_WAKE,
    SM_SIM_EVENT_TIME,
    SM_SIM_EVENT_BEGIN,
    SM_SIM_EVENT_END,
    SM_SIM_EVENT_ARRIVE,
};
void sm_sim_log(enum sm_sim_event event, uint64_t value);

/* One choice that was not 0. It is known by how many points, or choices of its kind, its thread had been
 * at: so it means the same although what others did before has changed, or when it was preempted. */
enum sm_sim_kind {
    SM_SIM_OF_PREEMPTION = 'p',
    SM_SIM_OF_THREADS = 'c',
    SM_SIM_OF_WORLD = 'w', /* faults, and the network */
};

struct sm_sim_entry {
    uint64_t count;
    uint32_t thread; /* its index */
    uint16_t value;  /* of a choice of threads: the index of the one, plus 1 */
    uint16_t kind;   /* enum sm_sim_kind */
};

struct sm_sim_logged {
    uint64_t points;
    uint64_t value;
    int64_t ns;
    uint32_t thread;
    uint32_t event;
};

enum { SM_SIM_ENTRIES_MAX = 1 << 20, SM_SIM_EVENTS_MAX = 1 << 20 };

/* What a run leaves behind: in memory that it shares with its parent. */
struct sm_sim_record {
    uint64_t hash;
    uint64_t points;
    uint64_t choices;
    uint64_t switches;
    int64_t virtual_ns;
    uint64_t event_count;
    uint64_t entry_count;
    struct sm_sim_entry entries[SM_SIM_ENTRIES_MAX];
    struct sm_sim_logged events[SM_SIM_EVENTS_MAX];
};

/* What a run is told. */
struct sm_sim_plan {
    uint64_t seed;
    enum seam_sim_strategy strategy; /* not BOTH */
    uint32_t faults;
    uint32_t latency_min_ns;
    uint32_t latency_max_ns;
    uint64_t length;              /* points, of a run without preemptions */
    bool is_replay;               /* of the entries, instead of the dice */
    bool is_told;                 /* every change of threads is printed */
    int patience_ms;              /* how long to wait, really, for what other processes may do */
    struct sm_sim_entry *entries; /* are sorted by the run */
    size_t entry_count;
};

void sm_sim_choices_begin(const struct sm_sim_plan *plan, struct sm_sim_record *record);
struct sm_sim_record *sm_sim_record(void);
bool sm_sim_is_told(void);
int sm_sim_patience_ms(void);

/* ---- threads: threads.c ---- */

enum sm_sim_wait {
    SM_SIM_FUTEX,
    SM_SIM_MUTEX,
    SM_SIM_RWLOCK,
    SM_SIM_COND,
    SM_SIM_SEMAPHORE,
    SM_SIM_ONCE,
    SM_SIM_JOIN,
    SM_SIM_FILES,
    SM_SIM_SLEEP,
};

enum sm_sim_outcome { SM_SIM_WOKEN, SM_SIM_TIMED_OUT, SM_SIM_INTERRUPTED };
enum sm_sim_state { SM_SIM_READY, SM_SIM_RUNNING, SM_SIM_BLOCKED, SM_SIM_GONE };

struct sm_sim_thread {
    uint32_t baton; /* futex; 1: go on */
    uint32_t index; /* the how manyth: the same in every run */
    enum sm_sim_state state;
    enum sm_sim_outcome outcome; /* of its last wait */
    enum sm_sim_wait wait;       /* while BLOCKED, and what it waits for: */
    unsigned fd_count;
    const void *object;
    struct pollfd *fds;
    int64_t deadline_ns;
    int64_t cpu_ns;   /* virtual time that passed while it had the baton */
    uint64_t signals; /* sent to it while others ran; bit n - 1 is signal n */
    uint64_t priority;
    uint64_t ready_since; /* this many changes of threads */
    uint64_t points;      /* that it has been at */
    uint64_t choices;     /* of threads, that were made while it had the baton */
    uint64_t of_world;    /* and other choices */
    void *(*run)(void *); /* NULL: the record is free */
    void *arg;
    pthread_t pthread;
    clockid_t cpu_clock;
    int tid;
    unsigned rounds; /* of destructors that it has been through */
    bool is_detached;
    bool is_watcher;         /* it looks after others, and nothing else */
    bool is_pausing;         /* between two looks, of which: */
    unsigned looks;          /* so many have been made since there was any news, */
    uint64_t news;           /* this much of it, */
    int64_t due_ns;          /* and which would find something to do at this time */
    struct sm_sim_told told; /* what it was doing when it had the baton last */
};

/* Make the calling thread the first one, with the baton. */
void sm_sim_begin(const struct sm_sim_plan *plan, struct sm_sim_record *record);

/* Is the caller one of ours, with the baton? */
bool sm_sim_is_simulated(void);
struct sm_sim_thread *sm_sim_self(void);

/* The caller has made a call that others can see. */
void sm_sim_step(void);

/* Let another thread go on, if there is one. */
void sm_sim_yield(void);

/* Wait for what describes. INT64_MAX is no deadline. */
enum sm_sim_outcome sm_sim_block(enum sm_sim_wait wait, const void *object, int64_t deadline_ns);
enum sm_sim_outcome sm_sim_block_files(struct pollfd *fds, unsigned count, int64_t deadline_ns);

/* At most max of those that wait for object are READY; the number of them. The caller goes on, unless
 * sm_sim_after_wake() says otherwise. */
int sm_sim_wake(enum sm_sim_wait wait, const void *object, int max);
void sm_sim_after_wake(void);

/* Descriptors may have become ready. */
void sm_sim_files_changed(void);

int64_t sm_sim_now_ns(void);            /* each call takes a little time */
int64_t sm_sim_cpu_ns(clockid_t clock); /* -1: of nobody here */

/* A thread of ours that is to be: NULL if there are too many. It is given to pthread_create() with
 * sm_sim_trampoline(), then launched, or dropped. */
struct sm_sim_thread *sm_sim_thread_new(void *(*run)(void *), void *arg, bool is_detached);
void *sm_sim_trampoline(void *thread);
void sm_sim_thread_launch(struct sm_sim_thread *thread, pthread_t pthread);
void sm_sim_thread_drop(struct sm_sim_thread *thread);
void sm_sim_thread_forget(struct sm_sim_thread *thread); /* it has been joined */
struct sm_sim_thread *sm_sim_thread_find(pthread_t pthread);
struct sm_sim_thread *sm_sim_thread_of_tid(int tid);

/* Of another thread: it is delivered when that goes on. */
void sm_sim_signal(struct sm_sim_thread *thread, int signo);

/* Of a descriptor that has been made by timerfd_create(). */
void sm_sim_timer_set(int fd, int64_t deadline_ns);
void sm_sim_timer_forget(int fd);

/* ---- what is under way: network.c ---- */

void sm_sim_network_begin(const struct sm_sim_plan *plan);

/* Would what is sent over fd be under way for a while? */
bool sm_sim_network_carries(int fd);

/* As sendmsg(), shutdown() and, before it, close() on any descriptor; the first never blocks. */
ssize_t sm_sim_network_send(int fd, const struct msghdr *message, int flags);
int sm_sim_network_shutdown(int fd, int how);
void sm_sim_network_close(int fd);

/* There is an epoll that may watch sockets. */
void sm_sim_network_add_epoll(int epoll_fd);

/* Whatever has been under way for long enough arrives; when the next will. INT64_MAX: nothing is. */
int64_t sm_sim_network_arrive(void);

/* ---- what is shown: report.c ---- */

/* Everybody, and what they wait for, on standard error. */
void sm_sim_report(const char *verdict);

/* The rest of a line on standard error. */
void sm_sim_show_event(const struct sm_sim_logged *logged);

void sm_sim_tell_time(void); /* how a line begins */

/* A change of threads, if that is to be told: from was preempted at pc, or NULL. */
void sm_sim_tell(const struct sm_sim_thread *from, const struct sm_sim_thread *to, const void *pc);
