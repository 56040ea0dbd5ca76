/* SPDX-License-Identifier: MIT */
/*
 * Goal: whoever meets the end of a runtime is told, nothing that began is lost, and the reports add
 * up, also those that are made of tasks which go on meanwhile.
 *
 * Method: threads spawn, call and block in a runtime, tasks do the same below, some behind a shield;
 * other threads stop it, at first with deadlines that pass.
 */
#include "stress/stress.h"

enum { VISITORS = 4, STOPPERS_MAX = 3 };

struct siege {
    seam_runtime *runtime;
    atomic_uint serial; /* for dice */
    atomic_int begun;   /* functions, of whatever kind */
    atomic_int ended;
    atomic_int owned;   /* arguments that were given away */
    atomic_int resumed; /* of these, came back: the call succeeded, or by their destructor */
    atomic_int refused; /* visitors that were told */
};

static struct dice own_dice(struct siege *siege)
{
    return dice_for(atomic_fetch_add(&siege->serial, 1));
}

static bool is_answer(int r)
{
    return r == 0 || r == -ESHUTDOWN || r == -ECANCELED || r == -ETIMEDOUT || r == -EAGAIN;
}

static int job(void *arg)
{
    struct siege *siege = arg;
    atomic_fetch_add(&siege->begun, 1);
    CHECK(is_answer(seam_sleep(seam_after(20 * SEAM_MICROSECOND))));
    atomic_fetch_add(&siege->ended, 1);
    return 0;
}

static void come_back(void *arg, int result)
{
    struct siege *siege = arg;
    CHECK(result == 0 || result == -ECANCELED);
    atomic_fetch_add(&siege->resumed, 1);
}

static void block_owned(struct siege *siege, struct dice *dice)
{
    atomic_fetch_add(&siege->owned, 1);
    int r = seam_block_owned(NULL, job, siege, come_back, NULL, roll_deadline(dice, 50));
    CHECK(is_answer(r));
    if (r == 0) atomic_fetch_add(&siege->resumed, 1);
}

static void be_stubborn(struct dice *dice)
{
    struct seam_shield shield;
    seam_shield_begin(&shield);
    for (unsigned i = roll(dice, 5); i > 0; i--) {
        CHECK_OK(seam_sleep(seam_after(roll(dice, 100) * SEAM_MICROSECOND)));
    }
    seam_shield_end(&shield);
}

static int leaf(void *arg)
{
    struct siege *siege = arg;
    struct dice dice = own_dice(siege);
    atomic_fetch_add(&siege->begun, 1);
    if (roll(&dice, 2) == 0) be_stubborn(&dice);
    atomic_fetch_add(&siege->ended, 1);
    return 0;
}

static void branch(struct siege *siege)
{
    struct seam_scope scope;
    if (seam_scope_begin(&scope, NULL, SEAM_FOREVER) < 0) return;
    for (int i = 0; i < 3; i++) {
        CHECK(is_answer(seam_spawn(&scope, leaf, siege, NULL, NULL)));
    }
    CHECK(is_answer(seam_scope_end(&scope)));
}

static int work(void *arg)
{
    struct siege *siege = arg;
    struct dice dice = own_dice(siege);
    atomic_fetch_add(&siege->begun, 1);
    switch (roll(&dice, 6)) {
    case 0: CHECK(is_answer(seam_yield())); break;
    case 1: CHECK(is_answer(seam_block(NULL, job, siege, NULL, roll_deadline(&dice, 50)))); break;
    case 2: block_owned(siege, &dice); break;
    case 3: branch(siege); break;
    case 4: be_stubborn(&dice); break;
    default: CHECK(is_answer(seam_sleep(seam_after(roll(&dice, 50) * SEAM_MICROSECOND))));
    }
    atomic_fetch_add(&siege->ended, 1);
    return 0;
}

static int call_owned(struct siege *siege, struct dice *dice)
{
    atomic_fetch_add(&siege->owned, 1);
    int r = seam_call_owned(siege->runtime, work, siege, come_back, NULL, roll_deadline(dice, 100));
    if (r == 0) atomic_fetch_add(&siege->resumed, 1);
    return r;
}

