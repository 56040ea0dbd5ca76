/*
 * queue.pml - the ring of tasks that have not begun: its owner pushes and pops, thieves take half.
 *
 *     model                   code
 *     worker()                a worker's thread, looking for work
 *     next                    sm_worker_push_fresh(), refill_ring()          sched/worker.c
 *     push()                  sm_ring_push()                                 sched/queue.h
 *     pop()                   sm_ring_pop()                                  sched/queue.h
 *     steal()                 sm_ring_steal(), called by steal()             sched/queue.c
 *
 * Proved: every task runs exactly once, with one owner and two thieves of whom one may also steal
 * from the other; rings of two slots, which are overwritten, while head and tail wrap around; more
 * tasks than slots. What is carried along: a slot found written by its reader. The task's header
 * was written before.
 *
 * Left out: the fifo, the backlog's links, and what else is the holder's alone: role.pml shows that
 * there is one holder at a time, and what the one before has written is carried to the next. The
 * weak CAS that fails for no reason: it looks again, as after a real failure. That head comes
 * around to the same number while a thief looks on: that takes 2^32 tasks. The throttle and the
 * waking of thieves: see search.pml.
 */
#define THREADS 3
#define SLOTS   2
#define TASKS   3
#define FIRST   254 /* bytes wrap around as the uint32_t of the code do */

#define TAIL(r)    (r)
#define SLOT(r, i) (THREADS + (r) * SLOTS + (i) % SLOTS)
#define WORDS      (THREADS + THREADS * SLOTS)
#include "memory.pml"

byte head[THREADS] = FIRST; /* CAS only: in memory at once */
byte runs[TASKS + 1];
byte left_running = THREADS;

inline run_task(self, task) {
    assert(task != 0); /* else the slot has not been written yet */
    runs[task]++;
    assert(runs[task] == 1);
    task = 0
}

inline push(self, task, has_pushed) {
    tail = LOAD(self, TAIL(self));
#ifdef BREAK_push_asks_late /* the slot is written before anybody asks whether it is free */
    STORE(self, SLOT(self, tail), task, RELAXED);
#endif
    if
    :: ((tail - head[self]) & 255) == SLOTS -> has_pushed = false
    :: else ->
#ifndef BREAK_push_asks_late
        STORE(self, SLOT(self, tail), task, RELAXED);
#endif
#ifdef BREAK_push_release
        STORE(self, TAIL(self), (tail + 1) & 255, RELAXED);
#else
        STORE(self, TAIL(self), (tail + 1) & 255, RELEASE);
#endif
        has_pushed = true
    fi
}

/* task is 0 afterwards if there was none. */
inline pop(self) {
    at = head[self];
    do
    :: at == LOAD(self, TAIL(self)) -> task = 0; break
    :: else ->
        task = LOAD(self, SLOT(self, at));
#ifdef BREAK_pop_without_cas
        atomic { DRAINED(self); head[self] = (at + 1) & 255; break }
#else
        if
        :: atomic { DRAINED(self) && head[self] == at -> head[self] = (at + 1) & 255 } break
        :: atomic { DRAINED(self) && head[self] != at -> at = head[self] }
        fi
#endif
    od;
    at = 0
}

#define HALF (count - count / 2)

/* Half of what ring from holds, to our own, which is empty. */
inline copy(self, from) {
    i = 0;
    do
    :: i < HALF ->
        task = LOAD(self, SLOT(from, at + i));
#ifdef BREAK_steal_acquire
        if
        :: i == 0 -> task = early
        :: else
        fi;
#endif
        STORE(self, SLOT(self, tail + i), task, RELAXED);
        i++
    :: else -> break
    od;
    task = 0; i = 0
}

inline steal(self, from) {
    tail = LOAD(self, TAIL(self));
    at = head[from];
    do
    ::
#ifdef BREAK_steal_acquire /* a load of the slot that does not wait for the one of tail */
        early = LOAD(self, SLOT(from, at));
#endif
        count = (LOAD(self, TAIL(from)) - at) & 255;
        if
        :: count == 0 -> break
        :: count > SLOTS -> at = head[from] /* head has moved on meanwhile */
        :: else ->
#ifndef BREAK_steal_release
            copy(self, from);
#endif
            if
            :: atomic {
#ifndef BREAK_steal_without_cas
                   DRAINED(self) && head[from] == at ->
#else
                   DRAINED(self) ->
#endif
                   head[from] = (at + HALF) & 255 }
#ifdef BREAK_steal_release /* loads of the slots that do not wait for the CAS */
                copy(self, from);
#endif
                STORE(self, TAIL(self), (tail + HALF) & 255, RELEASE);
                break
#ifndef BREAK_steal_without_cas
            :: atomic { DRAINED(self) && head[from] != at -> at = head[from] }
#endif
            fi
        fi
    od;
    at = 0; count = 0; tail = 0
}

proctype worker(byte self) {
    byte at, tail, task, count, i, next, victim;
    bool has_pushed;
#ifdef BREAK_steal_acquire
    byte early;
#endif
    if
    :: self == 0 -> next = 1 /* to be pushed: what is new, or waits in the backlog */
    :: self == 2 -> victim = 1
    :: self != 0
    fi;
    if
    :: self != 0 -> steal(self, victim); victim = 0
    :: else
    fi;
    do
    :: next != 0 ->
        push(self, next, has_pushed);
        if
        :: has_pushed -> next = (next + 1) % (TASKS + 1)
        :: else
        fi
    :: pop(self);
        if
        :: task != 0 -> run_task(self, task)
        :: task == 0 && next == 0 -> break
        :: else
        fi
    od;
    left_running--
}

init {
    byte t;
    atomic {
        for (t : 0 .. THREADS - 1) { memory[TAIL(t)] = FIRST; run worker(t); run drain(t) }
    }
    left_running == 0;
    for (t : 1 .. TASKS) { assert(runs[t] == 1) }
}
