/* SPDX-License-Identifier: MIT */
#include "io/poller.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/panic.h"
#include "io/fd.h"
#include "os/os.h"

enum {
    EVENTS_MAX = 128,
    NS_PER_MS = 1000000,
    NS_PER_SECOND = 1000000000,
};

/* Not a descriptor's number with its generation. */
#define OWN_EVENT UINT64_MAX

static uint64_t cookie_of(int fd, uint32_t generation)
{
    return (uint64_t)generation << 32 | (uint32_t)fd;
}

/* Have epoll_fd report one of our own descriptors. Edge-triggered: it is readable once per write to
 * an eventfd, or per deadline of a timer, so nobody need drain the counters. */
static int watch_own(int epoll_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = OWN_EVENT};
    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? sm_neg_errno() : 0;
}

static int open_timer(int epoll_fd)
{
    sm_auto_close int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fd < 0) return sm_neg_errno();

    int r = watch_own(epoll_fd, fd);
    return r < 0 ? r : sm_take_fd(fd);
}

int sm_poller_init(struct sm_poller *poller)
{
    *poller = (struct sm_poller){.timer_fd = -1};
    sm_auto_close int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0) return sm_neg_errno();

    sm_auto_close int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_fd < 0) return sm_neg_errno();

    int r = watch_own(epoll_fd, wake_fd);
    if (r < 0) return r;

    poller->epoll_fd = sm_take_fd(epoll_fd);
    poller->wake_fd = sm_take_fd(wake_fd);
    return 0;
}

int sm_poller_embed(struct sm_poller *poller)
{
    if (sm_poller_is_embedded(poller)) return 0;
    int r = open_timer(poller->epoll_fd);
    if (r < 0) return r;
    /* seq_cst: pairs with the load in sm_poller_is_embedded(). */
    sm_store_seq_cst(&poller->timer_fd, r);
    /* Whoever rested before this has not armed the timer, and who had something for us may have found
     * nobody to tell: have the loop look for itself. */
    sm_poller_wake(poller);
    return 0;
}

void sm_poller_fini(struct sm_poller *poller)
{
    int timer_fd = sm_load_relaxed(&poller->timer_fd); /* relaxed: nobody embeds it any more */
    if (timer_fd >= 0) (void)close(timer_fd);
    (void)close(poller->wake_fd);
    (void)close(poller->epoll_fd);
}

void sm_poller_wake(struct sm_poller *poller)
{
    uint64_t one = 1;
    (void)!write(poller->wake_fd, &one, sizeof one);
}

bool sm_poller_has_events(const struct sm_poller *poller)
{
    struct pollfd wanted = {.fd = poller->epoll_fd, .events = POLLIN};
    return poll(&wanted, 1, 0) > 0;
}

/* epoll_pwait2() takes nanoseconds but is younger than some kernels and sandboxes; the old call
 * takes milliseconds, which we round up so as never to be early. */
static int wait_for_events(
        struct sm_poller *poller, struct epoll_event *events, int64_t deadline_ns)
{
    if (deadline_ns <= 0) return epoll_wait(poller->epoll_fd, events, EVENTS_MAX, 0);
    if (deadline_ns == INT64_MAX) return epoll_wait(poller->epoll_fd, events, EVENTS_MAX, -1);

    int64_t left_ns = deadline_ns - sm_now_ns();
    if (left_ns < 0) left_ns = 0;
    if (!poller->has_no_pwait2) {
        struct timespec left = {
                .tv_sec = left_ns / NS_PER_SECOND, .tv_nsec = left_ns % NS_PER_SECOND};
        int count = epoll_pwait2(poller->epoll_fd, events, EVENTS_MAX, &left, NULL);
        if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return count;
        poller->has_no_pwait2 = true;
    }
    int64_t left_ms = (left_ns + NS_PER_MS - 1) / NS_PER_MS;
    int limit_ms = left_ms < INT32_MAX ? (int)left_ms : INT32_MAX;
    return epoll_wait(poller->epoll_fd, events, EVENTS_MAX, limit_ms);
}

static unsigned readiness_of(uint32_t events)
{
    unsigned ready = 0;
    if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) ready |= SM_FD_READABLE;
    if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) ready |= SM_FD_WRITABLE;
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) ready |= SM_FD_READ_END;
    if ((events & (EPOLLHUP | EPOLLERR)) != 0) ready |= SM_FD_WRITE_END;
    if ((events & EPOLLPRI) != 0) ready |= SM_FD_URGENT;
    return ready;
}

int sm_poller_wait(struct sm_poller *poller, int64_t deadline_ns)
{
    struct epoll_event events[EVENTS_MAX];
    int count = wait_for_events(poller, events, deadline_ns);
    int ready = 0;
    for (int i = 0; i < count; i++) {
        uint64_t cookie = events[i].data.u64;
        if (cookie == OWN_EVENT) continue;
        sm_fd_set_ready(
                (int)(uint32_t)cookie, (uint32_t)(cookie >> 32), readiness_of(events[i].events));
        ready++;
    }
    return ready;
}

void sm_poller_arm(struct sm_poller *poller, int64_t deadline_ns)
{
    bool arms = deadline_ns != INT64_MAX;
    if (!sm_poller_is_embedded(poller) || (!arms && !poller->is_armed)) return;

    struct itimerspec when = {};
    if (arms) {
        when.it_value.tv_sec = deadline_ns / NS_PER_SECOND;
        when.it_value.tv_nsec = deadline_ns % NS_PER_SECOND;
    }
    int timer_fd = sm_load_relaxed(&poller->timer_fd); /* relaxed: it is there, and stays */
    sm_assert(timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &when, NULL) == 0);
    poller->is_armed = arms;
}

int sm_poller_add(struct sm_poller *poller, int fd, uint32_t generation)
{
    struct epoll_event event = {
            .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET,
            .data.u64 = cookie_of(fd, generation),
    };
    int r = epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, fd, &event);
    if (r < 0 && errno == EEXIST) {
        /* The number was closed and opened again behind our back while a copy kept the old
         * description alive, and with it what we had asked for. */
        (void)epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        r = epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, fd, &event);
    }
    if (r < 0) return sm_neg_errno();
    (void)sm_add_relaxed(&poller->watched, 1); /* relaxed: see sm_poller_has_watched() */
    return 0;
}

void sm_poller_remove(struct sm_poller *poller, int fd)
{
    /* It fails where somebody has closed fd: the kernel has removed it then. */
    (void)epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    /* acq_rel: pairs with the acquire in sm_fd_forget_poller(). It is our last touch. */
    (void)sm_sub_acq_rel(&poller->watched, 1);
}
