/* SPDX-License-Identifier: MIT */
#include "hello.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon.h"
#include "protocol/greeting.h"
#include "session.h"
#include "store/root.h"

/* Nobody authenticates with us yet, but protocol 32 clients insist on a list. */
#define DIGESTS "sha512 sha256 sha1 md5"

static const int64_t farewell_ns = 5 * SEAM_SECOND;

/* Big, and needed only while a line is being looked at: a parked session does not hold it. */
struct hello_words {
    char line[LINE_BYTES_MAX];
    struct greeting greeting;
    struct module_line wanted;
};

/* Answer and close; the client reads the line before it sees the end. */
static SEAM_SUSPENDS int refuse(struct session *session, const char *answer)
{
    (void)buf_put_format(stream_out(&session->stream), "%s\n", answer);
    stream_linger(&session->stream, seam_after(farewell_ns));
    return HELLO_SERVED;
}

static SEAM_SUSPENDS int await_line(struct session *session, char *line)
{
    struct stream *stream = &session->stream;
    for (;;) {
        struct cursor in = stream_cursor(stream);
        int r = greeting_take_line(&in, line);
        if (r == 0) stream_consume(stream, &in);
        if (r == -EMSGSIZE) return fault_set(&session->fault, r, "a line that is too long");
        if (r == -EBADMSG) return fault_set(&session->fault, r, "a line with a NUL byte");
        if (r != -EAGAIN) return r;

        r = stream_fill(stream, &session->fault);
        if (r < 0) return r;
    }
}

static SEAM_SUSPENDS int take_greeting(struct session *session, struct hello_words *words)
{
    int r = await_line(session, words->line);
    if (r < 0) return r;

    r = greeting_parse(words->line, &words->greeting, &session->fault);
    if (r == 0) r = greeting_protocol(&words->greeting, &session->fault);
    if (r < 0) return refuse(session, session->fault.text);

    session->protocol = r;
    return 0;
}

static SEAM_SUSPENDS int list_modules(struct session *session)
{
    struct buf *out = stream_out(&session->stream);
    const struct config *config = session->daemon->config;
    for (size_t i = 0; i < config->modules_count; i++) {
        const struct config_module *module = &config->modules[i];
        if (module->is_listed) (void)module_listing_put(out, module->name, module->comment);
        int r = stream_spill(&session->stream);
        if (r < 0) return r;
    }
    (void)module_listing_end(out);
    stream_linger(&session->stream, seam_after(farewell_ns));
    return HELLO_SERVED;
}

struct reverse_lookup {
    const struct sockaddr_storage *peer;
    socklen_t len;
    char *name;
    size_t size;
};

static int look_up_name(void *arg)
{
    const struct reverse_lookup *lookup = arg;
    int r = getnameinfo((const struct sockaddr *)lookup->peer, lookup->len, lookup->name,
            (socklen_t)lookup->size, NULL, 0, NI_NAMEREQD);
    return r == 0 ? 0 : -ENOENT;
}

/* The peer's name, or upstream's word for not knowing it. */
static SEAM_SUSPENDS int find_peer_name(const struct session *session, char *name, size_t size)
{
    struct sockaddr_storage peer;
    struct reverse_lookup lookup = {.peer = &peer, .len = sizeof peer, .name = name, .size = size};
    int found = -ENOENT;
    (void)snprintf(name, size, "UNKNOWN");
    if (getpeername(session->stream.fd, (struct sockaddr *)&peer, &lookup.len) < 0) return 0;

    int r = seam_block(NULL, look_up_name, &lookup, &found, SEAM_FOREVER);
    if (r == 0 && found < 0) (void)snprintf(name, size, "UNKNOWN");
    return r;
}

/* Whether a host list has an item that is not a number: only then does the name matter. */
static bool names_hosts(const char *list)
{
    return list != NULL && list[strspn(list, "0123456789abcdefABCDEF.:/, \t")] != '\0';
}

