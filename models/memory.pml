/*
 * memory.pml - what the processor may do with stores, for the words where it matters. Included by
 * the models, which define before:
 *
 *     THREADS     who stores, numbered from 0; every thread has a buffer of two stores
 *     WORDS       how many words there are; memory[word] is what everybody sees
 *
 *     in the code                         here
 *     sm_store_relaxed()                  STORE(thread, word, value, RELAXED)
 *     sm_store_release()                  STORE(thread, word, value, RELEASE)
 *     sm_store_seq_cst()                  STORE_SEQ_CST(thread, word, value)
 *     sm_exchange_..(), sm_cas_..()       atomic { DRAINED(thread); memory[word] = ... }
 *     sm_load_..()                        LOAD(thread, word)
 *     membarrier                          DRAINED() for each other thread, one after the other
 *
 * A store waits in its thread's buffer for as long as it likes, seen by that thread only. A release
 * is the first of its buffer when it leaves; a relaxed one may pass others, but none to the same
 * word. So every store may be passed by later loads (x86), and a relaxed one by later stores
 * (aarch64). Loads are made in program order: where an acquire keeps them there, a BREAK swaps them
 * by hand. An exchange or CAS is ordered against everything, as on x86; where the code's is not, or
 * where it relies on seq_cst, a BREAK swaps what the weaker one would let pass.
 *
 * What is under a lock, or only compared with shadows by assertions, is a plain variable.
 */
#define RELAXED 0
#define RELEASE 1

typedef store_buffer {
    byte count;
    byte word[2];
    byte value[2];
    bit order[2];
};

byte memory[WORDS];
store_buffer stores[THREADS];

#define IN_BUFFER(t, i, w) (stores[t].count > i && stores[t].word[i] == (w))
#define LOAD(t, w) (IN_BUFFER(t, 1, w) -> stores[t].value[1] : \
                   (IN_BUFFER(t, 0, w) -> stores[t].value[0] : memory[w]))
#define DRAINED(t) (stores[t].count == 0)

inline STORE(t, w, v, o) {
    atomic {
        stores[t].count < 2;
        stores[t].word[stores[t].count] = w;
        stores[t].value[stores[t].count] = v;
        stores[t].order[stores[t].count] = o;
        stores[t].count++
    }
}

/* A store that is in memory before its thread goes on, so that it need not be seen in the buffer. */
#define STORE_SEQ_CST(t, w, v) atomic { DRAINED(t); memory[w] = v }

/* The first store leaves the buffer of t; or the second, if it may pass the first. */
inline leave_first(t) {
    memory[stores[t].word[0]] = stores[t].value[0];
    stores[t].word[0] = stores[t].word[1];
    stores[t].value[0] = stores[t].value[1];
    stores[t].order[0] = stores[t].order[1];
    forget_last(t)
}

inline leave_second(t) {
    memory[stores[t].word[1]] = stores[t].value[1];
    forget_last(t)
}

inline forget_last(t) { /* so that equal buffers are equal states */
    stores[t].count--;
    stores[t].word[stores[t].count] = 0;
    stores[t].value[stores[t].count] = 0;
    stores[t].order[stores[t].count] = 0
}

#define MAY_PASS(t) (stores[t].count == 2 && stores[t].order[1] == RELAXED \
                    && stores[t].word[0] != stores[t].word[1])

/* A buffer drains by itself. One process for each thread that stores. */
proctype drain(byte t) {
end: do
    :: d_step { stores[t].count > 0 -> leave_first(t) }
    :: d_step { MAY_PASS(t) -> leave_second(t) }
    od
}
