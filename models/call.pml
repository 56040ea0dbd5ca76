/*
 * call.pml - a thread calls into a runtime, with a deadline, while the runtime is stopped: a scope
 * and a task in the caller's frame, and who may touch them until when.
 *
 *     model               code
 *     caller()            seam_call(): call_across(), sm_scope_begin_with_task(), sm_scope_end()
 *     open                sm_scope_open(), register_guest()                       task/scope.c
 *     visitor()           a scope in the runtime, opened and closed: seam_scope_begin(), seam_scope_end()
 *     wait_until_empty    wait_until_empty() of sync/scope.c; sm_wait(), publish()
 *     close               sm_timer_remove(); sm_scope_close(), retire_guest()
 *     worker()            runs the task: run_call(), and one wait in it that only a cancellation
 *                         ends; sm_task_finish(), sm_scope_count_down()          task/task.c
 *     timer()             sm_timer_fire_due(); fire_deadline(), time_out() of sync/scope.c
 *     cancel_here         cancel_here()                                           task/scope.c
 *     stopper()           stop_alone(): sm_runtime_refuse(), cancel_guests(), wait_until_empty() of
 *                         cross/stop.c; sm_runtime_end() and the free after it
 *     PARTY(p)            the word of a party, without its flags: wait.pml has those
 *
 * Proved: caller and stopper always come back; the frame is not touched after the caller has left
 * it, the runtime not after it was freed; a wait is ended once; the task that a call has brought is
 * waited for whatever the deadline and the stop do, and where the call was refused there is none.
 *
 * Left out: the tree between a root and a guest: one scope. The shards of the list of guests: one.
 * That the task may have begun by itself: it waits at once, or has been cancelled before. Tasks of
 * the runtime's own in its root: they are counted in live, as the guest's is in its scope.
 */
#define CALLER  0
#define TASK    1
#define STOPPER 2
#define PARTIES 3
#define WORKER  3
#define TIMER   4
#define VISITOR 5
#define THREADS 6

/* States of a party. */
#define RUNNING 0
#define WAITING 1
#define CLAIMED 2
#define DONE    3

#define PARTY(p)     (p)
#define CANCELLED    PARTIES       /* scope->cancelled */
#define WORDS        (PARTIES + 1)
#include "memory.pml"

#define NOBODY 7
/* Locks, each as one step: lock.pml. */
byte heap_lock = NOBODY;   /* of the worker's timers */
byte scope_lock = NOBODY;
byte guests_lock = NOBODY;
byte root_lock = NOBODY;

inline take(lock) { atomic { lock == NOBODY && DRAINED(self) -> lock = self } }
inline open(lock) { atomic { DRAINED(self); assert(lock == self); lock = NOBODY } }

bool is_frame_there;  /* the caller's, with scope, task and timer */
bool is_runtime_gone;
byte live;            /* of the scope; under its lock */
bool has_ender;       /* the caller waits for live == 0; under the scope's lock */
bool is_queued;       /* the task, in an inbox */
bool is_armed;        /* the timer is in the heap; under the heap's lock */
byte guests;          /* scopes on the list, a bit each; this and the next under its lock */
bool are_refused;
bool has_timed_out;
bool is_over;         /* runtime->ending */
bool has_stopper;     /* root->ender; under the root's lock */
byte left_running = 2; /* threads of the runtime, which are joined */

#define TOUCH_FRAME   assert(is_frame_there)
#define TOUCH_RUNTIME assert(!is_runtime_gone)

/* publish(), as the object's lock is still held. */
inline publish(p) {
#ifdef BREAK_publish_store /* a release store in place of the exchange */
    STORE(self, PARTY(p), WAITING, RELEASE)
#else
    atomic { DRAINED(self); assert(memory[PARTY(p)] == RUNNING); memory[PARTY(p)] = WAITING }
#endif
}

