/* SPDX-License-Identifier: MIT */
/*
 * Any file against any basis: the tokens, applied to the basis, give the file again, within the
 * promised output and memory, and in place no overwritten block is used.
 */
#include "delta/matcher.h"

#include "delta/token.h"
#include "fuzz.h"

enum { STRONG_BYTES = 8 };

struct scene {
    struct cursor basis;
    struct cursor file;
    size_t block;
    size_t chunk;
    bool is_inplace;
};

static size_t block_len(const struct scene *scene, size_t at)
{
    size_t left = cursor_left(&scene->basis) - at;
    return left < scene->block ? left : scene->block;
}

static int32_t blocks_count(const struct scene *scene)
{
    return (int32_t)((cursor_left(&scene->basis) + scene->block - 1) / scene->block);
}

static void load_blocks(const struct scene *scene, struct strong *strong, struct blocks *blocks)
{
    size_t basis_len = cursor_left(&scene->basis);
    struct buf sums;
    buf_init(&sums, 1 << 20);
    for (size_t at = 0; at < basis_len; at += scene->block) {
        uint8_t sum[HASH_BYTES_MAX];
        size_t len = block_len(scene, at);
        strong_block(strong, scene->basis.at + at, len, sum);
        (void)buf_put_u32le(&sums, rolling_value(rolling_of(scene->basis.at + at, len)));
        (void)buf_put(&sums, sum, STRONG_BYTES);
    }
    int r = blocks_init(blocks, blocks_count(scene), (int32_t)scene->block, STRONG_BYTES,
            (int32_t)(basis_len % scene->block), 1 << 20);
    FUZZ_CHECK(r == 0);
    struct cursor in = cursor_of(buf_data(&sums), sums.len);
    FUZZ_CHECK(blocks_feed(blocks, &in) == 0);
    buf_fini(&sums);
}

static void check_tokens(const struct scene *scene, const struct buf *out)
{
    struct token_reader reader = {};
    struct token token;
    struct cursor in = cursor_of(buf_data(out), out->len);
    size_t len = 0;
    for (;;) {
        FUZZ_CHECK(token_get(&reader, &in, blocks_count(scene), &token, NULL) == 0);
        if (token.kind == TOKEN_END) break;
        if (token.kind == TOKEN_COPY) {
            size_t at = (size_t)token.block * scene->block;
            FUZZ_CHECK(!scene->is_inplace || at >= len);
            token.bytes = scene->basis.at + at;
            token.len = block_len(scene, at);
        }
        FUZZ_CHECK(len + token.len <= cursor_left(&scene->file));
        FUZZ_CHECK(memcmp(scene->file.at + len, token.bytes, token.len) == 0);
        len += token.len;
    }
    FUZZ_CHECK(len == cursor_left(&scene->file));
    FUZZ_CHECK(cursor_left(&in) == 16);
}

static void play(const struct scene *scene)
{
    struct strong strong;
    struct blocks blocks;
    struct matcher matcher;
    struct buf out;
    FUZZ_CHECK(strong_init(&strong, HASH_XXH64, 7, true) == 0);
    load_blocks(scene, &strong, &blocks);
    struct matcher_options options = {.blocks = &blocks,
            .strong = &strong,
            .whole_sum = HASH_XXH128,
            .is_inplace = scene->is_inplace};
    FUZZ_CHECK(matcher_init(&matcher, &options) == 0);
    buf_init(&out, 1 << 20);
    for (struct cursor in = scene->file; cursor_left(&in) > 0;) {
        size_t len = cursor_left(&in) < scene->chunk ? cursor_left(&in) : scene->chunk;
        size_t promised = out.len + matcher_out_max(&matcher, len);
        FUZZ_CHECK(matcher_feed(&matcher, in.at, len, &out) == 0);
        FUZZ_CHECK(out.len <= promised);
        FUZZ_CHECK(matcher.window_capacity <= scene->block + scene->chunk);
        in.at += len;
    }
    size_t promised = out.len + matcher_out_max(&matcher, 0);
    FUZZ_CHECK(matcher_finish(&matcher, false, &out) == 0);
    FUZZ_CHECK(out.len <= promised);
    check_tokens(scene, &out);
    buf_fini(&out);
    matcher_fini(&matcher);
    blocks_fini(&blocks);
    strong_fini(&strong);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct cursor in = cursor_of(bytes, len);
    struct scene scene = {.block = 1 + fuzz_choice(&in) % 40,
            .chunk = 1 + fuzz_choice(&in) % 100,
            .is_inplace = (fuzz_choice(&in) & 1) != 0};
    size_t basis_len = cursor_left(&in) * fuzz_choice(&in) / 255;
    if (basis_len > cursor_left(&in)) basis_len = cursor_left(&in);
    scene.basis = cursor_of(in.at, basis_len);
    scene.file = cursor_of(in.at + basis_len, cursor_left(&in) - basis_len);
    play(&scene);
    return 0;
}
