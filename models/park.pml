/*
 * park.pml - a worker goes to sleep while others bring it work: the inbox, what it is asked to look
 * at again, a timer, the end. And the end of the runtime while somebody is still about to wake a
 * worker.
 *
 *     model            code
 *     worker()         sm_worker_run(): next_task(), find_work()              sched/worker.c
 *     sleep_in_poller  sleep_in_poller(), and the epoll behind it: EVENT is its wake_fd, edge-triggered
 *     wake             sm_worker_wake(), sm_poller_wake()
 *     sender()         sm_worker_send(), to any worker: a spawn, a call, the wake of a parked task
 *     asker()          wait_for_role(), or who else comes to be at hand; sm_bound_ask()  sched/bound.c
 *     timer()          add_timer() of sync/scope.c, wait_as_thread(): sm_timer_add(),
 *                      sm_runner_timer_added()
 *     stopper()        sm_runtime_end(), sm_worker_fini()
 *
 * Proved: whatever is brought is run, so that all come to their end (a sleep that nobody ends is an
 * invalid end state); it is run once; and nobody touches a worker that is gone.
 *
 * Left out: the idle bits and who is chosen by them: any worker may be, here. Stealing: search.pml.
 * A worker's own tasks and timers, which it sees itself before it sleeps. A driver's party, which
 * is looked at between inbox and wanted: drive.pml. Spinning before the sleep: it only looks. That
 * the poller wakes for descriptors, or for no reason: one more turn of the loop.
 */
#define WORKERS 1 /* with 2 it holds, too, in 7 million states */
/* Who stores: the workers, and these. */
#define ASKER   WORKERS
#define TIMER   (WORKERS + 1)
#define STOPPER (WORKERS + 2)
#define SENDER  (WORKERS + 3) /* all of them: they only exchange */
#define THREADS (WORKERS + 4)

#define SLEEPS(w) (w)           /* worker->is_sleeping */
#define WANTED    WORKERS       /* of worker 0, likewise the next */
#define NEXT      (WORKERS + 1) /* timers.next_ns: 1, there is a timer; 0, INT64_MAX */
#define ENDING    (WORKERS + 2)
#define WORDS     (WORKERS + 3)
#include "memory.pml"

byte inbox[WORKERS]; /* tasks, a bit each; pushed by CAS, taken by exchange */
bool event[WORKERS]; /* written to wake_fd, not yet reported */
byte senders[WORKERS];
byte done;           /* bits: the senders' tasks, the bound one's, the timer's */
bool is_at_hand;     /* whom the bound task waits for; under the runtime's lock */
byte left_running = WORKERS + 1; /* threads that are joined: the asker is one */
byte guests = 1; /* who adds a timer has a scope in the runtime meanwhile */
bool is_gone;        /* the runtime, with its workers */

#define FIRST_TASK  1
#define SECOND_TASK 2
#define BOUND_TASK  4
#define TIMER_TASK  8
#define ALL_TASKS   15

inline finish(tasks) {
    atomic {
        assert((done & (tasks)) == 0);
        done = done | (tasks)
    }
}

inline wake(w) {
    if
    :: LOAD(self, SLEEPS(w)) == 0
    :: else ->
        if
        :: atomic { DRAINED(self) && memory[SLEEPS(w)] == 0 }
        :: atomic { DRAINED(self) && memory[SLEEPS(w)] == 1 -> memory[SLEEPS(w)] = 0 }
            event[w] = true
        fi
    fi;
    assert(!is_gone)
}

inline look_for_work() {
    may_sleep = (inbox[self] == 0);
    if
    :: may_sleep -> may_sleep = (LOAD(self, ENDING) == 0)
    :: else
    fi;
#ifndef BREAK_sleep_ignores_wanted
    if
    :: may_sleep && self == 0 -> may_sleep = (LOAD(self, WANTED) == 0)
    :: else
    fi
#endif
}

