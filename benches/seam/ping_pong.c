/* SPDX-License-Identifier: MIT */
/*
 * seam/ping_pong.c - what does it cost to send a value to another task and get one back?
 *
 * Two tasks, two channels of capacity 1, 1 M round trips of a u64; placement by the scheduler.
 */
#include "run.h"

static struct {
    seam_chan *ping;
    seam_chan *pong;
    long trips;
} table;

static int answer_many(void *arg)
{
    (void)arg;
    for (long i = 0; i < table.trips; i++) {
        uint64_t value;

        bench_need(seam_chan_recv(table.ping, &value, SEAM_FOREVER) == 0, "seam_chan_recv");
        value++;
        bench_need(seam_chan_send(table.pong, &value, SEAM_FOREVER) == 0, "seam_chan_send");
    }
    return 0;
}

static int ask_many(void *arg)
{
    uint64_t value = 0;

    (void)arg;
    for (long i = 0; i < table.trips; i++) {
        bench_need(seam_chan_send(table.ping, &value, SEAM_FOREVER) == 0, "seam_chan_send");
        bench_need(seam_chan_recv(table.pong, &value, SEAM_FOREVER) == 0, "seam_chan_recv");
    }
    return value == (uint64_t)table.trips ? 0 : -1;
}

static int play(void *arg)
{
    const struct bench_run *run = arg;
    struct seam_scope scope;
    seam_task *asker;
    int64_t start_ns;

    table.trips = bench_count(run, 1000000, 1);
    bench_need(seam_chan_new(sizeof(uint64_t), 1, &table.ping) == 0, "seam_chan_new");
    bench_need(seam_chan_new(sizeof(uint64_t), 1, &table.pong) == 0, "seam_chan_new");
    bench_need(seam_scope_begin(&scope, NULL, SEAM_FOREVER) == 0, "seam_scope_begin");
    start_ns = bench_now_ns();
    bench_need(seam_spawn(&scope, answer_many, NULL, NULL, NULL) == 0, "seam_spawn");
    bench_need(seam_spawn(&scope, ask_many, NULL, NULL, &asker) == 0, "seam_spawn");
    join_task(asker);
    bench_report_ns(run, start_ns, table.trips);
    bench_need(seam_scope_end(&scope) == 0, "seam_scope_end");
    seam_chan_free(table.ping);
    seam_chan_free(table.pong);
    return 0;
}

static void measure_ping_pong(const struct bench_run *run)
{
    run_in_seam(run, play);
}

int main(int argc, char **argv)
{
    static const struct bench_case cases[] = {{"ping_pong", measure_ping_pong}, {NULL, NULL}};

    return bench_main(argc, argv, "seam", cases);
}
