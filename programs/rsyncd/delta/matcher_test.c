/* SPDX-License-Identifier: MIT */
#include "delta/matcher.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check/check.h"
#include "check/hex.h"
#include "delta/token.h"

TEST(the_weak_sum_takes_bytes_as_signed)
{
    uint8_t bytes[256];
    for (int i = 0; i < 256; i++) {
        bytes[i] = (uint8_t)i;
    }
    CHECK_EQ(rolling_value(rolling_of((const uint8_t *)"abc", 3)), 0x024a0126);
    CHECK_EQ(rolling_value(rolling_of(bytes, sizeof bytes)), 0x6a80ff80);
}

TEST(sliding_is_the_same_as_summing_anew)
{
    uint8_t bytes[500];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 167 + i * i);
    }
    struct rolling sum = rolling_of(bytes, 64);
    for (size_t at = 0; at + 64 < sizeof bytes; at++) {
        CHECK_EQ(rolling_value(sum), rolling_value(rolling_of(bytes + at, 64)));
        sum = rolling_slide(sum, 64, bytes[at], bytes[at + 64]);
    }
}

static bool block_sum_is(enum hash_kind kind, bool is_seed_first, const char *hex)
{
    struct strong strong;
    uint8_t sum[HASH_BYTES_MAX];
    CHECK_OK(strong_init(&strong, kind, 0x12345678, is_seed_first));
    strong_block(&strong, (const uint8_t *)"hello world\n", 12, sum);
    strong_fini(&strong);
    return hex_equals(sum, hash_bytes(kind), hex);
}

TEST(strong_sums_are_seeded_as_the_protocol_says)
{
    CHECK(block_sum_is(HASH_MD5, true, "2946fdb2b5177ea1c15359d118e3b1f4"));
    CHECK(block_sum_is(HASH_MD5, false, "2297be57b05be7598bf03f571e4d94bc"));
    CHECK(block_sum_is(HASH_XXH128, true, "8b54e5096d9182c49ba5977cf26d5ba1"));
    CHECK(block_sum_is(HASH_XXH3, false, "dfafc2175093947a"));
    CHECK(block_sum_is(HASH_XXH64, true, "8664d51d7334d376"));
}

/* A basis, its sums as a generator would send them, and a file to be said in tokens. */
struct scene {
    const uint8_t *basis;
    size_t basis_len;
    const uint8_t *file;
    size_t file_len;
    int32_t block_bytes;
    int32_t strong_bytes;
    size_t chunk;
    bool is_inplace;
    int64_t matched_bytes; /* out */
};

static void load_blocks(const struct scene *scene, struct strong *strong, struct blocks *blocks)
{
    size_t block = (size_t)scene->block_bytes;
    int32_t count = (int32_t)((scene->basis_len + block - 1) / block);
    int32_t remainder = (int32_t)(scene->basis_len % block);
    CHECK_OK(blocks_init(
            blocks, count, scene->block_bytes, scene->strong_bytes, remainder, 1 << 20));
    struct buf sums;
    buf_init(&sums, 1 << 20);
    for (size_t at = 0; at < scene->basis_len; at += block) {
        size_t len = scene->basis_len - at < block ? scene->basis_len - at : block;
        uint8_t sum[HASH_BYTES_MAX];
        strong_block(strong, scene->basis + at, len, sum);
        (void)buf_put_u32le(&sums, rolling_value(rolling_of(scene->basis + at, len)));
        (void)buf_put(&sums, sum, (size_t)scene->strong_bytes);
    }
    /* In two pieces, cut where it hurts. */
    size_t first = sums.len / 2 + 1 < sums.len ? sums.len / 2 + 1 : 0;
    struct cursor in = cursor_of(buf_data(&sums), first);
    int r = blocks_feed(blocks, &in);
    CHECK(count == 0 ? r == 0 : r == -EAGAIN);
    buf_drop(&sums, first - cursor_left(&in));
    in = cursor_of(buf_data(&sums), sums.len);
    CHECK_OK(blocks_feed(blocks, &in));
    CHECK_EQ(cursor_left(&in), 0);
    buf_fini(&sums);
}

