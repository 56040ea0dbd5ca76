/* SPDX-License-Identifier: MIT */
/*
 * What is sent over a stream socket, and is not there yet.
 *
 *     send() --> a packet of the wire --(virtual time)--> the real send() --> the reader's descriptor
 *
 * The reader's end is the real one: that it can be read, by whom, and when its edges come, is the
 * kernel's doing, only later. So is the sender's, but for this: what the kernel would have taken, the
 * wire takes.
 *
 *     UNDER WAY  its time has not come
 *     HELD UP    its time has come, and the kernel has no room: until somebody has read
 *     GONE       sent in earnest; or lost, since the connection is broken
 *
 *     from       to         by                     when
 *     -          UNDER WAY  the sender             send(), shutdown(), close()
 *     UNDER WAY  GONE       holder of the baton    its time has come, and there is room
 *     UNDER WAY  HELD UP    holder of the baton    its time has come, and there is none
 *     HELD UP    GONE       holder of the baton    there is room
 *     UNDER WAY  GONE       the sender             the wire is full: the first is pushed out
 *
 * Invariants
 *  1. The packets of a wire go in the order in which they came. The end of a stream is one of them.
 *  2. While there are packets, there is a descriptor of our own: a close() of the program's closes nothing
 *     before what was sent has arrived.
 *  3. A sender hears that there is no room, or less than it asked for, only from the kernel, which has
 *     just refused what is ahead: then an edge will follow.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "sim/real.h"
#include "sim/sim.h"
#include "sim/state.h"

enum {
    WIRES_MAX = 128, /* what is sent over more of them at once is not delayed */
    PACKETS_MAX = 32,
    ENDS_MAX = 2, /* of them are kept for shutdown() and close() */
    PACKET_BYTES = 8192,
    CUT_BYTES = 64, /* a packet that is cut has fewer than this */
    LATENCIES = 16, /* that are drawn, from the least to the most */
    OWN_FDS = 600,  /* ours are not among those that a program gets */
    EPOLLS_MAX = 64,
};

enum kind { BYTES, SHUTDOWN, CLOSE };

struct packet {
    int64_t arrives_ns;
    enum kind kind;
    unsigned bytes;
    unsigned sent;
    char text[PACKET_BYTES];
};

/* One direction of a connection. */
struct wire {
    ino_t socket; /* the same for all copies of a descriptor; 0: this wire is free */
    int fd;       /* of the program, to be shown */
    int own_fd;   /* -1: nothing is under way */
    bool is_shut;
    bool is_broken;  /* the kernel says how: it is asked from now on */
    bool is_closed;  /* the program has no use for it any more */
    bool is_held_up; /* its first packet */
    unsigned first;
    unsigned count;
    struct packet packets[PACKETS_MAX];
};

static struct wire wires[WIRES_MAX];
static unsigned wire_count; /* and behind them none has been used */
static int epoll_fds[EPOLLS_MAX];
static unsigned epoll_count;
static int64_t next_ns = INT64_MAX; /* when the next packet arrives */
static bool is_any_held_up;
static int64_t latency_min_ns;
static int64_t latency_max_ns;

void sm_sim_network_begin(const struct sm_sim_plan *plan)
{
    latency_min_ns = plan->latency_min_ns;
    latency_max_ns = plan->latency_max_ns;
}

void sm_sim_network_add_epoll(int epoll_fd)
{
    unsigned i = 0;
    while (i < epoll_count && epoll_fds[i] != epoll_fd) {
        i++;
    }
    if (i == epoll_count && i < EPOLLS_MAX) epoll_fds[epoll_count++] = epoll_fd;
}

/* ---- packets that arrive ---- */

/* Would the next call be told of an end or an error? What the kernel has to say is said once: it must
 * not be said to us. */
static bool is_dead(int fd)
{
    struct pollfd asked = {.fd = fd};
    return REAL(poll)(&asked, 1, 0) > 0;
}

