/* SPDX-License-Identifier: MIT */
#include "protocol/mux.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

enum { CODE_BASE = 7, CODE_SHIFT = 24 };

void demux_init(struct demux *demux)
{
    *demux = (struct demux){};
    buf_init(&demux->message, MUX_MESSAGE_BYTES_MAX);
}

void demux_fini(struct demux *demux)
{
    buf_fini(&demux->message);
}

/* Codes that may be on the wire, and the payload lengths each allows. */
static bool is_acceptable(uint32_t code, uint32_t len)
{
    switch (code) {
    case MUX_DATA: return true;
    case MUX_ERROR_XFER:
    case MUX_INFO:
    case MUX_ERROR:
    case MUX_WARNING:
    case MUX_DELETED: return len <= MUX_MESSAGE_BYTES_MAX;
    case MUX_IO_ERROR:
    case MUX_IO_TIMEOUT:
    case MUX_SUCCESS:
    case MUX_NO_SEND: return len == 4;
    case MUX_ERROR_EXIT: return len == 0 || len == 4;
    case MUX_NOOP: return len == 0;
    default: return false;
    }
}

static bool has_number(enum mux_code code)
{
    return code == MUX_IO_ERROR || code == MUX_IO_TIMEOUT || code == MUX_SUCCESS
            || code == MUX_NO_SEND || code == MUX_ERROR_EXIT;
}

static int take_header(struct demux *demux, struct cursor *in, struct fault *fault)
{
    uint32_t header = 0;
    int r = cursor_get_u32le(in, &header);
    if (r < 0) return r;

    uint32_t len = header & MUX_FRAME_BYTES_MAX;
    uint32_t code = (header >> CODE_SHIFT) - CODE_BASE;
    if (header >> CODE_SHIFT < CODE_BASE || !is_acceptable(code, len)) {
        return fault_set(
                fault, -EPROTO, "invalid frame: tag %u, %u bytes", header >> CODE_SHIFT, len);
    }
    if (code == MUX_DATA) {
        demux->data_left = len;
        return 0;
    }
    demux->code = (enum mux_code)code;
    demux->message_left = len;
    demux->in_message = true;
    buf_clear(&demux->message);
    return 0;
}

/* Move payload bytes from in to the message; true when it is complete. */
static int collect_message(struct demux *demux, struct cursor *in, struct demux_event *out_event)
{
    size_t len = cursor_left(in) < demux->message_left ? cursor_left(in) : demux->message_left;
    int r = buf_put(&demux->message, in->at, len);
    if (r < 0) return r;

    if (len > 0) in->at += len;
    demux->message_left -= (uint32_t)len;
    if (demux->message_left > 0) return -EAGAIN;

    demux->in_message = false;
    *out_event = (struct demux_event){
            .code = demux->code, .bytes = buf_data(&demux->message), .len = demux->message.len};
    struct cursor payload = cursor_of(out_event->bytes, out_event->len);
    uint32_t number = 0;
    if (has_number(demux->code) && cursor_get_u32le(&payload, &number) == 0) {
        out_event->number = (int32_t)number;
    }
    return 0;
}

int demux_next(
        struct demux *demux, struct cursor *in, struct demux_event *out_event, struct fault *fault)
{
    for (;;) {
        if (demux->data_left > 0) {
            size_t len = cursor_left(in) < demux->data_left ? cursor_left(in) : demux->data_left;
            if (len == 0) return -EAGAIN;
            *out_event = (struct demux_event){.code = MUX_DATA, .bytes = in->at, .len = len};
            in->at += len;
            demux->data_left -= (uint32_t)len;
            return 0;
        }
        if (demux->in_message) {
            int r = collect_message(demux, in, out_event);
            if (r < 0) return r;
            if (demux->code != MUX_NOOP) return 0;
        }
        int r = take_header(demux, in, fault);
        if (r < 0) return r;
    }
}

static uint32_t header_of(enum mux_code code, size_t len)
{
    return ((uint32_t)code + CODE_BASE) << CODE_SHIFT | (uint32_t)len;
}

static bool is_text(enum mux_code code)
{
    return code == MUX_ERROR_XFER || code == MUX_INFO || code == MUX_ERROR || code == MUX_WARNING;
}

int mux_put(struct buf *out, enum mux_code code, const void *bytes, size_t len)
{
    if (is_text(code) && len > MUX_TEXT_BYTES_MAX) len = MUX_TEXT_BYTES_MAX;
    if (len > MUX_FRAME_BYTES_MAX) return -EMSGSIZE;
    /* All or nothing: half a frame would spoil the stream. */
    if (buf_reserve(out, MUX_HEADER_BYTES + len) == NULL) return out->error;
    (void)buf_put_u32le(out, header_of(code, len));
    return buf_put(out, bytes, len);
}

int mux_put_number(struct buf *out, enum mux_code code, int32_t number)
{
    if (buf_reserve(out, MUX_HEADER_BYTES + 4) == NULL) return out->error;
    (void)buf_put_u32le(out, header_of(code, 4));
    return buf_put_u32le(out, (uint32_t)number);
}

int mux_put_text(struct buf *out, enum mux_code code, const char *format, ...)
{
    char text[MUX_TEXT_BYTES_MAX + 1];
    va_list args;
    va_start(args, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): started in the line above */
    int len = vsnprintf(text, sizeof text - 1, format, args);
    va_end(args);
    if (len < 0) return -EINVAL;

    size_t text_len = (size_t)len < sizeof text - 1 ? (size_t)len : sizeof text - 2;
    if (text_len == 0 || text[text_len - 1] != '\n') text[text_len++] = '\n';
    return mux_put(out, code, text, text_len);
}

size_t mux_begin(struct buf *out)
{
    size_t mark = out->len;
    (void)buf_put_u32le(out, 0);
    return mark;
}

int mux_end(struct buf *out, size_t mark)
{
    if (out->error < 0) return out->error;
    size_t len = out->len - mark - MUX_HEADER_BYTES;
    if (len > MUX_FRAME_BYTES_MAX) return -EMSGSIZE;
    if (len == 0) {
        out->len = mark;
        return 0;
    }
    uint32_t header = header_of(MUX_DATA, len);
    uint8_t *at = buf_data(out) + mark;
    for (unsigned i = 0; i < MUX_HEADER_BYTES; i++) {
        at[i] = (uint8_t)(header >> 8 * i);
    }
    return 0;
}
