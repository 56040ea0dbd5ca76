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

/** Which tasks an idle worker may take from a busy one. */
enum seam_steal {
    SEAM_STEAL_DEFAULT,   /* SEAM_STEAL_UNSTARTED */
    SEAM_STEAL_NONE,      /* a task stays with the worker that was given it */
    SEAM_STEAL_UNSTARTED, /* tasks that have not begun; a task that has begun stays */
    SEAM_STEAL_FULL,      /* any runnable task; it may continue on another thread */
};

/** How to build a runtime. Zero in any field asks for the default. */
struct seam_options {
    uint32_t workers;         /* threads that run tasks, 1..1024; default: one per usable CPU */
    uint32_t blockers_max;    /* jobs of seam_block() that run at once (seam/jobs.h); default: 64 */
    enum seam_steal steal;    /* what idle workers may take */
    bool current_thread;      /* no threads: whoever drives it runs it; workers must be 0 or 1 */
    bool no_overflow_handler; /* do not install the SIGSEGV handler that names the task */
    size_t stack_bytes;       /* stack of each task; default 64 KiB; at most 1 MiB */
    int64_t grace_ns;         /* how long the end waits for blocking jobs nobody waits for; 1 s */
    const char *name;         /* for threads and messages, 9 characters shown; default: "seam" */
    uint64_t reserved[8];     /* zero */
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
    uint64_t handovers;      /* roles taken from a blocked thread and given to another */
    uint64_t polls;          /* times a worker asked the kernel for events */
    uint64_t parks;          /* times a worker went to sleep in the kernel */
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
 *   -EMFILE      no descriptor for the poller; nothing was started
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
 * seam_runtime_stop() - Cancel every task of a runtime, and wait for them and for its threads.
 *
 * @runtime:     NULL is fine and does nothing
 * @deadline_ns: how long to wait for the tasks
 *
 * From the first call on, starting anything in @runtime fails with -ESHUTDOWN; tasks that run see
 * -ECANCELED at their next wait. Stopping again, or from several places at once, is fine. The
 * handle stays valid, for calls that fail politely, until seam_runtime_free(). Blocking jobs that
 * run for callers outside @runtime, or that seam_block_owned() abandoned, are waited for as
 * options.grace_ns says, and then left to end by themselves; those in line are refused.
 *
 * Return: 0 when all tasks have ended, or
 *   -ETIMEDOUT   tasks are still running; the runtime is stopping, call again to wait longer
 *   -EAGAIN      the same, with SEAM_NOW
 *   -ECANCELED   the caller was cancelled while it waited; the runtime is stopping
 *   -EINPROGRESS the caller is a task or a pool job of @runtime, or has a scope open in it, and
 *                cannot wait for itself; the runtime is stopping and will be finished by the next
 *                call from outside
 *   -EOWNERDEAD  this is a forked child; nothing happened
 *
 * Context: any.  Suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API SEAM_SUSPENDS int seam_runtime_stop(seam_runtime *runtime, int64_t deadline_ns);

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
 * to the runtime: watch it, and do nothing else with it.
 *
 * Return: the descriptor, or
 *   -EINVAL     @runtime has threads of its own
 *   -ESHUTDOWN  @runtime has been stopped
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
 *   -EBUSY      another thread is driving @runtime
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