/* False: there is no room for all of it. */
static bool send_bytes(struct wire *wire, struct packet *packet)
{
    if (!wire->is_broken) wire->is_broken = is_dead(wire->own_fd);
    while (!wire->is_broken && packet->sent < packet->bytes) {
        ssize_t r = REAL(send)(wire->own_fd, packet->text + packet->sent,
                packet->bytes - packet->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (r < 0 && errno == EAGAIN) return false;
        if (r < 0) wire->is_broken = true;
        if (r > 0) packet->sent += (unsigned)r;
        sm_sim.files_changed = true;
    }
    return true;
}

static void tell(const struct wire *wire, const struct packet *packet)
{
    if (!sm_sim_is_told()) return;
    sm_sim_tell_time();
    if (packet->kind == BYTES) {
        (void)fprintf(stderr, "%u bytes from descriptor %d %s\n", packet->bytes, wire->fd,
                wire->is_broken ? "are lost" : "arrive");
    } else {
        (void)fprintf(stderr, "the end of descriptor %d arrives\n", wire->fd);
    }
}

/* The first packet of wire, whatever its time. False: it is held up. */
static bool deliver(struct wire *wire)
{
    struct packet *packet = &wire->packets[wire->first];
    if (packet->kind == BYTES && !send_bytes(wire, packet)) return false;
    if (packet->kind == SHUTDOWN) (void)REAL(shutdown)(wire->own_fd, SHUT_WR);
    tell(wire, packet);
    sm_sim_log(SM_SIM_EVENT_ARRIVE, (uint64_t)packet->kind << 32 | packet->bytes);
    wire->first = (wire->first + 1) % PACKETS_MAX;
    wire->count--;
    sm_sim.files_changed = true;
    return true;
}

/* Is it empty? Then only what cannot be asked of the kernel is kept. */
static void rest(struct wire *wire)
{
    if (wire->count > 0) return;
    if (wire->own_fd >= 0) (void)REAL(close)(wire->own_fd);
    wire->own_fd = -1;
    wire->is_held_up = false;
    if (wire->is_closed || !(wire->is_shut || wire->is_broken)) wire->socket = 0;
}

/* Of those that have arrived by now, and are not held up, the first. */
static struct wire *find_due(void)
{
    struct wire *due = NULL;
    int64_t due_ns = sm_sim.now_ns + 1;
    for (unsigned i = 0; i < wire_count; i++) {
        struct wire *wire = &wires[i];
        if (wire->socket == 0 || wire->count == 0 || wire->is_held_up) continue;
        int64_t ns = wire->packets[wire->first].arrives_ns;
        if (ns >= due_ns) continue;
        due = wire;
        due_ns = ns;
    }
    return due;
}

static void look_ahead(void)
{
    next_ns = INT64_MAX;
    is_any_held_up = false;
    for (unsigned i = 0; i < wire_count; i++) {
        const struct wire *wire = &wires[i];
        if (wire->socket == 0 || wire->count == 0) continue;
        int64_t ns = wire->packets[wire->first].arrives_ns;
        if (wire->is_held_up) {
            is_any_held_up = true;
        } else if (ns < next_ns) {
            next_ns = ns;
        }
    }
    if (next_ns < sm_sim.next_deadline_ns) sm_sim.next_deadline_ns = next_ns;
}

int64_t sm_sim_network_arrive(void)
{
    if (sm_sim.now_ns < next_ns && !is_any_held_up) return next_ns;
    for (unsigned i = 0; i < wire_count; i++) {
        wires[i].is_held_up = false; /* there may be room now */
    }
    struct wire *wire = NULL;
    while ((wire = find_due()) != NULL) {
        wire->is_held_up = !deliver(wire);
        rest(wire);
    }
    look_ahead();
    return next_ns;
}

/* ---- wires ---- */

static ino_t inode_of(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 ? status.st_ino : 0;
}

/* 0: not of a stream, or not connected. */
static ino_t socket_of(int fd)
{
    int type = 0;
    socklen_t len = sizeof type;
    if (latency_max_ns == 0) return 0;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_STREAM) return 0;
    struct sockaddr_storage address;
    len = sizeof address;
    if (getpeername(fd, (struct sockaddr *)&address, &len) < 0) return 0;
    return inode_of(fd);
}

