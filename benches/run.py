#!/usr/bin/env python3
"""run.py - measure seam beside its peers, and write benches/results.md.

    benches/run.py --build-dir build/release            five rounds, at most 15 minutes
    benches/run.py --build-dir build/release --quick    one short round, to see that all works
    benches/run.py --build-dir build/release --only bridge

Builds the C programs (target `benches`), the Go peer and the Tokio peer (offline, from Debian's crate
sources). A peer whose tools are missing is skipped, and the reason printed; tools/packages.txt
names what to install. Rounds are interleaved: within a round every
workload is run for each peer in turn. Values are medians over the rounds; a ratio is the median
of the ratios of each round, so that both sides saw the same machine. Every process has a time-out
and its own process group, which is killed at its end.
"""
import argparse
import datetime
import os
import platform
import re
import select
import shutil
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CRATES = Path("/usr/share/cargo/registry")
PROCESS_SECONDS = 100  # longest time for one measurement
BUDGET_SECONDS = 800  # no round starts that would probably end later than this
QUICK_DIVISOR = 20
LINE = re.compile(r"^(\S+) (\S+) (\d+) (?:n/a (.*)|(\S+) (\S+))$")


@dataclass(frozen=True)
class Metric:
    """One column of a table. With a bar, seam's value decides: "met" or "not met"."""
    label: str
    suffix: str = ""
    bar: float | None = None
    high_is_better: bool = False
    times_floor: bool = False  # the bar is a multiple of the floor's value


@dataclass(frozen=True)
class Table:
    name: str
    title: str
    threads: int
    entries: tuple  # of (peer, workload)
    metrics: tuple
    one_cpu: bool = False
    connections: int = 0  # an echo server with this many connections
    rounds_max: int = 99
    slow_divisor: int = 1  # the peers that park in the kernel at each call make fewer of them
    note: str = ""


LABELS = {
    "_bridge": "through a bridge",
    "_owned": "the function blocks its thread and is left behind",
    "_selfwake": "self-waking future",
    "_spin": "spinning",
    "_pool": "4 locked threads",
    "_spawn": "Handle::spawn + oneshot",
    "_inline": "block_on, on the caller: no task of the runtime",
}


def entries(workload, *variants, without=(), seam=(), tokio=(), go=(), floor=("",)):
    """seam and its peers on one workload, with the variants that some of them have."""
    listed = [("seam", workload + suffix) for suffix in ("",) + tuple(seam)]
    for peer, suffixes in (("tokio", ("",) + tuple(tokio)), ("go", ("",) + tuple(go)),
                           ("threads", ("",)), ("floor", floor)):
        if peer not in without:
            listed += [(peer, workload + suffix) for suffix in suffixes]
    return tuple(listed)


def task_tables():
    for threads, bars in ((1, (30, 30, 25)), (2, (45, 45, 35))):
        workers = f"{threads} worker" + ("s" if threads > 1 else "")
        if threads == 1:
            yield Table("yield", "yield, 1 worker: ns per switch", 1,
                        entries("yield", tokio=["_selfwake"]), (Metric("ns", bar=8),),
                        note="Tokio's yield_now polls the driver; Go's Gosched uses the global queue.")
        for workload, bar in zip(("spawn_seq", "spawn_batch", "ping_pong"), bars):
            unit = "round trip" if workload == "ping_pong" else "task"
            yield Table(f"{workload}-{threads}", f"{workload}, {workers}: ns per {unit}", threads,
                        entries(workload), (Metric("ns", bar=bar),),
                        note="The floor never leaves one thread.")


