/* SPDX-License-Identifier: MIT */
#include "protocol/flist_coder.h"

#include <errno.h>
#include <string.h>

#include "check/check.h"
#include "check/hex.h"
#include "protocol/idlist.h"

static const struct flist_terms everything = {.protocol = 32,
        .has_varint_flags = true,
        .has_safe_errors = true,
        .keep_links = true,
        .keep_owner = true,
        .keep_group = true,
        .keep_devices = true,
        .keep_specials = true,
        .keep_hard_links = true,
        .sum_bytes = 4};

static const struct flist_item items[] = {
        {.path = ".",
                .path_len = 1,
                .mode = 040755,
                .size = 4096,
                .mtime = 1700000000,
                .hlink = FLIST_HLINK_NONE,
                .is_top_dir = true},
        {.path = "file",
                .path_len = 4,
                .mode = 0100644,
                .size = 1000000000000,
                .mtime = 1700000000,
                .mtime_ns = 999999999,
                .uid = 1000,
                .gid = 100,
                .sum = (const uint8_t *)"abcd",
                .sum_len = 4,
                .hlink = FLIST_HLINK_NONE},
        {.path = "file2",
                .path_len = 5,
                .mode = 0100644,
                .size = 0,
                .mtime = -1,
                .uid = 1000,
                .gid = 100,
                .sum = (const uint8_t *)"efgh",
                .sum_len = 4,
                .hlink = FLIST_HLINK_FIRST},
        {.path = "file3",
                .path_len = 5,
                .mode = 0100644,
                .mtime = -1,
                .uid = 1000,
                .gid = 100,
                .sum = (const uint8_t *)"efgh",
                .sum_len = 4,
                .hlink = 2},
        {.path = "link",
                .path_len = 4,
                .mode = 0120777,
                .size = 6,
                .mtime = 5,
                .target = "../../x",
                .target_len = 7,
                .hlink = FLIST_HLINK_NONE},
        {.path = "null",
                .path_len = 4,
                .mode = 020666,
                .mtime = 5,
                .rdev_major = 1,
                .rdev_minor = 3,
                .hlink = FLIST_HLINK_NONE},
        {.path = "zero",
                .path_len = 4,
                .mode = 020666,
                .mtime = 5,
                .rdev_major = 1,
                .rdev_minor = 5,
                .hlink = FLIST_HLINK_NONE},
        {.path = "fifo", .path_len = 4, .mode = 010644, .mtime = 5, .hlink = FLIST_HLINK_NONE},
        {.path = "mount",
                .path_len = 5,
                .mode = 040700,
                .mtime = 5,
                .hlink = FLIST_HLINK_NONE,
                .no_content = true},
};
enum { ITEMS_COUNT = sizeof items / sizeof items[0] };

static bool is_same_item(const struct flist_item *got, const struct flist_item *sent,
        const struct flist_terms *terms)
{
    CHECK(strcmp(got->path, sent->path) == 0);
    CHECK_EQ(got->hlink, terms->keep_hard_links ? sent->hlink : FLIST_HLINK_NONE);
    if (got->hlink >= 0) return true;
    CHECK_EQ(got->mode, sent->mode);
    CHECK_EQ(got->mtime, sent->mtime);
    CHECK_EQ(got->mtime_ns, terms->protocol >= 31 ? sent->mtime_ns : 0);
    if (terms->keep_owner) CHECK_EQ(got->uid, sent->uid);
    if (terms->keep_group) CHECK_EQ(got->gid, sent->gid);
    CHECK_EQ(got->is_top_dir, sent->is_top_dir);
    CHECK_EQ(got->no_content, sent->no_content);
    if (terms->keep_links) CHECK_EQ(got->target_len, sent->target_len);
    if (terms->keep_devices) CHECK_EQ(got->rdev_minor, sent->rdev_minor);
    if (terms->sum_bytes > 0) CHECK_EQ(got->sum_len, sent->sum_len);
    return true;
}

/* Goal: what one coder writes another reads, cut anywhere. Method: show the reader one byte more
 * until an entry is whole. */
static void check_round_trip(const struct flist_terms *terms)
{
    static struct flist_coder writer;
    static struct flist_coder reader;
    struct buf out;
    buf_init(&out, 10000);
    flist_coder_init(&writer, terms);
    flist_coder_init(&reader, terms);
    for (int i = 0; i < ITEMS_COUNT; i++) {
        CHECK_OK(flist_write_entry(&writer, &items[i], &out));
    }
    CHECK_OK(flist_write_end(&writer, 2, &out));

    size_t at = 0;
    for (int i = 0; i <= ITEMS_COUNT; i++) {
        struct flist_item got;
        int32_t io_error = 0;
        int r = -EAGAIN;
        for (size_t visible = at; r == -EAGAIN; visible++) {
            CHECK(visible <= out.len);
            struct cursor in = cursor_of(buf_data(&out) + at, visible - at);
            r = flist_read_entry(&reader, &in, &got, &io_error, NULL);
            if (r >= 0) at = visible - cursor_left(&in);
        }
        CHECK_EQ(r, i < ITEMS_COUNT ? FLIST_ENTRY : FLIST_END);
        if (r == FLIST_ENTRY) CHECK(is_same_item(&got, &items[i], terms));
        if (r == FLIST_ENTRY && got.hlink >= 0) flist_coder_follow(&reader, &items[got.hlink]);
        if (r == FLIST_END) CHECK_EQ(io_error, terms->has_safe_errors ? 2 : 0);
    }
    CHECK_EQ(at, out.len);
    buf_fini(&out);
}

