/* SPDX-License-Identifier: MIT */
#include "args.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kit/path.h"

static const char help[] =
        "seam-rsyncd - serve directories over the rsync protocol\n"
        "\n"
        "usage: seam-rsyncd --serve DIR[=NAME] ... [options]\n"
        "       seam-rsyncd --daemon [--config=FILE] [options]\n"
        "\n"
        "  --serve DIR[=NAME]  serve DIR read-only as module NAME (default: its last component);\n"
        "                      may be given several times\n"
        "  --daemon            serve the modules of the configuration file\n"
        "  --config=FILE       the configuration file (default: /etc/rsyncd.conf)\n"
        "  --no-detach         stay in the foreground\n"
        "  --address=ADDRESS   listen on this address only\n"
        "  --port=N            listen on this port (default: 873)\n"
        "  --log-file=FILE     write the log to FILE\n"
        "  --help, --version\n";

const char *args_help(void)
{
    return help;
}

const char *args_version(void)
{
    return "seam-rsyncd 0.1.0, rsync protocol 32\n";
}

static int set_port(struct args *args, const char *value, struct fault *fault)
{
    int port = 0;
    const char *at = value;
    for (; *at >= '0' && *at <= '9' && port <= 65535; at++) {
        port = port * 10 + (*at - '0');
    }
    if (at == value || *at != '\0' || port < 1 || port > 65535) {
        return fault_set(fault, -EINVAL, "--port: \"%s\" is not a port: want 1 to 65535", value);
    }
    args->port = port;
    return 0;
}

/* "DIR" or "DIR=NAME". The last '=' divides, unless what follows has a slash: then it is part of
 * the directory's name. */
static int split_serve(const char *value, struct args_serve *serve, struct fault *fault)
{
    const char *equals = strrchr(value, '=');
    if (equals != NULL && strchr(equals, '/') != NULL) equals = NULL;
    size_t dir_len = equals == NULL ? strlen(value) : (size_t)(equals - value);
    if (dir_len == 0 || dir_len >= sizeof serve->dir) {
        return fault_set(fault, -EINVAL, "--serve: \"%s\" names no directory", value);
    }
    memcpy(serve->dir, value, dir_len);
    serve->dir[dir_len] = '\0';
    while (dir_len > 1 && serve->dir[dir_len - 1] == '/') {
        serve->dir[--dir_len] = '\0';
    }
    const char *name = equals == NULL ? path_base(serve->dir) : equals + 1;
    bool is_nameless = name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
    if (is_nameless || name[0] == '#') {
        return fault_set(fault, -EINVAL,
                "--serve: \"%s\" gives no module name: write it as DIR=NAME", value);
    }
    if (strlen(name) >= sizeof serve->name || strpbrk(name, "\n\r]") != NULL) {
        return fault_set(fault, -EINVAL, "--serve: \"%s\" is not a usable module name", name);
    }
    memcpy(serve->name, name, strlen(name) + 1);
    return 0;
}

static int add_serve(struct args *args, const char *value, struct fault *fault)
{
    if (args->serves_count == ARGS_SERVES_MAX) {
        return fault_set(
                fault, -EINVAL, "--serve: more than %d times; use --config", ARGS_SERVES_MAX);
    }
    struct args_serve *serves = realloc(args->serves, (args->serves_count + 1) * sizeof *serves);
    if (serves == NULL) return -ENOMEM;
    args->serves = serves;
    struct args_serve *serve = &serves[args->serves_count];
    *serve = (struct args_serve){};
    int r = split_serve(value, serve, fault);
    if (r < 0) return r;
    for (size_t i = 0; i < args->serves_count; i++) {
        if (strcmp(serves[i].name, serve->name) == 0) {
            return fault_set(fault, -EINVAL,
                    "--serve: two modules named \"%s\": name one as DIR=NAME", serve->name);
        }
    }
    args->serves_count++;
    return 0;
}

/* The value of an option: behind '=' or the next argument. */
static const char *take_value(
        const char *arg, size_t name_len, int argc, char *const *argv, int *at)
{
    if (arg[name_len] == '=') return arg + name_len + 1;
    return *at + 1 < argc ? argv[++*at] : NULL;
}

static bool is_option(const char *arg, const char *name, size_t *out_len)
{
    *out_len = strlen(name);
    return strncmp(arg, name, *out_len) == 0 && (arg[*out_len] == '\0' || arg[*out_len] == '=');
}

static int parse_value_option(
        struct args *args, int argc, char *const *argv, int *at, struct fault *fault)
{
    static const char *const names[] = {"--serve", "--config", "--port", "--address", "--log-file"};
    const char *arg = argv[*at];
    size_t len = 0;
    size_t which = 0;
    while (which < 5 && !is_option(arg, names[which], &len)) {
        which++;
    }
    if (which == 5) {
        return fault_set(fault, -EINVAL, "\"%s\" is not an option; --help lists them", arg);
    }
    const char *value = take_value(arg, len, argc, argv, at);
    if (value == NULL || value[0] == '\0') {
        return fault_set(fault, -EINVAL, "%s wants a value", names[which]);
    }
    switch (which) {
    case 0: return add_serve(args, value, fault);
    case 1: args->config_path = value; return 0;
    case 2: return set_port(args, value, fault);
    case 3: args->address = value; return 0;
    default: args->log_path = value; return 0;
    }
}

int args_parse(struct args *args, int argc, char *const *argv, struct fault *fault)
{
    *args = (struct args){};
    for (int at = 1; at < argc; at++) {
        const char *arg = argv[at];
        if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
            args->action = ARGS_HELP;
            return 0;
        }
        if (strcmp(arg, "--version") == 0 || strcmp(arg, "-V") == 0) {
            args->action = ARGS_VERSION;
            return 0;
        }
        if (strcmp(arg, "--daemon") == 0) {
            args->is_daemon = true;
        } else if (strcmp(arg, "--no-detach") == 0) {
            args->no_detach = true;
        } else {
            int r = parse_value_option(args, argc, argv, &at, fault);
            if (r < 0) return r;
        }
    }
    if (!args->is_daemon && args->serves_count == 0) {
        return fault_set(fault, -EINVAL,
                "nothing to serve: give --serve DIR, or --daemon for a configuration file");
    }
    return 0;
}

void args_fini(struct args *args)
{
    free(args->serves);
    *args = (struct args){};
}
