/* SPDX-License-Identifier: MIT */
#include "faults.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "seam.h"

#include "base/atomic.h"
#include "base/sanitizer.h"
#include "calls.h"

/* Of each call and error the first few are tried, and as many of the rest. */
#if SM_ASAN || SM_TSAN
enum { FIRST_TRIED = 3, REST_TRIED = 3 };
#else
enum { FIRST_TRIED = 8, REST_TRIED = 8 };
#endif
enum { SECONDS = 20, FINDINGS_SHOWN = 20, ERRORS_MAX = 8, BURST = 5 };

static const struct {
    const char *name;
    int errors[ERRORS_MAX];
} calls[FAULT_CALL_COUNT] = {
#define X(name, ...) {#name, {__VA_ARGS__}},
        FAULT_CALLS(X)
#undef X
};

struct fault {
    enum fault_call call;
    unsigned nth; /* from 1 */
    int error;
    unsigned times; /* it and those that follow it */
};

/* Seen by the children, too. All of it is relaxed: threads come and go between what is set and read, and
 * of two calls either may be the Nth. */
static struct state {
    _Atomic(bool) is_counting;
    _Atomic(bool) has_struck;
    _Atomic(unsigned) counts[FAULT_CALL_COUNT];
} * state;
static struct fault chosen;             /* before the scenario runs; times 0: none */
static _Thread_local bool is_enrolling; /* see fault_enrol() */

int fault_turn(enum fault_call call)
{
    if (state == NULL || !sm_load_relaxed(&state->is_counting)) return 0;
    if (SM_TSAN && call == CALL_calloc) return 0; /* its fibres: arch/fiber.c */
    bool is_spared = call == CALL_aligned_alloc || call == CALL_pthread_key_create
            || call == CALL_pthread_setspecific;
    if (is_enrolling && is_spared) return 0;
    unsigned nth = sm_add_relaxed(&state->counts[call], 1) + 1;
    if (call != chosen.call || nth < chosen.nth || nth >= chosen.nth + chosen.times) return 0;
    sm_store_relaxed(&state->has_struck, true);
    return chosen.error;
}

void fault_enrol(void)
{
    is_enrolling = true;
    (void)seam_cancelled();
    is_enrolling = false;
}

long fault_may(long r, const char *call, const int *documented, const char *file, int line)
{
    if (r >= 0) return r;
    bool is_documented = false;
    for (; *documented != 0; documented++) {
        if (r == -*documented) is_documented = true;
    }
    if (is_documented && sm_load_relaxed(&state->is_counting)
            && sm_load_relaxed(&state->has_struck))
        return r;
    (void)fprintf(stderr, "%s:%d: %s: %s %s\n", file, line, call, strerror((int)-r),
            is_documented ? "although nothing was made to fail" : "is not documented");
    abort();
}

/* ---- one run ---- */

static void *run_in_thread(void *arg)
{
    fault_scenario *const *scenario = arg;
    fault_enrol();
    return (void *)(intptr_t)(*scenario)();
}

/* In a thread, which takes with it what the library keeps for it. */
static int run(fault_scenario *scenario)
{
    pthread_t thread;
    void *result = NULL;
    CHECK_EQ(pthread_create(&thread, NULL, run_in_thread, &scenario), 0);
    CHECK_EQ(pthread_join(thread, &result), 0);
    return (int)(intptr_t)result;
}

static int run_counted(fault_scenario *scenario)
{
    memset(state, 0, sizeof *state);
    sm_store_relaxed(&state->is_counting, true);
    int r = run(scenario);
    sm_store_relaxed(&state->is_counting, false);
    return r;
}

static void count_calls(void *arg)
{
    CHECK_OK(run_counted((fault_scenario *)arg));
}

static void run_with_fault(void *arg)
{
    fault_scenario *scenario = (fault_scenario *)arg;
    (void)run_counted(scenario);
    CHECK_OK(run(scenario)); /* all is as before */
}

/* ---- all of them ---- */

static const char *error_name(int error)
{
    return error == FAULT_SHORT ? "SHORT" : strerrorname_np(error);
}

struct tally {
    unsigned possible;
    unsigned tried;
    unsigned struck;
    unsigned findings;
};

