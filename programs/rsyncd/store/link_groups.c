/* SPDX-License-Identifier: MIT */
#include "store/link_groups.h"

#include <errno.h>
#include <stdlib.h>

enum { GROUPS_FIRST = 64, GROUPS_MAX = 1 << 28 };

void link_groups_fini(struct link_groups *links)
{
    free(links->groups);
    free(links->slots);
    *links = (struct link_groups){};
}

static size_t slot_of(const struct link_groups *links, uint64_t device, uint64_t inode)
{
    uint64_t mixed = (inode ^ device * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);
    size_t slot = (size_t)(mixed >> 20) & (links->slots_count - 1);
    while (links->slots[slot] != 0) {
        const struct link_group *group = &links->groups[links->slots[slot] - 1];
        if (group->inode == inode && group->device == device) break;
        slot = (slot + 1) & (links->slots_count - 1);
    }
    return slot;
}

static int grow(struct link_groups *links)
{
    size_t capacity = links->capacity == 0 ? GROUPS_FIRST : links->capacity * 2;
    if (capacity > GROUPS_MAX) return -ENOMEM;
    struct link_group *groups = realloc(links->groups, capacity * sizeof *groups);
    if (groups == NULL) return -ENOMEM;
    links->groups = groups;
    int32_t *slots = calloc(capacity * 2, sizeof *slots);
    if (slots == NULL) return -ENOMEM;

    free(links->slots);
    links->slots = slots;
    links->slots_count = capacity * 2;
    links->capacity = capacity;
    for (size_t i = 0; i < links->count; i++) {
        slots[slot_of(links, groups[i].device, groups[i].inode)] = (int32_t)i + 1;
    }
    return 0;
}

int32_t link_groups_add(struct link_groups *links, uint64_t device, uint64_t inode)
{
    if (links->count == links->capacity) {
        int r = grow(links);
        if (r < 0) return r;
    }

    size_t slot = slot_of(links, device, inode);
    if (links->slots[slot] == 0) {
        links->groups[links->count++] =
                (struct link_group){.device = device, .inode = inode, .first = -1};
        links->slots[slot] = (int32_t)links->count;
    }
    links->groups[links->slots[slot] - 1].members++;
    return links->slots[slot] - 1;
}
