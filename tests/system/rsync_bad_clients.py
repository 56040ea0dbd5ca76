#!/usr/bin/env python3
"""rsync_bad_clients.py - clients that lie, stall, flood and vanish, against seam-rsyncd.

Goal: whatever a client does ends its own session, with one line in the log, and nothing else.
Method: speak the protocol by hand and break it at every step, several rounds; afterwards the daemon
still serves, and holds as many descriptors, threads and as much memory as before.
"""
import os
import random
import resource
import shutil
import socket
import struct
import subprocess
import sys
import time

from rsyncd_harness import (Daemon, Skip, arguments_of, check, check_eq, check_same, make_tree,
                            rsync, run_cases)

OPTIONS = arguments_of(__doc__)
ROUNDS = 8
SECRET = b"this is outside of the module"
DATA, ERROR_EXIT, NO_SEND = 0, 86, 102


class Peer:
    """One hand-made client. Everything has a time limit: a daemon that hangs fails the test."""

    def __init__(self, c, limit=20):
        self.socket = socket.create_connection(("127.0.0.1", c.daemon.port), limit)
        self.socket.settimeout(limit)
        c.sessions += 1

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            pass  # the daemon has had enough: that is its right
        return self

    def line(self):
        line = b""
        while not line.endswith(b"\n"):
            byte = self.socket.recv(1)
            if not byte:
                break
            line += byte
        return line

    def exactly(self, count):
        got = b""
        while len(got) < count:
            piece = self.socket.recv(count - len(got))
            check(piece, f"the daemon closed after {len(got)} of {count} bytes")
            got += piece
        return got

    def rest(self):
        """Everything until the daemon closes."""
        got = b""
        try:
            while True:
                piece = self.socket.recv(1 << 16)
                if not piece:
                    break
                got += piece
        except ConnectionResetError:
            pass
        self.socket.close()
        return got

    def close(self):
        self.socket.close()

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def end(self):
        """No more from us; the daemon must close."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        return self.rest()

    # The protocol, as far as it must be right for what comes next to be wrong.

    def greeted(self, greeting=b"@RSYNCD: 31.0 md5\n"):
        check(self.line().startswith(b"@RSYNCD: "), "no greeting")
        return self.send(greeting)

    def in_module(self, module=b"mod"):
        self.greeted().send(module + b"\n")
        check_eq(self.line(), b"@RSYNCD: OK\n", "module")
        return self

    def set_up(self, bundle=b"-logDtpre.LsfxC", paths=(b"mod/",), options=()):
        """Up to the multiplexed part. Without capability v nothing is negotiated."""
        self.in_module()
        words = [b"--server", b"--sender", bundle, *options, b".", *paths]
        self.send(b"".join(word + b"\0" for word in words) + b"\0")
        self.exactly(1)  # flags
        self.exactly(4)  # seed
        return self

    def frame(self, data, code=DATA):
        return self.send(struct.pack("<I", (7 + code) << 24 | len(data)) + data)

    def no_filters(self):
        return self.frame(struct.pack("<i", 0))

    def past_list(self):
        """Until the daemon waits for requests: its list has arrived when it pauses."""
        self.no_filters()
        self.socket.settimeout(0.3)
        try:
            while self.socket.recv(1 << 16):
                pass
        except (socket.timeout, OSError):
            pass
        self.socket.settimeout(20)
        return self

    def request(self, delta, iflags=0xa000, head=(0, 0, 0, 0), sums=b""):
        data = bytes([delta]) + struct.pack("<H", iflags) + struct.pack("<4i", *head) + sums
        return self.frame(data)


class Context:
    def __init__(self, scratch):
        self.scratch = scratch
        self.sessions = 0
        self.rng = random.Random(OPTIONS.seed)
        self.mod = scratch / "mod"
        make_tree(self.mod, OPTIONS.seed, files=20, big=1)
        (scratch / "outside").mkdir()
        (scratch / "outside" / "secret").write_bytes(SECRET)
        (self.mod / "escape").symlink_to("../outside/secret")
        (self.mod / "escape dir").symlink_to("../outside")
        (self.mod / "escape root").symlink_to("/")
        with (self.mod / "huge").open("wb") as f:
            f.truncate(400 << 20)
        self.daemon = Daemon(OPTIONS.daemon, ["--serve", f"{self.mod}=mod"], scratch / "log")

    def fresh(self):
        check(self.daemon.process.poll() is None, "the daemon died")

    def pull(self, *arguments, **how):
        self.sessions += 1
        return rsync(*arguments, **how)

    def url(self, path="mod/"):
        return f"{self.daemon.url}/{path}"

    def settled(self):
        """Every session so far has ended with its line."""
        lines = self.daemon.wait_for_lines(self.sessions)
        check_eq(len(lines), self.sessions, "lines in the log")

    def close(self):
        code = self.daemon.stop()
        check_eq(code, 0, "the daemon's exit status")


def strange_greetings(c):
    for greeting in (b"\n", b"GET / HTTP/1.0\r\n\r\n", b"@RSYNCD: \n", b"@RSYNCD: x\n",
                     b"@RSYNCD: 31\n", b"@RSYNCD: 32.0\n", b"@RSYNCD: 5.0\n", b"@RSYNCD: -1.0\n",
                     b"@RSYNCD: 99999999999999999999.0 md5\n", b"@RSYNCD: 31.0 md5\0\n",
                     b"@RSYNCD: 31.0 " + b"x" * 5000 + b"\n", b"y" * 100_000,
                     c.rng.randbytes(4000), bytes(1000)):
        peer = Peer(c)
        peer.line()
        peer.send(greeting)
        answer = peer.end()
        check(len(answer) < 3000, f"{greeting[:40]!r} was answered with {len(answer)} bytes")


def strange_module_names(c):
    for name in (b"../mod", b"/etc", b"mod/../..", b"x" * 900, b"\x1b[31m", b"mod\r\rx", b"#frob",
                 b"#early_input=99999999", b"#early_input=-1", b"#early_input=5120", b"%s%n"):
        answer = Peer(c).greeted().send(name + b"\n").end()
        check(b"OK" not in answer, f"{name!r} was let in")


def those_who_leave(c):
    for leave in (Peer.close, Peer.reset, Peer.end):
        leave(Peer(c))
        leave(Peer(c).greeted())
        leave(Peer(c).in_module())
        leave(Peer(c).in_module().send(b"--server\0--sender\0"))
        leave(Peer(c).set_up())
        leave(Peer(c).set_up().no_filters())
        leave(Peer(c).set_up().past_list())


def slow_ones(c):
    peers = [Peer(c) for _ in range(5)]
    for byte in b"@RSYNCD: 31.0 md5\nmod\n--serv":
        for peer in peers:
            peer.send(bytes([byte]))
    for peer in peers:
        peer.close()


def strange_arguments(c):
    for words in (b"\0", b"x" * 6000 + b"\0\0", b"a\0" * 17_000 + b"\0", b"q" * 2_000_000,
                  b"--server\0--sender\0-" + b"v" * 4000 + b"\0.\0mod/\0\0",
                  b"--server\0--sender\0-e.\0--timeout=99999999999999\0.\0mod/\0\0",
                  b"--server\0--sender\0-e.\0--bwlimit=-5\0.\0mod/\0\0",
                  b"--server\0--sender\0-e.\0-B99999999999\0.\0mod/\0\0",
                  b"--server\0--sender\0-se.\0\0" + b"rsync\0" * 17_000,
                  c.rng.randbytes(3000) + b"\0\0"):
        answer = Peer(c).in_module().send(words).end()
        check(len(answer) < 10_000, f"{len(answer)} bytes")


def strange_negotiations(c):
    start = b"--server\0--sender\0-logDtpre.LsfxCIvu\0.\0mod/\0\0"
    for words in (b"\xff\xff", b"\xff\xff" + b"x" * 40_000, b"\0", b"\x05nonsu", b"\x20" + b" " * 32,
                  b"\x03md5" + b"junk" * 100):
        Peer(c).in_module().send(start + words).end()


def strange_frames(c):
    for data in (struct.pack("<I", 7 << 24 | 0xffffff), struct.pack("<I", 0xff000001) + b"x",
                 struct.pack("<I", 3), c.rng.randbytes(5000), struct.pack("<I", 7 << 24) * 10_000,
                 struct.pack("<I", (7 + 86) << 24 | 4) + struct.pack("<i", 23),
                 struct.pack("<I", (7 + 86) << 24), struct.pack("<I", (7 + 42) << 24) * 1000,
                 struct.pack("<I", (7 + 3) << 24 | 0xffff) + b"e" * 0xffff):
        Peer(c).set_up().send(data).end()


def strange_filters(c):
    for data in (struct.pack("<i", 0x7fffffff), struct.pack("<i", -1), struct.pack("<i", 5000),
                 struct.pack("<i", 3) + b"xyz", struct.pack("<i", 6) + b"- \0abc",
                 struct.pack("<i", 70) + b"- " + b"**/" * 20 + b"*" * 8,
                 (struct.pack("<i", 1000) + b"- " + b"x" * 998) * 3000):
        peer = Peer(c).set_up()
        for at in range(0, len(data), 60_000):
            peer.frame(data[at:at + 60_000])
        peer.end()


def strange_requests(c):
    for ask in (lambda p: p.request(253), lambda p: p.frame(b"\xfe\xff\xff\xff\xff\0\xa0"),
                lambda p: p.frame(b"\xff\x01\0\0"), lambda p: p.request(1, 0x8000),
                lambda p: p.request(3, head=(0x7fffffff, 700, 2, 0)),
                lambda p: p.request(3, head=(-1, 700, 2, 0)),
                lambda p: p.request(3, head=(1, 0, 2, 0)),
                lambda p: p.request(3, head=(1, -700, 2, 0)),
                lambda p: p.request(3, head=(1, 700, 99, 0)),
                lambda p: p.request(3, head=(1, 700, 2, 701)),
                lambda p: p.request(3, head=(1 << 27, 131072, 16, 0)),
                lambda p: p.request(3, head=(1000, 700, 2, 0), sums=bytes(6 * 999)),
                lambda p: p.request(3, 0xb800), lambda p: p.request(3, 0x8100),
                lambda p: p.frame(bytes(100)), lambda p: p.frame(b"\xff\x03" + bytes(5)),
                lambda p: p.frame(c.rng.randbytes(2000))):
        peer = Peer(c).set_up().past_list()
        ask(peer)
        peer.end()


def block_sums_without_end(c):
    """A promise of many sums costs memory only as they arrive, and only up to a limit."""
    before = c.daemon.rss_kib()
    peers = [Peer(c).set_up().past_list() for _ in range(4)]
    for peer in peers:
        peer.request(3, head=(2_000_000, 700, 2, 0), sums=bytes(6000))
    grown = c.daemon.rss_kib() - before
    for peer in peers:
        peer.reset()
    check(grown < 40_000, f"{grown} KiB for promises")


def those_who_do_not_read(c):
    """Twenty clients ask for a huge file and read nothing; others are served meanwhile."""
    peers = []
    for _ in range(20):
        peer = Peer(c).set_up(paths=(b"mod/huge",)).no_filters()
        peer.request(1)
        peers.append(peer)
    for _ in range(3):
        c.pull(c.daemon.url)
    dest = c.scratch / "meanwhile"
    c.pull("-a", "--exclude=huge", "--no-links", c.url(), dest)
    shutil.rmtree(dest)
    for i, peer in enumerate(peers):
        if i % 2:
            peer.reset()
        else:
            peer.close()


def those_who_write_and_do_not_read(c):
    """A flood of requests while nothing is read: what we take in is bounded."""
    before = c.daemon.rss_kib()
    peers = [Peer(c, limit=0.5).set_up(paths=(b"mod/huge",)).no_filters() for _ in range(4)]
    for peer in peers:
        one = struct.pack("<I", 7 << 24 | 20) + b"\xfe\0\0" + bytes(17)
        peer.request(1)
        peer.send(one * 200_000)
    grown = c.daemon.rss_kib() - before
    for peer in peers:
        peer.reset()
    check(grown < 20_000, f"{grown} KiB")


def names_that_climb_out(c):
    dest = c.scratch / "climb"
    for path in ("mod/../outside/secret", "mod/../../outside/", "mod/dir1/../../../outside/secret",
                 "mod/escape dir/secret", "mod/escape dir/", "mod/escape root/etc/hostname",
                 "mod//../outside/secret", "mod/./../outside"):
        c.pull("-a", c.url(path), f"{dest}/", code=None)
    for option in ("-aL", "-ak", "-a"):
        c.pull(option, "--exclude=huge", c.url(), f"{dest}/", code=None)
        c.pull(option, "--copy-unsafe-links", "--exclude=huge", c.url(), f"{dest}/", code=None)
    for path in (b"../outside/secret", b"mod/../outside/secret", b"/outside/secret",
                 b"mod/" + b"../" * 500 + b"etc/passwd", b"mod/escape dir/secret", b"mod/*/secret",
                 b"mod/\xff\xfe/..", b"mod/" + b"a/" * 2300):
        answer = Peer(c).set_up(paths=(path,)).no_filters().end()
        check(SECRET not in answer, f"{path[:60]!r} reached the outside")
    for path in dest.rglob("*"):
        if path.is_file() and not path.is_symlink():
            check(SECRET not in path.read_bytes(), f"{path} is from outside")
            check(path.name != "hostname", f"{path} is from outside")
    shutil.rmtree(dest)


ABUSES = [strange_greetings, strange_module_names, those_who_leave, slow_ones, strange_arguments,
          strange_negotiations, strange_frames, strange_filters, strange_requests,
          block_sums_without_end, those_who_do_not_read, those_who_write_and_do_not_read,
          names_that_climb_out]


def each_abuse_ends_its_session_only(c):
    for abuse in ABUSES:
        began = time.monotonic()
        abuse(c)
        print(f"        {time.monotonic() - began:6.2f} s  {abuse.__name__}", flush=True)
        try:
            c.settled()
        except AssertionError as problem:
            raise AssertionError(f"after {abuse.__name__}: {problem}") from None
        dest = c.scratch / "good"
        c.pull("-a", "--exclude=huge", "--exclude=escape*", c.url(), dest)
        shutil.rmtree(dest)


def many_rounds_leave_nothing_behind(c):
    quick = [abuse for abuse in ABUSES if abuse not in (strange_filters, names_that_climb_out, strange_requests)]
    # strange_requests: its clients take seconds to see that the daemon has nothing more to say.
    for _ in range(ROUNDS // 2):  # threads of the pool come to be, each with its first memory
        for abuse in quick:
            abuse(c)
    c.settled()
    descriptors, threads, rss = c.daemon.descriptors(), c.daemon.threads(), c.daemon.rss_kib()
    for _ in range(ROUNDS):
        for abuse in quick:
            abuse(c)
    c.settled()
    # The monitor's first descriptor is not the state of a thread, the next one is, and is not counted.
    check(c.daemon.descriptors() <= descriptors, f"{c.daemon.descriptors()} descriptors after {descriptors}")
    more_threads = c.daemon.threads() - threads
    check(more_threads <= 8, f"{more_threads} threads more")
    grown = c.daemon.rss_kib() - rss - 512 * max(more_threads, 0)  # with their first memory
    is_sanitized = "Shadow" in open(f"/proc/{c.daemon.pid}/smaps_rollup").read() or \
        int(open(f"/proc/{c.daemon.pid}/statm").read().split()[0]) > 1 << 28
    if not is_sanitized:
        check(grown < 4096, f"{grown} KiB more after {ROUNDS} rounds")
    c.pull("-a", "--exclude=huge", "--exclude=escape*", c.url(), c.scratch / "last")
    (c.mod / "huge").unlink()
    for name in ("escape", "escape dir", "escape root"):
        (c.mod / name).unlink()
        if (c.scratch / "last" / name).is_symlink():
            (c.scratch / "last" / name).unlink()
    os.utime(c.mod, ns=(10**18, 10**18))
    os.utime(c.scratch / "last", ns=(10**18, 10**18))
    check_same(c.scratch / "last", c.mod)


def a_stop_ends_waiting_sessions_at_once(c):
    daemon = Daemon(OPTIONS.daemon, ["--serve", f"{c.mod}=mod"], c.scratch / "stop.log")
    peers = [socket.create_connection(("127.0.0.1", daemon.port), 20) for _ in range(200)]
    for peer in peers:
        check(peer.recv(100).startswith(b"@RSYNCD: "), "no greeting")
    began = time.monotonic()
    check_eq(daemon.stop(), 0, "exit status")
    took = time.monotonic() - began
    check(took < 10, f"the daemon took {took:.1f} s to stop")
    for peer in peers:
        peer.close()
    check_eq(len(daemon.session_lines()), 200, "lines in the log")
    check("peak 200 at once" in daemon.lines()[-1], daemon.lines()[-1])


def a_lack_of_descriptors_passes(c):
    """With few descriptors the accept loop neither dies nor spins, and serves again afterwards."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wrapper = c.scratch / "few"
    wrapper.write_text(f"#!/bin/sh\nulimit -n 64\nexec {OPTIONS.daemon} \"$@\"\n")
    wrapper.chmod(0o755)
    daemon = Daemon(wrapper, ["--serve", f"{c.mod}=mod"], c.scratch / "few.log")
    peers = [socket.create_connection(("127.0.0.1", daemon.port), 20) for _ in range(150)]

    def cpu_ticks():
        fields = open(f"/proc/{daemon.pid}/stat").read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])
    until = time.monotonic() + 10
    while not any("cannot accept" in line for line in daemon.lines()):
        check(time.monotonic() < until, "descriptors did not run out")
        time.sleep(0.02)
    before = cpu_ticks()
    time.sleep(1)
    check(cpu_ticks() - before < 30, "the accept loop spins")
    for peer in peers:
        peer.close()
    r = rsync(f"rsync://127.0.0.1:{daemon.port}/")
    check("mod" in r.out, r.out)
    check_eq(daemon.stop(), 0, "exit status")


def main():
    cases = [each_abuse_ends_its_session_only, many_rounds_leave_nothing_behind,
             a_stop_ends_waiting_sessions_at_once, a_lack_of_descriptors_passes]
    return run_cases(cases, Context, OPTIONS.only)


if __name__ == "__main__":
    sys.exit(main())
