"""Work that must not harm the server: in a child process with limits, without network, niced.

    width, height = await call(measure, path)                      # a function, by its name
    output = await command(["espeak-ng", "--version"])             # a program
    async for piece in stream(decode, 3, files=[3]): ...           # a generator of bytes

The child can use up to its `Limits` of processor, memory and disk; it has no network, none of the server's
environment, and a scratch folder that is removed afterwards. The function's arguments travel pickled, for
the server is to be trusted; its answer comes as JSON or bytes, for the child is not. Nothing here blocks the
event loop. Reading other files is not prevented yet: hostile code needs a user of its own besides.

Processes are kept off the network by namespaces and a system-call filter (see `child.py`); where neither can
be had, `Unavailable` is raised rather than running anything. `isolation` tells which one it is.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import os
import pickle
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

from .. import children, errors
from ..errors import (
    AimassError,
    SandboxError,
    SandboxKilled,
    SandboxRaised,
    SandboxTimeout,
    SandboxTooBig,
    Unavailable,
)
from .child import BACKGROUND as BACKGROUND
from .child import CANNOT_ISOLATE, SIGNALLED

T = TypeVar("T")

log = logging.getLogger(__name__)

CHILD = Path(__file__).with_name("child.py")
TAIL = 16 * 1024  # bytes of stderr that are kept
PIECE = 64 * 1024  # bytes read at a time
PIECE_MOST = 1 << 20  # bytes that a generator may yield at once
GRACE = 1.0  # s the supervisor has to end its worker
KEEP = ("PATH", "LANG", "LC_ALL", "TZ", "SYSTEMROOT")  # of our environment; the rest may hold secrets


@dataclass(frozen=True, slots=True)
class Limits:
    seconds: float = 30  # on the clock, all in all
    cpu_seconds: int = 20  # of each process
    memory_bytes: int = 2 << 30  # address space of each process
    file_bytes: int = 256 << 20  # of each file written
    open_files: int = 128
    processes: int = 64  # and threads
    output_bytes: int = 1 << 20  # of the answer, and of what is printed
    niceness: int = 5  # `BACKGROUND` where nobody waits for it
    network: bool = False
    namespaces: bool = True  # may be used to cut off the network
    filter: bool = True  # may be used to cut off the network


@dataclass(frozen=True, slots=True)
class Output:
    """What a program answered. `stderr` is its end, at most `TAIL` bytes."""

    status: int
    stdout: bytes
    stderr: bytes


async def call(function: Callable[..., Any], *arguments: Any, limits: Limits = Limits(), **named: Any) -> Any:
    """The answer of a module's function: bytes or what JSON has.

    Raises `SandboxTimeout`, `SandboxTooBig`, `SandboxKilled`; `SandboxRaised` for what the function raised, or
    that same error if it is one of ours; `Unavailable` where a child can't be isolated.
    """
    output = await _run([], _request(function, arguments, named), limits)
    return await _answer(output.stdout, output, limits)


async def stream(function: Callable[..., Iterator[bytes]], *arguments: Any, files: Sequence[int] = (),
                 limits: Limits = Limits(), **named: Any) -> AsyncGenerator[bytes, None]:
    """What a module's generator function yields, as it comes; a slow reader holds the child back.

    The child has the open `files` under the same numbers, so that it needs no path to what it reads. Closing the
    iterator ends the child. `limits.seconds` is what the child may take, without what the reader takes;
    `limits.output_bytes` counts all that it yields. Raises as `call`, also after some pieces.
    """
    scratch, spool = await asyncio.to_thread(_prepare, _request(function, arguments, named))
    try:
        with spool:
            async with aclosing(_Child([], scratch, spool, limits, files).pieces()) as pieces:
                async for piece in pieces:
                    yield piece
    finally:
        await asyncio.to_thread(shutil.rmtree, scratch, True)


def _request(function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]) -> bytes:
    return pickle.dumps((sys.path, pickle.dumps((function.__module__, function.__qualname__, arguments, named))))


async def _answer(answer: bytes, output: Output, limits: Limits) -> Any:
    """What the child's function returned, or raises what it raised."""
    if output.status != 0 or not answer:
        raise SandboxRaised(f"ended without an answer{_last_line(output.stderr)}", exception="SystemExit")
    kind, body = answer[:1], answer[1:]
    if kind == b"b":
        return body
    if kind == b"m":
        raise SandboxTooBig(f"needs more than {limits.memory_bytes >> 20} MiB of memory")
    try:
        value = json.loads(body) if len(body) < PIECE else await asyncio.to_thread(json.loads, body)
    except (ValueError, RecursionError):
        raise SandboxError("the answer can't be read") from None
    if kind == b"e":
        raise _raised(value)
    return value


async def command(argv: Sequence[str], *, stdin: bytes = b"", limits: Limits = Limits()) -> Output:
    """Run a program; a status other than 0 is for the caller to judge. Raises as `call`.

    As in a shell, a status over 128 is a signal, and a program that is not there has status 127.
    """
    if not argv or shutil.which(argv[0]) is None:
        raise Unavailable(f"there is no program {argv[0] if argv else ''!r} here")
    return await _run(list(argv), stdin, limits)


async def isolation() -> str:
    """How children are kept off the network here: "namespaces+seccomp", one of the two, or "none"."""
    try:
        kind = str(await call(os.getenv, "AIMASS_SANDBOX"))
    except Unavailable as error:
        log.warning("nothing can be run in a sandbox: %s", error)
        return "none"
    if kind == "seccomp":
        log.warning("namespaces are not allowed here: sandboxed work is kept off the network by a filter alone")
    return kind


async def _run(argv: list[str], stdin: bytes, limits: Limits) -> Output:
    scratch, spool = await asyncio.to_thread(_prepare, stdin)
    try:
        with spool:
            output = await _Child(argv, scratch, spool, limits).run()
    finally:
        await asyncio.to_thread(shutil.rmtree, scratch, True)
    _judge(output, limits)
    return output


def _prepare(stdin: bytes) -> tuple[str, IO[bytes]]:
    """A scratch folder, and a file with what the child reads: a pipe could fill up and hold both sides."""
    spool = tempfile.TemporaryFile()  # noqa: SIM115  _run closes it
    spool.write(stdin)
    spool.seek(0)
    return tempfile.mkdtemp(prefix="aimass-"), spool


class _Child:
    """One run: start, read both pipes to their ends, wait; whatever happens, nothing is left."""

    def __init__(self, argv: list[str], scratch: str, stdin: IO[bytes], limits: Limits,
                 files: Sequence[int] = ()) -> None:
        told = json.dumps(dataclasses.asdict(limits) | {"server": os.getpid()})
        self.argv = [sys.executable, "-I", "-B", str(CHILD), told, *argv]
        self.scratch, self.stdin, self.limits, self.files = scratch, stdin, limits, files
        self.output, self.tail = bytearray(), bytearray()

    async def run(self) -> Output:
        async with self._begun() as (process, stdout, stderr):
            return await self._watch(process, stdout, stderr)

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """A child that yields: "p", four bytes of length, the piece; at the end an answer as that of `call`."""
        async with self._begun() as (process, stdout, stderr):
            self.left, self.size = self.limits.seconds, 0
            tail = asyncio.create_task(self._read_tail(stderr), name="sandbox stderr")
            try:
                while (kind := await self._within(stdout.read(1))) == b"p":
                    length = int.from_bytes(await self._within(_exactly(stdout, 4)), "little")
                    if length > PIECE_MOST:
                        raise SandboxTooBig(f"a piece of {length} bytes; {PIECE_MOST} are the most")
                    self._count(length)
                    yield await self._within(_exactly(stdout, length))
                answer = kind
                while piece := await self._within(stdout.read(PIECE)):
                    self._count(len(piece))
                    answer += piece
                await self._within(tail)
                output = Output(await self._within(process.wait()), b"", bytes(self.tail))
                _judge(output, self.limits)
                await _answer(answer, output, self.limits)
            finally:
                tail.cancel()
                await _end(process)

    async def _within(self, reading: Awaitable[T]) -> T:
        """Waits for the child, and only that counts against its time."""
        begun = time.monotonic()
        try:
            async with asyncio.timeout(self.left):
                return await reading
        except TimeoutError:
            raise SandboxTimeout(f"not done within {self.limits.seconds:g} s") from None
        finally:
            self.left -= time.monotonic() - begun

    def _count(self, size: int) -> None:
        self.size += size
        if self.size > self.limits.output_bytes:
            raise SandboxTooBig(f"the answer is longer than {self.limits.output_bytes} bytes")

    @asynccontextmanager
    async def _begun(self) -> AsyncIterator[tuple[children.Child, asyncio.StreamReader, asyncio.StreamReader]]:
        """The child with its stdout and stderr."""
        process = await children.start(
            self.argv, stdin=self.stdin, stdout=children.PIPE, stderr=children.PIPE, cwd=self.scratch,
            env=self._environment(), start_new_session=True, pass_fds=self.files)
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            yield process, process.stdout, process.stderr
        finally:
            process.close()

    async def _watch(self, process: children.Child, stdout: asyncio.StreamReader,
                     stderr: asyncio.StreamReader) -> Output:
        ending = asyncio.gather(self._read_output(stdout), self._read_tail(stderr), process.wait())
        try:
            async with asyncio.timeout(self.limits.seconds):
                _, _, status = await ending
            return Output(status, bytes(self.output), bytes(self.tail))
        except TimeoutError:
            raise SandboxTimeout(f"not done within {self.limits.seconds:g} s") from None
        finally:
            ending.cancel()
            await _end(process)

    async def _read_output(self, stream: asyncio.StreamReader) -> None:
        while piece := await stream.read(PIECE):
            self.output += piece
            if len(self.output) > self.limits.output_bytes:
                raise SandboxTooBig(f"the answer is longer than {self.limits.output_bytes} bytes")

    async def _read_tail(self, stream: asyncio.StreamReader) -> None:
        size = 0
        while piece := await stream.read(PIECE):
            self.tail += piece
            del self.tail[:-TAIL]
            size += len(piece)
            if size > self.limits.output_bytes:
                raise SandboxTooBig(f"it prints more than {self.limits.output_bytes} bytes")

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in KEEP if name in os.environ}
        threads = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
        return kept | threads | {"HOME": self.scratch, "TMPDIR": self.scratch}


async def _exactly(stream: asyncio.StreamReader, size: int) -> bytes:
    """Fewer bytes where the child ended before it said all of that."""
    try:
        return await stream.readexactly(size)
    except asyncio.IncompleteReadError as error:
        return error.partial


async def _end(process: children.Child) -> None:
    """Leave no process of this run: its supervisor ends them all when asked, else the kernel does."""
    with suppress(ProcessLookupError):
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(GRACE):
                    await process.wait()
            except TimeoutError:
                os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _judge(output: Output, limits: Limits) -> None:
    """Raises what the supervisor's exit status means."""
    if output.status == CANNOT_ISOLATE:
        raise Unavailable(f"the sandbox can't be closed: {output.stderr.decode(errors='replace')}")
    number = -output.status if output.status < 0 else output.status - SIGNALLED
    if number == signal.SIGXCPU:
        raise SandboxTimeout(f"used more than {limits.cpu_seconds} s of processor time")
    if number == signal.SIGXFSZ:
        raise SandboxTooBig(f"wrote a file of more than {limits.file_bytes} bytes")
    if number > 0:
        with suppress(ValueError):
            raise SandboxKilled(f"ended by {signal.Signals(number).name}{_last_line(output.stderr)}", signal=number)


def _raised(told: Any) -> AimassError:
    """The error that the function raised: ours as it was, others by their name."""
    if not isinstance(told, dict):
        return SandboxError("the answer can't be read")
    name, detail, field = str(told.get("exception")), str(told.get("detail")), told.get("field")
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, AimassError) and not issubclass(kind, SandboxError):
        return kind(detail, field=field if isinstance(field, str) else None)
    return SandboxRaised(f"{name}: {detail}", exception=name, traceback=str(told.get("traceback")))


def _last_line(stderr: bytes) -> str:
    lines = stderr.decode(errors="replace").strip().splitlines()
    return f": {lines[-1][:200]}" if lines else ""