def door_tables():
    fewer = "A quarter of the calls (50 k) for all but seam and those that do not park."
    blocking = {"go": ["_pool"]}
    note_go = "Go's plain row is a cgo call: no change of thread, so not the same work."
    yield Table("blocking_seq", "blocking_seq, CPUs free: us per call", 1,
                entries("blocking_seq", floor=("", "_spin"), **blocking),
                (Metric("us", bar=8),), slow_divisor=4, note=f"{note_go} {fewer}")
    yield Table("blocking_seq-1cpu", "blocking_seq, pinned to one CPU: us per call", 1,
                entries("blocking_seq", **blocking), (Metric("us", bar=6),), one_cpu=True,
                slow_divisor=4, note=f"{note_go} {fewer}")
    for threads in (1, 2):
        yield Table(f"blocking_64-{threads}", f"blocking_64, {threads} worker(s): calls/s", threads,
                    entries("blocking_64", floor=("_spin",), **blocking),
                    (Metric("calls/s", bar=1.5e6, high_is_better=True),), note=note_go)
    yield Table("bridge_seq", "bridge_seq, CPUs free: us per call", 1,
                entries("bridge_seq", seam=["_bridge"], tokio=["_spawn", "_inline"],
                        floor=("", "_spin")),
                (Metric("us", bar=0.5),), slow_divisor=4, note=fewer)
    yield Table("bridge_seq-1cpu", "bridge_seq, pinned to one CPU: us per call", 1,
                entries("bridge_seq", seam=["_bridge"], tokio=["_spawn"]),
                (Metric("us", bar=5),), one_cpu=True,
                slow_divisor=4, note=fewer)
    yield Table("bridge_8", "bridge_8, CPUs free: calls/s", 1,
                entries("bridge_8", seam=["_bridge"], tokio=["_spawn"], floor=("", "_spin")),
                (Metric("calls/s", bar=800e3, high_is_better=True),))
    yield Table("bridge_8-1cpu", "bridge_8, pinned to one CPU: calls/s", 1,
                entries("bridge_8", seam=["_bridge"], tokio=["_spawn"]),
                (Metric("calls/s", high_is_better=True),), one_cpu=True)
    yield Table("call_in_task", "call_in_task: ns per call from inside a task", 1,
                entries("call_in_task", seam=["_bridge"], without=("floor",)),
                (Metric("ns", bar=150),))
    yield Table("bridge_tick", "bridge_tick: period of a 1 ms ticker beside tasks that call, p99", 1,
                (("seam", "bridge_tick"),), (Metric("ms", bar=2.5),))
    for workload, what, owned, note in (
            ("bridge_behind_blocker", "ms for a call behind one that blocks 20 ms, 1 worker", [],
             "The caller calls once the other blocks."),
            ("bridge_timeout", "ms that a caller with 10 ms to go is late", ["_owned"],
             "Tokio's bridge has no deadline: the caller gives up, and the task runs on."),
            ("bridge_cancel", "ms from another thread's cancelling until the caller goes on", [],
             "Tokio: the task is aborted, by a handle.")):
        yield Table(workload, f"{workload}: {what}", 1,
                    entries(workload, seam=owned, without=("go", "threads", "floor")),
                    (Metric("p50 ms"), Metric("p99 ms", suffix="_p99", bar=2),
                     Metric("max ms", suffix="_max")), note=note)


def memory_tables():
    metrics = (Metric("resident bytes", bar=4300),
               Metric("with page tables", suffix="_tables", bar=4.7 * 1024))
    for size, rounds in (("100k", 99), ("1m", 1)):
        workload = f"mem_block_{size}"
        listed = entries(workload, without=("threads",))
        if size == "100k":
            listed += (("threads", "mem_block_10k"),)
        yield Table(workload, f"mem_block, {size} parked tasks: bytes per task", 1, listed, metrics,
                    rounds_max=rounds, note="Tokio's tasks have no stack. 10 k threads, without "
                    "what the kernel keeps for each." if size == "100k" else "One round.")


def echo_tables():
    for threads in (1, 2):
        for connections in (50, 1000):
            place = "server on one CPU, client on another" if threads == 1 else "server free"
            bar = 1.02 if threads == 1 else None
            yield Table(f"echo-{connections}-{threads}",
                        f"echo, {connections} connections, {threads} worker(s), {place}", threads,
                        entries("echo"),
                        (Metric("server CPU us/req", suffix="_cpu", bar=bar, times_floor=True),
                         Metric("req/s", high_is_better=True),
                         Metric("p50 us", suffix="_p50"), Metric("p99 us", suffix="_p99")),
                        connections=connections)


