/*
 * wait.pml - one wait, and all who may end it: who brings what is waited for, a timer, a
 * cancellation, the waiting thread's own time-out. Then the next wait of the same thread.
 *
 *     model                 code
 *     party()               wait_as_thread(), sm_wait_on_queue()                       task/wait.c
 *     sleep_in_futex        sleep_in_futex(), claim_own()
 *     sleep_in_poll         sleep_in_poll(), claim_own()
 *     claim, complete       claim_unless_shielded(), complete_thread()                 task/party.c
 *     change_flags          sm_party_change_flags()
 *     waker()               sm_waiters_claim_first(), under the object's lock, as in sync/
 *     timer()               sm_timer_fire_due(), fire_deadline()
 *     canceller()           cancel_here()                                              task/scope.c
 *
 * Proved: a wait is ended by exactly one, with its result; its frame is written to only by him, and
 * not after the wait; the party always comes back (there is somebody to wake it); the event
 * descriptor is not touched when its thread has ended, and holds nothing over for the next wait.
 *
 * Left out: a task instead of a thread: it is claimed alike, and to be queued is its DONE; that it
 * is published only when it has left its stack is the switch's doing. Shields: a cancellation that
 * does not reach. Driving: drive.pml. The order of flag and word: call.pml.
 */
#define PARTY     0
#define WAKER     1
#define TIMER     2
#define CANCELLER 3
#define THREADS   4
#define WAITS     2

#define RUNNING 0
#define WAITING 1
#define CLAIMED 2
#define DONE    3
#define STATE(word) ((word) & 3)
#define SLEEPS  4
#define POLLS   8

#define WORD      0
#define CANCELLED 1
#define WORDS     2
#include "memory.pml"

#define WOKEN     1
#define TIMED_OUT 2
#define ENDED     3 /* cancelled */
#define READY     4 /* it has found out itself, in poll(): also that it is time */

#define NOBODY 7
byte object_lock = NOBODY, heap_lock = NOBODY;
inline take(lock) { atomic { lock == NOBODY && DRAINED(self) -> lock = self } }
inline open(lock) { atomic { DRAINED(self); assert(lock == self); lock = NOBODY } }

bool is_frame_there; /* of this wait, with waiter and timer */
bool is_queued;      /* the waiter; under the object's lock */
bool is_armed;       /* the timer; under the heap's lock */
bool has_value;      /* the waker has handed it over */
byte result;         /* party->result */
bool is_asleep;      /* in the futex */
bool has_event;      /* the event descriptor is readable */
bool has_thread_ended;

inline claim() {
    word = LOAD(self, WORD);
    do
    :: STATE(word) != WAITING -> is_claimed = false; break
    :: else ->
#ifdef BREAK_claim_store
        DRAINED(self);
        memory[WORD] = CLAIMED | (word & (SLEEPS | POLLS));
        is_claimed = true;
        break
#else
        if
#ifdef BREAK_claim_drops_flags
        :: atomic { DRAINED(self) && memory[WORD] == word -> memory[WORD] = CLAIMED }
#else
        :: atomic { DRAINED(self) && memory[WORD] == word ->
                memory[WORD] = CLAIMED | (word & (SLEEPS | POLLS)) }
#endif
            is_claimed = true;
            break
        :: atomic { DRAINED(self) && memory[WORD] != word -> word = memory[WORD] }
        fi
#endif
    od;
    word = 0
}

inline poke() {
    if
    :: (word & POLLS) != 0 -> assert(!has_thread_ended); has_event = true
    :: else
    fi
}

inline complete(with) {
    assert(is_frame_there && result == 0);
    result = with;
    word = LOAD(self, WORD);
    assert(STATE(word) == CLAIMED);
#ifdef BREAK_wakes_first
    is_asleep = false;
#endif
#ifdef BREAK_poke_late
    STORE(self, WORD, DONE, RELEASE);
    poke();
#else
    poke();
    STORE(self, WORD, DONE, RELEASE);
#endif
#ifndef BREAK_wakes_first
    if
    :: (word & SLEEPS) != 0 -> DRAINED(self); is_asleep = false /* the system call is a fence */
    :: else
    fi;
#endif
    word = 0;
    is_claimed = false
}

/* has_set: the wait has not been ended. */
inline change_flags(flag) {
    word = LOAD(self, WORD);
    do
    :: STATE(word) != WAITING -> has_set = false; break
    :: else ->
        if
        :: atomic { DRAINED(self) && memory[WORD] == word ->
                memory[WORD] = word | flag }
            has_set = true;
            break
        :: atomic { DRAINED(self) && memory[WORD] != word -> word = memory[WORD] }
        fi
    od;
    word = 0
}

