/* SPDX-License-Identifier: MIT */
#include "args.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "check/check.h"

/* main()'s argv is not const, but nobody writes to it. */
static int parse(struct args *args, int argc, const char **argv, struct fault *fault)
{
    return args_parse(args, argc, (char *const *)(void *)argv, fault);
}

#define COUNT(array) (int)(sizeof(array) / sizeof(array)[0])

TEST(directories_are_served_under_their_own_or_a_given_name)
{
    const char *argv[] = {
            "rsyncd", "--serve", "/srv/mirror/=pub", "--serve=/srv/iso/", "--port=8730"};
    struct args args;
    CHECK_OK(parse(&args, COUNT(argv), argv, NULL));
    CHECK_EQ(args.action, ARGS_RUN);
    CHECK_EQ(args.serves_count, 2);
    CHECK(strcmp(args.serves[0].dir, "/srv/mirror") == 0);
    CHECK(strcmp(args.serves[0].name, "pub") == 0);
    CHECK(strcmp(args.serves[1].name, "iso") == 0);
    CHECK_EQ(args.port, 8730);
    args_fini(&args);
}

TEST(a_daemon_takes_upstreams_options)
{
    const char *argv[] = {"rsyncd", "--daemon", "--no-detach", "--config=/etc/r.conf", "--address",
            "::1", "--log-file=/tmp/log"};
    struct args args;
    CHECK_OK(parse(&args, COUNT(argv), argv, NULL));
    CHECK(args.is_daemon && args.no_detach);
    CHECK(strcmp(args.config_path, "/etc/r.conf") == 0);
    CHECK(strcmp(args.address, "::1") == 0);
    CHECK(strcmp(args.log_path, "/tmp/log") == 0);
    args_fini(&args);
}

static bool fails_with(const char *arg, const char *next, const char *words)
{
    const char *argv[] = {"rsyncd", arg, next};
    struct args args;
    struct fault fault = {};
    int r = parse(&args, next == NULL ? 2 : 3, argv, &fault);
    args_fini(&args);
    return r == -EINVAL && strstr(fault.text, words) != NULL;
}

TEST(mistakes_say_what_and_where_and_why)
{
    CHECK(fails_with("--bogus", NULL, "\"--bogus\" is not an option; --help lists them"));
    CHECK(fails_with("--port=0", NULL, "--port: \"0\" is not a port: want 1 to 65535"));
    CHECK(fails_with("--port", "123456789012", "is not a port"));
    CHECK(fails_with("--port", NULL, "--port wants a value"));
    CHECK(fails_with("--config=", NULL, "--config wants a value"));
    CHECK(fails_with("--serve", "/", "write it as DIR=NAME"));
    CHECK(fails_with("--serve==x", NULL, "names no directory"));
    CHECK(fails_with("--no-detach", NULL, "nothing to serve"));
    CHECK(fails_with("--serve=/a/x", "--serve=/b/x", "two modules named \"x\""));
}

TEST(help_wins_over_everything_after_it)
{
    const char *argv[] = {"rsyncd", "--help", "--bogus"};
    struct args args;
    CHECK_OK(parse(&args, COUNT(argv), argv, NULL));
    CHECK_EQ(args.action, ARGS_HELP);
    CHECK(strstr(args_help(), "--serve") != NULL);
    args_fini(&args);
}
