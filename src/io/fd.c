/* SPDX-License-Identifier: MIT */
#include "io/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/auto.h"
#include "os/os.h"
#include "task/task.h"
#include "task/wait.h"

/* Two levels, so that the table costs what is used of it; 4 Mi descriptors are the most Linux can
 * be asked for without a change of fs.nr_open beyond any default. */
enum { PAGE_ENTRIES = 1024, PAGES = 4096 };

static _Atomic(struct sm_fd *) pages[PAGES];

/* The entry, or NULL if its page was never needed. */
static struct sm_fd *find(int fd)
{
    if (fd < 0 || fd >= PAGE_ENTRIES * PAGES) return NULL;
    /* acquire: pairs with the release in add_page(). It carries the page's zeros. */
    struct sm_fd *page = sm_load_acquire(&pages[fd / PAGE_ENTRIES]);
    return page == NULL ? NULL : &page[fd % PAGE_ENTRIES];
}

static int add_page(int fd)
{
    if (fd >= PAGE_ENTRIES * PAGES) return -ENOMEM;
    size_t bytes = sizeof(struct sm_fd) * PAGE_ENTRIES;
    struct sm_fd *page = sm_os.map(bytes);
    if (page == NULL) return -ENOMEM;

    struct sm_fd *none = NULL;
    /* acq_rel: pairs with the acquire in find(). It carries the page's zeros. */
    if (!sm_cas_acq_rel(&pages[fd / PAGE_ENTRIES], &none, page)) sm_os.unmap(page, bytes);
    return 0;
}

static enum sm_fd_kind kind_of_socket(int fd)
{
    int protocol = 0;
    socklen_t len = sizeof protocol;
    if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) < 0) return SM_FD_MESSAGES;
    return protocol == IPPROTO_TCP ? SM_FD_SOCKET : SM_FD_MESSAGES;
}

bool sm_fd_is_terminal(int fd)
{
    struct termios mode;
    return tcgetattr(fd, &mode) == 0;
}

/* Open a terminal once more: whether a description blocks is seen by all who share it, and standard
 * input is shared with the shell. Not the controlling end of a pseudo-terminal, of which that would
 * make another. */
static int open_again(int fd)
{
    int number = 0;
    if (!sm_fd_is_terminal(fd) || ioctl(fd, TIOCGPTN, &number) == 0) return -ENOTTY;
    int mode = fcntl(fd, F_GETFL);
    if (mode < 0) return sm_neg_errno();

    char path[32];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    sm_auto_close int again = open(path, (mode & O_ACCMODE) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (again < 0) return sm_neg_errno();
    /* Not one of the first three, which mean something to everybody. */
    int own_fd = fcntl(again, F_DUPFD_CLOEXEC, 3);
    return own_fd < 0 ? sm_neg_errno() : own_fd;
}

/* The kind goes. Under the lock. */
static void unset_kind(struct sm_fd *entry)
{
    sm_lock(&entry->trying);
    /* relaxed: under the lock. */
    if (sm_load_relaxed(&entry->kind) == SM_FD_TERMINAL) (void)close(entry->own_fd);
    /* relaxed: nobody takes anything of the earlier life. */
    sm_store_relaxed(&entry->kind, SM_FD_UNKNOWN);
    sm_unlock(&entry->trying);
}

/* Under the lock. */
static void set_kind(struct sm_fd *entry, enum sm_fd_kind kind)
{
    /* seq_cst: pairs with the AND in sm_fd_take_ready(). */
    (void)sm_or_seq_cst(&entry->ready, SM_FD_READABLE | SM_FD_WRITABLE);
    /* release: pairs with the acquire in sm_fd_get(). It carries ready. */
    sm_store_release(&entry->kind, kind);
}

static int adopt(int fd, struct sm_fd *entry)
{
    struct stat status;
    if (fstat(fd, &status) < 0) return sm_neg_errno();

    enum sm_fd_kind kind = SM_FD_STREAM;
    if (S_ISSOCK(status.st_mode)) kind = kind_of_socket(fd);
    if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)) kind = SM_FD_FILE;
    sm_auto_close int own_fd = S_ISCHR(status.st_mode) ? open_again(fd) : -1;
    if (own_fd >= 0) kind = SM_FD_TERMINAL;

    sm_lock(&entry->lock);
    /* relaxed: under the lock. */
    if (sm_load_relaxed(&entry->kind) == SM_FD_UNKNOWN) {
        sm_lock(&entry->trying); /* for who still tries the terminal that was here before */
        entry->own_fd = sm_take_fd(own_fd);
        set_kind(entry, kind);
        sm_unlock(&entry->trying);
    }
    sm_unlock(&entry->lock);
    return 0;
}