TEST(what_is_written_is_read_under_all_terms)
{
    for (unsigned bits = 0; bits < 1u << 9; bits++) {
        struct flist_terms terms = {.protocol = (bits & 1) != 0 ? 32 : 30,
                .has_varint_flags = (bits & 2) != 0,
                .keep_links = (bits & 4) != 0,
                .keep_owner = (bits & 8) != 0,
                .keep_group = (bits & 16) != 0,
                .keep_devices = (bits & 32) != 0,
                .keep_specials = (bits & 64) != 0,
                .keep_hard_links = (bits & 128) != 0,
                .sum_bytes = (bits & 256) != 0 ? 4 : 0};
        terms.has_safe_errors = terms.protocol >= 31 || terms.has_varint_flags;
        check_round_trip(&terms);
    }
}

static bool writes(const struct flist_terms *terms, const char *hex)
{
    static struct flist_coder coder;
    struct buf out;
    buf_init(&out, 1000);
    flist_coder_init(&coder, terms);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(flist_write_entry(&coder, &items[i], &out));
    }
    CHECK_OK(flist_write_end(&coder, 0, &out));
    bool is_same = hex_equals(buf_data(&out), out.len, hex);
    buf_fini(&out);
    return is_same;
}

TEST(entries_look_as_the_protocol_says)
{
    CHECK(writes(&everything,
            "01 01 2e 00 00 10 6500f153 ed410000 00 00"
            "a0 80 04 66696c65 e0 00 10 a5 d4 e8 f0 ff c9 9a 3b a4 81 00 00"
            "83e8 64 61626364 00 00"));
    struct flist_terms plain = {.protocol = 30};
    CHECK(writes(&plain,
            "19 01 2e 00 00 10 6500f153 ed410000"
            "98 04 66696c65 e0 00 10 a5 d4 e8 a4810000 00"));
}

TEST(flags_that_would_be_zero_do_not_look_like_the_end)
{
    static struct flist_coder coder;
    struct buf out;
    buf_init(&out, 1000);
    struct flist_terms terms = {.protocol = 30, .keep_owner = true, .keep_group = true};
    flist_coder_init(&coder, &terms);
    struct flist_item file = {
            .path = "f", .path_len = 1, .mode = 0100644, .mtime = 1, .hlink = FLIST_HLINK_NONE};
    struct flist_item dir = {.path = "d",
            .path_len = 1,
            .mode = 040755,
            .mtime = 2,
            .uid = 1,
            .gid = 1,
            .hlink = FLIST_HLINK_NONE};
    CHECK_OK(flist_write_entry(&coder, &file, &out));
    CHECK(hex_equals(buf_data(&out), 1, "01"));
    buf_clear(&out);
    CHECK_OK(flist_write_entry(&coder, &dir, &out));
    CHECK(hex_equals(buf_data(&out), 2, "04 00"));
    buf_clear(&out);
    terms.has_varint_flags = true;
    flist_coder_init(&coder, &terms);
    CHECK_OK(flist_write_entry(&coder, &dir, &out));
    CHECK(hex_equals(buf_data(&out), 1, "04"));
    buf_fini(&out);
}

TEST(hostile_entries_are_rejected)
{
    /* flags, then a name: absolute, climbing, with a NUL, with more prefix than there is. */
    static const char *const bad[] = {"02 02 2f61 000000", "02 05 612f2e2e2f 000000",
            "02 03 610062 000000", "22 05 01 61 000000", "42 f0ffffff7f", "808000",
            "02 01 61 000000 00000000" /* mode 0 */};
    static const struct flist_terms terms = {.protocol = 31, .has_varint_flags = true};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        static struct flist_coder coder;
        uint8_t bytes[64];
        size_t len = hex_bytes(bad[i], bytes, 40);
        memset(bytes + len, 0, sizeof bytes - len);
        flist_coder_init(&coder, &terms);
        struct cursor in = cursor_of(bytes, sizeof bytes);
        struct flist_item item;
        int32_t io_error = 0;
        CHECK_ERR(flist_read_entry(&coder, &in, &item, &io_error, NULL), EPROTO);
    }
}

TEST(id_lists_are_numbers_with_names_and_a_zero)
{
    struct buf out;
    buf_init(&out, 1000);
    CHECK_OK(idlist_put(&out, 1000, "user"));
    CHECK_OK(idlist_put(&out, 7, ""));
    CHECK_OK(idlist_put_end(&out, true, "root"));
    CHECK(hex_equals(buf_data(&out), out.len, "83e8 04 75736572 00 04 726f6f74"));
    struct cursor in = cursor_of(buf_data(&out), out.len);
    struct idlist_item item;
    CHECK_EQ(idlist_get(&in, true, &item, NULL), 1);
    CHECK(item.id == 1000 && strcmp(item.name, "user") == 0);
    CHECK_EQ(idlist_get(&in, true, &item, NULL), 0);
    CHECK(strcmp(item.name, "root") == 0);
    buf_fini(&out);
}

TEST(a_set_of_ids_holds_each_once_in_order)
{
    struct idset set;
    idset_init(&set);
    for (uint32_t i = 0; i < 1000; i++) {
        CHECK_EQ(idset_add(&set, i * 7919 % 1000), 1);
    }
    CHECK_EQ(idset_add(&set, 500), 0);
    CHECK_EQ(set.count, 1000);
    for (uint32_t i = 0; i < 1000; i++) {
        CHECK_EQ(set.ids[i], i);
    }
    idset_fini(&set);
}
