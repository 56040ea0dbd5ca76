/* SPDX-License-Identifier: MIT */
/*
 * store/link_groups.h - which files are one file: (device, inode) to a small number.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct link_group {
    uint64_t device;
    uint64_t inode;
    int32_t members;
    int32_t first; /* index of its first member in the sorted list; -1: not met yet */
};

/* All zero is empty. */
struct link_groups {
    struct link_group *groups; /* heap */
    size_t count;
    size_t capacity;
    int32_t *slots; /* heap; group + 1, 0 is free; a power of two, at most half full */
    size_t slots_count;
};

void link_groups_fini(struct link_groups *links);

/* The group's number, counting one more member; -ENOMEM. */
int32_t link_groups_add(struct link_groups *links, uint64_t device, uint64_t inode);
