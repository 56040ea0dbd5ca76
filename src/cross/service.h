/* SPDX-License-Identifier: MIT */
/*
 * cross/service.h - one function run by one side for the other: the common part of the doors.
 *
 * The server runs fn in a scope of its own, so that the client can cancel what fn waits for. Both
 * meet under the lock: the client finds the end, or the server finds the client waiting.
 *
 * A service lives in the client's frame if the client waits to the end, which makes unlocking it
 * the server's last touch; or on the heap (struct sm_owned), where whoever is second frees it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "seam/attr.h"
#include "seam/cross.h"
#include "seam/scope.h"

#include "cross/pool.h"
#include "os/lock.h"
#include "task/party.h"

struct sm_service {
    struct sm_lock lock; /* everything below but fn, arg and call */
    seam_fn *fn;
    void *arg;
    struct sm_call *call; /* the bridge's call that the client runs in and stays in; or NULL */
    int result;           /* of fn, or why it was not run */
    bool has_begun;
    bool has_ended;
    bool is_cancelled;
    struct sm_waiter *client;
    struct seam_scope scope; /* open while has_begun and not has_ended; the server's */
};

/* Run the function; or not, if it was cancelled first: has_begun tells. The server's side; suspends
 * if fn does. */
void sm_service_run(struct sm_service *service, seam_runtime *runtime);

/* Instead: do not run it, and have the client told r. */
void sm_service_refuse(struct sm_service *service, int r);

/* Wait for the end: 0, -ETIMEDOUT, -ECANCELED. The client's side; inside; suspends. */
int sm_service_wait(struct sm_service *service, int64_t deadline_ns, bool ignores_cancel,
        seam_runtime *to_drive);

/* Have fn's waits fail, or fn not begin at all. The client's side; inside; never suspends. */
void sm_service_cancel(struct sm_service *service);

/* A service that may outlive its client. */
struct sm_owned {
    struct sm_service service;
    struct sm_job job; /* if the pool serves it */
    seam_destroy_fn *destroy;
    bool is_served;    /* fn has returned; under the service's lock, as the next */
    bool is_abandoned; /* the client has gone: the server destroys and frees */
};

/* -ENOMEM, after calling destroy. */
int sm_owned_new(seam_fn *fn, void *arg, seam_destroy_fn *destroy, struct sm_owned **out_owned);

/* It cannot be served: destroy, free, and return r. */
int sm_owned_refuse(struct sm_owned *owned, int r);

/* 0 if the client may wait for as long as deadline_ns says; else why not. Inside. */
int sm_owned_check(int64_t deadline_ns);

/* The two sides. */
void sm_owned_run(struct sm_owned *owned, seam_runtime *runtime);
void sm_owned_run_refused(struct sm_owned *owned, int r);
int sm_owned_wait(
        struct sm_owned *owned, int *out_result, int64_t deadline_ns, seam_runtime *to_drive);
