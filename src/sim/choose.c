/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "sim/sim.h"
#include "sim/state.h"

/*
 * The one stream of dice. A run is described by its choices that were not 0. In a replay everything
 * else is 0, which is the dullest run there is: nobody is preempted, and whoever has waited longest
 * goes on.
 */

enum {
    GAPS_OF_RANDOM = 10,
    LONG_GAP_BITS = 12,
    PATIENCE = 300, /* changes of threads that one who is ready may have to watch */
    SPINS = 4,      /* one run in this many spins */
    STALLS = 64,    /* one preemption in this many takes long */
    FAULTS = 16,
    CUTS = 3,
    PCT_CHANGES = 4, /* points per seed at which a priority falls, at most */
};

static struct {
    const struct sm_sim_plan *plan;
    struct sm_sim_record *record;
    uint64_t dice;
    uint64_t gap_max; /* 0: short ones and long ones are equally likely */
    unsigned handovers;
    bool has_spins;
    uint64_t changes[PCT_CHANGES]; /* points, in their order */
    unsigned change_count;
    uint64_t lowest_priority;
} stream;

/* splitmix64 */
static uint64_t roll(void)
{
    uint64_t x = stream.dice += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static unsigned roll_one_in(unsigned n)
{
    return roll() % n == 0;
}

static int compare_entries(const void *left, const void *right)
{
    const struct sm_sim_entry *a = left;
    const struct sm_sim_entry *b = right;
    if (a->kind != b->kind) return a->kind < b->kind ? -1 : 1;
    if (a->thread != b->thread) return a->thread < b->thread ? -1 : 1;
    return (a->count > b->count) - (a->count < b->count);
}

/* The first of the plan's entries that does not lie before this one; NULL: none. */
static const struct sm_sim_entry *find_entry(const struct sm_sim_entry *wanted)
{
    const struct sm_sim_plan *plan = stream.plan;
    size_t low = 0;
    size_t high = plan->entry_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_entries(&plan->entries[middle], wanted) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < plan->entry_count ? &plan->entries[low] : NULL;
}

/* Anywhere in a run that is about as long as the one without preemptions was. */
static void draw_changes(void)
{
    stream.change_count = 1 + (unsigned)(roll() % PCT_CHANGES);
    for (unsigned i = 0; i < stream.change_count; i++) {
        uint64_t point = 1 + roll() % (stream.plan->length + 1);
        unsigned k = i;
        for (; k > 0 && stream.changes[k - 1] > point; k--) {
            stream.changes[k] = stream.changes[k - 1];
        }
        stream.changes[k] = point;
    }
}

void sm_sim_choices_begin(const struct sm_sim_plan *plan, struct sm_sim_record *record)
{
    stream.plan = plan;
    stream.record = record;
    stream.dice = plan->seed * 2 + (plan->strategy == SEAM_SIM_PCT);
    /* Some seeds change threads all the time, others leave them alone for long. */
    static const uint64_t gaps[GAPS_OF_RANDOM] = {3, 12, 40, 150, 600, 3000, 0, 0, 0, 0};
    stream.gap_max = gaps[roll() % GAPS_OF_RANDOM];
    stream.handovers = 2U << roll() % 4;
    draw_changes();
    stream.lowest_priority = UINT32_MAX;
    record->hash = UINT64_C(0xcbf29ce484222325);
    if (plan->entry_count > 0) {
        qsort(plan->entries, plan->entry_count, sizeof plan->entries[0], compare_entries);
    }
    stream.has_spins = sm_sim_choose(2, SM_SIM_SPINS) != 0;
}

uint64_t seam_sim_seed(void)
{
    return stream.plan != NULL ? stream.plan->seed : 0;
}

struct sm_sim_record *sm_sim_record(void)
{
    return stream.record;
}

bool sm_sim_is_told(void)
{
    return stream.plan->is_told;
}

int sm_sim_patience_ms(void)
{
    return stream.plan->patience_ms;
}

void sm_sim_log(enum sm_sim_event event, uint64_t value)
{
    struct sm_sim_record *record = stream.record;
    const struct sm_sim_thread *self = sm_sim.current;
    struct sm_sim_logged logged = {.points = record->points,
            .value = value,
            .ns = sm_sim.now_ns,
            .thread = self->index,
            .event = event};
    const uint64_t words[] = {
            logged.points, value, (uint64_t)event << 32 | self->index, (uint64_t)logged.ns};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        record->hash = (record->hash ^ words[i]) * UINT64_C(0x100000001b3);
        record->hash ^= record->hash >> 29;
    }
    if (record->event_count < SM_SIM_EVENTS_MAX) record->events[record->event_count] = logged;
    record->event_count++;
}

