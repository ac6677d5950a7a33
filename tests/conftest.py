"""What every test gets: an asyncio backend, and a guard that fails a test which holds the event loop."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpcore  # noqa: F401  httpx imports it with its first client: not inside a test
import pytest

import aimass_stream.frames  # noqa: F401  numpy, OpenCV and PyAV take a while to import, too

HELD = 0.1  # s of the loop thread's CPU time in one callback: on a slow machine with busy neighbours, too


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    # uvloop's callbacks can't be watched; the server's own process runs on it in the end-to-end tests
    return "asyncio", {"use_uvloop": False}


@pytest.fixture(autouse=True)
def loop_guard(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test in which one callback holds the loop for over 100 ms of CPU time (not wall clock)."""
    marker = request.node.get_closest_marker("slow_loop")
    limit = marker.args[0] / 1000 if marker is not None else HELD
    held: list[str] = []
    run = asyncio.Handle._run

    def watched(handle: asyncio.Handle) -> None:
        collections = gc.get_stats()[2]["collections"]
        begun = time.thread_time()
        run(handle)
        used = time.thread_time() - begun
        if threading.current_thread() is not threading.main_thread():
            return  # a thread's own loop, which holds up nobody
        # a full collection of the test process's own garbage is not the code's doing
        if used > limit and gc.get_stats()[2]["collections"] == collections:
            held.append(f"{used * 1000:.0f} ms in {handle!r}")

    monkeypatch.setattr(asyncio.Handle, "_run", watched)
    yield
    monkeypatch.undo()
    assert not held, "the event loop was held: " + "; ".join(held)
