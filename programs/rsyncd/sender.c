/* SPDX-License-Identifier: MIT */
#include "sender.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "session.h"
#include "store/names.h"

static struct stream *stream_of(const struct sender *sender)
{
    return &sender->transfer->session->stream;
}

/* With -C the client expects us to know what CVS ignores, and says so only in this letter. */
static int add_rules_of_cvs(struct sender *sender)
{
    static const char *const patterns[] = {"RCS", "SCCS", "CVS", "CVS.adm", "RCSLOG", "cvslog.*",
            "tags", "TAGS", ".make.state", ".nse_depinfo", "*~", "#*", ".#*", ",*", "_$*", "*$",
            "*.old", "*.bak", "*.BAK", "*.orig", "*.rej", ".del-*", "*.a", "*.olb", "*.o", "*.obj",
            "*.so", "*.exe", "*.Z", "*.elc", "*.ln", "core", ".svn/", ".git/", ".hg/", ".bzr/"};
    if (!sender->transfer->options.is_cvs_exclude) return 0;

    int r = filter_add(&sender->filter, ":C", 2, NULL);
    for (size_t i = 0; r == 0 && i < sizeof patterns / sizeof *patterns; i++) {
        char rule[32];
        int len = snprintf(rule, sizeof rule, "- %s", patterns[i]);
        r = filter_add(&sender->filter, rule, (size_t)len, NULL);
    }
    return r;
}

static SEAM_SUSPENDS int read_filter(struct sender *sender)
{
    struct stream *stream = stream_of(sender);
    struct fault *fault = &sender->transfer->session->fault;
    for (;;) {
        struct cursor in = stream_cursor(stream);
        int r = filter_get(&sender->filter, &in, fault);
        stream_consume(stream, &in);
        if (r == 0) return add_rules_of_cvs(sender);
        if (r != -EAGAIN) return r;

        r = stream_fill(stream, fault);
        if (r < 0) return r;
    }
}

/* Run fn on the blocking pool; its result, or why it did not run. */
static SEAM_SUSPENDS int on_pool(seam_fn *fn, void *arg)
{
    int result = 0;
    int r = seam_block(NULL, fn, arg, &result, SEAM_FOREVER);
    return r < 0 ? r : result;
}

/* What the walk had to say goes to the client before what follows. */
static SEAM_SUSPENDS int pass_notes_on(struct sender *sender)
{
    struct stream *stream = stream_of(sender);
    struct buf *notes = &sender->walk.notes;
    if (notes->len > 0) (void)buf_put(stream_messages(stream), buf_data(notes), notes->len);
    buf_clear(notes);

    int r = stream_spill(stream);
    return r < 0 ? r : stream_keep_alive(stream);
}

static SEAM_SUSPENDS int build_list(struct sender *sender)
{
    struct transfer *transfer = sender->transfer;
    const struct options *options = &transfer->options;
    struct walk *walk = &sender->walk;
    walk->module = transfer->session->module->name;
    walk->options = options;
    walk->hidden = &transfer->session->module->filter;
    walk->filter = &sender->filter;
    walk->sum = options->with_checksum ? transfer->compat.flist_sum : HASH_NONE;
    walk->list = &sender->list;
    walk->root_fd = transfer->session->root_fd;
    int r = 0;
    do {
        r = on_pool(walk_step, walk);
        int passed = pass_notes_on(sender);
        if (passed < 0) return passed;
    } while (r > 0);
    if (r == -ENOBUFS) return fault_set(&transfer->session->fault, r, "too many files");
    return r;
}

static int sort_list(void *arg)
{
    flist_sort(arg);
    return 0;
}

/* While the list is in memory hlink says where the file is; on the wire it says whose link. */
static void set_hlink(struct sender *sender, struct flist_item *item, int32_t index)
{
    const struct walk_origin *origin = &sender->walk.origins[item->hlink];
    item->hlink = FLIST_HLINK_NONE;
    if (origin->group < 0) return;

    struct link_group *group = &sender->walk.links.groups[origin->group];
    if (group->members < 2) return;
    item->hlink = group->first < 0 ? FLIST_HLINK_FIRST : group->first;
    if (group->first < 0) group->first = index;
}

static SEAM_SUSPENDS int write_ids(struct sender *sender)
{
    const struct transfer *transfer = sender->transfer;
    const struct options *options = &transfer->options;
    if (options->is_numeric_ids) return 0;

    struct names names = {
            .users = options->keep_owner ? &sender->walk.users : NULL,
            .groups = options->keep_group ? &sender->walk.groups : NULL,
            .has_id0 = (transfer->compat.flags & COMPAT_ID0_NAMES) != 0,
            .is_numeric = transfer->session->module->is_numeric_ids,
            .out = stream_out(stream_of(sender)),
    };
    return on_pool(names_write, &names);
}

static SEAM_SUSPENDS int write_list(struct sender *sender)
{
    struct stream *stream = stream_of(sender);
    const struct flist_terms terms =
            flist_terms_of(&sender->transfer->options, &sender->transfer->compat);
    flist_coder_init(&sender->coder, &terms);
    for (size_t i = 0; i < sender->list.count; i++) {
        struct flist_item item;
        int r = flist_get(&sender->list, i, &item, sender->path);
        if (r < 0) return r;
        set_hlink(sender, &item, (int32_t)i);
        r = flist_write_entry(&sender->coder, &item, stream_out(stream));
        if (r == 0) r = stream_spill(stream);
        if (r < 0) return r;
    }
    int r = flist_write_end(&sender->coder, sender->walk.io_error, stream_out(stream));
    sender->io_error_sent = sender->walk.io_error;
    return r < 0 ? r : write_ids(sender);
}

static void sender_free(struct sender *sender)
{
    strong_fini(&sender->strong);
    if (sender->base_fd >= 0) (void)close(sender->base_fd);
    walk_fini(&sender->walk);
    flist_fini(&sender->list);
    filter_fini(&sender->filter);
    free(sender);
}

static SEAM_SUSPENDS int run(struct sender *sender)
{
    int r = read_filter(sender);
    if (r < 0) return r;

    int64_t began_ns = seam_now_ns();
    r = build_list(sender);
    if (r == 0) r = on_pool(sort_list, &sender->list);
    if (r < 0) return r;

    walk_trim(&sender->walk);
    int64_t built_ns = seam_now_ns();
    r = write_list(sender);
    if (r < 0) return r;

    sender->build_ms = (built_ns - began_ns) / SEAM_MILLISECOND;
    sender->transfer_ms = (seam_now_ns() - built_ns) / SEAM_MILLISECOND;
    /* Nothing to ask for: the client leaves. */
    return sender->list.count == 0 ? 0 : sender_serve_requests(sender);
}

SEAM_SUSPENDS int sender_run(struct transfer *transfer)
{
    struct sender *sender = calloc(1, sizeof *sender);
    if (sender == NULL) return -ENOMEM;

    sender->transfer = transfer;
    sender->base_fd = -1;
    filter_init(&sender->filter);
    flist_init(&sender->list, SENDER_LIST_BYTES_MAX);
    int r = walk_init(&sender->walk);
    if (r == 0) r = run(sender);
    sender_free(sender);
    return r;
}
