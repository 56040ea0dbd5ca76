/* SPDX-License-Identifier: MIT */
/*
 * bridge/limits.c - how many may be inside at once, and who waits for whom.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "bridge/doors.h"
#include "time/clock.h"

static uint32_t queued(const seam_bridge *bridge)
{
    struct seam_bridge_stats stats;
    seam_bridge_stats_read(bridge, &stats);
    return stats.queued;
}

static void wait_for_line(const seam_bridge *bridge, uint32_t length)
{
    while (queued(bridge) != length) {
        if (seam_task_name() != NULL) {
            (void)seam_yield();
        } else {
            (void)sched_yield();
        }
    }
}

/* Somebody who is inside until told to go. */
struct holder {
    seam_bridge *bridge;
    struct meeting meeting;
    pthread_t thread;
};

static void *hold_place(void *arg)
{
    struct holder *holder = arg;
    struct seam_reply reply;
    CHECK_OK(seam_bridge_call(
            holder->bridge, stay_until_told, &holder->meeting, &reply, SEAM_FOREVER));
    CHECK_EQ(reply.result, 0);
    return NULL;
}

static void holder_begin(struct holder *holder, seam_bridge *bridge)
{
    *holder = (struct holder){.bridge = bridge, .meeting = MEETING_INIT};
    CHECK_EQ(pthread_create(&holder->thread, NULL, hold_place, holder), 0);
    CHECK_OK(seam_event_wait(&holder->meeting.inside, SEAM_FOREVER));
}

static void holder_end(struct holder *holder)
{
    seam_event_set(&holder->meeting.go_on);
    CHECK_EQ(pthread_join(holder->thread, NULL), 0);
}

/* ---- full ---- */

static int find_it_full(void *arg)
{
    CHECK_ERR(seam_bridge_call(arg, must_not_run, NULL, NULL, SEAM_NOW), EAGAIN);
    CHECK_ERR(seam_bridge_call(arg, must_not_run, NULL, NULL, seam_now_ns()), ETIMEDOUT);
    CHECK_ERR(seam_bridge_call(arg, must_not_run, NULL, NULL, seam_after(SEAM_MICROSECOND)),
            ETIMEDOUT);
    CHECK_EQ(queued(arg), 0);
    return 0;
}

static int find_it_full_in_pool(void *arg)
{
    return seam_block(NULL, find_it_full, arg, NULL, SEAM_FOREVER);
}

ON_EVERY_BRIDGE(a_full_bridge_refuses_now_and_at_the_deadline)
{
    struct door door;
    struct holder holder;
    door_open(&door, kind, 1);
    holder_begin(&holder, door.bridge);
    CHECK_OK(find_it_full(door.bridge));
    CHECK_OK(seam_run(&kind->runtime, find_it_full, door.bridge));
    CHECK_OK(seam_run(&kind->runtime, find_it_full_in_pool, door.bridge));
    holder_end(&holder);
    /* There is room again, and without a deadline in spite of SEAM_NOW. */
    CHECK_OK(seam_bridge_call(door.bridge, do_nothing, NULL, NULL, SEAM_NOW));
    door_close(&door);
}

static int give_up_in_line(void *arg)
{
    struct seam_scope scope;
    CHECK_OK(seam_scope_begin(&scope, NULL, seam_after(SEAM_MILLISECOND)));
    CHECK_ERR(seam_bridge_call(arg, must_not_run, NULL, NULL, SEAM_FOREVER), ECANCELED);
    CHECK_ERR(seam_scope_end(&scope), ETIMEDOUT);
    return 0;
}

ON_EVERY_BRIDGE(a_caller_in_line_can_be_cancelled)
{
    struct door door;
    struct holder holder;
    door_open(&door, kind, 1);
    holder_begin(&holder, door.bridge);
    CHECK_OK(seam_run(&kind->runtime, give_up_in_line, door.bridge));
    holder_end(&holder);
    CHECK_OK(seam_bridge_call(door.bridge, do_nothing, NULL, NULL, SEAM_FOREVER));
    door_close(&door);
}

