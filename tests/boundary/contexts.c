/* SPDX-License-Identifier: MIT */
/*
 * boundary/contexts.c - the same function, which waits for a task of a runtime, called from
 * everywhere a caller can be.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "boundary/flavours.h"

/* A task of runtime that answers questions until there are no more. */
struct oracle {
    seam_runtime *runtime;
    const struct seam_options *options;
    seam_chan *questions;
    seam_chan *answers;
    seam_task *task;
};

static int be_the_oracle(void *arg)
{
    struct oracle *oracle = arg;
    int question = 0;
    while (seam_chan_recv(oracle->questions, &question, SEAM_FOREVER) == 0) {
        question = -question;
        CHECK_OK(seam_chan_send(oracle->answers, &question, SEAM_FOREVER));
    }
    return 0;
}

static void oracle_init(struct oracle *oracle, const struct seam_options *options)
{
    *oracle = (struct oracle){.runtime = new_runtime(options), .options = options};
    CHECK_OK(seam_chan_new(sizeof(int), 0, &oracle->questions));
    CHECK_OK(seam_chan_new(sizeof(int), 0, &oracle->answers));
    struct seam_scope *root = seam_runtime_root(oracle->runtime);
    CHECK_OK(seam_spawn(root, be_the_oracle, oracle, NULL, &oracle->task));
}

static void oracle_fini(struct oracle *oracle)
{
    seam_chan_close(oracle->questions);
    int result = -1;
    CHECK_OK(seam_join(oracle->task, &result, SEAM_FOREVER));
    CHECK_EQ(result, 0);
    end_runtime(oracle->runtime);
    seam_chan_free(oracle->questions);
    seam_chan_free(oracle->answers);
}

/* The function under test: it waits twice, for whoever calls. */
static int consult(struct oracle *oracle)
{
    int value = 21;
    CHECK_OK(seam_chan_send(oracle->questions, &value, SEAM_FOREVER));
    CHECK_OK(seam_chan_recv(oracle->answers, &value, SEAM_FOREVER));
    CHECK_EQ(value, -21);
    return value;
}

static int consult_in_place(void *arg)
{
    return consult(arg);
}

/* And as a door: a thread that calls into the runtime, whatever runs it. */
static int consult_by_call(struct oracle *oracle)
{
    int result = 0;
    CHECK_OK(seam_call(oracle->runtime, consult_in_place, oracle, &result, SEAM_FOREVER));
    CHECK_EQ(result, -21);
    return result;
}

/* ---- a task of this runtime, and of another ---- */

static int consult_both_ways(void *arg)
{
    struct oracle *oracle = arg;
    (void)consult_by_call(oracle);
    return consult_by_call(oracle);
}

ON_EVERY_RUNTIME(a_task_of_the_runtime_may_call)
{
    struct oracle oracle;
    oracle_init(&oracle, options);
    CHECK_OK(seam_call(oracle.runtime, consult_both_ways, &oracle, NULL, SEAM_FOREVER));
    oracle_fini(&oracle);
}

ON_EVERY_RUNTIME(a_task_of_another_runtime_may_call)
{
    struct oracle oracle;
    oracle_init(&oracle, options);
    CHECK_EQ(seam_run(options, consult_both_ways, &oracle), -21);
    oracle_fini(&oracle);
}

/* The other runtime is served by threads of its own, so a channel is enough. */
ON_WORKERS(a_task_of_another_runtime_may_wait_for_one_of_this)
{
    struct oracle oracle;
    oracle_init(&oracle, options);
    CHECK_EQ(seam_run(options, consult_in_place, &oracle), -21);
    oracle_fini(&oracle);
}

/* ---- a callback below a library that knows nothing of us ---- */

static struct oracle *consulted; /* qsort() passes no context on */

static int compare_and_consult(const void *a, const void *b)
{
    CHECK_EQ(consult_by_call(consulted), -21);
    int left = *(const int *)a;
    int right = *(const int *)b;
    return (left > right) - (left < right);
}

