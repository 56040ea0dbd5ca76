/* SPDX-License-Identifier: MIT */
/*
 * seam-rsyncd - serve directories over the rsync protocol.
 *
 * main() is the life of the daemon from the outside: understand the command line, read the
 * configuration, serve until told to stop, say how it ended. What happens in between is in
 * daemon.c and session.c.
 */
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "seam.h"

#include "args.h"
#include "config.h"
#include "daemon.h"
#include "kit/auto.h"
#include "log.h"

enum { EXIT_USAGE = 2, FILE_BYTES_MAX = 4 << 20, SERVE_PORT_DEFAULT = 8730 };

#define CONFIG_PATH_DEFAULT   "/etc/rsyncd.conf"
#define SERVE_ADDRESS_DEFAULT "127.0.0.1"

/* A whole small file, NUL-terminated, on the heap. */
static int read_file(const char *path, char **out_text, size_t *out_len)
{
    sm_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return sm_neg_errno();
    char *text = malloc(FILE_BYTES_MAX + 1);
    if (text == NULL) return -ENOMEM;

    size_t len = 0;
    ssize_t n = 1;
    while (n > 0 && len < FILE_BYTES_MAX) {
        n = read(fd, text + len, FILE_BYTES_MAX - len);
        if (n > 0) len += (size_t)n;
    }
    int r = n < 0 ? sm_neg_errno() : n > 0 ? -EFBIG : 0;
    if (r < 0) {
        free(text);
        return r;
    }
    text[len] = '\0';
    char *fitting = realloc(text, len + 1);
    *out_text = fitting == NULL ? text : fitting;
    *out_len = len;
    return 0;
}

static int load_config_file(const char *path, struct config **out_config)
{
    char *text = NULL;
    size_t len = 0;
    int r = read_file(path, &text, &len);
    if (r < 0) {
        fprintf(stderr, "seam-rsyncd: %s: %s\n", path, strerrordesc_np(-r));
        return r;
    }

    struct fault fault = {};
    r = config_parse(text, len, out_config, &fault);
    free(text);
    if (r < 0) fprintf(stderr, "seam-rsyncd: %s:%d: %s\n", path, fault.line, fault.text);
    return r;
}

/* From the file, if there is one, and from --serve. */
static int load_config(const struct args *args, struct config **out_config)
{
    const char *path = args->config_path;
    if (path == NULL && args->serves_count == 0) path = CONFIG_PATH_DEFAULT;
    int r = path == NULL ? config_new(out_config) : load_config_file(path, out_config);
    for (size_t i = 0; r == 0 && i < args->serves_count; i++) {
        struct fault fault = {};
        const struct args_serve *serve = &args->serves[i];
        r = config_add_module(*out_config, serve->name, serve->dir, &fault);
        if (r < 0) fprintf(stderr, "seam-rsyncd: --serve %s: %s\n", serve->dir, fault.text);
    }
    return r;
}

/* Whether a warning is about a directive that keeps somebody out: `name` without blanks. */
static bool is_about(const char *warning, const char *name)
{
    if (*warning == '"') warning++;
    for (; *warning != '"' && *warning != '\0' && *name != '\0'; warning++) {
        if (*warning == ' ' || *warning == '\t') continue;
        if ((*warning | 0x20) != *name) return false;
        name++;
    }
    return *name == '\0';
}

/* Log what the configuration says in vain. -ENOTSUP if that would open what it meant to close. */
static int judge_warnings(const struct config *config)
{
    static const char *const closing[] = {"authusers", "excludefrom"};
    int r = 0;
    for (size_t i = 0; i < config->warnings_count; i++) {
        const struct config_warning *warning = &config->warnings[i];
        log_line("line %d: %s", warning->line, warning->text);
        for (size_t j = 0; j < sizeof closing / sizeof *closing; j++) {
            if (is_about(warning->text, closing[j])) r = -ENOTSUP;
        }
    }
    if (r < 0) log_line("such a module would be open to everybody: not starting");
    return r;
}

/* Command line before configuration before default; --serve alone stays on this machine. */
static void choose_address(struct daemon *daemon, const struct args *args)
{
    const struct config *config = daemon->config;
    bool is_serve = args->serves_count > 0 && args->config_path == NULL;
    daemon->address = is_serve ? SERVE_ADDRESS_DEFAULT : NULL;
    if (config->address != NULL) daemon->address = config->address;
    if (args->address != NULL) daemon->address = args->address;

    daemon->port = is_serve ? SERVE_PORT_DEFAULT : CONFIG_PORT_DEFAULT;
    if (config->port != 0) daemon->port = config->port;
    if (args->port != 0) daemon->port = args->port;
}

