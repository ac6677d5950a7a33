"""Processes that are begun in a thread, under both event loops."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import psutil
import pytest
import uvloop

from aimass_stream import children
from aimass_stream.children import DEVNULL, PIPE, start

ECHO = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.readline()); sys.stderr.write('said')"
WAITS = "import sys; sys.stdin.read()"
Begin = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def run(request: pytest.FixtureRequest) -> Begin:
    def begin(work: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(asyncio.wait_for(work, 30))

    return begin


def test_its_three_are_streams_and_it_begins_off_the_loop(run: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    begun_by = []

    class Noting(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            begun_by.append(threading.current_thread().name)
            super().__init__(*arguments, **named)

    monkeypatch.setattr(subprocess, "Popen", Noting)

    async def work() -> None:
        child = await start([sys.executable, "-c", ECHO], stdin=PIPE, stdout=PIPE, stderr=PIPE)
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdin.write(b"a line\n")
        assert (await child.stdout.read(), await child.stderr.read()) == (b"a line\n", b"said")
        assert await child.wait() == 0 == child.returncode
        child.kill()  # nothing happens
        child.close()

    run(work())
    assert begun_by[0].startswith("aimass-children")


def test_a_signal_is_told_as_its_negative_number(run: Begin) -> None:
    async def work() -> None:
        child = await start([sys.executable, "-c", WAITS], stdin=PIPE)
        assert child.returncode is None
        child.terminate()
        assert await child.wait() == -signal.SIGTERM
        child.close()

    run(work())


def test_a_program_that_is_not_there_leaves_no_open_files(run: Begin) -> None:
    def open_files() -> set[str]:
        return set(os.listdir("/proc/self/fd"))

    async def work() -> None:
        before = open_files()
        with pytest.raises(FileNotFoundError):
            await start(["no-such-program"], stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
        await asyncio.sleep(0)  # who closes comes after who raises
        assert open_files() == before

    run(work())


def test_cancelled_while_it_begins_it_leaves_no_process(run: Begin, tmp_path: Path) -> None:
    held, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        assert let_go.wait(20)

    mark = str(tmp_path)

    async def work() -> None:
        children.STARTER.submit(hold)
        assert await asyncio.to_thread(held.wait, 20)
        starting = asyncio.create_task(start([sys.executable, "-c", WAITS, mark], stdin=PIPE))
        await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        let_go.set()
        await asyncio.wrap_future(children.STARTER.submit(bool))  # what was asked for before has begun
        while any(mark in _line(child) for child in psutil.Process().children()):  # noqa: ASYNC110  the system's
            await asyncio.sleep(0.01)  # a killed one is seen until it was waited for

    run(work())


def _line(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []
