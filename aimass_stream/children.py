"""Child processes that hold up nobody when they begin.

asyncio starts them on the event loop, and uvloop does so by fork: with a server's memory that takes 5 to 20 ms, in
which no session's packets are read or sent. Here `subprocess.Popen` does it in a thread, by vfork, which copies
nothing.

That thread lives as long as the process: the kernel can be told to end a child with its parent (`PR_SET_PDEATHSIG`),
and means by that the thread which started it.
"""

from __future__ import annotations

import asyncio
import functools
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import IO, Any

STARTER = ThreadPoolExecutor(1, "aimass-children")
PIPE, DEVNULL = subprocess.PIPE, subprocess.DEVNULL
PIECE = 64 * 1024  # bytes that a reader keeps before it holds the child back


class Child:
    """A process that has begun. Belongs to the loop that started it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.pid = process.pid
        self.stdin: asyncio.WriteTransport | None = None
        self.stdout: asyncio.StreamReader | None = None
        self.stderr: asyncio.StreamReader | None = None
        self._process = process
        self._transports: list[asyncio.BaseTransport] = []
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int] = self._loop.create_future()
        threading.Thread(target=self._wait, name=f"child {self.pid}", daemon=True).start()

    @property
    def returncode(self) -> int | None:
        """The exit status, minus a signal's number where that ended it; None while it runs."""
        return self._process.returncode

    async def wait(self) -> int:
        """Until it has ended: its `returncode`."""
        return await asyncio.shield(self._ended)

    def terminate(self) -> None:
        """Ask it to end. Nothing happens where it has."""
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        """The server's ends of its pipes."""
        for transport in self._transports:
            transport.close()

    def _wait(self) -> None:
        status = self._process.wait()
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(self._told, status)

    def _told(self, status: int) -> None:
        if not self._ended.done():
            self._ended.set_result(status)

    async def connect(self, ends: Mapping[str, int], limit: int) -> None:
        for name, end in ends.items():
            if name == "stdin":
                self.stdin = await self._writer(end)
            else:
                setattr(self, name, await self._reader(end, limit))

    async def _reader(self, end: int, limit: int) -> asyncio.StreamReader:
        reader = asyncio.StreamReader(limit)
        transport, _ = await self._loop.connect_read_pipe(
            functools.partial(asyncio.StreamReaderProtocol, reader), PipeEnd(end, self._loop))
        self._transports.append(transport)
        return reader

    async def _writer(self, end: int) -> asyncio.WriteTransport:
        transport, _ = await self._loop.connect_write_pipe(asyncio.BaseProtocol, PipeEnd(end, self._loop))
        self._transports.append(transport)
        return transport


async def start(argv: Sequence[str], *, stdin: int | IO[bytes] | None = DEVNULL, stdout: int | None = None,
                stderr: int | None = None, limit: int = PIECE, **options: Any) -> Child:
    """Begin a program. Each of its three may be `PIPE`: then the child has a stream of that name, which keeps `limit`
    bytes before it holds the child back; who starts it calls `close`. `options` are those of `subprocess.Popen`.

    Raises `OSError` where it can't begin. Cancelled meanwhile, it leaves no process.
    """
    ours, theirs = {}, {}
    for name, wanted in (("stdin", stdin), ("stdout", stdout), ("stderr", stderr)):
        if wanted == PIPE:
            reading, writing = os.pipe()
            ours[name], theirs[name] = (writing, reading) if name == "stdin" else (reading, writing)

    def begin() -> subprocess.Popen[bytes]:
        return subprocess.Popen(list(argv), stdin=theirs.get("stdin", stdin), stdout=theirs.get("stdout", stdout),
                                stderr=theirs.get("stderr", stderr), **options)

    starting = asyncio.wrap_future(STARTER.submit(begin))
    try:
        await asyncio.wait([starting])  # a moment: nobody else could end what is just beginning
        process = starting.result()
    except BaseException:
        for end in ours.values():
            os.close(end)
        starting.add_done_callback(_forget)
        raise
    finally:
        starting.add_done_callback(functools.partial(_close, list(theirs.values())))
    child = Child(process)
    try:
        await child.connect(ours, limit)
    except BaseException:
        child.kill()
        child.close()
        raise
    return child


def _close(ends: Sequence[int], _: object) -> None:
    for end in ends:
        os.close(end)


def _forget(starting: asyncio.Future[subprocess.Popen[bytes]]) -> None:
    """Nobody will hear of this one."""
    if not starting.cancelled() and starting.exception() is None:
        Child(starting.result()).kill()


class PipeEnd:
    """A pipe's end, for `loop.connect_read_pipe` and `connect_write_pipe`.

    uvloop closes the number itself and calls `close` then; what another thread has opened under that number meanwhile
    must not be closed by it.
    """

    def __init__(self, number: int, loop: asyncio.AbstractEventLoop) -> None:
        self._number = number
        self._ours = not type(loop).__module__.startswith("uvloop")

    def fileno(self) -> int:
        return self._number

    def close(self) -> None:
        if self._ours:
            self._ours = False
            os.close(self._number)