static void *visit(void *arg)
{
    struct siege *siege = arg;
    struct dice dice = own_dice(siege);
    int r = 0;
    while (r != -ESHUTDOWN) {
        switch (roll(&dice, 3)) {
        case 0: r = seam_spawn(seam_runtime_root(siege->runtime), work, siege, NULL, NULL); break;
        case 1: r = call_owned(siege, &dice); break;
        default: r = seam_call(siege->runtime, work, siege, NULL, roll_deadline(&dice, 100));
        }
        CHECK(is_answer(r));
    }
    atomic_fetch_add(&siege->refused, 1);
    return NULL;
}

static void check_report(const struct seam_stop_report *report, int r)
{
    CHECK_EQ(report->tasks_live, report->tasks_ended + report->tasks_left);
    CHECK(report->listed_count <= SEAM_LEFT_MAX && report->listed_count <= report->left_count);
    CHECK_EQ(report->left_count, report->tasks_left + report->jobs_left + report->jobs_abandoned);
    if (r == 0) CHECK_EQ(report->tasks_left, 0);
    for (uint32_t i = 0; i < report->listed_count; i++) {
        const struct seam_left *left = &report->left[i];
        CHECK(left->frame_count <= SEAM_LEFT_FRAMES_MAX && left->age_ns >= 0);
        CHECK(left->name[0] != '\0');
    }
}

static void *stop(void *arg)
{
    struct siege *siege = arg;
    struct dice dice = own_dice(siege);
    int r = -ETIMEDOUT;
    for (int i = 0; r != 0; i++) {
        struct seam_stop_report report;
        int64_t deadline_ns = i < 5 ? roll_deadline(&dice, 300) : SEAM_FOREVER;
        r = seam_runtime_stop(siege->runtime, &report, deadline_ns);
        CHECK(r == 0 || r == -ETIMEDOUT || r == -EAGAIN);
        check_report(&report, r);
    }
    return NULL;
}

static void lay_siege(const struct seam_options *options, int rounds)
{
    for (int round = 0; round < rounds; round++) {
        struct siege siege = {.serial = (unsigned)round * 1000};
        struct dice dice = own_dice(&siege);
        pthread_t visitors[VISITORS];
        pthread_t stoppers[STOPPERS_MAX];
        unsigned stopper_count = 1 + roll(&dice, STOPPERS_MAX);
        CHECK_OK(seam_runtime_new(options, &siege.runtime));
        for (int i = 0; i < VISITORS; i++) {
            CHECK_EQ(pthread_create(&visitors[i], NULL, visit, &siege), 0);
        }
        CHECK_OK(seam_call(siege.runtime, work, &siege, NULL, SEAM_FOREVER));
        for (unsigned i = 0; i < stopper_count; i++) {
            CHECK_EQ(pthread_create(&stoppers[i], NULL, stop, &siege), 0);
        }
        for (unsigned i = 0; i < stopper_count; i++) {
            CHECK_EQ(pthread_join(stoppers[i], NULL), 0);
        }
        for (int i = 0; i < VISITORS; i++) {
            CHECK_EQ(pthread_join(visitors[i], NULL), 0);
        }
        CHECK_EQ(atomic_load(&siege.refused), VISITORS);
        CHECK_EQ(atomic_load(&siege.begun), atomic_load(&siege.ended));
        CHECK_EQ(atomic_load(&siege.owned), atomic_load(&siege.resumed));
        seam_runtime_free(siege.runtime);
    }
}

TEST(a_runtime_can_be_stopped_while_many_use_it)
{
    lay_siege(&(struct seam_options){.workers = 3}, 20);
}

TEST(a_runtime_whose_tasks_move_can_be_stopped_while_many_use_it)
{
    lay_siege(&(struct seam_options){.workers = 3, .steal = SEAM_STEAL_FULL}, 20);
}

TEST(a_runtime_without_threads_can_be_stopped_while_many_use_it)
{
    lay_siege(&(struct seam_options){.current_thread = true}, 20);
}
