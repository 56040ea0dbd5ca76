/* SPDX-License-Identifier: MIT */
/*
 * The framework notices what it promises to notice. The tests named provoked_... do something bad,
 * but only when another test runs them to see that they fail.
 */
#include "check/check.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static bool is_provoked;

static bool passes_when_provoked(const char *name)
{
    is_provoked = true;
    return check_run(name);
}

static void only_when_provoked(void)
{
    if (!is_provoked) CHECK_SKIP("runs only when another test provokes it");
}

static void *wait_for_ever(void *unused)
{
    (void)pause();
    return unused;
}

static void *do_nothing(void *unused)
{
    return unused;
}

TEST(provoked_open_descriptor)
{
    only_when_provoked();
    (void)CHECK_OK(open("/dev/null", O_RDONLY | O_CLOEXEC));
}

TEST(provoked_running_thread)
{
    only_when_provoked();
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, wait_for_ever, NULL), 0);
}

TEST(provoked_forgotten_child)
{
    only_when_provoked();
    if (fork() == 0) (void)pause();
}

TEST(provoked_overtime)
{
    only_when_provoked();
    check_time_limit(1);
    (void)pause();
}

TEST(provoked_runtime_left_behind)
{
    only_when_provoked();
    check_leaves_a_runtime();
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, wait_for_ever, NULL), 0);
}

TEST(a_descriptor_left_open_fails_the_test)
{
    CHECK(!passes_when_provoked("provoked_open_descriptor"));
}

TEST(a_thread_left_running_fails_the_test)
{
    CHECK(!passes_when_provoked("provoked_running_thread"));
}

TEST(a_child_process_left_behind_fails_the_test)
{
    CHECK(!passes_when_provoked("provoked_forgotten_child"));
}

TEST(a_test_that_takes_too_long_fails)
{
    CHECK_EQ(unsetenv("CHECK_SECONDS"), 0);
    CHECK(!passes_when_provoked("provoked_overtime"));
}

TEST(what_a_test_says_it_leaves_behind_is_forgiven)
{
    CHECK(passes_when_provoked("provoked_runtime_left_behind"));
}

TEST(a_thread_that_was_joined_is_not_held_against_the_test)
{
    for (int i = 0; i < 100; i++) {
        pthread_t thread;
        CHECK_EQ(pthread_create(&thread, NULL, do_nothing, NULL), 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
    }
}

TEST(an_unknown_name_does_not_pass)
{
    CHECK(!check_run("no_such_test"));
}
