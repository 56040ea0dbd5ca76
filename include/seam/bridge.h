/* SPDX-License-Identifier: MIT */
/*
 * seam/bridge.h - a named door from synchronous code into tasks, with limits of its own.
 *
 *     any code --- seam_bridge_call() ---> [ at most in_flight_max ] ---> a runtime
 *
 * seam_call() is enough for code that owns its runtime. A bridge is for a library that has a
 * synchronous surface and tasks inside, and cannot know who calls: it bounds how many are inside at
 * once, counts and times them by kind of caller, brings a message and a backtrace back from a
 * failure, and is closed and opened again without its callers crashing. It has a runtime of its
 * own, or is a view onto one that it shares with others.
 *
 *     OPEN ----> CLOSING ----> CLOSED ----> OPEN ...
 *
 *   from      to        by                    calls
 *   OPEN      CLOSING   seam_bridge_close()   new ones: -ESHUTDOWN; those inside go on, and may
 *                                             call again from inside
 *   CLOSING   CLOSED    seam_bridge_close()   when the last has left
 *   CLOSED    OPEN      seam_bridge_reopen()
 */
#pragma once

#include <stdint.h>

#include "seam/attr.h"
#include "seam/cross.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A door with limits. */
typedef struct seam_bridge seam_bridge;

enum {
    SEAM_BRIDGE_NAME_MAX = 15,    /* characters; what the kernel shows of a thread's name */
    SEAM_BRIDGE_BUCKETS = 40,     /* of a histogram of times */
    SEAM_REPLY_MESSAGE_MAX = 192, /* bytes, with the final zero */
    SEAM_REPLY_FRAMES_MAX = 16
};

/** How to build a bridge. Zero in any field but name asks for the default. */
struct seam_bridge_options {
    const char *name;       /* 1 to 15 characters, copied; its own worker's thread and reports */
    seam_runtime *runtime;  /* where calls run; default: a runtime of the bridge's own */
    uint32_t workers;       /* of its own runtime; default: 1; not with runtime */
    uint32_t in_flight_max; /* calls inside at once; default: 1024 */
    int64_t grace_ns;       /* how long a close waits for calls it has cancelled; default: 1 s */
    uint64_t reserved[8];   /* zero */
};

/** What came back from a call that has begun. */
struct seam_reply {
    int result;                                /* what the function returned */
    uint32_t frame_count;                      /* frames in use; 0: nobody called seam_fail() */
    char message[SEAM_REPLY_MESSAGE_MAX];      /* of the last seam_fail(); "" if there was none */
    const void *frames[SEAM_REPLY_FRAMES_MAX]; /* who called it, innermost first */
    uint64_t reserved[4];
};

/** What became of the calls that were inside when a bridge was closed. */
struct seam_bridge_report {
    uint64_t drained;   /* ended by themselves */
    uint64_t cancelled; /* were cancelled when the deadline had passed */
    uint64_t refused;   /* turned away since: they waited for a place, or came too late */
    uint32_t left;      /* are still inside */
    uint32_t reserved[5];
};

/** Who calls. */
enum seam_bridge_caller {
    SEAM_CALLER_TASK,       /* a task of the bridge's runtime: the function runs in place */
    SEAM_CALLER_OTHER_TASK, /* a task of another runtime */
    SEAM_CALLER_THREAD,     /* a plain thread */
    SEAM_CALLER_POOL,       /* a thread of a blocking pool */
    SEAM_CALLER_KINDS
};

/** Calls by one kind of caller since the bridge was made. */
struct seam_bridge_caller_stats {
    uint64_t calls;     /* in which the function has run to its end */
    uint64_t failures;  /* of these: it returned a negative result */
    uint64_t timeouts;  /* calls that ended after their deadline, begun or not */
    uint64_t cancels;   /* calls that were cancelled before their function began */
    uint64_t refused;   /* -ESHUTDOWN, -EOWNERDEAD, and -EAGAIN because the bridge was full */
    uint64_t lost;      /* -EPIPE */
    uint64_t abandoned; /* owned calls that were given up */
    /* [i]: calls that took 2^i up to 2^(i+1) ns, waiting for a place included; the last also longer
     * ones. Of calls in place every 16th only. */
    uint64_t latency[SEAM_BRIDGE_BUCKETS];
    uint64_t reserved[2];
};

