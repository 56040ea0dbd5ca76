/* SPDX-License-Identifier: MIT */
#include "protocol/phase.h"

#include <errno.h>

void phase_init(struct phase *phase, int protocol)
{
    *phase = (struct phase){.state = PHASE_TRANSFER, .protocol = protocol};
}

int phase_on_done(struct phase *phase, struct fault *fault)
{
    switch (phase->state) {
    case PHASE_TRANSFER: phase->state = PHASE_REDO; return PHASE_SEND_DONE;
    case PHASE_REDO: phase->state = PHASE_RENAME; return PHASE_SEND_DONE;
    case PHASE_RENAME:
        phase->state = phase->protocol >= 31 ? PHASE_LATE_DELETE : PHASE_GOODBYE;
        return PHASE_SEND_IO_ERROR | PHASE_SEND_DONE | PHASE_SEND_STATS;
    case PHASE_LATE_DELETE: phase->state = PHASE_GOODBYE; return PHASE_SEND_DONE;
    case PHASE_GOODBYE: phase->state = PHASE_OVER; return PHASE_CLOSE;
    case PHASE_OVER: break;
    }
    return fault_set(fault, -EPROTO, "more ends of phases than the protocol has");
}

bool phase_allows_request(const struct phase *phase)
{
    return phase->state == PHASE_TRANSFER || phase->state == PHASE_REDO;
}

bool phase_allows_del_stats(const struct phase *phase)
{
    return phase->state == PHASE_RENAME || phase->state == PHASE_LATE_DELETE
            || phase->state == PHASE_GOODBYE;
}

bool phase_is_redo(const struct phase *phase)
{
    return phase->state == PHASE_REDO;
}
