/* SPDX-License-Identifier: MIT */
#include <pthread.h>

#include "seam.h"

#include "base/atomic.h"
#include "check/check.h"
#include "os/os.h"

/* ---- the default runtime ---- */

enum { ASKERS = 4 };

static struct sm_os real;
static _Atomic(uint32_t) sleepers;
static _Atomic(uint32_t) starts;

static int count_sleepers(_Atomic(uint32_t) *word, uint32_t expected, int64_t deadline_ns)
{
    (void)sm_add_relaxed(&sleepers, 1);
    return real.futex_wait(word, expected, deadline_ns);
}

/* The first thread ever is refused, once everybody else waits to hear how it went. */
static int refuse_the_first(pthread_t *out_thread, void *(*run)(void *), void *arg)
{
    if (sm_add_relaxed(&starts, 1) > 0) return real.thread_start(out_thread, run, arg);
    while (sm_load_relaxed(&sleepers) < ASKERS - 1) {
    }
    return -EAGAIN;
}

struct asker {
    pthread_t thread;
    int r;
    seam_runtime *runtime;
};

static void *ask(void *arg)
{
    struct asker *asker = arg;
    asker->r = seam_runtime_default(&asker->runtime);
    return NULL;
}

/* Goal: who asks while somebody builds waits for the outcome, and a refusal is only that one's. */
TEST(a_default_runtime_that_could_not_be_built_is_built_by_the_next_who_asks)
{
    check_leaves_a_runtime();
    real = sm_os;
    sm_os.futex_wait = count_sleepers;
    sm_os.thread_start = refuse_the_first;
    struct asker askers[ASKERS] = {};
    for (int i = 0; i < ASKERS; i++) {
        CHECK_EQ(pthread_create(&askers[i].thread, NULL, ask, &askers[i]), 0);
    }
    int refused = 0;
    seam_runtime *runtime = NULL;
    for (int i = 0; i < ASKERS; i++) {
        CHECK_EQ(pthread_join(askers[i].thread, NULL), 0);
        refused += askers[i].r == -EAGAIN;
        if (askers[i].r == -EAGAIN) continue;
        CHECK_OK(askers[i].r);
        CHECK(runtime == NULL || runtime == askers[i].runtime);
        runtime = askers[i].runtime;
    }
    CHECK_EQ(refused, 1);
    CHECK_OK(seam_runtime_default(&askers[0].runtime));
    CHECK(askers[0].runtime == runtime);
}
