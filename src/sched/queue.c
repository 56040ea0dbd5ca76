/* SPDX-License-Identifier: MIT */
#include "sched/queue.h"

uint32_t sm_ring_steal(struct sm_ring *from, struct sm_ring *into)
{
    uint32_t to = sm_load_relaxed(&into->tail); /* relaxed: only we write it */
    /* acquire: pairs with the release in sm_ring_pop() of whoever moved head: all slots before it
     * have been read. */
    uint32_t head = sm_load_acquire(&from->head);
    for (;;) {
        /* acquire: pairs with the release in sm_ring_push(). It carries the tasks. */
        uint32_t count = sm_load_acquire(&from->tail) - head;
        if (count == 0) return 0;
        if (count > SM_RING_SLOTS) {
            /* head moved on between the two loads; look again. */
            head = sm_load_acquire(&from->head); /* acquire: pairs with as above */
            continue;
        }
        uint32_t half = count - count / 2;
        for (uint32_t i = 0; i < half; i++) {
            /* relaxed: what was overwritten meanwhile, the CAS below finds out. */
            struct sm_task *task = sm_load_relaxed(&from->slots[(head + i) % SM_RING_SLOTS]);
            sm_store_relaxed(&into->slots[(to + i) % SM_RING_SLOTS], task);
        }
        /* acq_rel: pairs with the CAS in sm_ring_pop() and with other thieves: the slots are ours
         * alone now, and the owner may reuse them. */
        if (sm_cas_weak_acq_rel(&from->head, &head, head + half)) {
            /* release: pairs with the acquire in sm_ring_steal() by a thief of the thief. */
            sm_store_release(&into->tail, to + half);
            return half;
        }
    }
}
