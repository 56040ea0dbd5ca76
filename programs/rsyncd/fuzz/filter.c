/* SPDX-License-Identifier: MIT */
/* Filter rules as they come from the wire, from a configuration, and from merge files. */
#include "protocol/filter.h"

#include "fuzz.h"

enum { RULES_MAX = 24 };

static void judge_some(const struct filter *filter)
{
    static const char *const paths[] = {"a", "a/b", "sub/deep/file.c", ".rsync-filter", "x.o"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        bool is_excluded = filter_excludes(filter, paths[i], i % 2 == 0);
        FUZZ_CHECK(!is_excluded || filter_excludes_below(filter, paths[i], i % 2 == 0));
    }
}

static void add_lines(struct filter *filter, struct cursor in)
{
    for (int i = 0; i < RULES_MAX && cursor_left(&in) > 0; i++) {
        const uint8_t *newline = memchr(in.at, '\n', cursor_left(&in));
        size_t len = newline == NULL ? cursor_left(&in) : (size_t)(newline - in.at);
        (void)filter_add(filter, (const char *)in.at, len, NULL);
        in.at += len + (newline != NULL);
    }
}

/* Rules first, then the same text as a merge file in two nested directories. */
static void walk(struct filter *filter, struct cursor in)
{
    const char *text = (const char *)in.at;
    size_t len = cursor_left(&in) < 200 ? cursor_left(&in) : 200;
    if (filter_merge_name(filter, 0) == NULL) return;
    int root = filter_mark(filter, 0);
    (void)filter_enter_dir(filter, 0, "", text, len, NULL);
    int sub = filter_mark(filter, 0);
    (void)filter_enter_dir(filter, 0, "sub", text, len, NULL);
    judge_some(filter);
    filter_leave_dir(filter, 0, sub);
    judge_some(filter);
    filter_leave_dir(filter, 0, root);
    FUZZ_CHECK(filter_mark(filter, 0) == root);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct cursor in = cursor_of(bytes, len);
    struct filter filter;
    filter_init(&filter);
    uint8_t choice = fuzz_choice(&in);
    if ((choice & 3) == 0) {
        (void)filter_get(&filter, &in, NULL);
    } else if ((choice & 3) == 1) {
        char words[512];
        size_t words_len = cursor_left(&in) < sizeof words ? cursor_left(&in) : sizeof words - 1;
        memcpy(words, in.at, words_len);
        words[words_len] = '\0';
        (void)filter_add_words(&filter, words, (choice & 4) != 0, NULL);
        (void)filter_add_rules(&filter, words, NULL);
    } else {
        add_lines(&filter, in);
    }
    if ((choice & 8) != 0) FUZZ_CHECK(filter_set_root(&filter, "top/sub") == 0);
    judge_some(&filter);
    walk(&filter, in);
    filter_fini(&filter);
    FUZZ_CHECK(filter.bytes == 0);
    return 0;
}
