"""What goes on where its caller is cancelled."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import IO, Any

import pytest

from aimass_stream.store import Blobs
from aimass_stream.uncut import opened, to_the_end
from tests.support.fifo import unread, writer
from tests.support.waiting import until

pytestmark = pytest.mark.anyio


async def of_blobs(fifo: Path) -> int:
    class Slow(Blobs):
        def path(self, sha256: str) -> Path:
            return fifo

    return await Slow(fifo.parent / "blobs").open("0" * 64)


def by_number(fifo: Path) -> Coroutine[Any, Any, int]:
    return opened(lambda: os.open(fifo, os.O_RDONLY))


def by_file(fifo: Path) -> Coroutine[Any, Any, IO[bytes]]:
    return opened(lambda: fifo.open("rb"))


@pytest.mark.parametrize("opening", [of_blobs, by_number, by_file])
async def test_what_is_opened_for_who_is_gone_is_closed(
        tmp_path: Path, opening: Callable[[Path], Coroutine[Any, Any, object]]) -> None:
    os.mkfifo(tmp_path / "in")
    asking = asyncio.create_task(opening(tmp_path / "in"))
    await asyncio.sleep(0)  # its thread is asked for
    asking.cancel()
    await asyncio.wait([asking])
    assert asking.cancelled()
    number = await writer(tmp_path / "in")
    try:
        await until(lambda: unread(number))
    finally:
        os.close(number)


async def test_what_cannot_be_opened_is_told_or_forgotten(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await by_file(tmp_path / "none")
    asking = asyncio.create_task(by_file(tmp_path / "none"))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])
    assert asking.cancelled()


async def test_what_is_done_to_the_end_outlasts_any_number_of_cancellations() -> None:
    may, done = asyncio.Event(), []

    async def write() -> str:
        await may.wait()
        done.append(True)
        return "written"

    asking = asyncio.create_task(to_the_end(write()))
    for _ in range(3):
        await asyncio.sleep(0)
        asking.cancel()
    await asyncio.sleep(0)
    assert not asking.done()
    may.set()
    await asyncio.wait([asking])
    assert asking.cancelled()
    assert done == [True]
    assert await to_the_end(write()) == "written"


async def test_what_fails_at_the_end_says_so_to_who_still_waits() -> None:
    may = asyncio.Event()

    async def fail() -> None:
        await may.wait()
        raise ValueError("no room")

    asking = asyncio.create_task(to_the_end(fail()))
    await asyncio.sleep(0)
    asking.cancel()
    may.set()
    await asyncio.wait([asking])
    assert asking.cancelled()
    with pytest.raises(ValueError, match="no room"):
        await to_the_end(fail())
