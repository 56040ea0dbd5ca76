/* SPDX-License-Identifier: MIT */
#include "protocol/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kit/glob.h"
#include "kit/path.h"
#include "protocol/options_number.h"
#include "protocol/options_table.h"

/* One walk over a list of arguments. */
struct parse {
    struct options *options;
    const struct arglist *list;
    size_t at; /* index of the argument after the one being looked at */
    const char *module;
    const char *refuse;
    struct fault *fault;
};

/* "-x" or "--word", as an error names it. */
struct spelling {
    const char *dashes;
    int len;
    const char *name;
};

static struct spelling spell_letter(const char *letter)
{
    return (struct spelling){.dashes = "-", .len = 1, .name = letter};
}

static int complain(const struct parse *parse, struct spelling spelling, const char *why)
{
    return fault_set(parse->fault, -EINVAL, "rsync: on remote machine: %s%.*s: %s", spelling.dashes,
            spelling.len, spelling.name, why);
}

static int refuse_option(const struct parse *parse, const char *name, char letter)
{
    if (letter == '\0') {
        return fault_set(
                parse->fault, -EPERM, "rsync: The server is configured to refuse --%s", name);
    }
    return fault_set(parse->fault, -EPERM, "rsync: The server is configured to refuse --%s (-%c)",
            name, letter);
}

static int check_refusal(const struct parse *parse, const struct option *option)
{
    bool is_unserved = option->kind == OPTION_UNSERVED || option->kind == OPTION_UNSERVED_ARG;
    if (is_unserved || options_refuses(parse->refuse, option->name, option->letter)) {
        return refuse_option(parse, option->name, option->letter);
    }
    /* Refusing --delete means all its kinds; refusing --compress, all ways to ask for it. */
    bool is_deletion = strncmp(option->name, "delete-", 7) == 0
            && strcmp(option->name, "delete-missing-args") != 0;
    if (is_deletion && options_refuses(parse->refuse, "delete", '\0')) {
        return refuse_option(parse, "delete", '\0');
    }
    bool is_compression = strstr(option->name, "compress") != NULL && option->letter != 'z';
    if (is_compression && options_refuses(parse->refuse, "compress", 'z')) {
        return refuse_option(parse, "compress", 'z');
    }
    return 0;
}

static void add_capabilities(struct options *options, const char *text)
{
    static const char letters[] = "iLsfxCIvu"; /* in the order of enum options_capability */
    text += strspn(text, "0123456789.");
    for (; *text != '\0'; text++) {
        const char *letter = strchr(letters, *text);
        if (letter != NULL) options->capabilities |= 1u << (letter - letters);
    }
}

static int set_special(const struct parse *parse, const struct option *option,
        struct spelling spelling, const char *arg)
{
    struct options *options = parse->options;
    int64_t number = 0;
    switch ((enum option_special)option->value) {
    case SPECIAL_SERVER: break;
    case SPECIAL_SENDER: options->is_sender = true; break;
    case SPECIAL_DEVICES:
    case SPECIAL_NO_DEVICES:
        options->keep_devices = option->value == SPECIAL_DEVICES;
        options->keep_specials = option->value == SPECIAL_DEVICES;
        break;
    case SPECIAL_CAPABILITIES: add_capabilities(options, arg); break;
    case SPECIAL_CHECKSUM_SEED:
        if (!options_number(arg, INT32_MIN, INT32_MAX, &number)) {
            return complain(parse, spelling, "invalid numeric value");
        }
        options->has_checksum_seed = number != 0;
        options->checksum_seed = (int32_t)number;
        break;
    case SPECIAL_MAX_DELETE:
        if (!options_number(arg, -1, INT32_MAX, &number)) {
            return complain(parse, spelling, "invalid numeric value");
        }
        options->delete_max = number < 0 ? 0 : (int32_t)number;
        break;
    case SPECIAL_COMPRESS_ZLIBX: options->compress_choice = "zlibx"; break;
    case SPECIAL_COMPRESS_ZLIB: options->compress_choice = "zlib"; break;
    case SPECIAL_APPEND_VERIFY: options->append = 2; break;
    }
    return 0;
}

