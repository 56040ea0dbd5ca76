/* SPDX-License-Identifier: MIT */
/*
 * chat_sim.c - a chat room with a mistake, and the seed that finds it (docs/testing.md).
 *
 *     speaker ---> room ---> mailbox of each member ---> the member's task
 *
 * say() goes through the list of members and waits where a mailbox is full. A member who leaves
 * meanwhile moves others up in the list: one of them is passed over. With the argument "fixed", the
 * list is locked for as long as somebody goes through it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "seam.h"
#include "seam/sim.h"

enum { MEMBERS = 3, MESSAGES = 2 };

struct room {
    struct seam_mutex mutex;
    bool is_fixed;
    int count;
    seam_chan *members[MEMBERS]; /* mailboxes */
};

struct member {
    struct room *room;
    seam_chan *mailbox;
    int listens; /* to this many messages, then leaves */
};

static SEAM_SUSPENDS void enter(struct room *room)
{
    if (room->is_fixed) (void)seam_mutex_lock(&room->mutex, SEAM_FOREVER);
}

static void leave(struct room *room)
{
    if (room->is_fixed) seam_mutex_unlock(&room->mutex);
}

static SEAM_SUSPENDS int say(void *arg)
{
    struct room *room = arg;
    for (int message = 0; message < MESSAGES; message++) {
        enter(room);
        for (int i = 0; i < room->count; i++) {
            (void)seam_chan_send(room->members[i], &message, SEAM_FOREVER);
        }
        leave(room);
    }
    return 0;
}

static SEAM_SUSPENDS int listen_and_go(void *arg)
{
    struct member *member = arg;
    struct room *room = member->room;
    int message = 0;
    for (int i = 0; i < member->listens; i++) {
        int r = seam_chan_recv(member->mailbox, &message, SEAM_FOREVER);
        if (r < 0) return r;
    }
    enter(room);
    int i = 0;
    while (room->members[i] != member->mailbox) {
        i++;
    }
    room->count--;
    for (; i < room->count; i++) {
        room->members[i] = room->members[i + 1];
    }
    leave(room);
    return 0;
}

/* The first member leaves after one message, the others want both. */
static SEAM_SUSPENDS int chat(void *arg)
{
    struct room room = {.is_fixed = arg != NULL, .count = MEMBERS};
    struct member members[MEMBERS];
    struct seam_scope scope;
    if (seam_scope_begin(&scope, NULL, SEAM_FOREVER) < 0) return -1;
    for (int i = 0; i < MEMBERS; i++) {
        if (seam_chan_new(sizeof(int), MESSAGES, &room.members[i]) < 0) abort();
        members[i] = (struct member){&room, room.members[i], i == 0 ? 1 : MESSAGES};
        if (seam_spawn(&scope, listen_and_go, &members[i], NULL, NULL) < 0) abort();
    }
    if (seam_spawn(&scope, say, &room, NULL, NULL) < 0) abort();
    return seam_scope_end(&scope); /* never, if somebody waits for what was not sent */
}

static SEAM_SUSPENDS int run_chat(void *arg)
{
    return seam_run(&(struct seam_options){.workers = 2}, chat, arg);
}

int main(int argc, char **argv)
{
    struct seam_sim_options options = {.seeds = 300};
    bool is_fixed = argc > 1 && strcmp(argv[1], "fixed") == 0;
    int64_t r = seam_sim_run("chat", run_chat, is_fixed ? argv : NULL, &options);
    printf("%s\n", r < 0 ? "somebody was passed over" : "everybody heard everything");
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
