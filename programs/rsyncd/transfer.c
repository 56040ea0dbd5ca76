/* SPDX-License-Identifier: MIT */
#include "transfer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "protocol/mux.h"
#include "session.h"

static const int64_t farewell_ns = 10 * SEAM_SECOND;

static SEAM_SUSPENDS int read_list(struct transfer *transfer, struct arglist *list)
{
    struct stream *stream = &transfer->session->stream;
    for (;;) {
        struct cursor in = stream_cursor(stream);
        int r = arglist_feed(list, &in, &transfer->session->fault);
        stream_consume(stream, &in);
        if (r != -EAGAIN) return r;

        r = stream_fill(stream, &transfer->session->fault);
        if (r < 0) return r;
    }
}

/* The first reason, if any, why this client gets no transfer. The words are for the client. */
static int find_refusal(const struct transfer *transfer, int parsed, struct fault *fault)
{
    const struct options *options = &transfer->options;
    const struct config_module *module = transfer->session->module;
    if (parsed == -EPROTO) return EXIT_CODE_PROTOCOL;
    if (parsed < 0) return EXIT_CODE_UNSUPPORTED;
    if (!options->is_sender) {
        const char *words = module->is_read_only ? "ERROR: module is read only"
                                                 : "ERROR: this daemon only sends files";
        (void)fault_set(fault, -EROFS, "%s", words);
        return EXIT_CODE_USAGE;
    }
    if (module->is_write_only) {
        (void)fault_set(fault, -EACCES, "ERROR: module is write only");
        return EXIT_CODE_USAGE;
    }
    if (options->removes_source_files) {
        (void)fault_set(fault, -EROFS,
                "ERROR: --remove-source-files cannot be used with a read-only module");
        return EXIT_CODE_USAGE;
    }
    if (options->files_from != NULL) {
        (void)fault_set(fault, -EPERM, "rsync: The server is configured to refuse --files-from");
        return EXIT_CODE_UNSUPPORTED;
    }
    return 0;
}

static SEAM_SUSPENDS int read_arguments(struct transfer *transfer)
{
    struct session *session = transfer->session;
    int r = read_list(transfer, &transfer->args);
    if (r < 0) return r;

    const struct config_module *module = session->module;
    int parsed = options_parse(&transfer->options, &transfer->args, module->name,
            module->refuse_options, &session->fault);
    if (parsed == 0 && transfer->options.is_secluded) {
        r = read_list(transfer, &transfer->more);
        if (r < 0) return r;
        parsed = options_parse_more(&transfer->options, &transfer->more, module->name,
                module->refuse_options, &session->fault);
    }
    if (parsed == -ENOMEM) return parsed;

    transfer->refusal = find_refusal(transfer, parsed, &session->fault);
    return 0;
}

SEAM_SUSPENDS int transfer_new(struct session *session, struct transfer **out_transfer)
{
    struct transfer *transfer = calloc(1, sizeof *transfer);
    if (transfer == NULL) return -ENOMEM;

    transfer->session = session;
    arglist_init(&transfer->args);
    arglist_init(&transfer->more);
    *out_transfer = transfer;
    return read_arguments(transfer);
}

void transfer_free(struct transfer *transfer)
{
    if (transfer == NULL) return;
    options_fini(&transfer->options);
    arglist_fini(&transfer->more);
    arglist_fini(&transfer->args);
    free(transfer);
}

static SEAM_SUSPENDS int read_choices(struct transfer *transfer)
{
    struct stream *stream = &transfer->session->stream;
    for (;;) {
        struct cursor in = stream_cursor(stream);
        int r = compat_get(&transfer->compat, &in, &transfer->session->fault);
        if (r == 0) stream_consume(stream, &in);
        if (r != -EAGAIN) return r;

        r = stream_fill(stream, &transfer->session->fault);
        if (r < 0) return r;
    }
}

/* The smaller of the client's and the module's; 0 is none. */
static int32_t pick_timeout(int32_t theirs, int32_t ours)
{
    if (theirs == 0 || (ours != 0 && ours < theirs)) return ours;
    return theirs;
}