/* Signals arrive through a descriptor, so they are blocked before any thread exists. */
static int open_signals(int *out_fd)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0) return sm_neg_errno();

    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL); /* standard error may be a pipe that is gone */
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) return sm_neg_errno();
    *out_fd = fd;
    return 0;
}

/* Each session needs a descriptor and some for its files. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* fewer sessions, then */
}

/* Sessions come and go on many threads. With an arena for each thread, and large blocks kept for
 * reuse, the daemon would grow with every new pairing of the two. */
static void keep_heap_small(void)
{
    enum { ARENAS_MAX = 2, MMAP_FROM_BYTES = 64 << 10, TRIM_BYTES = 256 << 10 };
    (void)mallopt(M_ARENA_MAX, ARENAS_MAX);
    (void)mallopt(M_MMAP_THRESHOLD, MMAP_FROM_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, TRIM_BYTES);
}

/* The file says who runs; its lock says that they still do. */
static int write_pid_file(const char *path, int *out_fd)
{
    if (path == NULL) return 0;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) return sm_neg_errno();

    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int r = fcntl(fd, F_SETLK, &lock) < 0 ? sm_neg_errno() : 0;
    if (r == 0 && (ftruncate(fd, 0) < 0 || dprintf(fd, "%ld\n", (long)getpid()) < 0)) r = -EIO;
    if (r < 0) {
        (void)close(fd);
        return r;
    }
    *out_fd = fd;
    return 0;
}

static SEAM_SUSPENDS int run(struct daemon *daemon)
{
    const struct config *config = daemon->config;
    int pid_fd = -1;
    int r = write_pid_file(config->pid_path, &pid_fd);
    if (r < 0) {
        log_line("pid file %s: %s", config->pid_path, strerrordesc_np(-r));
        return r;
    }

    r = daemon_init(daemon);
    if (r == 0) {
        const struct seam_options options = {.name = "rsyncd"};
        r = seam_run(&options, daemon_main, daemon);
    }
    daemon_fini(daemon);
    if (pid_fd >= 0) {
        (void)unlink(config->pid_path);
        (void)close(pid_fd);
    }
    return r;
}

static SEAM_SUSPENDS int start(
        const struct args *args, bool is_any_port, const struct config *config)
{
    const char *log_path = args->log_path != NULL ? args->log_path : config->log_path;
    int r = log_open(log_path);
    if (r < 0) {
        fprintf(stderr, "seam-rsyncd: %s: %s\n", log_path, strerrordesc_np(-r));
        return r;
    }
    r = judge_warnings(config);
    if (r < 0) return r;
    raise_descriptor_limit();
    keep_heap_small();

    struct daemon self = {.config = config, .signal_fd = -1};
    choose_address(&self, args);
    if (is_any_port) self.port = 0;
    size_t motd_len = 0;
    if (config->motd_path != NULL && read_file(config->motd_path, &self.motd, &motd_len) < 0) {
        log_line("motd file %s cannot be read", config->motd_path);
    }

    bool detaches = args->is_daemon && !args->no_detach;
    r = detaches && daemon(1, 0) < 0 ? sm_neg_errno() : open_signals(&self.signal_fd);
    if (r == 0) r = run(&self);
    if (r < 0) log_line("stopped: %s", strerrordesc_np(-r));
    if (self.signal_fd >= 0) (void)close(self.signal_fd);
    log_close();
    return r;
}

/* Port 0 lets the system choose, which args.h has no word for: its 0 is "not given". Take the
 * argument out of the list. */
static bool take_port_zero(int *argc, char **argv)
{
    bool is_found = false;
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        bool is_pair =
                strcmp(argv[i], "--port") == 0 && i + 1 < *argc && strcmp(argv[i + 1], "0") == 0;
        if (is_pair || strcmp(argv[i], "--port=0") == 0) {
            is_found = true;
            if (is_pair) i++;
        } else {
            argv[kept++] = argv[i];
        }
    }
    argv[kept] = NULL;
    *argc = kept;
    return is_found;
}

SEAM_SUSPENDS int main(int argc, char **argv)
{
    bool is_any_port = take_port_zero(&argc, argv);
    struct args args = {};
    struct fault fault = {};
    int r = args_parse(&args, argc, argv, &fault);
    if (r < 0) {
        fprintf(stderr, "seam-rsyncd: %s\n", fault.text);
        args_fini(&args);
        return EXIT_USAGE;
    }
    if (args.action != ARGS_RUN) {
        (void)fputs(args.action == ARGS_HELP ? args_help() : args_version(), stdout);
        args_fini(&args);
        return EXIT_SUCCESS;
    }

    struct config *config = NULL;
    r = load_config(&args, &config);
    if (r == 0) r = start(&args, is_any_port, config);
    config_free(config);
    args_fini(&args);
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
