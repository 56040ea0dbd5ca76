/* SPDX-License-Identifier: MIT */
#include "config_table.h"

#include <limits.h>
#include <string.h>
#include <strings.h>

#include "config.h"

#define GLOBAL(field) true, offsetof(struct config, field)
#define MODULE(field) false, offsetof(struct config_module, field)

enum { SECONDS_MAX = 100000000 };

/* Names without blanks, in lower case. */
static const struct directive table[] = {
        {"port", DIRECTIVE_NUMBER, GLOBAL(port), 1, 65535},
        {"address", DIRECTIVE_TEXT, GLOBAL(address), 0, 0},
        {"motdfile", DIRECTIVE_TEXT, GLOBAL(motd_path), 0, 0},
        {"logfile", DIRECTIVE_TEXT, GLOBAL(log_path), 0, 0},
        {"pidfile", DIRECTIVE_TEXT, GLOBAL(pid_path), 0, 0},
        {"listenbacklog", DIRECTIVE_NUMBER, GLOBAL(listen_backlog), 1, INT_MAX},

        {"path", DIRECTIVE_TEXT, MODULE(path), 0, 0},
        {"comment", DIRECTIVE_TEXT, MODULE(comment), 0, 0},
        {"list", DIRECTIVE_BOOL, MODULE(is_listed), 0, 0},
        {"readonly", DIRECTIVE_BOOL, MODULE(is_read_only), 0, 0},
        {"writeonly", DIRECTIVE_BOOL, MODULE(is_write_only), 0, 0},
        {"numericids", DIRECTIVE_BOOL, MODULE(is_numeric_ids), 0, 0},
        {"hostsallow", DIRECTIVE_HOSTS, MODULE(hosts_allow), 0, 0},
        {"hostsdeny", DIRECTIVE_HOSTS, MODULE(hosts_deny), 0, 0},
        {"timeout", DIRECTIVE_NUMBER, MODULE(timeout_s), 0, SECONDS_MAX},
        {"maxconnections", DIRECTIVE_NUMBER, MODULE(connections_max), INT_MIN, INT_MAX},
        {"refuseoptions", DIRECTIVE_TEXT, MODULE(refuse_options), 0, 0},
        {"filter", DIRECTIVE_FILTER, MODULE(filter), 0, 0},
        {"include", DIRECTIVE_INCLUDE, MODULE(filter), 0, 0},
        {"exclude", DIRECTIVE_EXCLUDE, MODULE(filter), 0, 0},
};

static const char *const unserved[] = {"addressfamily", "authdigest", "authusers", "charset",
        "daemonchroot", "daemongid", "daemonuid", "dontcompress", "earlyexec", "excludefrom",
        "fakesuper", "forwardlookup", "gid", "haproxyprotocol", "ignoreerrors", "ignorenonreadable",
        "includefrom", "incomingchmod", "insecurelinks", "lockfile", "logformat", "maxverbosity",
        "mungesymlinks", "nameconverter", "opennoatime", "outgoingchmod", "post-xferexec",
        "pre-xferexec", "proxyprotocol", "proxyprotocolhosts", "reverselookup", "rsyncport",
        "secretsfile", "socketoptions", "strictmodes", "syslogfacility", "syslogtag", "tempdir",
        "transferlogging", "uid", "useasynclistener", "usechroot"};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Equal but for case and blanks. */
static bool is_same_name(const char *written, const char *name)
{
    for (; *written != '\0'; written++) {
        if (is_blank(*written)) continue;
        char c = *written;
        if (c >= 'A' && c <= 'Z') c = (char)(c | 0x20);
        if (*name == '\0' || c != *name) return false;
        name++;
    }
    return *name == '\0';
}

const struct directive *config_directive(const char *name)
{
    static const struct directive not_served = {.name = "", .kind = DIRECTIVE_UNSERVED};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (is_same_name(name, table[i].name)) return &table[i];
    }
    for (size_t i = 0; i < sizeof unserved / sizeof unserved[0]; i++) {
        if (is_same_name(name, unserved[i])) return &not_served;
    }
    return NULL;
}

int config_truth(const char *value)
{
    static const char *const yes[] = {"yes", "true", "1", "on"};
    static const char *const no[] = {"no", "false", "0", "off"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        if (strcasecmp(value, yes[i]) == 0) return 1;
        if (strcasecmp(value, no[i]) == 0) return 0;
    }
    return -1;
}

char *config_trim(char *text)
{
    while (is_blank(*text)) {
        text++;
    }
    size_t len = strlen(text);
    while (len > 0 && is_blank(text[len - 1])) {
        len--;
    }
    text[len] = '\0';
    return text;
}