SEAM_SUSPENDS int transfer_begin(struct transfer *transfer)
{
    struct session *session = transfer->session;
    struct stream *stream = &session->stream;
    struct options *options = &transfer->options;
    int32_t timeout_s = pick_timeout(options->timeout_s, session->module->timeout_s);
    /* Without one a setup may take as long as any handshake; afterwards as long as it likes. */
    stream->timeout_ns = (timeout_s == 0 ? 60 : timeout_s) * SEAM_SECOND;
    stream->active_ns = seam_now_ns();

    struct fault fault = {};
    int r = compat_choose(&transfer->compat, options, session->protocol, &fault);
    if (r < 0 && transfer->refusal == 0) {
        session->fault = fault;
        transfer->refusal = EXIT_CODE_UNSUPPORTED;
    }
    (void)compat_put(&transfer->compat, stream_out(stream));
    r = read_choices(transfer);
    if (r < 0) return r;

    uint32_t seed = 0;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) < 0) seed = (uint32_t)seam_now_ns();
    (void)compat_put_seed(&transfer->compat, options, seed, stream_out(stream));
    stream->timeout_ns = timeout_s * SEAM_SECOND;
    stream_write_frames(stream);
    stream_read_frames(stream);
    if (timeout_s != 0 && session->protocol >= 31) {
        (void)mux_put_number(stream_messages(stream), MUX_IO_TIMEOUT, timeout_s);
    }
    return transfer->refusal == 0 ? 0 : -EPERM;
}

static const char *name_exit_code(int code)
{
    switch (code) {
    case EXIT_CODE_USAGE: return "syntax or usage error";
    case EXIT_CODE_PROTOCOL: return "protocol incompatibility";
    case EXIT_CODE_UNSUPPORTED: return "requested action not supported";
    case EXIT_CODE_FILE_IO: return "error in file IO";
    case EXIT_CODE_MEMORY: return "error allocating core memory buffers";
    case EXIT_CODE_TIMEOUT: return "timeout in data send/receive";
    default: return "error in rsync protocol data stream";
    }
}

static int exit_code_of(const struct transfer *transfer, int r)
{
    if (transfer->refusal != 0) return transfer->refusal;
    switch (r) {
    case -ETIMEDOUT: return EXIT_CODE_TIMEOUT;
    case -ENOMEM:
    case -ENOBUFS: return EXIT_CODE_MEMORY;
    case -EPROTO: return EXIT_CODE_PROTOCOL;
    case -EIO: return EXIT_CODE_FILE_IO;
    default: return EXIT_CODE_STREAM;
    }
}

/* Put what the client shall know before we leave: the reason, and the exit code to leave with. */
static void put_last_words(struct transfer *transfer, int r)
{
    struct session *session = transfer->session;
    struct buf *out = stream_messages(&session->stream);
    int code = exit_code_of(transfer, r);
    if (r == -ETIMEDOUT && session->fault.text[0] == '\0') {
        (void)fault_set(&session->fault, r, "[sender] io timeout after %d seconds -- exiting",
                (int)(session->stream.timeout_ns / SEAM_SECOND));
    }
    if (session->fault.text[0] != '\0') {
        (void)mux_put_text(out, MUX_ERROR, "%s", session->fault.text);
    }
    (void)mux_put_text(out, MUX_ERROR, "rsync error: %s (code %d) [%s=seam-rsyncd]",
            name_exit_code(code), code, transfer->options.is_sender ? "sender" : "Receiver");
    if (session->protocol >= 31) (void)mux_put_number(out, MUX_ERROR_EXIT, code);
}

SEAM_SUSPENDS void transfer_end(struct transfer *transfer, int r)
{
    struct stream *stream = &transfer->session->stream;
    bool is_gone = r == -EPIPE || r == -ECONNRESET || r == -EBADF;
    if (is_gone) return;

    struct seam_shield shield;
    seam_shield_begin(&shield); /* being told to stop is no reason to leave without a word */
    if (r == -ECONNABORTED) {
        (void)mux_put(stream_messages(stream), MUX_ERROR_EXIT, NULL, 0);
    } else if (r < 0 && stream->writes_frames) {
        put_last_words(transfer, r);
    }
    stream_linger(stream, seam_after(r == -ETIMEDOUT ? SEAM_SECOND : farewell_ns));
    seam_shield_end(&shield);
}
