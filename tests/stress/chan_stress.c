/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "stress/stress.h"

enum { SENDERS = 4, RECEIVERS = 4, VALUES_EACH = 100 };

struct value {
    uint32_t sender;
    uint32_t serial;
    uint64_t check; /* makes it 16 bytes: half a value would be seen */
};

struct traffic {
    seam_chan *chan;
    atomic_uint times_received[SENDERS][VALUES_EACH];
    atomic_uint senders_left;
    atomic_uint refused; /* waits that ended without a value moved */
};

static uint64_t check_of(uint32_t sender, uint32_t serial)
{
    return ((uint64_t)sender << 32 | serial) * UINT64_C(0x9e3779b97f4a7c15);
}

/* One attempt inside a scope that may be cancelled, by its deadline or by us, at any moment. */
static int attempt(struct crowd *crowd, struct dice *dice, bool sends, struct value *value)
{
    const struct traffic *traffic = crowd->arg;
    int64_t deadline_ns = roll_deadline(dice, 300);
    bool has_scope = roll(dice, 2) == 0;
    struct seam_scope scope;
    if (has_scope) {
        int64_t limit_ns =
                roll(dice, 3) == 0 ? SEAM_FOREVER : seam_after(roll(dice, 300) * SEAM_MICROSECOND);
        CHECK_OK(seam_scope_begin(&scope, crowd->runtime, limit_ns));
        if (roll(dice, 16) == 0) CHECK_OK(seam_scope_cancel(&scope));
    }
    int r = sends ? seam_chan_send(traffic->chan, value, deadline_ns)
                  : seam_chan_recv(traffic->chan, value, deadline_ns);
    if (has_scope) (void)seam_scope_end(&scope);
    return r;
}

static void check_refusal(struct traffic *traffic, int r)
{
    CHECK(r == -ETIMEDOUT || r == -EAGAIN || r == -ECANCELED);
    atomic_fetch_add(&traffic->refused, 1);
    (void)seam_yield();
}

static void send_all(struct crowd *crowd, unsigned index)
{
    struct traffic *traffic = crowd->arg;
    struct dice dice = dice_for(index);
    for (uint32_t serial = 0; serial < VALUES_EACH;) {
        struct value value = {index, serial, check_of(index, serial)};
        int r = attempt(crowd, &dice, true, &value);
        value = (struct value){}; /* what is read after the call returned is wrong */
        if (r == 0) {
            serial++;
        } else {
            check_refusal(traffic, r);
        }
    }
    if (atomic_fetch_sub(&traffic->senders_left, 1) == 1) seam_chan_close(traffic->chan);
}

static void receive_all(struct crowd *crowd, unsigned index)
{
    struct traffic *traffic = crowd->arg;
    struct dice dice = dice_for(index);
    int64_t latest[SENDERS];
    for (unsigned i = 0; i < SENDERS; i++) {
        latest[i] = -1;
    }
    for (;;) {
        struct value value = {.sender = SENDERS};
        int r = attempt(crowd, &dice, false, &value);
        if (r == -EPIPE) return;
        if (r < 0) {
            CHECK_EQ(value.sender, SENDERS); /* untouched on error */
            check_refusal(traffic, r);
            continue;
        }
        CHECK(value.sender < SENDERS);
        CHECK(value.serial < VALUES_EACH);
        CHECK(value.check == check_of(value.sender, value.serial));
        CHECK(value.serial > latest[value.sender]);
        latest[value.sender] = value.serial;
        atomic_fetch_add(&traffic->times_received[value.sender][value.serial], 1);
    }
}

/* The first are senders, so that both kinds have tasks and threads. */
static void send_or_receive(struct crowd *crowd, unsigned index)
{
    if (index < SENDERS) {
        send_all(crowd, index);
    } else {
        receive_all(crowd, index);
    }
}

