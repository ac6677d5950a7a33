"""Devices with a time of their own: the next run is begun while this one is on its way, and not more than that."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import numpy as np
import pytest

from aimass_stream.errors import ModelFailed
from aimass_stream.inference import Batch, Capabilities, CpuDevice, Engine
from tests.support.models import Doubler, Shelf, row

pytestmark = pytest.mark.anyio

T = TypeVar("T")


class Overlapping(CpuDevice):
    """As a card: the worker launches, the end is waited for elsewhere."""

    def __init__(self) -> None:
        super().__init__(places=1)
        self.places = 2

    async def launch(self, work: Callable[[], Callable[[], T]]) -> T:
        return await asyncio.to_thread(await self.run(work))


class Launched(Doubler):
    """Ends when its run's gate is opened; says in which order runs were begun."""

    def __init__(self, longest: float = 5.0) -> None:
        super().__init__(max_batch=1)
        self.capabilities = Capabilities(longest=longest)
        self.begun: list[float] = []
        self.gates: dict[float, threading.Event] = {}

    def launch(self, batch: Batch) -> Callable[[], Batch]:
        value = float(batch["x"][0, 0])
        gate = self.gates[value] = threading.Event()
        self.begun.append(value)
        return partial(self._ended, gate, batch["x"])

    def _ended(self, gate: threading.Event, x: np.ndarray) -> Batch:
        gate.wait(30)
        return {"y": x * 2}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  what is waited for happens in a thread
            await asyncio.sleep(0.001)


async def test_two_runs_are_under_way_and_the_third_waits() -> None:
    model, engine = Launched(), Engine(Shelf(), Overlapping())
    try:
        await engine.add(model)
        asked = [asyncio.create_task(engine.submit("doubler", row(value), session=f"s{value}")) for value in range(3)]
        await until(lambda: len(model.begun) == 2)
        assert model.begun == [0, 1]
        assert engine.statistics()["doubler"].waiting == 1
        model.gates[1].set()  # the second may end first
        assert (await asked[1])["y"][0, 0] == 2
        await until(lambda: len(model.begun) == 3)
        assert not asked[0].done()
        for gate in model.gates.values():
            gate.set()
        assert [float((await task)["y"][0, 0]) for task in asked] == [0, 2, 4]
        found = engine.statistics()["doubler"]
        assert found.busy <= sum((found.run_p50, found.run_p95, found.run_p95))  # what overlaps counts once
    finally:
        for gate in model.gates.values():
            gate.set()
        await engine.close()


async def test_a_run_that_was_launched_and_never_ends_is_given_up() -> None:
    model, other = Launched(longest=0.3), Doubler("other")
    engine = Engine(Shelf(), Overlapping())
    try:
        await engine.add(model)
        await engine.add(other)
        stuck = asyncio.create_task(engine.submit("doubler", row(1), session="a"))
        await until(lambda: model.begun == [1])
        assert (await engine.submit("other", row(3), session="b"))["y"][0, 0] == 6  # meanwhile
        with pytest.raises(ModelFailed, match="taken out because a run had not ended"):
            await stuck
        assert (await engine.submit("other", row(4), session="b"))["y"][0, 0] == 8
        assert engine.statistics()["doubler"].state == "failed"
    finally:
        for gate in model.gates.values():
            gate.set()
        await engine.close()
