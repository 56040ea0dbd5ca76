/*
 * drive.pml - two threads wait for what only tasks of a driven runtime can bring: one drives, the
 * other sleeps, and must be told when the first stops.
 *
 *     model              code
 *     driver()           wait_as_thread() with to_drive, sleep_in_futex()             task/wait.c
 *     drive              sm_runner_drive(), drive_held(), sm_runtime_stop_driving()   sched/runtime.c
 *     try_hold           sm_worker_try_hold(), sm_worker_let_go()                     sched/worker.c
 *     tell_one           tell_one(), tell()
 *     poller()           sm_runtime_poll()
 *     retire             sm_runner_drive_retire()
 *     run_worker         sm_worker_run(), sleep_in_poller(): is_over() looks at the driver's party
 *     sender()           sm_worker_send(): the task, once it runs, ends the wait of one driver
 *     claimer()          anybody who ends the other's wait himself: sm_party_complete(), with
 *                        sm_runner_wake_driver() for one who drives
 *     gone               sm_runtime_end(), wait_for_drivers()
 *
 * Proved: both come back, so nobody sleeps beside a role that is free and has work for him; one
 * holds the role at a time; and nobody touches the runtime when both have retired and the poller
 * has gone.
 *
 * Left out: that the role may be taken from a driver, and who stands in for it then (how it is
 * taken: role.pml); heirs; deadlines, which end a wait as the claimer does; that what is done under
 * the runtime's lock, tell_one() with its CAS and wake, is more than one step: that only adds
 * drivers told for nothing; the foreign loop behind rest.
 */
#define DRIVERS 2
#define SENDER  2
#define CLAIMER 3
#define POLLER  4
#define THREADS 5
#define NOBODY  7

#define RUNNING 0
#define WAITING 1
#define CLAIMED 2
#define DONE    3
#define STATE(word) ((word) & 3)
#define SLEEPS  4
#define DRIVES  8
#define RETRY   16

#define PARTY(d) (d)
#define HOLDER   DRIVERS
#define ASLEEP   (DRIVERS + 1) /* worker->is_sleeping */
#define WORDS    (DRIVERS + 2)
#include "memory.pml"

bool event;          /* of the poller */
bool has_task;       /* in the inbox: it ends the wait of driver 0 */
bool in_futex[DRIVERS];
byte enlisted;       /* under the runtime's lock */
byte users;          /* of the role */
byte retired;        /* drivers, and the poller */
bool was_sent;
#define TOUCH_RUNTIME assert(retired <= DRIVERS || !was_sent)

inline futex_wake(d) {
    atomic { DRAINED(self); in_futex[d] = false }
}

/* A loop around a CAS, which takes effect with the CAS, or with the load that finds it too late.
 * ok: it is still waiting, and was changed. */
inline change_flags(d, set, clear) {
    atomic {
        DRAINED(self);
        ok = (STATE(memory[PARTY(d)]) == WAITING);
        if
        :: ok -> memory[PARTY(d)] = (memory[PARTY(d)] | set) & (255 - (clear))
        :: else
        fi
    }
}

inline wake() {
    TOUCH_RUNTIME;
    if
    :: LOAD(self, ASLEEP) == 0
    :: else ->
        if
        :: atomic { DRAINED(self) && memory[ASLEEP] == 0 }
        :: atomic { DRAINED(self) && memory[ASLEEP] == 1 -> memory[ASLEEP] = 0 } event = true
        fi
    fi
}

/* End the wait of d, who is alive and waits. */
inline end_wait(d) {
    atomic { /* sm_party_claim(), likewise */
        DRAINED(self);
        assert(STATE(memory[PARTY(d)]) == WAITING);
        word = memory[PARTY(d)];
        memory[PARTY(d)] = CLAIMED | (word & (SLEEPS | DRIVES))
    }
#ifdef BREAK_wakes_driver_late
    STORE_SEQ_CST(self, PARTY(d), DONE)
#endif
    if
    :: (word & DRIVES) != 0 -> wake()
    :: else
    fi;
#ifndef BREAK_wakes_driver_late
    STORE_SEQ_CST(self, PARTY(d), DONE) /* a release in the code: wait.pml */
#endif
    if
    :: (word & SLEEPS) != 0 -> futex_wake(d)
    :: else
    fi;
    word = 0
}

#define MAY_BE_TOLD(d) ((enlisted & (1 << d)) != 0 && STATE(memory[PARTY(d)]) == WAITING)

/* Under the lock, hence in an atomic; driver 1 is first on the list. Who is told is woken. */
inline tell_one() {
    if
    :: MAY_BE_TOLD(1) ->
        memory[PARTY(1)] = memory[PARTY(1)] | RETRY;
        in_futex[1] = false
    :: !MAY_BE_TOLD(1) && MAY_BE_TOLD(0) ->
        memory[PARTY(0)] = memory[PARTY(0)] | RETRY;
        in_futex[0] = false
    :: else
    fi
}