/* The entry, whose page is made if need be. */
static int find_or_add(int fd, struct sm_fd **out_entry)
{
    *out_entry = find(fd);
    if (sm_likely(*out_entry != NULL)) return 0;
    int r = add_page(fd);
    *out_entry = find(fd);
    return r;
}

int sm_fd_get(int fd, struct sm_fd_use *out_use)
{
    if (fd < 0) return -EBADF;
    struct sm_fd *entry = find(fd);
    if (entry == NULL) {
        if (fcntl(fd, F_GETFD) < 0) return -EBADF;
        int r = find_or_add(fd, &entry);
        if (r < 0) return r;
    }
    /* acquire: pairs with the release in forget(): whoever finds the new number finds the kind gone,
     * and whoever finds the old one is found out when it waits. */
    *out_use = (struct sm_fd_use){fd, sm_load_acquire(&entry->generation), entry};
    /* acquire: pairs with the release in set_kind(). */
    if (sm_likely(sm_load_acquire(&entry->kind) != SM_FD_UNKNOWN)) return 0;
    return adopt(fd, entry);
}

unsigned sm_fd_take_ready(struct sm_fd *entry, unsigned events)
{
    uint32_t wanted = events | events << 2;
    /* relaxed: the common case, in which there is nothing to clear. */
    if ((sm_load_relaxed(&entry->ready) & wanted) == 0) return 0;
    /* seq_cst: pairs with the seq_cst OR in sm_fd_set_ready(): clear first, then the system call; an
     * edge that comes after the clearing is seen by the next to take. */
    return sm_and_seq_cst(&entry->ready, ~wanted) & wanted;
}

/* What a waiter is told that somebody else has set the bit for. */
enum { TOLD = 1 };

/* Those who wait for one of events, claimed. Under the lock. */
static void claim_waiters(struct sm_fd *entry, unsigned events, struct sm_list claimed[2])
{
    /* seq_cst: pairs with the OR in sm_fd_put_ready(). Who sets it again holds the lock, too. */
    (void)sm_and_seq_cst(&entry->ready, ~(events << 4));
    sm_list_init(&claimed[0]);
    sm_list_init(&claimed[1]);
    if ((events & SM_FD_READABLE) != 0) sm_waiters_claim_all(&entry->readers, &claimed[0]);
    if ((events & SM_FD_WRITABLE) != 0) sm_waiters_claim_all(&entry->writers, &claimed[1]);
}

static void complete_waiters(struct sm_list claimed[2], int result)
{
    sm_waiters_complete_all(&claimed[0], result);
    sm_waiters_complete_all(&claimed[1], result);
}

void sm_fd_put_ready(struct sm_fd *entry, unsigned events)
{
    /* seq_cst: pairs with the seq_cst AND in sm_fd_take_ready() and the OR in sm_fd_wait(): of a bit
     * and somebody who waits for it, the second to come sees the first. */
    uint32_t before = sm_or_seq_cst(&entry->ready, events);
    unsigned waited = before >> 4 & events;
    if (sm_likely(waited == 0)) return;

    struct sm_list claimed[2];
    sm_lock(&entry->lock);
    claim_waiters(entry, waited, claimed);
    sm_unlock(&entry->lock);
    complete_waiters(claimed, TOLD);
}

void sm_fd_set_ready(int fd, uint32_t generation, unsigned events)
{
    struct sm_fd *entry = find(fd);
    if (entry == NULL) return;

    struct sm_list claimed[2];
    sm_lock(&entry->lock);
    /* relaxed: under the lock. */
    if (sm_load_relaxed(&entry->generation) != generation) {
        sm_unlock(&entry->lock);
        return;
    }
    /* relaxed: under the lock; from here on a short read is not trusted to be the last. */
    if ((events & SM_FD_URGENT) != 0 && sm_load_relaxed(&entry->kind) == SM_FD_SOCKET) {
        sm_store_relaxed(&entry->kind, SM_FD_MESSAGES);
    }
    /* seq_cst: pairs with the seq_cst AND in sm_fd_take_ready(). It carries the kind. */
    (void)sm_or_seq_cst(&entry->ready, events & ~(unsigned)SM_FD_URGENT);
    claim_waiters(entry, events & (SM_FD_READABLE | SM_FD_WRITABLE), claimed);
    sm_unlock(&entry->lock);
    complete_waiters(claimed, TOLD);
}

