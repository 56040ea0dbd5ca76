/* SPDX-License-Identifier: MIT */
/*
 * store/names.h - the names of users and groups, as the system knows them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "kit/buf.h"
#include "protocol/idlist.h"

struct names {
    const struct idset *users;  /* NULL: not wanted */
    const struct idset *groups; /* NULL: not wanted */
    bool has_id0;
    bool is_numeric; /* send no names, only the ends of the lists */
    struct buf *out; /* the id lists, as they travel */
};

/* Look the names up and write both lists. 0 or out's error. A seam_fn for seam_block(): name
 * services may ask the network. */
int names_write(void *arg);
