/* SPDX-License-Identifier: MIT */
/*
 * transfer.h - one client's transfer: its arguments, what both sides agreed on, and how it ends
 * when it ends badly.
 *
 *     transfer_new()    arguments            (still text; part of the handshake)
 *     transfer_begin()  flags, sums, seed    (binary; from here on the stream is multiplexed)
 *     sender_run()      sender.h
 *     transfer_end()    tell the client of an error; let it read everything
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "seam.h"

#include "kit/fault.h"
#include "protocol/arglist.h"
#include "protocol/compat.h"
#include "protocol/options.h"

struct session;

/* rsync's exit codes, as far as we cause them. */
enum exit_code {
    EXIT_CODE_USAGE = 1,
    EXIT_CODE_PROTOCOL = 2,
    EXIT_CODE_UNSUPPORTED = 4,
    EXIT_CODE_FILE_IO = 11,
    EXIT_CODE_STREAM = 12,
    EXIT_CODE_MEMORY = 22,
    EXIT_CODE_TIMEOUT = 30,
};

struct transfer {
    struct session *session;
    struct arglist args;
    struct arglist more; /* the second list, with secluded arguments */
    struct options options;
    struct compat compat;
    int refusal; /* 0, or the exit code of why there will be no transfer; words in the fault */
};

/* Read and understand the client's arguments. 0 with *out_transfer, even if they are to be refused:
 * the client can be told only after transfer_begin(). Otherwise a negative errno. Suspends. */
SEAM_SUSPENDS int transfer_new(struct session *session, struct transfer **out_transfer);

/* NULL is fine. Never suspends. */
void transfer_free(struct transfer *transfer);

/* Binary setup. 0; -EPERM if the transfer is refused; or an error of the stream. Suspends. */
SEAM_SUSPENDS int transfer_begin(struct transfer *transfer);

/* r is how the transfer ended, 0 for well. Suspends for some seconds at most. */
SEAM_SUSPENDS void transfer_end(struct transfer *transfer, int r);
