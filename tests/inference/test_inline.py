"""Runs on the event loop: only of models that are measured to be short, whatever they are given."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from aimass_stream.errors import DeadlineMissed, InvalidInput, ModelFailed
from aimass_stream.inference import Batch, CpuDevice, Engine
from aimass_stream.inference.inline import IN_A_ROW, LONG, SHORT, TOO_LONG, Inline
from tests.support.models import Doubler, Shelf, row

pytestmark = pytest.mark.anyio


class Steady(Doubler):
    """Notes in which thread its runs are; burns the processor for `work` seconds, and fails where it is told to."""

    def __init__(self, *, steady: bool = True, fixed_shapes: bool = True, beside: bool = True, slots: int = 0) -> None:
        super().__init__("steady", slots=slots)
        self.capabilities = replace(self.capabilities, steady=steady, fixed_shapes=fixed_shapes, beside=beside)
        self.threads: list[threading.Thread] = []
        self.work = 0.0
        self.fails = False

    def run(self, batch: Batch) -> Batch:
        self.threads.append(threading.current_thread())
        begun = time.thread_time()
        while time.thread_time() - begun < self.work:
            pass
        if self.fails:
            raise RuntimeError("it was told to")
        if (batch["x"] < 0).any():
            raise InvalidInput("no negative values", field="x")
        return {"y": batch["x"] * 2}

    def here(self) -> bool:
        """Whether the last run was on the loop."""
        return self.threads[-1] is threading.current_thread()


@asynccontextmanager
async def running(model: Steady, alone: dict[int, float]) -> AsyncIterator[Engine]:
    """As if that had been measured: what a machine that others use measures is no part of this."""
    engine = Engine(Shelf(), CpuDevice(threads=1))
    await engine.add(model)
    engine._models[model.name].inline = Inline(model, alone)
    try:
        yield engine
    finally:
        await engine.close()


async def test_as_many_rows_as_were_measured_to_be_short_run_at_once() -> None:
    model = Steady()
    async with running(model, {1: SHORT / 4, 2: SHORT / 2, 4: SHORT * 2}) as engine:
        told: list[str] = []
        engine.answered = lambda name, inputs, outputs: told.append(name)
        assert (await engine.submit("steady", row(2), session="a", background=True))["y"][0, 0] == 4
        assert model.here()
        two = {"x": row(1)["x"].repeat(2, axis=0)}
        await engine.submit("steady", two, session="a")
        assert model.here()
        await engine.submit("steady", {"x": row(1)["x"].repeat(4, axis=0)}, session="a")
        assert not model.here()
        counted = engine.statistics()["steady"]
        assert (counted.runs, counted.rows, told) == (3, 7, ["steady"] * 3)
        with pytest.raises(DeadlineMissed):
            await engine.submit("steady", row(1), session="a", deadline=time.monotonic() - 1)


@pytest.mark.parametrize("model", [Steady(steady=False), Steady(fixed_shapes=False), Steady(beside=False),
                                   Steady(slots=2)])
def test_whoever_could_take_long_or_must_not_meet_itself_does_not(model: Steady) -> None:
    assert Inline(model, {1: SHORT / 4}).rows == 0
    assert Inline(Steady(), {}).rows == Inline(Steady(), {1: 2 * SHORT}).rows == 0


async def test_what_takes_long_all_the_same_goes_to_a_thread() -> None:
    model = Steady()
    async with running(model, {1: SHORT / 4}) as engine:
        model.work = 2 * LONG
        for _ in range(1 + TOO_LONG):  # it is looked at more closely after the first
            await engine.submit("steady", row(1), session="a")
            assert model.here()
        await engine.submit("steady", row(1), session="a")
        assert not model.here()


async def test_who_asks_without_end_lets_others_have_their_turn() -> None:
    model, others = Steady(), 0

    async def other() -> None:
        nonlocal others
        while True:
            others += 1
            await asyncio.sleep(0)

    async with running(model, {1: SHORT / 4}) as engine:
        beside = asyncio.create_task(other())
        for _ in range(3 * IN_A_ROW):
            await engine.submit("steady", row(1), session="a")
            assert model.here()
        beside.cancel()
        assert others >= 3


async def test_what_fails_is_tried_and_counted_in_the_usual_way() -> None:
    model = Steady()
    async with running(model, {1: SHORT / 4}) as engine:
        with pytest.raises(InvalidInput, match="negative"):
            await engine.submit("steady", row(-1), session="a")
        assert engine.statistics()["steady"].failures == 0
        model.fails = True
        with pytest.raises(ModelFailed, match="told to"):
            await engine.submit("steady", row(1), session="a")
        assert engine.statistics()["steady"].failures == 1
        model.fails = False
        await engine.submit("steady", row(1), session="a")
        assert model.here()
