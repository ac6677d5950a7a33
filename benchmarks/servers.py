"""The servers that are measured: how each is started, asked for a session, and watched from outside."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from .processes import Tree

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
SERVER_CORE = 0
CLIENT_CORE = 1 if (os.cpu_count() or 1) > 1 else 0


@dataclass(frozen=True)
class Subject:
    """A server under test."""

    name: str
    title: str
    command: Callable[[int, int, int], list[str]]  # port, width, height of the pictures that will come
    path: str
    body: Callable[[float], dict[str, Any]]  # handler's ms -> what goes into the offer beside the SDP
    fixed_size: bool = False  # has to know the pictures' size when it starts


def _peer(name: str, title: str, *options: str, folder: str | None = None, fixed_size: bool = False) -> Subject:
    folder = folder or name
    python = HERE / ".venvs" / folder / "bin" / "python"
    script = HERE / "peers" / folder / "server.py"

    def command(port: int, width: int, height: int) -> list[str]:
        return [str(python), str(script), "--port", str(port), "--width", str(width), "--height", str(height), *options]

    return Subject(name, title, command, "/offer", lambda ms: {"handler_ms": ms}, fixed_size)


def _ours(port: int, width: int, height: int) -> list[str]:
    return [sys.executable, "-m", "aimass_stream", "serve", "--port", str(port)]


def _our_body(ms: float) -> dict[str, Any]:
    busy = {"stage": "delay", "ms": ms, "mode": "busy", "track": "video-0"}
    return {"pipeline": [busy] if ms else []}


OURS = "ours"
SUBJECTS = {subject.name: subject for subject in (
    Subject(OURS, "AI Mass Stream", _ours, "/v1/webrtc/offer", _our_body),
    _peer("aiortc", "aiortc relay"),
    _peer("fastrtc", "FastRTC"),
    _peer("pipecat", "Pipecat SmallWebRTC", fixed_size=True),
    _peer("streamlit", "streamlit-webrtc"),
)}
VIDEO_ONLY = _peer("fastrtc-video", "FastRTC, pictures only", "--modality", "video", folder="fastrtc")


def missing(subject: Subject) -> str | None:
    """Why this server can't be started here, or None."""
    program = Path(subject.command(0, 0, 0)[0])
    return None if program.exists() else "its environment is not installed"


def install(name: str) -> None:
    """Make a peer's environment from its locked list, unless it is there."""
    venv = HERE / ".venvs" / name
    wanted = (HERE / "peers" / name / "requirements.txt").read_text()
    stamp = venv / "requirements.txt"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print(f"installing {name} into {venv.relative_to(HERE.parent)}", flush=True)
    uv = str(BIN / "uv")
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(venv)], check=True)
    subprocess.run([uv, "pip", "sync", "--quiet", "--python", str(venv / "bin" / "python"),
                    str(HERE / "peers" / name / "requirements.txt")], check=True)
    stamp.write_text(wanted)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass(frozen=True)
class Usage:
    cpu: float  # core-seconds so far, of the whole process tree with those of it that have ended
    pss: int  # bytes, shared pages divided among those who share them
    rss: int  # bytes
    threads: int
    files: int
    at: float  # s, monotonic


class Server:
    """One running server process, pinned to its core."""

    def __init__(self, subject: Subject, width: int = 640, height: int = 480,
                 environment: dict[str, str] | None = None, core: int | None = SERVER_CORE,
                 watch: bool = False) -> None:
        """`watch`: also count what its processes use that end; looking costs 1 % of a core."""
        self.subject = subject
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.log = HERE / "work" / f"{subject.name}.log"
        self.log.parent.mkdir(exist_ok=True)

        def prepare() -> None:
            if core is not None:
                os.sched_setaffinity(0, {core})
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: it doesn't outlive us

        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                subject.command(self.port, width, height), stdout=log, stderr=log, preexec_fn=prepare,
                start_new_session=True,  # Ctrl-C is ours to handle
                cwd=HERE.parent, env={**os.environ, **(environment or {})})
        self._tree = Tree(self.process.pid)
        try:
            self._wait()
            if watch:
                self._tree.watch()
        except BaseException:
            self.stop()
            raise

    @property
    def url(self) -> str:
        return self.base + self.subject.path

    def _wait(self, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise ConnectionError(f"{self.subject.name} ended at once: {self.tail()}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.5):
                self.settle()
                return
            time.sleep(0.1)
        raise TimeoutError(f"{self.subject.name} did not listen within {seconds:g} s: {self.tail()}")

    def tail(self, size: int = 600) -> str:
        return self.log.read_bytes()[-size:].decode(errors="replace").strip()

    def usage(self) -> Usage:
        pss, rss, threads, files = 0, 0, 0, 0
        for one in self._tree.look():
            with contextlib.suppress(psutil.NoSuchProcess, OSError):  # it may end while we look
                match = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{one.pid}/smaps_rollup").read_text(), re.MULTILINE)
                pss += int(match[1]) * 1024 if match else 0
                rss += one.memory_info().rss
                threads += one.num_threads()
                files += one.num_fds()
        return Usage(self._tree.cpu, pss, rss, threads, files, time.monotonic())

    def settle(self, seconds: float = 5) -> bool:
        """Wait until it does nothing; False when it still worked after `seconds`."""
        end = time.monotonic() + seconds
        before = self.usage()
        while time.monotonic() < end:
            time.sleep(0.4)
            after = self.usage()
            if (after.cpu - before.cpu) / (after.at - before.at) < 0.05:
                return True
            before = after
        return False

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.base + path, timeout=5) as reply:
            return bytes(reply.read())

    def delete(self, path: str) -> None:
        with urllib.request.urlopen(urllib.request.Request(self.base + path, method="DELETE"), timeout=5):
            pass

    def stop(self) -> None:
        self._tree.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)


@contextlib.contextmanager
def serving(subject: Subject, width: int = 640, height: int = 480, environment: dict[str, str] | None = None,
            core: int | None = SERVER_CORE) -> Iterator[Server]:
    server = Server(subject, width, height, environment, core)
    try:
        yield server
    finally:
        server.stop()
