/* SPDX-License-Identifier: MIT */
/*
 * replies.c - the second half of a pull: requests in, files or differences out, until both sides
 * have said goodbye.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "delta/blocks.h"
#include "delta/matcher.h"
#include "sender.h"
#include "session.h"
#include "store/file.h"
#include "store/root.h"

/* One file on its way. */
struct outgoing {
    struct sumhead head;
    struct blocks blocks;
    struct matcher matcher;
    struct file file;
    int64_t size_listed;
    uint8_t *chunk; /* heap */
};

static struct stream *stream_of(const struct sender *sender)
{
    return &sender->transfer->session->stream;
}

static struct fault *fault_of(const struct sender *sender)
{
    return &sender->transfer->session->fault;
}

/* The decoders below want a whole record: call one, and again whenever more has arrived. */
static SEAM_SUSPENDS int await_request(struct sender *sender)
{
    struct stream *stream = stream_of(sender);
    for (;;) {
        struct cursor in = stream_cursor(stream);
        int r = request_get(&sender->ndx_in, &in, (int32_t)sender->list.count, &sender->request,
                fault_of(sender));
        if (r == 0) stream_consume(stream, &in);
        if (r != -EAGAIN) return r;

        r = stream_fill(stream, fault_of(sender));
        if (r < 0) return r;
    }
}

static SEAM_SUSPENDS int await_sumhead(struct sender *sender, struct sumhead *out_head)
{
    struct stream *stream = stream_of(sender);
    size_t digest_bytes = hash_bytes(sender->transfer->compat.transfer_sum);
    for (;;) {
        struct cursor in = stream_cursor(stream);
        int r = sumhead_get(&in, digest_bytes, out_head, fault_of(sender));
        if (r == 0) stream_consume(stream, &in);
        if (r != -EAGAIN) return r;

        r = stream_fill(stream, fault_of(sender));
        if (r < 0) return r;
    }
}

static SEAM_SUSPENDS int await_blocks(struct sender *sender, struct outgoing *outgoing)
{
    const struct sumhead *head = &outgoing->head;
    int r = blocks_init(&outgoing->blocks, head->count, head->block_bytes, head->strong_bytes,
            head->remainder, SENDER_SUMS_BYTES_MAX);
    if (r < 0) return fault_set(fault_of(sender), r, "too many block sums");

    struct stream *stream = stream_of(sender);
    for (;;) {
        struct cursor in = stream_cursor(stream);
        r = blocks_feed(&outgoing->blocks, &in);
        stream_consume(stream, &in);
        if (r != -EAGAIN) return r;

        r = stream_fill(stream, fault_of(sender));
        if (r < 0) return r;
    }
}

static SEAM_SUSPENDS int echo_del_stats(struct sender *sender)
{
    if (!phase_allows_del_stats(&sender->phase)) {
        return fault_set(fault_of(sender), -EPROTO, "deletion statistics at the wrong time");
    }
    struct stream *stream = stream_of(sender);
    struct del_stats stats;
    for (;;) {
        struct cursor in = stream_cursor(stream);
        int r = del_stats_get(&in, &stats, fault_of(sender));
        if (r == 0) stream_consume(stream, &in);
        if (r == 0) return del_stats_put(&sender->ndx_out, &stats, stream_out(stream));
        if (r != -EAGAIN) return r;

        r = stream_fill(stream, fault_of(sender));
        if (r < 0) return r;
    }
}

/* This file will not be answered; the words say why. */
static int decline(struct sender *sender, enum mux_code code, const char *words, int error)
{
    struct buf *out = stream_messages(stream_of(sender));
    if (error == 0) {
        (void)mux_put_text(out, code, "%s: %s", words, sender->quoted);
    } else {
        (void)mux_put_text(out, code, "rsync: [sender] send_files failed to open %s: %s (%d)",
                sender->quoted, strerrordesc_np(-error), -error);
    }
    return mux_put_number(out, MUX_NO_SEND, sender->request.ndx);
}

static int decline_unopened(struct sender *sender, int error)
{
    if (error == -ENOENT) {
        sender->walk.io_error |= IO_ERROR_VANISHED;
        return decline(sender, MUX_WARNING, "file has vanished", 0);
    }
    sender->walk.io_error |= IO_ERROR_GENERAL;
    return decline(sender, MUX_ERROR_XFER, NULL, error);
}

struct base_opening {
    const struct sender *sender;
    int fd;
};

