/* SPDX-License-Identifier: MIT */
/*
 * Is what the simulation is for found by it? This is linked with a library in which one line has been
 * made wrong (CMakeLists.txt says which), and once with the right one. Each scenario is run under many
 * seeds; a failure must be found, shrunk to a few choices, and come again when they are replayed.
 */
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "seam.h"
#include "seam/sim.h"

#include "check/check.h"
#include "sim/shown.h"

enum { SEEDS = 800, CHOICES_MAX = 12 };

/* ---- scenarios ---- */

static int return_at_once(void *arg)
{
    (void)arg;
    return 0;
}

/* Work arrives at a worker that is about to go to sleep. */
static int call_a_few_times(void *arg)
{
    seam_runtime *runtime = new_runtime(1);
    for (int i = 0; i < 3; i++) {
        MUST(seam_call(runtime, return_at_once, arg, NULL, SEAM_FOREVER) == 0);
    }
    end_runtime(runtime);
    return 0;
}

/* Two want to end the same wait: a deadline and a unit. */
struct race {
    struct seam_semaphore semaphore;
    int64_t deadline_ns;
    int taken;
};

static int acquire(void *arg)
{
    struct race *race = arg;
    int r = seam_semaphore_acquire(&race->semaphore, race->deadline_ns);
    MUST(r == 0 || r == -ETIMEDOUT);
    if (r == 0) race->taken++;
    return 0;
}

static void race_once(seam_runtime *runtime)
{
    struct race race = {.deadline_ns = seam_after(SEAM_MILLISECOND)};
    seam_semaphore_init(&race.semaphore, 0);
    struct seam_scope scope;
    MUST(seam_scope_begin(&scope, runtime, SEAM_FOREVER) == 0);
    MUST(seam_spawn(&scope, acquire, &race, NULL, NULL) == 0);
    (void)seam_sleep(race.deadline_ns);
    MUST(seam_semaphore_post(&race.semaphore) == 0);
    MUST(seam_scope_end(&scope) == 0);
    /* The unit is with the task, or still there. */
    int left = seam_semaphore_acquire(&race.semaphore, SEAM_NOW) == 0;
    MUST(left + race.taken == 1);
}

static int post_at_the_deadline(void *arg)
{
    (void)arg;
    seam_runtime *runtime = new_runtime(2);
    for (int i = 0; i < 8; i++) {
        race_once(runtime);
    }
    end_runtime(runtime);
    return 0;
}

static int wait_for_ever(void *arg)
{
    return seam_event_wait(arg, SEAM_FOREVER);
}

/* A scope is cancelled while its task begins to wait. */
static void cancel_once(seam_runtime *runtime)
{
    struct seam_event event;
    seam_event_init(&event);
    struct seam_scope scope;
    MUST(seam_scope_begin(&scope, runtime, SEAM_FOREVER) == 0);
    MUST(seam_spawn(&scope, wait_for_ever, &event, NULL, NULL) == 0);
    MUST(seam_scope_cancel(&scope) == 0);
    (void)seam_scope_end(&scope);
}

static int cancel_a_waiter(void *arg)
{
    (void)arg;
    seam_runtime *runtime = new_runtime(2);
    for (int i = 0; i < 8; i++) {
        cancel_once(runtime);
    }
    end_runtime(runtime);
    return 0;
}

/* ---- running them ---- */

static void is_found_shrunk_and_replayed_with(seam_fn *fn, struct seam_sim_options options)
{
    static struct shown shown;
    options.seeds = SEEDS;
    options.seconds = 5;
    simulate(fn, &options, &shown);
    printf("%s", shown.text);
    CHECK_EQ(shown.result, -ECHILD);
    const char *seed = after(shown.text, "seed ");
    const char *shrunk = after(shown.text, "shrunk from ");
    CHECK(seed != NULL && shrunk != NULL);
    const char *left = after(shrunk, "choices to ");
    CHECK(left != NULL && strtoul(left, NULL, 10) <= CHOICES_MAX);

    const char *schedule = after(shown.text, "schedule: ");
    CHECK(schedule != NULL);
    char *copy = strndup(schedule, strcspn(schedule, "\n"));
    uint64_t failing_seed = strtoull(seed, NULL, 10);
    options.schedule = copy;
    simulate(fn, &options, &shown);
    CHECK_EQ(shown.result, -ECHILD);
    options.schedule = NULL;
    options.first_seed = failing_seed;
    options.seeds = 1;
    simulate(fn, &options, &shown);
    CHECK_EQ(shown.result, -ECHILD);
    free(copy);
}

