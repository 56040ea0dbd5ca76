/* SPDX-License-Identifier: MIT */
/*
 * seam/runtime.h - the workers that run tasks.
 *
 *     seam_run(NULL, fn, arg)        main()'s door: build a runtime, run fn in it, take it down
 *     seam_runtime_new/stop/free     a runtime that lives beside the threads that use it
 *     seam_runtime_default           the process's own, started when first needed
 *
 * A runtime has either many workers, each with a thread, or it is current-thread: the thread that
 * is inside seam_run(), seam_call() or seam_runtime_poll() runs the tasks, and there are no others.
 *
 * A task that blocks its thread, in a library that knows nothing of tasks, or that computes on and
 * on, would hold up all those behind it. A monitor thread sees it, and has another thread run them:
 * see enum seam_overtake. The task is not interrupted: it goes on where it is, and joins the others
 * when it next calls something of ours. Those who compute are overtaken only as long as there are
 * fewer such than CPUs: to spin for another task is still no way to wait. Incidents are counted and
 * told to on_incident, and from 10 ms on there is a line on stderr, once a second at most.
 *
 * The monitor sleeps while all workers do. While one is awake it looks at them every third period, and
 * after one where a thread seems to be blocked. A look costs what a timed sleep costs: with the default
 * period 1 to 2 % of one CPU, depending on the machine. Help comes after one to four periods; for
 * code that says that it will block (seam/blocking.h), after three at most.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "seam/attr.h"

#ifdef __cplusplus
extern "C" {
#endif

struct seam_scope;
struct seam_stop_report;

/** Which tasks an idle worker may take from a busy one. */
enum seam_steal {
    SEAM_STEAL_DEFAULT,   /* SEAM_STEAL_UNSTARTED */
    SEAM_STEAL_NONE,      /* a task stays with the worker that was given it */
    SEAM_STEAL_UNSTARTED, /* tasks that have not begun; a task that has begun stays */
    SEAM_STEAL_FULL,      /* any runnable task; it may continue on another thread */
};

/** What becomes of the tasks behind one that blocks its thread, or computes without an end. */
enum seam_overtake {
    SEAM_OVERTAKE_DEFAULT, /* ON with workers; current-thread: nobody watches */
    SEAM_OVERTAKE_OFF,     /* they wait; the incident is reported */
    SEAM_OVERTAKE_ON,      /* another thread takes them over; current-thread: while it is driven */
};

/** What a task did to its worker. */
enum seam_incident_kind {
    SEAM_INCIDENT_BLOCKED,   /* it waits in the kernel, and its thread with it */
    SEAM_INCIDENT_BUSY,      /* it computes and has not let go for a millisecond of CPU time */
    SEAM_INCIDENT_NO_THREAD, /* one of these, and the system has no thread to take over */
};

/** A task that held up others, as the monitor saw it. */
struct seam_incident {
    enum seam_incident_kind kind;
    uint32_t worker;        /* whose role it held */
    const char *task_name;  /* 31 characters at most; good until the callback returns */
    const void *spawned_at; /* code address of the call that started the task */
    uint64_t pc;            /* of the system call; 0: not known */
    uint64_t sp;            /* likewise */
    int32_t syscall_number; /* -1: not known, or in none */
    bool is_handed_over;    /* another thread runs what was behind it */
    int64_t lasted_ns;      /* since when it stands still, as far as it has been watched */
    uint64_t reserved[4];
};

/** Told of an incident, on the monitor's thread: must not wait for anything, tasks least of all. */
typedef void seam_incident_fn(const struct seam_incident *incident, void *arg);

/** How to build a runtime. Zero in any field asks for the default. */
struct seam_options {
    uint32_t workers;         /* threads that run tasks, 1..1024; default: one per usable CPU */
    uint32_t blockers_max;    /* jobs of seam_block() that run at once (seam/jobs.h); default: 64 */
    enum seam_steal steal;    /* what idle workers may take */
    bool current_thread;      /* no threads: whoever drives it runs it; workers must be 0 or 1 */
    bool no_overflow_handler; /* do not install the SIGSEGV handler that names the task */
    size_t stack_bytes;       /* stack of each task; default 64 KiB; at most 1 MiB */
    int64_t grace_ns;         /* how long the end waits for blocking jobs nobody waits for; 1 s */
    const char *name;         /* for threads and messages, 15 characters shown; default: "seam" */
    enum seam_overtake overtake;   /* take the work away from a task that holds it up */
    bool quiet_incidents;          /* no line on stderr about incidents of 10 ms and more */
    int64_t monitor_period_ns;     /* how soon workers are looked at again, 50 us..1 s; 0: 250 us */
    seam_incident_fn *on_incident; /* told once of each incident; may be NULL */
    void *incident_arg;            /* for on_incident; kept until the runtime has stopped */
    uint64_t reserved[8];          /* zero */
};

