/*
 * role.pml - a role is taken from a thread that is outside, and the thread comes back; or its
 * holder passes it on.
 *
 *     model                 code
 *     thread()              serve(), and the worker's loop it is in: wait_for_role()  sched/runtime.c
 *     enter, leave          sm_enter(), sm_enter_slow(), sm_leave()                   task/thread.[hc]
 *     rejoin                sm_runner_rejoin(), send_home()                           sched/worker.c
 *     pass_on               sm_runtime_pass_on(), sm_worker_pass_on(), pass_role()
 *     monitor()             act(), sm_role_take(), describe()                         sched/monitor.c
 *     give to a spare       sm_runtime_give_role(), give_to_spare(), signal_spare()   sched/runtime.c
 *     user                  who touches what is the holder's alone: fifo, and CARRIED for all the rest
 *     STARTED(t)            the spare's signal, a futex
 *
 * Proved: what is the holder's alone is touched by one at a time, who finds what the one before has
 * written; the monitor reads of a task that cannot end meanwhile; no task is lost or runs twice at
 * once; nobody waits for a role for ever while there are tasks.
 *
 * Left out: when the monitor suspects a thread: it may at any time, here. That the worker sleeps
 * while it has no task (park.pml): it waits for one inside. New threads: a spare is at hand, or the
 * role is given back. That inside is set for a spare, and by it: it came to be one by entering, so
 * it is set. Threads that are ended by their task (sched/lost.c): they contest their own role, and
 * then do what the monitor does. Drivers: drive.pml.
 */
#define WORKERS  2 /* threads of them; the first begins with the role */
#define MONITOR  WORKERS
#define THREADS  (WORKERS + 1)
#define TASKS    2
#define TAKES    2 /* how often the monitor contests the role */

#define NOBODY    14
#define CONTESTED 15

#define HOLDER     0
#define CARRIED    1
#define INSIDE(t)  (2 + (t))
#define STARTED(t) (2 + WORKERS + (t))
#define WORDS      (2 + 2 * WORKERS)
#include "memory.pml"

#define BIT(x)    (1 << (x))
#define ALL_TASKS (BIT(TASKS) - 1)

byte user = NOBODY;
bit last_carried;     /* what CARRIED must be found to be */
byte fifo = ALL_TASKS;
byte running = TASKS; /* worker->running */
byte inbox;
byte crossings[TASKS];
byte finished;
bool is_monitor_done;
byte spares;          /* under the runtime's lock */

inline use(t) {
    atomic { assert(user == NOBODY); user = t }
    assert(LOAD(t, CARRIED) == last_carried)
}

inline used(t) {
    last_carried = 1 - last_carried;
    STORE(t, CARRIED, last_carried, RELAXED);
    user = NOBODY
}

inline leave() {
#ifdef BREAK_leave_release
    STORE(self, INSIDE(self), 0, RELAXED)
#else
    STORE(self, INSIDE(self), 0, RELEASE)
#endif
}

/* has_role says how it ended. */
inline enter() {
#ifdef BREAK_compiler_barrier /* the holder is looked at first */
    has_role = (LOAD(self, HOLDER) == self);
    STORE(self, INSIDE(self), 1, RELAXED);
#else
    STORE(self, INSIDE(self), 1, RELAXED);
    has_role = (LOAD(self, HOLDER) == self);
#endif
    if
    :: has_role
#ifdef BREAK_enter_looks_twice
    :: !has_role && LOAD(self, HOLDER) != CONTESTED -> has_role = (LOAD(self, HOLDER) == self)
#else
    :: atomic { !has_role && LOAD(self, HOLDER) != CONTESTED -> has_role = (LOAD(self, HOLDER) == self) }
#endif
    fi
}

/* Takes a spare off the list, if there is one. */
inline find_spare(t) {
    atomic {
        DRAINED(t);
        spare = 0;
        do
        :: spare == WORKERS -> break
        :: spare < WORKERS && (spares & BIT(spare)) != 0 -> spares = spares & ~BIT(spare); break
        :: spare < WORKERS -> spare++
        od
    }
}

inline let_it_start(t) {
    STORE(t, STARTED(spare), 1, RELEASE)
}

