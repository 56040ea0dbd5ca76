/* SPDX-License-Identifier: MIT */
#include "contexts/things.h"

#include <stdio.h>
#include <unistd.h>

#include "check/check.h"

const struct seam_options flavour = {
        .current_thread = CONTEXTS_ON_CURRENT_THREAD,
        .workers = CONTEXTS_ON_CURRENT_THREAD ? 1 : 2,
};

static int set_event(void *arg)
{
    seam_event_set(arg);
    return 0;
}

static int wait_for_event(void *arg)
{
    return seam_event_wait(arg, SEAM_FOREVER);
}

static void init_sockets(struct things *things)
{
    char name[64];
    (void)snprintf(name, sizeof name, "unix:@seam-contexts-%d", (int)getpid());
    CHECK_OK(seam_address(name, 0, &things->address, &things->len));
    const struct sockaddr *address = (const struct sockaddr *)&things->address;
    things->listen_fd = (int)CHECK_OK(seam_listen(address, things->len, 8));
    things->client_fd = (int)CHECK_OK(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    CHECK_OK(connect(things->client_fd, address, things->len));
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, things->pair));
    CHECK_EQ(write(things->pair[0], "", 1), 1);
    CHECK_EQ(write(things->pair[1], "", 1), 1);
    CHECK_OK(seam_adopt(things->pair[0]));
}

void things_init(struct things *things, seam_runtime *runtime)
{
    *things = (struct things){.runtime = runtime, .semaphore = SEAM_SEMAPHORE_INIT(1)};
    CHECK_OK(seam_runtime_new(&flavour, &things->spare));
    CHECK_OK(seam_runtime_stop(things->spare, NULL, SEAM_FOREVER));
    CHECK_OK(seam_chan_new(sizeof(int), 2, &things->chan));
    CHECK_OK(seam_chan_send(things->chan, &things->got, SEAM_NOW));
    init_sockets(things);
    const struct seam_bridge_options view = {.name = "view", .runtime = runtime};
    CHECK_OK(seam_bridge_new(&view, &things->bridge));
    CHECK_OK(seam_bridge_new(&view, &things->closed));
    CHECK_OK(seam_bridge_close(things->closed, NULL, SEAM_FOREVER));
    CHECK_OK(
            seam_spawn(seam_runtime_root(runtime), set_event, &things->event, NULL, &things->task));
    CHECK_OK(seam_call(runtime, wait_for_event, &things->event, NULL, SEAM_FOREVER));
}

static void close_if_open(int fd)
{
    if (fd >= 0) CHECK_OK(seam_close(fd));
}

static void close_bridge(seam_bridge *bridge)
{
    CHECK_OK(seam_bridge_close(bridge, NULL, SEAM_FOREVER));
    seam_bridge_free(bridge);
}

void things_fini(struct things *things)
{
    seam_runtime_free(things->spare);
    if (things->made != NULL) {
        CHECK_OK(seam_runtime_stop(things->made, NULL, SEAM_FOREVER));
        seam_runtime_free(things->made);
    }
    close_bridge(things->bridge);
    close_bridge(things->closed);
    seam_chan_free(things->chan);
    close_if_open(things->pair[0]);
    close_if_open(things->pair[1]);
    close_if_open(things->listen_fd);
    close_if_open(things->client_fd);
}