/** What a runtime has done so far. Counters are exact once the runtime is idle. */
struct seam_runtime_stats {
    uint32_t workers;        /* roles that run tasks */
    uint32_t threads;        /* threads that belong to the runtime, without the pool's */
    uint32_t blockers;       /* threads of the blocking pool */
    uint64_t tasks_spawned;  /* since the start */
    uint64_t tasks_live;     /* not finished yet */
    uint64_t switches;       /* times a worker switched to a task */
    uint64_t steals;         /* tasks taken from another worker */
    uint64_t handovers;      /* roles taken from a thread and given to another */
    uint64_t blocked;        /* incidents: a task blocked its thread while work waited */
    uint64_t busy;           /* incidents: a task computed on and on while work waited */
    uint64_t without_thread; /* incidents: no thread was to be had; tried again later */
    uint64_t threads_lost; /* threads that a task has ended, each with a stack that is not reused */
    uint64_t polls;        /* times a worker asked the kernel for events */
    uint64_t parks;        /* times a worker went to sleep in the kernel */
    uint64_t stacks_mapped;  /* stacks carved in the whole process */
    const char *stack_guard; /* "madvise", "mprotect" or "canary", for the whole process */
    const char *poller;      /* "epoll" */
};

/**
 * seam_run() - Run a function as the first task of a new runtime, and wait for it.
 *
 * @options: how to build the runtime; read once, before @fn starts; NULL for all defaults
 * @fn:      body of the first task
 * @arg:     passed to @fn; borrowed until seam_run() returns
 *
 * Builds a runtime, runs @fn in it and, when @fn has returned, cancels what is still running in
 * the root scope, waits for it, and takes the runtime down. The calling thread serves as a worker
 * meanwhile, so a program that asks for one worker, or for current_thread, has one thread (a
 * monitor thread sleeps beside many workers).
 *
 * From a task, the new runtime is driven by a thread of the pool, one that blocking jobs do not
 * compete for, and the caller waits as for seam_block(); the caller's cancellation reaches @fn.
 *
 * Return: whatever @fn returned, or
 *   -EINVAL      an option is out of range; nothing was started
 *   -ENOMEM      no memory for the runtime; nothing was started
 *   -EAGAIN      the system refused another thread; nothing was started
 *   -EMFILE, -ENFILE, -ENOSPC  no descriptor for the poller, or nothing more can be watched; nothing was
 *                started
 *   -ECANCELED   the caller was cancelled before @fn began; it did not run
 *   -EOWNERDEAD  this is a forked child of a process that used seam; nothing was started
 *
 * Context: any.  Suspends.
 * Thread-safe: yes; every call builds a runtime of its own.
 * Since: 0.1
 */
SEAM_API SEAM_SUSPENDS int seam_run(const struct seam_options *options, seam_fn *fn, void *arg);

/**
 * seam_runtime_new() - Start a runtime beside the calling thread.
 *
 * @options:     as for seam_run()
 * @out_runtime: receives the runtime, owned by the caller, who owes it seam_runtime_stop() and
 *               seam_runtime_free(); untouched on error
 *
 * With current_thread no thread is started: tasks run while some thread is in seam_call() on this
 * runtime, or calls seam_runtime_poll().
 *
 * Return: 0, or the errors of seam_run()
 *
 * Context: any.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API int seam_runtime_new(const struct seam_options *options, seam_runtime **out_runtime);

/**
 * seam_runtime_stop() - Cancel every task of a runtime, wait for them and for its threads, and say
 * who is left.
 *
 * @runtime:     NULL is fine and does nothing
 * @out_report:  receives what became of whom (seam/stop.h), whatever is returned: all zero where
 *               nothing was waited for; NULL if nobody reads it
 * @deadline_ns: how long to wait for the tasks
 *
 * In this order: nothing can be started in @runtime any more, that fails with -ESHUTDOWN; the root
 * scope is cancelled, so that tasks see -ECANCELED at their next wait; whoever runs is waited for;
 * what can be interrupted is, once options.grace_ns have passed; and when the deadline passes,
 * whoever is left is reported. Blocking jobs that run for callers outside @runtime, or that
 * seam_block_owned() abandoned, are waited for as options.grace_ns says; those that can be are then
 * interrupted, and waited for as long again; then they are reported, and left to end by themselves.
 * Those in line are refused.
 *
 * The stacks of tasks that wait are shown by their workers. One whose thread is blocked in a task may
 * not answer: it is asked for some 50 ms beyond the deadline, only where @out_report is given.
 *
 * To find out where a thread is that runs a task or a job that is left, it is sent SIGURG, unless the
 * program handles that signal: a system call that it sits in is restarted or, where signal(7) says
 * so, fails with EINTR. Only where @out_report is given.
 *
 * Stopping again, or from several places at once, is fine. The handle stays valid, for calls that
 * fail politely, until seam_runtime_free().
 *
 * Return: 0 when all tasks have ended, or
 *   -ETIMEDOUT   tasks are still running; the runtime is stopping, call again to wait longer
 *   -EAGAIN      the same, with SEAM_NOW
 *   -ECANCELED   the caller was cancelled while it waited; the runtime is stopping
 *   -EINPROGRESS the caller is a task or a pool job of @runtime, or has a scope open in it, and
 *                cannot wait for itself; the runtime is stopping and will be finished by the next
 *                call from outside
 *   -ENOMEM      the caller is a task, and no thread could be started to do it; the runtime is
 *                stopping, call again
 *   -EOWNERDEAD  this is a forked child; nothing happened
 *
 * Context: any.  Suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API SEAM_SUSPENDS int seam_runtime_stop(
        seam_runtime *runtime, struct seam_stop_report *out_report, int64_t deadline_ns);

/**
 * seam_runtime_free() - Give the memory of a stopped runtime back.
 *
 * @runtime: taken; NULL is fine. It must have been stopped (seam_runtime_stop() returned 0) and no
 *           other call on it may be under way or follow
 *
 * Context: any.  Never suspends.
 * Thread-safe: no: the last call on this runtime.
 * Since: 0.1
 */