static int set_option(const struct parse *parse, const struct option *option,
        struct spelling spelling, const char *arg)
{
    int r = check_refusal(parse, option);
    if (r < 0) return r;

    void *field = (char *)parse->options + option->offset;
    int64_t number = 0;
    switch (option->kind) {
    case OPTION_SET: *(bool *)field = option->value != 0; break;
    case OPTION_COUNT: *(int *)field += *(int *)field < 100; break;
    case OPTION_CHOOSE: *(enum options_delete *)field = (enum options_delete)option->value; break;
    case OPTION_TEXT: *(const char **)field = arg; break;
    case OPTION_NUMBER:
        if (!options_number(arg, 0, option->value, &number)) {
            return complain(parse, spelling, "invalid numeric value");
        }
        *(int32_t *)field = (int32_t)number;
        break;
    case OPTION_SIZE:
        if (!options_size(arg, (int64_t *)field)) return complain(parse, spelling, "invalid size");
        break;
    case OPTION_SPECIAL:
    case OPTION_SPECIAL_ARG: return set_special(parse, option, spelling, arg);
    case OPTION_IGNORE:
    case OPTION_IGNORE_ARG:
    case OPTION_UNSERVED:
    case OPTION_UNSERVED_ARG: break;
    }
    return 0;
}

static const char *next_argument(struct parse *parse)
{
    return parse->at < parse->list->count ? parse->list->args[parse->at++] : NULL;
}

static int parse_bundle(struct parse *parse, const char *letters)
{
    if (*letters == '\0') return complain(parse, spell_letter(letters), "unknown option");
    for (; *letters != '\0'; letters++) {
        struct spelling spelling = spell_letter(letters);
        const struct option *option = option_by_letter(*letters);
        if (option == NULL) return complain(parse, spelling, "unknown option");
        const char *arg = NULL;
        if (option_takes_argument(option)) {
            arg = letters[1] != '\0' ? letters + 1 : next_argument(parse);
            if (arg == NULL) return complain(parse, spelling, "missing argument");
        }
        int r = set_option(parse, option, spelling, arg);
        if (r < 0) return r;
        if (arg != NULL) return 0;
    }
    return 0;
}

static int parse_long(struct parse *parse, const char *name)
{
    size_t len = strcspn(name, "=");
    const char *arg = name[len] == '=' ? name + len + 1 : NULL;
    struct spelling spelling = {.dashes = "--", .len = (int)len, .name = name};
    const struct option *option = option_by_name(name, len);
    if (option == NULL) return complain(parse, spelling, "unknown option");
    if (option_takes_argument(option)) {
        if (arg == NULL) arg = next_argument(parse);
        if (arg == NULL) return complain(parse, spelling, "missing argument");
    } else if (arg != NULL) {
        return complain(parse, spelling, "option does not take an argument");
    }
    return set_option(parse, option, spelling, arg);
}

/* "\X" becomes "X", as the client's shell protection wants. */
static void unescape(char *text, const char *only)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        bool is_escape =
                *from == '\\' && from[1] != '\0' && (only == NULL || strchr(only, from[1]) != NULL);
        if (is_escape) from++;
        *to++ = *from;
    }
    *to = '\0';
}

static bool has_bare_wildcard(const char *path)
{
    for (; *path != '\0'; path++) {
        if (*path == '\\' && path[1] != '\0') {
            path++;
        } else if (strchr("*?[", *path) != NULL) {
            return true;
        }
    }
    return false;
}

static bool asks_for_contents(const char *path)
{
    size_t len = strlen(path);
    if (len == 0 || path[len - 1] == '/') return true;
    return path[len - 1] == '.' && (len == 1 || path[len - 2] == '/');
}

/* With -R, names begin behind the last "/./" inside the path. Works before path is collapsed; the
 * offset is into the collapsed path. */
static size_t find_relative_from(char *path)
{
    char *dot = strstr(path, "/./");
    if (dot == NULL || dot[3] == '\0') return 0;
    char before[ARGLIST_ARG_BYTES_MAX + 1];
    size_t len = (size_t)(dot - path);
    memcpy(before, path, len);
    before[len] = '\0';
    len = path_collapse(before);
    size_t whole = path_collapse(path);
    bool is_inside = len > 0 && whole > len && memcmp(path, before, len) == 0 && path[len] == '/';
    return is_inside ? len + 1 : 0;
}