def liveness_tables():
    for workload, what, bars in (
            ("ticker_blocked", "1 ms ticker while all workers block 100 ms", (1.3, 5)),
            ("ticker_busy", "1 ms ticker while all workers compute 100 ms", (5, 15))):
        yield Table(workload, f"{workload}, 2 workers: ms from tick to tick; {what}", 2,
                    entries(workload, without=("threads", "floor")),
                    (Metric("p50 ms", bar=bars[0]), Metric("p99 ms", suffix="_p99", bar=bars[1]),
                     Metric("max ms", suffix="_max")))
    for threads in (1, 4):
        yield Table(f"child_of_blocker-{threads}",
                    f"child_of_blocker, {threads} worker(s): ms until the child begins", threads,
                    entries("child_of_blocker", without=("threads", "floor")),
                    (Metric("p50 ms", bar=1.5), Metric("max ms", suffix="_max")),
                    note="The parent blocks for 20 ms after the spawn.")
    yield Table("bracket", "bracket: ns to enter and leave", 1, (("seam", "bracket"),),
                (Metric("ns", bar=25),))
    for workload, threads, bar in (("runtime_start_stop", 2, 60),
                                   ("runtime_start_stop_current", 1, 10),
                                   ("runtime_start_call_stop", 2, None)):
        yield Table(workload, f"{workload}: us for all of it", threads,
                    entries(workload, without=("threads", "floor", "go")), (Metric("us", bar=bar),))


TABLES = [*task_tables(), *door_tables(), *memory_tables(), *echo_tables(), *liveness_tables()]


# Building


def say(text):
    print(text, file=sys.stderr, flush=True)


def built(command, cwd, **extra):
    """Run a build command; None if it succeeded, else the last line of what it said."""
    done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=600, check=False, **extra)
    if done.returncode == 0:
        return None
    wrong = re.findall(r"^.*(?:error:|undefined reference|No such file).*$", done.stdout, re.M)
    return (wrong or done.stdout.splitlines() or ["no output"])[0].strip()


def build_c(build_dir):
    if not (build_dir / "CMakeCache.txt").exists():
        sys.exit(f"run.py: {build_dir} is not configured: cmake --preset release")
    keep_going = ["--", "-k", "0" if (build_dir / "build.ninja").exists() else ""]
    problem = built(["cmake", "--build", str(build_dir), "--target", "benches",
                     *[word for word in keep_going if word]], ROOT)
    if problem:
        say(f"run.py: not all of the C programs were built: {problem}")


def build_go(build_dir):
    if not shutil.which("go"):
        return "go is not installed"
    return built(["go", "build", "-o", str(build_dir / "benches/bench-go"), "."],
                 ROOT / "benches/peers/go",
                 env={**os.environ, "GOPROXY": "off", "GOTOOLCHAIN": "local", "CGO_ENABLED": "1"})


def build_tokio(build_dir):
    if not shutil.which("cargo") or not shutil.which("rustc"):
        return "cargo or rustc is not installed"
    if not list(CRATES.glob("tokio-1.*")):
        return "Debian's crate sources are not installed"
    # Cargo writes its lock file beside the manifest: build a copy, so the tree stays clean.
    source = build_dir / "benches/tokio-source"
    target = build_dir / "benches/tokio-target"
    shutil.copytree(ROOT / "benches/peers/tokio", source, dirs_exist_ok=True)
    (source / "Cargo.lock").unlink(missing_ok=True)
    problem = built(["cargo", "build", "--release", "--offline", "--target-dir", str(target)],
                    source)
    if problem is None:
        shutil.copy2(target / "release/bench-tokio", build_dir / "benches/bench-tokio")
    return problem


def build_all(build_dir):
    """Returns why a peer cannot be measured, by peer."""
    build_c(build_dir)
    skipped = {}
    for peer, build in (("go", build_go), ("tokio", build_tokio)):
        try:
            problem = build(build_dir)
        except subprocess.TimeoutExpired:
            problem = "its build took too long"
        if problem:
            skipped[peer] = problem
            say(f"run.py: skipping {peer}: {problem}")
    return skipped


# Running


