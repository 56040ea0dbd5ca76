/* SPDX-License-Identifier: MIT */
#include "protocol/flist.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "check/check.h"

static struct flist_item item_of(const char *path)
{
    size_t len = strlen(path);
    bool is_dir = len > 1 && path[len - 1] == '/';
    return (struct flist_item){.path = path,
            .path_len = len,
            .mode = is_dir || strcmp(path, ".") == 0 ? 040755 : 0100644,
            .hlink = FLIST_HLINK_NONE};
}

/* A trailing slash makes a directory. */
static void add(struct flist *list, const char *path)
{
    char text[200];
    struct flist_item item = item_of(path);
    (void)snprintf(text, sizeof text, "%s", path);
    if (item.mode == 040755 && item.path_len > 1) text[--item.path_len] = '\0';
    item.path = text;
    CHECK_OK(flist_add(list, &item));
}

TEST(the_list_is_sorted_as_both_sides_must)
{
    static const char *const sorted[] = {".", "a", "a.b", "z", "a-b/", "a-b/x", "a/", "a/f", "a/z",
            "a/b/", "a/b/c", "a0/", "b/", "b/a/", "b/a/x"};
    enum { COUNT = sizeof sorted / sizeof sorted[0] };
    struct flist list;
    char path[FLIST_PATH_MAX];
    for (int step = 1; step < COUNT; step++) {
        if (COUNT % step == 0 && step > 1) continue;
        flist_init(&list, 1 << 20);
        /* Any step that shares no factor with the count visits every entry. */
        for (int i = 0; i < COUNT; i++) {
            add(&list, sorted[(i * step + 3) % COUNT]);
        }
        flist_sort(&list);
        bool is_whole = step % 3 != 0 && step % 5 != 0;
        for (int i = 0; i < COUNT && is_whole; i++) {
            struct flist_item item;
            CHECK_OK(flist_get(&list, (size_t)i, &item, path));
            if (item.mode == 040755 && strcmp(path, ".") != 0) memcpy(path + item.path_len, "/", 2);
            CHECK(strcmp(path, sorted[i]) == 0);
        }
        flist_fini(&list);
    }
}

TEST(paths_compare_by_component_files_first)
{
    CHECK(flist_compare_paths("a-b", true, "a", true) < 0);
    CHECK(flist_compare_paths("a", false, "a-b", false) < 0);
    CHECK(flist_compare_paths("z", false, "a", true) < 0);
    CHECK(flist_compare_paths("a", true, "a/x", false) < 0);
    CHECK(flist_compare_paths(".", true, "a", false) < 0);
    CHECK(flist_compare_paths("a/z", false, "a/b/c", false) < 0);
    CHECK(flist_compare_paths("a\x80", false, "a\x7f", false) > 0);
    CHECK(flist_compare_paths("same", true, "same", true) == 0);
}

TEST(equal_paths_keep_their_order)
{
    struct flist list;
    struct flist_item item;
    char path[FLIST_PATH_MAX];
    flist_init(&list, 1 << 20);
    for (int i = 0; i < 100; i++) {
        item = item_of(i % 2 == 0 ? "d/x" : "d/y");
        item.size = i;
        CHECK_OK(flist_add(&list, &item));
    }
    flist_sort(&list);
    for (int i = 0; i < 100; i++) {
        CHECK_OK(flist_get(&list, (size_t)i, &item, path));
        CHECK_EQ(item.size, i < 50 ? 2 * i : 2 * (i - 50) + 1);
    }
    flist_fini(&list);
}

TEST(everything_put_in_comes_out_again)
{
    struct flist list;
    char path[FLIST_PATH_MAX];
    struct flist_item got;
    flist_init(&list, 1 << 20);
    struct flist_item link = {.path = "d/link",
            .path_len = 6,
            .mode = 0120777,
            .size = 3,
            .mtime = -5,
            .mtime_ns = 7,
            .uid = 1,
            .gid = 2,
            .target = "to",
            .target_len = 2};
    struct flist_item device = {
            .path = "d/dev", .path_len = 5, .mode = 020600, .rdev_major = 8, .rdev_minor = 300000};
    struct flist_item file = {.path = "f",
            .path_len = 1,
            .mode = 0100600,
            .size = 1ll << 40,
            .sum = (const uint8_t *)"0123456789abcdef",
            .sum_len = 16,
            .hlink = 5};
    CHECK_OK(flist_add(&list, &link));
    CHECK_OK(flist_add(&list, &device));
    CHECK_OK(flist_add(&list, &file));
    CHECK_OK(flist_get(&list, 0, &got, path));
    CHECK(strcmp(got.path, "d/link") == 0 && strcmp(got.target, "to") == 0);
    CHECK(got.mtime == -5 && got.mtime_ns == 7 && got.uid == 1 && got.gid == 2);
    CHECK_OK(flist_get(&list, 1, &got, path));
    CHECK(got.rdev_major == 8 && got.rdev_minor == 300000 && strcmp(path, "d/dev") == 0);
    CHECK_OK(flist_get(&list, 2, &got, path));
    CHECK(got.size == 1ll << 40 && got.sum_len == 16 && got.hlink == 5);
    CHECK_ERR(flist_get(&list, 3, &got, path), EINVAL);
    CHECK_EQ(flist_mode(&list, 1), 020600);
    flist_fini(&list);
}

TEST(names_that_escape_are_not_taken)
{
    static const char *const bad[] = {"", "/a", "../a", "a/..", "a//b", "a/./b"};
    struct flist list;
    flist_init(&list, 1 << 20);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct flist_item item = item_of(bad[i]);
        CHECK_ERR(flist_add(&list, &item), EINVAL);
    }
    CHECK_EQ(list.count, 0);
    flist_fini(&list);
}

TEST(the_list_keeps_to_its_memory_and_needs_little)
{
    struct flist list;
    char path[64];
    int r = 0;
    flist_init(&list, 1 << 20);
    for (int i = 0; r == 0; i++) {
        (void)snprintf(path, sizeof path, "some/directory%d/file%06d", i / 100, i);
        struct flist_item item = item_of(path);
        r = flist_add(&list, &item);
        CHECK(flist_bytes(&list) <= 1 << 20);
    }
    CHECK_ERR(r, ENOBUFS);
    CHECK(list.count > 7000);
    flist_fini(&list);
}
