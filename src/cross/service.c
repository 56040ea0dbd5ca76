/* SPDX-License-Identifier: MIT */
#include "cross/service.h"

#include <errno.h>
#include <stdlib.h>

#include "seam/time.h"

#include "base/panic.h"
#include "sched/runtime.h"
#include "task/scope.h"
#include "task/task.h"
#include "task/wait.h"

static struct sm_thread *enter_as_server(void)
{
    struct sm_thread *thread = sm_enter();
    if (thread == NULL) sm_panic("a forked child must not return from a job", __FILE__, __LINE__);
    return thread;
}

static bool begin(struct sm_service *service, seam_runtime *runtime)
{
    struct sm_thread *thread = enter_as_server();
    sm_lock(&service->lock);
    service->has_begun = !service->is_cancelled;
    if (service->has_begun) {
        struct sm_scope *scope = sm_scope_of(&service->scope);
        struct sm_scope *root = sm_runtime_root(runtime);
        (void)sm_scope_open(scope, sm_thread_party(thread), root, SM_SCOPE_UNCOUNTED, NULL);
        scope->call = service->call;
    }
    bool may_run = service->has_begun;
    sm_unlock(&service->lock);
    sm_leave();
    return may_run;
}

/* One step for everybody who looks: the scope is closed, the result is there, the client may go. */
static void end(struct sm_service *service, int result)
{
    struct sm_thread *thread = enter_as_server();
    struct sm_scope *scope = sm_scope_of(&service->scope);
    sm_lock(&service->lock);
    if (service->has_begun) {
        (void)sm_scope_close(scope, sm_thread_party(thread), sm_runtime_root(scope->runtime));
    }
    service->result = result;
    service->has_ended = true;
    struct sm_party *client = NULL;
    if (service->client != NULL && sm_party_claim(service->client->party)) {
        client = service->client->party;
    }
    sm_unlock(&service->lock);
    if (client != NULL) sm_party_complete(client, 0);
    sm_leave();
}

void sm_service_run(struct sm_service *service, seam_runtime *runtime)
{
    int result = begin(service, runtime) ? service->fn(service->arg) : -ECANCELED;
    end(service, result);
}

void sm_service_refuse(struct sm_service *service, int r)
{
    end(service, r);
}

int sm_service_wait(struct sm_service *service, int64_t deadline_ns, bool ignores_cancel,
        seam_runtime *to_drive)
{
    sm_lock(&service->lock);
    if (service->has_ended) {
        sm_unlock(&service->lock);
        return 0;
    }
    struct sm_waiter client = {.party = sm_thread_party(sm_thread_self())};
    service->client = &client;
    const struct sm_wait wait = {
            .reason = "call",
            .deadline_ns = deadline_ns,
            .ignores_cancel = ignores_cancel,
            .to_drive = to_drive,
            .unlock = sm_wait_unlock,
            .object = &service->lock,
    };
    int r = sm_wait(&wait);
    if (r < 0) {
        sm_lock(&service->lock);
        service->client = NULL;
        sm_unlock(&service->lock);
    }
    return r;
}

void sm_service_cancel(struct sm_service *service)
{
    sm_lock(&service->lock);
    service->is_cancelled = true;
    if (service->has_begun && !service->has_ended) sm_scope_cancel(sm_scope_of(&service->scope));
    sm_unlock(&service->lock);
}

int sm_owned_new(seam_fn *fn, void *arg, seam_destroy_fn *destroy, struct sm_owned **out_owned)
{
    struct sm_owned *owned = malloc(sizeof *owned);
    if (owned == NULL) {
        destroy(arg, -ECANCELED);
        return -ENOMEM;
    }
    *owned = (struct sm_owned){.service = {.fn = fn, .arg = arg}, .destroy = destroy};
    *out_owned = owned;
    return 0;
}

int sm_owned_refuse(struct sm_owned *owned, int r)
{
    owned->destroy(owned->service.arg, -ECANCELED);
    free(owned);
    return r;
}

int sm_owned_check(int64_t deadline_ns)
{
    if (sm_party_is_cancelled(sm_thread_party(sm_thread_self()))) return -ECANCELED;
    return sm_wait_refused(deadline_ns);
}

/* As end(), but the client may have gone before us: then all is ours to end. */
static void end_owned(struct sm_owned *owned, int result)
{
    struct sm_service *service = &owned->service;
    sm_lock(&service->lock);
    bool is_abandoned = owned->is_abandoned;
    owned->is_served = true;
    sm_unlock(&service->lock);
    if (is_abandoned) owned->destroy(service->arg, service->has_begun ? result : -ECANCELED);
    end(service, result);
    if (is_abandoned) free(owned);
}

/* fn's thread was ended under it; sched/lost.h. */
static void lose_owned(struct sm_scope *scope)
{
    struct seam_scope *public_scope = (struct seam_scope *)(void *)scope;
    end_owned(sm_container_of(public_scope, struct sm_owned, service.scope), -EPIPE);
}

void sm_owned_run(struct sm_owned *owned, seam_runtime *runtime)
{
    struct sm_service *service = &owned->service;
    int result = -ECANCELED;
    if (begin(service, runtime)) {
        sm_scope_of(&service->scope)->lost = lose_owned;
        result = service->fn(service->arg);
    }
    end_owned(owned, result);
}

void sm_owned_run_refused(struct sm_owned *owned, int r)
{
    end_owned(owned, r);
}

int sm_owned_wait(
        struct sm_owned *owned, int *out_result, int64_t deadline_ns, seam_runtime *to_drive)
{
    struct sm_service *service = &owned->service;
    int r = sm_service_wait(service, deadline_ns, false, to_drive);
    if (r < 0) {
        bool is_job = owned->job.job_class != NULL;
        if (is_job && sm_pool_withdraw(&owned->job)) return sm_owned_refuse(owned, r);
        sm_lock(&service->lock);
        /* Served just now: then it was in time after all, and its end is near. */
        owned->is_abandoned = !owned->is_served;
        bool is_abandoned = owned->is_abandoned;
        service->is_cancelled = true;
        if (is_abandoned && service->has_begun) sm_scope_cancel(sm_scope_of(&service->scope));
        if (is_abandoned && is_job) sm_pool_interrupt(&owned->job, true);
        sm_unlock(&service->lock);
        if (is_abandoned) return r;
        (void)sm_service_wait(service, SEAM_FOREVER, true, to_drive);
    }
    if (!service->has_begun) return sm_owned_refuse(owned, service->result);
    if (out_result != NULL) *out_result = service->result;
    free(owned);
    return 0;
}