/* To spare. */
inline pass_on() {
    used(self);
#ifdef BREAK_pass_store
    STORE(self, HOLDER, spare, RELEASE);
#else
    atomic { DRAINED(self) && memory[HOLDER] == self -> memory[HOLDER] = spare }
#endif
    let_it_start(self)
}

proctype thread(byte self) {
    byte task = TASKS, spare;
    bool has_role;
    if
    :: self == 0 -> goto runs
    :: else
    fi;
wait_for_role:
    atomic { DRAINED(self); memory[STARTED(self)] = 0; spares = spares | BIT(self) }
    if
    :: LOAD(self, STARTED(self)) == 1
    :: finished == ALL_TASKS && is_monitor_done -> goto ends
    fi;
runs:
    use(self);
    if
    :: task < TASKS -> /* it has come back from outside */
        crossings[task]++;
        if
        :: crossings[task] > task -> finished = finished | BIT(task)
        :: else -> fifo = fifo | BIT(task)
        fi;
        task = TASKS;
        running = TASKS
    :: else
    fi;
    if
    :: inbox != 0 -> atomic { DRAINED(self); fifo = fifo | inbox; inbox = 0 }
    :: else
    fi;
    if
    :: (fifo & BIT(0)) != 0 -> task = 0
    :: (fifo & BIT(1)) != 0 -> task = 1
    :: finished != ALL_TASKS && spares != 0 -> /* a task is bound to a spare, say */
        find_spare(self);
        if
        :: spare < WORKERS -> pass_on(); goto wait_for_role
        :: else
        fi
    :: fifo == 0 && inbox == 0 -> skip
    fi;
    if
    :: task == TASKS && finished == ALL_TASKS -> goto ends
    :: task == TASKS && finished != ALL_TASKS -> user = NOBODY; (fifo | inbox) != 0; goto runs
    :: else -> fifo = fifo & ~BIT(task); running = task
    fi;
    used(self);

    leave();
    /* The task is outside here: it may block. */
    enter();
    if
    :: has_role -> has_role = false; goto runs
    :: else -> /* rejoin */
        atomic { DRAINED(self); assert((inbox & BIT(task)) == 0); inbox = inbox | BIT(task) }
        task = TASKS;
        goto wait_for_role
    fi;
ends:
    skip
}

proctype monitor() {
    byte holder, spare, takes, at;
    do
    :: takes < TAKES && LOAD(MONITOR, HOLDER) < WORKERS ->
        takes++;
        holder = LOAD(MONITOR, HOLDER);
        if
        :: atomic { DRAINED(MONITOR) && memory[HOLDER] == holder -> memory[HOLDER] = CONTESTED }
        :: atomic { DRAINED(MONITOR) && memory[HOLDER] != holder } goto looked
        fi;
#ifndef BREAK_membarrier
        for (at : 0 .. WORKERS - 1) { DRAINED(at) }
#endif
        if
        :: LOAD(MONITOR, INSIDE(holder)) == 0 -> skip
        :: LOAD(MONITOR, INSIDE(holder)) != 0 -> STORE(MONITOR, HOLDER, holder, RELEASE); goto looked
        fi;
        /* The role is ours. */
        use(MONITOR);
        find_spare(MONITOR);
        if
        :: spare < WORKERS ->
            assert(running < TASKS && (finished & BIT(running)) == 0); /* describe() */
            used(MONITOR);
            STORE(MONITOR, HOLDER, spare, RELEASE);
            let_it_start(MONITOR)
        :: else ->
#ifdef BREAK_describes_late
            used(MONITOR);
            STORE(MONITOR, HOLDER, holder, RELEASE);
            assert(running < TASKS && (finished & BIT(running)) == 0)
#else
            assert(running < TASKS && (finished & BIT(running)) == 0);
            used(MONITOR);
            STORE(MONITOR, HOLDER, holder, RELEASE)
#endif
        fi;
looked:
        holder = 0; spare = 0; at = 0
    :: takes == TAKES || finished == ALL_TASKS -> break
    od;
    is_monitor_done = true
}

init {
    byte t;
    atomic {
        memory[HOLDER] = 0;
        for (t : 0 .. WORKERS - 1) { memory[INSIDE(t)] = 1; run thread(t) }
        run monitor();
        for (t : 0 .. THREADS - 1) { run drain(t) }
    }
}
