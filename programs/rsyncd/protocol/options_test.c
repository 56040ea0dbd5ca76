/* SPDX-License-Identifier: MIT */
#include "protocol/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "check/check.h"

/* A command line in one string, arguments separated by '|'. */
struct line {
    struct arglist list;
    struct options options;
    struct fault fault;
    int r;
};

static void feed(struct arglist *list, const char *text)
{
    static char bytes[20000];
    size_t len = strlen(text);
    memcpy(bytes, text, len + 1);
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == '|') bytes[i] = '\0';
    }
    bytes[len + 1] = '\0';
    struct cursor in = cursor_of(bytes, len + 2);
    arglist_init(list);
    CHECK_OK(arglist_feed(list, &in, NULL));
    CHECK_EQ(cursor_left(&in), 0);
}

static struct line *parse(const char *text, const char *refuse)
{
    static struct line line;
    line = (struct line){};
    feed(&line.list, text);
    line.r = options_parse(&line.options, &line.list, "mod", refuse, &line.fault);
    return &line;
}

static void finish(struct line *line)
{
    options_fini(&line->options);
    arglist_fini(&line->list);
}

static bool fails_with(const char *text, const char *refuse, int r, const char *words)
{
    struct line *line = parse(text, refuse);
    bool is_right = line->r == r && strcmp(line->fault.text, words) == 0;
    if (!is_right) (void)fprintf(stderr, "%d: %s\n", line->r, line->fault.text);
    finish(line);
    return is_right;
}

TEST(an_ordinary_pull_is_understood)
{
    struct line *line = parse("--server|--sender|-vlogDtpre.iLsfxCIvu|--numeric-ids|.|mod/", NULL);
    const struct options *o = &line->options;
    CHECK_OK(line->r);
    CHECK(o->is_sender && o->keep_links && o->keep_owner && o->keep_group && o->keep_devices);
    CHECK(o->keep_specials && o->keep_times && o->keep_perms && o->is_recursive);
    CHECK(o->is_numeric_ids && !o->is_secluded && !o->with_checksum);
    CHECK_EQ(o->verbosity, 1);
    CHECK_EQ(o->capabilities, 0x1ff);
    CHECK_EQ(o->paths_count, 1);
    CHECK(strcmp(o->paths[0].path, "") == 0);
    CHECK(o->paths[0].wants_contents);
    finish(line);
}

TEST(letters_of_the_bundle_may_stand_alone)
{
    struct line *line = parse("--server|--sender|-l|-t|-B|800|-e30.0iL|.|mod/a|mod/b/", NULL);
    CHECK_OK(line->r);
    CHECK(line->options.keep_links && line->options.keep_times);
    CHECK_EQ(line->options.block_bytes, 800);
    CHECK_EQ(line->options.capabilities, CAPABLE_INC_RECURSE | CAPABLE_SYMLINK_TIMES);
    CHECK_EQ(line->options.paths_count, 2);
    CHECK(strcmp(line->options.paths[0].path, "a") == 0 && !line->options.paths[0].wants_contents);
    CHECK(strcmp(line->options.paths[1].path, "b") == 0 && line->options.paths[1].wants_contents);
    finish(line);
}

TEST(arguments_of_options_come_in_one_piece_or_two)
{
    struct line *line = parse("--server|--partial-dir|.p|--backup-dir=b|--max-delete=-1|--append|"
                              "--append|--timeout=60|--max-size=1.5K|--min-size=10kB-1|"
                              "--checksum-seed=-5|--delete-delay|--no-D|-DD|.|mod",
            NULL);
    const struct options *o = &line->options;
    CHECK_OK(line->r);
    CHECK(!o->is_sender);
    CHECK(strcmp(o->partial_dir, ".p") == 0);
    CHECK(strcmp(o->backup_dir, "b") == 0);
    CHECK_EQ(o->delete_max, 0);
    CHECK_EQ(o->append, 2);
    CHECK_EQ(o->timeout_s, 60);
    CHECK_EQ(o->size_max, 1536);
    CHECK_EQ(o->size_min, 9999);
    CHECK(o->has_checksum_seed);
    CHECK_EQ(o->checksum_seed, -5);
    CHECK_EQ(o->deletes, DELETE_DELAY);
    CHECK(o->keep_specials);
    finish(line);
}

TEST(what_is_not_understood_is_told_in_upstreams_words)
{
    CHECK(fails_with("--server|--foo|.|mod/", NULL, -EINVAL,
            "rsync: on remote machine: --foo: unknown option"));
    CHECK(fails_with("--server|--foo=3|.|mod/", NULL, -EINVAL,
            "rsync: on remote machine: --foo: unknown option"));
    CHECK(fails_with(
            "--server|-lQ|.|mod/", NULL, -EINVAL, "rsync: on remote machine: -Q: unknown option"));
    CHECK(fails_with("--server|--timeout=x|.|mod/", NULL, -EINVAL,
            "rsync: on remote machine: --timeout: invalid numeric value"));
    CHECK(fails_with("--server|--timeout", NULL, -EINVAL,
            "rsync: on remote machine: --timeout: missing argument"));
    CHECK(fails_with("--sender", NULL, -EPROTO, "rsync: the client did not ask for a server"));
}

TEST(what_is_refused_is_named_with_its_letter)
{
    CHECK(fails_with("--server|--sender|-lrc|.|mod/", "checksum delete", -EPERM,
            "rsync: The server is configured to refuse --checksum (-c)"));
    CHECK(fails_with("--server|--delete-after|.|mod/", "checksum delete", -EPERM,
            "rsync: The server is configured to refuse --delete"));
    CHECK(fails_with("--server|--sender|-X|.|mod/", NULL, -EPERM,
            "rsync: The server is configured to refuse --xattrs (-X)"));
    CHECK(fails_with("--server|--sender|-r|--new-compress|.|mod/", "compress", -EPERM,
            "rsync: The server is configured to refuse --compress (-z)"));
}