bool sm_sim_network_carries(int fd)
{
    return socket_of(fd) != 0;
}

static struct wire *find_or_add(ino_t socket)
{
    struct wire *unused = NULL;
    for (unsigned i = 0; i < wire_count; i++) {
        if (wires[i].socket == socket) return &wires[i];
        if (wires[i].socket == 0 && unused == NULL) unused = &wires[i];
    }
    if (unused == NULL && wire_count < WIRES_MAX) unused = &wires[wire_count++];
    if (unused == NULL) return NULL;
    unused->socket = socket;
    unused->own_fd = -1;
    unused->is_shut = unused->is_broken = unused->is_closed = unused->is_held_up = false;
    unused->first = unused->count = 0;
    return unused;
}

/* The wire that begins at fd, with a descriptor of our own; NULL: there is none. */
static struct wire *open_wire(int fd)
{
    ino_t socket = socket_of(fd);
    struct wire *wire = socket != 0 ? find_or_add(socket) : NULL;
    if (wire == NULL) return NULL;
    wire->fd = fd;
    if (wire->own_fd < 0) {
        wire->own_fd = REAL(fcntl)(fd, F_DUPFD_CLOEXEC, OWN_FDS);
        /* Or the kernel keeps small packets back, by its own clock. */
        int on = 1;
        (void)setsockopt(wire->own_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    if (wire->own_fd >= 0) return wire;
    rest(wire);
    return NULL;
}

static int64_t draw_latency(void)
{
    int64_t step_ns = (latency_max_ns - latency_min_ns) / (LATENCIES - 1);
    unsigned steps = step_ns > 0 ? sm_sim_choose(LATENCIES, SM_SIM_LATENCY) : 0;
    return steps < LATENCIES - 1 ? latency_min_ns + step_ns * steps : latency_max_ns;
}

/* Room for one more; NULL: the kernel has none for the first. */
static struct packet *add_packet(struct wire *wire, enum kind kind)
{
    const unsigned max = kind == BYTES ? PACKETS_MAX - ENDS_MAX : PACKETS_MAX;
    while (wire->count >= max) {
        if (!deliver(wire)) return NULL;
    }
    int64_t arrives_ns = sm_sim.now_ns + draw_latency();
    if (wire->count > 0) {
        unsigned last = (wire->first + wire->count - 1) % PACKETS_MAX;
        int64_t last_ns = wire->packets[last].arrives_ns;
        if (arrives_ns < last_ns) arrives_ns = last_ns;
    }
    struct packet *packet = &wire->packets[(wire->first + wire->count) % PACKETS_MAX];
    wire->count++;
    packet->arrives_ns = arrives_ns;
    packet->kind = kind;
    packet->bytes = packet->sent = 0;
    return packet;
}

/* ---- sending ---- */

static size_t bytes_of(const struct msghdr *message)
{
    size_t bytes = 0;
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        bytes += message->msg_iov[i].iov_len;
    }
    return bytes;
}

/* As many as there are from offset on, at most max. */
static unsigned copy_bytes(const struct msghdr *message, size_t offset, char *to, size_t max)
{
    size_t copied = 0;
    for (size_t i = 0; i < message->msg_iovlen && copied < max; i++) {
        const struct iovec *part = &message->msg_iov[i];
        if (offset >= part->iov_len) {
            offset -= part->iov_len;
            continue;
        }
        size_t bytes = part->iov_len - offset;
        if (bytes > max - copied) bytes = max - copied;
        memcpy(to + copied, (const char *)part->iov_base + offset, bytes);
        copied += bytes;
        offset = 0;
    }
    return (unsigned)copied;
}

static ssize_t send_packets(struct wire *wire, const struct msghdr *message)
{
    size_t total = bytes_of(message);
    /* A stream may be cut anywhere; at its beginning, that is where it hurts. */
    size_t most = sm_sim_choose(total < CUT_BYTES ? (unsigned)total : CUT_BYTES, SM_SIM_CUT);
    if (most == 0) most = PACKET_BYTES;
    size_t done = 0;
    while (done < total) {
        struct packet *packet = add_packet(wire, BYTES);
        if (packet == NULL) break;
        packet->bytes = copy_bytes(message, done, packet->text, most);
        done += packet->bytes;
        most = PACKET_BYTES;
    }
    return done > 0 ? (ssize_t)done : -EAGAIN;
}

/* Once there is nothing ahead of it. */
static ssize_t send_itself(struct wire *wire, int fd, const struct msghdr *message, int flags)
{
    while (wire->count > 0) {
        if (!deliver(wire)) return -EAGAIN;
    }
    ssize_t r = REAL(sendmsg)(fd, message, flags | MSG_DONTWAIT);
    return r < 0 ? sm_neg_errno() : r;
}

static ssize_t send_over(struct wire *wire, int fd, const struct msghdr *message, int flags)
{
    if (wire->is_broken || is_dead(fd)) return send_itself(wire, fd, message, flags);
    if (wire->is_shut) {
        if ((flags & MSG_NOSIGNAL) == 0) (void)raise(SIGPIPE);
        return -EPIPE;
    }
    /* Descriptors that are passed, and the like: what is no mere bytes is not delayed. */
    bool is_plain = message->msg_controllen == 0 && message->msg_namelen == 0
            && (flags & MSG_OOB) == 0 && bytes_of(message) > 0;
    return is_plain ? send_packets(wire, message) : send_itself(wire, fd, message, flags);
}

/* Something has been done to wire. */
static void go_on(struct wire *wire)
{
    rest(wire);
    look_ahead();
    (void)sm_sim_network_arrive();
}

ssize_t sm_sim_network_send(int fd, const struct msghdr *message, int flags)
{
    struct wire *wire = open_wire(fd);
    if (wire == NULL) return REAL(sendmsg)(fd, message, flags | MSG_DONTWAIT);
    ssize_t r = send_over(wire, fd, message, flags);
    go_on(wire);
    if (r >= 0) return r;
    errno = (int)-r;
    return -1;
}

int sm_sim_network_shutdown(int fd, int how)
{
    struct wire *wire = how == SHUT_WR || how == SHUT_RDWR ? open_wire(fd) : NULL;
    if (wire == NULL) return REAL(shutdown)(fd, how);
    int r = how == SHUT_RDWR ? REAL(shutdown)(fd, SHUT_RD) : 0;
    int error = errno;
    if (!wire->is_shut) (void)add_packet(wire, SHUTDOWN);
    wire->is_shut = true;
    go_on(wire);
    errno = error;
    return r;
}

/* Our own descriptor outlives the program's, and what it has asked for. */
static void leave_epolls(int fd)
{
    for (unsigned i = 0; i < epoll_count; i++) {
        (void)REAL(epoll_ctl)(epoll_fds[i], EPOLL_CTL_DEL, fd, NULL);
    }
}

/* What is known of a connection that has come to an end by itself. */
static void forget(int fd)
{
    ino_t socket = wire_count > 0 ? inode_of(fd) : 0;
    for (unsigned i = 0; i < wire_count; i++) {
        if (socket == 0 || wires[i].socket != socket) continue;
        wires[i].is_closed = true;
        rest(&wires[i]);
    }
}

void sm_sim_network_close(int fd)
{
    struct wire *wire = open_wire(fd);
    if (wire == NULL) {
        forget(fd);
        return;
    }
    leave_epolls(fd);
    if (!wire->is_closed) (void)add_packet(wire, CLOSE);
    wire->is_closed = true;
    go_on(wire);
}