static int sort_and_consult(void *arg)
{
    consulted = arg;
    int numbers[] = {5, 3, 8, 1, 9, 2};
    int count = sizeof numbers / sizeof numbers[0];
    qsort(numbers, (size_t)count, sizeof numbers[0], compare_and_consult);
    for (int i = 1; i < count; i++) {
        CHECK(numbers[i - 1] <= numbers[i]);
    }
    return 0;
}

ON_EVERY_RUNTIME(a_callback_below_a_task_may_call)
{
    struct oracle oracle;
    oracle_init(&oracle, options);
    CHECK_OK(seam_call(oracle.runtime, sort_and_consult, &oracle, NULL, SEAM_FOREVER));
    oracle_fini(&oracle);
}

/* ---- a pool thread, and a foreign one ---- */

static int block_and_consult(void *arg)
{
    int result = 0;
    CHECK_OK(seam_block(NULL, consult_both_ways, arg, &result, SEAM_FOREVER));
    return result;
}

ON_EVERY_RUNTIME(a_thread_of_the_pool_may_call)
{
    struct oracle oracle;
    oracle_init(&oracle, options);
    seam_task *other = NULL;
    CHECK_OK(seam_spawn(
            seam_runtime_root(oracle.runtime), block_and_consult, &oracle, NULL, &other));
    int result = 0;
    CHECK_OK(seam_call(oracle.runtime, block_and_consult, &oracle, &result, SEAM_FOREVER));
    CHECK_EQ(result, -21);
    CHECK_OK(seam_call(oracle.runtime, block_and_consult, &oracle, &result, SEAM_FOREVER));
    CHECK_OK(seam_join(other, &result, SEAM_FOREVER));
    CHECK_EQ(result, -21);
    oracle_fini(&oracle);
}

static void *consult_in_a_thread(void *arg)
{
    CHECK_EQ(consult_both_ways(arg), -21);
    return NULL;
}

ON_EVERY_RUNTIME(foreign_threads_may_call_several_at_once)
{
    struct oracle oracle;
    oracle_init(&oracle, options);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, consult_in_a_thread, &oracle), 0);
    }
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
    oracle_fini(&oracle);
}

/* ---- a thread that is ending ---- */

static pthread_key_t last_words;

static void consult_at_the_end(void *arg)
{
    CHECK_EQ(consult_both_ways(arg), -21);
}

static void *leave_it_to_the_end(void *arg)
{
    CHECK_EQ(pthread_setspecific(last_words, arg), 0);
    return NULL;
}

static void *consult_also_at_the_end(void *arg)
{
    CHECK_EQ(consult_both_ways(arg), -21);
    return leave_it_to_the_end(arg);
}

/* Destructors run before and after the runtime's own: both orders, and with or without earlier
 * calls. */
ON_EVERY_RUNTIME(a_destructor_of_thread_specific_data_may_call)
{
    CHECK_EQ(pthread_key_create(&last_words, consult_at_the_end), 0);
    struct oracle oracle;
    oracle_init(&oracle, options);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, leave_it_to_the_end, &oracle), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(pthread_create(&thread, NULL, consult_also_at_the_end, &oracle), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    oracle_fini(&oracle);
    CHECK_EQ(pthread_key_delete(last_words), 0);
}

ON_EVERY_RUNTIME(a_destructor_that_runs_after_the_runtimes_own_may_call)
{
    struct oracle oracle;
    oracle_init(&oracle, options);
    CHECK_EQ(pthread_key_create(&last_words, consult_at_the_end), 0);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, consult_also_at_the_end, &oracle), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    oracle_fini(&oracle);
    CHECK_EQ(pthread_key_delete(last_words), 0);
}

static void be_refused_at_the_end(void *arg)
{
    CHECK_ERR(seam_call(arg, consult_in_place, NULL, NULL, SEAM_FOREVER), ESHUTDOWN);
}

