/* SPDX-License-Identifier: MIT */
/*
 * config.h - rsyncd.conf, understood. Text in, struct out: nothing is opened here.
 *
 * Directives that rsync knows and we do not serve are warnings, by name and line: an operator must
 * learn what will not happen. Unknown directives are warnings too, as upstream ignores them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kit/fault.h"
#include "protocol/filter.h"

struct config_module {
    char *name;
    char *path;    /* never NULL after a successful parse */
    char *comment; /* "" when not set */
    bool is_listed;
    bool is_read_only;
    bool is_write_only;
    bool is_numeric_ids;
    char *hosts_allow;       /* NULL: everybody */
    char *hosts_deny;        /* NULL: nobody */
    int32_t timeout_s;       /* 0: none */
    int32_t connections_max; /* 0: no limit; < 0: the module is disabled */
    char *refuse_options;    /* NULL: none */
    struct filter filter;    /* the daemon's own chain */
};

struct config_warning {
    int line;
    char *text;
};

struct config {
    int port;                      /* 0: not set */
    char *address;                 /* NULL: every address */
    char *motd_path;               /* NULL: none */
    char *log_path;                /* NULL: standard error */
    char *pid_path;                /* NULL: none */
    int listen_backlog;            /* default 4096 */
    struct config_module *modules; /* heap */
    size_t modules_count;
    struct config_warning *warnings; /* heap */
    size_t warnings_count;
};

enum { CONFIG_PORT_DEFAULT = 873, CONFIG_BACKLOG_DEFAULT = 4096, CONFIG_MODULES_MAX = 4096 };

/* An empty configuration with the defaults. 0 or -ENOMEM. */
int config_new(struct config **out_config);

/* Parse a whole file. 0; -EINVAL with line and words in fault; -E2BIG; -ENOMEM.
 * *out_config is untouched on error. */
int config_parse(const char *text, size_t len, struct config **out_config, struct fault *fault);
void config_free(struct config *config);

/* Add a read-only module as --serve does. -EEXIST if the name is taken. */
int config_add_module(
        struct config *config, const char *name, const char *path, struct fault *fault);

/* Exact, case-sensitive; NULL if there is none. */
const struct config_module *config_find_module(const struct config *config, const char *name);

/* Upstream's rule: a match in allow lets in; else a match in deny keeps out; else in, unless only
 * an allow list was given. address is numeric text ("192.0.2.7", "2001:db8::1", v4-mapped is
 * v4); host is a name or NULL. */
bool config_admits(const struct config_module *module, const char *address, const char *host);