/* The receiver: tokens applied to the basis give the file, and the sum is right. */
static void check_tokens(const struct scene *scene, const struct buf *out)
{
    uint8_t *rebuilt = calloc(1, scene->file_len + scene->basis_len + 1);
    CHECK(rebuilt != NULL);
    struct token_reader reader = {};
    struct token token;
    struct cursor in = cursor_of(buf_data(out), out->len);
    size_t len = 0;
    size_t block = (size_t)scene->block_bytes;
    int32_t count = (int32_t)((scene->basis_len + block - 1) / block);
    for (;;) {
        CHECK_OK(token_get(&reader, &in, count, &token, NULL));
        if (token.kind == TOKEN_END) break;
        const uint8_t *bytes = token.bytes;
        size_t bytes_len = token.len;
        if (token.kind == TOKEN_COPY) {
            size_t at = (size_t)token.block * block;
            bytes = scene->basis + at;
            bytes_len = scene->basis_len - at < block ? scene->basis_len - at : block;
            if (scene->is_inplace) CHECK(at >= len);
        }
        CHECK(len + bytes_len <= scene->file_len);
        /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): CHECK() above saw to it */
        memcpy(rebuilt + len, bytes, bytes_len);
        len += bytes_len;
    }
    CHECK_EQ(len, scene->file_len);
    /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): as above */
    CHECK(memcmp(rebuilt, scene->file, len) == 0);
    free(rebuilt);

    struct hash whole;
    uint8_t sum[HASH_BYTES_MAX];
    CHECK_OK(hash_init(&whole, HASH_MD5, 0));
    hash_update(&whole, scene->file, scene->file_len);
    hash_final(&whole, sum);
    hash_fini(&whole);
    CHECK_EQ(cursor_left(&in), 16);
    CHECK(memcmp(in.at, sum, 16) == 0);
}

static void play(struct scene *scene)
{
    struct strong strong;
    struct blocks blocks;
    struct matcher matcher;
    struct buf out;
    CHECK_OK(strong_init(&strong, HASH_MD5, 77, true));
    load_blocks(scene, &strong, &blocks);
    struct matcher_options options = {.blocks = &blocks,
            .strong = &strong,
            .whole_sum = HASH_MD5,
            .is_inplace = scene->is_inplace};
    CHECK_OK(matcher_init(&matcher, &options));
    buf_init(&out, 1 << 22);
    for (size_t at = 0; at < scene->file_len; at += scene->chunk) {
        size_t len = scene->file_len - at < scene->chunk ? scene->file_len - at : scene->chunk;
        size_t before = out.len;
        size_t promised = matcher_out_max(&matcher, len);
        CHECK_OK(matcher_feed(&matcher, scene->file + at, len, &out));
        CHECK(out.len - before <= promised);
        CHECK(matcher.window_capacity <= (size_t)scene->block_bytes + scene->chunk);
    }
    CHECK_OK(matcher_finish(&matcher, false, &out));
    CHECK_EQ(matcher.literal_bytes + matcher.matched_bytes, (long long)scene->file_len);
    scene->matched_bytes = matcher.matched_bytes;
    check_tokens(scene, &out);
    buf_fini(&out);
    matcher_fini(&matcher);
    blocks_fini(&blocks);
    strong_fini(&strong);
}

static void fill(uint8_t *bytes, size_t len, uint32_t seed)
{
    for (size_t i = 0; i < len; i++) {
        seed = seed * 1664525 + 1013904223;
        bytes[i] = (uint8_t)(seed >> 24);
    }
}

TEST(an_unchanged_file_is_all_copies_down_to_the_short_last_block)
{
    static uint8_t bytes[5000];
    fill(bytes, sizeof bytes, 1);
    for (size_t chunk = 1; chunk <= 5000; chunk = chunk * 3 + 7) {
        struct scene scene = {bytes, 5000, bytes, 5000, 700, 2, chunk, false, 0};
        play(&scene);
        CHECK_EQ(scene.matched_bytes, 5000);
    }
}

TEST(an_insertion_costs_little_more_than_itself)
{
    static uint8_t basis[10000];
    static uint8_t file[10100];
    fill(basis, sizeof basis, 2);
    memcpy(file, basis, 3333);
    fill(file + 3333, 100, 3);
    memcpy(file + 3433, basis + 3333, 6667);
    struct scene scene = {basis, 10000, file, 10100, 500, 16, 777, false, 0};
    play(&scene);
    CHECK(scene.matched_bytes >= 9500);
}

