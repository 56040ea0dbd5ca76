#!/usr/bin/env python3
"""compare.py LIBSEAM_SO - the headers, src/seam.map and what the library exports are one list.

Also: nothing of ours is left undefined. What the linker accepts in a shared library would only be
missed by the program that loads it.
"""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def promised():
    names = set()
    for header in (ROOT / "include/seam").glob("*.h"):
        text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
        names.update(re.findall(r"^SEAM_API\b[^;(]*?(\w+)\(", text, re.M))
    return names


def mapped():
    text = re.sub(r"/\*.*?\*/", "", (ROOT / "src/seam.map").read_text(), flags=re.S)
    return set(re.findall(r"\b(seam_\w+);", text))


def dynamic(library, which):
    command = ["nm", "-D", "--format=posix", which, library]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    symbols = [line.split() for line in output.splitlines()]
    return {symbol[0].split("@")[0] for symbol in symbols if symbol[1] != "A"}


def tell(names, what):
    for name in sorted(names):
        print(f"{name}: {what}")
    return len(names)


def main():
    headers, listed, exported = promised(), mapped(), dynamic(sys.argv[1], "--defined-only")
    # A build that checks locks stands in front of these.
    exported = {name for name in exported if not re.match("pthread_(mutex|rwlock)_", name)}
    undefined = dynamic(sys.argv[1], "--undefined-only")
    problems = tell(headers - listed, "in a public header, but not in src/seam.map")
    problems += tell(listed - headers, "in src/seam.map, but in no public header")
    problems += tell(headers - exported, "promised, but not exported")
    problems += tell(exported - headers, "exported, but not promised")
    problems += tell({name for name in undefined if re.match("(sm|seam)_", name)},
                     "used, but defined nowhere")
    print(f"{len(headers)} functions promised, {problems} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
