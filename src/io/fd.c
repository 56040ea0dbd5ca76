/* SPDX-License-Identifier: MIT */
#include "io/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>

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

static int adopt(int fd, struct sm_fd *entry)
{
    struct stat status;
    if (fstat(fd, &status) < 0) return sm_neg_errno();

    enum sm_fd_kind kind = SM_FD_STREAM;
    if (S_ISSOCK(status.st_mode)) kind = SM_FD_SOCKET;
    if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)) kind = SM_FD_FILE;

    sm_lock(&entry->lock);
    /* relaxed: under the lock. */
    if (sm_load_relaxed(&entry->kind) == SM_FD_UNKNOWN) {
        sm_store_relaxed(&entry->ready, SM_FD_READABLE | SM_FD_WRITABLE);
        /* release: pairs with the acquire in sm_fd_get(). It carries ready. */
        sm_store_release(&entry->kind, kind);
    }
    sm_unlock(&entry->lock);
    return 0;
}

int sm_fd_get(int fd, struct sm_fd **out_entry)
{
    if (fd < 0) return -EBADF;
    struct sm_fd *entry = find(fd);
    if (entry == NULL) {
        if (fcntl(fd, F_GETFD) < 0) return -EBADF;
        int r = add_page(fd);
        if (r < 0) return r;
        entry = find(fd);
    }
    *out_entry = entry;
    /* acquire: pairs with the release in adopt(). */
    if (sm_likely(sm_load_acquire(&entry->kind) != SM_FD_UNKNOWN)) return 0;
    return adopt(fd, entry);
}

unsigned sm_fd_take_ready(struct sm_fd *entry, unsigned events)
{
    /* relaxed: the common case, in which there is nothing to clear. */
    uint32_t ready = sm_load_relaxed(&entry->ready);
    unsigned ended = ready >> 2 & events;
    if ((ready & events) == 0) return ended;
    /* seq_cst: pairs with the seq_cst OR in sm_fd_put_ready(): clear first, then the system call; an
     * edge that comes after the clearing is seen by the next to take. */
    return (sm_and_seq_cst(&entry->ready, ~events) & events) | ended;
}

void sm_fd_put_ready(struct sm_fd *entry, unsigned events)
{
    /* seq_cst: pairs with the seq_cst AND in sm_fd_take_ready(). */
    (void)sm_or_seq_cst(&entry->ready, events);
}

void sm_fd_set_ready(int fd, uint32_t generation, unsigned events)
{
    struct sm_fd *entry = find(fd);
    if (entry == NULL) return;

    struct sm_list readers;
    struct sm_list writers;
    sm_list_init(&readers);
    sm_list_init(&writers);
    sm_lock(&entry->lock);
    if (entry->generation == generation) {
        sm_fd_put_ready(entry, events);
        if ((events & SM_FD_READABLE) != 0) sm_waiters_claim_all(&entry->readers, &readers);
        if ((events & SM_FD_WRITABLE) != 0) sm_waiters_claim_all(&entry->writers, &writers);
    }
    sm_unlock(&entry->lock);
    sm_waiters_complete_all(&readers, 0);
    sm_waiters_complete_all(&writers, 0);
}

/* Have poller watch fd. Under the lock. 0; 1 if it is always ready. */
static int watch(int fd, struct sm_fd *entry, struct sm_poller *poller)
{
    /* relaxed: under the lock. */
    if (sm_load_relaxed(&entry->kind) == SM_FD_FILE) return 1;
    if (entry->poller != NULL || poller == NULL) return 0;

    int r = sm_poller_add(poller, fd, entry->generation);
    if (r == -EEXIST) {
        /* The number was closed and opened again behind our back while a copy kept the old
         * description alive. */
        sm_poller_remove(poller, fd);
        r = sm_poller_add(poller, fd, entry->generation);
    }
    if (r == -EPERM) {
        sm_store_relaxed(&entry->kind, SM_FD_FILE); /* relaxed: under the lock */
        return 1;
    }
    if (r == 0) entry->poller = poller;
    return r;
}

int sm_fd_wait(int fd, struct sm_fd *entry, unsigned events, int64_t deadline_ns)
{
    sm_lock(&entry->lock);
    int r = watch(fd, entry, sm_fd_current_poller());
    /* relaxed: set under the lock, or by somebody who will try again anyway. */
    if (r != 0 || (sm_load_relaxed(&entry->ready) & (events | events << 2)) != 0) {
        sm_unlock(&entry->lock);
        return r < 0 ? r : 0;
    }
    struct sm_thread *thread = sm_thread_self();
    if (thread->task == NULL && (r = sm_thread_event_fd(thread)) < 0) {
        sm_unlock(&entry->lock);
        return r;
    }
    struct sm_party *party = sm_thread_party(thread);
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
            .poll_fd = fd,
    };
    r = sm_wait(&wait);
    sm_lock(&entry->lock);
    sm_list_remove(&reading.link);
    sm_list_remove(&writing.link);
    sm_unlock(&entry->lock);
    /* A thread has polled for itself; no poller has set the bit. */
    if (r == 0 && !party->is_task) sm_fd_put_ready(entry, events);
    return r;
}

int sm_fd_forget(int fd)
{
    struct sm_fd *entry = find(fd);
    if (entry == NULL) return -EBADF;

    struct sm_list readers;
    struct sm_list writers;
    sm_lock(&entry->lock);
    /* relaxed: under the lock. */
    bool was_adopted = sm_load_relaxed(&entry->kind) != SM_FD_UNKNOWN;
    if (was_adopted) {
        if (entry->poller != NULL) sm_poller_remove(entry->poller, fd);
        entry->poller = NULL;
        entry->generation++;
        sm_store_relaxed(&entry->kind, SM_FD_UNKNOWN); /* relaxed: under the lock */
    }
    sm_waiters_claim_all(&entry->readers, &readers);
    sm_waiters_claim_all(&entry->writers, &writers);
    sm_unlock(&entry->lock);
    sm_waiters_complete_all(&readers, -ECANCELED);
    sm_waiters_complete_all(&writers, -ECANCELED);
    return was_adopted ? 0 : -EBADF;
}

static void forget_in_page(struct sm_fd *page, const struct sm_poller *poller)
{
    for (int i = 0; i < PAGE_ENTRIES; i++) {
        struct sm_fd *entry = &page[i];
        sm_lock(&entry->lock);
        if (entry->poller == poller) {
            entry->poller = NULL;
            entry->generation++;
            sm_fd_put_ready(entry, SM_FD_READABLE | SM_FD_WRITABLE);
        }
        sm_unlock(&entry->lock);
    }
}

void sm_fd_forget_poller(const struct sm_poller *poller)
{
    for (int i = 0; i < PAGES; i++) {
        struct sm_fd *page =
                sm_load_acquire(&pages[i]); /* acquire: pairs with the CAS in add_page() */
        if (page != NULL) forget_in_page(page, poller);
    }
}