static int open_base(void *arg)
{
    struct base_opening *opening = arg;
    const struct walk *walk = &opening->sender->walk;
    opening->fd = root_open_below(
            walk->root_fd, walk->bases[opening->sender->base], O_PATH | O_DIRECTORY, ROOT_FOLLOW);
    return opening->fd < 0 ? opening->fd : 0;
}

/* The directory that names of this origin start from; kept open for the files that follow. */
static SEAM_SUSPENDS int use_base(struct sender *sender, uint32_t base)
{
    if (sender->base_fd >= 0 && sender->base == base) return 0;

    if (sender->base_fd >= 0) (void)close(sender->base_fd);
    sender->base_fd = -1;
    sender->base = base;
    struct base_opening opening = {.sender = sender, .fd = -1};
    int result = 0;
    int r = seam_block(NULL, open_base, &opening, &result, SEAM_FOREVER);
    if (r == 0) r = result;
    if (r == 0) sender->base_fd = opening.fd;
    return r;
}

static SEAM_SUSPENDS int open_file(struct sender *sender, struct file *file)
{
    const struct options *options = &sender->transfer->options;
    bool follows =
            options->copies_links || options->copies_unsafe_links || options->copies_dir_links;
    if (follows) return file_open(file, sender->walk.root_fd, sender->below, true);

    int r = use_base(sender, sender->base);
    if (r < 0) return r;
    return file_open(file, sender->base_fd, sender->path, false);
}

/* --bwlimit: the more was sent ahead of the allowance, the longer the pause. */
static SEAM_SUSPENDS int keep_to_bandwidth(const struct sender *sender)
{
    int64_t limit = sender->transfer->options.bwlimit_kib;
    if (limit <= 0) return 0;

    int64_t kib = (stream_of(sender)->written_bytes - sender->began_bytes) >> 10;
    int64_t due_ns =
            sender->began_ns + kib / limit * SEAM_SECOND + kib % limit * SEAM_SECOND / limit;
    return due_ns > seam_now_ns() ? seam_sleep(due_ns) : 0;
}

/* Tokens and the whole-file sum. */
static SEAM_SUSPENDS int send_tokens(struct sender *sender, struct outgoing *outgoing)
{
    struct stream *stream = stream_of(sender);
    ssize_t n = 0;
    for (;;) {
        n = file_read(&outgoing->file, outgoing->chunk, SENDER_CHUNK_BYTES);
        if (n <= 0) break;

        int r = matcher_feed(&outgoing->matcher, outgoing->chunk, (size_t)n, stream_out(stream));
        if (r == 0) r = stream_spill(stream);
        if (r == 0) r = stream_keep_alive(stream);
        if (r == 0) r = keep_to_bandwidth(sender);
        if (r == 0) r = seam_yield(); /* a socket that is never full would keep the worker */
        if (r < 0) return r;
    }
    if (n == -ECANCELED || n == -ESHUTDOWN) return (int)n;
    if (n < 0) {
        sender->walk.io_error |= IO_ERROR_GENERAL;
        (void)mux_put_text(stream_messages(stream), MUX_ERROR_XFER,
                "rsync: [sender] read errors mapping %s: %s (%d)", sender->quoted,
                strerrordesc_np(-(int)n), -(int)n);
    }
    int r = matcher_finish(&outgoing->matcher, n < 0, stream_out(stream));
    return r < 0 ? r : stream_spill(stream);
}

static SEAM_SUSPENDS int send_opened(struct sender *sender, struct outgoing *outgoing)
{
    const struct transfer *transfer = sender->transfer;
    bool is_append = transfer->options.append > 0 && !phase_is_redo(&sender->phase);
    int64_t basis_bytes = sumhead_basis_bytes(&outgoing->head);
    if (is_append && outgoing->file.size < outgoing->size_listed) {
        return decline(sender, MUX_WARNING, "skipped diminished file", 0);
    }

    struct matcher_options options = {
            .blocks = is_append ? NULL : &outgoing->blocks,
            .strong = &sender->strong,
            .whole_sum = transfer->compat.transfer_sum,
            .is_inplace = transfer->options.is_inplace && !is_append,
            .append_from = is_append ? basis_bytes : 0,
            .append_is_verified = transfer->options.append == 2,
    };
    outgoing->chunk = malloc(SENDER_CHUNK_BYTES);
    if (outgoing->chunk == NULL) return -ENOMEM;
    int r = matcher_init(&outgoing->matcher, &options);
    if (r < 0) return r;

    struct buf *out = stream_out(stream_of(sender));
    (void)request_put(&sender->ndx_out, &sender->request, out);
    (void)sumhead_put(&outgoing->head, out);
    r = send_tokens(sender, outgoing);
    matcher_fini(&outgoing->matcher);
    if (r == 0) sender->transfer->session->files_sent++;
    return r;
}

