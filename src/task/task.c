/* SPDX-License-Identifier: MIT */
#include "task/task.h"

#include "base/panic.h"
#include "os/os.h"
#include "task/scope.h"

enum { BLOCK_BYTES = 256 * 1024, CACHE_MAX = 2048 };

static struct sm_lock pool_lock;
static struct sm_task *pool; /* free headers; under pool_lock */
static char *fresh;          /* the rest of the newest block; under pool_lock */
static char *fresh_end;

static struct sm_task *carve(void)
{
    size_t bytes = (sizeof(struct sm_task) + 63) / 64 * 64;
    if (fresh == NULL || (size_t)(fresh_end - fresh) < bytes) {
        char *block = sm_os.map(BLOCK_BYTES);
        if (block == NULL) return NULL;
        fresh = block;
        fresh_end = block + BLOCK_BYTES;
    }
    struct sm_task *task = (struct sm_task *)(void *)fresh;
    fresh += bytes;
    return task;
}

struct sm_task *sm_task_alloc(struct sm_thread *thread)
{
    struct sm_role *role = thread->role;
    if (role != NULL && role->headers != NULL) {
        struct sm_task *task = role->headers;
        role->headers = task->next;
        role->header_count--;
        return task;
    }
    sm_lock(&pool_lock);
    struct sm_task *task = pool;
    if (task != NULL) {
        pool = task->next;
    } else {
        task = carve();
    }
    sm_unlock(&pool_lock);
    return task;
}

static void give_to_pool(struct sm_task *task)
{
    sm_lock(&pool_lock);
    task->next = pool;
    pool = task;
    sm_unlock(&pool_lock);
}

void sm_task_dispose(struct sm_task *task, struct sm_thread *thread)
{
    struct sm_role *role = thread->role;
    if (role == NULL || role->header_count == CACHE_MAX) {
        give_to_pool(task);
        return;
    }
    task->next = role->headers;
    role->headers = task;
    role->header_count++;
}

void sm_task_empty_cache(struct sm_role *role)
{
    while (role->headers != NULL) {
        struct sm_task *task = role->headers;
        role->headers = task->next;
        give_to_pool(task);
    }
    role->header_count = 0;
}

void sm_task_finish(struct sm_task *task)
{
    struct sm_scope *home = task->home;
    enum sm_task_keeper keeper = (enum sm_task_keeper)task->keeper;
    struct sm_party *joiner = NULL;
    struct sm_party *ender = NULL;

    task->stage = SM_TASK_FINISHED;
    sm_lock(&home->lock);
    task->has_finished = true;
    /* A joiner counts in the scope, so that it can come back to it if it has given up just now: then
     * it takes itself off. Else it is ours to count. */
    if (task->joiner != NULL && sm_party_claim(task->joiner->party)) {
        joiner = task->joiner->party;
        task->joiner = NULL;
        home->live--;
    }
    /* With a handle that nobody is waiting to take, it stays where the end of the scope finds it. */
    if (keeper != SM_KEEPER_HANDLE || joiner != NULL) sm_list_remove(&task->in_home);
    ender = sm_scope_count_down(home);
    sm_unlock(&home->lock);

    /* If it has a handle, a joiner may have freed it by now. */
    if (keeper == SM_KEEPER_NOBODY) sm_task_dispose(task, sm_thread_self());
    if (joiner != NULL) sm_party_complete(joiner, 0);
    if (ender != NULL) sm_party_complete(ender, 0);
}
