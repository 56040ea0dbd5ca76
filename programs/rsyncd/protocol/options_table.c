/* SPDX-License-Identifier: MIT */
#include "protocol/options_table.h"

#include <string.h>

#include "protocol/options.h"

#define AT(field) offsetof(struct options, field)

enum { SECONDS_MAX = 100000000, BLOCK_BYTES_MAX = 131072 };

static const struct option table[] = {
        {"server", 0, OPTION_SPECIAL, 0, SPECIAL_SERVER},
        {"sender", 0, OPTION_SPECIAL, 0, SPECIAL_SENDER},
        {"rsh", 'e', OPTION_SPECIAL_ARG, 0, SPECIAL_CAPABILITIES},
        {"secluded-args", 's', OPTION_SET, AT(is_secluded), true},
        {"protect-args", 0, OPTION_SET, AT(is_secluded), true},

        {"links", 'l', OPTION_SET, AT(keep_links), true},
        {"owner", 'o', OPTION_SET, AT(keep_owner), true},
        {"group", 'g', OPTION_SET, AT(keep_group), true},
        {"no-owner", 0, OPTION_SET, AT(keep_owner), false},
        {"no-group", 0, OPTION_SET, AT(keep_group), false},
        {"D", 'D', OPTION_SPECIAL, 0, SPECIAL_DEVICES},
        {"no-D", 0, OPTION_SPECIAL, 0, SPECIAL_NO_DEVICES},
        {"devices", 0, OPTION_SET, AT(keep_devices), true},
        {"no-devices", 0, OPTION_SET, AT(keep_devices), false},
        {"specials", 0, OPTION_SET, AT(keep_specials), true},
        {"no-specials", 0, OPTION_SET, AT(keep_specials), false},
        {"times", 't', OPTION_SET, AT(keep_times), true},
        {"perms", 'p', OPTION_SET, AT(keep_perms), true},
        {"hard-links", 'H', OPTION_SET, AT(keep_hard_links), true},
        {"executability", 'E', OPTION_SET, AT(keep_executability), true},
        {"checksum", 'c', OPTION_SET, AT(with_checksum), true},
        {"acls", 'A', OPTION_UNSERVED, 0, 0},
        {"xattrs", 'X', OPTION_UNSERVED, 0, 0},
        {"atimes", 'U', OPTION_UNSERVED, 0, 0},
        {"crtimes", 'N', OPTION_UNSERVED, 0, 0},

        {"recursive", 'r', OPTION_SET, AT(is_recursive), true},
        {"no-r", 0, OPTION_SET, AT(is_recursive), false},
        {"no-recursive", 0, OPTION_SET, AT(is_recursive), false},
        {"dirs", 'd', OPTION_SET, AT(is_dirs), true},
        {"no-dirs", 0, OPTION_SET, AT(is_dirs), false},
        {"relative", 'R', OPTION_SET, AT(is_relative), true},
        {"no-relative", 0, OPTION_SET, AT(is_relative), false},
        {"list-only", 0, OPTION_SET, AT(is_list_only), true},
        {"no-implied-dirs", 0, OPTION_SET, AT(has_implied_dirs), false},
        {"one-file-system", 'x', OPTION_SET, AT(stays_on_filesystem), true},
        {"copy-links", 'L', OPTION_SET, AT(copies_links), true},
        {"copy-dirlinks", 'k', OPTION_SET, AT(copies_dir_links), true},
        {"copy-unsafe-links", 0, OPTION_SET, AT(copies_unsafe_links), true},
        {"safe-links", 0, OPTION_SET, AT(skips_unsafe_links), true},
        {"prune-empty-dirs", 'm', OPTION_SET, AT(prunes_empty_dirs), true},
        {"cvs-exclude", 'C', OPTION_SET, AT(is_cvs_exclude), true},
        {"inc-recursive", 0, OPTION_SET, AT(allows_inc_recurse), true},
        {"no-inc-recursive", 0, OPTION_SET, AT(allows_inc_recurse), false},
        {"no-i-r", 0, OPTION_SET, AT(allows_inc_recurse), false},
        {"ignore-missing-args", 0, OPTION_SET, AT(ignores_missing_args), true},
        {"delete-missing-args", 0, OPTION_SET, AT(deletes_missing_args), true},
        {"ignore-errors", 0, OPTION_SET, AT(ignores_errors), true},
        {"remove-source-files", 0, OPTION_SET, AT(removes_source_files), true},
        {"remove-sent-files", 0, OPTION_SET, AT(removes_source_files), true},
        {"files-from", 0, OPTION_TEXT, AT(files_from), 0},
        {"from0", '0', OPTION_SET, AT(is_from0), true},

        {"dry-run", 'n', OPTION_SET, AT(is_dry_run), true},
        {"whole-file", 'W', OPTION_SET, AT(is_whole_file), true},
        {"no-whole-file", 0, OPTION_SET, AT(is_whole_file), false},
        {"no-W", 0, OPTION_SET, AT(is_whole_file), false},
        {"inplace", 0, OPTION_SET, AT(is_inplace), true},
        {"append", 0, OPTION_COUNT, AT(append), 0},
        {"append-verify", 0, OPTION_SPECIAL, 0, SPECIAL_APPEND_VERIFY},
        {"compress", 'z', OPTION_SET, AT(wants_compress), true},
        {"compress-choice", 0, OPTION_TEXT, AT(compress_choice), 0},
        {"zc", 0, OPTION_TEXT, AT(compress_choice), 0},
        {"new-compress", 0, OPTION_SPECIAL, 0, SPECIAL_COMPRESS_ZLIBX},
        {"old-compress", 0, OPTION_SPECIAL, 0, SPECIAL_COMPRESS_ZLIB},
        {"compress-level", 0, OPTION_IGNORE_ARG, 0, 0},
        {"zl", 0, OPTION_IGNORE_ARG, 0, 0},
        {"skip-compress", 0, OPTION_IGNORE_ARG, 0, 0},
        {"checksum-choice", 0, OPTION_TEXT, AT(checksum_choice), 0},
        {"cc", 0, OPTION_TEXT, AT(checksum_choice), 0},
        {"checksum-seed", 0, OPTION_SPECIAL_ARG, 0, SPECIAL_CHECKSUM_SEED},
        {"bwlimit", 0, OPTION_SIZE, AT(bwlimit_kib), 0},
        {"timeout", 0, OPTION_NUMBER, AT(timeout_s), SECONDS_MAX},
        {"block-size", 'B', OPTION_NUMBER, AT(block_bytes), BLOCK_BYTES_MAX},
        {"numeric-ids", 0, OPTION_SET, AT(is_numeric_ids), true},
        {"verbose", 'v', OPTION_COUNT, AT(verbosity), 0},
        {"quiet", 'q', OPTION_SET, AT(is_quiet), true},
        {"stats", 0, OPTION_SET, AT(wants_stats), true},
        {"info", 0, OPTION_IGNORE_ARG, 0, 0},
        {"debug", 0, OPTION_IGNORE_ARG, 0, 0},
        {"msgs2stderr", 0, OPTION_IGNORE, 0, 0},
        {"no-msgs2stderr", 0, OPTION_IGNORE, 0, 0},
        {"max-alloc", 0, OPTION_IGNORE_ARG, 0, 0},
        {"use-qsort", 0, OPTION_IGNORE, 0, 0},
        {"open-noatime", 0, OPTION_IGNORE, 0, 0},
        {"copy-devices", 0, OPTION_UNSERVED, 0, 0},
        {"iconv", 0, OPTION_UNSERVED_ARG, 0, 0},
        {"no-iconv", 0, OPTION_IGNORE, 0, 0},

        {"ignore-times", 'I', OPTION_SET, AT(ignores_times), true},
        {"size-only", 0, OPTION_SET, AT(is_size_only), true},
        {"update", 'u', OPTION_SET, AT(is_update), true},
        {"existing", 0, OPTION_SET, AT(is_existing), true},
        {"ignore-existing", 0, OPTION_SET, AT(ignores_existing), true},
        {"sparse", 'S', OPTION_SET, AT(is_sparse), true},
        {"keep-dirlinks", 'K', OPTION_SET, AT(keeps_dir_links), true},
        {"omit-dir-times", 'O', OPTION_SET, AT(omits_dir_times), true},
        {"omit-link-times", 'J', OPTION_SET, AT(omits_link_times), true},
        {"delete", 0, OPTION_CHOOSE, AT(deletes), DELETE_DURING},
        {"delete-before", 0, OPTION_CHOOSE, AT(deletes), DELETE_BEFORE},
        {"delete-during", 0, OPTION_CHOOSE, AT(deletes), DELETE_DURING},
        {"delete-delay", 0, OPTION_CHOOSE, AT(deletes), DELETE_DELAY},
        {"delete-after", 0, OPTION_CHOOSE, AT(deletes), DELETE_AFTER},
        {"delete-excluded", 0, OPTION_SET, AT(deletes_excluded), true},
        {"max-delete", 0, OPTION_SPECIAL_ARG, 0, SPECIAL_MAX_DELETE},
        {"force", 0, OPTION_SET, AT(is_force), true},
        {"partial", 0, OPTION_SET, AT(is_partial), true},
        {"partial-dir", 0, OPTION_TEXT, AT(partial_dir), 0},
        {"delay-updates", 0, OPTION_SET, AT(delays_updates), true},
        {"temp-dir", 'T', OPTION_TEXT, AT(temp_dir), 0},
        {"backup", 'b', OPTION_SET, AT(is_backup), true},
        {"backup-dir", 0, OPTION_TEXT, AT(backup_dir), 0},
        {"suffix", 0, OPTION_TEXT, AT(suffix), 0},
        {"min-size", 0, OPTION_SIZE, AT(size_min), 0},
        {"max-size", 0, OPTION_SIZE, AT(size_max), 0},
        {"modify-window", '@', OPTION_NUMBER, AT(modify_window_s), SECONDS_MAX},
        {"usermap", 0, OPTION_TEXT, AT(usermap), 0},
        {"groupmap", 0, OPTION_TEXT, AT(groupmap), 0},
        {"log-format", 0, OPTION_TEXT, AT(log_format), 0},
        {"out-format", 0, OPTION_TEXT, AT(log_format), 0},
        {"super", 0, OPTION_SET, AT(is_super), true},
        {"no-super", 0, OPTION_SET, AT(is_super), false},
        {"fsync", 0, OPTION_SET, AT(wants_fsync), true},
        {"preallocate", 0, OPTION_SET, AT(is_preallocate), true},
        {"mkpath", 0, OPTION_SET, AT(is_mkpath), true},
        {"only-write-batch", 0, OPTION_IGNORE_ARG, 0, 0},
        {"compare-dest", 0, OPTION_UNSERVED_ARG, 0, 0},
        {"copy-dest", 0, OPTION_UNSERVED_ARG, 0, 0},
        {"link-dest", 0, OPTION_UNSERVED_ARG, 0, 0},
        {"fuzzy", 'y', OPTION_UNSERVED, 0, 0},
        {"fake-super", 0, OPTION_UNSERVED, 0, 0},
        {"write-devices", 0, OPTION_UNSERVED, 0, 0},
        {"insecure-links", 0, OPTION_UNSERVED, 0, 0},
        {"log-file", 0, OPTION_UNSERVED_ARG, 0, 0},
        {"log-file-format", 0, OPTION_UNSERVED_ARG, 0, 0},
};

enum { TABLE_COUNT = sizeof table / sizeof table[0] };

const struct option *option_by_letter(char letter)
{
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        if (letter != '\0' && table[i].letter == letter) return &table[i];
    }
    return NULL;
}

const struct option *option_by_name(const char *name, size_t len)
{
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        bool is_same = strlen(table[i].name) == len && memcmp(table[i].name, name, len) == 0;
        if (is_same) return &table[i];
    }
    return NULL;
}

bool option_takes_argument(const struct option *option)
{
    switch (option->kind) {
    case OPTION_TEXT:
    case OPTION_NUMBER:
    case OPTION_SIZE:
    case OPTION_SPECIAL_ARG:
    case OPTION_IGNORE_ARG:
    case OPTION_UNSERVED_ARG: return true;
    case OPTION_SET:
    case OPTION_COUNT:
    case OPTION_CHOOSE:
    case OPTION_SPECIAL:
    case OPTION_IGNORE:
    case OPTION_UNSERVED: return false;
    }
    return false;
}