static void try_one(fault_scenario *scenario, const struct fault *fault, struct tally *tally)
{
    chosen = *fault;
    int status = check_in_child(run_with_fault, (void *)scenario, SECONDS);
    tally->tried++;
    if (sm_load_relaxed(&state->has_struck)) tally->struck++;
    if (status == 0) return;
    tally->findings++;
    (void)fprintf(stderr, "FAULT=%s:%u:%s:%u %s\n", calls[fault->call].name, fault->nth,
            error_name(fault->error), fault->times,
            WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "exits");
}

/* The next one to try after nth, of count. */
static unsigned next_nth(unsigned nth, unsigned count, bool tries_all)
{
    if (tries_all || nth < FIRST_TRIED || count <= FIRST_TRIED + REST_TRIED) return nth + 1;
    return nth + (count - FIRST_TRIED + REST_TRIED - 1) / REST_TRIED;
}

static void try_call(fault_scenario *scenario, enum fault_call call, unsigned count, bool tries_all,
        struct tally *tally)
{
    for (const int *error = calls[call].errors; *error != 0; error++) {
        tally->possible += count;
        for (unsigned nth = 1; nth <= count; nth = next_nth(nth, count, tries_all)) {
            const struct fault fault = {call, nth, *error, 1};
            if (tally->findings < FINDINGS_SHOWN) try_one(scenario, &fault, tally);
        }
    }
}

/* What is short stays so for a while. */
static void try_bursts(fault_scenario *scenario, enum fault_call call, unsigned count,
        bool tries_all, struct tally *tally)
{
    for (const int *error = calls[call].errors; *error != 0; error++) {
        tally->possible += (count + BURST - 2) / BURST;
        for (unsigned nth = 1; nth < count; nth += tries_all ? BURST : BURST + count / BURST) {
            const struct fault fault = {call, nth, *error, BURST};
            if (tally->findings < FINDINGS_SHOWN) try_one(scenario, &fault, tally);
        }
    }
}

static void try_all(fault_scenario *scenario, bool tries_all)
{
    chosen.times = 0;
    CHECK_EQ(check_in_child(count_calls, (void *)scenario, SECONDS), 0);
    unsigned counts[FAULT_CALL_COUNT];
    for (int call = 0; call < FAULT_CALL_COUNT; call++) {
        counts[call] = sm_load_relaxed(&state->counts[call]);
    }
    struct tally tally = {0};
    for (int call = 0; call < FAULT_CALL_COUNT; call++) {
        try_call(scenario, (enum fault_call)call, counts[call], tries_all, &tally);
        try_bursts(scenario, (enum fault_call)call, counts[call], tries_all, &tally);
    }
    printf("       of %u failures %u tried, %u reached\n", tally.possible, tally.tried,
            tally.struck);
    CHECK_EQ(tally.findings, 0);
}

/* ---- one by its name ---- */

static int error_of(const char *name)
{
    for (int error = 1; error < 200; error++) {
        const char *known = strerrorname_np(error);
        if (known != NULL && strcmp(known, name) == 0) return error;
    }
    CHECK(strcmp(name, "SHORT") == 0);
    return FAULT_SHORT;
}

/* call:nth:error, or call:nth:error:times */
static struct fault fault_of(const char *text)
{
    char name[64] = "";
    char error[64] = "";
    struct fault fault = {FAULT_CALL_COUNT, 0, 0, 1};
    CHECK(sscanf(text, "%63[^:]:%u:%63[^:]:%u", name, &fault.nth, error, &fault.times) >= 3);
    for (int call = 0; call < FAULT_CALL_COUNT; call++) {
        if (strcmp(calls[call].name, name) == 0) fault.call = (enum fault_call)call;
    }
    CHECK(fault.call != FAULT_CALL_COUNT);
    fault.error = error_of(error);
    return fault;
}

void each_fault(fault_scenario *scenario)
{
    state = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(state != MAP_FAILED);
    check_time_limit(0); /* each child has one */
    const char *wanted = getenv("FAULT");
    if (wanted == NULL || strcmp(wanted, "all") == 0) {
        try_all(scenario, wanted != NULL);
        return;
    }
    chosen = fault_of(wanted);
    run_with_fault((void *)scenario);
    printf("%s was %sreached\n", wanted, sm_load_relaxed(&state->has_struck) ? "" : "not ");
}
