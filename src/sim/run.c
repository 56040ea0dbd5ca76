/* SPDX-License-Identifier: MIT */
/*
 * One seed after the other, each in a child of its own, twice; and what is left of a failure when all
 * that it does not need has been taken away.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "sim/sim.h"

enum {
    SECONDS_PER_RUN = 20,
    MS_PER_SECOND = 1000,
    NS_PER_MS = 1000000,
    LATENCY_MAX_NS = 1000000000,
    EXIT_SKIPPED = 77,
    SHRINKING_RUNS_MAX = 3000,
    SHRINKING_SECONDS_MAX = 30,
    PATIENCE_MS = 200,
    IMPATIENCE_MS = 5,  /* while one is shrunk, that has failed with patience and will again */
    CHECKED_FIRST = 16, /* seeds that are run twice; then one of so many: */
    CHECKED_EVERY = 8,
    TRIM_MS = 20, /* so often what is printed is cut down to its end */
    TOLD_LINES = 60,
    TEXT_MAX = 1 << 20,
    SCHEDULE_SHOWN_MAX = 64, /* entries */
};

/* What is run; and how the last run went. */
struct session {
    const char *name;
    seam_fn *fn;
    void *arg;
    struct seam_sim_options options;
    struct sm_sim_record *record; /* of the last run; shared with the child */
    int text_fd;                  /* what the last run has printed */
    int status;                   /* as from waitpid() */
    char symptom[200];            /* by which a failure is known again */
};

static bool has_passed(const struct session *session)
{
    return WIFEXITED(session->status) && WEXITSTATUS(session->status) == EXIT_SUCCESS;
}

static bool is_skipped(const struct session *session)
{
    return WIFEXITED(session->status) && WEXITSTATUS(session->status) == EXIT_SKIPPED;
}

static bool is_out_of_time(const struct session *session)
{
    return WIFSIGNALED(session->status)
            && (WTERMSIG(session->status) == SIGALRM || WTERMSIG(session->status) == SIGKILL);
}

/* ---- one run ---- */

static unsigned limit_in_seconds(const struct session *session)
{
    unsigned seconds = session->options.seconds;
    return seconds != 0 ? seconds : SECONDS_PER_RUN;
}

static _Noreturn void be_the_child(const struct session *session, const struct sm_sim_plan *plan)
{
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)dup2(session->text_fd, STDOUT_FILENO);
    (void)dup2(session->text_fd, STDERR_FILENO);
    (void)close(session->text_fd); /* a program may count its descriptors */
    (void)alarm(limit_in_seconds(session));
    sm_sim_begin(plan, session->record);
    int r = session->fn(session->arg);
    (void)fflush(NULL);
    _exit(r < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

static int64_t real_ms(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * MS_PER_SECOND + time.tv_nsec / NS_PER_MS;
}

/* Whoever prints in a loop must not fill the memory: only the end is kept, in its place. */
static void trim_text(const struct session *session)
{
    struct stat status;
    if (fstat(session->text_fd, &status) < 0 || status.st_size / 2 <= TEXT_MAX) return;
    (void)fallocate(session->text_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
            status.st_size - TEXT_MAX);
}

/* A child may block or ignore the signal of its own alarm, or turn it off: it is killed a second later.
 * Where the system has no pidfd_open(), its alarm is all there is. */
static void wait_or_kill(const struct session *session, pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0) return;
    int64_t end_ms = real_ms() + ((int64_t)limit_in_seconds(session) + 1) * MS_PER_SECOND;
    struct pollfd ended = {.fd = fd, .events = POLLIN};
    int64_t left_ms = end_ms - real_ms();
    while (left_ms > 0 && poll(&ended, 1, TRIM_MS) <= 0) {
        trim_text(session);
        left_ms = end_ms - real_ms();
    }
    (void)close(fd);
    if (left_ms <= 0) (void)kill(pid, SIGKILL);
}

/* The text of the last run, or the end of it; to be freed; empty rather than NULL. */
static char *read_text(const struct session *session)
{
    char *text = calloc(1, TEXT_MAX + 1);
    if (text == NULL) abort();
    off_t end = lseek(session->text_fd, 0, SEEK_END);
    ssize_t len = pread(session->text_fd, text, TEXT_MAX, end > TEXT_MAX ? end - TEXT_MAX : 0);
    text[len > 0 ? len : 0] = '\0';
    return text;
}