inline try_hold() {
    TOUCH_RUNTIME;
    if
    :: atomic { DRAINED(self) && memory[HOLDER] == NOBODY -> memory[HOLDER] = self; ok = true }
        assert(users == 0);
        users++;
        atomic { DRAINED(self); memory[ASLEEP] = 0 }
    :: atomic { DRAINED(self) && memory[HOLDER] != NOBODY -> ok = false }
    fi
}

inline let_go() {
    STORE_SEQ_CST(self, ASLEEP, 1) /* sm_worker_rest() */
    if
    :: has_task -> wake()
    :: else
    fi;
    users--;
    atomic { DRAINED(self); assert(memory[HOLDER] == self); memory[HOLDER] = NOBODY }
}

inline tell_a_driver() {
    atomic { DRAINED(self); tell_one() }
}

inline stop_driving() {
#ifdef BREAK_tells_first
    tell_a_driver();
    let_go()
#else
    let_go();
#ifndef BREAK_tells_nobody
    tell_a_driver()
#endif
#endif
}

#define MY_WAIT_IS_OVER (STATE(LOAD(self, PARTY(self))) != WAITING)

inline sleep_in_poller() {
#ifdef BREAK_sleep_store
    STORE(self, ASLEEP, 1, RELEASE);
#else
    STORE_SEQ_CST(self, ASLEEP, 1)
#endif
    ok = !has_task;
#ifndef BREAK_sleep_ignores_party
    if
    :: ok -> ok = !MY_WAIT_IS_OVER
    :: else
    fi;
#endif
    if
    :: ok -> event; event = false
    :: else
    fi;
    atomic { DRAINED(self); memory[ASLEEP] = 0 }
}

inline run_worker() {
    do
    :: MY_WAIT_IS_OVER -> break
    :: else ->
        if
        :: has_task -> atomic { DRAINED(self); has_task = false } end_wait(0)
        :: else -> sleep_in_poller()
        fi
    od
}

/* is_done, or the wait goes on. */
inline drive() {
    is_done = false;
#ifndef BREAK_retry_cleared_late
    change_flags(self, 0, RETRY);
#endif
    if
    :: STATE(LOAD(self, PARTY(self))) != WAITING -> ok = false
    :: else -> try_hold()
    fi;
    if
    :: ok ->
        change_flags(self, DRIVES, 0);
        if
        :: ok ->
            run_worker();
            change_flags(self, 0, DRIVES);
            assert(!ok);
            LOAD(self, PARTY(self)) == DONE;
            is_done = true
        :: else
        fi;
        stop_driving();
        ok = false
    :: else
#ifdef BREAK_retry_cleared_late
        -> change_flags(self, 0, RETRY)
#endif
    fi
}

proctype driver(byte self) {
    byte word;
    bool ok, is_done;
    atomic { DRAINED(self); enlisted = enlisted | (1 << self) }
    atomic { DRAINED(self); memory[PARTY(self)] = WAITING }
    do /* pass_the_time(), and in it sleep_in_futex() */
    :: drive();
        if
        :: is_done -> goto retires
        :: else -> change_flags(self, SLEEPS, 0)
        fi;
        if
        :: !ok -> LOAD(self, PARTY(self)) == DONE; goto retires
        :: else -> ok = false
        fi;
        do
        :: word = LOAD(self, PARTY(self));
            if
            :: word == DONE -> goto retires
            :: (word & RETRY) != 0 && STATE(word) == WAITING -> word = 0; break
            :: else ->
                if /* futex_wait() */
                :: atomic { DRAINED(self) && memory[PARTY(self)] == word -> in_futex[self] = true }
                    !in_futex[self]
                :: atomic { DRAINED(self) && memory[PARTY(self)] != word }
                fi
            fi
        od
    od;
retires:
    atomic { /* under the lock; it is its last touch */
        DRAINED(self);
        TOUCH_RUNTIME;
        enlisted = enlisted & (255 - (1 << self));
#ifndef BREAK_retires_silently
        if
        :: memory[HOLDER] == NOBODY -> tell_one()
        :: else
        fi;
#endif
        retired++
    }
}

/* A foreign loop's thread; it has nothing to run just now. */
proctype poller(byte self) {
    byte word;
    bool ok;
    try_hold();
    if
    :: ok -> stop_driving()
    :: else
    fi;
    atomic { DRAINED(self); retired++ } /* and then ends its loop */
}

proctype sender(byte self) {
    byte word;
    STATE(memory[PARTY(0)]) == WAITING;
    has_task = true;
    wake();
    was_sent = true /* until then the runtime does not end: park.pml */
}

proctype claimer(byte self) {
    byte word;
    STATE(memory[PARTY(1)]) == WAITING;
    end_wait(1)
}

init {
    byte t;
    atomic {
        memory[HOLDER] = NOBODY;
        memory[ASLEEP] = 1; /* sm_worker_rest() in sm_runtime_new() */
        run driver(0);
        run driver(1);
        run poller(POLLER);
        run sender(SENDER);
        run claimer(CLAIMER);
        for (t : 0 .. THREADS - 1) { run drain(t) }
    }
}