/* Have poller watch fd. Under the lock. 0; 1 if it is always ready. */
static int watch(int fd, struct sm_fd *entry, struct sm_poller *poller)
{
    /* relaxed: under the lock. */
    if (sm_load_relaxed(&entry->kind) == SM_FD_FILE) return 1;
    if (entry->poller == poller || poller == NULL) return 0;
    if (entry->poller != NULL) {
        /* The poller that adopted it serves it, unless perhaps nobody looks at that one now. */
        if (!entry->poller->is_driven) return 0;
        sm_poller_remove(entry->poller, fd);
        entry->poller = NULL;
    }
    uint32_t generation = sm_load_relaxed(&entry->generation); /* relaxed: under the lock */
    int r = sm_poller_add(poller, fd, generation);
    if (r == -EPERM) {
        sm_store_relaxed(&entry->kind, SM_FD_FILE); /* relaxed: under the lock */
        return 1;
    }
    if (r == 0) entry->poller = poller;
    return r;
}

/* Is there no need to wait? Under the lock. 1; 0: wait; -ECANCELED and others. */
static int check_before_wait(const struct sm_fd_use *use, unsigned events)
{
    struct sm_fd *entry = use->entry;
    /* relaxed: under the lock. */
    if (sm_load_relaxed(&entry->generation) != use->generation) return -ECANCELED;
    if (sm_load_relaxed(&entry->kind) == SM_FD_UNKNOWN) return 1; /* relaxed: under the lock */

    int r = watch(use->fd, entry, sm_fd_current_poller());
    /* seq_cst: pairs with the AND in sm_fd_take_ready(). */
    if (r > 0) (void)sm_or_seq_cst(&entry->ready, events);
    if (r != 0) return r;

    /* seq_cst: pairs with the OR in sm_fd_put_ready(). */
    uint32_t before = sm_or_seq_cst(&entry->ready, events << 4);
    if ((before & (events | events << 2)) != 0) return 1;

    struct sm_thread *thread = sm_thread_self();
    if (thread->task == NULL) r = sm_thread_event_fd(thread);
    return r < 0 ? r : 0;
}

int sm_fd_wait(const struct sm_fd_use *use, unsigned events, int64_t deadline_ns)
{
    struct sm_fd *entry = use->entry;
    sm_lock(&entry->lock);
    int r = check_before_wait(use, events);
    /* relaxed: under the lock. Closed just now, unless the number has a new owner: see what it is. */
    if (r >= 0 && sm_load_relaxed(&entry->kind) == SM_FD_UNKNOWN) {
        sm_unlock(&entry->lock);
        return adopt(use->fd, entry);
    }
    if (r != 0) {
        sm_unlock(&entry->lock);
        return r < 0 ? r : 0;
    }
    struct sm_party *party = sm_thread_party(sm_thread_self());
    struct sm_waiter reading = {.party = party};
    struct sm_waiter writing = {.party = party};
    if ((events & SM_FD_READABLE) != 0) sm_list_push_back(&entry->readers, &reading.link);
    if ((events & SM_FD_WRITABLE) != 0) sm_list_push_back(&entry->writers, &writing.link);

    const struct sm_wait wait = {
            .reason = "descriptor",
            .deadline_ns = deadline_ns,
            .unlock = sm_wait_unlock,
            .object = &entry->lock,
            .poll_events = events,
            .poll_fd = use->fd,
    };
    r = sm_wait(&wait);
    /* Who was told has been taken off the list that he was told of. */
    if (r != TOLD || events == (SM_FD_READABLE | SM_FD_WRITABLE)) {
        sm_lock(&entry->lock);
        sm_list_remove(&reading.link);
        sm_list_remove(&writing.link);
        sm_unlock(&entry->lock);
    }
    /* A thread has polled for itself; nobody has set the bit, and nobody need be told: other threads
     * poll, too, and tasks have a poller. */
    if (r == 0 && !party->is_task) {
        (void)sm_or_seq_cst(&entry->ready, events); /* seq_cst: pairs with sm_fd_take_ready() */
    }
    return r < 0 ? r : 0;
}

