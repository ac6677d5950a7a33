"""Two runs at once on the processor: for models that can and are measured to gain, and for nobody else."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from aimass_stream.errors import DeadlineMissed, ModelFailed
from aimass_stream.inference import Batch, CpuDevice, Engine
from aimass_stream.inference.device import Worker, cores
from aimass_stream.inference.statistics import best_way
from tests.support.models import Adder, Doubler, Perceptron, Shelf, row

pytestmark = pytest.mark.anyio

LONG = 0.03  # s of a run while it is measured: a sleep, so two at once take no longer than one


class Beside(Doubler):
    """Says that its runs can be at once; with `turns` they take turns all the same. Holds those with `values`."""

    def __init__(self, name: str = "doubler", *, turns: bool = False, longest: float = 5.0, max_batch: int = 1) -> None:
        super().__init__(name, fixed=LONG, max_batch=max_batch)
        self.capabilities = replace(self.capabilities, beside=True, longest=longest)
        self.turn = threading.Lock() if turns else None
        self.gates: dict[float, threading.Event] = {}
        self.begun: list[float] = []

    def run(self, batch: Batch) -> Batch:
        value = float(batch["x"][0, 0])
        if self.noting:
            self.begun.append(value)
            assert self.gates.get(value, self.gate).wait(30)
            return {"y": self.compute(batch["x"], batch)}
        if self.turn is None:
            return super().run(batch)
        with self.turn:
            return super().run(batch)

    def compute(self, rows: NDArray[Any], batch: Batch) -> NDArray[Any]:
        if (rows[:, 0] < 0).any():
            raise RuntimeError("a negative value")
        return rows * 2

    def hold(self, *values: float) -> None:
        self.gates |= {value: threading.Event() for value in values}

    def let(self, *values: float) -> None:
        for value in values or list(self.gates):
            self.gates[value].set()


@asynccontextmanager
async def running(*models: Doubler) -> AsyncIterator[Engine]:
    engine = Engine(Shelf(Doubler), CpuDevice(threads=1, places=2))
    for model in models:
        await engine.add(model)
        model.noting = True
    try:
        yield engine
    finally:
        for model in models:
            model.gate.set()
            if isinstance(model, Beside):
                model.let()
        await engine.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  what is waited for happens in a thread
            await asyncio.sleep(0.001)


def ask(engine: Engine, model: Doubler, value: float, session: str = "", **options: Any) -> asyncio.Task[Batch]:
    return asyncio.create_task(engine.submit(model.name, row(value), session=session or f"s{value}", **options))


async def test_two_runs_at_once_and_the_third_waits() -> None:
    model = Beside()
    model.hold(0, 1, 2)
    async with running(model) as engine:
        assert engine.statistics()["doubler"].at_once == 2
        begun = time.monotonic()
        asked = [ask(engine, model, value) for value in range(3)]
        await until(lambda: len(model.begun) == 2)
        assert engine.statistics()["doubler"].waiting == 1
        model.let(1)
        assert (await asked[1])["y"][0, 0] == 2  # the second may end first
        await until(lambda: model.begun == [0, 1, 2])
        assert not asked[0].done()
        model.let()
        assert [float((await task)["y"][0, 0]) for task in asked] == [0, 2, 4]
        found = engine.statistics()["doubler"]
        assert found.runs == 3
        assert found.busy <= time.monotonic() - begun  # what overlaps counts once


async def test_one_that_does_not_gain_runs_alone() -> None:
    model = Beside(turns=True)
    model.hold(0)
    async with running(model) as engine:
        assert engine.statistics()["doubler"].at_once == 1
        first, second = ask(engine, model, 0), ask(engine, model, 1)
        await until(lambda: engine.statistics()["doubler"].waiting == 1 and model.begun == [0])
        model.let()
        await asyncio.gather(first, second)


async def test_what_can_not_go_beside_itself_goes_beside_what_can() -> None:
    model, other, third = Beside(), Doubler("other", max_batch=1), Doubler("third", max_batch=1)
    model.hold(1)
    async with running(model, other, third) as engine:
        other.gate.clear()
        held = ask(engine, other, 10)
        await until(other.entered.is_set)
        waits, neighbour = ask(engine, third, 30), ask(engine, model, 1)
        await until(lambda: model.begun == [1])  # it went past the one that had to wait
        assert not third.entered.is_set()
        other.gate.set()
        assert (await held)["y"][0, 0] == 20
        assert (await waits)["y"][0, 0] == 60  # beside it, as soon as its own kind is done
        model.let()
        assert (await neighbour)["y"][0, 0] == 2


async def test_states_take_one_step_at_a_time() -> None:
    adder = Adder(slots=2, max_batch=1)
    adder.capabilities = replace(adder.capabilities, beside=True)  # it is not believed
    async with running(adder) as engine:
        assert engine.statistics()["adder"].at_once == 1
        answers = [ask(engine, adder, 1, "a", state="a") for _ in range(6)]
        assert [float((await task)["y"][0, 0]) for task in answers] == [1, 2, 3, 4, 5, 6]


async def test_the_background_begins_when_nothing_is_under_way() -> None:
    model = Beside()
    model.hold(0)
    async with running(model) as engine:
        first, later = ask(engine, model, 0), ask(engine, model, 5, background=True)
        await until(lambda: model.begun == [0])
        assert (await ask(engine, model, 1))["y"][0, 0] == 2  # in the second place
        assert not later.done()
        assert model.begun == [0, 1]
        model.let()
        await asyncio.gather(first, later)
        assert model.begun == [0, 1, 5]


async def test_the_background_takes_both_places_where_cores_are_spare() -> None:
    model = Beside()
    model.hold(0, 1)
    async with running(model) as engine:
        asked = [ask(engine, model, value, background=True, spare=True) for value in (0, 1)]
        await until(lambda: sorted(model.begun) == [0, 1])
        needed = ask(engine, model, 2, background=True)  # somebody lives by now
        model.let(0)
        await asked[0]
        assert not needed.done()
        model.let(1)
        await asyncio.gather(*asked, needed)
        assert model.begun[2:] == [2]


async def test_sessions_take_turns_in_both_places() -> None:
    model = Beside()
    model.hold(*range(6), 100)
    async with running(model) as engine:
        asked = [ask(engine, model, value, "greedy") for value in range(6)]
        await until(lambda: sorted(model.begun) == [0, 1])  # two threads: either may note it first
        asked.append(ask(engine, model, 100, "modest"))
        await until(lambda: engine.statistics()["doubler"].waiting == 5)
        model.let(0, 1)
        await until(lambda: len(model.begun) == 4)
        assert 100 in model.begun[2:]
        model.let()
        await asyncio.gather(*asked)


async def test_deadlines_count_while_both_places_are_taken() -> None:
    model = Beside()
    model.hold(0, 1)
    async with running(model) as engine:
        asked = [ask(engine, model, value) for value in range(2)]
        await until(lambda: len(model.begun) == 2)
        with pytest.raises(DeadlineMissed):
            await engine.submit("doubler", row(7), session="late", deadline=time.monotonic() + 0.02)
        model.let()
        await asyncio.gather(*asked)
        assert 7 not in model.begun
        assert engine.statistics()["doubler"].drops == {"deadline": 1}


async def test_unloading_waits_for_both_runs() -> None:
    model = Beside()
    model.hold(0, 1)
    async with running(model) as engine:
        asked = [ask(engine, model, value) for value in range(2)]
        await until(lambda: len(model.begun) == 2)
        unloading = asyncio.create_task(engine.unload("doubler"))
        model.let(0)
        assert (await asked[0])["y"][0, 0] == 0
        assert model.closes == 0
        model.let(1)
        assert (await asked[1])["y"][0, 0] == 2
        await unloading
        assert model.closes == 1


async def test_a_run_that_hangs_leaves_its_neighbours_and_the_device() -> None:
    model, other = Beside(longest=1.0), Beside("other")
    model.hold(1)
    other.hold(3)
    async with running(model, other) as engine:
        stuck, neighbour = ask(engine, model, 1), ask(engine, other, 3)
        await until(lambda: (model.begun, other.begun) == ([1], [3]))
        with pytest.raises(ModelFailed, match="had not ended after 1 s"):
            await stuck
        assert (await ask(engine, other, 4))["y"][0, 0] == 8
        other.let(3)
        assert (await neighbour)["y"][0, 0] == 6
        both = await asyncio.gather(ask(engine, other, 5), ask(engine, other, 6))
        assert [float(each["y"][0, 0]) for each in both] == [10, 12]
        await engine.unload("doubler")
        assert model.closes == 0  # a thread is still inside


async def test_one_that_keeps_failing_is_ended_once() -> None:
    model = Beside()
    async with running(model) as engine:
        found = await asyncio.gather(*(ask(engine, model, -1 - value) for value in range(8)), return_exceptions=True)
        assert all(isinstance(each, ModelFailed) for each in found)
        await until(lambda: model.closes == 1)
        assert engine.statistics()["doubler"].state == "failed"
    assert model.closes == 1


async def test_a_real_network_answers_everybody_with_their_own() -> None:
    model = await asyncio.to_thread(Perceptron)
    model.capabilities = replace(model.capabilities, batchable=False, max_batch=1, beside=True)
    given = np.random.default_rng(3).normal(size=(24, 1, Perceptron.SIZE)).astype(np.float32)
    expected = await asyncio.to_thread(lambda: [model.run({"x": each})["y"] for each in given])
    async with running(model) as engine:
        answers = await asyncio.gather(*(engine.submit("perceptron", {"x": each}, session=f"s{number % 6}")
                                         for number, each in enumerate(given)))
    for answer, wanted in zip(answers, expected, strict=True):
        np.testing.assert_allclose(answer["y"], wanted, rtol=1e-4, atol=1e-3)


async def test_work_that_waits_for_a_lost_thread_goes_to_another_one() -> None:
    worker, gate, entered = Worker("test"), threading.Event(), threading.Event()

    def hang() -> bool:
        entered.set()
        return gate.wait(30)

    stuck = asyncio.create_task(worker.run(hang))
    waits = asyncio.create_task(worker.run(threading.get_ident))
    await until(entered.is_set)
    worker.renew()
    try:
        assert await waits != threading.get_ident()
        assert not stuck.done()
    finally:
        gate.set()
    assert await stuck
    assert not worker.busy
    worker.close()


@pytest.mark.parametrize(("alone", "beside", "way"), [
    ({1: 0.010}, {}, (1, 1)),
    ({1: 0.010}, {1: 0.011}, (1, 2)),
    ({1: 0.010}, {1: 0.017}, (1, 1)),  # two in 17 ms: not worth the other cores
    ({1: 0.010, 4: 0.012}, {1: 0.011, 4: 0.045}, (4, 1)),  # batches give more
    ({1: 0.010, 4: 0.030}, {1: 0.011, 4: 0.031}, (4, 2)),
])
def test_the_way_that_gives_the_most_rows(alone: dict[int, float], beside: dict[int, float],
                                          way: tuple[int, int]) -> None:
    assert best_way(alone, beside) == way


def test_runs_at_once_have_no_more_threads_than_there_are_cores() -> None:
    for device in (CpuDevice(), CpuDevice(threads=cores()), CpuDevice(threads=2 * cores())):
        assert device.places == 1 or device.places * device.threads <= cores()
        device.close()
