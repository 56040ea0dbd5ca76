/* SPDX-License-Identifier: MIT */
/*
 * The file list from a hostile sender. What is read can be kept, sorted, written and read again.
 */
#include "protocol/flist.h"

#include "fuzz.h"
#include "protocol/flist_coder.h"
#include "protocol/idlist.h"

static struct flist_coder reader;
static struct flist_coder writer;
static struct flist_coder checker;

static void check_same(const struct flist_item *left, const struct flist_item *right)
{
    FUZZ_CHECK(strcmp(left->path, right->path) == 0);
    FUZZ_CHECK(left->hlink == right->hlink);
    if (left->hlink >= 0) return;
    FUZZ_CHECK(left->mode == right->mode && left->mtime == right->mtime);
    FUZZ_CHECK(left->uid == right->uid && left->gid == right->gid);
    FUZZ_CHECK(left->target_len == right->target_len && left->sum_len == right->sum_len);
    FUZZ_CHECK(left->is_top_dir == right->is_top_dir && left->no_content == right->no_content);
}

static void write_and_read(struct flist_item item)
{
    struct buf out;
    buf_init(&out, 1 << 16);
    int r = flist_write_entry(&writer, &item, &out);
    FUZZ_CHECK(r == 0);
    struct cursor back = cursor_of(buf_data(&out), out.len);
    struct flist_item again;
    int32_t io_error = 0;
    FUZZ_CHECK(flist_read_entry(&checker, &back, &again, &io_error, NULL) == FLIST_ENTRY);
    FUZZ_CHECK(cursor_left(&back) == 0);
    check_same(&item, &again);
    if (again.hlink >= 0) flist_coder_follow(&checker, &item);
    buf_fini(&out);
}

static void keep(struct flist *list, struct flist_item item)
{
    char target[FLIST_PATH_MAX];
    if (item.target != NULL) {
        memcpy(target, item.target, item.target_len);
        target[item.target_len] = '\0';
        item.target = target;
    }
    FUZZ_CHECK(flist_add(list, &item) == 0);
}

static void check_order(struct flist *list)
{
    static char left[FLIST_PATH_MAX];
    static char right[FLIST_PATH_MAX];
    struct flist_item one;
    struct flist_item two;
    flist_sort(list);
    for (size_t i = 1; i < list->count; i++) {
        FUZZ_CHECK(flist_get(list, i - 1, &one, left) == 0);
        FUZZ_CHECK(flist_get(list, i, &two, right) == 0);
        bool is_left_dir = (one.mode & 0170000) == 040000;
        bool is_right_dir = (two.mode & 0170000) == 040000;
        FUZZ_CHECK(flist_compare_paths(left, is_left_dir, right, is_right_dir) <= 0);
        FUZZ_CHECK(flist_compare_paths(right, is_right_dir, left, is_left_dir) >= 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct cursor in = cursor_of(bytes, len);
    unsigned choice = fuzz_choice(&in);
    choice |= (unsigned)fuzz_choice(&in) << 8;
    struct flist_terms terms = {.protocol = 30 + (int)(choice & 1),
            .has_varint_flags = (choice & 2) != 0,
            .has_safe_errors = (choice & 4) != 0 || (choice & 1) != 0,
            .keep_links = (choice & 8) != 0,
            .keep_owner = (choice & 16) != 0,
            .keep_group = (choice & 32) != 0,
            .keep_devices = (choice & 64) != 0,
            .keep_specials = (choice & 128) != 0,
            .keep_hard_links = (choice & 256) != 0,
            .sum_bytes = (choice & 512) != 0 ? 16 : 0};
    flist_coder_init(&reader, &terms);
    flist_coder_init(&writer, &terms);
    flist_coder_init(&checker, &terms);

    struct flist list;
    struct flist_item item;
    int32_t io_error = 0;
    flist_init(&list, 1 << 22);
    int r = 0;
    while ((r = flist_read_entry(&reader, &in, &item, &io_error, NULL)) == FLIST_ENTRY) {
        /* As the entry the follower leads to would say; here, the one before. */
        if (item.hlink >= 0) {
            item.mode = reader.mode;
            item.mtime = reader.mtime;
            item.uid = reader.uid;
            item.gid = reader.gid;
        }
        bool is_whole = item.mode != 0 && (item.hlink < 0 || (item.mode & 0170000) == 040000);
        if (!is_whole) break;
        write_and_read(item);
        keep(&list, item);
    }
    check_order(&list);
    flist_fini(&list);

    struct idlist_item id;
    while (r == FLIST_END && idlist_get(&in, (choice & 1) != 0, &id, NULL) == 1) {
        FUZZ_CHECK(id.id != 0);
    }
    return 0;
}