inline sleep_in_poller() {
#ifdef BREAK_sleep_looks_first
    look_for_work();
#endif
#ifdef BREAK_sleep_store
    STORE(self, SLEEPS(self), 1, RELEASE);
#else
    STORE_SEQ_CST(self, SLEEPS(self), 1)
#endif
#ifndef BREAK_sleep_looks_first
    look_for_work();
#endif
    if
    :: may_sleep ->
        has_timer = (self == 0 && LOAD(self, NEXT) == 1);
        if
        :: event[self] -> event[self] = false
        :: has_timer /* its time comes */
        fi;
        has_timer = false
    :: else
    fi;
    may_sleep = false;
    atomic { DRAINED(self); memory[SLEEPS(self)] = 0 }
}

proctype worker(byte self) {
    byte tasks;
    bool may_sleep, has_timer;
    do
    :: LOAD(self, ENDING) == 1 -> break
    :: LOAD(self, ENDING) == 0 ->
        if
        :: event[self] -> event[self] = false /* look_around(): polled without waiting */
        :: true
        fi;
        if
        :: inbox[self] != 0 ->
            atomic { DRAINED(self); tasks = inbox[self]; inbox[self] = 0 }
            finish(tasks);
            tasks = 0
        :: else
        fi;
        if
        :: self == 0 && LOAD(self, WANTED) == 1 ->
            atomic { DRAINED(self); memory[WANTED] = 0 }
            if /* sm_bound_reconsider(): it is still aside if nobody was at hand */
            :: is_at_hand && (done & BOUND_TASK) == 0 -> finish(BOUND_TASK)
            :: else
            fi
        :: else
        fi;
        if
        :: self == 0 && LOAD(self, NEXT) == 1 -> /* under the heap's lock */
            atomic { DRAINED(self); memory[NEXT] = 0 }
            finish(TIMER_TASK)
        :: else
        fi;
        sleep_in_poller()
    od;
    left_running--
}

proctype sender(byte self, task) {
    byte w;
    select (w : 0 .. WORKERS - 1);
#ifndef BREAK_send_uncounted
    senders[w]++;
#endif
#ifdef BREAK_push_order /* a CAS that does not hold back the load after it */
    if
    :: LOAD(self, SLEEPS(w)) == 0 -> inbox[w] = inbox[w] | (1 << task); goto sent
    :: else
    fi;
#endif
    assert(!is_gone);
    inbox[w] = inbox[w] | (1 << task);
    wake(w);
sent:
    assert(!is_gone);
#ifndef BREAK_send_uncounted
    senders[w]--
#endif
}

proctype stopper(byte self) {
    byte w;
    done == ALL_TASKS && guests == 0; /* nobody is left: call.pml */
#ifdef BREAK_end_store
    STORE(self, ENDING, 1, RELEASE);
#else
    STORE_SEQ_CST(self, ENDING, 1)
#endif
    for (w : 0 .. WORKERS - 1) { wake(w) }
    left_running == 0; /* joined */
    for (w : 0 .. WORKERS - 1) { senders[w] == 0 }
    is_gone = true
}

proctype asker(byte self) {
    is_at_hand = true;
#ifdef BREAK_ask_store
    STORE(self, WANTED, 1, RELEASE);
#else
    STORE_SEQ_CST(self, WANTED, 1)
#endif
    wake(0);
    left_running--
}

proctype timer(byte self) {
    STORE(self, NEXT, 1, RELAXED);
#ifndef BREAK_timer_unlock /* the lock opened by a store instead of an exchange */
    DRAINED(self);
#endif
#ifndef BREAK_timer_wakes_nobody
    wake(0);
#endif
    guests--
}

/* Any two of them at once, and the stopper, so that there are three to wake one. */
init {
    byte i;
    atomic {
        for (i : 0 .. SENDER - 1) { run drain(i) }
        for (i : 0 .. WORKERS - 1) { run worker(i) }
        run stopper(STOPPER);
        if
        :: run sender(SENDER, 0); run sender(SENDER, 1); done = BOUND_TASK | TIMER_TASK
        :: run sender(SENDER, 0); run asker(ASKER); done = SECOND_TASK | TIMER_TASK
        :: run sender(SENDER, 0); run timer(TIMER); done = SECOND_TASK | BOUND_TASK
        :: run asker(ASKER); run timer(TIMER); done = FIRST_TASK | SECOND_TASK
        fi;
        if
        :: (done & BOUND_TASK) != 0 -> left_running--
        :: else
        fi;
        if
        :: (done & TIMER_TASK) != 0 -> guests--
        :: else
        fi
    }
}
