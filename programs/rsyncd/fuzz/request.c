/* SPDX-License-Identifier: MIT */
/* What a generator sends: requests, sum heads, sums, the end of phases; and the setup before. */
#include "protocol/request.h"

#include "delta/blocks.h"
#include "delta/token.h"
#include "fuzz.h"
#include "protocol/compat.h"
#include "protocol/phase.h"

static struct request request;

static int read_sums(struct cursor *in)
{
    struct sumhead head;
    struct blocks blocks;
    int r = sumhead_get(in, 16, &head, NULL);
    if (r < 0) return r;
    FUZZ_CHECK(sumhead_basis_bytes(&head) >= 0);
    r = blocks_init(
            &blocks, head.count, head.block_bytes, head.strong_bytes, head.remainder, 1 << 20);
    if (r == 0) r = blocks_feed(&blocks, in);
    if (r == 0 && blocks.count > 0) {
        for (int32_t i = blocks_find(&blocks, blocks.weak[0]); i >= 0;
                i = blocks_next(&blocks, i)) {
            FUZZ_CHECK(i < blocks.count);
        }
    }
    blocks_fini(&blocks);
    return r;
}

static void play_requests(struct cursor in)
{
    struct ndx reader;
    struct ndx writer;
    struct phase phase;
    struct buf out;
    ndx_init(&reader);
    ndx_init(&writer);
    phase_init(&phase, 30 + (fuzz_choice(&in) & 1));
    buf_init(&out, 1 << 20);
    int r = 0;
    while (r >= 0 && request_get(&reader, &in, 1000, &request, NULL) == 0) {
        struct del_stats stats;
        FUZZ_CHECK(request.ndx < 1000);
        FUZZ_CHECK(request_put(&writer, &request, &out) == 0 || out.error == -ENOBUFS);
        if (request.ndx == NDX_DONE) {
            r = phase_on_done(&phase, NULL);
        } else if (request.ndx == NDX_DEL_STATS) {
            r = del_stats_get(&in, &stats, NULL);
        } else if ((request.iflags & REQUEST_TRANSFER) != 0) {
            r = read_sums(&in);
        }
    }
    buf_fini(&out);
}

static void play_tokens(struct cursor in)
{
    struct token_reader reader = {};
    struct token token;
    int32_t blocks_count = fuzz_choice(&in);
    while (token_get(&reader, &in, blocks_count, &token, NULL) == 0) {
        FUZZ_CHECK(token.kind != TOKEN_COPY || (token.block >= 0 && token.block < blocks_count));
        FUZZ_CHECK(token.kind != TOKEN_LITERAL || token.len > 0);
    }
}

static void play_setup(struct cursor in)
{
    struct options options = {.capabilities = 0x1ff, .wants_compress = true};
    struct compat compat;
    FUZZ_CHECK(compat_choose(&compat, &options, 32, NULL) == 0);
    int r = compat_get(&compat, &in, NULL);
    FUZZ_CHECK(r == 0 || r == -EAGAIN || r == -EPROTO);
    FUZZ_CHECK(hash_bytes(compat.transfer_sum) > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct cursor in = cursor_of(bytes, len);
    switch (fuzz_choice(&in) % 4) {
    case 0: play_tokens(in); break;
    case 1: play_setup(in); break;
    default: play_requests(in); break;
    }
    return 0;
}
