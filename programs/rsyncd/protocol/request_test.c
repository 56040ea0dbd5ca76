/* SPDX-License-Identifier: MIT */
#include "protocol/request.h"

#include <errno.h>
#include <string.h>

#include "check/check.h"
#include "check/hex.h"
#include "protocol/phase.h"

TEST(a_request_and_its_echo_are_the_same_bytes_however_cut)
{
    static struct request request = {.ndx = 3,
            .iflags = REQUEST_TRANSFER | REQUEST_HAS_BASIS | REQUEST_HAS_NAME,
            .basis = 0x83,
            .name_len = 3,
            .name = "abc"};
    struct ndx ours;
    struct buf out;
    ndx_init(&ours);
    buf_init(&out, 100);
    CHECK_OK(request_put(&ours, &request, &out));
    CHECK(hex_equals(buf_data(&out), out.len, "04 0098 83 03 616263"));

    static struct request got;
    struct ndx theirs;
    ndx_init(&theirs);
    for (size_t len = 0; len < out.len; len++) {
        struct cursor cut = cursor_of(buf_data(&out), len);
        CHECK_ERR(request_get(&theirs, &cut, 10, &got, NULL), EAGAIN);
    }
    struct cursor in = cursor_of(buf_data(&out), out.len);
    CHECK_OK(request_get(&theirs, &in, 10, &got, NULL));
    CHECK_EQ(got.ndx, 3);
    CHECK_EQ(got.iflags, request.iflags);
    CHECK_EQ(got.basis, 0x83);
    CHECK(strcmp(got.name, "abc") == 0);
    buf_fini(&out);
}

TEST(an_index_that_is_not_in_the_list_is_an_error)
{
    static struct request got;
    struct ndx ndx;
    struct fault fault = {};
    ndx_init(&ndx);
    struct cursor in = cursor_of("\x0b\x00\x80", 3);
    CHECK_ERR(request_get(&ndx, &in, 10, &got, &fault), EPROTO);
    CHECK(strcmp(fault.text, "file index 10 of 10") == 0);
    in = cursor_of("\xff\x64", 2);
    CHECK_ERR(request_get(&ndx, &in, 10, &got, &fault), EPROTO);
    in = cursor_of("\x00", 1);
    CHECK_OK(request_get(&ndx, &in, 10, &got, &fault));
    CHECK_EQ(got.ndx, NDX_DONE);
}

static int head_of(int32_t count, int32_t block, int32_t strong, int32_t remainder)
{
    struct sumhead head = {count, block, strong, remainder};
    struct sumhead got;
    struct buf out;
    buf_init(&out, 16);
    CHECK_OK(sumhead_put(&head, &out));
    struct cursor cut = cursor_of(buf_data(&out), 15);
    CHECK_ERR(sumhead_get(&cut, 16, &got, NULL), EAGAIN);
    struct cursor in = cursor_of(buf_data(&out), 16);
    int r = sumhead_get(&in, 16, &got, NULL);
    buf_fini(&out);
    return r;
}

TEST(every_limit_of_a_sum_head_is_checked)
{
    CHECK_OK(head_of(0, 0, 0, 0));
    CHECK_OK(head_of(5, 700, 2, 699));
    CHECK_OK(head_of(5, 131072, 16, 131072));
    CHECK_ERR(head_of(-1, 700, 2, 0), EPROTO);
    CHECK_ERR(head_of(INT32_MAX, 700, 2, 0), EPROTO);
    CHECK_ERR(head_of(5, 0, 2, 0), EPROTO);
    CHECK_ERR(head_of(5, -700, 2, 0), EPROTO);
    CHECK_ERR(head_of(5, 131073, 2, 0), EPROTO);
    CHECK_ERR(head_of(5, 700, 17, 0), EPROTO);
    CHECK_ERR(head_of(5, 700, -1, 0), EPROTO);
    CHECK_ERR(head_of(5, 700, 2, 701), EPROTO);
    CHECK_ERR(head_of(5, 700, 2, -1), EPROTO);
}

TEST(a_head_tells_the_length_of_the_basis)
{
    struct sumhead head = {.count = 3, .block_bytes = 700, .strong_bytes = 2, .remainder = 100};
    CHECK_EQ(sumhead_basis_bytes(&head), 1500);
    head.remainder = 0;
    CHECK_EQ(sumhead_basis_bytes(&head), 2100);
    CHECK_EQ(sumhead_block_len(&head, 2), 700);
    head = (struct sumhead){};
    CHECK_EQ(sumhead_basis_bytes(&head), 0);
}

TEST(statistics_survive_the_journey)
{
    struct stats stats = {1, 1ll << 40, 3, 0, 5};
    struct stats got;
    struct buf out;
    buf_init(&out, 100);
    CHECK_OK(stats_put(&stats, &out));
    struct cursor in = cursor_of(buf_data(&out), out.len);
    CHECK_OK(stats_get(&in, &got));
    CHECK(memcmp(&stats, &got, sizeof stats) == 0);
    buf_fini(&out);

    struct del_stats deleted = {{1, 2, 3, 4, 5}};
    struct del_stats deleted_got;
    struct ndx ndx;
    ndx_init(&ndx);
    CHECK_OK(del_stats_put(&ndx, &deleted, &out));
    CHECK(hex_equals(buf_data(&out), out.len, "ff02 01 02 03 04 05"));
    in = cursor_of(buf_data(&out) + 2, out.len - 2);
    CHECK_OK(del_stats_get(&in, &deleted_got, NULL));
    CHECK(memcmp(&deleted, &deleted_got, sizeof deleted) == 0);
    buf_fini(&out);
}

TEST(a_session_at_protocol_31_answers_four_dones_and_reads_five)
{
    struct phase phase;
    phase_init(&phase, 31);
    CHECK(phase_allows_request(&phase));
    CHECK_EQ(phase_on_done(&phase, NULL), PHASE_SEND_DONE);
    CHECK(phase_is_redo(&phase));
    CHECK_EQ(phase_on_done(&phase, NULL), PHASE_SEND_DONE);
    CHECK(!phase_allows_request(&phase));
    CHECK(phase_allows_del_stats(&phase));
    CHECK_EQ(phase_on_done(&phase, NULL), PHASE_SEND_IO_ERROR | PHASE_SEND_DONE | PHASE_SEND_STATS);
    CHECK_EQ(phase_on_done(&phase, NULL), PHASE_SEND_DONE);
    CHECK_EQ(phase_on_done(&phase, NULL), PHASE_CLOSE);
    CHECK_ERR(phase_on_done(&phase, NULL), EPROTO);
}

TEST(a_session_at_protocol_30_has_no_late_deletion)
{
    struct phase phase;
    phase_init(&phase, 30);
    CHECK_EQ(phase_on_done(&phase, NULL), PHASE_SEND_DONE);
    CHECK_EQ(phase_on_done(&phase, NULL), PHASE_SEND_DONE);
    CHECK_EQ(phase_on_done(&phase, NULL), PHASE_SEND_IO_ERROR | PHASE_SEND_DONE | PHASE_SEND_STATS);
    CHECK_EQ(phase_on_done(&phase, NULL), PHASE_CLOSE);
}
