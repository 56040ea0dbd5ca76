/* SPDX-License-Identifier: MIT */
#include "protocol/compat.h"

#include <errno.h>
#include <string.h>

#include "protocol/varint.h"

enum { LIST_BYTES_MAX = 255 };

static const char compress_offered[] = "none";

static unsigned flags_of(const struct options *options)
{
    static const struct {
        unsigned capability;
        unsigned flag;
    } pairs[] = {{CAPABLE_SAFE_FLIST, COMPAT_SAFE_FLIST},
            {CAPABLE_AVOID_XATTR_OPT, COMPAT_AVOID_XATTR_OPT},
            {CAPABLE_CHKSUM_SEED_FIX, COMPAT_CHKSUM_SEED_FIX},
            {CAPABLE_VARINT_FLAGS, COMPAT_VARINT_FLIST}, {CAPABLE_ID0_NAMES, COMPAT_ID0_NAMES}};
    unsigned flags = COMPAT_SYMLINK_TIMES;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if ((options->capabilities & pairs[i].capability) != 0) flags |= pairs[i].flag;
    }
    return flags;
}

/* Whether name stands in a list of words. */
static bool offers(const char *list, const char *name, size_t len)
{
    while (*list != '\0') {
        size_t here = strcspn(list, " ");
        if (here == len && memcmp(list, name, len) == 0) return true;
        list += here;
        list += strspn(list, " ");
    }
    return false;
}

/* One name of "--checksum-choice=A,B". HASH_NONE: not offered. */
static enum hash_kind sum_of_choice(const char *name, size_t len, enum hash_kind fallback)
{
    if (len == 4 && memcmp(name, "auto", 4) == 0) return fallback;
    if (!offers(COMPAT_SUMS_OFFERED, name, len)) return HASH_NONE;
    return hash_by_name(name, len);
}

static int choose_sums(struct compat *compat, const char *choice, struct fault *fault)
{
    size_t len = strcspn(choice, ",");
    enum hash_kind transfer = sum_of_choice(choice, len, HASH_MD5);
    enum hash_kind flist = transfer;
    if (choice[len] == ',') {
        const char *second = choice + len + 1;
        flist = sum_of_choice(second, strlen(second), HASH_MD5);
    }
    if (transfer == HASH_NONE || flist == HASH_NONE) {
        return fault_set(fault, -EINVAL, "rsync: checksum choice \"%s\" is not served; we have: %s",
                choice, COMPAT_SUMS_OFFERED);
    }
    compat->transfer_sum = transfer;
    compat->flist_sum = flist;
    return 0;
}

int compat_choose(
        struct compat *compat, const struct options *options, int protocol, struct fault *fault)
{
    *compat = (struct compat){.protocol = protocol,
            .flags = flags_of(options),
            .transfer_sum = HASH_MD5,
            .flist_sum = HASH_MD5};
    bool negotiates = (compat->flags & COMPAT_VARINT_FLIST) != 0;
    bool has_sum_choice =
            options->checksum_choice != NULL && strcmp(options->checksum_choice, "auto") != 0;
    compat->awaits_sums = negotiates && !has_sum_choice;

    const char *compress = options->compress_choice;
    if (compress != NULL && strcmp(compress, "auto") == 0) compress = NULL;
    compat->awaits_compress = negotiates && options->wants_compress && compress == NULL;

    bool wants_some = compress != NULL ? strcmp(compress, "none") != 0
                                       : options->wants_compress && !negotiates;
    if (wants_some) {
        return fault_set(
                fault, -EINVAL, "rsync: The server is configured to refuse --compress (-z)");
    }
    return has_sum_choice ? choose_sums(compat, options->checksum_choice, fault) : 0;
}

int compat_put(const struct compat *compat, struct buf *out)
{
    (void)varint_put(out, (int32_t)compat->flags);
    if (compat->awaits_sums) {
        (void)vstring_put(out, COMPAT_SUMS_OFFERED, strlen(COMPAT_SUMS_OFFERED));
    }
    if (compat->awaits_compress) {
        (void)vstring_put(out, compress_offered, strlen(compress_offered));
    }
    return out->error;
}

/* The first name of the client's list that stands in ours; -EPROTO if there is none. */
static int pick(const char *theirs, size_t theirs_len, const char *ours, const char **out_name,
        size_t *out_len)
{
    const char *end = theirs + theirs_len;
    for (const char *at = theirs; at < end;) {
        const char *space = memchr(at, ' ', (size_t)(end - at));
        size_t len = (size_t)((space == NULL ? end : space) - at);
        if (len > 0 && offers(ours, at, len)) {
            *out_name = at;
            *out_len = len;
            return 0;
        }
        at += len + 1;
        if (space == NULL) break;
    }
    return -EPROTO;
}

/* Read one list and pick. */
static int get_list(struct cursor *in, const char *what, const char *ours, const char **out_name,
        size_t *out_len, struct fault *fault)
{
    const uint8_t *list = NULL;
    size_t len = 0;
    int r = vstring_get(in, LIST_BYTES_MAX, &list, &len);
    if (r == -EPROTO) return fault_set(fault, r, "a list of %s names is too long", what);
    if (r < 0) return r;
    r = pick((const char *)list, len, ours, out_name, out_len);
    if (r < 0) {
        return fault_set(fault, r, "no %s in common: client has \"%.*s\", we have \"%s\"", what,
                (int)len, (const char *)list, ours);
    }
    return 0;
}

int compat_get(struct compat *compat, struct cursor *in, struct fault *fault)
{
    struct cursor at = *in;
    const char *name = NULL;
    size_t len = 0;
    enum hash_kind sum = HASH_NONE;
    if (compat->awaits_sums) {
        int r = get_list(&at, "checksum", COMPAT_SUMS_OFFERED, &name, &len, fault);
        if (r < 0) return r;
        sum = hash_by_name(name, len);
    }
    if (compat->awaits_compress) {
        int r = get_list(&at, "compression", compress_offered, &name, &len, fault);
        if (r < 0) return r;
    }
    if (compat->awaits_sums) {
        compat->transfer_sum = sum;
        compat->flist_sum = sum;
    }
    *in = at;
    return 0;
}

int compat_put_seed(
        struct compat *compat, const struct options *options, uint32_t random, struct buf *out)
{
    int32_t seed = (int32_t)(random & 0x7fffffff);
    if (seed == 0) seed = 1;
    compat->seed = options->has_checksum_seed ? options->checksum_seed : seed;
    return buf_put_u32le(out, (uint32_t)compat->seed);
}
