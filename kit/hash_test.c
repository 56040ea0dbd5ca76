/* SPDX-License-Identifier: MIT */
#include "kit/hash.h"

#include <string.h>

#include "check/check.h"
#include "check/hex.h"

static bool digests_to(enum hash_kind kind, uint64_t seed, const char *text, const char *hex)
{
    struct hash hash;
    uint8_t digest[HASH_BYTES_MAX];
    CHECK_OK(hash_init(&hash, kind, seed));
    /* Once, to see that a reset digest has forgotten everything. */
    hash_update(&hash, "noise", 5);
    hash_final(&hash, digest);
    hash_reset(&hash);
    hash_update(&hash, text, strlen(text));
    hash_final(&hash, digest);
    hash_fini(&hash);
    return hex_equals(digest, hash_bytes(kind), hex);
}

TEST(xxh_digests_are_little_endian_low_half_first)
{
    CHECK(digests_to(HASH_XXH128, 0, "hello world\n", "254448a533e7b23613cd0071d8c9faee"));
    CHECK(digests_to(HASH_XXH128, 0x12345678, "hello world\n", "8b54e5096d9182c49ba5977cf26d5ba1"));
    CHECK(digests_to(HASH_XXH3, 0x12345678, "hello world\n", "dfafc2175093947a"));
    CHECK(digests_to(HASH_XXH64, 0x12345678, "hello world\n", "8664d51d7334d376"));
}

TEST(md5_and_sha_are_what_everybody_computes)
{
    CHECK(digests_to(HASH_MD5, 0, "abc", "900150983cd24fb0d6963f7d28e17f72"));
    CHECK(digests_to(HASH_SHA1, 0, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"));
    CHECK(digests_to(HASH_SHA256, 0, "abc",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
}

TEST(names_lead_to_digests_and_back)
{
    for (int kind = HASH_MD5; kind <= HASH_XXH128; kind++) {
        const char *name = hash_name((enum hash_kind)kind);
        CHECK_EQ(hash_by_name(name, strlen(name)), kind);
    }
    CHECK_EQ(hash_by_name("none", 4), HASH_NONE);
    CHECK_EQ(hash_by_name("md", 2), HASH_NONE);
}
