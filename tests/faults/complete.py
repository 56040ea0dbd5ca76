#!/usr/bin/env python3
"""complete.py NM LIBSEAM_A - each function of libc that the library calls has a stand-in in calls.c, or
is known not to need one.
"""
import re
import subprocess
import sys
from pathlib import Path

FAULTS = Path(__file__).resolve().parent

# They make no system call, or none that fails in a correct program; or, as dprintf(), only tell.
WITHOUT = """
abort backtrace backtrace_symbols_fd clock_gettime dlsym dprintf fprintf free getpid htons inet_pton
bcmp memcmp memcpy memmove memset munmap prctl pthread_detach pthread_equal pthread_getcpuclockid pthread_join
pthread_mutex_lock pthread_mutex_unlock pthread_once pthread_self pthread_setcancelstate pthread_sigmask
raise sched_yield sigaction sigaddset sigdelset sigemptyset sigfillset sigismember sigpending sigtimedwait
snprintf stderr strchr strcspn strlen strncmp strnlen strrchr strtol strtoull sysconf timerfd_settime
vsnprintf
ioctl tcgetattr
""".split()


def called(nm, library):
    command = [nm, "--format=posix", library]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    symbols = [line.split() for line in output.splitlines() if len(line.split()) > 1]
    defined = {symbol[0] for symbol in symbols if symbol[1] != "U"}
    return {symbol[0] for symbol in symbols if symbol[1] == "U"} - defined


def tell(names, what):
    for name in sorted(names):
        print(f"{name}: {what}")
    return len(names)


def main():
    calls = {name for name in called(*sys.argv[1:]) if not re.match("_", name)}
    renamed = {line.split()[0] for line in (FAULTS / "symbols.txt").read_text().splitlines()}
    problems = tell(calls - renamed - set(WITHOUT), "called, but neither in symbols.txt nor in WITHOUT")
    problems += tell(renamed - calls, "in symbols.txt, but never called")
    print(f"{len(renamed)} stand-ins, {problems} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
