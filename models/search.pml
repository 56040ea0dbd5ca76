/*
 * search.pml - a worker has tasks that have not begun, and others sleep: they are woken, one at a
 * time, and take them.
 *
 *     model               code
 *     owner()             look_around() of a worker that goes on running tasks, or look_at() of the
 *                         monitor where it is blocked: now and then, while the ring has tasks
 *     wake_idle           sm_runtime_wake_idle(), first_idle(), sm_worker_wake()   sched/runtime.c
 *     thief()             sm_worker_run(), find_work()                             sched/worker.c
 *     search              steal(), with the throttle
 *     sleep_in_poller     sleep_in_poller(), sm_runtime_set_idle()
 *
 * Proved, under weak fairness: sooner or later all tasks are taken, also if one of them keeps its
 * thief for ever.
 *
 * Not so in the code: who is turned away counts as one who searches for a moment, so two could turn
 * each other away, if they met like that each time they are woken, for ever. Here he does not
 * count.
 *
 * Left out: store buffers: the idle bits are a hint, and may be old anyhow; is_sleeping is
 * park.pml's. How the ring is shared out: queue.pml; one task at a time here. Inboxes.
 */
#define THIEVES      2
#define TASKS        3
#define SEARCHES_MAX 1 /* half of the workers, or fewer */
#define BIT(w)       (1 << (w))

byte ring = TASKS;
byte idle = 0;      /* runtime->idle */
byte searching = 0; /* runtime->searching */
bool is_one_kept;
bool is_sleeping[THIEVES];
bool event[THIEVES];

/* who: scratch. */
inline wake_idle(who) {
    if
    :: idle == 0
    :: else ->
        if /* the first bit; what it says is a moment old then */
        :: atomic { (idle & 1) != 0 -> who = 0 }
        :: atomic { (idle & 1) == 0 -> who = 1 }
        fi;
        if
        :: atomic { is_sleeping[who] -> is_sleeping[who] = false } event[who] = true
        :: !is_sleeping[who]
        fi;
        who = 0
    fi
}

inline search() {
    atomic {
        may_search = (searching < SEARCHES_MAX);
        if
        :: may_search -> searching++
        :: else
        fi
    }
    if
    :: may_search ->
        if
        :: atomic { ring > 0 -> ring--; has_task = true }
            if
            :: ring > 0 -> wake_idle(other)
            :: ring == 0
            fi
        :: ring == 0
        fi;
#ifndef BREAK_counts_for_ever
        searching--
#endif
    :: else
    fi;
    may_search = false
}

inline sleep_in_poller() {
    idle = idle | BIT(self);
    is_sleeping[self] = true;
    event[self];
    event[self] = false;
    is_sleeping[self] = false;
#ifndef BREAK_idle_stays
    idle = idle & (255 - BIT(self))
#endif
}

proctype thief(byte self) {
    byte other;
    bool has_task, may_search;
    do
    ::
#ifdef BREAK_sleeps_again /* without a search in between */
        sleep_in_poller();
#else
        search();
#endif
        if
        :: has_task ->
            if
            :: atomic { !is_one_kept -> is_one_kept = true } break /* its task runs for ever */
            :: has_task = false
            fi
        :: else -> sleep_in_poller()
        fi
    od
}

/* While somebody is left to take them. */
proctype owner() {
    byte who;
    do
    ::
#ifdef BREAK_looks_once
        wake_idle(who);
        break
#else
        ring > 0 -> wake_idle(who)
    :: ring == 0 -> break
#endif
    od
}

init {
    byte w;
    atomic {
        for (w : 0 .. THIEVES - 1) { run thief(w) }
        run owner()
    }
}

ltl all_are_taken { <> (ring == 0) }
