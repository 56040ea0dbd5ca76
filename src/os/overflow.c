/* SPDX-License-Identifier: MIT */
#include "os/overflow.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/auto.h"
#include "os/lock.h"
#include "os/stack.h"

enum {
    HANDLED_COUNT = 2,
    NAME_BYTES_MAX = 64,
    LINE_BYTES_MAX = 512,
    HANDLER_BYTES = 32 * 1024, /* what we need is 2 KiB; the previous handler may be a large one */
};

static const int handled[HANDLED_COUNT] = {SIGSEGV, SIGBUS};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_installed;                         /* under the lock */
static struct sigaction previous[HANDLED_COUNT];  /* written before our handler is in place */
static _Atomic(sm_overflow_describe *) describer; /* NULL: nobody is described */
static _Thread_local void *own_alternate_stack;   /* NULL: the thread has its own, or none yet */

/*
 * Text, as a signal handler can make it.
 */

struct text {
    char *buf;
    size_t len; /* without the NUL that is always there */
    size_t max; /* with it */
};

static void add_bytes(struct text *text, const char *bytes, size_t count)
{
    size_t room = text->max - 1 - text->len;
    if (count > room) count = room;
    memcpy(text->buf + text->len, bytes, count);
    text->len += count;
    text->buf[text->len] = '\0';
}

static void add(struct text *text, const char *string)
{
    add_bytes(text, string, strlen(string));
}

static void add_number(struct text *text, uintptr_t number, unsigned base)
{
    char digits[24];
    size_t at = sizeof digits;
    do {
        digits[--at] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number > 0);
    add_bytes(text, digits + at, sizeof digits - at);
}

/*
 * Which file is an address from? /proc/self/maps, read without stdio:
 *
 *     55d0c8a01000-55d0c8a04000 r-xp 00001000 fe:01 1180  /usr/bin/thing
 */

struct maps {
    int fd;
    size_t at;
    size_t len;
    char chunk[LINE_BYTES_MAX];
};

static bool next_byte(struct maps *maps, char *out_byte)
{
    if (maps->at == maps->len) {
        ssize_t len = read(maps->fd, maps->chunk, sizeof maps->chunk);
        if (len <= 0) return false;
        maps->len = (size_t)len;
        maps->at = 0;
    }
    *out_byte = maps->chunk[maps->at++];
    return true;
}

/* A longer line is cut: only the end of its path is lost. */
static bool next_line(struct maps *maps, char line[LINE_BYTES_MAX])
{
    struct text text = {.buf = line, .max = LINE_BYTES_MAX};
    line[0] = '\0';
    char byte = 0;
    while (next_byte(maps, &byte)) {
        if (byte == '\n') return true;
        add_bytes(&text, &byte, 1);
    }
    return false;
}

static uintptr_t take_hex(const char **at)
{
    uintptr_t number = 0;
    for (;; (*at)++) {
        const char *digit = strchr("0123456789abcdef", **at);
        if (**at == '\0' || digit == NULL) return number;
        number = number * 16 + (uintptr_t)(digit - "0123456789abcdef");
    }
}

struct mapping {
    uintptr_t start;
    uintptr_t end;
    uintptr_t offset; /* in the file */
    bool is_readable;
    const char *path; /* in the line; NULL if it is no file */
};

static struct mapping parse(const char *line)
{
    struct mapping mapping = {.path = strchr(line, '/')};
    const char *at = line;
    mapping.start = take_hex(&at);
    if (*at == '-') at++;
    mapping.end = take_hex(&at);
    if (*at == ' ') at++;
    mapping.is_readable = *at == 'r';
    at += strcspn(at, " ");
    if (*at == ' ') at++;
    mapping.offset = take_hex(&at);
    return mapping;
}

/* What to subtract to get the address the linker gave: where the file begins in memory, or nothing
 * if the file was linked to lie just there. */
static uintptr_t load_bias(uintptr_t file_start)
{
    const ElfW(Ehdr) *header = (const ElfW(Ehdr) *)file_start; /* NOLINT: mapped there, readable */
    bool is_fixed = memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 && header->e_type == ET_EXEC;
    return is_fixed ? 0 : file_start;
}