/* ---- in line ---- */

enum { LINE = 6 };

struct queue {
    seam_bridge *bridge;
    _Atomic(int) next; /* whose turn it is to be let in */
};

struct visitor {
    struct queue *queue;
    int number;
    pthread_t thread;
};

static int check_turn(void *arg)
{
    struct visitor *visitor = arg;
    CHECK_EQ(atomic_fetch_add(&visitor->queue->next, 1), visitor->number);
    return 0;
}

static int visit(void *arg)
{
    struct visitor *visitor = arg;
    CHECK_OK(seam_bridge_call(visitor->queue->bridge, check_turn, visitor, NULL, SEAM_FOREVER));
    return 0;
}

static void *visit_as_thread(void *arg)
{
    struct visitor *visitor = arg;
    static const struct seam_options options = {.workers = 1};
    CHECK_OK(visitor->number % 2 == 0 ? visit(visitor) : seam_run(&options, visit, visitor));
    return NULL;
}

/* Threads and tasks in turn. */
ON_EVERY_BRIDGE(callers_in_line_are_let_in_in_the_order_in_which_they_came)
{
    struct door door;
    struct holder holder;
    door_open(&door, kind, 1);
    holder_begin(&holder, door.bridge);
    struct queue queue = {.bridge = door.bridge};
    struct visitor visitors[LINE];
    for (int i = 0; i < LINE; i++) {
        visitors[i] = (struct visitor){.queue = &queue, .number = i};
        CHECK_EQ(pthread_create(&visitors[i].thread, NULL, visit_as_thread, &visitors[i]), 0);
        wait_for_line(door.bridge, (uint32_t)i + 1);
    }
    holder_end(&holder);
    for (int i = 0; i < LINE; i++)
        CHECK_EQ(pthread_join(visitors[i].thread, NULL), 0);
    CHECK_EQ(atomic_load(&queue.next), LINE);
    door_close(&door);
}

enum { PLACES = 3, GUESTS = 12, VISITS = 50 };

struct party_room {
    seam_bridge *bridge;
    _Atomic(int) inside;
    _Atomic(int) high;
    _Atomic(int) visits;
};

static int dance(void *arg)
{
    struct party_room *room = arg;
    int inside = atomic_fetch_add(&room->inside, 1) + 1;
    CHECK(inside <= PLACES);
    (void)seam_yield();
    atomic_fetch_sub(&room->inside, 1);
    atomic_fetch_add(&room->visits, 1);
    return 0;
}

static void *come_often(void *arg)
{
    struct party_room *room = arg;
    for (int i = 0; i < VISITS; i++) {
        CHECK_OK(seam_bridge_call(room->bridge, dance, room, NULL, SEAM_FOREVER));
    }
    return NULL;
}

ON_EVERY_BRIDGE(never_are_more_inside_than_there_are_places)
{
    struct door door;
    door_open(&door, kind, PLACES);
    struct party_room room = {.bridge = door.bridge};
    pthread_t threads[GUESTS];
    for (int i = 0; i < GUESTS; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, come_often, &room), 0);
    }
    for (int i = 0; i < GUESTS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(atomic_load(&room.visits), GUESTS * VISITS);
    struct seam_bridge_stats stats;
    seam_bridge_stats_read(door.bridge, &stats);
    CHECK(stats.in_flight_high <= PLACES);
    CHECK_EQ(stats.in_flight, 0);
    door_close(&door);
}

/* ---- calls inside calls ---- */

enum { DEPTH = 9 };

struct dive {
    seam_bridge *bridge;
    seam_bridge *other; /* or NULL */
    seam_fn *through;   /* how the next call is made; NULL: directly */
    int depth;
};

static int dive_on(void *arg);