/* ---- who is to go on, by priorities ---- */

static unsigned highest_ready(void)
{
    /* The low ones wait, but not for ever: others may be busy for as long as they do. */
    bool is_starved = stream.record->switches - sm_sim.ready[0]->ready_since > PATIENCE;
    if (is_starved) return 0;
    unsigned best = 0;
    for (unsigned i = 1; i < sm_sim.ready_count; i++) {
        if (sm_sim.ready[i]->priority > sm_sim.ready[best]->priority) best = i;
    }
    return best;
}

/* The one that could go on and does not, falls behind all others. */
static void lower_priority(struct sm_sim_thread *thread)
{
    thread->priority = stream.lowest_priority--;
}

static unsigned draw_by_priority(unsigned n, enum sm_sim_why why)
{
    switch (why) {
    case SM_SIM_PREEMPT:
    case SM_SIM_YIELD: lower_priority(sm_sim.current); return highest_ready() % n;
    case SM_SIM_NEXT: return highest_ready() % n;
    case SM_SIM_HANDOVER:
        return sm_sim.ready_count > 0
                && sm_sim.ready[highest_ready()]->priority > sm_sim.current->priority;
    case SM_SIM_WAKE: return (unsigned)(roll() % n);
    case SM_SIM_STALL: return roll_one_in(STALLS) ? (unsigned)(roll() % n) : 0;
    case SM_SIM_FAULT: return roll_one_in(FAULTS) ? (unsigned)(roll() % n) : 0;
    case SM_SIM_CUT: return roll_one_in(CUTS) ? (unsigned)(roll() % n) : 0;
    case SM_SIM_LATENCY: return (unsigned)(roll() % n);
    case SM_SIM_SPINS: return roll_one_in(SPINS);
    }
    return 0;
}

static unsigned draw_by_dice(unsigned n, enum sm_sim_why why)
{
    switch (why) {
    case SM_SIM_HANDOVER: return roll_one_in(stream.handovers);
    case SM_SIM_STALL: return roll_one_in(STALLS) ? (unsigned)(roll() % n) : 0;
    case SM_SIM_FAULT: return roll_one_in(FAULTS) ? (unsigned)(roll() % n) : 0;
    case SM_SIM_CUT: return roll_one_in(CUTS) ? (unsigned)(roll() % n) : 0;
    case SM_SIM_SPINS: return roll_one_in(SPINS);
    case SM_SIM_PREEMPT:
    case SM_SIM_NEXT:
    case SM_SIM_YIELD:
    case SM_SIM_LATENCY:
    case SM_SIM_WAKE: return (unsigned)(roll() % n);
    }
    return 0;
}

/* ---- choosing ---- */

static bool is_of_threads(enum sm_sim_why why)
{
    return why == SM_SIM_PREEMPT || why == SM_SIM_NEXT || why == SM_SIM_YIELD;
}

static unsigned find_ready(unsigned thread)
{
    for (unsigned i = 0; i < sm_sim.ready_count; i++) {
        if (sm_sim.ready[i]->index == thread) return i;
    }
    return 0;
}

