"""Models in processes of their own: nobody else waits for one, and one that is away for a while is not at fault."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from aimass_stream.errors import AimassError, Unavailable
from aimass_stream.inference import CpuDevice, Engine, FolderStore
from aimass_stream.inference.contract import Batch, Capabilities, TensorSpec

pytestmark = pytest.mark.anyio

ONE = {"x": np.ones((1,), np.float32)}


class Slow:
    """Answers when it is let go; 2 in its input: it is away."""

    version = "1"
    inputs: tuple[TensorSpec, ...] = (TensorSpec("x", (1,)),)
    outputs: tuple[TensorSpec, ...] = inputs

    def __init__(self, name: str, apart: bool) -> None:
        self.name, self.capabilities = name, Capabilities(apart=apart, longest=60)
        self.begun, self.let_go, self.closed = threading.Event(), threading.Event(), False
        self.let_go.set()

    def warm_up(self) -> None:
        self.run(ONE)

    def run(self, batch: Batch) -> Batch:
        if batch["x"][0] == 2:
            raise Unavailable("it is being started again", retry_after=3)
        self.begun.set()
        self.let_go.wait(60)
        return batch

    def reset(self, slot: int) -> None:
        """It has no state."""

    def close(self) -> None:
        self.closed = True


def own(thread: threading.Thread) -> bool:
    return thread.name.startswith("aimass-cell") and not thread.name.startswith("aimass-cells")


async def test_nobody_waits_for_one_that_is_apart() -> None:
    engine, apart, other = Engine(FolderStore([]), CpuDevice(threads=1, places=1)), Slow("a", True), Slow("b", False)
    await engine.add(apart)
    await engine.add(other)
    apart.let_go.clear()
    apart.begun.clear()
    waiting = asyncio.create_task(engine.submit("a", ONE, session="s"))
    await asyncio.to_thread(apart.begun.wait, 60)
    assert (await engine.submit("b", ONE, session="s"))["x"] == 1
    assert not waiting.done()
    apart.let_go.set()
    assert (await waiting)["x"] == 1
    assert sum(map(own, threading.enumerate())) == 1
    await engine.unload("a")
    assert apart.closed
    assert not any(map(own, threading.enumerate()))  # its thread went along
    await engine.add(Slow("a", True))  # and comes back with it
    assert (await engine.submit("a", ONE, session="s"))["x"] == 1
    await engine.close()


async def test_one_that_is_away_is_not_taken_out() -> None:
    engine = Engine(FolderStore([]), CpuDevice(threads=1, places=1))
    await engine.add(Slow("a", True))
    for _ in range(8):
        with pytest.raises(AimassError, match="being started again") as caught:
            await engine.submit("a", {"x": np.full((1,), 2, np.float32)}, session="s")
        assert caught.value.data["retry_after"] == 3
    assert (await engine.submit("a", ONE, session="s"))["x"] == 1
    await engine.close()