ON_EVERY_RUNTIME(a_destructor_is_refused_after_the_end_of_the_runtime)
{
    CHECK_EQ(pthread_key_create(&last_words, be_refused_at_the_end), 0);
    seam_runtime *runtime = new_runtime(options);
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, leave_it_to_the_end, runtime), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    seam_runtime_free(runtime);
    CHECK_EQ(pthread_key_delete(last_words), 0);
}

/* ---- a forked child ---- */

static void fork_and(void (*in_child)(void *arg), void *arg)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        in_child(arg);
        _exit(0);
    }
    int status = -1;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

static void be_refused_as_a_child(void *arg)
{
    struct oracle *oracle = arg;
    int value = 0;
    CHECK_ERR(seam_call(oracle->runtime, consult_in_place, oracle, NULL, SEAM_FOREVER), EOWNERDEAD);
    CHECK_ERR(seam_chan_recv(oracle->answers, &value, SEAM_FOREVER), EOWNERDEAD);
    CHECK_ERR(seam_run(NULL, consult_in_place, oracle), EOWNERDEAD);
}

static int fork_in_a_task(void *arg)
{
    fork_and(be_refused_as_a_child, arg);
    return consult_both_ways(arg);
}

static pid_t child;

static int fork_here(void *arg)
{
    (void)arg;
    child = fork();
    return child >= 0 ? 5 : -1;
}

/* The child comes back from the call. It has no runtime, but may exit. */
static int fork_in_place(void *arg)
{
    const struct oracle *oracle = arg;
    int result = 0;
    int r = seam_call(oracle->runtime, fork_here, NULL, &result, SEAM_FOREVER);
    if (child == 0) _exit(r == 0 && result == 5 ? 0 : 1);
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    return r;
}

static int fork_in_the_pool(void *arg)
{
    return seam_block(NULL, fork_in_a_task, arg, NULL, SEAM_FOREVER);
}

ON_EVERY_RUNTIME(a_forked_child_is_refused_and_its_parent_goes_on)
{
    struct oracle oracle;
    oracle_init(&oracle, options);
    fork_and(be_refused_as_a_child, &oracle);
    CHECK_OK(seam_call(oracle.runtime, fork_in_the_pool, &oracle, NULL, SEAM_FOREVER));
    CHECK_OK(seam_call(oracle.runtime, fork_in_place, &oracle, NULL, SEAM_FOREVER));
    int result = 0;
    CHECK_OK(seam_call(oracle.runtime, fork_in_a_task, &oracle, &result, SEAM_FOREVER));
    CHECK_EQ(result, -21);
    oracle_fini(&oracle);
}

static void lock_the_mutex_of_the_parent(void *arg)
{
    CHECK_ERR(seam_mutex_lock(arg, SEAM_FOREVER), EOWNERDEAD);
}

static void try_the_mutex_of_the_parent(void *arg)
{
    CHECK_ERR(seam_mutex_lock(arg, SEAM_NOW), EOWNERDEAD);
}

/* Locking a mutex that is free makes no other use of seam, and is a use all the same. */
TEST(a_mutex_that_was_held_at_the_fork_is_refused_to_the_child)
{
    struct seam_mutex mutex = SEAM_MUTEX_INIT;
    CHECK_OK(seam_mutex_lock(&mutex, SEAM_NOW));
    fork_and(lock_the_mutex_of_the_parent, &mutex);
    fork_and(try_the_mutex_of_the_parent, &mutex);
    seam_mutex_unlock(&mutex);
}

static void use_the_default_runtime_of_the_parent(void *arg)
{
    CHECK_ERR(seam_call(arg, consult_in_place, NULL, NULL, SEAM_FOREVER), EOWNERDEAD);
}

TEST(a_child_forked_right_after_the_default_runtime_began_is_refused)
{
    check_leaves_a_runtime();
    seam_runtime *runtime = NULL;
    CHECK_OK(seam_runtime_default(&runtime));
    fork_and(use_the_default_runtime_of_the_parent, runtime);
}
