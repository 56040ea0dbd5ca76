/* SPDX-License-Identifier: MIT */
/*
 * config.c - lines to directives to fields.
 *
 * The text is cut into logical lines (a trailing backslash continues), each line is a section
 * header or "name = value". A table says which field a name fills. Directives before the first
 * section are global; module directives there are the defaults of every module after them.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "config_table.h"
#include "hosts.h"
#include "kit/auto.h"

SM_DEFINE_AUTO(config, struct config, config_free)

enum { LOGICAL_LINE_MAX = 65536, TEXT_BYTES_MAX = 16 << 20, WARNINGS_MAX = 256 };

struct parse {
    struct config *config;
    struct config_module defaults; /* module directives before the first section */
    struct config_module *module;  /* the section being read: defaults or one of config's */
    const char *at;
    const char *end;
    int line;       /* of the logical line being read: where it began */
    int lines_read; /* physical lines */
    char *text;     /* heap; the logical line, LOGICAL_LINE_MAX bytes */
    struct fault *fault;
};

int config_new(struct config **out_config)
{
    struct config *config = calloc(1, sizeof *config);
    if (config == NULL) return -ENOMEM;
    config->listen_backlog = CONFIG_BACKLOG_DEFAULT;
    *out_config = config;
    return 0;
}

static void fini_module(struct config_module *module)
{
    free(module->name);
    free(module->path);
    free(module->comment);
    free(module->hosts_allow);
    free(module->hosts_deny);
    free(module->refuse_options);
    filter_fini(&module->filter);
    *module = (struct config_module){};
}

void config_free(struct config *config)
{
    if (config == NULL) return;
    for (size_t i = 0; i < config->modules_count; i++) {
        fini_module(&config->modules[i]);
    }
    for (size_t i = 0; i < config->warnings_count; i++) {
        free(config->warnings[i].text);
    }
    free(config->modules);
    free(config->warnings);
    free(config->address);
    free(config->motd_path);
    free(config->log_path);
    free(config->pid_path);
    free(config);
}

static int warn(struct parse *parse, const char *format, const char *what)
{
    struct config *config = parse->config;
    if (config->warnings_count == WARNINGS_MAX) return 0;
    struct fault words = {};
    char *text = NULL;
    (void)fault_set(&words, 0, "\"%s\" %s", what, format);
    text = strdup(words.text);
    if (text == NULL) return -ENOMEM;
    size_t count = config->warnings_count + 1;
    struct config_warning *warnings = realloc(config->warnings, count * sizeof *warnings);
    if (warnings == NULL) {
        free(text);
        return -ENOMEM;
    }
    config->warnings = warnings;
    warnings[config->warnings_count] = (struct config_warning){.line = parse->line, .text = text};
    config->warnings_count = count;
    return 0;
}

static int set_text(char **field, const char *value)
{
    char *copy = strdup(value);
    if (copy == NULL) return -ENOMEM;
    free(*field);
    *field = copy;
    return 0;
}

static struct config_module module_defaults(void)
{
    return (struct config_module){.is_listed = true, .is_read_only = true};
}

static int add_module(struct config *config, const char *name, struct config_module **out_module)
{
    if (config->modules_count == CONFIG_MODULES_MAX) return -E2BIG;
    size_t count = config->modules_count + 1;
    struct config_module *modules = realloc(config->modules, count * sizeof *modules);
    if (modules == NULL) return -ENOMEM;
    config->modules = modules;
    struct config_module *module = &modules[config->modules_count];
    *module = module_defaults();
    module->name = strdup(name);
    module->comment = strdup("");
    if (module->name == NULL || module->comment == NULL) {
        fini_module(module);
        return -ENOMEM;
    }
    config->modules_count = count;
    *out_module = module;
    return 0;
}

const struct config_module *config_find_module(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->modules_count; i++) {
        if (strcmp(config->modules[i].name, name) == 0) return &config->modules[i];
    }
    return NULL;
}

int config_add_module(
        struct config *config, const char *name, const char *path, struct fault *fault)
{
    if (config_find_module(config, name) != NULL) {
        return fault_set(fault, -EEXIST, "there is a module \"%s\" already", name);
    }
    struct config_module *module = NULL;
    int r = add_module(config, name, &module);
    if (r < 0) return fault_set(fault, r, "cannot add module \"%s\"", name);
    return set_text(&module->path, path);
}

