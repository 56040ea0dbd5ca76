/* SPDX-License-Identifier: MIT */
#include "store/names.h"

#include <grp.h>
#include <pwd.h>
#include <stddef.h>
#include <string.h>

enum { RECORD_BYTES = 16 << 10, NAME_BYTES_MAX = 256 };

/* Names go to the caller's buffer; "" when there is none or it is too long to be sent. The record
 * buffers are on the stack: this runs on a pool thread, which has room. */
static void user_name(uint32_t id, char *out_name)
{
    char record[RECORD_BYTES];
    struct passwd entry;
    struct passwd *found = NULL;
    *out_name = '\0';
    if (getpwuid_r(id, &entry, record, sizeof record, &found) != 0 || found == NULL) return;

    size_t len = strlen(entry.pw_name);
    if (len < NAME_BYTES_MAX) memcpy(out_name, entry.pw_name, len + 1);
}

static void group_name(uint32_t id, char *out_name)
{
    char record[RECORD_BYTES];
    struct group entry;
    struct group *found = NULL;
    *out_name = '\0';
    if (getgrgid_r(id, &entry, record, sizeof record, &found) != 0 || found == NULL) return;

    size_t len = strlen(entry.gr_name);
    if (len < NAME_BYTES_MAX) memcpy(out_name, entry.gr_name, len + 1);
}

static int write_list(const struct names *names, const struct idset *ids,
        void (*name_of)(uint32_t id, char *out_name))
{
    char name[NAME_BYTES_MAX] = "";
    for (size_t i = 0; i < ids->count && !names->is_numeric; i++) {
        if (ids->ids[i] == 0) continue;
        name_of(ids->ids[i], name);
        if (*name != '\0') (void)idlist_put(names->out, ids->ids[i], name);
    }
    *name = '\0';
    if (names->has_id0 && !names->is_numeric) name_of(0, name);
    return idlist_put_end(names->out, names->has_id0, name);
}

int names_write(void *arg)
{
    const struct names *names = arg;
    int r = 0;
    if (names->users != NULL) r = write_list(names, names->users, user_name);
    if (r == 0 && names->groups != NULL) r = write_list(names, names->groups, group_name);
    return r;
}
