/* SPDX-License-Identifier: MIT */
/*
 * options.h - what the client asks for: the arguments it sends, understood.
 *
 *     --server --sender -vlogDtpre.iLsfxCIvu --numeric-ids . module/dir/ module/other
 *
 * Strings point into the struct arglist parsed, which must live as long as the options.
 * Options that are understood by rsync but not served by us are refused with upstream's words for
 * a refused option, so that the client's user can read what to leave out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kit/fault.h"
#include "protocol/arglist.h"

/* Capability letters of the -e option. */
enum options_capability {
    CAPABLE_INC_RECURSE = 1u << 0,     /* i */
    CAPABLE_SYMLINK_TIMES = 1u << 1,   /* L */
    CAPABLE_SYMLINK_ICONV = 1u << 2,   /* s */
    CAPABLE_SAFE_FLIST = 1u << 3,      /* f */
    CAPABLE_AVOID_XATTR_OPT = 1u << 4, /* x */
    CAPABLE_CHKSUM_SEED_FIX = 1u << 5, /* C */
    CAPABLE_INPLACE_PARTIAL = 1u << 6, /* I */
    CAPABLE_VARINT_FLAGS = 1u << 7,    /* v */
    CAPABLE_ID0_NAMES = 1u << 8,       /* u */
};

enum options_delete { DELETE_NEVER, DELETE_BEFORE, DELETE_DURING, DELETE_DELAY, DELETE_AFTER };

struct options_path {
    const char *path;     /* below the module root, collapsed; "" is the root itself */
    bool has_wildcard;    /* path is a pattern for glob_match(); if nothing matches, a name */
    size_t relative_from; /* -R: names start at this offset of path (after a "/./"); usually 0 */
    bool wants_contents;  /* ended in '/' or "/.": the directory's contents, named "." and below */
};

struct options {
    bool is_sender;   /* --sender: the client pulls, we send */
    bool is_secluded; /* a second list of arguments follows: read it, call options_parse_more() */
    unsigned capabilities;

    /* What an entry carries. */
    bool keep_links;
    bool keep_owner;
    bool keep_group;
    bool keep_devices;
    bool keep_specials;
    bool keep_times;
    bool keep_perms;
    bool keep_hard_links;
    bool keep_executability;
    bool with_checksum; /* -c */

    /* What is walked. */
    bool is_recursive;
    bool is_dirs; /* -d or --list-only */
    bool is_relative;
    bool is_list_only;
    bool has_implied_dirs; /* with -R; false after --no-implied-dirs */
    bool stays_on_filesystem;
    bool copies_links;        /* -L */
    bool copies_dir_links;    /* -k */
    bool copies_unsafe_links; /* --copy-unsafe-links */
    bool skips_unsafe_links;  /* --safe-links */
    bool prunes_empty_dirs;
    bool is_cvs_exclude;
    bool allows_inc_recurse; /* false after --no-inc-recursive */
    bool ignores_missing_args;
    bool deletes_missing_args;
    bool ignores_errors;
    bool removes_source_files;
    const char *files_from; /* NULL, "-" (the client sends the names), or a path in the module */
    bool is_from0;

    /* How it is moved. */
    bool is_dry_run;
    bool is_whole_file;
    bool is_inplace;
    int append; /* 0, 1 --append, 2 --append-verify */
    bool wants_compress;
    const char *compress_choice; /* NULL unless given */
    const char *checksum_choice; /* NULL unless given; "A" or "A,B" */
    bool has_checksum_seed;
    int32_t checksum_seed;
    int64_t bwlimit_kib; /* 0: none */
    int32_t timeout_s;   /* 0: none */
    int32_t block_bytes; /* 0: the generator chooses */
    bool is_numeric_ids;
    int verbosity;
    bool is_quiet;
    bool wants_stats;

    /* Only a receiver heeds these. */
    bool ignores_times;
    bool is_size_only;
    bool is_update;
    bool is_existing;
    bool ignores_existing;
    bool is_sparse;
    bool keeps_dir_links; /* -K */
    bool omits_dir_times;
    bool omits_link_times;
    enum options_delete deletes;
    bool deletes_excluded;
    bool is_force;
    int32_t delete_max; /* -1: no limit */
    bool is_partial;
    bool delays_updates;
    bool is_backup;
    bool is_mkpath;
    bool is_preallocate;
    bool wants_fsync;
    bool is_super;
    int32_t modify_window_s;
    int64_t size_min; /* -1: none */
    int64_t size_max; /* -1: none */
    const char *partial_dir;
    const char *temp_dir;
    const char *backup_dir;
    const char *suffix;
    const char *usermap;
    const char *groupmap;
    const char *log_format;

    struct options_path *paths; /* heap */
    size_t paths_count;
};

/*
 * Parse a complete list. module is the name whose prefix the path arguments carry; refuse is the
 * module's "refuse options" text or NULL. Rewrites the list's strings in place.
 *
 * 0; -EINVAL unknown option or bad value (exit code 4: fault->text is the line for the client);
 * -EPERM refused (exit code 4); -EPROTO not a server's command line; -ENOMEM.
 * options may be passed to options_fini() whatever came back.
 */
int options_parse(struct options *options, struct arglist *list, const char *module,
        const char *refuse, struct fault *fault);

/* The same for the second list of a secluded command line; list must outlive options too. */
int options_parse_more(struct options *options, struct arglist *list, const char *module,
        const char *refuse, struct fault *fault);

void options_fini(struct options *options);

/* Whether a "refuse options" text refuses an option: name without dashes, letter or 0. */
bool options_refuses(const char *refuse, const char *name, char letter);
