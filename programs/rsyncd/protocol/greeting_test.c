/* SPDX-License-Identifier: MIT */
#include "protocol/greeting.h"

#include <errno.h>
#include <string.h>

#include "check/check.h"

static int protocol_of(const char *line, struct fault *fault)
{
    struct greeting greeting;
    int r = greeting_parse(line, &greeting, fault);
    return r < 0 ? r : greeting_protocol(&greeting, fault);
}

TEST(greetings_of_real_clients_lead_to_a_protocol)
{
    struct fault fault = {};
    CHECK_EQ(protocol_of("@RSYNCD: 30.0", &fault), 30);
    CHECK_EQ(protocol_of("@RSYNCD: 31.0", &fault), 31);
    CHECK_EQ(protocol_of("@RSYNCD: 31.0 sha512 sha256 sha1 md5 md4", &fault), 31);
    CHECK_EQ(protocol_of("@RSYNCD: 32.0 sha512 sha256 sha1 md5 md4", &fault), 32);
    CHECK_EQ(protocol_of("@RSYNCD: 40.0 md5", &fault), 32);
}

TEST(a_prerelease_speaks_the_version_before)
{
    CHECK_EQ(protocol_of("@RSYNCD: 32.14 md5", NULL), 31);
    CHECK_EQ(protocol_of("@RSYNCD: 33.14 md5", NULL), 32);
}

TEST(clients_that_cannot_be_served_are_told_why)
{
    struct fault fault = {};
    CHECK_ERR(protocol_of("GET / HTTP/1.0", &fault), EPROTO);
    CHECK(strcmp(fault.text, "@ERROR: protocol startup error") == 0);
    CHECK_ERR(protocol_of("@RSYNCD: 31", &fault), EPROTO);
    CHECK(strcmp(fault.text, "@ERROR: your client omitted the subprotocol value: @RSYNCD: 31")
            == 0);
    CHECK_ERR(protocol_of("@RSYNCD: 32.0", &fault), EPROTO);
    CHECK(strcmp(fault.text, "@ERROR: your client omitted the digest name list: @RSYNCD: 32.0")
            == 0);
    CHECK_ERR(protocol_of("@RSYNCD: 27", &fault), EPROTONOSUPPORT);
    CHECK_ERR(protocol_of("@RSYNCD: 99999999999999.0 md5", &fault), EPROTO);
    CHECK_ERR(protocol_of("@RSYNCD: 31.x", &fault), EPROTO);
}

TEST(our_greeting_is_what_clients_expect)
{
    struct buf out;
    buf_init(&out, 100);
    CHECK_OK(greeting_put(&out, "sha512 md5"));
    CHECK_OK(buf_put_byte(&out, 0));
    CHECK(strcmp((char *)buf_data(&out), "@RSYNCD: 32.0 sha512 md5\n") == 0);
    buf_fini(&out);
}

TEST(a_line_ends_at_its_newline_and_loses_carriage_returns)
{
    char line[LINE_BYTES_MAX];
    struct cursor in = cursor_of("ab\r\nc", 5);
    CHECK_OK(greeting_take_line(&in, line));
    CHECK(strcmp(line, "ab") == 0);
    CHECK_ERR(greeting_take_line(&in, line), EAGAIN);
    CHECK_EQ(cursor_left(&in), 1);
}

TEST(a_line_is_neither_endless_nor_binary)
{
    static char bytes[2 * LINE_BYTES_MAX];
    char line[LINE_BYTES_MAX];
    memset(bytes, 'a', sizeof bytes);
    struct cursor in = cursor_of(bytes, LINE_BYTES_MAX - 1);
    CHECK_ERR(greeting_take_line(&in, line), EAGAIN);
    in = cursor_of(bytes, LINE_BYTES_MAX);
    CHECK_ERR(greeting_take_line(&in, line), EMSGSIZE);
    memset(bytes, '\r', sizeof bytes);
    in = cursor_of(bytes, sizeof bytes);
    CHECK_ERR(greeting_take_line(&in, line), EMSGSIZE);
    in = cursor_of("a\0b\n", 4);
    CHECK_ERR(greeting_take_line(&in, line), EBADMSG);
}

TEST(the_second_line_asks_for_a_module_or_a_list_or_brings_early_input)
{
    struct module_line line;
    struct fault fault = {};
    CHECK_OK(module_line_parse("", &line, &fault));
    CHECK_EQ(line.hello, HELLO_LIST);
    CHECK_OK(module_line_parse("#list", &line, &fault));
    CHECK_EQ(line.hello, HELLO_LIST);
    CHECK_OK(module_line_parse("pub", &line, &fault));
    CHECK_EQ(line.hello, HELLO_MODULE);
    CHECK(strcmp(line.name, "pub") == 0);
    CHECK_OK(module_line_parse("#early_input=5120", &line, &fault));
    CHECK_EQ(line.hello, HELLO_EARLY_INPUT);
    CHECK_EQ(line.early_bytes, 5120);
    CHECK_ERR(module_line_parse("#early_input=5121", &line, &fault), EPROTO);
    CHECK_ERR(module_line_parse("#early_input=0", &line, &fault), EPROTO);
    CHECK_ERR(module_line_parse("#bogus", &line, &fault), EPROTO);
    CHECK(strcmp(fault.text, "@ERROR: Unknown command '#bogus'") == 0);
}

TEST(the_clients_most_preferred_digest_that_we_have_is_taken)
{
    struct greeting greeting;
    char name[32];
    CHECK_OK(greeting_parse("@RSYNCD: 32.0 foo sha1 md5", &greeting, NULL));
    CHECK_OK(greeting_pick_digest(&greeting, "sha512 md5 sha1", name));
    CHECK(strcmp(name, "sha1") == 0);
    CHECK_ERR(greeting_pick_digest(&greeting, "sha512", name), ENOENT);
    CHECK_OK(greeting_parse("@RSYNCD: 31.0", &greeting, NULL));
    CHECK_OK(greeting_pick_digest(&greeting, "sha512 md5 sha1", name));
    CHECK(strcmp(name, "md5") == 0);
}