static void is_found_shrunk_and_replayed(seam_fn *fn)
{
    is_found_shrunk_and_replayed_with(fn, (struct seam_sim_options){});
}

static void is_fine(seam_fn *fn)
{
    struct seam_sim_options options = {.seeds = SEEDS / 8};
    CHECK_EQ(seam_sim_run("nothing planted", fn, NULL, &options), SEEDS / 8);
}

/* PLANTED is the number of the scenario that suffers. */
#ifndef PLANTED
#define PLANTED (-1)
#endif
static seam_fn *const scenarios[] = {call_a_few_times, post_at_the_deadline, cancel_a_waiter};

TEST(what_has_been_planted_is_found_and_nothing_else)
{
    check_time_limit(100);
    const int planted = PLANTED;
    if (planted >= 0) {
        is_found_shrunk_and_replayed(scenarios[planted]);
        return;
    }
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
        is_fine(scenarios[i]);
    }
}

#if PLANTED < 0

/* ---- without any task ---- */

static pthread_mutex_t mutexes[2] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER};

static void *lock_both(void *arg)
{
    const int first = arg == NULL ? 0 : 1;
    (void)pthread_mutex_lock(&mutexes[first]);
    (void)pthread_mutex_lock(&mutexes[1 - first]);
    (void)pthread_mutex_unlock(&mutexes[1 - first]);
    (void)pthread_mutex_unlock(&mutexes[first]);
    return NULL;
}

static int lock_in_two_orders(void *arg)
{
    (void)arg;
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, lock_both, mutexes) == 0);
    (void)lock_both(NULL);
    MUST(pthread_join(thread, NULL) == 0);
    return 0;
}

TEST(two_mutexes_in_two_orders_are_a_deadlock)
{
    is_found_shrunk_and_replayed(lock_in_two_orders);
}

/* Another process each time: of these we decide nothing. */
static int some_of_the_real_world(void)
{
    return (int)(getpid() % 7) + 1;
}

static int yield_as_often(void *arg)
{
    (void)arg;
    for (int i = some_of_the_real_world(); i > 0; i--) {
        (void)sched_yield();
    }
    return 0;
}

static int sleep_as_long(void *arg)
{
    (void)arg;
    return usleep((useconds_t)some_of_the_real_world());
}

static void is_noticed(seam_fn *fn, struct shown *shown)
{
    struct seam_sim_options options = {.seeds = 20};
    simulate(fn, &options, shown);
    printf("%s", shown->text);
    CHECK_EQ(shown->result, -ECHILD);
    CHECK(strstr(shown->text, "the same seed did something else the second time") != NULL);
}

TEST(what_depends_on_more_than_the_seed_is_noticed_and_told)
{
    static struct shown shown;
    is_noticed(yield_as_often, &shown);
    CHECK(strstr(shown.text, "events that are kept agree; the first run came to an end") != NULL);
    is_noticed(sleep_as_long, &shown);
    const char *first = after(shown.text, "    first run:  point ");
    const char *second = after(shown.text, "    second run: point ");
    CHECK(first != NULL && second != NULL);
    static const char event[] = "thread 0: nobody can go on, time passes\n";
    CHECK(strstr(first, event) < second && strstr(second, event) != NULL);
}

/* ---- faults ---- */

static int start_a_runtime(void *arg)
{
    seam_runtime *runtime = NULL;
    struct seam_options options = {.workers = 3};
    int r = seam_runtime_new(&options, &runtime);
    MUST(r == 0 || r == -EAGAIN);
    if (r < 0) return 0;
    MUST(seam_call(runtime, return_at_once, arg, NULL, SEAM_FOREVER) == 0);
    end_runtime(runtime);
    return 0;
}

