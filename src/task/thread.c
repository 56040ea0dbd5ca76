/* SPDX-License-Identifier: MIT */
#include "task/thread.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/panic.h"
#include "os/lock.h"

/* initial-exec: one load instead of a call, also in the shared library; it costs 8 bytes of the
 * static TLS block. */
static _Thread_local struct sm_thread *self __attribute__((tls_model("initial-exec")));

/* Records are reused and never given back: see party.h. */
static struct sm_lock pool_lock;
static struct sm_thread *pool;
static pthread_key_t exit_key;

static void retire(void *arg)
{
    struct sm_thread *thread = arg;
    if (thread->event_fd >= 0) (void)close(thread->event_fd);
    thread->event_fd = -1;
    self = NULL;
    sm_lock(&pool_lock);
    thread->next_free = pool;
    pool = thread;
    sm_unlock(&pool_lock);
}

static void make_exit_key(void)
{
    sm_os_mark_parent();
    (void)pthread_key_create(&exit_key, retire);
}

static SM_COLD struct sm_thread *enrol(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, make_exit_key);

    sm_lock(&pool_lock);
    struct sm_thread *thread = pool;
    if (thread != NULL) pool = thread->next_free;
    sm_unlock(&pool_lock);

    if (thread == NULL) thread = aligned_alloc(64, (sizeof *thread + 63) / 64 * 64);
    /* Every call of the API needs this record, and most have no way to say -ENOMEM. */
    if (thread == NULL) sm_panic("memory for one more thread", __FILE__, __LINE__);

    *thread = (struct sm_thread){.event_fd = -1, .tid = sm_os_thread_id(), .spins_max = 64};
    thread->party.depth = 1;
    (void)sm_os_thread_cpu_clock(pthread_self(), &thread->cpu_clock);
    sm_context_adopt(&thread->own);
    thread->native = &thread->own;
    (void)pthread_setspecific(exit_key, thread);
    self = thread;
    return thread;
}

SM_NOINLINE struct sm_thread *sm_thread_self(void)
{
    struct sm_thread *thread = self;
    if (sm_unlikely(thread == NULL)) thread = enrol();
    sm_compiler_barrier(); /* keeps this function from being treated as pure */
    return thread;
}

SM_NOINLINE struct sm_thread *sm_thread_self_if_known(void)
{
    sm_compiler_barrier();
    return self;
}

int sm_thread_event_fd(struct sm_thread *thread)
{
    if (thread->event_fd >= 0) return thread->event_fd;

    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) return sm_neg_errno();
    thread->event_fd = fd;
    return fd;
}

void sm_thread_poke(struct sm_thread *thread)
{
    uint64_t one = 1;
    (void)!write(thread->event_fd, &one, sizeof one);
}

SM_COLD struct sm_thread *sm_enter_slow(struct sm_thread *thread)
{
    struct sm_thread *holder = NULL;
    /* acquire: pairs with the release in sm_role_take(). A contest lasts as long as one membarrier. */
    while ((holder = sm_load_acquire(&thread->role->holder)) == SM_ROLE_CONTESTED) {
        (void)sched_yield();
    }
    return holder == thread ? thread : sm_runner_rejoin(thread);
}
