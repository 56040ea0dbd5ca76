/* SPDX-License-Identifier: MIT */
#include "protocol/idlist.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/varint.h"

void idset_init(struct idset *set)
{
    *set = (struct idset){};
}

void idset_fini(struct idset *set)
{
    free(set->ids);
    idset_init(set);
}

/* Where id is, or where it belongs. */
static size_t find_place(const struct idset *set, uint32_t id)
{
    size_t low = 0;
    size_t high = set->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (set->ids[middle] < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

int idset_add(struct idset *set, uint32_t id)
{
    size_t place = find_place(set, id);
    if (place < set->count && set->ids[place] == id) return 0;
    if (set->count == IDSET_MAX) return -ENOBUFS;
    if (set->count == set->capacity) {
        size_t capacity = set->capacity == 0 ? 16 : 2 * set->capacity;
        uint32_t *ids = realloc(set->ids, capacity * sizeof *ids);
        if (ids == NULL) return -ENOMEM;
        set->ids = ids;
        set->capacity = capacity;
    }
    memmove(set->ids + place + 1, set->ids + place, (set->count - place) * sizeof *set->ids);
    set->ids[place] = id;
    set->count++;
    return 1;
}

static int put_name(struct buf *out, const char *name, size_t len)
{
    (void)buf_put_byte(out, (unsigned)len);
    return buf_put(out, name, len);
}

int idlist_put(struct buf *out, uint32_t id, const char *name)
{
    size_t len = strlen(name);
    if (id == 0 || len == 0 || len > 255) return out->error;
    (void)varint_put(out, (int32_t)id);
    return put_name(out, name, len);
}

int idlist_put_end(struct buf *out, bool has_id0, const char *name0)
{
    (void)varint_put(out, 0);
    if (!has_id0) return out->error;
    size_t len = strlen(name0);
    return put_name(out, name0, len > 255 ? 0 : len);
}

int idlist_get(struct cursor *in, bool has_id0, struct idlist_item *out_item, struct fault *fault)
{
    struct cursor at = *in;
    int32_t id = 0;
    int r = varint_get(&at, &id);
    if (r == -EPROTO) return fault_set(fault, r, "invalid number in a list of ids");
    if (r < 0) return r;

    *out_item = (struct idlist_item){.id = (uint32_t)id};
    if (id != 0 || has_id0) {
        uint8_t len = 0;
        const uint8_t *name = NULL;
        r = cursor_get_byte(&at, &len);
        if (r == 0) r = cursor_get_bytes(&at, len, &name);
        if (r < 0) return r;
        if (name != NULL) memcpy(out_item->name, name, len);
    }
    *in = at;
    return id != 0;
}
