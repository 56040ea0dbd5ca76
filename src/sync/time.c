/* SPDX-License-Identifier: MIT */
#include "seam/time.h"

#include <errno.h>
#include <stddef.h>

#include "os/os.h"
#include "task/scope.h"
#include "task/task.h"
#include "task/wait.h"

int64_t seam_now_ns(void)
{
    return sm_now_ns();
}

int64_t seam_after(int64_t ns)
{
    int64_t now_ns = sm_now_ns();
    if (ns <= 0) return now_ns;
    return ns < SEAM_FOREVER - now_ns ? now_ns + ns : SEAM_FOREVER;
}

static void nothing_to_unlock(void *object)
{
    (void)object;
}

int seam_sleep(int64_t deadline_ns)
{
    struct sm_thread *thread = sm_enter();
    if (thread == NULL) return -EOWNERDEAD;

    int r = sm_party_is_cancelled(sm_thread_party(thread)) ? -ECANCELED : 0;
    if (r == 0 && sm_wait_refused(deadline_ns) == 0) {
        const struct sm_wait wait = {
                .reason = "sleep",
                .deadline_ns = deadline_ns,
                .unlock = nothing_to_unlock,
        };
        r = sm_wait(&wait);
        if (r == -ETIMEDOUT) r = 0;
    }
    sm_leave();
    return r;
}