TEST(patterns_refuse_and_allow_again_and_spare_what_is_vital)
{
    CHECK(options_refuses("*", "checksum", 'c'));
    CHECK(!options_refuses("*", "server", 0));
    CHECK(options_refuses("* server", "server", 0));
    CHECK(!options_refuses("* !a !v", "links", 'l'));
    CHECK(!options_refuses("* !a !v", "verbose", 'v'));
    CHECK(options_refuses("* !a !v", "compress", 'z'));
    CHECK(options_refuses("c", "checksum", 'c'));
    CHECK(!options_refuses("c", "compress", 'z'));
    CHECK(!options_refuses(NULL, "compress", 'z'));
}

TEST(paths_stay_inside_the_module)
{
    struct line *line =
            parse("--server|--sender|-r|.|mod/../../etc|mod/a/./b/../c/|mod|mod/.|module/x", NULL);
    const struct options *o = &line->options;
    CHECK_OK(line->r);
    CHECK_EQ(o->paths_count, 5);
    CHECK(strcmp(o->paths[0].path, "etc") == 0);
    CHECK(strcmp(o->paths[1].path, "a/c") == 0);
    CHECK(strcmp(o->paths[2].path, "") == 0 && o->paths[2].wants_contents);
    CHECK(strcmp(o->paths[3].path, "") == 0 && o->paths[3].wants_contents);
    CHECK(strcmp(o->paths[4].path, "module/x") == 0);
    finish(line);
}

TEST(a_module_inside_an_argument_begins_another_path)
{
    struct line *line = parse("--server|--sender|-r|.|mod/a b mod/c mod/d/|mod/x", NULL);
    const struct options *o = &line->options;
    CHECK_OK(line->r);
    CHECK_EQ(o->paths_count, 4);
    CHECK(strcmp(o->paths[0].path, "a b") == 0);
    CHECK(strcmp(o->paths[1].path, "c") == 0);
    CHECK(strcmp(o->paths[2].path, "d") == 0 && o->paths[2].wants_contents);
    CHECK(strcmp(o->paths[3].path, "x") == 0);
    finish(line);
}

TEST(wildcards_are_marked_and_protected_ones_are_names)
{
    struct line *line = parse("--server|--sender|-r|--usermap=\\*:nobody|.|mod/a*|mod/a\\*b", NULL);
    const struct options *o = &line->options;
    CHECK_OK(line->r);
    CHECK(strcmp(o->usermap, "*:nobody") == 0);
    CHECK(o->paths[0].has_wildcard);
    CHECK(!o->paths[1].has_wildcard);
    CHECK(strcmp(o->paths[1].path, "a*b") == 0);
    finish(line);
}

TEST(relative_names_begin_behind_the_dot)
{
    struct line *line = parse("--server|--sender|-rR|.|mod/a/./b/c|mod/x/y|mod/./z", NULL);
    const struct options *o = &line->options;
    CHECK_OK(line->r);
    CHECK(strcmp(o->paths[0].path, "a/b/c") == 0);
    CHECK_EQ(o->paths[0].relative_from, 2);
    CHECK_EQ(o->paths[1].relative_from, 0);
    CHECK_EQ(o->paths[2].relative_from, 0);
    finish(line);
}

TEST(secluded_arguments_follow_in_a_second_list)
{
    struct line *line = parse("--server|--sender|-slogDtpre.iLsfxCIvu", NULL);
    CHECK_OK(line->r);
    CHECK(line->options.is_secluded);
    CHECK_EQ(line->options.paths_count, 0);
    struct arglist more;
    feed(&more, "rsync|--numeric-ids|.|mod/a mod/b");
    CHECK_OK(options_parse_more(&line->options, &more, "mod", NULL, NULL));
    CHECK_EQ(line->options.paths_count, 1);
    CHECK(strcmp(line->options.paths[0].path, "a mod/b") == 0);
    CHECK(line->options.is_numeric_ids);
    finish(line);
    arglist_fini(&more);
}

TEST(a_pull_without_a_path_means_the_module)
{
    struct line *line = parse("--server|--sender|--list-only|.", NULL);
    CHECK_OK(line->r);
    CHECK(line->options.is_dirs);
    CHECK_EQ(line->options.paths_count, 1);
    CHECK(line->options.paths[0].wants_contents);
    finish(line);
}

TEST(arguments_are_bounded)
{
    static char big[ARGLIST_ARG_BYTES_MAX + 2];
    struct arglist list;
    struct fault fault = {};
    memset(big, 'a', sizeof big);
    arglist_init(&list);
    struct cursor in = cursor_of(big, sizeof big);
    CHECK_ERR(arglist_feed(&list, &in, &fault), E2BIG);
    arglist_fini(&list);

    int r = -EAGAIN;
    size_t fed = 0;
    for (; r == -EAGAIN && fed < 100000; fed++) {
        in = cursor_of("a", 2);
        r = arglist_feed(&list, &in, &fault);
    }
    CHECK_EQ(r, -E2BIG);
    CHECK_EQ(fed, ARGLIST_COUNT_MAX + 1);
    arglist_fini(&list);

    r = -EAGAIN;
    big[4000] = '\0';
    for (fed = 0; r == -EAGAIN && fed < 100000; fed++) {
        in = cursor_of(big, 4001);
        r = arglist_feed(&list, &in, &fault);
    }
    CHECK_EQ(r, -E2BIG);
    CHECK(list.bytes.capacity <= ARGLIST_BYTES_MAX);
    arglist_fini(&list);
}
