/* SPDX-License-Identifier: MIT */
/*
 * contexts/contexts.c - the table of contexts/table.h, a test for each of its cells.
 *
 * Never a crash, never a hang: the runner forks each cell and has a time limit. Run twice: with a
 * runtime of two workers, and with one that is current-thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check/check.h"
#include "contexts/table.h"
#include "contexts/things.h"

/* ---- what is wanted ---- */

struct outcome {
    bool is_open;
    int error;        /* wanted; 0: success */
    bool if_embedded; /* ... where the runtime is current-thread, else -EINVAL */
    bool or_invalid;  /* ... or, with a runtime that is not, -EINVAL */
};

static const struct outcome OK = {};
static const struct outcome CANC = {.error = ECANCELED};
static const struct outcome SHUT = {.error = ESHUTDOWN};
static const struct outcome DEAD = {.error = EOWNERDEAD};
static const struct outcome INVA = {.error = EINVAL};
static const struct outcome PROG = {.error = EINPROGRESS};
static const struct outcome OPEN = {.is_open = true};
static const struct outcome E_OK = {.if_embedded = true};
static const struct outcome E_DLCK = {.error = EDEADLK, .if_embedded = true};
static const struct outcome E_BUSY = {.error = EBUSY, .if_embedded = true};
static const struct outcome E_SHUT = {.error = ESHUTDOWN, .if_embedded = true};
static const struct outcome E_DEAD = {.error = EOWNERDEAD, .or_invalid = true};

static void check_outcome(const char *name, int got, const struct outcome *wanted)
{
    if (wanted->is_open) return;
    int error = wanted->error;
    if (wanted->if_embedded && !flavour.current_thread) error = EINVAL;
    if (wanted->or_invalid && !flavour.current_thread && got == -EINVAL) return;
    if (got == -error || (error == 0 && got > 0)) return;
    (void)fprintf(stderr, "%s() returned %d (%s), wanted %d (%s)\n", name, got,
            got < 0 ? strerrorname_np(-got) : "success", -error,
            error > 0 ? strerrorname_np(error) : "success");
    abort();
}

/* ---- one call, wherever we are ---- */

struct cell {
    const struct exercise *exercise;
    const struct outcome *wanted;
    struct things things;
};

static void enter(struct cell *cell)
{
    if (cell->exercise->enter != NULL) cell->exercise->enter(&cell->things);
}

static void call(struct cell *cell)
{
    check_outcome(cell->exercise->name, cell->exercise->call(&cell->things), cell->wanted);
}

static void leave(struct cell *cell)
{
    if (cell->exercise->leave != NULL) cell->exercise->leave(&cell->things);
}

static int attempt(void *arg)
{
    struct cell *cell = arg;
    enter(cell);
    call(cell);
    leave(cell);
    return 0;
}

/* ---- the contexts ---- */

static void in_runtime(struct cell *cell, seam_fn *fn)
{
    cell->things.in_task = true;
    CHECK_OK(seam_call(cell->things.runtime, fn, cell, NULL, SEAM_FOREVER));
}

static void task(struct cell *cell)
{
    in_runtime(cell, attempt);
}

static void other(struct cell *cell)
{
    cell->things.in_task = true;
    CHECK_OK(seam_run(&flavour, attempt, cell));
}

static void thread(struct cell *cell)
{
    (void)attempt(cell);
}

static int attempt_in_pool(void *arg)
{
    ((struct cell *)arg)->things.in_task = false;
    return seam_block(NULL, attempt, arg, NULL, SEAM_FOREVER);
}

static void pool(struct cell *cell)
{
    in_runtime(cell, attempt_in_pool);
}

static struct cell *sorted_for; /* qsort() passes no context on */

static int attempt_and_compare(const void *a, const void *b)
{
    if (sorted_for != NULL) (void)attempt(sorted_for);
    sorted_for = NULL;
    return *(const int *)a - *(const int *)b;
}

static int attempt_in_qsort(void *arg)
{
    sorted_for = arg;
    int numbers[] = {3, 1, 2};
    qsort(numbers, 3, sizeof numbers[0], attempt_and_compare);
    return 0;
}

static void below_qsort(struct cell *cell)
{
    in_runtime(cell, attempt_in_qsort);
}

static int attempt_cancelled(void *arg)
{
    struct cell *cell = arg;
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    enter(cell);
    CHECK_OK(seam_scope_cancel(&scope));
    call(cell);
    leave(cell);
    CHECK_ERR(seam_scope_end(&scope), ECANCELED);
    return 0;
}

static void ending(struct cell *cell)
{
    in_runtime(cell, attempt_cancelled);
}

static void ended(struct cell *cell)
{
    enter(cell);
    CHECK_OK(seam_runtime_stop(cell->things.runtime, NULL, SEAM_FOREVER));
    call(cell);
    leave(cell);
}

