"""Cells: children that live long and run what nobody vouches for. See `cell.py` for what they are closed with.

    cell = Cell(script, told, limits)          # in a thread: all of this waits
    cell.send([header, values], deadline)      # bytes that its function ``main(told, seal)`` reads from 0...
    cell.receive(view, deadline)               # ...and writes to 1
    cell.close()

A cell is ended by closing it, and with the process. What it says has to be looked at: it may be anything, or nothing.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from ..children import STARTER
from ..errors import SandboxError, SandboxKilled, SandboxTimeout, Unavailable
from .child import CANNOT_ISOLATE, SIGNALLED

FAR = Path(__file__).with_name("cell.py")
SYSTEM = ("/usr", "/lib", "/lib64", "/lib32", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d")
LIBRARIES = ("numpy", "scipy", "sklearn", "skops", "joblib", "torch", "torchvision", "torchaudio", "xgboost",
             "lightgbm")
ENVIRONMENT = {"MALLOC_ARENA_MAX": "2", "LC_ALL": "C.UTF-8", "USER": "cell", "HOME": "/"}  # all that there is of it
GRACE = 2.0  # s the supervisor has to end its worker
LOOK_BYTES = 3000  # of what a cell that is only looked at says
TAIL = 2000  # bytes of what it said on stderr

_LIVE: set[Cell] = set()


@dataclass(frozen=True, slots=True)
class CellLimits:
    file_bytes: int = 16 << 20  # of each file, and of what it prints
    scratch_bytes: int = 64 << 20  # of its folder for scratch
    open_files: int = 128
    threads: int = 64
    niceness: int = 10
    namespaces: bool = True  # may be used
    mounts: bool = True  # likewise; else Landlock


class Cell:
    """One child with pipes to it. Its methods are for one thread at a time, but for `close`.

    Raises `Unavailable` that says what is missing where it can't be closed off; `SandboxTimeout`, and `SandboxKilled`
    or `SandboxError` where it has ended.
    """

    def __init__(self, script: Path, told: dict[str, Any], limits: CellLimits = CellLimits(),
                 files: Sequence[int] = (), name: str = "") -> None:
        """The child has the open `files` under the same numbers, and sees no others than Python's."""
        self.name = name
        self._lock = threading.Lock()
        self._worker: int | None = None  # a descriptor of the process in which it runs
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  close does
        scratch = tempfile.mkdtemp(prefix="aimass-cell-")
        try:
            self._process = STARTER.submit(self._started, script, told, limits, files, scratch).result()
        except (OSError, RuntimeError) as error:  # nothing can be started, or this process is about to end
            self._said.close()
            shutil.rmtree(scratch, True)
            raise Unavailable(f"a process for code can't be started: {error}") from None
        self._scratch = scratch
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        for end in (self._in, self._out):
            os.set_blocking(end, False)
        _LIVE.add(self)

    def _started(self, script: Path, told: dict[str, Any], limits: CellLimits, files: Sequence[int], scratch: str
                 ) -> subprocess.Popen[bytes]:
        argument = json.dumps(told | {
            "script": str(script), "server": os.getpid(), "shown": shown(), "path": libraries(),
            "niceness": limits.niceness, "file_bytes": limits.file_bytes, "scratch_bytes": limits.scratch_bytes,
            "open_files": limits.open_files, "threads_most": limits.threads, "namespaces": limits.namespaces,
            "mounts": limits.mounts})
        threads = {f"{library}_NUM_THREADS": str(told.get("threads", 1)) for library in ("OMP", "OPENBLAS", "MKL")}
        return subprocess.Popen(
            [sys.executable, "-I", "-B", "-S", str(FAR), argument], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self._said, cwd=scratch, env=threads | ENVIRONMENT,
            start_new_session=True, pass_fds=files, bufsize=0)

    def send(self, parts: Sequence[Any], deadline: float) -> None:
        """Buffers, before that moment (s, `time.monotonic`)."""
        for part in parts:
            view = memoryview(part).cast("B")
            while view:
                self._wait(self._in, select.POLLOUT, deadline)
                try:
                    view = view[os.write(self._in, view[: 1 << 20]) :]
                except BlockingIOError:
                    continue
                except OSError:
                    raise self._ended() from None

    def receive(self, view: memoryview, deadline: float) -> None:
        """Just as many bytes as fit, before that moment."""
        while view:
            self._wait(self._out, select.POLLIN, deadline)
            try:
                count = os.readv(self._out, [view[: 1 << 20]])
            except BlockingIOError:
                continue
            except OSError:
                raise self._ended() from None
            if not count:
                raise self._ended()
            view = view[count:]

    def rest(self) -> None:
        """Nothing in it runs any more until `wake`: what it has going beside its answers costs nobody a processor."""
        self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        with self._lock, suppress(ProcessLookupError, psutil.NoSuchProcess):
            if self._said.closed:
                return
            if self._worker is None:  # the last in the line of its processes: it is sealed and starts no other
                family = psutil.Process(self._process.pid).children(recursive=True)
                if not family:
                    return
                self._worker = os.pidfd_open(family[-1].pid)
            signal.pidfd_send_signal(self._worker, number)

    def _wait(self, end: int, what: int, deadline: float) -> None:
        with self._lock:
            if self._said.closed:
                raise SandboxError("it was ended")
            poll = select.poll()
            poll.register(end, what)
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise SandboxTimeout("it did not answer in time")

    def _ended(self) -> SandboxError | Unavailable:
        """Why, where its pipes are closed."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE)
        status, said = self._process.returncode, self._tail()
        if status == CANNOT_ISOLATE:
            return Unavailable(f"code can't be run safely on this machine: {said}")
        number = 0 if status is None else -status if status < 0 else status - SIGNALLED
        if number > 0:
            with suppress(ValueError):
                return SandboxKilled(f"it ended by {signal.Signals(number).name}", signal=number)
        return SandboxError(f"it ended{f': {said}' if said else ''}")

    def _tail(self) -> str:
        with self._lock:
            if self._said.closed:
                return ""
            number = self._said.fileno()
            said = os.pread(number, TAIL, max(0, os.fstat(number).st_size - TAIL))
        lines = said.decode(errors="replace").strip().splitlines()
        return "".join(letter if letter.isprintable() else " " for letter in lines[-1][:300]) if lines else ""

    def close(self) -> None:
        """End all of it; waits for that. May be called again, and in any thread."""
        with suppress(ProcessLookupError):
            if self._process.poll() is None:
                self._process.terminate()
                try:
                    self._process.wait(GRACE)
                except subprocess.TimeoutExpired:
                    os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        _LIVE.discard(self)
        with self._lock:
            if not self._said.closed:
                self._said.close()
                if self._worker is not None:
                    os.close(self._worker)
                for end in (self._process.stdin, self._process.stdout):
                    if end is not None:
                        end.close()
                shutil.rmtree(self._scratch, True)


def close_named(name: str) -> None:
    """End the cells of this name, whoever waits for them."""
    for cell in list(_LIVE):
        if cell.name == name:
            cell.close()


@functools.cache
def libraries() -> list[str]:
    """Folders that packages are imported from."""
    folders = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    for name in LIBRARIES:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin:
            folders.append(str(Path(spec.origin).parent.parent))
    return [folder for folder in dict.fromkeys(folders) if os.path.isdir(folder)]


@functools.cache
def shown() -> list[str]:
    """What a cell can read: Python, its libraries, and the system's; of links also what they lead to."""
    python = [each for path in (sys.base_prefix, *libraries()) for each in (os.path.realpath(path), path)
              if each == path or os.path.islink(path)]
    wanted = [*SYSTEM, os.path.realpath(sys.base_prefix), *python]
    found: list[str] = []
    for path in wanted:
        inside = any(path == each or path.startswith(f"{each}/") for each in found)
        if os.path.exists(path) and not inside and path != "/":
            found.append(path)
    return found


def ways(limits: CellLimits = CellLimits()) -> list[str]:
    """How cells are closed off here: "namespaces", "mounts", "landlock", "seccomp", "user", "user namespace".

    Starts one, which takes some hundredths of a second. Raises `Unavailable` that says what is missing.
    """
    return look((), limits)[0]


def look(imports: Sequence[str], limits: CellLimits = CellLimits()) -> tuple[list[str], dict[str, list[str]]]:
    """`ways`, and of packages that are imported within a cell [version], or ["", why they can't be]."""
    cell = Cell(Path(__file__).with_name("empty.py"), {"imports": list(imports), "bytes": LOOK_BYTES}, limits)
    try:
        answer = bytearray(LOOK_BYTES)
        cell.receive(memoryview(answer), time.monotonic() + 60)
        told = json.loads(answer)
        return list(told["ways"]), dict(told["imported"])
    except (SandboxError, ValueError) as error:
        raise Unavailable(f"code can't be run safely on this machine: {error}") from None
    finally:
        cell.close()
