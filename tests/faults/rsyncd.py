#!/usr/bin/env python3
"""rsyncd.py --daemon FAULTY_RSYNCD - seam-rsyncd, one of whose system calls fails, each in its turn.

Goal: a failure ends one session at most, or the daemon at its start; what comes after is served.
Method: of some transfers by the stock client one may fail; the last must be complete. Then there are no
more descriptors than after the first, and the daemon ends when it is told to.
"""
import errno
import os
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "system"))

from rsyncd_harness import (Check, Daemon, arguments_of, check, check_eq, check_same, make_tree,
                            remove_tree, rsync, run_cases)

OPTIONS = arguments_of(__doc__)
FIRST_TRIED, REST_TRIED = 2, 2
CALLS_H = Path(__file__).resolve().parent / "calls.h"
# Whoever cannot say that there is no memory stops the program: task/thread.h.
STOPPING = {"aligned_alloc", "pthread_key_create", "pthread_setspecific"}


def errors():
    """What each call may come to: [("mmap", ["ENOMEM"]), ...]."""
    lines = re.findall(r"X\((\w+), ([A-Z0-9_, ]+)\)", CALLS_H.read_text())
    return [(name, [error for error in what.split(", ") if error.startswith("E")])
            for name, what in lines]


class Context:
    def __init__(self, scratch):
        self.scratch = scratch
        self.source = scratch / "source"
        make_tree(self.source, OPTIONS.seed, files=10, big=0)
        self.config = scratch / "rsyncd.conf"
        self.config.write_text(f"use chroot = no\n[mod]\npath = {self.source}\n")
        self.counts = scratch / "counts"

    def fresh(self):
        pass

    def close(self):
        pass

    def transfer(self, daemon, code=0):
        """True if it was complete."""
        into = self.scratch / "into"
        remove_tree(into)
        done = rsync("-a", f"{daemon.url}/mod/", f"{into}/", code=code)
        if done.code == 0:
            check_same(into, self.source)
        return done.code == 0

    def live(self, fault):
        os.environ.update(FAULT=fault, FAULT_COUNTS=str(self.counts))
        self.counts.unlink(missing_ok=True)
        log = self.scratch / "log"
        log.unlink(missing_ok=True)
        try:
            daemon = Daemon(OPTIONS.daemon, ["--daemon", "--no-detach", f"--config={self.config}"], log)
        except Check:
            check(fault, "it did not start")
            return "did not start"
        try:
            failures = 0 if self.transfer(daemon, None if fault else 0) else 1
            lines = len(daemon.wait_for_lines(1, 1))
            if not fault:
                return "counted"
            before = daemon.descriptors()
            failures += 0 if self.transfer(daemon, None) else 1
            if failures == 2 and daemon.process.poll() == 1:
                return "did not start"
            check(failures <= 1, "two transfers failed")
            lines = len(daemon.wait_for_lines(lines + 1, 1))
            # With fewer calls than were counted, the failure comes only now.
            if not self.transfer(daemon, None if failures == 0 else 0):
                lines = len(daemon.wait_for_lines(lines + 1, 1))
                self.transfer(daemon)
            daemon.wait_for_lines(lines + 1)
            check(daemon.descriptors() <= before, "descriptors stay behind")
        finally:
            code = daemon.stop()
        check_eq(code, 0, "exit code")
        return "served"


def chosen(count):
    step = max(1, (count - FIRST_TRIED + REST_TRIED - 1) // REST_TRIED)
    return [*range(1, min(count, FIRST_TRIED) + 1), *range(FIRST_TRIED + step, count + 1, step)]


def each_failure_ends_one_session_at_most(context):
    context.live("")
    counts = dict(line.split() for line in context.counts.read_text().splitlines())
    tally = {"served": 0, "did not start": 0}
    findings = 0
    for name, errors_of in errors():
        for error in errors_of if name not in STOPPING else []:
            for nth in chosen(int(counts[name])):
                try:
                    tally[context.live(f"{name}:{nth}:{getattr(errno, error)}")] += 1
                except Exception as problem:
                    findings += 1
                    print(f"FAULT={name}:{nth}:{getattr(errno, error)} ({error}): {problem}", flush=True)
    print(f"        {tally}")
    check_eq(findings, 0, "findings")


if __name__ == "__main__":
    sys.exit(run_cases([each_failure_ends_one_session_at_most], Context, OPTIONS.only))
