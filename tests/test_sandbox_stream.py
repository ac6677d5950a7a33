"""What a generator in the sandbox yields, and that nothing of it stays behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import psutil
import pytest

from aimass_stream.errors import InvalidMedia, SandboxKilled, SandboxTimeout, SandboxTooBig
from aimass_stream.sandbox import PIECE_MOST, Limits, stream
from tests.support import sandboxed as work

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
async def nothing_stays() -> AsyncIterator[None]:
    me = psutil.Process()
    descriptors, children = me.num_fds(), set(me.children(recursive=True))
    yield
    async with asyncio.timeout(30):
        while me.num_fds() > descriptors or set(me.children(recursive=True)) > children:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_pieces_come_whole_and_in_order(tmp_path: Path) -> None:
    pieces = [piece async for piece in stream(work.count_up, 40, 100_000, limits=Limits(output_bytes=5_000_000))]
    assert [piece[0] for piece in pieces] == list(range(40))
    assert {len(piece) for piece in pieces} == {100_000}
    with (tmp_path / "note").open("wb+") as file:
        file.write(b"abc")
        file.flush()
        of_file = [piece async for piece in stream(work.count_up, 3, 1, file.fileno(), files=[file.fileno()])]
    assert of_file == [b"a", b"b", b"c"]
    assert [piece async for piece in stream(work.count_up, 0, 1)] == []


async def test_a_slow_reader_holds_the_child_back_and_may_leave() -> None:
    """It yields far more than pipes hold; what nobody reads it does not make. The reader's time is not its own."""
    limits = Limits(seconds=1.5, output_bytes=1 << 40)
    others = set(psutil.Process().children())
    async with aclosing(stream(work.count_up, 100_000, 100_000, limits=limits)) as pieces:
        await anext(pieces)
        (child,) = set(psutil.Process().children()) - others
        await asyncio.sleep(1.6)
        before = child.cpu_times()
        assert (await anext(pieces))[0] == 1
        assert child.cpu_times().user - before.user < 0.2
    assert not child.is_running()


@pytest.mark.parametrize(("function", "limits", "error"), [
    (work.yield_and_refuse, Limits(), InvalidMedia),
    (work.yield_and_crash, Limits(), SandboxKilled),
    (work.yield_and_sleep, Limits(seconds=3), SandboxTimeout),
    (work.yield_and_refuse, Limits(output_bytes=8), SandboxTooBig),
])
async def test_the_end_of_a_child_is_told_after_its_pieces(function: Any, limits: Limits, error: type) -> None:
    seen = []

    async def gather() -> None:
        async for piece in stream(function, limits=limits):
            seen.append(piece)

    with pytest.raises(error):
        await gather()
    assert seen == ([] if limits.output_bytes == 8 else [b"the first"])


async def test_a_piece_has_a_length_that_is_kept_to() -> None:
    with pytest.raises(SandboxTooBig, match="are the most"):
        await anext(stream(work.count_up, 1, PIECE_MOST + 1, limits=Limits(output_bytes=1 << 30)))