FILES = {
    "seam": (("yield", "yield"), ("spawn", "spawn"), ("ping_pong", "ping_pong"),
             ("blocking", "blocking"), ("bridge_seq_bridge", "bridge_call"),
             ("bridge_8_bridge", "bridge_call"), ("call_in_task_bridge", "bridge_call"),
             ("bridge_tick", "bridge_call"), ("bridge_behind", "bridge_wait"),
             ("bridge_timeout", "bridge_wait"), ("bridge_cancel", "bridge_wait"),
             ("bridge", "bridge"), ("call_in_task", "bridge"),
             ("mem", "memory"), ("echo", "echo"), ("ticker", "liveness"), ("child", "liveness"),
             ("bracket", "liveness"), ("runtime", "liveness")),
    "threads": (("mem", "memory"), ("echo", "echo"), ("blocking", "doors"), ("bridge", "doors"),
                ("call", "doors"), ("", "tasks")),
    "floor": (("mem", "memory"), ("echo", "echo"), ("blocking", "handoff"),
              ("bridge", "handoff"), ("", "switch")),
}


def program(build_dir, peer, workload):
    if peer in ("go", "tokio"):
        return build_dir / f"benches/bench-{peer}"
    file = next(file for start, file in FILES[peer] if workload.startswith(start))
    return build_dir / f"benches/bench-{peer}-{file}"


class Failure(Exception):
    pass


def start(command, cpus=None):
    pin = (lambda: os.sched_setaffinity(0, cpus)) if cpus else None
    return subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            start_new_session=True, preexec_fn=pin)


