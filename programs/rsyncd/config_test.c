/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "check/check.h"

static struct config *parse(const char *text)
{
    struct config *config = NULL;
    struct fault fault = {};
    CHECK_OK(config_parse(text, strlen(text), &config, &fault));
    return config;
}

static bool fails_at(const char *text, int line, const char *words)
{
    struct config *config = NULL;
    struct fault fault = {};
    int r = config_parse(text, strlen(text), &config, &fault);
    bool is_right = r == -EINVAL && fault.line == line && strstr(fault.text, words) != NULL;
    if (!is_right) (void)fprintf(stderr, "%d, line %d: %s\n", r, fault.line, fault.text);
    return is_right && config == NULL;
}

TEST(an_ordinary_configuration_is_understood)
{
    struct config *config = parse("# a comment\n"
                                  "port = 8730\n"
                                  "motd file=/etc/motd\n"
                                  "max connections = 7\n"
                                  "\n"
                                  "[pub]\n"
                                  "  path = /srv/pub\n"
                                  "  Comment = All of \\\n    it\r\n"
                                  "  READONLY = no\n"
                                  "  list = false\n"
                                  "  timeout = 60\n"
                                  "  exclude = /secret *.o\n"
                                  "[other]\n"
                                  "  path=/srv/other\n");
    CHECK_EQ(config->port, 8730);
    CHECK(strcmp(config->motd_path, "/etc/motd") == 0);
    CHECK_EQ(config->listen_backlog, 4096);
    CHECK_EQ(config->modules_count, 2);
    const struct config_module *pub = config_find_module(config, "pub");
    CHECK(strcmp(pub->path, "/srv/pub") == 0);
    CHECK(strcmp(pub->comment, "All of     it") == 0);
    CHECK(!pub->is_read_only && !pub->is_listed);
    CHECK_EQ(pub->timeout_s, 60);
    CHECK_EQ(pub->connections_max, 7);
    CHECK(filter_excludes(&pub->filter, "secret", true));
    CHECK(filter_excludes(&pub->filter, "a/b.o", false));
    const struct config_module *other = config_find_module(config, "other");
    CHECK(other->is_read_only && other->is_listed);
    CHECK(strcmp(other->comment, "") == 0);
    CHECK(config_find_module(config, "Pub") == NULL);
    CHECK_EQ(config->warnings_count, 0);
    config_free(config);
}

TEST(what_will_not_happen_is_a_warning_with_its_line)
{
    struct config *config = parse("socket options = TCP_NODELAY\n"
                                  "[m]\n"
                                  "path = /x/%RSYNC_USER_NAME%\n"
                                  "Auth Users = joe\n"
                                  "no such thing = 1\n"
                                  "port = 1\n"
                                  "hosts allow = 10.0.0.0/33\n"
                                  "&include /etc/more\n");
    static const struct {
        int line;
        const char *words;
    } wanted[] = {{1, "\"socket options\" is not implemented"}, {3, "variables are not expanded"},
            {4, "\"Auth Users\" is not implemented"}, {5, "\"no such thing\" is not a directive"},
            {6, "only before the first module"}, {7, "\"10.0.0.0/33\" will never match"},
            {8, "not implemented"}};
    CHECK_EQ(config->warnings_count, 7);
    for (size_t i = 0; i < 7; i++) {
        CHECK_EQ(config->warnings[i].line, wanted[i].line);
        CHECK(strstr(config->warnings[i].text, wanted[i].words) != NULL);
    }
    CHECK_EQ(config->port, 0);
    config_free(config);
}

TEST(mistakes_are_errors_with_their_line)
{
    CHECK(fails_at("\n\nport = many\n", 3, "a number between 1 and 65535"));
    CHECK(fails_at("port = 65536\n", 1, "not \"65536\""));
    CHECK(fails_at("[m]\npath = /x\nlist = maybe\n", 3, "yes or no"));
    CHECK(fails_at("[m\n", 1, "]"));
    CHECK(fails_at("[m]\ncomment = x\n[n]\n", 3, "\"m\" ends here without a \"path\""));
    CHECK(fails_at("[m]\npath = /x\n[m]\npath = /y", 3, "a second module"));
    CHECK(fails_at("what is this\n", 1, "neither a section"));
    CHECK(fails_at("[m]\npath=/x\nfilter = bogus\n", 3, "filter"));
    CHECK(fails_at("[a/b]\n", 1, "invalid module name"));
}

TEST(hosts_are_admitted_as_upstream_does)
{
    struct config_module module = {};
    CHECK(config_admits(&module, "192.0.2.1", NULL));
    char allow[] = "192.0.2.0/24 2001:db8::/32 *.example.org";
    char deny[] = "*";
    module.hosts_allow = allow;
    CHECK(config_admits(&module, "192.0.2.1", NULL));
    CHECK(config_admits(&module, "::ffff:192.0.2.1", NULL));
    CHECK(config_admits(&module, "2001:db8:1::7", NULL));
    CHECK(config_admits(&module, "198.51.100.1", "Host.Example.ORG"));
    CHECK(!config_admits(&module, "198.51.100.1", NULL));
    module.hosts_deny = deny;
    CHECK(!config_admits(&module, "198.51.100.1", NULL));
    module.hosts_allow = NULL;
    CHECK(!config_admits(&module, "192.0.2.1", NULL));
    char some[] = "198.51.100.0/255.255.255.0";
    module.hosts_deny = some;
    CHECK(config_admits(&module, "192.0.2.1", NULL));
    CHECK(!config_admits(&module, "198.51.100.9", NULL));
}

TEST(a_module_from_the_command_line_is_read_only_and_unique)
{
    struct config *config = NULL;
    struct fault fault = {};
    CHECK_OK(config_new(&config));
    CHECK_OK(config_add_module(config, "pub", "/srv/pub", &fault));
    CHECK_ERR(config_add_module(config, "pub", "/srv/two", &fault), EEXIST);
    const struct config_module *module = config_find_module(config, "pub");
    CHECK(module->is_read_only && module->is_listed);
    config_free(config);
}
