/* SPDX-License-Identifier: MIT */
#include "kit/buf.h"

#include <string.h>

#include "check/check.h"
#include "check/hex.h"
#include "kit/cursor.h"

TEST(bytes_come_out_in_the_order_they_went_in)
{
    struct buf buf;
    buf_init(&buf, 1000);
    CHECK_OK(buf_put_u16le(&buf, 0x0201));
    CHECK_OK(buf_put_u32le(&buf, 0x06050403));
    CHECK_OK(buf_put_str(&buf, "AB"));
    CHECK_OK(buf_put_format(&buf, "%d", 7));
    buf_drop(&buf, 1);
    CHECK(hex_equals(buf_data(&buf), buf.len, "02 03 04 05 06 41 42 37"));
    buf_fini(&buf);
}

TEST(a_buffer_never_grows_beyond_its_limit_and_remembers_the_failure)
{
    struct buf buf;
    buf_init(&buf, 10);
    CHECK_OK(buf_put(&buf, "0123456789", 10));
    CHECK_ERR(buf_put_byte(&buf, 'x'), ENOBUFS);
    buf_drop(&buf, 5);
    CHECK_ERR(buf_put_byte(&buf, 'x'), ENOBUFS);
    CHECK_EQ(buf.len, 5);
    buf_clear(&buf);
    CHECK_OK(buf_put(&buf, "0123456789", 10));
    CHECK_EQ(buf.capacity, 10);
    buf_fini(&buf);
}

TEST(a_queue_that_is_drained_as_fast_as_it_is_filled_stays_small)
{
    struct buf buf;
    buf_init(&buf, 1 << 20);
    for (int i = 0; i < 10000; i++) {
        CHECK_OK(buf_put(&buf, "abcdefghijkl", 12));
        CHECK_EQ(buf_data(&buf)[0], "abcdefghijkl"[(i * 11) % 12]);
        buf_drop(&buf, 11);
        if (buf.len > 100) buf_drop(&buf, (size_t)12 * 8);
    }
    CHECK(buf.capacity <= 512);
    buf_fini(&buf);
}

TEST(a_cursor_that_runs_dry_has_not_moved)
{
    struct cursor in = cursor_of("\1\2\3", 3);
    uint32_t value = 0;
    CHECK_ERR(cursor_get_u32le(&in, &value), EAGAIN);
    CHECK_EQ(cursor_left(&in), 3);
    uint16_t half = 0;
    CHECK_OK(cursor_get_u16le(&in, &half));
    CHECK_EQ(half, 0x0201);
    struct cursor empty = cursor_of(NULL, 0);
    uint8_t byte = 0;
    CHECK_ERR(cursor_get_byte(&empty, &byte), EAGAIN);
}
