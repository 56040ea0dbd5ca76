/* SPDX-License-Identifier: MIT */
#include "protocol/greeting.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

enum { DIGITS_MAX = 9 };

static const char greeting_prefix[] = "@RSYNCD: ";

int greeting_take_line(struct cursor *in, char *line)
{
    size_t len = 0;
    for (const uint8_t *at = in->at; at != in->end; at++) {
        if (*at == '\n') {
            line[len] = '\0';
            in->at = at + 1;
            return 0;
        }
        if (*at == '\0') return -EBADMSG;
        if (*at == '\r') continue;
        if (len == LINE_BYTES_MAX - 1) return -EMSGSIZE;
        line[len++] = (char)*at;
    }
    /* Carriage returns count too: nobody may send them for ever. */
    return cursor_left(in) >= 2 * (size_t)LINE_BYTES_MAX ? -EMSGSIZE : -EAGAIN;
}

int greeting_put(struct buf *out, const char *digests)
{
    return buf_put_format(out, "%s%d.0 %s\n", greeting_prefix, PROTOCOL_OURS, digests);
}

/* An unsigned number of at most nine digits; moves *at behind it. */
static bool take_number(const char **at, int *out_number)
{
    int number = 0;
    int digits = 0;
    for (; **at >= '0' && **at <= '9'; (*at)++) {
        if (++digits > DIGITS_MAX) return false;
        number = number * 10 + (**at - '0');
    }
    *out_number = number;
    return digits > 0;
}

int greeting_parse(const char *line, struct greeting *out_greeting, struct fault *fault)
{
    static const char not_a_greeting[] = "@ERROR: protocol startup error";
    size_t prefix_len = strlen(greeting_prefix);
    if (strncmp(line, greeting_prefix, prefix_len) != 0) {
        return fault_set(fault, -EPROTO, "%s", not_a_greeting);
    }
    const char *at = line + prefix_len;
    struct greeting greeting = {};
    if (!take_number(&at, &greeting.version)) {
        return fault_set(fault, -EPROTO, "%s", not_a_greeting);
    }
    bool has_subprotocol = *at == '.';
    if (has_subprotocol) {
        at++;
        if (!take_number(&at, &greeting.subprotocol)) {
            return fault_set(fault, -EPROTO, "%s", not_a_greeting);
        }
    }
    if (!has_subprotocol && greeting.version >= 30) {
        return fault_set(
                fault, -EPROTO, "@ERROR: your client omitted the subprotocol value: %s", line);
    }
    if (*at != '\0' && *at != ' ') return fault_set(fault, -EPROTO, "%s", not_a_greeting);
    at += strspn(at, " ");
    if (*at == '\0' && greeting.version > 31) {
        return fault_set(
                fault, -EPROTO, "@ERROR: your client omitted the digest name list: %s", line);
    }
    size_t digests_len = strlen(at);
    if (digests_len >= sizeof greeting.digests) {
        return fault_set(fault, -EPROTO, "%s", not_a_greeting);
    }
    memcpy(greeting.digests, at, digests_len);
    *out_greeting = greeting;
    return 0;
}

int greeting_protocol(const struct greeting *greeting, struct fault *fault)
{
    int protocol = greeting->version < PROTOCOL_OURS ? greeting->version : PROTOCOL_OURS;
    /* A pre-release peer speaks the finished version before its own. */
    if (greeting->subprotocol != 0 && greeting->version <= PROTOCOL_OURS) protocol--;
    if (protocol >= PROTOCOL_OLDEST) return protocol;
    return fault_set(fault, -EPROTONOSUPPORT,
            "@ERROR: protocol version %d is not served here; rsync 3.0.0 or newer is needed",
            greeting->version);
}

/* Whether words, separated by spaces, contain one. */
static bool has_word(const char *words, const char *word, size_t len)
{
    for (const char *at = words + strspn(words, " "); *at != '\0'; at += strspn(at, " ")) {
        size_t here = strcspn(at, " ");
        if (here == len && memcmp(at, word, len) == 0) return true;
        at += here;
    }
    return false;
}

int greeting_pick_digest(const struct greeting *greeting, const char *ours, char *out_name)
{
    const char *theirs = greeting->digests[0] == '\0' ? "md5" : greeting->digests;
    for (const char *at = theirs + strspn(theirs, " "); *at != '\0'; at += strspn(at, " ")) {
        size_t len = strcspn(at, " ");
        if (len < 32 && has_word(ours, at, len)) {
            memcpy(out_name, at, len);
            out_name[len] = '\0';
            return 0;
        }
        at += len;
    }
    return -ENOENT;
}

static int parse_early_input(const char *digits, struct module_line *line)
{
    int bytes = 0;
    if (!take_number(&digits, &bytes) || *digits != '\0') return -EPROTO;
    if (bytes < 1 || bytes > EARLY_INPUT_BYTES_MAX) return -EPROTO;
    line->hello = HELLO_EARLY_INPUT;
    line->early_bytes = (size_t)bytes;
    return 0;
}

int module_line_parse(const char *line, struct module_line *out_line, struct fault *fault)
{
    static const char early[] = "#early_input=";
    out_line->early_bytes = 0;
    out_line->name[0] = '\0';
    if (line[0] == '\0' || strcmp(line, "#list") == 0) {
        out_line->hello = HELLO_LIST;
        return 0;
    }
    if (line[0] == '#') {
        int r = -EPROTO;
        if (strncmp(line, early, strlen(early)) == 0) {
            r = parse_early_input(line + strlen(early), out_line);
        }
        if (r < 0) return fault_set(fault, r, "@ERROR: Unknown command '%s'", line);
        return 0;
    }
    size_t len = strlen(line);
    if (len >= sizeof out_line->name) return fault_set(fault, -EPROTO, "@ERROR: Unknown module");
    memcpy(out_line->name, line, len + 1);
    out_line->hello = HELLO_MODULE;
    return 0;
}

int module_listing_put(struct buf *out, const char *name, const char *comment)
{
    return buf_put_format(out, "%-15s\t%s\n", name, comment);
}

int module_listing_end(struct buf *out)
{
    return buf_put_str(out, "@RSYNCD: EXIT\n");
}