/*
 * Goal: nothing is lost, nothing doubled, no sender overtakes itself, and a call that failed has
 * moved nothing. Method: numbered values; whoever fails sends the same one again.
 */
static void pass_values(size_t capacity, uint32_t workers, enum seam_steal steal)
{
    static struct traffic traffic;
    memset(&traffic, 0, sizeof traffic);
    atomic_store(&traffic.senders_left, SENDERS);
    CHECK_OK(seam_chan_new(sizeof(struct value), capacity, &traffic.chan));
    struct crowd crowd = {.fn = send_or_receive, .arg = &traffic};
    crowd.runtime = start_runtime(workers, steal);
    crowd_start(&crowd, SENDERS + RECEIVERS);
    CHECK_OK(crowd_join(&crowd));
    for (int i = 0; i < SENDERS; i++) {
        for (int j = 0; j < VALUES_EACH; j++) {
            CHECK_EQ(atomic_load(&traffic.times_received[i][j]), 1);
        }
    }
    seam_chan_free(traffic.chan);
    stop_runtime(crowd.runtime);
}

TEST(a_meeting_loses_nothing_and_doubles_nothing)
{
    pass_values(0, 3, SEAM_STEAL_DEFAULT);
}

TEST(a_meeting_of_tasks_that_move_loses_nothing)
{
    pass_values(0, 3, SEAM_STEAL_FULL);
}

TEST(a_channel_for_one_value_loses_nothing_and_doubles_nothing)
{
    pass_values(1, 2, SEAM_STEAL_DEFAULT);
}

TEST(a_channel_for_one_value_loses_nothing_with_one_worker)
{
    pass_values(1, 1, SEAM_STEAL_NONE);
}

TEST(a_channel_for_seven_values_loses_nothing_and_doubles_nothing)
{
    pass_values(7, 3, SEAM_STEAL_DEFAULT);
}

TEST(a_channel_for_seven_values_loses_nothing_among_tasks_that_move)
{
    pass_values(7, 3, SEAM_STEAL_FULL);
}

/* Closing while others wait at both ends: everybody comes back, and what was taken was sent. */
enum { CLOSERS_ROUNDS = 30 };

struct ending {
    seam_chan *chan;
    atomic_int sent;
    atomic_int received;
};

static void use_until_closed(struct crowd *crowd, unsigned index)
{
    struct ending *ending = crowd->arg;
    int value = 1;
    int r = 0;
    while (r == 0) {
        if (index / 2 % 2 == 0) {
            r = seam_chan_send(ending->chan, &value, SEAM_FOREVER);
            if (r == 0) atomic_fetch_add(&ending->sent, 1);
        } else {
            r = seam_chan_recv(ending->chan, &value, SEAM_FOREVER);
            if (r == 0) atomic_fetch_add(&ending->received, 1);
        }
    }
    CHECK_EQ(r, -EPIPE);
}

TEST(closing_lets_everybody_go_and_takes_no_value_away)
{
    struct dice dice = dice_for(0);
    seam_runtime *runtime = start_runtime(2, SEAM_STEAL_DEFAULT);
    for (int round = 0; round < CLOSERS_ROUNDS; round++) {
        struct ending ending = {};
        CHECK_OK(seam_chan_new(sizeof(int), roll(&dice, 3), &ending.chan));
        struct crowd crowd = {.runtime = runtime, .fn = use_until_closed, .arg = &ending};
        crowd_start(&crowd, 8);
        for (unsigned turns = roll(&dice, 20); turns > 0; turns--) {
            (void)seam_yield();
        }
        seam_chan_close(ending.chan);
        CHECK_OK(crowd_join(&crowd));
        int value = 0;
        while (seam_chan_recv(ending.chan, &value, SEAM_NOW) == 0) {
            atomic_fetch_add(&ending.received, 1);
        }
        CHECK_EQ(atomic_load(&ending.sent), atomic_load(&ending.received));
        seam_chan_free(ending.chan);
    }
    stop_runtime(runtime);
}