inline claim_own(with) {
#ifdef BREAK_own_unclaimed
    is_claimed = true;
#else
    claim();
#endif
    if
    :: is_claimed -> assert(result == 0); result = with; is_claimed = false
    :: else -> LOAD(self, WORD) == DONE
    fi
}

inline sleep_in_futex() {
    change_flags(SLEEPS);
    if
    :: !has_set -> LOAD(self, WORD) == DONE
    :: else ->
        do
        :: word = LOAD(self, WORD);
            if
            :: word == DONE -> break
            :: else ->
                if /* futex_wait() */
#ifdef BREAK_futex_blind
                :: true -> is_asleep = true; !is_asleep
#else
                :: atomic { DRAINED(self) && memory[WORD] == word -> is_asleep = true } !is_asleep
                :: atomic { DRAINED(self) && memory[WORD] != word }
#endif
                :: has_deadline -> claim_own(TIMED_OUT); break
                fi
            fi
        od
    fi
}

inline sleep_in_poll() {
    change_flags(POLLS);
    if
    :: !has_set -> LOAD(self, WORD) == DONE
    :: else ->
        if
        :: has_event -> was_poked = true
        :: true /* the descriptor that it waits for is ready, or it is time */
        fi;
        claim_own(READY);
        assert(!was_poked || result != READY); /* not poked for nothing */
        was_poked = false;
#ifndef BREAK_event_stays
        has_event = false
#else
        skip
#endif
    fi
}

proctype party(byte self) {
    byte waits, word;
    bool is_claimed, has_set, has_deadline, was_poked;
    do
    :: waits < WAITS ->
        waits++;
        take(object_lock);
        result = 0;
        has_value = false;
        is_frame_there = true;
        is_queued = true;
        /* publish() */
        atomic { DRAINED(self); assert(memory[WORD] == RUNNING); memory[WORD] = WAITING }
        if
        :: LOAD(self, CANCELLED) == 1 ->
            claim();
            open(object_lock);
            if
            :: is_claimed -> /* complete(): nobody sleeps yet */
                is_claimed = false;
                assert(result == 0);
                result = ENDED;
                STORE(self, WORD, DONE, RELEASE)
            :: else
            fi
        :: else -> open(object_lock)
        fi;
        if
        :: take(heap_lock); is_armed = true; open(heap_lock)
        :: has_deadline = true
        :: true
        fi;
        if
        :: sleep_in_futex()
        :: sleep_in_poll()
        fi;
        /* It has ended. */
#ifdef BREAK_remove_fired
        if
        :: is_armed -> take(heap_lock); is_armed = false; open(heap_lock)
        :: else
        fi;
#else
        take(heap_lock);
        is_armed = false;
        open(heap_lock);
#endif
        has_deadline = false;
        STORE(self, WORD, RUNNING, RELAXED);
        assert(result != 0);
        if
        :: result != WOKEN ->
#ifndef BREAK_stays_queued
            take(object_lock);
            is_queued = false;
            open(object_lock);
#endif
            assert(!has_value)
        :: else -> assert(has_value && !is_queued)
        fi;
        is_frame_there = false
    :: else -> break
    od;
    has_thread_ended = true
}

proctype waker(byte self) {
    byte word, wakes;
    bool is_claimed;
    do
    :: wakes < WAITS && is_queued ->
        wakes++;
        take(object_lock);
        if
        :: is_queued ->
            assert(is_frame_there);
            is_queued = false;
            claim();
        :: else
        fi;
        open(object_lock);
        if
        :: is_claimed -> assert(is_frame_there); has_value = true; complete(WOKEN)
        :: else
        fi
    :: has_thread_ended -> break
    od
}

proctype timer(byte self) {
    byte word;
    bool is_claimed;
    do
    :: is_armed ->
        take(heap_lock);
        if
        :: is_armed ->
            is_armed = false;
#ifdef BREAK_fire_unlocked
            open(heap_lock);
#endif
            assert(is_frame_there);
            claim();
            if
            :: is_claimed -> complete(TIMED_OUT)
            :: else
            fi
        :: else
        fi;
        if
        :: heap_lock == self -> open(heap_lock)
        :: else
        fi
    :: has_thread_ended -> break
    od
}

/* Once; from then on there is nobody who waits for long. */
proctype canceller(byte self) {
    byte word;
    bool is_claimed;
    STORE_SEQ_CST(self, CANCELLED, 1)
    claim();
    if
    :: is_claimed -> complete(ENDED)
    :: else
    fi
}

init {
    byte t;
    atomic {
        run party(PARTY);
        run waker(WAKER);
        run timer(TIMER);
        run canceller(CANCELLER);
        for (t : 0 .. THREADS - 1) { run drain(t) }
    }
}
