/* SPDX-License-Identifier: MIT */
/*
 * Integers, indices, strings and frames. Whatever is decoded, encoded and decoded again is the
 * same; and frames do not depend on how the input is cut.
 */
#include "fuzz.h"
#include "protocol/mux.h"
#include "protocol/ndx.h"
#include "protocol/varint.h"

#ifdef FUZZ_PLANT
/* A copy of vstring_get() with a mistake that people make: one byte too many is believed to be
 * there. tools/fuzz --selftest must find it, or our fuzzing finds nothing. */
static int planted_vstring_get(
        struct cursor *in, size_t len_max, const uint8_t **out_bytes, size_t *out_len)
{
    struct cursor at = *in;
    uint8_t first = 0;
    int r = cursor_get_byte(&at, &first);
    if (r < 0) return r;
    size_t len = first;
    if (len > len_max) return -EPROTO;
    if (cursor_left(&at) + 1 < len) return -EAGAIN;
    *out_bytes = at.at;
    *out_len = len;
    at.at += len;
    if (at.at > at.end) at.at = at.end;
    *in = at;
    return 0;
}
#define vstring_get planted_vstring_get
#endif

static void try_integers(struct cursor in)
{
    struct buf out;
    buf_init(&out, 64);
    while (cursor_left(&in) > 0) {
        int32_t small = 0;
        int32_t small_again = 0;
        int64_t big = 0;
        int64_t big_again = 0;
        struct cursor at = in;
        buf_clear(&out);
        if (varint_get(&at, &small) == 0) {
            FUZZ_CHECK(varint_put(&out, small) == 0);
            struct cursor back = cursor_of(buf_data(&out), out.len);
            FUZZ_CHECK(varint_get(&back, &small_again) == 0 && small == small_again);
            FUZZ_CHECK(cursor_left(&back) == 0);
        }
        buf_clear(&out);
        at = in;
        unsigned bytes_min = 3 + (*in.at & 1);
        if (varlong_get(&at, bytes_min, &big) == 0) {
            FUZZ_CHECK(varlong_put(&out, big, bytes_min) == 0);
            struct cursor back = cursor_of(buf_data(&out), out.len);
            FUZZ_CHECK(varlong_get(&back, bytes_min, &big_again) == 0 && big == big_again);
            FUZZ_CHECK(cursor_left(&back) == 0);
        }
        in.at++;
    }
    buf_fini(&out);
}

static void try_strings(struct cursor in)
{
    const uint8_t *text = NULL;
    size_t len = 0;
    unsigned total = 0;
    while (vstring_get(&in, 300, &text, &len) == 0) {
        for (size_t i = 0; i < len; i++) {
            total += text[i];
        }
        if (len == 0 && cursor_left(&in) == 0) break;
    }
    FUZZ_CHECK(total < UINT32_MAX);
}

static void try_indices(struct cursor in)
{
    struct ndx reader;
    struct ndx writer;
    struct ndx checker;
    struct buf out;
    buf_init(&out, 64);
    ndx_init(&reader);
    ndx_init(&writer);
    ndx_init(&checker);
    int32_t value = 0;
    while (ndx_get(&reader, &in, &value) == 0) {
        /* Negative numbers that have no short form of their own stay within the coder's range. */
        int32_t again = 0;
        buf_clear(&out);
        if (value == 0 && reader.prev_negative == 0) break;
        FUZZ_CHECK(ndx_put(&writer, &out, value) == 0);
        struct cursor back = cursor_of(buf_data(&out), out.len);
        FUZZ_CHECK(ndx_get(&checker, &back, &again) == 0);
        FUZZ_CHECK(again == value && cursor_left(&back) == 0);
    }
    buf_fini(&out);
}

/* Every event as text, and how it ended. */
static int play_frames(const uint8_t *bytes, size_t len, size_t piece, struct buf *events)
{
    struct demux demux;
    struct buf kept;
    demux_init(&demux);
    buf_init(&kept, 1 << 20);
    int r = -EAGAIN;
    for (size_t at = 0; at < len && r == -EAGAIN; at += piece) {
        size_t here = len - at < piece ? len - at : piece;
        FUZZ_CHECK(buf_put(&kept, bytes + at, here) == 0);
        struct cursor in = cursor_of(buf_data(&kept), kept.len);
        struct demux_event event;
        while ((r = demux_next(&demux, &in, &event, NULL)) == 0) {
            if (event.code != MUX_DATA) (void)buf_put_byte(events, event.code);
            (void)buf_put(events, event.bytes, event.len);
        }
        buf_drop(&kept, kept.len - cursor_left(&in));
    }
    buf_fini(&kept);
    demux_fini(&demux);
    return r;
}

static void try_frames(struct cursor in)
{
    struct buf whole;
    struct buf pieces;
    size_t piece = 1 + fuzz_choice(&in) % 7;
    buf_init(&whole, 1 << 20);
    buf_init(&pieces, 1 << 20);
    int r = play_frames(in.at, cursor_left(&in), cursor_left(&in) + 1, &whole);
    FUZZ_CHECK(r == play_frames(in.at, cursor_left(&in), piece, &pieces));
    FUZZ_CHECK(whole.len == pieces.len);
    FUZZ_CHECK(whole.len == 0 || memcmp(buf_data(&whole), buf_data(&pieces), whole.len) == 0);
    buf_fini(&whole);
    buf_fini(&pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct cursor in = cursor_of(bytes, len);
    switch (fuzz_choice(&in) & 3) {
    case 0: try_integers(in); break;
    case 1: try_strings(in); break;
    case 2: try_indices(in); break;
    default: try_frames(in); break;
    }
    return 0;
}