SEAM_API void seam_runtime_free(seam_runtime *runtime);

/**
 * seam_runtime_default() - The process's own runtime, started when first asked for.
 *
 * @out_runtime: receives the runtime, borrowed; it lives until the process exits
 *
 * This is the runtime that plain threads use when they name none. It has one worker per usable
 * CPU. When exit() comes to the handler that the first use has registered, it is stopped, without
 * waiting; handlers that were registered later still find it working.
 *
 * Return: 0, or
 *   -ESHUTDOWN   the process is exiting
 *   -EOWNERDEAD  this is a forked child
 *   and the errors of seam_run()
 *
 * Context: any.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API int seam_runtime_default(seam_runtime **out_runtime);

/**
 * seam_runtime_root() - The scope that lives as long as a runtime does.
 *
 * @runtime: not NULL
 *
 * Tasks spawned here are detached: they end when they like, or when the runtime is stopped.
 *
 * Return: the scope, borrowed; seam_scope_end() and seam_scope_cancel() on it return -EINVAL
 *
 * Context: any.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API struct seam_scope *seam_runtime_root(seam_runtime *runtime);

/**
 * seam_runtime_fd() - The descriptor to watch when a foreign event loop embeds a runtime.
 *
 * @runtime: a current-thread runtime
 *
 * The descriptor is readable (POLLIN) whenever seam_runtime_poll() has something to do. It belongs
 * to the runtime: watch it, and do nothing else with it. The first call prepares it, and it is then
 * readable once, whatever there is to do; from then on this is always the same descriptor.
 *
 * Where tasks may be overtaken (option overtake), another thread may run what there is, to the end,
 * while the loop sleeps: what the loop is to know of a task, that must tell it, by an eventfd for
 * example.
 *
 * Return: the descriptor, or
 *   -EINVAL     @runtime has threads of its own
 *   -EMFILE, -ENFILE, -ENOMEM, -ENOSPC  no descriptor for its timers, no memory, or nothing more can
 *               be watched; nothing has happened, call again
 *   -ESHUTDOWN  @runtime has been stopped
 *   -EOWNERDEAD this is a forked child
 *
 * Context: any.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API int seam_runtime_fd(seam_runtime *runtime);

/**
 * seam_runtime_poll() - Run what can run in a current-thread runtime, without waiting.
 *
 * @runtime: a current-thread runtime
 *
 * Runs tasks until none is runnable or about 1 ms has passed, and arms the descriptor of
 * seam_runtime_fd() for whatever comes next: an event, a timer, a task that another thread spawned.
 *
 * Return: 0 when nothing is left to do for now, 1 when there is (the descriptor is readable), or
 *   -EINVAL     @runtime has threads of its own
 *   -EBUSY      another thread is driving @runtime. It may be one that stands in because a task
 *               had blocked the caller in the last call (SEAM_OVERTAKE_ON): the descriptor becomes
 *               readable when it has stepped back and there is something to do
 *   -EDEADLK    the caller is a task of @runtime
 *   -ESHUTDOWN  @runtime has been stopped
 *   -EOWNERDEAD this is a forked child
 *
 * Context: any; from a task of another runtime it holds that task's worker.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API int seam_runtime_poll(seam_runtime *runtime);

/**
 * seam_runtime_stats_read() - What a runtime has done so far.
 *
 * @runtime:   not NULL
 * @out_stats: receives the figures; all zero in a forked child
 *
 * Context: any.  Never suspends.
 * Thread-safe: yes; the figures are each right, not a snapshot of one instant.
 * Since: 0.1
 */
SEAM_API void seam_runtime_stats_read(seam_runtime *runtime, struct seam_runtime_stats *out_stats);

#ifdef __cplusplus
}
#endif
