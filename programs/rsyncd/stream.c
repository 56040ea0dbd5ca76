/* SPDX-License-Identifier: MIT */
#include "stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

enum {
    QUICKACK_BYTES = 256 << 10, /* enough for a small transfer, whose latency it is for */
    LINGER_BYTES_MAX = 64 << 20,
};

static const int64_t quickack_ns = 2 * SEAM_SECOND;

void stream_init(struct stream *stream, int fd)
{
    int64_t now = seam_now_ns();
    *stream = (struct stream){
            .fd = fd,
            .read_bytes_wanted = STREAM_HELLO_BYTES,
            .opened_ns = now,
            .active_ns = now,
            .spoke_ns = now,
    };
    buf_init(&stream->raw, STREAM_RAW_MAX);
    buf_init(&stream->in, STREAM_IN_MAX);
    buf_init(&stream->out, STREAM_OUT_MAX);
    demux_init(&stream->demux);
}

void stream_fini(struct stream *stream)
{
    if (stream->fd >= 0) (void)seam_close(stream->fd);
    stream->fd = -1;
    demux_fini(&stream->demux);
    buf_fini(&stream->out);
    buf_fini(&stream->in);
    buf_fini(&stream->raw);
}

static void end_frame(struct stream *stream)
{
    if (!stream->has_frame) return;

    stream->has_frame = false;
    (void)mux_end(&stream->out, stream->frame_mark); /* an error sticks to the buffer */
}

struct buf *stream_out(struct stream *stream)
{
    if (stream->writes_frames && !stream->has_frame) {
        stream->frame_mark = mux_begin(&stream->out);
        stream->has_frame = true;
    }
    return &stream->out;
}

struct buf *stream_messages(struct stream *stream)
{
    end_frame(stream);
    return &stream->out;
}

void stream_read_frames(struct stream *stream)
{
    stream->raw = stream->in;
    stream->raw.max = STREAM_RAW_MAX;
    buf_init(&stream->in, STREAM_IN_MAX);
    stream->reads_frames = true;
    stream->read_bytes_wanted = STREAM_READ_BYTES;
}

void stream_write_frames(struct stream *stream)
{
    stream->writes_frames = true;
}

/* The client's Nagle algorithm holds its next small write until we acknowledge the last one. The
 * kernel falls back to delayed acknowledgements by itself, so ask again after each read. */
