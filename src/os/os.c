/* SPDX-License-Identifier: MIT */
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/single_threaded.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/auto.h"
#include "os/frames.h"

enum { NS_PER_SECOND = 1000000000, PAGE_BYTES = 4096 };

static int64_t timespec_ns(const struct timespec *time)
{
    return (int64_t)time->tv_sec * NS_PER_SECOND + time->tv_nsec;
}

int64_t sm_os_clock_ns(clockid_t clock)
{
    struct timespec time = {}; /* the clock of a thread that has ended cannot be read */
    (void)clock_gettime(clock, &time);
    return timespec_ns(&time);
}

static int64_t real_now_ns(void)
{
    return sm_os_clock_ns(CLOCK_MONOTONIC);
}

static void *real_map(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static void real_unmap(void *memory, size_t bytes)
{
    (void)munmap(memory, bytes);
}

/* Our threads leave asynchronous signals to the program's own threads; faults stay with whoever
 * commits them, and SIGURG is what we ask them by (os/frames.h). */
static void block_signals(sigset_t *old)
{
    sigset_t all;
    (void)sigfillset(&all);
    static const int open[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT, SIGURG};
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++) {
        (void)sigdelset(&all, open[i]);
    }
    (void)pthread_sigmask(SIG_SETMASK, &all, old);
}

static int real_thread_start(pthread_t *out_thread, void *(*run)(void *), void *arg)
{
    sigset_t old;
    block_signals(&old);
    int r = pthread_create(out_thread, NULL, run, arg);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    return -r;
}

static int real_futex_wait(_Atomic(uint32_t) *word, uint32_t expected, int64_t deadline_ns)
{
    struct timespec time;
    struct timespec *limit = NULL;
    if (deadline_ns != INT64_MAX) {
        time = (struct timespec){
                .tv_sec = deadline_ns / NS_PER_SECOND, .tv_nsec = deadline_ns % NS_PER_SECOND};
        limit = &time;
    }
    /* The BITSET form takes an absolute time on the monotonic clock. */
    long r = syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expected, limit, NULL,
            FUTEX_BITSET_MATCH_ANY);
    if (r < 0 && errno == ETIMEDOUT) return -ETIMEDOUT;
    return 0;
}

static void real_futex_wake(_Atomic(uint32_t) *word, int count)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

static int real_poll(struct pollfd *fds, unsigned count, int64_t deadline_ns)
{
    struct timespec left = {};
    struct timespec *limit = NULL;
    if (deadline_ns != INT64_MAX) {
        int64_t left_ns = deadline_ns - real_now_ns();
        if (left_ns > 0) {
            left.tv_sec = left_ns / NS_PER_SECOND;
            left.tv_nsec = left_ns % NS_PER_SECOND;
        }
        limit = &left;
    }
    int r = ppoll(fds, count, limit, NULL);
    if (r < 0) return 0;
    return r == 0 ? -ETIMEDOUT : r;
}

struct sm_os sm_os = {
        .now_ns = real_now_ns,
        .map = real_map,
        .unmap = real_unmap,
        .thread_start = real_thread_start,
        .futex_wait = real_futex_wait,
        .futex_wake = real_futex_wake,
        .poll = real_poll,
};

int64_t sm_os_coarse_ns(void)
{
    return sm_os.now_ns == real_now_ns ? sm_os_clock_ns(CLOCK_MONOTONIC_COARSE) : sm_os.now_ns();
}

/* The first line of a small file, without its newline, which may be none. */
static int read_line(const char *path, char *line, size_t bytes)
{
    sm_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return sm_neg_errno();

    ssize_t len = read(fd, line, bytes - 1);
    if (len < 0) return sm_neg_errno();

    line[len] = '\0';
    line[strcspn(line, "\n")] = '\0';
    return 0;
}

/* How many whole CPUs, rounded up, "QUOTA PERIOD" is; 0 for "max". */
static int cpus_of(const char *line)
{
    char *end = NULL;
    long quota = strtol(line, &end, 10);
    if (end == line) return 0;
    long period = strtol(end, NULL, 10);
    if (quota <= 0 || period <= 0) return 0;
    return (int)((quota + period - 1) / period);
}

/* The quota of our cgroup (version 2), in CPUs; 0 if there is none, or an error. */
static int quota_cpus(void)
{
    char line[256];
    int r = read_line("/proc/self/cgroup", line, sizeof line);
    if (r == 0 && strncmp(line, "0::", 3) != 0) return 0;
    char path[sizeof line + 64];
    if (r == 0) (void)snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", line + 3);
    if (r == 0) r = read_line(path, line, sizeof line);
    return r == 0 ? cpus_of(line) : r;
}

/* Might the next try succeed? */
static bool is_passing(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -EINTR;
}

/* The same, read once: a quota is set before a program is started, and opening files costs. */
static unsigned known_quota_cpus(void)
{
    static _Atomic(unsigned) known;           /* plus one; 0: not read yet */
    unsigned quota = sm_load_relaxed(&known); /* relaxed: a number, and always the same */
    if (quota != 0) return quota - 1;
    int cpus = quota_cpus();
    quota = cpus > 0 ? (unsigned)cpus : 0;
    if (!is_passing(cpus)) sm_store_relaxed(&known, quota + 1); /* relaxed: as above */
    return quota;
}

