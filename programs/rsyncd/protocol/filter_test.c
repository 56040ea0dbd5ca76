/* SPDX-License-Identifier: MIT */
#include "protocol/filter.h"

#include <errno.h>
#include <string.h>

#include "check/check.h"

/* Rules one a line; then a path, a directory if it ends in a slash. */
static enum filter_verdict judge(const char *rules, const char *path)
{
    struct filter filter;
    filter_init(&filter);
    while (*rules != '\0') {
        size_t len = strcspn(rules, "\n");
        CHECK_OK(filter_add(&filter, rules, len, NULL));
        rules += len + (rules[len] == '\n');
    }
    char text[100];
    size_t len = strlen(path);
    memcpy(text, path, len + 1);
    bool is_dir = len > 0 && text[len - 1] == '/';
    if (is_dir) text[len - 1] = '\0';
    enum filter_verdict verdict = filter_judge(&filter, text, is_dir);
    filter_fini(&filter);
    return verdict;
}

static bool excludes(const char *rules, const char *path)
{
    return judge(rules, path) == FILTER_EXCLUDED;
}

TEST(the_first_rule_that_matches_decides)
{
    CHECK(excludes("- *.o", "a/b.o"));
    CHECK(!excludes("+ keep.o\n- *.o", "a/keep.o"));
    CHECK(excludes("- *.o\n+ keep.o", "a/keep.o"));
    CHECK_EQ(judge("- x", "y"), FILTER_NO_MATCH);
    CHECK_EQ(judge("+ y\n- *", "y"), FILTER_INCLUDED);
    CHECK(!excludes("- *\n!", "y"));
}

TEST(a_name_without_a_slash_is_the_last_component)
{
    CHECK(excludes("- f2", "f2"));
    CHECK(excludes("- f2", "a/b/f2"));
    CHECK(!excludes("- f2", "f2/x"));
    CHECK(!excludes("- f2", "xf2"));
}

TEST(a_leading_slash_anchors_at_the_root)
{
    CHECK(excludes("- /f2", "f2"));
    CHECK(!excludes("- /f2", "a/f2"));
    CHECK(excludes("- /a/*.c", "a/x.c"));
    CHECK(!excludes("- /a/*.c", "a/b/x.c"));
    CHECK(!excludes("- /a/*.c", "b/a/x.c"));
}

TEST(an_inner_slash_matches_trailing_components)
{
    CHECK(excludes("- a/b", "a/b"));
    CHECK(excludes("- a/b", "x/a/b"));
    CHECK(!excludes("- a/b", "xa/b"));
    CHECK(excludes("- a/*.c", "x/a/y.c"));
    CHECK(!excludes("- a/*.c", "a/x/y.c"));
    CHECK(!excludes("- a/*.c", "y.c"));
}

TEST(a_trailing_slash_means_directories_only)
{
    CHECK(excludes("- /sub/deep/", "sub/deep/"));
    CHECK(!excludes("- /sub/deep/", "sub/deep"));
    CHECK(excludes("- *.d/", "a/x.d/"));
    CHECK(!excludes("- *.d/", "a/x.d"));
}

TEST(double_stars_cross_slashes)
{
    CHECK(excludes("- /a/**/z", "a/b/c/z"));
    CHECK(excludes("- a**z", "x/a/b/z"));
    CHECK(excludes("- **/z", "z"));
    CHECK(excludes("- **/z", "a/z"));
    CHECK(excludes("- **", "anything/at/all"));
}

TEST(triple_stars_mean_the_directory_and_all_below)
{
    CHECK(excludes("- dir/***", "dir/"));
    CHECK(excludes("- dir/***", "dir/a"));
    CHECK(excludes("- /dir/***", "dir/a/b"));
    CHECK(!excludes("- dir/***", "dir"));
    CHECK(!excludes("- dir/***", "dire/"));
}

TEST(modifiers_change_the_meaning)
{
    CHECK(excludes("-! *.c", "x.h"));
    CHECK(!excludes("-! *.c", "x.c"));
    CHECK(excludes("-p .p/", ".p/"));
    CHECK(excludes("-s y", "y"));
    CHECK(excludes("-sp y", "y"));
    CHECK(excludes("hide y", "y"));
    CHECK(excludes("exclude y", "y"));
    CHECK(excludes("exclude,! y", "x"));
    CHECK(!excludes("P y", "y"));
    CHECK(excludes("-_y", "y"));
}

TEST(a_slash_modifier_means_the_path_in_the_module)
{
    struct filter filter;
    filter_init(&filter);
    CHECK_OK(filter_add(&filter, "-/ /top/sub/x", 13, NULL));
    CHECK(!filter_excludes(&filter, "x", false));
    CHECK_OK(filter_set_root(&filter, "top/sub"));
    CHECK(filter_excludes(&filter, "x", false));
    filter_fini(&filter);
}