/* The module may be had from where the client is: 0, or it was told otherwise. */
static SEAM_SUSPENDS int check_host(struct session *session, const struct config_module *module)
{
    if (module->hosts_allow == NULL && module->hosts_deny == NULL) return 0;

    char name[NI_MAXHOST / 4];
    bool has_name = names_hosts(module->hosts_allow) || names_hosts(module->hosts_deny);
    int r = has_name ? find_peer_name(session, name, sizeof name) : 0;
    if (r < 0) return r;
    if (config_admits(module, session->address, has_name ? name : NULL)) return 0;

    if (!has_name) r = find_peer_name(session, name, sizeof name);
    if (r < 0) return r;
    if (module->is_listed) {
        (void)fault_set(&session->fault, -EACCES, "@ERROR: access denied to %s from %s (%s)",
                module->name, name, session->address);
    } else {
        (void)fault_set(&session->fault, -EACCES, "@ERROR: Unknown module '%s'", module->name);
    }
    return refuse(session, session->fault.text);
}

static int open_module(void *arg)
{
    struct session *session = arg;
    int fd = root_open(session->module->path);
    if (fd < 0) return fd;
    session->root_fd = fd;
    return 0;
}

static SEAM_SUSPENDS int enter_module(struct session *session, const char *name)
{
    const struct config_module *module = config_find_module(session->daemon->config, name);
    if (module == NULL) {
        (void)fault_set(&session->fault, -ENOENT, "@ERROR: Unknown module '%s'", name);
        return refuse(session, session->fault.text);
    }

    int r = check_host(session, module);
    if (r != 0) return r;
    if (daemon_claim(session->daemon, module) < 0) {
        (void)fault_set(&session->fault, -EBUSY,
                "@ERROR: max connections (%d) reached -- try again later",
                (int)module->connections_max);
        return refuse(session, session->fault.text);
    }
    session->module = module;
    int opened = 0;
    r = seam_block(NULL, open_module, session, &opened, SEAM_FOREVER);
    if (r < 0) return r;
    if (opened < 0) {
        (void)fault_set(&session->fault, opened, "@ERROR: chdir failed");
        return refuse(session, session->fault.text);
    }
    return buf_put_str(stream_out(&session->stream), "@RSYNCD: OK\n");
}

/* Bytes for a hook that we do not run. */
static SEAM_SUSPENDS int skip_early_input(struct session *session, size_t bytes)
{
    struct stream *stream = &session->stream;
    while (bytes > 0) {
        size_t here = stream->in.len < bytes ? stream->in.len : bytes;
        buf_drop(&stream->in, here);
        bytes -= here;
        if (bytes == 0) break;

        int r = stream_fill(stream, &session->fault);
        if (r < 0) return r;
    }
    return 0;
}

static SEAM_SUSPENDS int take_request(struct session *session, struct hello_words *words)
{
    for (;;) {
        int r = await_line(session, words->line);
        if (r < 0) return r;

        r = module_line_parse(words->line, &words->wanted, &session->fault);
        if (r < 0) return refuse(session, session->fault.text);
        if (words->wanted.hello == HELLO_LIST) return list_modules(session);
        if (words->wanted.hello == HELLO_MODULE) return enter_module(session, words->wanted.name);

        r = skip_early_input(session, words->wanted.early_bytes);
        if (r < 0) return r;
    }
}

/* Run a step with its words, which are allocated only once the client has said something. */
static SEAM_SUSPENDS int with_words(
        struct session *session, int (*step)(struct session *session, struct hello_words *words))
{
    if (session->stream.in.len == 0) {
        int r = stream_fill(&session->stream, &session->fault);
        if (r < 0) return r;
    }
    struct hello_words *words = malloc(sizeof *words);
    if (words == NULL) return -ENOMEM;

    int r = step(session, words);
    free(words);
    return r;
}

SEAM_SUSPENDS int hello_run(struct session *session)
{
    struct buf *out = stream_out(&session->stream);
    const char *motd = session->daemon->motd;
    (void)greeting_put(out, DIGESTS);
    if (motd != NULL) (void)buf_put_format(out, "%s\n", motd);

    int r = with_words(session, take_greeting);
    if (r != 0) return r;
    return with_words(session, take_request);
}
