"""Threads of a session: what they run, how many there are, and that none is left."""

from __future__ import annotations

import asyncio
import threading

import pytest

from aimass_stream.workers import Workers

pytestmark = pytest.mark.anyio


async def test_posted_work_comes_back_by_the_loop() -> None:
    workers = Workers(2, "test")
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    workers.post(lambda value: loop.call_soon_threadsafe(done.set_result, value + 1), 41)
    assert await done == 42
    workers.shutdown()


async def test_the_loop_can_run_work_in_it_and_errors_come_back() -> None:
    workers = Workers(2, "test")
    loop = asyncio.get_running_loop()
    assert await loop.run_in_executor(workers, sum, [1, 2, 3]) == 6
    with pytest.raises(ZeroDivisionError):
        await loop.run_in_executor(workers, lambda: 1 // 0)
    workers.shutdown()


async def test_threads_start_when_they_are_needed_and_are_joined() -> None:
    before = threading.active_count()
    workers = Workers(3, "test")
    loop = asyncio.get_running_loop()
    for _ in range(5):  # one at a time needs one thread
        await loop.run_in_executor(workers, threading.get_ident)
    assert threading.active_count() <= before + 2  # its count may lag behind by one
    together = threading.Barrier(4, timeout=10)
    waiting = [loop.run_in_executor(workers, together.wait) for _ in range(3)]
    await loop.run_in_executor(None, together.wait)  # only three threads at once let this one pass
    await asyncio.gather(*waiting)
    workers.shutdown()
    assert all(not thread.name.startswith("test-") for thread in threading.enumerate())


def test_a_failure_does_not_end_a_thread(caplog: pytest.LogCaptureFixture) -> None:
    workers = Workers(1, "test")
    seen: list[int] = []
    workers.post(lambda: 1 // 0)
    workers.post(seen.append, 1)
    workers.shutdown()
    assert seen == [1]
    assert "failed" in caplog.text


def test_after_the_end_nothing_is_taken() -> None:
    workers = Workers(1, "test")
    workers.shutdown()
    with pytest.raises(RuntimeError):
        workers.post(print)
