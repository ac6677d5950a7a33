"""A real relay: Debian's coturn, on loopback."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

needed = pytest.mark.skipif(shutil.which("turnserver") is None, reason="Debian's coturn is not installed")
SECRET = "shared with the relay"
SHARED = ("--use-auth-secret", f"--static-auth-secret={SECRET}")


@contextmanager
def relay(folder: Path, *allowed: str) -> Iterator[int]:
    """coturn on a free port of 127.0.0.1, with user u and password p, or another way to be let in."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        ["turnserver", "-n", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", f"--listening-port={port}",
         *(allowed or ("--lt-cred-mech", "--user=u:p")), "--realm=test", "--no-tls", "--no-dtls", "--no-cli",
         "--allow-loopback-peers", "--log-file=stdout", "--simple-log", f"--pidfile={folder / 'pid'}",
         f"--userdb={folder / 'db'}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()