/* Nobody watches it any more; who waits finds out by trying again. Under the lock. */
static void unwatch(struct sm_fd *entry, struct sm_list claimed[2])
{
    entry->poller = NULL;
    /* seq_cst: pairs with the AND in sm_fd_take_ready(). */
    (void)sm_or_seq_cst(&entry->ready, SM_FD_READABLE | SM_FD_WRITABLE);
    claim_waiters(entry, SM_FD_READABLE | SM_FD_WRITABLE, claimed);
}

/* The end of a life. Under the lock; the waiters are claimed. */
static void forget(int fd, struct sm_fd *entry, struct sm_list claimed[2])
{
    if (entry->poller != NULL) sm_poller_remove(entry->poller, fd);
    unset_kind(entry);
    unwatch(entry, claimed);
    /* relaxed: under the lock. release: pairs with the acquire in sm_fd_get(). */
    sm_store_release(&entry->generation, sm_load_relaxed(&entry->generation) + 1);
}

int sm_fd_adopt_new(int fd, enum sm_fd_kind kind)
{
    struct sm_fd *entry = NULL;
    int r = find_or_add(fd, &entry);
    if (r < 0) return r;

    struct sm_list claimed[2];
    sm_lock(&entry->lock);
    forget(fd, entry, claimed);
    (void)sm_and_seq_cst(&entry->ready, 0); /* seq_cst: pairs with nothing: nobody else uses it */
    set_kind(entry, kind);
    sm_unlock(&entry->lock);
    complete_waiters(claimed, -ECANCELED);
    return 0;
}

int sm_fd_forget(int fd)
{
    struct sm_fd *entry = find(fd);
    if (entry == NULL) return -EBADF;

    struct sm_list claimed[2];
    sm_lock(&entry->lock);
    /* relaxed: under the lock. */
    bool was_adopted = sm_load_relaxed(&entry->kind) != SM_FD_UNKNOWN;
    forget(fd, entry, claimed);
    sm_unlock(&entry->lock);
    complete_waiters(claimed, -ECANCELED);
    return was_adopted ? 0 : -EBADF;
}

void sm_fd_closed(int fd)
{
    struct sm_fd *entry = find(fd);
    if (entry == NULL) return;

    struct sm_list claimed[2];
    sm_lock(&entry->lock);
    /* relaxed: under the lock. Not the generation: the new owner of the number may be at work. */
    if (sm_load_relaxed(&entry->kind) == SM_FD_UNKNOWN && entry->poller == NULL) {
        sm_unlock(&entry->lock);
        return;
    }
    if (entry->poller != NULL) sm_poller_remove(entry->poller, fd);
    unwatch(entry, claimed);
    unset_kind(entry);
    sm_unlock(&entry->lock);
    complete_waiters(claimed, TOLD);
}

void sm_fd_is_no_file(struct sm_fd *entry)
{
    sm_lock(&entry->lock);
    /* relaxed: under the lock. */
    if (sm_load_relaxed(&entry->kind) == SM_FD_FILE) sm_store_relaxed(&entry->kind, SM_FD_UNKNOWN);
    sm_unlock(&entry->lock);
}

void sm_fd_forget_poller(const struct sm_poller *poller)
{
    /* acquire: pairs with the subtraction in sm_poller_remove(), the last touch of whoever is still
     * about to take an entry from it. */
    if (sm_load_acquire(&poller->watched) == 0) return;
    for (int i = 0; i < PAGES; i++) {
        struct sm_fd *page = sm_load_acquire(&pages[i]); /* acquire: pairs with add_page() */
        for (int j = 0; page != NULL && j < PAGE_ENTRIES; j++) {
            struct sm_list claimed[2];
            sm_lock(&page[j].lock);
            bool watched = page[j].poller == poller;
            if (watched) unwatch(&page[j], claimed);
            sm_unlock(&page[j].lock);
            if (watched) complete_waiters(claimed, TOLD);
        }
    }
}
