/* SPDX-License-Identifier: MIT */
#include "protocol/mux.h"

#include <errno.h>
#include <string.h>

#include "check/check.h"
#include "check/hex.h"

static int collect_events(struct demux *demux, struct cursor *in, struct buf *collected)
{
    struct demux_event event;
    int r = 0;
    while ((r = demux_next(demux, in, &event, NULL)) == 0) {
        if (event.code != MUX_DATA) {
            (void)buf_put_format(collected, "<%d:%d:", (int)event.code, event.number);
        }
        (void)buf_put(collected, event.bytes, event.len);
        if (event.code != MUX_DATA) (void)buf_put_str(collected, ">");
    }
    return r;
}

/* Goal: events do not depend on how the input is cut. Method: feed pieces of every length up to
 * the whole, keep what is left over, collect all data and messages as text. */
static void collect(const struct buf *input, size_t piece, struct buf *collected)
{
    struct demux demux;
    demux_init(&demux);
    struct buf kept;
    buf_init(&kept, 100000);
    for (size_t at = 0; at < input->len; at += piece) {
        size_t len = input->len - at < piece ? input->len - at : piece;
        CHECK_OK(buf_put(&kept, buf_data(input) + at, len));
        struct cursor in = cursor_of(buf_data(&kept), kept.len);
        CHECK_ERR(collect_events(&demux, &in, collected), EAGAIN);
        buf_drop(&kept, kept.len - cursor_left(&in));
    }
    CHECK_EQ(kept.len, 0);
    buf_fini(&kept);
    demux_fini(&demux);
}

TEST(events_do_not_depend_on_how_the_input_is_cut)
{
    struct buf input;
    struct buf collected;
    buf_init(&input, 1000);
    buf_init(&collected, 1000);
    CHECK_OK(mux_put(&input, MUX_DATA, "hello ", 6));
    CHECK_OK(mux_put(&input, MUX_DATA, NULL, 0));
    CHECK_OK(mux_put(&input, MUX_NOOP, NULL, 0));
    CHECK_OK(mux_put_text(&input, MUX_INFO, "note %d", 7));
    CHECK_OK(mux_put(&input, MUX_DATA, "world", 5));
    CHECK_OK(mux_put(&input, MUX_DELETED, "dir", 4));
    CHECK_OK(mux_put_number(&input, MUX_NO_SEND, 77));
    CHECK_OK(mux_put(&input, MUX_ERROR_EXIT, NULL, 0));
    static const char wanted[] = "hello <2:0:note 7\n>world<101:0:dir\0><102:77:M\0\0\0><86:0:>";
    for (size_t piece = 1; piece <= input.len; piece++) {
        buf_clear(&collected);
        collect(&input, piece, &collected);
        CHECK_EQ(collected.len, sizeof wanted - 1);
        CHECK(memcmp(buf_data(&collected), wanted, collected.len) == 0);
    }
    buf_fini(&input);
    buf_fini(&collected);
}

TEST(a_frame_header_is_little_endian_with_the_code_on_top)
{
    struct buf out;
    buf_init(&out, 100);
    CHECK_OK(mux_put(&out, MUX_DATA, "ab", 2));
    CHECK_OK(mux_put_number(&out, MUX_ERROR_EXIT, 4));
    CHECK(hex_equals(buf_data(&out), out.len, "02000007 6162 0400005d 04000000"));
    buf_fini(&out);
}

TEST(a_frame_written_in_place_gets_its_length_at_the_end)
{
    struct buf out;
    buf_init(&out, 100);
    size_t mark = mux_begin(&out);
    CHECK_OK(buf_put(&out, "abc", 3));
    CHECK_OK(mux_end(&out, mark));
    mark = mux_begin(&out);
    CHECK_OK(mux_end(&out, mark));
    CHECK(hex_equals(buf_data(&out), out.len, "03000007 616263"));
    buf_fini(&out);
}

TEST(frames_that_cannot_be_are_errors)
{
    static const char *const bad[] = {
            "00000006", "00000010", "01000031", "05000059", "0500006d", "01200009", "ffffffff"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t bytes[4];
        struct cursor in = cursor_of(bytes, hex_bytes(bad[i], bytes, sizeof bytes));
        struct demux demux;
        struct demux_event event;
        demux_init(&demux);
        CHECK_ERR(demux_next(&demux, &in, &event, NULL), EPROTO);
        demux_fini(&demux);
    }
}
