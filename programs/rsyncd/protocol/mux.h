/* SPDX-License-Identifier: MIT */
/*
 * mux.h - frames: a stream of data with messages in between.
 *
 *     uint32 LE  (7 + code) << 24 | length     then length bytes
 *
 * Reading: demux_next() turns raw input into events. Data come as pieces pointing into the input,
 * never copied, cut wherever the input was cut; a message comes whole.
 * Writing: mux_put() for messages and small data; mux_begin() / mux_end() around data that is
 * written straight into the output.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kit/buf.h"
#include "kit/cursor.h"
#include "kit/fault.h"

enum mux_code {
    MUX_DATA = 0,
    MUX_ERROR_XFER = 1,
    MUX_INFO = 2,
    MUX_ERROR = 3,
    MUX_WARNING = 4,
    MUX_IO_ERROR = 22,
    MUX_IO_TIMEOUT = 33,
    MUX_NOOP = 42,
    MUX_ERROR_EXIT = 86,
    MUX_SUCCESS = 100,
    MUX_DELETED = 101,
    MUX_NO_SEND = 102,
};

enum {
    MUX_HEADER_BYTES = 4,
    MUX_TEXT_BYTES_MAX = 5119,    /* a longer text kills clients */
    MUX_MESSAGE_BYTES_MAX = 8192, /* what we accept; data frames may be longer */
    MUX_FRAME_BYTES_MAX = 0xffffff,
};

struct demux {
    uint32_t data_left;    /* of the data frame being read */
    struct buf message;    /* payload of the message being read; allocated only by messages */
    uint32_t message_left; /* of that payload */
    enum mux_code code;    /* of that message */
    bool in_message;       /* between a message's header and its last byte */
};

struct demux_event {
    enum mux_code code;
    const uint8_t *bytes; /* data: in the input; message: valid until the next demux_next() */
    size_t len;           /* data: > 0; an empty data frame (keep-alive) is no event */
    int32_t number;       /* IO_ERROR, IO_TIMEOUT, ERROR_EXIT, SUCCESS, NO_SEND: the payload */
};

void demux_init(struct demux *demux);
void demux_fini(struct demux *demux);

/*
 * Take the next event from in. 0 with *out_event; -EAGAIN when in is used up (an incomplete header
 * is left in it: keep those bytes); -EPROTO with words; -ENOMEM.
 * ERROR_EXIT without a payload has number 0 and len 0.
 */
int demux_next(
        struct demux *demux, struct cursor *in, struct demux_event *out_event, struct fault *fault);

/* A complete frame. Texts are cut to MUX_TEXT_BYTES_MAX. */
int mux_put(struct buf *out, enum mux_code code, const void *bytes, size_t len);
int mux_put_number(struct buf *out, enum mux_code code, int32_t number);
/* A text message: formatted, newline appended if it has none. */
int mux_put_text(struct buf *out, enum mux_code code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* Open a data frame in out; put bytes; close it with the mark. An empty frame is removed again.
 * Nothing may be dropped from out in between. mux_end() gives -EMSGSIZE above
 * MUX_FRAME_BYTES_MAX. */
size_t mux_begin(struct buf *out);
int mux_end(struct buf *out, size_t mark);
