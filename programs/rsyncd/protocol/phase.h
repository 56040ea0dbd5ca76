/* SPDX-License-Identifier: MIT */
/*
 * phase.h - the life of a sending session after its file list, as seen in the DONEs it reads.
 *
 *     TRANSFER --DONE--> REDO --DONE--> RENAME --DONE--> LATE_DELETE --DONE--> GOODBYE --DONE--> OVER
 *                                                  \__________protocol 30__________^
 *
 *   leaving        we answer                        requests are allowed in
 *   TRANSFER       DONE                             TRANSFER, REDO
 *   REDO           DONE
 *   RENAME         [IO_ERROR] DONE, then stats
 *   LATE_DELETE    DONE (protocol >= 31)
 *   GOODBYE        nothing: close
 *
 * DEL_STATS may come before any DONE from RENAME on; a server sender echoes it.
 */
#pragma once

#include <stdbool.h>

#include "kit/fault.h"

enum phase_state {
    PHASE_TRANSFER,
    PHASE_REDO,
    PHASE_RENAME,
    PHASE_LATE_DELETE,
    PHASE_GOODBYE,
    PHASE_OVER,
};

/* What to do, in this order. */
enum phase_action {
    PHASE_SEND_IO_ERROR = 1u << 0, /* a MUX_IO_ERROR message, if errors arose */
    PHASE_SEND_DONE = 1u << 1,
    PHASE_SEND_STATS = 1u << 2,
    PHASE_CLOSE = 1u << 3,
};

struct phase {
    enum phase_state state;
    int protocol;
};

void phase_init(struct phase *phase, int protocol);

/* A DONE arrived: the actions due (enum phase_action), or -EPROTO with words after the end. */
int phase_on_done(struct phase *phase, struct fault *fault);

/* Whether a request for data, or DEL_STATS, may arrive now. */
bool phase_allows_request(const struct phase *phase);
bool phase_allows_del_stats(const struct phase *phase);
/* In REDO sums are full length and append is off. */
bool phase_is_redo(const struct phase *phase);