unsigned sm_os_cpu_count(void)
{
    /* The set is larger than cpu_set_t where there are more than 1,024 CPUs. */
    enum { CPUS_MAX = 16384 };
    cpu_set_t *set = CPU_ALLOC(CPUS_MAX);
    if (set == NULL) return 1;
    unsigned count = 1;
    if (sched_getaffinity(0, CPU_ALLOC_SIZE(CPUS_MAX), set) == 0) {
        count = (unsigned)CPU_COUNT_S(CPU_ALLOC_SIZE(CPUS_MAX), set);
    }
    CPU_FREE(set);

    unsigned quota = known_quota_cpus();
    if (quota > 0 && quota < count) count = quota;
    return count > 0 ? count : 1;
}

void sm_os_thread_name(const char *name)
{
    (void)prctl(PR_SET_NAME, name);
}

/* Registering takes 10 to 20 ms in a process with several threads, and nothing in one with a single
 * thread: so it is done as early as possible, and else by the monitor before it is needed. */
static _Atomic(int) membarrier_state; /* 0 not tried, 1 works, -1 refused */

void sm_os_membarrier_prepare(void)
{
    /* relaxed: registering twice is harmless. */
    if (sm_load_relaxed(&membarrier_state) != 0) return;

    long r = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
    if (r < 0 && errno == ENOMEM) return;                 /* it may be different the next time */
    sm_store_relaxed(&membarrier_state, r == 0 ? 1 : -1); /* relaxed: as above */
}

bool sm_os_membarrier(void)
{
    sm_os_membarrier_prepare();
    return sm_load_relaxed(&membarrier_state) == 1 /* relaxed: as above */
            && syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
}

static unsigned char plain_mark = 1;
const volatile unsigned char *_Atomic sm_os_parent_mark = &plain_mark;

_Atomic(bool) sm_os_is_parent_marked;

/* Where no page can be wiped, the fork tells. Children made by a bare clone() then go unnoticed. */
static void unmark_child(void)
{
    plain_mark = 0;
}

static void mark_parent_once(void)
{
    if (__libc_single_threaded) sm_os_membarrier_prepare();
    sm_store_relaxed(&sm_os_is_parent_marked, true); /* relaxed: only the asker's own mark counts */
    unsigned char *page = real_map(PAGE_BYTES);
    if (page != NULL && madvise(page, PAGE_BYTES, MADV_WIPEONFORK) == 0) {
        page[0] = 1;
        /* release: pairs with the acquire in sm_os_is_forked_child(). */
        sm_store_release(&sm_os_parent_mark, page);
        return;
    }
    if (page != NULL) real_unmap(page, PAGE_BYTES);
    (void)pthread_atfork(NULL, NULL, unmark_child);
}

void sm_os_mark_parent(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, mark_parent_once);
}

void sm_os_nap(void)
{
    const struct timespec millisecond = {.tv_nsec = 1000L * 1000};
    (void)nanosleep(&millisecond, NULL);
}

void sm_os_interrupted(int signo)
{
    (void)signo;
}

static void install_interrupted(void)
{
    struct sigaction action;
    if (sigaction(SIGURG, NULL, &action) < 0) return;
    if ((action.sa_flags & SA_SIGINFO) != 0 || action.sa_handler != SIG_DFL) return;
    /* Without SA_RESTART, for that is the purpose; not on a task's small stack. */
    action = (struct sigaction){.sa_handler = sm_os_interrupted, .sa_flags = SA_ONSTACK};
    (void)sigaction(SIGURG, &action, NULL);
}

void sm_os_interrupt_prepare(void)
{
    /* Else whoever asks a thread where it is would put back what was there before us. */
    sm_lock(&sm_os_urgent_lock);
    install_interrupted();
    sm_unlock(&sm_os_urgent_lock);
}

void sm_os_interrupt(int thread_id)
{
    (void)syscall(SYS_tgkill, getpid(), thread_id, SIGURG);
}

int sm_os_thread_cpu_clock(pthread_t thread, clockid_t *out_clock)
{
    return -pthread_getcpuclockid(thread, out_clock);
}

int sm_os_thread_state_open(int tid)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? sm_neg_errno() : fd;
}

int sm_os_thread_state_is_runnable(int state_fd)
{
    char line[512];
    ssize_t len = pread(state_fd, line, sizeof line - 1, 0);
    if (len < 0) return sm_neg_errno();
    line[len] = '\0';

    /* "TID (NAME) STATE ...", where NAME may hold anything, parentheses too. */
    const char *name_end = strrchr(line, ')');
    bool is_runnable = name_end == NULL || name_end[1] != ' ' || name_end[2] == 'R';
    return sm_sim_thread_is_runnable((int)strtol(line, NULL, 10), is_runnable);
}

bool sm_os_thread_is_runnable(int tid)
{
    sm_auto_close int fd = sm_os_thread_state_open(tid);
    return fd < 0 || sm_os_thread_state_is_runnable(fd) != 0;
}

bool sm_os_thread_syscall(int tid, struct sm_os_syscall *out_call)
{
    if (sm_sim_has_thread(tid)) return false;
    char path[64];
    char line[256];
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/syscall", tid);
    if (read_line(path, line, sizeof line) < 0) return false;

    /* "NUMBER ARG1 .. ARG6 SP PC", "-1 SP PC", or "running". */
    char *end = NULL;
    long number = strtol(line, &end, 10);
    if (end == line || number < 0) return false;
    enum { ARGS = 6 };
    uint64_t words[ARGS + 2];
    for (int i = 0; i < ARGS + 2; i++) {
        const char *begin = end;
        words[i] = strtoull(begin, &end, 16);
        if (end == begin) return false;
    }
    *out_call = (struct sm_os_syscall){
            .number = (int32_t)number, .sp = words[ARGS], .pc = words[ARGS + 1]};
    return true;
}

int sm_os_thread_id(void)
{
    return (int)syscall(SYS_gettid);
}