/* "file.c:123: does not hold" is known again by its file and line, a verdict of the simulation by its
 * words; anything else by how the process ended alone. */
static void find_symptom(struct session *session)
{
    session->symptom[0] = '\0';
    if (has_passed(session)) return;
    char *text = read_text(session);
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
            line = strtok_r(NULL, "\n", &rest)) {
        char *place = strstr(line, ".c:");
        if (place == NULL && strncmp(line, "simulation:", 11) != 0) continue;
        if (place != NULL) place[3 + strspn(place + 3, "0123456789")] = '\0';
        (void)snprintf(session->symptom, sizeof session->symptom, "%s", line);
        break;
    }
    free(text);
}

static int run_once(struct session *session, const struct sm_sim_plan *plan)
{
    struct sm_sim_record *record = session->record;
    memset(record, 0, offsetof(struct sm_sim_record, entries));
    if (ftruncate(session->text_fd, 0) < 0) return sm_neg_errno();
    (void)lseek(session->text_fd, 0, SEEK_SET);
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) return sm_neg_errno();
    if (pid == 0) be_the_child(session, plan);
    wait_or_kill(session, pid);
    while (waitpid(pid, &session->status, 0) < 0) {
        if (errno != EINTR) return sm_neg_errno();
    }
    (void)kill(-pid, SIGKILL);
    find_symptom(session);
    return 0;
}

/* ---- is it the same each time? ---- */

static uint64_t known_events(const struct sm_sim_record *record)
{
    return record->event_count < SM_SIM_EVENTS_MAX ? record->event_count : SM_SIM_EVENTS_MAX;
}

static void show_event(const struct sm_sim_record *record, uint64_t i)
{
    if (i < known_events(record)) {
        sm_sim_show_event(&record->events[i]);
    } else {
        (void)fputs("nothing any more\n", stderr);
    }
}

static void show_difference(const struct session *session, const struct sm_sim_record *first)
{
    enum { BEFORE = 12 };
    const struct sm_sim_record *second = session->record;
    uint64_t first_count = known_events(first);
    uint64_t second_count = known_events(second);
    uint64_t min = first_count < second_count ? first_count : second_count;
    uint64_t i = 0;
    while (i < min && memcmp(&first->events[i], &second->events[i], sizeof first->events[i]) == 0) {
        i++;
    }
    if (i == first_count && i == second_count) {
        (void)fprintf(stderr,
                "  all %" PRIu64
                " events that are kept agree; the first run came to an end after %" PRIu64
                " points, the second after %" PRIu64 "\n",
                i, first->points, second->points);
        return;
    }
    uint64_t from = i > BEFORE ? i - BEFORE : 0;
    (void)fprintf(stderr, "  until then, in both, after %" PRIu64 " other events:\n", from);
    for (uint64_t k = from; k < i; k++) {
        (void)fputs("    ", stderr);
        show_event(first, k);
    }
    (void)fprintf(stderr, "  event %" PRIu64 " differs:\n    first run:  ", i);
    show_event(first, i);
    (void)fputs("    second run: ", stderr);
    show_event(second, i);
}

/* ---- shrinking ---- */

struct schedule {
    struct sm_sim_entry *entries;
    size_t count;
};

static struct schedule copy_schedule(const struct sm_sim_entry *entries, uint64_t count)
{
    if (count > SM_SIM_ENTRIES_MAX) count = SM_SIM_ENTRIES_MAX;
    struct schedule copy = {.entries = calloc(count + 1, sizeof *entries), .count = count};
    if (copy.entries == NULL) abort();
    if (count > 0) memcpy(copy.entries, entries, count * sizeof *entries);
    return copy;
}

struct shrinking {
    struct session *session;
    struct sm_sim_plan plan;
    struct schedule best;
    int status; /* of the failure */
    char symptom[sizeof(((struct session *)0)->symptom)];
    unsigned runs;
    time_t began;
};

static bool is_time_up(const struct shrinking *shrinking)
{
    return shrinking->runs >= SHRINKING_RUNS_MAX
            || time(NULL) - shrinking->began >= SHRINKING_SECONDS_MAX;
}

/* Does it fail in the same way by this schedule? Then what it did is the best so far. */
static bool still_fails(struct shrinking *shrinking, const struct schedule *schedule)
{
    struct session *session = shrinking->session;
    shrinking->runs++;
    shrinking->plan.entries = schedule->entries;
    shrinking->plan.entry_count = schedule->count;
    if (run_once(session, &shrinking->plan) < 0) return false;
    if (session->status != shrinking->status) return false;
    if (strcmp(session->symptom, shrinking->symptom) != 0) return false;
    /* What it did, not what it was told to: the end of the list may have become meaningless. */
    struct schedule did = copy_schedule(session->record->entries, session->record->entry_count);
    free(shrinking->best.entries);
    shrinking->best = did;
    return true;
}