static int add_path(struct options *options, char *path)
{
    struct options_path *paths =
            realloc(options->paths, (options->paths_count + 1) * sizeof *paths);
    if (paths == NULL) return -ENOMEM;
    options->paths = paths;

    struct options_path added = {.wants_contents = asks_for_contents(path)};
    added.has_wildcard = has_bare_wildcard(path);
    if (!added.has_wildcard) unescape(path, "*?[]\\");
    if (options->is_relative) added.relative_from = find_relative_from(path);
    (void)path_collapse(path);
    added.path = path;
    paths[options->paths_count++] = added;
    return 0;
}

/* One path argument; an embedded " module/" begins another, in clients that do not seclude. */
static int parse_path(struct parse *parse, char *arg)
{
    struct options *options = parse->options;
    size_t module_len = strlen(parse->module);
    bool has_module = strncmp(arg, parse->module, module_len) == 0;
    if (has_module && (arg[module_len] == '/' || arg[module_len] == '\0')) arg += module_len;

    for (char *at = arg; !options->is_secluded && module_len > 0 && *at != '\0'; at++) {
        bool is_split = *at == ' ' && strncmp(at + 1, parse->module, module_len) == 0
                && at[1 + module_len] == '/';
        if (!is_split) continue;
        *at = '\0';
        int r = add_path(options, arg);
        if (r < 0) return r;
        at += module_len;
        arg = at + 1;
    }
    return add_path(options, arg);
}

static int parse_list(struct parse *parse, bool is_escaped)
{
    struct options *options = parse->options;
    while (parse->at < parse->list->count) {
        char *arg = parse->list->args[parse->at++];
        if (strcmp(arg, ".") == 0) break;
        if (is_escaped) unescape(arg, NULL);
        int r = -EPROTO;
        if (strncmp(arg, "--", 2) == 0) {
            r = parse_long(parse, arg + 2);
        } else if (arg[0] == '-') {
            r = parse_bundle(parse, arg + 1);
        } else {
            (void)fault_set(parse->fault, r, "rsync: unexpected argument: %s", arg);
        }
        if (r < 0) return r;
    }
    while (parse->at < parse->list->count) {
        int r = parse_path(parse, parse->list->args[parse->at++]);
        if (r < 0) return r;
    }
    if (options->is_list_only && !options->is_recursive) options->is_dirs = true;
    return 0;
}

/* Pulling nothing in particular is pulling the module. */
static int add_default_path(struct options *options)
{
    static char root[] = "";
    bool is_walk = options->is_recursive || options->is_dirs;
    if (!options->is_sender || options->paths_count > 0 || !is_walk) return 0;
    return add_path(options, root);
}

int options_parse(struct options *options, struct arglist *list, const char *module,
        const char *refuse, struct fault *fault)
{
    *options = (struct options){.has_implied_dirs = true,
            .allows_inc_recurse = true,
            .delete_max = -1,
            .size_min = -1,
            .size_max = -1};
    if (list->count == 0 || strcmp(list->args[0], "--server") != 0) {
        return fault_set(fault, -EPROTO, "rsync: the client did not ask for a server");
    }
    struct parse parse = {
            .options = options, .list = list, .module = module, .refuse = refuse, .fault = fault};
    int r = parse_list(&parse, true);
    if (r < 0 || options->is_secluded) return r;
    return add_default_path(options);
}

int options_parse_more(struct options *options, struct arglist *list, const char *module,
        const char *refuse, struct fault *fault)
{
    /* The first argument is the program's name. */
    struct parse parse = {.options = options,
            .list = list,
            .at = list->count > 0,
            .module = module,
            .refuse = refuse,
            .fault = fault};
    int r = parse_list(&parse, false);
    if (r < 0) return r;
    return add_default_path(options);
}

void options_fini(struct options *options)
{
    free(options->paths);
    *options = (struct options){};
}