static bool add_place(struct text *text, struct maps *maps, uintptr_t pc)
{
    char line[LINE_BYTES_MAX];
    uintptr_t file_start = 0;
    while (next_line(maps, line)) {
        struct mapping mapping = parse(line);
        /* The loader maps the parts of a file in order, so this is the file of what follows. */
        if (mapping.path != NULL && mapping.offset == 0 && mapping.is_readable) {
            file_start = mapping.start;
        }
        if (pc < mapping.start || pc >= mapping.end) continue;
        if (mapping.path == NULL || file_start == 0) return false;
        add(text, mapping.path);
        add(text, "+0x");
        add_number(text, pc - load_bias(file_start), 16);
        return true;
    }
    return false;
}

static void add_pc(struct text *text, const void *pc)
{
    struct maps maps = {.fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC)};
    bool is_found = maps.fd >= 0 && add_place(text, &maps, (uintptr_t)pc);
    if (maps.fd >= 0) (void)close(maps.fd);
    if (is_found) return;
    add(text, "0x");
    add_number(text, (uintptr_t)pc, 16);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): it is written through the text */
size_t sm_overflow_format_pc(const void *pc, char *buf, size_t bytes)
{
    if (bytes == 0) return 0;
    struct text text = {.buf = buf, .max = bytes};
    add_pc(&text, pc);
    return text.len;
}

void sm_overflow_report(const struct sm_stack *stack)
{
    struct sm_overflow_culprit culprit = {};
    /* relaxed: a function's address is all there is to it; nothing travels along. */
    sm_overflow_describe *describe = sm_load_relaxed(&describer);
    if (describe != NULL && stack->owner != NULL) describe(stack->owner, &culprit);

    char line[2 * LINE_BYTES_MAX] = "";
    struct text text = {.buf = line, .max = sizeof line};
    add(&text, "seam: stack overflow in ");
    if (culprit.name != NULL) {
        add(&text, "task '");
        add_bytes(&text, culprit.name, strnlen(culprit.name, NAME_BYTES_MAX));
        add(&text, "'");
    } else {
        add(&text, "a task");
    }
    add(&text, " (stack ");
    add_number(&text, sm_stack_class_bytes(stack->class) / 1024, 10);
    add(&text, " KiB");
    if (culprit.spawned_at != NULL) {
        add(&text, ", spawned at ");
        add_pc(&text, culprit.spawned_at);
    }
    add(&text, ")\n");
    /* If nobody reads it there is nobody else to tell. */
    ssize_t ignored = write(STDERR_FILENO, line, text.len);
    (void)ignored;
}

/*
 * The handler.
 */

static void use_default(int signo)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(signo, &action, NULL);
}

static void pass_on(const struct sigaction *action, int signo, siginfo_t *info, void *ucontext)
{
    bool is_function = (action->sa_flags & SA_SIGINFO) != 0
            || (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN);
    if (is_function) {
        bool was_once = (action->sa_flags & SA_RESETHAND) != 0;
        if (was_once) use_default(signo);
        if ((action->sa_flags & SA_SIGINFO) != 0) {
            action->sa_sigaction(signo, info, ucontext);
        } else {
            action->sa_handler(signo);
        }
        return;
    }

    /* A fault happens again when we return, and kills, ignored or not. What a process sent does
     * not, so send it again; it is blocked until we return. */
    bool is_fault = info->si_code > 0;
    if (!is_fault && action->sa_handler == SIG_IGN) return;
    use_default(signo);
    if (!is_fault) (void)raise(signo);
}

static void on_fault(int signo, siginfo_t *info, void *ucontext)
{
    int errno_before = errno;
    const struct sm_stack *stack = info->si_code > 0 ? sm_stack_at_fault(info->si_addr) : NULL;
    if (stack != NULL) sm_overflow_report(stack);
    errno = errno_before;

    for (int i = 0; i < HANDLED_COUNT; i++) {
        if (handled[i] == signo) pass_on(&previous[i], signo, info, ucontext);
    }
}

