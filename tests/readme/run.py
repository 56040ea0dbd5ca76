#!/usr/bin/env python3
"""run.py COMPILER LIBSEAM_A [--extract] - the first program of README.md does what the README says.

The first ```c block is compiled exactly as printed and run; what it prints must be the ```text
block after it. With --extract the program is printed instead.
"""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def block(language, text):
    return re.search(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def main():
    text = (ROOT / "README.md").read_text()
    program = block("c", text)
    wanted = block("text", text[program.end():])[1]
    if "--extract" in sys.argv:
        print(program[1], end="")
        return 0

    compiler, library = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as folder:
        source, binary = Path(folder, "hello.c"), Path(folder, "hello")
        source.write_text(program[1])
        subprocess.run([compiler, "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/include", source, library,
                        "-pthread", "-o", binary], check=True)
        done = subprocess.run([binary], stdout=subprocess.PIPE, text=True, timeout=60)
    if done.returncode != 0 or done.stdout != wanted:
        print(f"exit code {done.returncode}; printed:\n{done.stdout}the README says:\n{wanted}", end="")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