/** What a bridge does, and has done. */
struct seam_bridge_stats {
    uint32_t in_flight;       /* calls that have a place */
    uint32_t in_flight_high;  /* the most there have been at once */
    uint32_t in_flight_max;   /* the most there may be */
    uint32_t queued;          /* callers that wait for a place */
    int64_t oldest_ns;        /* age of the oldest call inside, to a few ms; 0: there is none */
    int64_t oldest_queued_ns; /* how long the first caller in line has waited; 0: nobody does */
    uint64_t reserved[6];
    struct seam_bridge_caller_stats by_caller[SEAM_CALLER_KINDS];
};

/**
 * seam_bridge_new() - Make a bridge, open.
 *
 * @options:    read once; name is required
 * @out_bridge: receives the bridge, owned by the caller, who owes it seam_bridge_close() and
 *              seam_bridge_free(); untouched on error
 *
 * A view keeps the memory of its runtime, not the runtime: that may be stopped and freed at any
 * time, and calls return -EOWNERDEAD from then on.
 *
 * Return: 0, or
 *   -EINVAL      no name, or one of more than 15 characters; another option is out of range
 *   -ESHUTDOWN   options.runtime is stopping
 *   -ENOMEM      no memory
 *   -EOWNERDEAD  this is a forked child
 *   and, without options.runtime, the errors of seam_runtime_new(). Nothing was made.
 *
 * Context: any.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API int seam_bridge_new(const struct seam_bridge_options *options, seam_bridge **out_bridge);

/**
 * seam_bridge_call() - Run a function as a task behind a bridge, and wait for it.
 *
 * @bridge:      not NULL
 * @fn:          what to run
 * @arg:         passed to @fn; borrowed until the call returns, so it may lie in the caller's frame
 * @out_reply:   receives @fn's result and, if it called seam_fail(), message and backtrace; may be
 *               NULL; untouched if @fn has not begun
 * @deadline_ns: when @fn is cancelled, or the wait for a place given up. SEAM_NOW: there must be a
 *               place at once, and @fn has no deadline
 *
 * As seam_call(), through a place: when in_flight_max calls are inside, callers wait in line, first
 * come, first served. From a task of the bridge's runtime @fn runs at once, in the caller; from
 * elsewhere it becomes a task.
 *
 * A call made inside a call of the same bridge uses its place, however deep, and whether tasks of
 * its scopes or jobs of seam_block() lie in between: it never waits for one.
 *
 * That @fn fails is in the reply, and no failure of the bridge.
 *
 * Return: 0 when @fn ran to its end, however late, or
 *   -ETIMEDOUT   the deadline passed before @fn began; it did not run
 *   -EAGAIN      with SEAM_NOW: the bridge is full; @fn did not run
 *   -ECANCELED   the caller was cancelled before @fn began; it did not run
 *   -ESHUTDOWN   @bridge is closing or closed; @fn did not run
 *   -EOWNERDEAD  the runtime has been stopped, or this is a forked child; @fn did not run
 *   -EPIPE       @fn began, and its thread was ended under it; what it did is not known
 *   -ENOMEM      no memory for the task; @fn did not run
 *
 * Context: any.  Suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API SEAM_SUSPENDS int seam_bridge_call(seam_bridge *bridge, seam_fn *fn, void *arg,
        struct seam_reply *out_reply, int64_t deadline_ns);

/**
 * seam_bridge_call_owned() - As seam_bridge_call(), but return at the deadline whatever happens.
 *
 * @bridge:      not NULL
 * @fn:          what to run
 * @arg:         passed to @fn; taken, unless 0 is returned
 * @destroy:     as for seam_call_owned()
 * @out_reply:   as for seam_bridge_call(); untouched on error
 * @deadline_ns: when @fn is cancelled, and the call returns; SEAM_NOW as for seam_bridge_call()
 *
 * A call that was given up keeps its place until @fn has ended. Since it may outlive the call that it
 * was made in, one inside a call of the same bridge takes a place of its own: without waiting, beyond
 * the limit if need be, and then nobody else comes in until there are fewer than in_flight_max again.
 *
 * Return: 0 when @fn ran to its end in time; @arg is the caller's again. Any error of
 * seam_bridge_call() otherwise; @destroy has been called, or will be, exactly once:
 *   -ETIMEDOUT, -ECANCELED  @fn did not run, or runs still and has been cancelled
 *
 * Context: any.  Suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API SEAM_SUSPENDS int seam_bridge_call_owned(seam_bridge *bridge, seam_fn *fn, void *arg,
        seam_destroy_fn *destroy, struct seam_reply *out_reply, int64_t deadline_ns);

/**
 * seam_fail() - Say why, on the way out of a failed call.
 *
 * @code:   what to return
 * @format: as for printf(), of the message
 *
 *     if (size > limit) return seam_fail(-EFBIG, "%s has %zu bytes", name, size);
 *
 * Writes message and backtrace into the reply of the innermost bridge call that the caller runs in,
 * over what an earlier seam_fail() has written. Outside of such calls it does nothing.
 *
 * Return: @code
 *
 * Context: any.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API int seam_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/**
 * seam_bridge_close() - Let nobody in any more, and wait until everybody has left.
 *
 * @bridge:      NULL is fine and does nothing
 * @out_report:  receives what became of the calls, since the closing began; may be NULL; written
 *               also with -ETIMEDOUT and -ECANCELED
 * @deadline_ns: until when calls may go on undisturbed; what is then still inside is cancelled.
 *               SEAM_NOW: cancel at once
 *
 * From the first call on, callers get -ESHUTDOWN, those in line for a place too. Cancelled calls are
 * waited for as options.grace_ns says: this call returns that much after the deadline at the
 * latest. A runtime of the bridge's own is taken down, and its threads have ended, when 0 is
 * returned. Closing again, or from several places at once, is fine.
 *
 * Return: 0 when @bridge is closed, or
 *   -ETIMEDOUT   calls are still inside, cancelled; the bridge is closing, call again
 *   -EAGAIN      another closes it, and with SEAM_NOW there is no waiting for that
 *   -ECANCELED   the caller was cancelled while it waited; the bridge is closing, call again
 *   -EINPROGRESS the caller is inside a call of @bridge, or in its own runtime, and cannot wait for
 *                itself; the bridge is closing and will be closed by the next call from outside
 *   -ENOMEM      the caller is a task, and no thread could be started to take the bridge's own
 *                runtime down; the bridge is closing, call again
 *   -EOWNERDEAD  this is a forked child; nothing happened
 *
 * Context: any.  Suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API SEAM_SUSPENDS int seam_bridge_close(
        seam_bridge *bridge, struct seam_bridge_report *out_report, int64_t deadline_ns);

/**
 * seam_bridge_reopen() - Let callers in again.
 *
 * @bridge:  closed, or open with a runtime that has been stopped
 * @runtime: where calls run from now on; NULL: a new runtime of the bridge's own
 *
 * Return: 0, or
 *   -EBUSY       @bridge is open and its runtime is alive, or is closing, or calls from before are
 *                still on their way out; seam_bridge_close() waits for them
 *   -ESHUTDOWN   @runtime is stopping
 *   -EOWNERDEAD  this is a forked child
 *   and, without @runtime, the errors of seam_runtime_new(). On error nothing has changed.
 *
 * Context: any.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API int seam_bridge_reopen(seam_bridge *bridge, seam_runtime *runtime);

/**
 * seam_bridge_free() - Give the memory of a closed bridge back.
 *
 * @bridge: taken; NULL is fine. It must be closed and no other call on it may be under way or
 *          follow
 *
 * Context: any; in a forked child it does nothing.  Never suspends.
 * Thread-safe: no: the last call on this bridge.
 * Since: 0.1
 */
SEAM_API void seam_bridge_free(seam_bridge *bridge);

/**
 * seam_bridge_stats_read() - What a bridge does, and has done.
 *
 * @bridge:    not NULL
 * @out_stats: receives the figures, of one instant; all zero in a forked child
 *
 * Context: any.  Never suspends.
 * Thread-safe: yes.
 * Since: 0.1
 */
SEAM_API void seam_bridge_stats_read(
        const seam_bridge *bridge, struct seam_bridge_stats *out_stats);

#ifdef __cplusplus
}
#endif