static int call_next(void *arg)
{
    const struct dive *above = arg;
    struct dive below = *above;
    below.depth++;
    if (below.other != NULL) {
        below.bridge = above->other;
        below.other = above->bridge;
    }
    struct seam_reply reply;
    CHECK_OK(seam_bridge_call(below.bridge, dive_on, &below, &reply, SEAM_FOREVER));
    return reply.result;
}

static int dive_on(void *arg)
{
    struct dive *dive = arg;
    if (dive->depth == DEPTH) return dive->depth;
    return dive->through != NULL ? dive->through(dive) : call_next(dive);
}

static int call_in_task(void *arg)
{
    struct seam_scope scope;
    seam_task *task = NULL;
    int result = 0;
    CHECK_OK(seam_scope_begin(&scope, NULL, SEAM_FOREVER));
    CHECK_OK(seam_spawn(&scope, call_next, arg, NULL, &task));
    CHECK_OK(seam_join(task, &result, SEAM_FOREVER));
    CHECK_OK(seam_scope_end(&scope));
    return result;
}

static int call_in_pool(void *arg)
{
    int result = 0;
    CHECK_OK(seam_block(NULL, call_next, arg, &result, SEAM_FOREVER));
    return result;
}

static void check_dive(struct dive dive)
{
    struct seam_reply reply;
    dive.depth = 1;
    CHECK_OK(seam_bridge_call(dive.bridge, dive_on, &dive, &reply, SEAM_FOREVER));
    CHECK_EQ(reply.result, DEPTH);
    CHECK_EQ(queued(dive.bridge), 0);
}

/* A worker that calls itself through a channel hangs at depth 1. There is one place, and it is taken. */
ON_EVERY_BRIDGE(calls_nest_to_depth_nine_with_a_single_place)
{
    struct door door;
    door_open(&door, kind, 1);
    check_dive((struct dive){.bridge = door.bridge});
    check_dive((struct dive){.bridge = door.bridge, .through = call_in_task});
    check_dive((struct dive){.bridge = door.bridge, .through = call_in_pool});
    struct seam_bridge_stats stats;
    seam_bridge_stats_read(door.bridge, &stats);
    CHECK_EQ(stats.in_flight_high, 1);
    door_close(&door);
}

ON_EVERY_BRIDGE(calls_nest_through_two_bridges_of_a_single_place_each)
{
    struct door door;
    struct door other;
    door_open(&door, kind, 1);
    door_open(&other, kind, 1);
    check_dive((struct dive){.bridge = door.bridge, .other = other.bridge});
    check_dive(
            (struct dive){.bridge = door.bridge, .other = other.bridge, .through = call_in_task});
    check_dive(
            (struct dive){.bridge = door.bridge, .other = other.bridge, .through = call_in_pool});
    door_close(&other);
    door_close(&door);
}

static void pass_nothing_to(void *arg, int result)
{
    (void)arg;
    (void)result;
}

static int call_owned_inside(void *arg)
{
    CHECK_OK(seam_bridge_call_owned(arg, do_nothing, NULL, pass_nothing_to, NULL, SEAM_FOREVER));
    return 0;
}

ON_EVERY_BRIDGE(an_owned_call_inside_a_call_needs_no_place)
{
    struct door door;
    door_open(&door, kind, 1);
    CHECK_OK(seam_bridge_call(door.bridge, call_owned_inside, door.bridge, NULL, SEAM_FOREVER));
    door_close(&door);
}

/* ---- given up inside ---- */

static int stay_behind_a_shield(void *arg)
{
    struct meeting *meeting = arg;
    struct seam_shield shield;
    seam_shield_begin(&shield);
    int r = stay_until_told(meeting);
    seam_shield_end(&shield);
    return r;
}

static void destroy_nothing(void *arg, int result)
{
    (void)arg;
    (void)result;
}