static void ask_for_quick_acks(struct stream *stream)
{
    if (stream->read_bytes + stream->written_bytes > QUICKACK_BYTES) return;
    if (stream->active_ns - stream->opened_ns > quickack_ns) return;

    int on = 1;
    (void)setsockopt(stream->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

/* Take what is there without waiting. Bytes taken, 0 at the end of the stream, -EAGAIN. */
static SEAM_SUSPENDS ssize_t take_input(struct stream *stream)
{
    struct buf *into = stream->reads_frames ? &stream->raw : &stream->in;
    size_t wanted = stream->read_bytes_wanted;
    if (wanted > buf_room(into)) wanted = buf_room(into);
    if (wanted == 0) return -EMSGSIZE;

    uint8_t *room = buf_reserve(into, wanted);
    if (room == NULL) return into->error;

    ssize_t n = seam_read(stream->fd, room, wanted, SEAM_NOW);
    if (n < 0) return n;
    if (n == 0) {
        stream->is_ended = true;
        return 0;
    }

    buf_commit(into, (size_t)n);
    stream->read_bytes += n;
    stream->active_ns = seam_now_ns();
    ask_for_quick_acks(stream);
    return n;
}

static int64_t idle_deadline(const struct stream *stream)
{
    return stream->timeout_ns == 0 ? SEAM_FOREVER : stream->active_ns + stream->timeout_ns;
}

/* The socket takes no more. Wait until it does, and meanwhile take in what the peer says. */
static SEAM_SUSPENDS int await_room(struct stream *stream)
{
    const struct buf *into = stream->reads_frames ? &stream->raw : &stream->in;
    bool can_drain = !stream->is_ended && buf_room(into) > 0;
    unsigned events = SEAM_WRITABLE | (can_drain ? SEAM_READABLE : 0u);
    int r = seam_await_fd(stream->fd, events, idle_deadline(stream));
    if (r < 0) return r;
    if (!can_drain || (r & SEAM_READABLE) == 0) return 0;

    ssize_t n = take_input(stream);
    return n < 0 && n != -EAGAIN ? (int)n : 0;
}

SEAM_SUSPENDS int stream_flush(struct stream *stream)
{
    end_frame(stream);
    int r = stream->out.error;
    while (r == 0 && stream->out.len > 0) {
        ssize_t n = seam_write(stream->fd, buf_data(&stream->out), stream->out.len, SEAM_NOW);
        if (n > 0) {
            buf_drop(&stream->out, (size_t)n);
            stream->written_bytes += n;
            stream->active_ns = stream->spoke_ns = seam_now_ns();
        } else {
            r = n == -EAGAIN ? await_room(stream) : n < 0 ? (int)n : -EPIPE;
        }
    }
    return r;
}

SEAM_SUSPENDS int stream_spill(struct stream *stream)
{
    return stream->out.len >= STREAM_OUT_FULL ? stream_flush(stream) : 0;
}

SEAM_SUSPENDS int stream_keep_alive(struct stream *stream)
{
    if (stream->timeout_ns == 0 || !stream->writes_frames) return 0;
    if (seam_now_ns() - stream->spoke_ns < stream->timeout_ns / 2) return 0;

    (void)mux_put(stream_messages(stream), MUX_DATA, NULL, 0);
    return stream_flush(stream);
}

/* Move frames' contents from raw to in. 1 if in grew, 0 if more input is needed, or an error. */
static int unframe(struct stream *stream, struct fault *fault)
{
    bool grew = false;
    size_t room = buf_room(&stream->in);
    while (stream->raw.len > 0 && room > 0) {
        size_t len = stream->raw.len < room ? stream->raw.len : room;
        struct cursor raw = cursor_of(buf_data(&stream->raw), len);
        struct demux_event event;
        int r = demux_next(&stream->demux, &raw, &event, fault);
        size_t used = len - cursor_left(&raw);
        if (r == 0 && event.code == MUX_DATA) {
            r = buf_put(&stream->in, event.bytes, event.len);
            grew = true;
        } else if (r == 0 && event.code == MUX_ERROR_EXIT) {
            stream->has_peer_exit = true;
            stream->peer_exit = event.number;
            r = -ECONNABORTED;
        }
        buf_drop(&stream->raw, used);
        if (r == -EAGAIN && used == 0) break;
        if (r < 0 && r != -EAGAIN) return r;
        room = buf_room(&stream->in);
    }
    return grew ? 1 : 0;
}

/* Wait until the peer says something; say something ourselves if it takes long. */
static SEAM_SUSPENDS int await_input(struct stream *stream)
{
    int r = stream_flush(stream);
    if (r < 0) return r;
    if (stream->timeout_ns == 0 || !stream->writes_frames) {
        r = seam_await_fd(stream->fd, SEAM_READABLE, idle_deadline(stream));
        return r < 0 ? r : 0;
    }

    for (;;) {
        int64_t half = seam_after(stream->timeout_ns / 2);
        int64_t deadline = idle_deadline(stream);
        r = seam_await_fd(stream->fd, SEAM_READABLE, half < deadline ? half : deadline);
        if (r != -ETIMEDOUT) return r < 0 ? r : 0;
        /* Keep-alives of ours do not prove that the peer lives. */
        if (seam_now_ns() >= deadline) return -ETIMEDOUT;

        int64_t active = stream->active_ns;
        r = stream_keep_alive(stream);
        stream->active_ns = active;
        if (r < 0) return r;
    }
}

/* Bytes from the socket, waiting for them. How many, or an error; -EPIPE at the end. */
static SEAM_SUSPENDS ssize_t await_bytes(struct stream *stream)
{
    const struct buf *into = stream->reads_frames ? &stream->raw : &stream->in;
    /* Nothing allocated yet: the client is only connected. Do not pay for it before it speaks. */
    ssize_t n = into->capacity == 0 ? -EAGAIN : take_input(stream);
    while (n == -EAGAIN) {
        int r = await_input(stream);
        if (r < 0) return r;
        n = take_input(stream);
    }
    return n == 0 ? -EPIPE : n;
}

SEAM_SUSPENDS int stream_fill(struct stream *stream, struct fault *fault)
{
    if (buf_room(&stream->in) == 0) return -EMSGSIZE;

    int r = stream->reads_frames ? unframe(stream, fault) : 0;
    while (r == 0) {
        ssize_t n = stream->is_ended ? -EPIPE : await_bytes(stream);
        if (n < 0) return (int)n;
        r = stream->reads_frames ? unframe(stream, fault) : 1;
    }
    return r < 0 ? r : 0;
}

SEAM_SUSPENDS void stream_linger(struct stream *stream, int64_t deadline_ns)
{
    struct seam_scope scope;
    if (seam_scope_begin(&scope, NULL, deadline_ns) < 0) return;

    int r = stream_flush(stream);
    if (r == 0) r = seam_shutdown(stream->fd, SHUT_WR);
    int64_t discarded = 0;
    while (r == 0 && !stream->is_ended && discarded < LINGER_BYTES_MAX) {
        r = seam_await_fd(stream->fd, SEAM_READABLE, SEAM_FOREVER);
        if (r < 0) break;

        buf_clear(&stream->raw);
        buf_clear(&stream->in);
        ssize_t n = take_input(stream);
        if (n > 0) discarded += n;
        r = n < 0 && n != -EAGAIN ? (int)n : 0;
    }
    (void)seam_scope_end(&scope);
}