static bool try_without(struct shrinking *shrinking, size_t first, size_t count)
{
    const struct schedule *best = &shrinking->best;
    struct schedule less = copy_schedule(best->entries, best->count);
    memmove(&less.entries[first], &less.entries[first + count],
            (less.count - first - count) * sizeof less.entries[0]);
    less.count -= count;
    size_t before = best->count;
    bool fails = still_fails(shrinking, &less) && shrinking->best.count < before;
    free(less.entries);
    return fails;
}

/* One pass, from the end: what comes later depends on what comes before. Large parts are not tried at
 * every place. */
static bool try_without_each(struct shrinking *shrinking, size_t part)
{
    enum { SMALL = 3 };
    bool helps = false;
    size_t step = part <= SMALL ? 1 : part;
    for (size_t end = shrinking->best.count; end > 0 && !is_time_up(shrinking);) {
        if (end > shrinking->best.count) end = shrinking->best.count;
        size_t count = part < end ? part : end;
        if (count == 0) break;
        bool worked = try_without(shrinking, end - count, count);
        helps = helps || worked;
        end -= worked ? count : (step < end ? step : end);
    }
    return helps;
}

/* Leave out all, halves, quarters, down to single choices; again for as long as it helps. */
static void shrink(struct shrinking *shrinking)
{
    bool helps = true;
    while (helps && !is_time_up(shrinking)) {
        helps = false;
        for (size_t part = shrinking->best.count; part > 0; part /= 2) {
            bool helped = try_without_each(shrinking, part);
            helps = helps || helped;
        }
    }
}

/* ---- schedules as text ---- */

static void show_schedule(const struct schedule *schedule)
{
    for (size_t i = 0; i < schedule->count; i++) {
        const struct sm_sim_entry *entry = &schedule->entries[i];
        (void)fprintf(stderr, "%s%c%u.%" PRIu64 ":%u", i > 0 ? "," : "", (char)entry->kind,
                entry->thread, entry->count, entry->value);
    }
}

/* Digits alone, where strtoull() has a sign or spaces, too. */
static bool read_number(const char **text, uint64_t max, uint64_t *out)
{
    if (!isdigit((unsigned char)**text)) return false;
    char *end = NULL;
    errno = 0;
    *out = strtoull(*text, &end, 10);
    if (errno != 0 || *out > max) return false;
    *text = end;
    return true;
}

static bool read_char(const char **text, char wanted)
{
    if (**text != wanted) return false;
    ++*text;
    return true;
}

/* Where it fails, *text is at what is wrong. */
static bool read_entry(const char **text, struct sm_sim_entry *out)
{
    uint64_t thread = 0;
    uint64_t value = 0;
    if (**text != SM_SIM_OF_PREEMPTION && **text != SM_SIM_OF_THREADS
            && **text != SM_SIM_OF_WORLD) {
        return false;
    }
    *out = (struct sm_sim_entry){.kind = (uint16_t) * *text};
    ++*text;
    if (!read_number(text, UINT32_MAX, &thread) || !read_char(text, '.')) return false;
    if (!read_number(text, UINT64_MAX, &out->count) || !read_char(text, ':')) return false;
    if (!read_number(text, UINT16_MAX, &value)) return false;
    out->thread = (uint32_t)thread;
    out->value = (uint16_t)value;
    return true;
}

/* "p2.17:1,c0.3:1,w1.2:9": thread 2 is preempted at its point 17, for thread 0; the third other choice
 * of thread 0; and the second of the world's for thread 1. NULL: it was all read; otherwise where it is wrong. To be freed in either case. */
static const char *read_schedule(const char *text, struct schedule *schedule)
{
    *schedule = copy_schedule(NULL, 0);
    while (schedule->count == 0 ? *text != '\0' : read_char(&text, ',')) {
        struct sm_sim_entry entry;
        if (!read_entry(&text, &entry)) return text;
        struct sm_sim_entry *more =
                realloc(schedule->entries, (schedule->count + 1) * sizeof *more);
        if (more == NULL) abort();
        more[schedule->count++] = entry;
        schedule->entries = more;
    }
    return *text == '\0' ? NULL : text;
}