TEST(a_runtime_starts_or_leaves_nothing_behind_where_threads_are_refused)
{
    struct seam_sim_options options = {.seeds = 50, .faults = SEAM_SIM_FAULT_THREADS};
    CHECK_EQ(seam_sim_run("refused", start_a_runtime, NULL, &options), 50);
}

static int expect_all_bytes(void *arg)
{
    (void)arg;
    int fds[2];
    char bytes[64] = "";
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    MUST(write(fds[1], bytes, sizeof bytes) == sizeof bytes);
    MUST(read(fds[0], bytes, sizeof bytes) == sizeof bytes);
    return 0;
}

TEST(who_expects_all_bytes_at_once_is_found_out)
{
    static struct shown shown;
    struct seam_sim_options options = {.seeds = 200, .faults = SEAM_SIM_FAULT_SHORT};
    simulate(expect_all_bytes, &options, &shown);
    CHECK_EQ(shown.result, -ECHILD);
    options.faults = SEAM_SIM_FAULT_RESET;
    simulate(expect_all_bytes, &options, &shown);
    CHECK_EQ(shown.result, -ECHILD);
    options.faults = 0;
    CHECK_EQ(seam_sim_run("all bytes", expect_all_bytes, NULL, &options), 200);
}

static void *post(void *arg)
{
    MUST(sem_post(arg) == 0);
    return NULL;
}

static int expect_to_be_left_alone(void *arg)
{
    (void)arg;
    sem_t semaphore;
    pthread_t thread;
    MUST(sem_init(&semaphore, 0, 0) == 0);
    MUST(pthread_create(&thread, NULL, post, &semaphore) == 0);
    MUST(sem_wait(&semaphore) == 0);
    MUST(pthread_join(thread, NULL) == 0);
    return 0;
}

static int expect_to_sleep_long(void *arg)
{
    (void)arg;
    const struct timespec second = {.tv_sec = 1};
    MUST(nanosleep(&second, NULL) == 0);
    return 0;
}

static void *write_late(void *arg)
{
    const int *fd = arg;
    MUST(write(*fd, "x", 1) == 1);
    return NULL;
}

static int expect_to_read_at_last(void *arg)
{
    (void)arg;
    int fds[2];
    char byte = 0;
    pthread_t thread;
    MUST(pipe(fds) == 0);
    MUST(pthread_create(&thread, NULL, write_late, &fds[1]) == 0);
    MUST(read(fds[0], &byte, 1) == 1);
    MUST(pthread_join(thread, NULL) == 0);
    return 0;
}

TEST(who_expects_no_interruption_is_found_out)
{
    static struct shown shown;
    seam_fn *const careless[] = {
            expect_to_be_left_alone, expect_to_sleep_long, expect_to_read_at_last};
    for (size_t i = 0; i < sizeof careless / sizeof careless[0]; i++) {
        struct seam_sim_options options = {.seeds = 100, .faults = SEAM_SIM_FAULT_INTERRUPT};
        simulate(careless[i], &options, &shown);
        CHECK_EQ(shown.result, -ECHILD);
        options.faults = 0;
        options.seeds = 10;
        CHECK_EQ(seam_sim_run("left alone", careless[i], NULL, &options), 10);
    }
}

/* ---- latency ---- */

struct mail {
    int fds[2];
};

enum { MAIL_BYTES = 12 };

static SEAM_SUSPENDS int send_mail(void *arg)
{
    const struct mail *mail = arg;
    MUST(seam_write(mail->fds[1], "hello, world", MAIL_BYTES, SEAM_FOREVER) == MAIL_BYTES);
    return 0;
}

/* The mistake: a message is not what one read returns. */
static SEAM_SUSPENDS int read_mail_once(void *arg)
{
    const struct mail *mail = arg;
    char text[MAIL_BYTES];
    MUST(seam_read(mail->fds[0], text, sizeof text, SEAM_FOREVER) == MAIL_BYTES);
    return 0;
}

