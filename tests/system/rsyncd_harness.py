"""rsyncd_harness.py - what the tests of seam-rsyncd share: daemons, trees, comparisons.

Everything listens on loopback, on ports the system chose, and lives below one temporary directory.
"""
import hashlib
import os
import random
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

CLIENT_TIMEOUT = 120
STARTED_NS = time.time_ns()
IS_ROOT = os.geteuid() == 0


class Skip(Exception):
    pass


class Check(AssertionError):
    pass


def check(holds, message):
    if not holds:
        raise Check(message)


def check_eq(got, wanted, what):
    check(got == wanted, f"{what}: got {got!r}, wanted {wanted!r}")


class Daemon:
    """seam-rsyncd as a process. Its log is lines()."""

    def __init__(self, binary, arguments, log):
        self.log = Path(log)
        command = [str(binary), *map(str, arguments), "--port=0", f"--log-file={self.log}"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        ready = self.process.stdout.readline()
        match = re.fullmatch(r"seam-rsyncd: listening on (\S+) port (\d+)\n", ready)
        if match is None:
            self.process.kill()
            self.process.wait()
            raise Check(f"the daemon did not start: {ready!r}")
        self.port = int(match[2])
        self.url = f"rsync://127.0.0.1:{self.port}"
        self.pid = self.process.pid

    def lines(self):
        return self.log.read_text(errors="replace").splitlines() if self.log.exists() else []

    def session_lines(self):
        return [line for line in self.lines() if " bytes in, " in line and " ms" in line]

    def wait_for_lines(self, count, seconds=20):
        """Sessions end a moment after their clients."""
        until = time.monotonic() + seconds
        while len(self.session_lines()) < count and time.monotonic() < until:
            time.sleep(0.01)
        return self.session_lines()

    def descriptors(self):
        """Those of the sessions and the listener: the runtime keeps one for each thread it ever suspected."""
        fds = f"/proc/{self.pid}/fd"
        links = [os.readlink(f"{fds}/{fd}") for fd in os.listdir(fds)]
        return sum(not re.fullmatch(r"/proc/\d+/task/\d+/stat", link) for link in links)

    def threads(self):
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def rss_kib(self):
        text = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1])

    def stop(self, seconds=60):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Check("the daemon did not stop on SIGTERM")
        finally:
            self.process.stdout.close()
        return self.process.returncode


class Oracle:
    """Upstream's own daemon, for comparison."""

    def __init__(self, directory, modules, extra=""):
        directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        config = directory / "oracle.conf"
        text = [f"port = {self.port}", "address = 127.0.0.1", "use chroot = no",
                f"log file = {directory}/oracle.log",
                f"lock file = {directory}/lock", "reverse lookup = no", extra]
        if IS_ROOT:
            text += ["uid = root", "gid = root"]
        config.write_text("\n".join(text) + "\n" + modules)
        self.process = subprocess.Popen(
            ["rsync", "--daemon", "--no-detach", f"--config={config}"], stdin=subprocess.DEVNULL)
        self.url = f"rsync://127.0.0.1:{self.port}"
        until = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if time.monotonic() > until:
                    self.stop()
                    raise Check("upstream's daemon did not start")
                time.sleep(0.02)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Result:
    def __init__(self, done):
        self.code = done.returncode
        self.out = done.stdout.decode(errors="surrogateescape")
        self.err = done.stderr.decode(errors="surrogateescape")

    def stat(self, name):
        match = re.search(rf"^{re.escape(name)}: ([\d,]+)", self.out, re.M)
        check(match is not None, f"no {name!r} in {self.out!r}")
        return int(match[1].replace(",", ""))


