"""What a server costs is that of its whole tree, of processes that have ended, too."""

from __future__ import annotations

import socket
import sys
import time

import pytest

from benchmarks import processes
from benchmarks.servers import Server, Subject

BURNT = 1.0  # s of CPU
PROGRAM = f"""
import signal, socket, subprocess, sys
if sys.argv[2] == "ignored":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
burn = "import time\\nwhile time.process_time() < {BURNT}: pass"
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as listening:
    while True:
        with listening.accept()[0] as connection:
            if connection.recv(1):  # an empty one only looks whether somebody listens
                subprocess.run([sys.executable, "-S", "-c", burn])
                connection.send(b"d")
"""


@pytest.mark.parametrize("buried", ["waited for", "ignored"])
def test_processes_that_have_ended_are_counted(buried: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "EVERY", 0.05)
    subject = Subject("burning", "burning", lambda port, *_: [sys.executable, "-S", "-c", PROGRAM, str(port), buried],
                      "", lambda _: {})
    server = Server(subject, core=None, watch=True)
    try:
        before = server.usage()
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.settimeout(30)
            connection.send(b"b")
            assert connection.recv(1) == b"d"
        after = server.usage()
    finally:
        server.stop()
    assert BURNT - 0.25 <= after.cpu - before.cpu <= BURNT + 2 * (after.at - before.at)
    assert before.at < after.at <= time.monotonic()
