"""What the sandbox's tests run in the child: well-behaved and otherwise."""

from __future__ import annotations

import asyncio
import mmap
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aimass_stream.errors import InvalidMedia


def add(left: int, right: int = 0) -> int:
    return left + right


def backwards(data: bytes) -> bytes:
    print("this goes to the log")  # noqa: T201
    return data[::-1]


def facts() -> dict[str, Any]:
    scratch = Path("scratch.txt")
    scratch.write_text("mine")
    return {"nice": os.nice(0), "environment": dict(os.environ), "folder": str(Path.cwd()),
            "open": len(os.listdir("/proc/self/fd")), "written": scratch.read_text(),
            "processes": resource.getrlimit(resource.RLIMIT_NPROC)[0]}


def refuse() -> None:
    raise InvalidMedia("this is no picture", field="image")


def fail() -> None:
    raise ZeroDivisionError("one over nothing")


def fail_like_the_sandbox() -> None:
    from aimass_stream.errors import SandboxError

    raise SandboxError("a lie")


def secret() -> object:
    return object()


def eat_memory() -> int:
    hoard = []
    while True:
        hoard.append(bytearray(64 << 20))


def map_memory() -> None:
    hoard = []
    while True:
        hoard.append(mmap.mmap(-1, 256 << 20))


def spin() -> None:
    while True:
        pass


def sleep(seconds: float) -> None:
    time.sleep(seconds)


def sleep_and_ignore(seconds: float) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(seconds)


def crash(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(10)


def leave(status: int) -> None:
    os._exit(status)


def shout(size: int) -> bytes:
    return b"x" * size


def flood() -> None:
    while True:
        sys.stdout.write("x" * 100_000)


def write_file(size: int) -> int:
    with open("large", "wb") as file:
        return file.write(bytes(size))


def open_files() -> int:
    files = []
    while True:
        files.append(open("/dev/null"))  # noqa: SIM115


def reach(address: str, port: int) -> str:
    """What came of trying to send something there."""
    attempts = []
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try:
            with socket.socket(socket.AF_INET, kind) as sock:
                sock.settimeout(2)
                sock.connect((address, port))
                sock.send(b"hello")
                attempts.append("sent")
        except OSError as error:
            attempts.append(type(error).__name__)
    return " ".join(attempts)


def fork_and_flee(note: str) -> int:
    """Leave a grandchild behind that is in no group of ours and holds every pipe open."""
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork() == 0:
            for _ in range(300):
                Path(note).write_text(str(time.monotonic()))
                time.sleep(0.1)
        os._exit(0)
    os.waitpid(child, 0)
    return child


def processes() -> str:
    children = []
    try:
        while True:
            children.append(subprocess.Popen(["sleep", "60"]))
    except OSError as error:
        return type(error).__name__


def loop() -> int:
    """asyncio wants a socket pair, which is no network."""

    async def main() -> int:
        await asyncio.sleep(0)
        return 7

    return asyncio.run(main())


def count_up(pieces: int, size: int, file: int | None = None) -> Iterator[bytes]:
    """Pieces that begin with their number, or with what the open file holds there."""
    for number in range(pieces):
        yield (os.pread(file, 1, number) if file is not None else bytes([number % 256])) + bytes(size - 1)


def yield_and_refuse() -> Iterator[bytes]:
    yield b"the first"
    raise InvalidMedia("the second is none", field="file")


def yield_and_crash() -> Iterator[bytes]:
    yield b"the first"
    os.kill(os.getpid(), signal.SIGSEGV)


def yield_and_sleep() -> Iterator[bytes]:
    yield b"the first"
    time.sleep(60)