/* ---- failures ---- */

static const char *how_it_ended(const struct session *session)
{
    static char text[64];
    if (is_out_of_time(session)) return "out of time";
    if (WIFSIGNALED(session->status)) return strsignal(WTERMSIG(session->status));
    (void)snprintf(text, sizeof text, "exit code %d", WEXITSTATUS(session->status));
    return text;
}

/* The last lines of what the last run printed. */
static void show_text(const struct session *session)
{
    char *text = read_text(session);
    const char *begin = text + strlen(text);
    int lines = 0;
    while (begin > text && lines <= TOLD_LINES) {
        begin--;
        if (*begin == '\n') lines++;
    }
    if (begin > text) (void)fputs("  ...", stderr);
    (void)fputs(begin, stderr);
    free(text);
}

static const char *strategy_name(const struct sm_sim_plan *plan)
{
    if (plan->is_replay) return "none";
    return plan->strategy == SEAM_SIM_PCT ? "pct" : "random";
}

static void show_failure(const struct session *session, const struct sm_sim_plan *plan)
{
    (void)fprintf(stderr, "%s: seed %" PRIu64 ", strategy %s: %s%s%s\n", session->name, plan->seed,
            strategy_name(plan), how_it_ended(session), session->symptom[0] != '\0' ? ": " : "",
            session->symptom);
}

static void explain(struct session *session, const struct sm_sim_plan *plan)
{
    show_failure(session, plan);
    if (is_out_of_time(session)) {
        show_text(session);
        return;
    }
    struct shrinking shrinking = {.session = session, .plan = *plan, .status = session->status};
    shrinking.plan.is_replay = true;
    shrinking.plan.patience_ms = IMPATIENCE_MS;
    shrinking.began = time(NULL);
    memcpy(shrinking.symptom, session->symptom, sizeof shrinking.symptom);
    uint64_t choices = session->record->entry_count;
    struct schedule all = copy_schedule(session->record->entries, choices);
    if (choices > SM_SIM_ENTRIES_MAX || !still_fails(&shrinking, &all)) {
        (void)fprintf(stderr, "  its %" PRIu64 " choices alone do not make it fail\n", choices);
        (void)run_once(session, plan);
    } else {
        shrink(&shrinking);
        (void)fprintf(stderr, "  shrunk from %" PRIu64 " choices to %zu, in %u runs\n", choices,
                shrinking.best.count, shrinking.runs);
        struct schedule best = copy_schedule(shrinking.best.entries, shrinking.best.count);
        shrinking.plan.is_told = true;
        shrinking.plan.patience_ms = PATIENCE_MS;
        if (!still_fails(&shrinking, &best)) (void)fputs("  this differs when told:\n", stderr);
        free(best.entries);
    }
    show_text(session);
    if (shrinking.best.count > 0 && shrinking.best.count <= SCHEDULE_SHOWN_MAX) {
        (void)fputs("  schedule: ", stderr);
        show_schedule(&shrinking.best);
        (void)fputs("\n", stderr);
    }
    free(shrinking.best.entries);
    free(all.entries);
}

/* ---- seeds ---- */

/* 1: passed; 0: skipped; -ECHILD: failed, and explained. A second time it is run if it has failed, or
 * is_checked. */
static int run_seed(struct session *session, const struct sm_sim_plan *plan, bool is_checked,
        struct sm_sim_record *spare)
{
    int r = run_once(session, plan);
    if (r < 0) return r;
    if (is_skipped(session)) return 0;
    if (!is_checked && has_passed(session)) return 1;
    if (!is_out_of_time(session)) {
        struct sm_sim_record *first = session->record;
        int status = session->status;
        session->record = spare;
        r = run_once(session, plan);
        bool is_same = r == 0 && first->hash == spare->hash && first->points == spare->points
                && status == session->status;
        if (r == 0 && !is_same) {
            show_failure(session, plan);
            (void)fprintf(stderr, "  the same seed did something else the second time\n");
            show_difference(session, first);
            r = -ECHILD;
        }
        session->record = first;
        if (r < 0) return r;
    }
    if (has_passed(session)) return 1;
    explain(session, plan);
    return -ECHILD;
}

