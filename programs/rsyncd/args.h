/* SPDX-License-Identifier: MIT */
/*
 * args.h - the daemon's own command line.
 *
 *     seam-rsyncd --daemon --no-detach --config=/etc/rsyncd.conf --port=873
 *     seam-rsyncd --serve /srv/mirror=pub --serve /srv/iso
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "kit/fault.h"

enum { ARGS_SERVES_MAX = 64 };

struct args_serve {
    char name[128]; /* module name: given, or the directory's last component */
    char dir[4096];
};

enum args_action { ARGS_RUN, ARGS_HELP, ARGS_VERSION };

struct args {
    enum args_action action;
    bool is_daemon;
    bool no_detach;
    const char *config_path;   /* NULL: not given */
    int port;                  /* 0: not given */
    const char *address;       /* NULL: not given */
    const char *log_path;      /* NULL: not given */
    struct args_serve *serves; /* heap */
    size_t serves_count;
};

/* 0; -EINVAL with words (what, where, why) in fault; -ENOMEM. Strings point into argv.
 * args may be passed to args_fini() whatever came back. */
int args_parse(struct args *args, int argc, char *const *argv, struct fault *fault);
void args_fini(struct args *args);

/* The text for --help, and for --version. */
const char *args_help(void);
const char *args_version(void);
