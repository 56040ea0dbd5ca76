/* SPDX-License-Identifier: MIT */
/*
 * idlist.h - which user and group numbers a list mentions, and their names on the wire.
 *
 * While the list is built: idset_add() of each uid. After the end of the list:
 *
 *     for each id but 0 with a known name: idlist_put(out, id, name);
 *     idlist_put_end(out, flags & COMPAT_ID0_NAMES, name of 0 or "");
 *
 * first for users if owners are kept, then for groups if groups are. With numeric ids neither.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kit/buf.h"
#include "kit/cursor.h"
#include "kit/fault.h"

enum { IDSET_MAX = 65536 };

struct idset {
    uint32_t *ids; /* heap; ascending */
    size_t count;
    size_t capacity;
};

void idset_init(struct idset *set);
void idset_fini(struct idset *set);
/* 1 if the id is new, 0 if it is known, -ENOBUFS beyond IDSET_MAX, -ENOMEM. */
int idset_add(struct idset *set, uint32_t id);

/* Names are at most 255 bytes; a longer one is skipped. */
int idlist_put(struct buf *out, uint32_t id, const char *name);
int idlist_put_end(struct buf *out, bool has_id0, const char *name0);

struct idlist_item {
    uint32_t id;
    char name[256];
};

/* 1 with an item, 0 at the end (with id 0's name in the item if has_id0), -EAGAIN, -EPROTO. */
int idlist_get(struct cursor *in, bool has_id0, struct idlist_item *out_item, struct fault *fault);