struct giver_up {
    seam_bridge *bridge;
    struct meeting meeting;
};

static SEAM_SUSPENDS int give_up_inside(void *arg)
{
    struct giver_up *self = arg;
    return seam_bridge_call_owned(self->bridge, stay_behind_a_shield, &self->meeting,
            destroy_nothing, NULL, seam_after(5 * SEAM_MILLISECOND));
}

TEST(a_call_that_is_given_up_inside_another_keeps_a_place_when_that_has_ended)
{
    const struct seam_bridge_options options = {.name = "limit", .in_flight_max = 1};
    struct giver_up self = {.meeting = MEETING_INIT};
    CHECK_OK(seam_bridge_new(&options, &self.bridge));
    struct seam_reply reply;
    do { /* until the deadline found it inside */
        CHECK_OK(seam_bridge_call(self.bridge, give_up_inside, &self, &reply, SEAM_FOREVER));
        CHECK_ERR(reply.result, ETIMEDOUT);
    } while (seam_event_wait(&self.meeting.inside, SEAM_NOW) < 0);
    CHECK_ERR(seam_bridge_call(self.bridge, do_nothing, NULL, NULL, SEAM_NOW), EAGAIN);
    seam_event_set(&self.meeting.go_on);
    CHECK_OK(seam_bridge_call(self.bridge, do_nothing, NULL, NULL, SEAM_FOREVER));
    CHECK_OK(seam_bridge_close(self.bridge, NULL, SEAM_FOREVER));
    seam_bridge_free(self.bridge);
}

/* ---- two views ---- */

TEST(two_views_of_one_runtime_have_limits_of_their_own)
{
    const struct seam_options options = {.workers = 1};
    seam_runtime *runtime = NULL;
    CHECK_OK(seam_runtime_new(&options, &runtime));
    seam_bridge *log = NULL;
    seam_bridge *refs = NULL;
    CHECK_OK(seam_bridge_new(
            &(struct seam_bridge_options){
                    .name = "pg-oplog", .runtime = runtime, .in_flight_max = 1},
            &log));
    CHECK_OK(seam_bridge_new(
            &(struct seam_bridge_options){
                    .name = "pg-refs", .runtime = runtime, .in_flight_max = 1},
            &refs));
    struct holder holder;
    holder_begin(&holder, log);
    CHECK_ERR(seam_bridge_call(log, must_not_run, NULL, NULL, SEAM_NOW), EAGAIN);
    CHECK_OK(seam_bridge_call(refs, do_nothing, NULL, NULL, SEAM_NOW));
    CHECK_OK(seam_bridge_close(refs, NULL, SEAM_FOREVER));
    holder_end(&holder);
    CHECK_OK(seam_bridge_call(log, do_nothing, NULL, NULL, SEAM_NOW));
    CHECK_OK(seam_bridge_close(log, NULL, SEAM_FOREVER));
    seam_bridge_free(refs);
    seam_bridge_free(log);
    CHECK_OK(seam_runtime_stop(runtime, NULL, SEAM_FOREVER));
    seam_runtime_free(runtime);
}

/* A task of a current-thread runtime is inside, and nobody runs it but who waits for a place. */
static int hold_place_as_task(void *arg)
{
    CHECK_OK(seam_bridge_call(arg, do_nothing, NULL, NULL, SEAM_FOREVER));
    return 0;
}

TEST(who_waits_for_a_place_drives_the_runtime_of_those_inside)
{
    struct door door;
    door_open(&door, &(struct kind){.runtime.current_thread = true}, 1);
    struct seam_scope *root = seam_runtime_root(door.runtime);
    for (int i = 0; i < 8; i++) {
        CHECK_OK(seam_spawn(root, hold_place_as_task, door.bridge, NULL, NULL));
        CHECK_OK(seam_bridge_call(door.bridge, do_nothing, NULL, NULL, SEAM_FOREVER));
    }
    door_close(&door);
}
