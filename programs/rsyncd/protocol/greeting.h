/* SPDX-License-Identifier: MIT */
/*
 * greeting.h - the text phase: lines, the greeting, the module line, the module listing.
 *
 * Where a parser rejects a line, fault->text is the complete answer to the client, "@ERROR: ..."
 * without its newline; the session sends it and closes.
 */
#pragma once

#include <stddef.h>

#include "kit/buf.h"
#include "kit/cursor.h"
#include "kit/fault.h"

enum {
    PROTOCOL_OURS = 32,
    PROTOCOL_OLDEST = 30, /* 3.0.0, 2008; every version since speaks at least this */
    LINE_BYTES_MAX = 1024,
    EARLY_INPUT_BYTES_MAX = 5120,
};

struct greeting {
    int version;
    int subprotocol;
    char digests[LINE_BYTES_MAX]; /* names, space separated, client's order; "" if none given */
};

enum hello { HELLO_MODULE, HELLO_LIST, HELLO_EARLY_INPUT };

struct module_line {
    enum hello hello;
    char name[LINE_BYTES_MAX]; /* HELLO_MODULE: the module */
    size_t early_bytes;        /* HELLO_EARLY_INPUT: raw bytes that follow, then one more line */
};

/*
 * Take one line from in: up to LF, without it, CRs dropped, NUL-terminated in line[LINE_BYTES_MAX].
 * 0, -EAGAIN (no LF yet, nothing moved), -EMSGSIZE (too long), -EBADMSG (a NUL byte inside).
 */
int greeting_take_line(struct cursor *in, char *line);

/* "@RSYNCD: 32.0 <digests>\n". */
int greeting_put(struct buf *out, const char *digests);

/* Parse the client's greeting. 0 or -EPROTO with the answer in fault. */
int greeting_parse(const char *line, struct greeting *out_greeting, struct fault *fault);

/* The protocol both sides will speak, PROTOCOL_OLDEST..PROTOCOL_OURS, or -EPROTONOSUPPORT with the
 * answer in fault. */
int greeting_protocol(const struct greeting *greeting, struct fault *fault);

/* The first of the client's digest names (space separated) that is in ours: copied to out_name
 * (at least 32 bytes). -ENOENT when there is none. An empty client list means md5. */
int greeting_pick_digest(const struct greeting *greeting, const char *ours, char *out_name);

/* Parse the line after the greeting. 0 or -EPROTO with the answer in fault. */
int module_line_parse(const char *line, struct module_line *out_line, struct fault *fault);

/* One line of the module listing; then module_listing_end() for the last. */
int module_listing_put(struct buf *out, const char *name, const char *comment);
int module_listing_end(struct buf *out);