TEST(in_place_no_block_is_used_that_was_overwritten)
{
    static uint8_t basis[4000];
    static uint8_t file[4400];
    fill(basis, sizeof basis, 4);
    memcpy(file + 400, basis, 4000);
    struct scene scene = {basis, 4000, file, 4400, 100, 16, 1000, true, 0};
    play(&scene);
    CHECK_EQ(scene.matched_bytes, 0);
    memcpy(file, basis + 400, 3600);
    scene.file_len = 3600;
    play(&scene);
    CHECK_EQ(scene.matched_bytes, 3600);
}

static void play_in_small_blocks(const uint8_t *bytes, size_t basis_len, size_t file_len)
{
    for (int32_t block = 1; block < 9; block++) {
        struct scene scene = {bytes, basis_len, bytes + basis_len % 5, file_len, block, 16,
                1 + file_len % 7, basis_len % 2 == 0, 0};
        play(&scene);
    }
}

TEST(files_and_bases_of_every_small_size_come_out_right)
{
    static uint8_t bytes[64];
    fill(bytes, sizeof bytes, 5);
    bytes[10] = bytes[11];
    for (size_t basis_len = 0; basis_len < 24; basis_len++) {
        for (size_t file_len = 0; file_len < 24; file_len++) {
            play_in_small_blocks(bytes, basis_len, file_len);
        }
    }
}

TEST(a_file_of_one_byte_repeated_is_matched_in_order)
{
    static uint8_t zeros[100000];
    struct scene scene = {zeros, 100000, zeros, 99999, 10, 2, 4096, false, 0};
    play(&scene);
    CHECK(scene.matched_bytes >= 99990);
}

TEST(appending_says_only_what_the_receiver_lacks)
{
    struct matcher matcher;
    struct buf out;
    buf_init(&out, 1000);
    struct matcher_options options = {.whole_sum = HASH_MD5, .append_from = 5};
    CHECK_OK(matcher_init(&matcher, &options));
    CHECK_OK(matcher_feed(&matcher, (const uint8_t *)"1234", 4, &out));
    CHECK_OK(matcher_feed(&matcher, (const uint8_t *)"5abc", 4, &out));
    CHECK_OK(matcher_finish(&matcher, false, &out));
    CHECK(hex_equals(
            buf_data(&out), out.len, "03000000 616263 00000000 900150983cd24fb0d6963f7d28e17f72"));
    matcher_fini(&matcher);
    buf_fini(&out);
}

TEST(a_read_error_spoils_the_sum_on_purpose)
{
    struct matcher matcher;
    struct buf out;
    buf_init(&out, 1000);
    struct matcher_options options = {.whole_sum = HASH_XXH64};
    CHECK_OK(matcher_init(&matcher, &options));
    CHECK_OK(matcher_finish(&matcher, true, &out));
    CHECK(hex_equals(buf_data(&out), out.len, "00000000 0000000000000000"));
    matcher_fini(&matcher);
    buf_fini(&out);
}

TEST(a_promise_of_too_many_blocks_is_refused_before_memory_is_spent)
{
    struct blocks blocks;
    CHECK_ERR(blocks_init(&blocks, 1 << 28, 700, 16, 0, 64 << 20), E2BIG);
    CHECK_OK(blocks_init(&blocks, 1 << 20, 700, 16, 0, 64 << 20));
    CHECK(blocks.weak == NULL);
}

TEST(a_token_for_a_block_that_is_not_there_is_an_error)
{
    struct token_reader reader = {};
    struct token token;
    struct cursor in = cursor_of("\xfd\xff\xff\xff", 4);
    CHECK_ERR(token_get(&reader, &in, 2, &token, NULL), EPROTO);
    CHECK_OK(token_get(&reader, &in, 3, &token, NULL));
    CHECK_EQ(token.block, 2);
    in = cursor_of("\x00\x00\x00\x80", 4);
    CHECK_ERR(token_get(&reader, &in, INT32_MAX, &token, NULL), EPROTO);
}