def end(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
    process.stdout.close()
    process.stderr.close()


def run_to_end(command, cpus=None):
    process = start(command, cpus)
    try:
        out, problem = process.communicate(timeout=PROCESS_SECONDS)
    except subprocess.TimeoutExpired:
        raise Failure(f"no answer in {PROCESS_SECONDS} s") from None
    finally:
        end(process)
    if process.returncode != 0:
        last = (problem.strip().splitlines() or [""])[-1]
        raise Failure(f"ended with {process.returncode}: {last}"[:160])
    return out


def run_echo(build_dir, table, peer, cpus, divisor):
    server_program = program(build_dir, peer, "echo")
    server = start([server_program, "echo", table.threads], {cpus[0]} if table.threads == 1 else None)
    try:
        if not select.select([server.stdout], [], [], 10)[0]:
            raise Failure("the server did not start in 10 s")
        words = server.stdout.readline().split()
        if len(words) != 2 or words[0] != "port":
            raise Failure("the server did not say its port")
        return run_to_end([build_dir / "benches/bench-loadgen", peer, table.threads, words[1],
                           table.connections, server.pid, cpus[-1], divisor])
    finally:
        end(server)


class Results:
    def __init__(self):
        self.values = {}  # (table, peer, workload without metric suffix, suffix) -> [per round]
        self.reasons = {}  # (table, peer, workload) -> why there is no value

    def add(self, table, peer, workload, out):
        base = f"echo_{table.connections}" if table.connections else workload
        for line in out.splitlines():
            match = LINE.match(line)
            if not match or match[2] != peer or not match[1].startswith(base):
                continue
            if match[4] is not None:
                self.reasons[table.name, peer, workload] = match[4]
            else:
                key = (table.name, peer, workload, match[1][len(base):])
                self.values.setdefault(key, []).append(float(match[5]))

    def rounds(self, table, peer, workload, metric):
        return self.values.get((table.name, peer, workload, metric.suffix), [])

    def median(self, table, peer, workload, metric):
        values = self.rounds(table, peer, workload, metric)
        return statistics.median(values) if values else None

    def ratio(self, table, metric, one, other):
        """Median over the rounds of one / other, each a (peer, workload)."""
        pairs = list(zip(self.rounds(table, *one, metric), self.rounds(table, *other, metric)))
        ratios = [a / b for a, b in pairs if b]
        return statistics.median(ratios) if ratios else None


def slow_divisor(table, peer, workload):
    fast = peer == "seam" or workload.endswith(("_spin", "_inline"))
    return 1 if fast else table.slow_divisor


def measure(results, build_dir, table, peer, workload, skipped, cpus, quick):
    key = (table.name, peer, workload)
    if peer in skipped:
        results.reasons[key] = "skipped: " + skipped[peer]
        return
    if key in results.reasons:
        return
    path = program(build_dir, peer, workload)
    if not path.exists():
        results.reasons[key] = f"{path.name} is not built"
        return
    try:
        if table.connections:
            out = run_echo(build_dir, table, peer, cpus, 5 if quick else 1)
        else:
            divisor = QUICK_DIVISOR if quick else slow_divisor(table, peer, workload)
            out = run_to_end([path, workload, table.threads, divisor],
                             {cpus[0]} if table.one_cpu else None)
        results.add(table, peer, workload, out)
    except Failure as failure:
        results.reasons[key] = str(failure)
        say(f"run.py: {table.name}: {peer}: {failure}")


def run_rounds(build_dir, tables, skipped, options, started):
    results = Results()
    cpus = sorted(os.sched_getaffinity(0))
    longest = 0.0
    rounds = 0
    for number in range(options.rounds):
        begin = time.monotonic()
        if rounds and begin - started + longest > BUDGET_SECONDS:
            say(f"run.py: stopping after {rounds} rounds: the next would exceed the time")
            break
        for table in tables:
            if number >= table.rounds_max:
                continue
            say(f"round {number + 1}: {table.name}")
            for peer, workload in table.entries:
                measure(results, build_dir, table, peer, workload, skipped, cpus, options.quick)
        longest = max(longest, time.monotonic() - begin)
        rounds += 1
    return results, rounds


# Reporting


def shown(value):
    if value is None:
        return "-"
    if value >= 1e6:
        return f"{value / 1e6:.2f} M"
    if value >= 1e4:
        return f"{value / 1e3:.1f} k"
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def entry_label(table, peer, workload):
    if table.connections:
        return peer + {"floor": " (raw epoll)", "threads": " (one per connection)"}.get(peer, "")
    for suffix, text in LABELS.items():
        if workload.endswith(suffix):
            return f"{peer} ({text})"
    if workload == "mem_block_10k":
        return "threads (10 k of them)"
    return peer


def seam_entry(table):
    return next(entry for entry in table.entries if entry[0] == "seam")


def floor_entry(table):
    """The floor that the bar is about: the best one that was measured."""
    floors = [entry for entry in table.entries if entry[0] == "floor"]
    return floors[-1] if floors else None


def bar_text(metric):
    if metric.bar is None:
        return "-"
    sign = ">=" if metric.high_is_better else "<="
    if metric.times_floor:
        return f"{sign} {metric.bar} x floor"
    return f"{sign} {shown(metric.bar)}"


def verdict(results, table, metric):
    if metric.bar is None:
        return "no bar"
    if metric.times_floor:
        value = results.ratio(table, metric, seam_entry(table), floor_entry(table))
    else:
        value = results.median(table, *seam_entry(table), metric)
    if value is None:
        return "not measured"
    if (table.name, *seam_entry(table)) in results.reasons:
        return "not met: failed in a later round"
    met = value >= metric.bar if metric.high_is_better else value <= metric.bar
    return "met" if met else "not met"


def table_lines(results, table):
    heads = ["peer"]
    for metric in table.metrics:
        heads += [metric.label, "seam / it"]
    yield f"### {table.title}"
    yield ""
    for metric in table.metrics:
        if metric.bar is not None:
            yield f"Bar: {metric.label} {bar_text(metric)}: **{verdict(results, table, metric)}**."
    if table.note:
        yield table.note
    yield ""
    yield "| " + " | ".join(heads + ["spread of the first", "remark"]) + " |"
    yield "|" + " --- |" * (len(heads) + 2)
    for peer, workload in table.entries:
        cells = [entry_label(table, peer, workload)]
        for metric in table.metrics:
            ratio = results.ratio(table, metric, seam_entry(table), (peer, workload))
            cells += [shown(results.median(table, peer, workload, metric)),
                      "" if peer == "seam" else shown(ratio)]
        values = results.rounds(table, peer, workload, table.metrics[0])
        cells.append(f"{shown(min(values))} .. {shown(max(values))}" if len(values) > 1 else "")
        cells.append(results.reasons.get((table.name, peer, workload), ""))
        yield "| " + " | ".join(cells) + " |"
    yield ""


def summary_lines(results, tables):
    yield "| workload | bar | seam | floor | seam / floor | verdict |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for table in tables:
        for metric in table.metrics:
            if metric.bar is None:
                continue
            floor = floor_entry(table)
            label = f"{table.name}, {metric.label}"
            seam = results.median(table, *seam_entry(table), metric)
            low = results.median(table, *floor, metric) if floor else None
            ratio = results.ratio(table, metric, seam_entry(table), floor) if floor else None
            yield (f"| {label} | {bar_text(metric)} | {shown(seam)} | {shown(low)} | "
                   f"{shown(ratio)} | {verdict(results, table, metric)} |")
    yield ""


def first_match(path, pattern, default):
    try:
        match = re.search(pattern, Path(path).read_text(), re.M)
    except OSError:
        return default
    return match[1].strip() if match else default


def version_of(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.splitlines()[0] if done.returncode == 0 and done.stdout else None


def head_lines(build_dir, options, rounds, load, seconds):
    tokio = [path.name for path in CRATES.glob("tokio-1.*")]
    versions = [version_of("cc", "--version"), version_of("go", "version"),
                version_of("rustc", "--version"), *tokio]
    words = ["benches/run.py", "--build-dir", os.path.relpath(build_dir, ROOT)]
    words += ["--quick"] if options.quick else []
    words += ["--only", options.only] if options.only else []
    words += ["--rounds", str(options.rounds)] if options.rounds not in (1, 5) else []
    system = first_match("/etc/os-release", r'^PRETTY_NAME="?([^"\n]*)', "unknown system")
    memory = int(first_match("/proc/meminfo", r"^MemTotal:\s+(\d+)", "0")) / 2**20
    yield "# Bench results"
    yield ""
    yield f"- date: {datetime.date.today().isoformat()}, {rounds} round(s), {seconds:.0f} s"
    yield (f"- machine: {first_match('/proc/cpuinfo', '^model name.*?:(.*)$', 'unknown CPU')}, "
           f"{len(os.sched_getaffinity(0))} CPU(s) usable, {memory:.0f} GiB, "
           f"Linux {platform.release()}, "
           f"{system}")
    yield f"- tools: {'; '.join(version for version in versions if version)}"
    yield f"- command: `{' '.join(words)}`"
    yield f"- load average when it began: {load:.2f}" + (
        " -- **not a quiet machine: these figures are noise**" if load > 0.7 else "")
    if options.quick:
        yield "- **quick: a smoke test; the figures mean nothing**"
    yield ""
    yield ("Medians; a ratio is the median of the ratios of each round. Compare ratios, not absolute "
           "figures. What each program does, and how it differs from the others, is in its head "
           "comment.")
    yield ""


def parse_arguments():
    parser = argparse.ArgumentParser(description="Measure seam beside its peers.")
    parser.add_argument("--build-dir", required=True, help="a configured CMake build directory")
    parser.add_argument("--quick", action="store_true", help="one short round: a smoke test")
    parser.add_argument("--no-build", action="store_true", help="run what is there")
    parser.add_argument("--rounds", type=int, help="default: 5, or 1 with --quick")
    parser.add_argument("--only", help="regular expression: only tables whose name it matches")
    parser.add_argument("--output", help="default: benches/results.md; with --quick or --only in "
                        "the build directory")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 5)
    return options


def main():
    options = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `finally` runs
    started = time.monotonic()
    load = os.getloadavg()[0]
    build_dir = Path(options.build_dir).resolve()
    tables = [table for table in TABLES if re.search(options.only or "", table.name)]
    if not tables:
        sys.exit("run.py: --only matches nothing")
    skipped = {} if options.no_build else build_all(build_dir)
    results, rounds = run_rounds(build_dir, tables, skipped, options, started)

    lines = list(head_lines(build_dir, options, rounds, load, time.monotonic() - started))
    lines += ["## Bars", "", *summary_lines(results, tables), "## Tables", ""]
    for table in tables:
        lines += table_lines(results, table)
    partial = options.quick or options.only
    default = build_dir / "benches/results-partial.md" if partial else ROOT / "benches/results.md"
    text = "\n".join(lines).rstrip() + "\n"
    Path(options.output or default).write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