def rsync(*arguments, cwd=None, code=0, env=None):
    """The stock client. code is what it must exit with; None: anything."""
    done = subprocess.run(["rsync", *map(os.fspath, map(pathish, arguments))], cwd=cwd,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=CLIENT_TIMEOUT,
                          env={**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC", **(env or {})})
    result = Result(done)
    if code is not None and result.code != code:
        raise Check(f"rsync {arguments} exited with {result.code}, not {code}: "
                    f"{result.out[-800:]}{result.err[-800:]}")
    return result


def pathish(argument):
    return argument if isinstance(argument, (str, bytes, os.PathLike)) else str(argument)


ODD_NAMES = ["with space", "-dash", "new\nline", "grün-ß-漢字", "quote'\"", "back\\slash", "star*",
             "[bracket]", "q?", "tab\there", ".hidden", "#hash", "@RSYNCD: EXIT", "a" * 200,
             "trailing ", "~", "$(x)", "100%"]


def random_bytes(rng, size):
    """Half noise, half repetition, as files are."""
    if size == 0:
        return b""
    if rng.random() < 0.5:
        return rng.randbytes(size)
    piece = rng.randbytes(min(size, 1 + rng.randrange(5000)))
    return (piece * (size // len(piece) + 1))[:size]


SIZES = [0, 1, 2, 699, 700, 701, 1400, 4095, 4096, 4097, 32767, 32768, 32769, 65536, 131073]


def make_tree(root, seed, files=120, big=2):
    """A tree that has one of everything."""
    rng = random.Random(seed)
    root.mkdir(parents=True)
    directories = [root]
    names = ODD_NAMES[:]
    rng.shuffle(names)
    for i in range(14):
        name = names.pop() if i % 3 == 0 and names else f"dir{i}"
        path = rng.choice(directories) / name
        path.mkdir(exist_ok=True)
        directories.append(path)
    (root / "empty dir").mkdir()
    for i in range(files):
        name = names.pop() if i % 8 == 0 and names else f"f{rng.randrange(10**6)}"
        size = rng.choice(SIZES) if i % 2 else rng.randrange(9000)
        put_file(rng, rng.choice(directories) / name, size)
    for i in range(big):
        put_file(rng, root / f"big{i}", rng.randrange(1 << 20, 6 << 20))
    (root / "to a file").symlink_to("big0")
    (root / "dangling").symlink_to("no such thing")
    (root / "absolute").symlink_to("/etc/passwd")
    (root / "outside").symlink_to("../../elsewhere")
    (directories[3] / "to a dir").symlink_to("..")
    (root / "odd -> target").symlink_to("a\nb")
    os.mkfifo(root / "pipe")
    if IS_ROOT:
        for i, path in enumerate(sorted(root.rglob("*"))):
            if i % 5 == 0:
                os.lchown(path, rng.choice([0, 1, 2, 12345]), rng.choice([0, 3, 54321]))
        try:
            os.mknod(root / "null device", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        except OSError:
            pass
    for path in sorted(root.rglob("*"), key=lambda p: -len(p.parts)):
        set_time(rng, path)
    set_time(rng, root)
    return rng


def put_file(rng, path, size):
    if path.is_dir():
        return
    path.write_bytes(random_bytes(rng, size))
    path.chmod(rng.choice([0o644, 0o600, 0o755, 0o640, 0o400, 0o4755, 0o664]))


def set_time(rng, path):
    when = rng.randrange(10**9, 17 * 10**8) * 10**9 + rng.choice([0, 1, 123456789, 999999999])
    os.utime(path, ns=(when, when), follow_symlinks=False)


def describe(path, with_ns=True, only_old_times=False):
    st = path.lstat()
    kind = stat.S_IFMT(st.st_mode)
    facts = [kind, stat.S_IMODE(st.st_mode)]
    if only_old_times and st.st_mtime_ns >= STARTED_NS:
        facts.append("now")
    else:
        facts.append(st.st_mtime_ns if with_ns else st.st_mtime_ns // 10**9)
    if IS_ROOT:
        facts += [st.st_uid, st.st_gid]
    if kind == stat.S_IFREG:
        facts += [st.st_size, hashlib.sha1(path.read_bytes()).hexdigest()]
    elif kind == stat.S_IFLNK:
        facts.append(os.readlink(path))
    elif kind in (stat.S_IFCHR, stat.S_IFBLK):
        facts.append(st.st_rdev)
    return tuple(facts)


def snapshot(root, **how):
    root = Path(root)
    if not root.exists():
        return {}
    return {os.fspath(path.relative_to(root)): describe(path, **how)
            for path in [root, *root.rglob("*")]}


def make_old(*paths):
    """A time that no test run produces by itself."""
    for path in paths:
        os.utime(path, ns=(15 * 10**17 + 7, 15 * 10**17 + 7), follow_symlinks=False)


def check_same(got, wanted, what="trees", **how):
    """Byte for byte, mode for mode, time for time. With only_old_times, what was written during the
    test is the same whenever that was."""
    left = snapshot(got, **how)
    right = snapshot(wanted, **how)
    missing = sorted(right.keys() - left.keys())
    extra = sorted(left.keys() - right.keys())
    differ = [name for name in sorted(left.keys() & right.keys()) if left[name] != right[name]]
    detail = [(name, left[name], right[name]) for name in differ[:3]]
    check(not missing and not extra and not differ,
          f"{what} differ: missing {missing[:5]}, extra {extra[:5]}, {len(differ)} differ {detail}")


def remove_tree(root):
    """Also what the test made unreadable."""
    if not IS_ROOT:
        for directory, names, _ in os.walk(root):
            for name in names:
                path = os.path.join(directory, name)
                if not os.path.islink(path):
                    os.chmod(path, 0o700)
    shutil.rmtree(root, ignore_errors=True)


def run_cases(cases, make_context, only=None):
    """Run functions that take a context; print a line each, and the tally last."""
    passed = failed = 0
    if shutil.which("rsync") is None:
        print("no rsync client here: skipped")
        return 77
    scratch = Path(tempfile.mkdtemp(prefix="seam-rsyncd-"))
    context = None
    try:
        context = make_context(scratch)
        for case in cases:
            if only and only not in case.__name__:
                continue
            context.fresh()
            try:
                case(context)
                passed += 1
                print(f"ok      {case.__name__}", flush=True)
            except Skip as why:
                print(f"skipped {case.__name__}: {why}", flush=True)
            except Exception as problem:
                failed += 1
                kind = "" if isinstance(problem, Check) else traceback.format_exc()
                print(f"FAILED  {case.__name__}: {problem}\n{kind}", flush=True)
    finally:
        if context is not None:
            try:
                context.close()
            except Exception as problem:
                failed += 1
                print(f"FAILED  at the end: {problem}")
        remove_tree(scratch)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def arguments_of(doc):
    import argparse
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--daemon", required=True, help="path of seam-rsyncd")
    parser.add_argument("--only", help="run only cases whose name contains this")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()
