/* SPDX-License-Identifier: MIT */
#include "protocol/compat.h"

#include <errno.h>
#include <string.h>

#include "check/check.h"
#include "check/hex.h"
#include "protocol/varint.h"

TEST(an_old_client_gets_one_byte_of_flags_and_md5)
{
    struct options options = {.capabilities = CAPABLE_INC_RECURSE | CAPABLE_SYMLINK_TIMES};
    struct compat compat;
    struct buf out;
    buf_init(&out, 100);
    CHECK_OK(compat_choose(&compat, &options, 30, NULL));
    CHECK_OK(compat_put(&compat, &out));
    struct cursor in = cursor_of(NULL, 0);
    CHECK_OK(compat_get(&compat, &in, NULL));
    CHECK_OK(compat_put_seed(&compat, &options, 0x80000000u, &out));
    CHECK(hex_equals(buf_data(&out), out.len, "02 01000000"));
    CHECK_EQ(compat.transfer_sum, HASH_MD5);
    buf_fini(&out);
}

TEST(a_new_client_gets_its_first_checksum_that_we_have)
{
    struct options options = {.capabilities = 0x1ff, .wants_compress = true};
    struct compat compat;
    struct buf out;
    buf_init(&out, 1000);
    CHECK_OK(compat_choose(&compat, &options, 32, NULL));
    CHECK_OK(compat_put(&compat, &out));
    CHECK(hex_equals(buf_data(&out), 2, "81 ba"));
    CHECK(compat.awaits_sums && compat.awaits_compress);
    CHECK((compat.flags & COMPAT_INC_RECURSE) == 0);

    buf_clear(&out);
    CHECK_OK(vstring_put(&out, "blake9 xxh3 md5 none", 20));
    CHECK_OK(vstring_put(&out, "zstd none", 9));
    for (size_t len = 0; len < out.len; len++) {
        struct cursor cut = cursor_of(buf_data(&out), len);
        CHECK_ERR(compat_get(&compat, &cut, NULL), EAGAIN);
        CHECK_EQ(cursor_left(&cut), len);
    }
    struct cursor in = cursor_of(buf_data(&out), out.len);
    CHECK_OK(compat_get(&compat, &in, NULL));
    CHECK_EQ(compat.transfer_sum, HASH_XXH3);
    CHECK_EQ(compat.flist_sum, HASH_XXH3);
    buf_fini(&out);
}

TEST(nothing_in_common_is_an_error_with_both_lists)
{
    struct options options = {.capabilities = CAPABLE_VARINT_FLAGS};
    struct compat compat;
    struct fault fault = {};
    CHECK_OK(compat_choose(&compat, &options, 32, NULL));
    struct cursor in = cursor_of("\4none", 5);
    CHECK_ERR(compat_get(&compat, &in, &fault), EPROTO);
    CHECK(strcmp(fault.text,
                  "no checksum in common: client has \"none\", we have"
                  " \"" COMPAT_SUMS_OFFERED "\"")
            == 0);
}

TEST(explicit_choices_win_and_unserved_ones_are_told)
{
    struct options options = {.capabilities = 0x1ff, .checksum_choice = "xxh64,md5"};
    struct compat compat;
    struct fault fault = {};
    CHECK_OK(compat_choose(&compat, &options, 32, &fault));
    CHECK(!compat.awaits_sums);
    CHECK_EQ(compat.transfer_sum, HASH_XXH64);
    CHECK_EQ(compat.flist_sum, HASH_MD5);

    options.checksum_choice = "md4";
    CHECK_ERR(compat_choose(&compat, &options, 32, &fault), EINVAL);
    options = (struct options){.wants_compress = true};
    CHECK_ERR(compat_choose(&compat, &options, 31, &fault), EINVAL);
    CHECK(strstr(fault.text, "--compress (-z)") != NULL);
    options.compress_choice = "none";
    CHECK_OK(compat_choose(&compat, &options, 31, &fault));
}