TEST(rules_that_make_no_sense_are_errors)
{
    static const char *const bad[] = {"", "x", "-", "- ", "-z x", "-x y", "!x", ": a/b", ":! f"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct filter filter;
        struct fault fault = {};
        filter_init(&filter);
        CHECK_ERR(filter_add(&filter, bad[i], strlen(bad[i]), &fault), EINVAL);
        CHECK(fault.text[0] != '\0');
        filter_fini(&filter);
    }
}

TEST(a_list_on_the_wire_ends_with_zero)
{
    static const char wire[] = "\4\0\0\0- *a\3\0\0\0- b\0\0\0\0more";
    struct filter filter;
    filter_init(&filter);
    size_t at = 0;
    int r = -EAGAIN;
    for (size_t visible = 0; r == -EAGAIN; visible++) {
        struct cursor in = cursor_of(wire + at, visible - at);
        r = filter_get(&filter, &in, NULL);
        at = visible - cursor_left(&in);
    }
    CHECK_OK(r);
    CHECK_EQ(at, 19);
    CHECK(filter_excludes(&filter, "xa", false));
    CHECK(filter_excludes(&filter, "b", true));
    filter_fini(&filter);

    struct cursor in = cursor_of("\xff\xff\xff\xff", 4);
    CHECK_ERR(filter_get(&filter, &in, NULL), E2BIG);
}

TEST(a_configurations_words_are_patterns_and_its_filter_is_rules)
{
    struct filter filter;
    filter_init(&filter);
    CHECK_OK(filter_add_words(&filter, "a  - b + c", false, NULL));
    CHECK(filter_excludes(&filter, "a", false));
    CHECK(filter_excludes(&filter, "b", false));
    CHECK(!filter_excludes(&filter, "c", false));
    filter_fini(&filter);

    CHECK_OK(filter_add_rules(&filter, "+ x - *.o -_y hide q", NULL));
    CHECK(filter_judge(&filter, "x", false) == FILTER_INCLUDED);
    CHECK(filter_excludes(&filter, "z.o", false));
    CHECK(filter_excludes(&filter, "y", false));
    CHECK(filter_excludes(&filter, "q", false));
    filter_fini(&filter);
    CHECK_ERR(filter_add_rules(&filter, "garbage", NULL), EINVAL);
    filter_fini(&filter);
}

TEST(what_lies_below_an_excluded_directory_is_excluded)
{
    struct filter filter;
    filter_init(&filter);
    CHECK_OK(filter_add(&filter, "- /secret/", 10, NULL));
    CHECK(filter_excludes_below(&filter, "secret/a/b", false));
    CHECK(!filter_excludes_below(&filter, "public/secret/a", false));
    CHECK(!filter_excludes_below(&filter, "secret", false));
    filter_fini(&filter);
}

static int enter(struct filter *filter, const char *dir, const char *text)
{
    return filter_enter_dir(filter, 0, dir, text, strlen(text), NULL);
}

TEST(merge_files_hold_in_their_directory_and_below)
{
    struct filter filter;
    filter_init(&filter);
    CHECK_OK(filter_add(&filter, ": .rf", 5, NULL));
    CHECK_OK(filter_add(&filter, "- last", 6, NULL));
    CHECK(strcmp(filter_merge_name(&filter, 0), ".rf") == 0);
    CHECK(filter_merge_name(&filter, 1) == NULL);

    int root = (int)CHECK_OK(enter(&filter, "", "# comment\n- *.o\n+ last\n"));
    int sub = (int)CHECK_OK(enter(&filter, "a/b", "+ keep.o\r\n- /x\n"));
    CHECK(!filter_excludes(&filter, "a/b/keep.o", false));
    CHECK(filter_excludes(&filter, "a/b/other.o", false));
    CHECK(filter_excludes(&filter, "a/b/x", false));
    CHECK(!filter_excludes(&filter, "a/b/c/x", false));
    CHECK(!filter_excludes(&filter, "last", false));
    filter_leave_dir(&filter, 0, sub);
    CHECK(filter_excludes(&filter, "keep.o", false));
    filter_leave_dir(&filter, 0, root);
    CHECK(!filter_excludes(&filter, "keep.o", false));
    CHECK(filter_excludes(&filter, "last", false));
    filter_fini(&filter);
}

TEST(merge_modifiers_say_how_the_file_is_read)
{
    struct filter filter;
    filter_init(&filter);
    CHECK_OK(filter_add(&filter, ":C", 2, NULL));
    CHECK_OK(filter_add(&filter, ":e- .ex", 7, NULL));
    CHECK(strcmp(filter_merge_name(&filter, 0), ".cvsignore") == 0);
    CHECK_OK(enter(&filter, "a", "x y"));
    CHECK(filter_excludes(&filter, "a/x", false));
    CHECK(filter_excludes(&filter, "a/y", false));
    CHECK(!filter_excludes(&filter, "a/b/x", false));
    CHECK_OK(filter_enter_dir(&filter, 1, "", "p q\n", 4, NULL));
    CHECK(filter_excludes(&filter, "p q", false));
    CHECK(filter_excludes(&filter, "d/.ex", false));
    filter_fini(&filter);
}
