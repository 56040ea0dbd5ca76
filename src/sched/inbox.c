/* SPDX-License-Identifier: MIT */
#include "sched/inbox.h"

#include <stddef.h>

void sm_inbox_push(struct sm_inbox *inbox, struct sm_task *task)
{
    /* relaxed: only a guess. The CAS rejects a stale one, and we never look through it. */
    struct sm_task *newest = sm_load_relaxed(&inbox->newest);
    do {
        /* release: pairs with the acquire in sm_inspect_reason() (sched/inspect.c): who finds a link
         * where the reason was sees that the wait has ended. */
        __atomic_store_n(&task->next, newest, __ATOMIC_RELEASE);
        /*
         * seq_cst: pairs with the acquire in sm_inbox_take_all(), and with the load in
         * sm_inbox_is_empty() for the order against is_sleeping. It publishes task->next and all
         * that the producer wrote to the task before. Tasks pushed earlier stay published although
         * we overwrite their CAS: ours is a read-modify-write, so it continues their release
         * sequence, and one acquire meets every producer in the batch.
         */
    } while (!sm_cas_weak_seq_cst(&inbox->newest, &newest, task));
}

struct sm_task *sm_inbox_take_all(struct sm_inbox *inbox)
{
    /* acquire: pairs with the seq_cst CAS in sm_inbox_push(). From here on the list is ours. */
    struct sm_task *task = sm_exchange_acquire(&inbox->newest, NULL);

    struct sm_task *oldest = NULL;
    while (task != NULL) {
        struct sm_task *next = task->next;
        task->next = oldest;
        oldest = task;
        task = next;
    }
    return oldest;
}