static void check_child(pid_t pid)
{
    int status = -1;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

static int attempt_in_child(void *arg)
{
    struct cell *cell = arg;
    enter(cell);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        call(cell);
        _exit(EXIT_SUCCESS);
    }
    check_child(pid);
    leave(cell);
    return 0;
}

static void child(struct cell *cell)
{
    (void)attempt_in_child(cell);
}

static void tchild(struct cell *cell)
{
    in_runtime(cell, attempt_in_child);
}

static void run_cell(
        const char *function, void (*context)(struct cell *cell), const struct outcome *wanted)
{
    struct cell cell = {.exercise = find_exercise(function), .wanted = wanted};
    CHECK(cell.exercise != NULL);
    seam_runtime *runtime = NULL;
    CHECK_OK(seam_runtime_new(&flavour, &runtime));
    things_init(&cell.things, runtime);
    context(&cell);
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_runtime_free(runtime);
    things_fini(&cell.things);
}

/* ---- in exit() ---- */

static struct cell exiting;

static void attempt_at_exit(void)
{
    call(&exiting);
    _exit(EXIT_SUCCESS);
}

/* The handler is registered before the runtime, and so runs after the runtime's own. */
static _Noreturn void exit_with(const char *function, const struct outcome *wanted)
{
    CHECK_EQ(atexit(attempt_at_exit), 0);
    exiting = (struct cell){.exercise = find_exercise(function), .wanted = wanted};
    CHECK(exiting.exercise != NULL);
    seam_runtime *runtime = NULL;
    CHECK_OK(seam_runtime_default(&runtime));
    things_init(&exiting.things, runtime);
    enter(&exiting);
    exit(EXIT_FAILURE);
}

static void run_cell_at_exit(const char *function, const struct outcome *wanted)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) exit_with(function, wanted);
    check_child(pid);
}

/* ---- the tests ---- */

#define CELL(function, context, run, outcome) CELL_##outcome(function, context, run, outcome)
#define TESTED(function, context, run, outcome) \
    TEST(function##_##context) \
    { \
        run_cell(#function, run, &(outcome)); \
    }
#define UNTESTED(function, context, run, outcome)

#define CELL_OK     TESTED
#define CELL_CANC   TESTED
#define CELL_SHUT   TESTED
#define CELL_DEAD   TESTED
#define CELL_INVA   TESTED
#define CELL_PROG   TESTED
#define CELL_OPEN   TESTED
#define CELL_E_OK   TESTED
#define CELL_E_DLCK TESTED
#define CELL_E_BUSY TESTED
#define CELL_E_SHUT TESTED
#define CELL_E_DEAD TESTED
#define CELL_NONE   UNTESTED

#define ROW(function, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10) \
    CELL(function, in_a_task, task, c1) \
    CELL(function, in_a_task_of_another_runtime, other, c2) \
    CELL(function, in_a_thread, thread, c3) \
    CELL(function, in_the_pool, pool, c4) \
    CELL(function, below_qsort, below_qsort, c5) \
    CELL(function, in_a_cancelled_scope, ending, c6) \
    CELL(function, after_the_end_of_the_runtime, ended, c7) \
    TEST(function##_in_exit) \
    { \
        run_cell_at_exit(#function, &(c8)); \
    } \
    CELL(function, in_a_child_of_a_thread, child, c9) \
    CELL(function, in_a_child_of_a_task, tchild, c10)

EVERY_FUNCTION(ROW)

/* ---- the table is complete ---- */

#define NAME(function, ...) #function,
static const char *const functions[] = {EVERY_FUNCTION(NAME)};
enum { FUNCTIONS = sizeof functions / sizeof functions[0] };

static bool is_in_table(const char *name)
{
    for (int i = 0; i < FUNCTIONS; i++) {
        if (strcmp(functions[i], name) == 0) return true;
    }
    return false;
}

/* Goal: whoever adds a function says how it behaves everywhere. Method: read the map of exports. */
TEST(every_public_function_has_a_row)
{
    FILE *map = fopen(CONTEXTS_MAP, "re");
    CHECK(map != NULL);
    int exported = 0;
    char line[256];
    while (fgets(line, sizeof line, map) != NULL) {
        char name[128] = "";
        if (sscanf(line, " seam_%100[a-z_];", name) != 1) continue;
        char full[160];
        (void)snprintf(full, sizeof full, "seam_%s", name);
        if (!is_in_table(full)) (void)fprintf(stderr, "%s has no row in contexts/table.h\n", full);
        CHECK(is_in_table(full));
        exported++;
    }
    CHECK_EQ(fclose(map), 0);
    CHECK_EQ(exported, FUNCTIONS);
}
