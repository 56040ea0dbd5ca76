/* SPDX-License-Identifier: MIT */
#include "task/thread.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/panic.h"
#include "os/lock.h"
#include "os/overflow.h"
#include "os/stack.h"

/* initial-exec: one load instead of a call, also in the shared library; it costs 8 bytes of the
 * static TLS block. Named by the assembly in thread.h. */
extern _Thread_local struct sm_thread *sm_thread_current;
_Thread_local struct sm_thread *sm_thread_current __attribute__((tls_model("initial-exec")));

/* Records are reused and never given back: see party.h. */
static struct sm_lock pool_lock;
static struct sm_thread *pool;
static uint32_t pool_count;    /* records in the pool; under the lock */
static uint32_t promise_count; /* of these, for threads of ours that are being started; likewise */
static pthread_key_t exit_key;

/* Under the lock. */
static void push_record(struct sm_thread *thread)
{
    thread->next_free = pool;
    pool = thread;
    pool_count++;
}

static void retire(void *arg)
{
    struct sm_thread *thread = arg;
    /* The locks below may have been held when the parent forked. */
    if (sm_os_is_forked_child()) return;
    /* Our own threads come here without a task: see sched/lost.h. Others have called the runtime, and
     * what they called borrows from frames that go now. */
    if (thread->task != NULL || thread->role != NULL) {
        sm_panic("a thread was ended by a task that it drove", __FILE__, __LINE__);
    }
    if (thread->pool_of != NULL && thread->party.scope != NULL) {
        sm_panic("a thread of a pool was ended by its job", __FILE__, __LINE__);
    }
    if (thread->event_fd >= 0) (void)close(thread->event_fd);
    thread->event_fd = -1;
    if (thread->has_alt_stack) sm_overflow_thread_end();
    thread->has_alt_stack = false;
    thread->pool_of = NULL;
    for (int class = 0; class < SM_STACK_CLASS_COUNT; class ++) {
        sm_stack_unreserve((enum sm_stack_class) class, thread->stack_credits[class]);
        thread->stack_credits[class] = 0;
    }
    thread->slot = NULL;
    thread->serves = NULL;
    sm_thread_end_life(thread);
    thread->party.scope = NULL; /* a thread that ends inside a scope leaves it open for ever */
    sm_store_relaxed(&thread->inside, 0); /* relaxed: it holds no role */
    sm_thread_current = NULL;
    sm_lock(&pool_lock);
    push_record(thread);
    sm_unlock(&pool_lock);
}

static void make_exit_key(void)
{
    sm_os_mark_parent();
    if (pthread_key_create(&exit_key, retire) != 0) {
        sm_panic("a key for what is left of threads", __FILE__, __LINE__);
    }
}

/* A thread leaves its record as it found it; only this one writes all of it, since from then on the
 * monitor may look at it at any time. */
static struct sm_thread *new_record(void)
{
    struct sm_thread *thread = aligned_alloc(64, (sizeof *thread + 63) / 64 * 64);
    if (thread == NULL) return NULL;
    *thread = (struct sm_thread){.event_fd = -1, .spin.budget = 64, .party = {.depth = 1}};
    return thread;
}

/* NULL: there is none that is not promised to others. */
static struct sm_thread *take_record(bool is_promised)
{
    sm_lock(&pool_lock);
    struct sm_thread *thread = is_promised || pool_count > promise_count ? pool : NULL;
    if (is_promised) promise_count--;
    if (thread != NULL) {
        pool = thread->next_free;
        pool_count--;
    }
    sm_unlock(&pool_lock);
    return thread;
}

static struct sm_thread *enrol(bool is_promised)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, make_exit_key);

    struct sm_thread *thread = take_record(is_promised);
    if (thread == NULL) thread = new_record();
    /* Every call of the API needs this record, and most have no way to say -ENOMEM. */
    if (thread == NULL) sm_panic("memory for one more thread", __FILE__, __LINE__);

    clockid_t cpu_clock = 0;
    (void)sm_os_thread_cpu_clock(pthread_self(), &cpu_clock);
    sm_store_relaxed(&thread->cpu_clock, cpu_clock); /* relaxed: published with a role */
    sm_store_relaxed(&thread->tid, sm_os_thread_id());
    sm_context_adopt(&thread->own);
    thread->native = &thread->own;
    /* Threads of ours say themselves that they end. */
    if (pthread_setspecific(exit_key, thread) != 0 && !is_promised) {
        sm_panic("memory to hear of a thread's end", __FILE__, __LINE__);
    }
    sm_thread_current = thread;
    return thread;
}

SM_COLD struct sm_thread *sm_thread_enrol(void)
{
    return enrol(false);
}

/* A record in the pool that nobody else takes. */
static int promise_record(void)
{
    sm_lock(&pool_lock);
    bool is_there = pool_count > promise_count;
    if (is_there) promise_count++;
    sm_unlock(&pool_lock);
    if (is_there) return 0;

    struct sm_thread *thread = new_record();
    if (thread == NULL) return -ENOMEM;
    sm_lock(&pool_lock);
    push_record(thread);
    promise_count++;
    sm_unlock(&pool_lock);
    return 0;
}

static void break_promise(void)
{
    sm_lock(&pool_lock);
    promise_count--;
    sm_unlock(&pool_lock);
}

int sm_thread_start(pthread_t *out_thread, void *(*run)(void *), void *arg)
{
    int r = promise_record();
    if (r < 0) return r;
    r = sm_os.thread_start(out_thread, run, arg);
    if (r < 0) break_promise();
    return r;
}

struct sm_thread *sm_thread_begin(void)
{
    return enrol(true);
}

void sm_thread_end(void)
{
    (void)pthread_setspecific(exit_key, NULL);
    retire(sm_thread_self());
}

#if !defined(__x86_64__)
SM_NOINLINE struct sm_thread *sm_thread_self(void)
{
    struct sm_thread *thread = sm_thread_current;
    if (sm_unlikely(thread == NULL)) thread = sm_thread_enrol();
    sm_compiler_barrier(); /* keeps this function from being treated as pure */
    return thread;
}
#endif

SM_NOINLINE struct sm_thread *sm_thread_self_if_known(void)
{
    sm_compiler_barrier();
    return sm_thread_current;
}

void sm_thread_prepare_to_run(struct sm_thread *thread)
{
    /* Without memory for it an overflow still ends the program, but nameless. */
    if (!thread->has_alt_stack) thread->has_alt_stack = sm_overflow_thread_begin() == 0;
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
    struct sm_role *role = thread->role;
    struct sm_thread *holder = NULL;
    /* acquire: pairs with the release in sm_role_take(). A contest lasts as long as one membarrier. */
    while ((holder = sm_load_acquire(&role->holder)) == SM_ROLE_CONTESTED) {
        (void)sched_yield();
    }
    if (holder == thread) return thread;
    /* acquire: pairs with the release in leave_orphan() (sched/lost.c). */
    if (holder != SM_ROLE_ORPHAN || !sm_cas_acquire(&role->holder, &holder, thread)) {
        thread->role = NULL;
    }
    return sm_runner_rejoin(thread);
}
