/* SPDX-License-Identifier: MIT */
#include "task/task.h"

#include "base/panic.h"
#include "os/os.h"
#include "task/scope.h"

enum { BLOCK_BYTES = 256 * 1024 };

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

struct sm_task *sm_task_alloc(void)
{
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

void sm_task_dispose(struct sm_task *task)
{
    sm_lock(&pool_lock);
    task->next = pool;
    pool = task;
    sm_unlock(&pool_lock);
}

void sm_task_finish(struct sm_task *task)
{
    struct sm_scope *home = task->home;
    struct sm_party *joiner = NULL;
    struct sm_party *owner = NULL;

    bool has_handle = task->has_handle;
    task->stage = SM_TASK_FINISHED;
    if (has_handle) {
        sm_lock(&task->lock);
        task->has_finished = true;
        if (task->joiner != NULL && sm_party_claim(task->joiner->party)) {
            joiner = task->joiner->party;
        }
        task->joiner = NULL;
        sm_unlock(&task->lock);
        /* From here on a joiner may have freed the header. */
    }
    owner = sm_scope_task_ended(home, has_handle ? NULL : task);
    if (!has_handle) sm_task_dispose(task);
    if (joiner != NULL) sm_party_complete(joiner, 0);
    if (owner != NULL) sm_party_complete(owner, 0);
}