inline claim(p, is_claimed) {
    is_claimed = (LOAD(self, PARTY(p)) == WAITING);
    if
    :: is_claimed ->
        atomic {
            DRAINED(self);
            is_claimed = (memory[PARTY(p)] == WAITING);
            if
            :: is_claimed -> memory[PARTY(p)] = CLAIMED
            :: else
            fi
        }
    :: else
    fi
}

inline complete(p) {
    assert(LOAD(self, PARTY(p)) == CLAIMED);
    STORE(self, PARTY(p), DONE, RELEASE)
}

/* Under the scope's lock. The owner's wait cannot be cancelled. */
inline cancel_here() {
    if
    :: LOAD(self, CANCELLED) == 0 ->
#ifdef BREAK_cancel_store
        STORE(self, CANCELLED, 1, RELEASE);
#else
        STORE_SEQ_CST(self, CANCELLED, 1)
#endif
        if
        :: live > 0 ->
            claim(TASK, is_claimed);
            if
            :: is_claimed -> complete(TASK)
            :: else
            fi;
            is_claimed = false
        :: else
        fi
    :: else
    fi
}

inline arm() {
    if
    :: TOUCH_RUNTIME; take(heap_lock); is_armed = true; open(heap_lock)
    :: true /* SEAM_FOREVER */
    fi
}

inline wait_until_empty() {
    take(scope_lock);
    if
    :: live == 0 -> open(scope_lock)
    :: else ->
        has_ender = true;
        publish(CALLER);
        open(scope_lock);
#ifdef BREAK_end_gives_up /* at the deadline */
        if
        :: LOAD(self, PARTY(CALLER)) == DONE
        :: LOAD(self, CANCELLED) == 1
        fi
#else
        LOAD(self, PARTY(CALLER)) == DONE
#endif
    fi
}

/* is_claimed: the stopper's wait is over. */
#define BIT(t) (1 << (t))

/* That the runtime is there until then is the user's affair. */
inline register_guest() {
    take(guests_lock);
    is_guest = !are_refused;
    if
    :: is_guest -> guests = guests | BIT(self)
    :: else
    fi;
    open(guests_lock)
}

inline retire_guest() {
    take(guests_lock);
    TOUCH_RUNTIME;
    were_refused = are_refused;
#ifdef BREAK_retire_early /* off the list before the root's lock is had */
    guests = guests & ~BIT(self);
#else
    if
    :: !were_refused -> guests = guests & ~BIT(self)
    :: else
    fi;
#endif
    open(guests_lock);
#ifndef BREAK_retire_tells_nobody
    if
    :: were_refused ->
        TOUCH_RUNTIME;
        take(root_lock);
        take(guests_lock);
        guests = guests & ~BIT(self);
        open(guests_lock);
        if
        :: has_stopper && guests == 0 -> claim(STOPPER, is_claimed)
        :: else
        fi;
        TOUCH_RUNTIME;
        open(root_lock)
    :: else
    fi
#else
    guests = guests & ~BIT(self)
#endif
}

proctype caller(byte self) {
    bool is_claimed, is_guest, were_refused;
    is_frame_there = true;
    live = 1;
    register_guest();
    if
    :: is_guest ->
        arm();
        TOUCH_RUNTIME;
        is_queued = true;
        wait_until_empty();
        TOUCH_RUNTIME;
#ifdef BREAK_timer_fired /* a timer that has fired is thought to be done */
        if
        :: is_armed -> take(heap_lock); is_armed = false; open(heap_lock)
        :: else
        fi;
#else
        take(heap_lock);
        is_armed = false;
        open(heap_lock);
#endif
        take(scope_lock); /* sm_scope_dispose_finished() */
        open(scope_lock);
        retire_guest()
    :: else /* -ESHUTDOWN */
    fi;
    is_frame_there = false;
    if
    :: is_claimed -> complete(STOPPER)
    :: else
    fi
}

/* Somebody else, whose scope is empty. */
proctype visitor(byte self) {
    bool is_claimed, is_guest, were_refused;
    register_guest();
    if
    :: is_guest -> retire_guest()
    :: else
    fi;
    if
    :: is_claimed -> complete(STOPPER)
    :: else
    fi
}