static SEAM_SUSPENDS int read_mail_whole(void *arg)
{
    const struct mail *mail = arg;
    char text[MAIL_BYTES];
    for (size_t got = 0; got < MAIL_BYTES;) {
        ssize_t r = seam_read(mail->fds[0], text + got, sizeof text - got, SEAM_FOREVER);
        MUST(r > 0);
        got += (size_t)r;
    }
    return 0;
}

static int deliver_mail(seam_fn *read)
{
    struct mail mail;
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, mail.fds) == 0);
    seam_runtime *runtime = new_runtime(1);
    struct seam_scope scope;
    MUST(seam_scope_begin(&scope, runtime, SEAM_FOREVER) == 0);
    MUST(seam_spawn(&scope, read, &mail, NULL, NULL) == 0);
    MUST(seam_spawn(&scope, send_mail, &mail, NULL, NULL) == 0);
    MUST(seam_scope_end(&scope) == 0);
    end_runtime(runtime);
    return 0;
}

static int deliver_to_the_careless(void *arg)
{
    (void)arg;
    return deliver_mail(read_mail_once);
}

static int deliver_to_the_careful(void *arg)
{
    (void)arg;
    return deliver_mail(read_mail_whole);
}

TEST(who_takes_one_read_for_a_message_is_found_out_by_latency)
{
    check_time_limit(100);
    struct seam_sim_options options = {.seeds = 50};
    CHECK_EQ(seam_sim_run("careless", deliver_to_the_careless, NULL, &options), 50);
    options.latency_max_ns = 2 * SEAM_MILLISECOND;
    CHECK_EQ(seam_sim_run("careful", deliver_to_the_careful, NULL, &options), 50);
    is_found_shrunk_and_replayed_with(deliver_to_the_careless, options);
}

/* An answer within four milliseconds, or it has been forgotten. */
static int ask_with_a_limit(void *arg)
{
    (void)arg;
    int fds[2];
    char byte = 0;
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    int64_t deadline_ns = seam_after(4 * SEAM_MILLISECOND);
    MUST(seam_write(fds[0], "?", 1, SEAM_FOREVER) == 1);
    MUST(seam_read(fds[1], &byte, 1, SEAM_FOREVER) == 1);
    MUST(seam_write(fds[1], "!", 1, SEAM_FOREVER) == 1);
    MUST(seam_read(fds[0], &byte, 1, deadline_ns) == 1);
    return 0;
}

TEST(a_limit_of_time_is_passed_only_where_the_way_is_long)
{
    static struct shown shown;
    struct seam_sim_options options = {.seeds = 100};
    CHECK_EQ(seam_sim_run("at once", ask_with_a_limit, NULL, &options), 100);
    options.latency_max_ns = SEAM_MILLISECOND;
    CHECK_EQ(seam_sim_run("near", ask_with_a_limit, NULL, &options), 100);
    options.latency_max_ns = 3 * SEAM_MILLISECOND;
    simulate(ask_with_a_limit, &options, &shown);
    CHECK_EQ(shown.result, -ECHILD);
    options.latency_min_ns = options.latency_max_ns;
    options.seeds = 1;
    simulate(ask_with_a_limit, &options, &shown); /* it takes no seed at all */
    CHECK(strstr(shown.text, "strategy none") != NULL);
}