static int handle(int signo, struct sigaction *out_previous)
{
    /* Asked for before ours is in place, so that ours never runs without knowing it. */
    if (sigaction(signo, NULL, out_previous) < 0) return sm_neg_errno();
    struct sigaction action = {
            .sa_sigaction = on_fault,
            .sa_mask = out_previous->sa_mask,
            .sa_flags =
                    SA_SIGINFO | SA_ONSTACK | (out_previous->sa_flags & (SA_NODEFER | SA_RESTART)),
    };
    return sigaction(signo, &action, NULL) < 0 ? sm_neg_errno() : 0;
}

/* False if somebody else's handler is in place: then ours is part of his chain. */
static bool restore(int signo, const struct sigaction *action)
{
    struct sigaction current;
    if (sigaction(signo, NULL, &current) < 0) return false;
    if ((current.sa_flags & SA_SIGINFO) == 0 || current.sa_sigaction != on_fault) return false;
    return sigaction(signo, action, NULL) == 0;
}

int sm_overflow_install(sm_overflow_describe *describe)
{
    int r = 0;
    (void)pthread_mutex_lock(&lock);
    sm_store_relaxed(&describer, describe); /* relaxed: see sm_overflow_report() */
    for (int i = 0; i < HANDLED_COUNT && !is_installed && r == 0; i++) {
        r = handle(handled[i], &previous[i]);
    }
    if (r == 0) is_installed = true;
    (void)pthread_mutex_unlock(&lock);
    return r;
}

void sm_overflow_uninstall(void)
{
    (void)pthread_mutex_lock(&lock);
    bool is_gone = true;
    for (int i = 0; i < HANDLED_COUNT && is_installed; i++) {
        is_gone = restore(handled[i], &previous[i]) && is_gone;
    }
    /* Under another's handler ours stays: a later install must not take itself for the previous. */
    if (is_gone) is_installed = false;
    (void)pthread_mutex_unlock(&lock);
}

static size_t alternate_bytes(void)
{
    long minimum = sysconf(_SC_MINSIGSTKSZ); /* grows with the processor's vector state */
    return (size_t)(minimum > 0 ? minimum : MINSIGSTKSZ) + HANDLER_BYTES;
}

/* Those of threads that have ended serve the next. */
static struct sm_lock spare_lock;
static void *spare; /* the first word of each leads to the next; under the lock */

static void *take_alternate_stack(void)
{
    sm_lock(&spare_lock);
    void *memory = spare;
    if (memory != NULL) spare = *(void **)memory;
    sm_unlock(&spare_lock);
    if (memory != NULL) return memory;

    memory = sm_memory_calls.map(NULL, alternate_bytes(), PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static void put_alternate_stack(void *memory)
{
    sm_lock(&spare_lock);
    *(void **)memory = spare;
    spare = memory;
    sm_unlock(&spare_lock);
}

int sm_overflow_thread_begin(void)
{
    stack_t current;
    if (sigaltstack(NULL, &current) < 0) return sm_neg_errno();
    if ((current.ss_flags & SS_DISABLE) == 0) return 0;

    void *memory = take_alternate_stack();
    if (memory == NULL) return -ENOMEM;
    stack_t ours = {.ss_sp = memory, .ss_size = alternate_bytes()};
    if (sigaltstack(&ours, NULL) < 0) {
        int r = sm_neg_errno();
        put_alternate_stack(memory);
        return r;
    }
    own_alternate_stack = memory;
    return 0;
}

void sm_overflow_thread_end(void)
{
    if (own_alternate_stack == NULL) return;
    stack_t current;
    stack_t none = {.ss_flags = SS_DISABLE};
    bool is_ours = sigaltstack(NULL, &current) == 0 && current.ss_sp == own_alternate_stack;
    if (is_ours) (void)sigaltstack(&none, NULL);
    put_alternate_stack(own_alternate_stack);
    own_alternate_stack = NULL;
}