/* sm_task_finish() */
inline finish() {
    TOUCH_FRAME;
    take(scope_lock);
    live--;
#ifdef BREAK_finish_claims_late
    open(scope_lock);
    TOUCH_FRAME;
    if
    :: has_ender -> claim(CALLER, is_claimed)
    :: else
    fi;
#else
    if
    :: has_ender -> claim(CALLER, is_claimed)
    :: else
    fi;
    TOUCH_FRAME;
    open(scope_lock);
#endif
    if
    :: is_claimed -> complete(CALLER)
    :: else
    fi
}

proctype worker(byte self) {
    bool is_claimed;
    if
    :: is_queued ->
        is_queued = false;
        TOUCH_FRAME;
        if
        :: LOAD(self, CANCELLED) == 1 /* it does not begin */
        :: LOAD(self, CANCELLED) == 0 /* it ends by itself */
        :: LOAD(self, CANCELLED) == 0 ->
#ifdef BREAK_publish_order
            if
            :: LOAD(self, CANCELLED) == 1 -> goto cancelled
            :: else
            fi;
            publish(TASK);
#else
            publish(TASK);
            if
            :: LOAD(self, CANCELLED) == 1 ->
                claim(TASK, is_claimed);
                if
                :: is_claimed -> complete(TASK)
                :: else
                fi;
                is_claimed = false
            :: else
            fi;
#endif
            LOAD(self, PARTY(TASK)) == DONE
        fi;
cancelled:
        finish()
    :: !is_queued && is_over
    fi;
    is_over;
    left_running--
}

proctype timer(byte self) {
    bool is_claimed;
    if
    :: is_armed ->
        take(heap_lock);
        if
        :: is_armed ->
            is_armed = false;
#ifdef BREAK_fire_unlocked
            open(heap_lock);
#endif
            TOUCH_FRAME;
            take(scope_lock);
            cancel_here();
            TOUCH_FRAME;
            open(scope_lock)
        :: else
        fi;
#ifdef BREAK_fire_unlocked
        if
        :: heap_lock == self -> open(heap_lock)
        :: else
        fi
#else
        open(heap_lock)
#endif
    :: is_over
    fi;
    is_over;
    left_running--
}

/* Refuse guests, and cancel those there are. */
inline refuse() {
    take(root_lock);
    take(guests_lock);
#ifndef BREAK_refuse_late
    are_refused = true;
#endif
    if
    :: (guests & BIT(CALLER)) != 0 ->
        TOUCH_FRAME;
        take(scope_lock);
        cancel_here();
        TOUCH_FRAME;
        open(scope_lock)
    :: else
    fi;
    open(guests_lock);
#ifdef BREAK_refuse_late
    are_refused = true;
#endif
    open(root_lock)
}

proctype stopper(byte self) {
    bool is_claimed, is_empty;
    refuse();
    do
    :: take(root_lock);
        take(guests_lock);
        is_empty = (guests == 0);
        open(guests_lock);
        if
        :: is_empty -> open(root_lock); break
        :: else
        fi;
        has_stopper = true;
        publish(STOPPER);
        open(root_lock);
        if
        :: LOAD(self, PARTY(STOPPER)) == DONE
        :: !has_timed_out -> /* once, the grace is over */
            has_timed_out = true;
            claim(STOPPER, is_claimed);
            if
            :: is_claimed
            :: else -> LOAD(self, PARTY(STOPPER)) == DONE
            fi
        fi;
        take(root_lock);
        has_stopper = false;
        open(root_lock);
        if
        :: is_claimed -> is_claimed = false; memory[PARTY(STOPPER)] = RUNNING
        :: else -> break
        fi
    od;
    is_over = true;
    left_running == 0;
    is_runtime_gone = true
}

init {
    byte t;
    atomic {
        run caller(CALLER);
        run visitor(VISITOR);
        run worker(WORKER);
        run timer(TIMER);
        run stopper(STOPPER);
        for (t : 0 .. THREADS - 1) { run drain(t) }
    }
}