static void break_connection(int listener, const struct sockaddr_in *address)
{
    int asker = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(connect(asker, (const struct sockaddr *)address, sizeof *address) == 0);
    int hasty = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    const struct linger at_once = {.l_onoff = 1};
    MUST(setsockopt(hasty, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    MUST(close(hasty) == 0);
    for (int i = 0; i < 3; i++) {
        (void)send(asker, "x", 1, MSG_NOSIGNAL); /* is lost, some of it */
    }
    (void)poll(NULL, 0, 10);
    MUST(close(asker) == 0);
}

static int break_many_connections(void *arg)
{
    (void)arg;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(bind(listener, (struct sockaddr *)&address, len) == 0 && listen(listener, 1) == 0);
    MUST(getsockname(listener, (struct sockaddr *)&address, &len) == 0);
    for (int i = 0; i < 300; i++) {
        break_connection(listener, &address);
    }
    int fds[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    MUST(write(fds[0], "x", 1) == 1 && write(fds[1], "x", 1) == 1);
    struct pollfd wanted[2] = {{.fd = fds[0], .events = POLLIN}, {.fd = fds[1], .events = POLLIN}};
    MUST(poll(wanted, 2, 0) == 0);
    return 0;
}

TEST(after_many_broken_connections_there_is_still_a_latency)
{
    struct seam_sim_options options = {
            .latency_min_ns = SEAM_MILLISECOND, .latency_max_ns = 2 * SEAM_MILLISECOND};
    CHECK_EQ(seam_sim_run("broken", break_many_connections, NULL, &options), 1);
}

enum { ARRIVALS = 20 };

/* In memory that the child shares with us. */
static int note_arrivals(void *arg)
{
    int64_t *const *arrivals = arg;
    int fds[2];
    char byte = 0;
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    for (int i = 0; i < ARRIVALS; i++) {
        MUST(write(fds[0], "x", 1) == 1);
        MUST(read(fds[1], &byte, 1) == 1);
        (*arrivals)[i] = seam_now_ns();
    }
    return 0;
}

TEST(of_one_seed_all_arrives_at_the_same_times_again)
{
    const size_t bytes = sizeof(int64_t) * ARRIVALS;
    int64_t *arrivals =
            mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(arrivals != MAP_FAILED);
    struct seam_sim_options options = {
            .first_seed = 7, .latency_min_ns = 1000, .latency_max_ns = SEAM_SECOND};
    int64_t first[ARRIVALS];
    CHECK_EQ(seam_sim_run("arrivals", note_arrivals, &arrivals, &options), 1);
    memcpy(first, arrivals, bytes);
    CHECK_EQ(seam_sim_run("arrivals", note_arrivals, &arrivals, &options), 1);
    CHECK_EQ(memcmp(first, arrivals, bytes), 0);
    options.first_seed = 9;
    CHECK_EQ(seam_sim_run("arrivals", note_arrivals, &arrivals, &options), 1);
    CHECK(memcmp(first, arrivals, bytes) != 0);
    CHECK_OK(munmap(arrivals, bytes));
}

static SEAM_SUSPENDS int expect_all_bytes_in_task(void *arg)
{
    (void)arg;
    int fds[2];
    char bytes[64] = "";
    MUST(pipe(fds) == 0);
    MUST(seam_write(fds[1], bytes, sizeof bytes, SEAM_FOREVER) == sizeof bytes);
    MUST(seam_read(fds[0], bytes, sizeof bytes, SEAM_FOREVER) == sizeof bytes);
    return 0;
}

static int expect_all_bytes_of_pipe(void *arg)
{
    return seam_run(&(struct seam_options){.current_thread = true}, expect_all_bytes_in_task, arg);
}

TEST(a_task_that_expects_all_bytes_of_a_pipe_at_once_is_found_out)
{
    static struct shown shown;
    struct seam_sim_options options = {.seeds = 100, .faults = SEAM_SIM_FAULT_SHORT};
    simulate(expect_all_bytes_of_pipe, &options, &shown);
    CHECK_EQ(shown.result, -ECHILD);
    options.faults = 0;
    options.seeds = 20;
    CHECK_EQ(seam_sim_run("all of it", expect_all_bytes_of_pipe, NULL, &options), 20);
}

static int never_end(void *arg)
{
    while (arg == NULL) {
        (void)sched_yield();
    }
    return 0;
}

TEST(what_never_ends_is_ended)
{
    static struct shown shown;
    struct seam_sim_options options = {.seconds = 1};
    simulate(never_end, &options, &shown);
    CHECK_EQ(shown.result, -ECHILD);
}

static int block_all_signals(void *arg)
{
    sigset_t all;
    MUST(sigfillset(&all) == 0 && sigprocmask(SIG_BLOCK, &all, NULL) == 0);
    return never_end(arg);
}

static int turn_off_the_alarm(void *arg)
{
    (void)alarm(0);
    return never_end(arg);
}

TEST(what_never_ends_and_hears_no_alarm_is_ended)
{
    static struct shown shown;
    struct seam_sim_options options = {.seconds = 1};
    simulate(block_all_signals, &options, &shown);
    CHECK_EQ(shown.result, -ECHILD);
    CHECK(strstr(shown.text, "out of time") != NULL);
    simulate(turn_off_the_alarm, &options, &shown);
    CHECK_EQ(shown.result, -ECHILD);
    CHECK(strstr(shown.text, "out of time") != NULL);
}

/* ---- what is printed ---- */

enum { LINE_BYTES = 1 << 16, LINES = 128 };

/* And wait, without a point, until most of it has been taken from under us. */
static int print_much(void *arg)
{
    (void)arg;
    static char line[LINE_BYTES];
    memset(line, '.', sizeof line);
    line[LINE_BYTES - 1] = '\n';
    for (int i = 0; i < LINES; i++) {
        MUST(write(STDERR_FILENO, line, sizeof line) == sizeof line);
    }
    struct stat status;
    do {
        MUST(fstat(STDERR_FILENO, &status) == 0 && status.st_size / LINE_BYTES >= LINES);
    } while (status.st_blocks / (LINE_BYTES / 512) > LINES / 2);
    (void)fprintf(stderr, "the end\n");
    return -1;
}

TEST(of_what_a_run_prints_the_end_is_kept)
{
    static struct shown shown;
    struct seam_sim_options options = {.seeds = 1};
    simulate(print_much, &options, &shown);
    CHECK_EQ(shown.result, -ECHILD);
    CHECK(strstr(shown.text, "exit code 1") != NULL);
}

/* ---- options ---- */

static int must_not_run(void *arg)
{
    (void)arg;
    return -1;
}

static void is_refused(struct seam_sim_options options)
{
    CHECK_EQ(seam_sim_run("options", must_not_run, NULL, &options), -EINVAL);
}

TEST(options_that_mean_nothing_are_refused)
{
    is_refused((struct seam_sim_options){.reserved = {[3] = 1}});
    is_refused((struct seam_sim_options){.faults = 32});
    is_refused((struct seam_sim_options){.latency_min_ns = 2, .latency_max_ns = 1});
    is_refused((struct seam_sim_options){.latency_max_ns = SEAM_SECOND + 1});
    is_refused((struct seam_sim_options){.strategy = (enum seam_sim_strategy)3});
}

TEST(a_schedule_that_cannot_be_read_is_refused_with_where_it_is_wrong)
{
    static struct shown shown;
    static const struct {
        const char *schedule;
        const char *where;
    } wrong[] = {
            {"garbage", "character 1:"},
            {"P1.2:3", "character 1:"},
            {",p1.2:3", "character 1:"},
            {"p1.2", "character 5:"},
            {"p1.2:3,", "character 8:"},
            {"p1.2:3 c", "character 7:"},
            {"p1.2:3,c-1.2:3", "character 9:"},
            {"p1.2:65536", "character 6:"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct seam_sim_options options = {.schedule = wrong[i].schedule};
        simulate(must_not_run, &options, &shown);
        CHECK_EQ(shown.result, -EINVAL);
        CHECK(strstr(shown.text, wrong[i].where) != NULL);
    }
}

/* ---- replays ---- */

static int skip(void *arg)
{
    (void)arg;
    exit(77);
}

static int fail(void *arg)
{
    (void)arg;
    return -1;
}

static int pass(void *arg)
{
    (void)arg;
    return 0;
}

TEST(a_replay_ends_as_other_runs_do_and_says_how)
{
    static struct shown shown;
    struct seam_sim_options options = {.schedule = "", .seconds = 1};
    simulate(pass, &options, &shown);
    CHECK_EQ(shown.result, 1);
    simulate(skip, &options, &shown);
    CHECK_EQ(shown.result, 0);
    simulate(fail, &options, &shown);
    CHECK_EQ(shown.result, -ECHILD);
    CHECK(strstr(shown.text, "exit code 1") != NULL);
    simulate(never_end, &options, &shown);
    CHECK_EQ(shown.result, -ECHILD);
    CHECK(strstr(shown.text, "out of time") != NULL);
}

#endif
