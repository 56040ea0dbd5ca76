/* SPDX-License-Identifier: MIT */
/*
 * stream.h - one client's connection: a descriptor, what came in, what is to go out.
 *
 *                              +---- raw ----+  demux   +---- in ----+
 *     socket ---seam_read()--->| framed bytes |-------->| plain bytes |---> decoders (cursor)
 *                              +--------------+         +-------------+
 *     socket <--seam_write()-- out <--- encoders (stream_out, stream_messages)
 *
 * Before the multiplexed part of a session `raw` is not used. Buffers are allocated at the first
 * byte: a client that says nothing holds none.
 *
 * Invariants
 *   1. Output is flushed before a wait for input, and not otherwise until it is large.
 *   2. While a write waits, input is taken in (up to STREAM_RAW_MAX): a client whose own write
 *      waits for us would otherwise never read what we write.
 *   3. Only the session's task touches its stream.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "seam.h"

#include "kit/buf.h"
#include "kit/cursor.h"
#include "kit/fault.h"
#include "protocol/mux.h"

enum {
    STREAM_READ_BYTES = 16 << 10, /* asked for at once, after the handshake */
    STREAM_HELLO_BYTES = 2 << 10, /* asked for at once, before */
    STREAM_IN_MAX = 64 << 10,     /* no record that a decoder needs whole is longer */
    STREAM_RAW_MAX = 256 << 10,
    STREAM_OUT_FULL = 32 << 10, /* stream_spill() flushes from here on */
    STREAM_OUT_MAX = 4 << 20,
};

struct stream {
    int fd;
    struct buf raw;
    struct buf in;
    struct buf out;
    struct demux demux;
    size_t read_bytes_wanted;
    size_t frame_mark; /* of the open data frame */
    bool has_frame;
    bool reads_frames;
    bool writes_frames;
    bool is_ended;      /* the peer sends no more */
    bool has_peer_exit; /* it sent ERROR_EXIT, with this code: */
    int32_t peer_exit;
    int64_t timeout_ns;    /* 0: none */
    int64_t opened_ns;     /* seam_now_ns() at the start */
    int64_t active_ns;     /* ... when a byte last moved */
    int64_t spoke_ns;      /* ... when a byte was last written */
    int64_t read_bytes;    /* in all */
    int64_t written_bytes; /* in all */
};

/* Take fd over. Allocates nothing, never fails. */
void stream_init(struct stream *stream, int fd);

/* Close fd and free the buffers. */
void stream_fini(struct stream *stream);

/* Encoders put into this; it is inside a data frame when the stream is multiplexed. */
struct buf *stream_out(struct stream *stream);

/* For whole frames: mux_put() and its kin. */
struct buf *stream_messages(struct stream *stream);

/* From here on, one direction is multiplexed. Bytes already there but not yet decoded are frames. */
void stream_read_frames(struct stream *stream);
void stream_write_frames(struct stream *stream);

/*
 * More bytes into stream->in; flushes before it waits. 0, or
 *   -EPIPE        the peer ended the stream
 *   -ECONNABORTED the peer sent ERROR_EXIT
 *   -ETIMEDOUT    nothing moved for timeout_ns
 *   -EMSGSIZE     stream->in is full: the peer sends a record that nobody should send
 *   -EPROTO       a broken frame, words in fault
 *   and the errors of seam_read() and of stream_flush()
 * Suspends.
 */
SEAM_SUSPENDS int stream_fill(struct stream *stream, struct fault *fault);

/* Write everything out. 0, or the errors of seam_write(), -ETIMEDOUT, the buffer's. Suspends. */
SEAM_SUSPENDS int stream_flush(struct stream *stream);

/* The same if much is waiting; otherwise nothing. Suspends. */
SEAM_SUSPENDS int stream_spill(struct stream *stream);

/* An empty frame if nothing was said for half of the time-out. For long work. Suspends. */
SEAM_SUSPENDS int stream_keep_alive(struct stream *stream);

/* Flush, end our direction, and discard what the peer still sends until it ends or deadline_ns:
 * unread input at close() would reset the connection and destroy what we wrote last. Suspends. */
SEAM_SUSPENDS void stream_linger(struct stream *stream, int64_t deadline_ns);

/* What is there to decode, and how to say how much of it was. */
static inline struct cursor stream_cursor(const struct stream *stream)
{
    return cursor_of(buf_data(&stream->in), stream->in.len);
}

static inline void stream_consume(struct stream *stream, const struct cursor *in)
{
    buf_drop(&stream->in, stream->in.len - cursor_left(in));
}
