/* SPDX-License-Identifier: MIT */
/*
 * sender.h - a pull: the file list, then what the client's generator asks for.
 *
 *     C> filter rules   S> file list   C> requests   S> replies ...   DONEs   S> statistics
 */
#pragma once

#include "seam.h"

#include "delta/strong.h"
#include "protocol/filter.h"
#include "protocol/flist.h"
#include "protocol/flist_coder.h"
#include "protocol/ndx.h"
#include "protocol/phase.h"
#include "protocol/request.h"
#include "store/walk.h"
#include "transfer.h"

enum {
    SENDER_LIST_BYTES_MAX = 1 << 30, /* some ten million files */
    SENDER_SUMS_BYTES_MAX = 64 << 20,
    SENDER_CHUNK_BYTES = 32 << 10,
};

struct sender {
    struct transfer *transfer;
    struct filter filter; /* the client's rules */
    struct flist list;
    struct flist_coder coder;
    struct walk walk;
    struct ndx ndx_in;
    struct ndx ndx_out;
    struct phase phase;
    struct request request; /* the one being answered */
    struct strong strong;
    int32_t io_error_sent;
    int64_t build_ms;
    int64_t transfer_ms;
    int64_t began_ns; /* of the replies: for --bwlimit */
    int64_t began_bytes;
    int base_fd; /* of base, O_PATH; -1: not open */
    uint32_t base;
    char path[FLIST_PATH_MAX];    /* of the file being sent, from its base */
    char below[WALK_PATH_BYTES];  /* ... from the module root */
    char quoted[WALK_PATH_BYTES]; /* ... in a message */
};

/* Do it all. 0 when both sides have said goodbye; -EPROTO with words in the session's fault; or an
 * error of the stream. Suspends. */
SEAM_SUSPENDS int sender_run(struct transfer *transfer);

/* Answer requests until the goodbye is over (replies.c). Suspends. */
SEAM_SUSPENDS int sender_serve_requests(struct sender *sender);