bool config_admits(const struct config_module *module, const char *address, const char *host)
{
    const char *allow = module->hosts_allow;
    const char *deny = module->hosts_deny;
    if (allow != NULL && allow[0] == '\0') allow = NULL;
    if (deny != NULL && deny[0] == '\0') deny = NULL;
    if (allow != NULL && hosts_match(allow, address, host)) return true;
    if (deny != NULL) return !hosts_match(deny, address, host);
    return allow == NULL;
}

/* Copy one text field of the defaults, if set. */
static int inherit_text(char **field, const char *value)
{
    return value == NULL ? 0 : set_text(field, value);
}

static int inherit(struct config_module *module, const struct config_module *defaults)
{
    module->is_listed = defaults->is_listed;
    module->is_read_only = defaults->is_read_only;
    module->is_write_only = defaults->is_write_only;
    module->is_numeric_ids = defaults->is_numeric_ids;
    module->timeout_s = defaults->timeout_s;
    module->connections_max = defaults->connections_max;
    int r = inherit_text(&module->path, defaults->path);
    if (r == 0) r = inherit_text(&module->comment, defaults->comment);
    if (r == 0) r = inherit_text(&module->hosts_allow, defaults->hosts_allow);
    if (r == 0) r = inherit_text(&module->hosts_deny, defaults->hosts_deny);
    if (r == 0) r = inherit_text(&module->refuse_options, defaults->refuse_options);
    return r;
}

/* A section ends: what it must have had. */
static int finish_section(struct parse *parse)
{
    const struct config_module *module = parse->module;
    if (module == &parse->defaults || module->path != NULL) return 0;
    return fault_set_at(parse->fault, -EINVAL, parse->line,
            "module \"%s\" ends here without a \"path\"", module->name);
}

static int begin_section(struct parse *parse, char *text)
{
    char *close = strchr(text, ']');
    if (close == NULL) {
        return fault_set_at(parse->fault, -EINVAL, parse->line, "a section without \"]\"");
    }
    *close = '\0';
    char *name = config_trim(text + 1);
    int r = finish_section(parse);
    if (r < 0) return r;
    if (strcmp(name, "global") == 0) {
        parse->module = &parse->defaults;
        return 0;
    }
    if (name[0] == '\0' || strchr(name, '/') != NULL || name[0] == '#') {
        return fault_set_at(parse->fault, -EINVAL, parse->line, "invalid module name \"%s\"", name);
    }
    if (config_find_module(parse->config, name) != NULL) {
        return fault_set_at(
                parse->fault, -EINVAL, parse->line, "a second module named \"%s\"", name);
    }
    r = add_module(parse->config, name, &parse->module);
    if (r == 0) r = inherit(parse->module, &parse->defaults);
    if (r == -E2BIG) {
        return fault_set_at(
                parse->fault, r, parse->line, "more than %d modules", CONFIG_MODULES_MAX);
    }
    return r;
}

static int set_number(
        struct parse *parse, const struct directive *directive, const char *value, int32_t *field)
{
    char *end = NULL;
    errno = 0;
    long number = strtol(value, &end, 10);
    bool is_number = end != value && *end == '\0' && errno == 0;
    if (!is_number || number < directive->min || number > directive->max) {
        return fault_set_at(parse->fault, -EINVAL, parse->line,
                "\"%s\" wants a number between %d and %d, not \"%s\"", directive->name,
                directive->min, directive->max, value);
    }
    *field = (int32_t)number;
    return 0;
}

static int set_bool(
        struct parse *parse, const struct directive *directive, const char *value, bool *field)
{
    int truth = config_truth(value);
    if (truth < 0) {
        return fault_set_at(parse->fault, -EINVAL, parse->line,
                "\"%s\" wants yes or no, not \"%s\"", directive->name, value);
    }
    *field = truth != 0;
    return 0;
}

static int add_filter(struct parse *parse, const struct directive *directive, const char *value)
{
    struct filter *filter = &parse->module->filter;
    struct fault fault = {};
    if (parse->module == &parse->defaults) {
        return warn(parse, "is heeded only inside a module", directive->name);
    }
    int r = directive->kind == DIRECTIVE_FILTER
            ? filter_add_rules(filter, value, &fault)
            : filter_add_words(filter, value, directive->kind == DIRECTIVE_INCLUDE, &fault);
    if (r == -ENOMEM || r == 0) return r;
    return fault_set_at(
            parse->fault, -EINVAL, parse->line, "\"%s\": %s", directive->name, fault.text);
}

static int check_hosts(struct parse *parse, const char *value)
{
    char item[64];
    if (!hosts_find_bad_item(value, item, sizeof item)) return 0;
    return warn(parse, "will never match a host", item);
}