static struct sm_sim_record *new_record(void)
{
    void *memory = mmap(NULL, sizeof(struct sm_sim_record), PROT_READ | PROT_WRITE,
            MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory != MAP_FAILED ? memory : NULL;
}

static int64_t replay(struct session *session)
{
    struct schedule schedule;
    const char *text = session->options.schedule;
    const char *wrong = read_schedule(text, &schedule);
    if (wrong != NULL) {
        (void)fprintf(stderr, "%s: schedule, character %td: no schedule goes on with \"%.20s\"\n",
                session->name, wrong - text + 1, wrong);
        free(schedule.entries);
        return -EINVAL;
    }
    struct sm_sim_plan plan = {.seed = session->options.first_seed,
            .strategy = SEAM_SIM_RANDOM,
            .faults = session->options.faults,
            .latency_min_ns = session->options.latency_min_ns,
            .latency_max_ns = session->options.latency_max_ns,
            .is_replay = true,
            .is_told = true,
            .patience_ms = PATIENCE_MS,
            .entries = schedule.entries,
            .entry_count = schedule.count};
    int r = run_once(session, &plan);
    free(schedule.entries);
    if (r < 0) return r;
    bool is_fine = has_passed(session) || is_skipped(session);
    if (!is_fine) show_failure(session, &plan);
    show_text(session);
    if (!is_fine) return -ECHILD;
    return is_skipped(session) ? 0 : 1;
}

static int64_t run_seeds(struct session *session, struct sm_sim_record *spare)
{
    const struct seam_sim_options *options = &session->options;
    uint64_t seeds = options->seeds != 0 ? options->seeds : 1;
    /* First, what happens by itself: then there is no need of seeds, or it is known how long it is. */
    struct sm_sim_plan dull = {.strategy = SEAM_SIM_RANDOM,
            .latency_min_ns = options->latency_min_ns,
            .latency_max_ns = options->latency_max_ns,
            .is_replay = true,
            .patience_ms = PATIENCE_MS};
    int dull_r = run_seed(session, &dull, true, spare);
    if (dull_r <= 0) return dull_r;
    uint64_t length = session->record->points;
    for (uint64_t i = 0; i < seeds; i++) {
        struct sm_sim_plan plan = {.seed = options->first_seed + i,
                .strategy = options->strategy,
                .faults = options->faults,
                .patience_ms = PATIENCE_MS,
                .latency_min_ns = options->latency_min_ns,
                .latency_max_ns = options->latency_max_ns,
                .length = length};
        if (plan.strategy == SEAM_SIM_BOTH) {
            plan.strategy = plan.seed % 2 == 0 ? SEAM_SIM_RANDOM : SEAM_SIM_PCT;
        }
        bool is_checked = i < CHECKED_FIRST || i % CHECKED_EVERY == 0;
        int r = run_seed(session, &plan, is_checked, spare);
        if (r <= 0) return r;
    }
    return (int64_t)seeds;
}

static bool are_valid(const struct seam_sim_options *options)
{
    const uint32_t faults = SEAM_SIM_FAULT_THREADS | SEAM_SIM_FAULT_SPURIOUS | SEAM_SIM_FAULT_SHORT
            | SEAM_SIM_FAULT_RESET | SEAM_SIM_FAULT_INTERRUPT;
    for (size_t i = 0; i < sizeof options->reserved / sizeof options->reserved[0]; i++) {
        if (options->reserved[i] != 0) return false;
    }
    if (options->latency_min_ns > options->latency_max_ns) return false;
    if (options->latency_max_ns > LATENCY_MAX_NS) return false;
    return (options->faults & ~faults) == 0 && (uint32_t)options->strategy <= SEAM_SIM_PCT;
}

int64_t seam_sim_run(
        const char *name, seam_fn *fn, void *arg, const struct seam_sim_options *options)
{
    struct session session = {.name = name, .fn = fn, .arg = arg};
    if (options != NULL) session.options = *options;
    if (!are_valid(&session.options)) return -EINVAL;
    session.record = new_record();
    struct sm_sim_record *spare = new_record();
    session.text_fd = memfd_create("seam-sim", MFD_CLOEXEC);
    int64_t r = -ENOMEM;
    if (session.record != NULL && spare != NULL && session.text_fd >= 0) {
        bool is_one = session.options.schedule != NULL;
        r = is_one ? replay(&session) : run_seeds(&session, spare);
    }
    if (session.record != NULL) (void)munmap(session.record, sizeof *session.record);
    if (spare != NULL) (void)munmap(spare, sizeof *spare);
    if (session.text_fd >= 0) (void)close(session.text_fd);
    return r;
}
