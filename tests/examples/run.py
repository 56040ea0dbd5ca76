#!/usr/bin/env python3
"""run.py EXAMPLE BINARY - an example does what it shows."""
import socket
import subprocess
import sys

CLIENTS = 50


def printed(binary):
    return subprocess.run([binary], stdout=subprocess.PIPE, text=True, timeout=60, check=True).stdout


def embed(binary):
    assert printed(binary) == "task: 3\ntask: 2\ntask: 1\nthe loop ends: 0\n"


def pipeline(binary):
    assert printed(binary) == "1000 squares add up to 333833500: 0\n"


def chat_sim(binary):
    """A seed finds the mistake, and shrinks what led to it; none finds anything once it is gone."""
    found = subprocess.run([binary], capture_output=True, text=True, timeout=100, check=False)
    assert found.returncode == 1 and found.stdout == "somebody was passed over\n", found
    assert "nobody can ever go on" in found.stderr and "shrunk from" in found.stderr, found.stderr
    fixed = subprocess.run([binary, "fixed"], capture_output=True, text=True, timeout=100, check=False)
    assert fixed.returncode == 0 and fixed.stdout == "everybody heard everything\n", fixed


def echo(binary):
    """Many clients at once; each gets its own bytes back, also when others said something later."""
    with subprocess.Popen([binary], stdout=subprocess.PIPE, text=True) as server:
        port = int(server.stdout.readline())
        clients = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(CLIENTS)]
        for number, client in enumerate(clients):
            client.sendall(b"%d\n" % number * 1000)
        for number, client in reversed(list(enumerate(clients))):
            client.shutdown(socket.SHUT_WR)
            with client.makefile("rb") as answers:
                assert answers.read() == b"%d\n" % number * 1000
            client.close()
        assert server.poll() is None
        server.terminate()


if __name__ == "__main__":
    {"chat_sim": chat_sim, "echo": echo, "embed": embed, "pipeline": pipeline}[sys.argv[1]](sys.argv[2])