/* A request for a file's contents: its sums are in, the file goes out. */
static SEAM_SUSPENDS int send_file(struct sender *sender, const struct flist_item *item)
{
    struct outgoing outgoing = {.file.fd = -1, .size_listed = item->size};
    int r = await_sumhead(sender, &outgoing.head);
    if (r < 0) return r;
    bool is_append = sender->transfer->options.append > 0 && !phase_is_redo(&sender->phase);
    if (!is_append) r = await_blocks(sender, &outgoing);

    if (r == 0) {
        r = open_file(sender, &outgoing.file);
        if (r == 0) {
            r = send_opened(sender, &outgoing);
        } else if (r != -ECANCELED && r != -ESHUTDOWN) {
            r = decline_unopened(sender, r);
        }
    }
    file_close(&outgoing.file);
    blocks_fini(&outgoing.blocks);
    free(outgoing.chunk);
    return r;
}

static SEAM_SUSPENDS int answer_request(struct sender *sender)
{
    struct flist_item item;
    int r = flist_get(&sender->list, (size_t)sender->request.ndx, &item, sender->path);
    if (r < 0) return r;

    bool wants_data = (sender->request.iflags & REQUEST_TRANSFER) != 0;
    if (!wants_data || sender->transfer->options.is_dry_run) {
        return request_put(&sender->ndx_out, &sender->request, stream_out(stream_of(sender)));
    }
    if (!phase_allows_request(&sender->phase)) {
        return fault_set(fault_of(sender), -EPROTO, "a request after the last phase");
    }
    if (!S_ISREG(item.mode)) {
        return fault_set(fault_of(sender), -EPROTO, "a request for the contents of what has none");
    }

    uint32_t base = sender->walk.origins[item.hlink].base;
    if (base != sender->base && sender->base_fd >= 0) {
        (void)close(sender->base_fd);
        sender->base_fd = -1;
    }
    sender->base = base;
    r = walk_below(&sender->walk, base, sender->path, sender->below);
    if (r < 0) return r;
    walk_quote(&sender->walk, base, sender->path, sender->quoted, sizeof sender->quoted);
    return send_file(sender, &item);
}

/* A DONE: what both sides say on the way out. 1 when everything has been said. */
static SEAM_SUSPENDS int answer_done(struct sender *sender)
{
    struct stream *stream = stream_of(sender);
    int actions = phase_on_done(&sender->phase, fault_of(sender));
    if (actions < 0) return actions;

    int32_t io_error = sender->walk.io_error;
    if ((actions & PHASE_SEND_IO_ERROR) && io_error != sender->io_error_sent) {
        (void)mux_put_number(stream_messages(stream), MUX_IO_ERROR, io_error);
    }
    if (actions & PHASE_SEND_DONE) (void)ndx_put(&sender->ndx_out, stream_out(stream), NDX_DONE);
    if (actions & PHASE_SEND_STATS) {
        const struct stats stats = {
                .read_bytes = stream->read_bytes,
                .written_bytes = stream->written_bytes + (int64_t)stream->out.len,
                .files_bytes = sender->walk.total_bytes,
                .build_ms = sender->build_ms,
                .transfer_ms = sender->transfer_ms,
        };
        (void)stats_put(&stats, stream_out(stream));
    }
    if ((actions & PHASE_CLOSE) == 0) return 0;

    int r = stream_flush(stream);
    return r < 0 ? r : 1;
}

SEAM_SUSPENDS int sender_serve_requests(struct sender *sender)
{
    const struct compat *compat = &sender->transfer->compat;
    int r = strong_init(&sender->strong, compat->transfer_sum, compat->seed,
            (compat->flags & COMPAT_CHKSUM_SEED_FIX) != 0);
    if (r < 0) return r;

    ndx_init(&sender->ndx_in);
    ndx_init(&sender->ndx_out);
    phase_init(&sender->phase, sender->transfer->session->protocol);
    sender->began_ns = seam_now_ns();
    sender->began_bytes = stream_of(sender)->written_bytes;
    for (;;) {
        r = await_request(sender);
        if (r < 0) return r;

        if (sender->request.ndx == NDX_DONE) {
            r = answer_done(sender);
            if (r == 1) return 0;
        } else if (sender->request.ndx == NDX_DEL_STATS) {
            r = echo_del_stats(sender);
        } else {
            r = answer_request(sender);
            if (r == 0) r = stream_spill(stream_of(sender));
        }
        if (r < 0) return r;
    }
}