static int set_directive(
        struct parse *parse, const struct directive *directive, const char *name, const char *value)
{
    void *base = parse->module;
    if (directive->is_global) base = parse->config;
    void *field = (char *)base + directive->offset;
    if (directive->is_global && parse->module != &parse->defaults) {
        return warn(parse, "is heeded only before the first module", name);
    }
    if (strchr(value, '%') != NULL && directive->kind == DIRECTIVE_TEXT) {
        int r = warn(parse, "has a %, and variables are not expanded", name);
        if (r < 0) return r;
    }
    int r = 0;
    switch (directive->kind) {
    case DIRECTIVE_HOSTS:
        r = check_hosts(parse, value);
        if (r < 0) return r;
        return set_text(field, value);
    case DIRECTIVE_TEXT: return set_text(field, value);
    case DIRECTIVE_NUMBER: return set_number(parse, directive, value, field);
    case DIRECTIVE_BOOL: return set_bool(parse, directive, value, field);
    case DIRECTIVE_FILTER:
    case DIRECTIVE_INCLUDE:
    case DIRECTIVE_EXCLUDE: return add_filter(parse, directive, value);
    case DIRECTIVE_UNSERVED: return warn(parse, "is not implemented and has no effect", name);
    }
    return 0;
}

static int read_directive(struct parse *parse, char *text)
{
    char *equals = strchr(text, '=');
    if (equals == NULL) {
        return fault_set_at(parse->fault, -EINVAL, parse->line,
                "neither a section nor \"name = value\": %s", text);
    }
    *equals = '\0';
    char *name = config_trim(text);
    const struct directive *directive = config_directive(name);
    if (directive == NULL) return warn(parse, "is not a directive", name);
    return set_directive(parse, directive, name, config_trim(equals + 1));
}

/* The next logical line, in parse->text without blanks at its ends. 1, 0 at the end, or an error. */
static int next_line(struct parse *parse)
{
    size_t len = 0;
    bool goes_on = true;
    if (parse->at == parse->end) return 0;
    parse->line = parse->lines_read + 1;
    while (goes_on && parse->at < parse->end) {
        const char *newline = memchr(parse->at, '\n', (size_t)(parse->end - parse->at));
        const char *stop = newline == NULL ? parse->end : newline;
        size_t piece = (size_t)(stop - parse->at);
        if (piece > 0 && parse->at[piece - 1] == '\r') piece--;
        goes_on = piece > 0 && parse->at[piece - 1] == '\\';
        if (goes_on) piece--;
        parse->lines_read++;
        if (len + piece >= LOGICAL_LINE_MAX) {
            return fault_set_at(parse->fault, -E2BIG, parse->line, "a line is too long");
        }
        if (memchr(parse->at, '\0', piece) != NULL) {
            return fault_set_at(parse->fault, -EINVAL, parse->lines_read, "a NUL byte");
        }
        memcpy(parse->text + len, parse->at, piece);
        len += piece;
        parse->at = newline == NULL ? parse->end : newline + 1;
    }
    parse->text[len] = '\0';
    return 1;
}

static int parse_lines(struct parse *parse)
{
    for (;;) {
        int r = next_line(parse);
        if (r < 0) return r;
        if (r == 0) return finish_section(parse);

        char *text = config_trim(parse->text);
        if (text[0] == '\0' || text[0] == '#' || text[0] == ';') continue;
        if (text[0] == '&') {
            r = warn(parse, "is not implemented and has no effect", text);
        } else if (text[0] == '[') {
            r = begin_section(parse, text);
        } else {
            r = read_directive(parse, text);
        }
        if (r < 0) return r;
    }
}

int config_parse(const char *text, size_t len, struct config **out_config, struct fault *fault)
{
    SM_AUTO(config) struct config *config = NULL;
    if (len > TEXT_BYTES_MAX) return fault_set(fault, -E2BIG, "the configuration is too long");
    int r = config_new(&config);
    if (r < 0) return r;

    struct parse parse = {.config = config,
            .defaults = module_defaults(),
            .at = text,
            .end = len == 0 ? text : text + len,
            .text = malloc(LOGICAL_LINE_MAX),
            .fault = fault};
    parse.module = &parse.defaults;
    r = parse.text == NULL ? -ENOMEM : parse_lines(&parse);
    fini_module(&parse.defaults);
    free(parse.text);
    if (r < 0) return r;

    *out_config = sm_take(config);
    return 0;
}
