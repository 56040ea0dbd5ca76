/* SPDX-License-Identifier: MIT */
/* Arguments of the client, both lists, cut anywhere; and what compat makes of them. */
#include "protocol/options.h"

#include "fuzz.h"
#include "kit/path.h"
#include "protocol/compat.h"
#include "protocol/flist_coder.h"

static int feed_in_pieces(struct arglist *list, struct cursor *in, size_t piece)
{
    int r = -EAGAIN;
    while (r == -EAGAIN && cursor_left(in) > 0) {
        size_t len = cursor_left(in) < piece ? cursor_left(in) : piece;
        struct cursor part = cursor_of(in->at, len);
        r = arglist_feed(list, &part, NULL);
        in->at += len - cursor_left(&part);
    }
    return r;
}

static void check_options(const struct options *options)
{
    for (size_t i = 0; i < options->paths_count; i++) {
        const struct options_path *path = &options->paths[i];
        FUZZ_CHECK(path->path[0] == '\0' || path_is_safe(path->path));
        FUZZ_CHECK(path->relative_from <= strlen(path->path));
    }
    struct compat compat;
    struct fault fault = {};
    int r = compat_choose(&compat, options, 32, &fault);
    FUZZ_CHECK(r == 0 || fault.text[0] != '\0');
    FUZZ_CHECK(hash_bytes(compat.transfer_sum) > 0);
    (void)flist_terms_of(options, &compat);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct cursor in = cursor_of(bytes, len);
    uint8_t choice = fuzz_choice(&in);
    const char *refuse = (choice & 1) != 0 ? "* !a !v !sender delete*" : NULL;
    size_t piece = 1 + (choice >> 1);
    struct arglist first;
    struct arglist second;
    struct options options = {};
    struct fault fault = {};
    arglist_init(&first);
    arglist_init(&second);
    int r = feed_in_pieces(&first, &in, piece);
    if (r == 0) {
        r = options_parse(&options, &first, "mod", refuse, &fault);
        FUZZ_CHECK(r == 0 || fault.text[0] != '\0');
        bool has_more = r == 0 && options.is_secluded && feed_in_pieces(&second, &in, piece) == 0;
        if (has_more) r = options_parse_more(&options, &second, "mod", refuse, &fault);
        if (r == 0) check_options(&options);
    }
    options_fini(&options);
    arglist_fini(&first);
    arglist_fini(&second);
    return 0;
}