static unsigned replayed(const struct sm_sim_entry *key, unsigned n, enum sm_sim_why why)
{
    const struct sm_sim_entry *entry = find_entry(key);
    if (entry == NULL || compare_entries(entry, key) != 0) return 0;
    if (is_of_threads(why)) return find_ready(entry->value - 1U);
    return entry->value % n;
}

static void record_choice(struct sm_sim_entry entry, unsigned value, enum sm_sim_why why)
{
    struct sm_sim_record *record = stream.record;
    entry.value = (uint16_t)(is_of_threads(why) ? sm_sim.ready[value]->index + 1 : value);
    if (record->entry_count < SM_SIM_ENTRIES_MAX) record->entries[record->entry_count] = entry;
    record->entry_count++;
}

static struct sm_sim_entry next_key(enum sm_sim_why why)
{
    struct sm_sim_thread *holder = sm_sim.current;
    struct sm_sim_entry key = {.thread = holder->index};
    if (why == SM_SIM_PREEMPT) {
        key.kind = SM_SIM_OF_PREEMPTION;
        key.count = holder->points;
    } else if (why == SM_SIM_FAULT || why == SM_SIM_CUT || why == SM_SIM_LATENCY) {
        key.kind = SM_SIM_OF_WORLD;
        key.count = ++holder->of_world;
    } else {
        key.kind = SM_SIM_OF_THREADS;
        key.count = ++holder->choices;
    }
    return key;
}

unsigned sm_sim_choose(unsigned n, enum sm_sim_why why)
{
    bool is_preemption = why == SM_SIM_PREEMPT;
    if (n <= 1 && !is_preemption) return 0;
    const struct sm_sim_entry key = next_key(why);
    unsigned value = 0;
    if (stream.plan->is_replay) {
        value = replayed(&key, n, why);
    } else {
        value = stream.plan->strategy == SEAM_SIM_PCT ? draw_by_priority(n, why)
                                                      : draw_by_dice(n, why);
    }
    if (is_preemption || value != 0) record_choice(key, value, why);
    sm_sim_log(SM_SIM_EVENT_CHOICE, (uint64_t)why << 32 | value);
    return value;
}

static uint64_t draw_next_preemption(uint64_t points)
{
    if (stream.plan->strategy != SEAM_SIM_PCT) {
        uint64_t max = stream.gap_max != 0 ? stream.gap_max : UINT64_C(2) << roll() % LONG_GAP_BITS;
        return points + 1 + roll() % max;
    }
    unsigned i = 0;
    while (i < stream.change_count && stream.changes[i] <= points) {
        i++;
    }
    return i < stream.change_count ? stream.changes[i] : UINT64_MAX;
}

/* Above all that have fallen. */
uint64_t sm_sim_new_priority(void)
{
    return stream.plan->is_replay ? 0 : (uint64_t)UINT32_MAX + roll() % UINT32_MAX;
}

bool sm_sim_is_replay(void)
{
    return stream.plan->is_replay;
}

uint64_t sm_sim_next_preemption(void)
{
    uint64_t points = stream.record->points;
    if (!stream.plan->is_replay) return draw_next_preemption(points);
    const struct sm_sim_thread *holder = sm_sim.current;
    const struct sm_sim_entry *entry = find_entry(&(struct sm_sim_entry){
            .count = holder->points + 1, .thread = holder->index, .kind = SM_SIM_OF_PREEMPTION});
    bool is_ours =
            entry != NULL && entry->kind == SM_SIM_OF_PREEMPTION && entry->thread == holder->index;
    return is_ours ? points + (entry->count - holder->points) : UINT64_MAX;
}

bool sm_sim_spins_are_pointless(void)
{
    return sm_sim_is_active && !stream.has_spins;
}

bool sm_sim_has_fault(enum seam_sim_faults fault)
{
    return (stream.plan->faults & fault) != 0 && sm_sim_choose(2, SM_SIM_FAULT) != 0;
}
