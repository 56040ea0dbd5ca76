/* SPDX-License-Identifier: MIT */
#include "protocol/varint.h"

#include <string.h>

#include "check/check.h"
#include "check/hex.h"

static bool varint_is(int32_t value, const char *hex)
{
    struct buf buf;
    buf_init(&buf, 100);
    CHECK_OK(varint_put(&buf, value));
    bool is_same = hex_equals(buf_data(&buf), buf.len, hex);

    int32_t got = 0;
    for (size_t len = 0; len < buf.len; len++) {
        struct cursor cut = cursor_of(buf_data(&buf), len);
        CHECK_ERR(varint_get(&cut, &got), EAGAIN);
        CHECK_EQ(cursor_left(&cut), len);
    }
    struct cursor in = cursor_of(buf_data(&buf), buf.len);
    CHECK_OK(varint_get(&in, &got));
    CHECK_EQ(got, value);
    CHECK_EQ(cursor_left(&in), 0);
    buf_fini(&buf);
    return is_same;
}

static bool varlong_is(unsigned bytes_min, int64_t value, const char *hex)
{
    struct buf buf;
    buf_init(&buf, 100);
    CHECK_OK(varlong_put(&buf, value, bytes_min));
    bool is_same = hex_equals(buf_data(&buf), buf.len, hex);

    int64_t got = 0;
    for (size_t len = 0; len < buf.len; len++) {
        struct cursor cut = cursor_of(buf_data(&buf), len);
        CHECK_ERR(varlong_get(&cut, bytes_min, &got), EAGAIN);
    }
    struct cursor in = cursor_of(buf_data(&buf), buf.len);
    CHECK_OK(varlong_get(&in, bytes_min, &got));
    CHECK_EQ(got, value);
    CHECK_EQ(cursor_left(&in), 0);
    buf_fini(&buf);
    return is_same;
}

TEST(varints_are_coded_as_the_protocol_says)
{
    CHECK(varint_is(0, "00"));
    CHECK(varint_is(127, "7f"));
    CHECK(varint_is(128, "80 80"));
    CHECK(varint_is(255, "80 ff"));
    CHECK(varint_is(256, "81 00"));
    CHECK(varint_is(511, "81 ff"));
    CHECK(varint_is(16383, "bf ff"));
    CHECK(varint_is(16384, "c0 00 40"));
    CHECK(varint_is(1048576, "d0 00 00"));
    CHECK(varint_is(INT32_MAX, "f0 ff ff ff 7f"));
    CHECK(varint_is(-1, "f0 ff ff ff ff"));
    CHECK(varint_is(INT32_MIN, "f0 00 00 00 80"));
}

TEST(varlongs_are_coded_as_the_protocol_says)
{
    CHECK(varlong_is(3, 0, "00 00 00"));
    CHECK(varlong_is(3, 5, "00 05 00"));
    CHECK(varlong_is(3, 65536, "01 00 00"));
    CHECK(varlong_is(3, 8388607, "7f ff ff"));
    CHECK(varlong_is(3, 8388608, "80 00 00 80"));
    CHECK(varlong_is(3, 1 << 30, "c0 00 00 00 40"));
    CHECK(varlong_is(3, 1ll << 32, "c1 00 00 00 00"));
    CHECK(varlong_is(3, 1000000000000, "e0 00 10 a5 d4 e8"));
    CHECK(varlong_is(4, 1700000000, "65 00 f1 53"));
    CHECK(varlong_is(4, 1ll << 31, "80 00 00 00 80"));
    CHECK(varlong_is(4, -1, "f8 ff ff ff ff ff ff ff ff"));
}

TEST(a_number_with_too_many_bytes_is_an_error)
{
    uint8_t bytes[16];
    memset(bytes, 0xff, sizeof bytes);
    struct cursor in = cursor_of(bytes, sizeof bytes);
    int32_t value = 0;
    CHECK_ERR(varint_get(&in, &value), EPROTO);
    bytes[0] = 0xf8;
    in = cursor_of(bytes, sizeof bytes);
    CHECK_ERR(varint_get(&in, &value), EPROTO);
    int64_t number = 0;
    bytes[0] = 0xff;
    in = cursor_of(bytes, sizeof bytes);
    CHECK_ERR(varlong_get(&in, 4, &number), EPROTO);
}

static void check_journey(struct buf *buf, int64_t value, unsigned bytes_min)
{
    buf_clear(buf);
    CHECK_OK(varlong_put(buf, value, bytes_min));
    struct cursor in = cursor_of(buf_data(buf), buf->len);
    int64_t got = 0;
    CHECK_OK(varlong_get(&in, bytes_min, &got));
    CHECK_EQ(got, value);
    CHECK_EQ(cursor_left(&in), 0);
}

TEST(every_size_of_number_survives_the_journey)
{
    struct buf buf;
    buf_init(&buf, 100);
    for (unsigned bits = 0; bits < 64; bits++) {
        for (int64_t nudge = -1; nudge <= 1; nudge++) {
            int64_t value = (int64_t)((1ull << bits) + (uint64_t)nudge);
            check_journey(&buf, value, 3);
            check_journey(&buf, value, 4);
        }
    }
    buf_fini(&buf);
}

TEST(a_string_has_one_or_two_bytes_of_length)
{
    static char text[40000];
    struct buf buf;
    buf_init(&buf, 100000);
    CHECK_OK(vstring_put(&buf, text, 127));
    CHECK_EQ(buf_data(&buf)[0], 127);
    buf_clear(&buf);
    CHECK_OK(vstring_put(&buf, text, 128));
    CHECK(hex_equals(buf_data(&buf), 2, "80 80"));
    buf_clear(&buf);
    CHECK_OK(vstring_put(&buf, text, 300));
    CHECK(hex_equals(buf_data(&buf), 2, "81 2c"));

    const uint8_t *got = NULL;
    size_t len = 0;
    struct cursor in = cursor_of(buf_data(&buf), buf.len - 1);
    CHECK_ERR(vstring_get(&in, 1000, &got, &len), EAGAIN);
    CHECK_EQ(cursor_left(&in), buf.len - 1);
    in = cursor_of(buf_data(&buf), buf.len);
    CHECK_ERR(vstring_get(&in, 299, &got, &len), EPROTO);
    CHECK_OK(vstring_get(&in, 300, &got, &len));
    CHECK_EQ(len, 300);
    CHECK_ERR(vstring_put(&buf, text, 0x8000), EINVAL);
    buf_fini(&buf);
}
