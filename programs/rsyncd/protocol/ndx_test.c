/* SPDX-License-Identifier: MIT */
#include "protocol/ndx.h"

#include "check/check.h"
#include "check/hex.h"

static const int32_t sequence[] = {0, 1, 5, 300, 299, 40000, 40001, -101, -102, -2, -3, -1, 40002};
static const char sequence_hex[] = "01 01 04 fe0127 fe802b0100 fe80409c00 01 ff64 ff01 fffe80020000"
                                   " ff01 00 01";
enum { SEQUENCE_COUNT = sizeof sequence / sizeof sequence[0] };

TEST(a_sequence_of_indices_is_coded_as_the_protocol_says)
{
    struct ndx ndx;
    struct buf buf;
    ndx_init(&ndx);
    buf_init(&buf, 1000);
    for (int i = 0; i < SEQUENCE_COUNT; i++) {
        CHECK_OK(ndx_put(&ndx, &buf, sequence[i]));
    }
    CHECK(hex_equals(buf_data(&buf), buf.len, sequence_hex));
    buf_fini(&buf);
}

/* Method: whatever the cut, -EAGAIN leaves state and cursor alone, and the rest completes. */
TEST(indices_arrive_whole_however_the_bytes_are_cut)
{
    uint8_t bytes[100];
    size_t len = hex_bytes(sequence_hex, bytes, sizeof bytes);
    struct ndx ndx;
    ndx_init(&ndx);
    size_t at = 0;
    for (int i = 0; i < SEQUENCE_COUNT; i++) {
        int32_t value = 0;
        int r = -EAGAIN;
        for (size_t visible = at; r == -EAGAIN; visible++) {
            CHECK(visible <= len);
            struct cursor in = cursor_of(bytes + at, visible - at);
            size_t before = cursor_left(&in);
            r = ndx_get(&ndx, &in, &value);
            if (r == 0) at += before - cursor_left(&in);
        }
        CHECK_OK(r);
        CHECK_EQ(value, sequence[i]);
    }
    CHECK_EQ(at, len);
}

TEST(an_index_beyond_31_bits_is_an_error)
{
    struct ndx ndx;
    ndx_init(&ndx);
    uint8_t bytes[] = {0xfe, 0xff, 0xff, 0xff, 0xff, 0x01};
    struct cursor in = cursor_of(bytes, sizeof bytes);
    int32_t value = 0;
    CHECK_OK(ndx_get(&ndx, &in, &value));
    CHECK_EQ(value, INT32_MAX);
    CHECK_ERR(ndx_get(&ndx, &in, &value), EPROTO);
}
