/*
 * lock.pml - the lock inside every object: one word, and a futex beside it.
 *
 *     model          code
 *     lock           sm_lock(), sm_lock_slow()      os/lock.[hc]
 *     unlock         sm_unlock(), sm_unlock_slow()
 *     futex_wait     the system call: sleeps only if the word is what was expected, in one step with that
 *
 * Proved: one holds it at a time, who finds what the last one has written; nobody sleeps beside an
 * open lock; the object may go with its last holder's exchange: the word is not touched after it.
 *
 * Left out: the spinning before it sleeps, which is the first attempt again; futexes that wake for
 * no reason: who sleeps looks again anyhow. The wake after the exchange names an address that may
 * be unmapped by then: the kernel refuses, or wakes somebody for no reason.
 */
#define THREADS 3
#define ROUNDS  2
#define LOCK    0
#define CARRIED 1
#define WORDS   2
#include "memory.pml"

byte holders;
bit last_carried;
byte asleep; /* a bit for each thread */
byte left = THREADS * ROUNDS;
bool is_gone;

/* The word becomes new; old is what it was. */
#define EXCHANGE(old, new) \
    atomic { DRAINED(self); assert(!is_gone); old = memory[LOCK]; memory[LOCK] = new }

inline lock() {
    if
    :: atomic { DRAINED(self) && memory[LOCK] == 0 -> memory[LOCK] = 1 } goto has_it
    :: atomic { DRAINED(self) && memory[LOCK] != 0 }
    fi;
    do
    ::
#ifdef BREAK_leaves_one /* who was asleep does not know of others that are */
        if
        :: atomic { DRAINED(self) && memory[LOCK] == 0 -> memory[LOCK] = 1 } break
        :: atomic { DRAINED(self) && memory[LOCK] != 0 -> memory[LOCK] = 2 }
        fi;
#else
        EXCHANGE(word, 2);
        if
        :: word == 0 -> break
        :: else
        fi;
#endif
        /* futex_wait() */
#ifdef BREAK_futex_blind
        asleep = asleep | (1 << self);
        (asleep & (1 << self)) == 0
#else
        if
        :: atomic { memory[LOCK] == 2 -> asleep = asleep | (1 << self) }
            (asleep & (1 << self)) == 0
        :: memory[LOCK] != 2
        fi
#endif
    od;
has_it:
    word = 0
}

inline unlock() {
#ifdef BREAK_unlock_release /* a relaxed store, and the old value from before */
    word = LOAD(self, LOCK);
    STORE(self, LOCK, 0, RELAXED);
#else
    EXCHANGE(word, 0);
#endif
    if
    :: word == 2 -> /* futex_wake(): any one of them */
#ifndef BREAK_wakes_nobody
        if
        :: (asleep & 1) != 0 -> asleep = asleep & ~1
        :: (asleep & 2) != 0 -> asleep = asleep & ~2
        :: (asleep & 4) != 0 -> asleep = asleep & ~4
        :: asleep == 0
        fi
#else
        skip
#endif
    :: else
    fi;
    word = 0
}

proctype thread(byte self) {
    byte word, round;
    bool is_last;
    do
    :: round < ROUNDS ->
        round++;
        lock();
        atomic { assert(holders == 0); holders++ }
        assert(LOAD(self, CARRIED) == last_carried);
        last_carried = 1 - last_carried;
        STORE(self, CARRIED, last_carried, RELAXED);
        left--;
        is_last = (left == 0);
        holders--;
        unlock();
        if
        :: is_last -> is_gone = true /* it frees the object */
        :: else
        fi
    :: else -> break
    od
}

init {
    byte t;
    atomic {
        for (t : 0 .. THREADS - 1) { run thread(t); run drain(t) }
    }
}
