"""Models that hang, run out of memory or answer nonsense: they are taken out, the others go on."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest

from aimass_stream.errors import DeadlineMissed, InvalidInput, ModelFailed
from aimass_stream.inference import Batch, Capabilities, Engine, Model
from aimass_stream.inference import engine as engine_module
from aimass_stream.inference.batches import out_of_memory
from tests.support.models import Doubler, Shelf, row

pytestmark = pytest.mark.anyio

PATIENCE = 0.3  # s


class Hanging(Doubler):
    """Waits at `gate` in whatever `where` names: for much longer than anybody has patience."""

    def __init__(self, name: str = "doubler", where: str = "run") -> None:
        super().__init__(name)
        self.capabilities = Capabilities(batchable=True, max_batch=8, longest=PATIENCE)
        self.where = where
        self.noting = False

    def hang(self, where: str) -> None:
        if self.where == where:
            self.entered.set()
            self.gate.wait(30)

    def warm_up(self) -> None:
        self.hang("warm_up")

    def run(self, batch: Batch) -> Batch:
        if self.noting:
            self.hang("run")
        return {"y": batch["x"] * 2}

    def close(self) -> None:
        self.hang("close")
        self.closes += 1


class Greedy(Doubler):
    """Has memory for two rows."""

    def run(self, batch: Batch) -> Batch:
        if self.noting and len(batch["x"]) > 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return super().run(batch)


class Sick(Doubler):
    def run(self, batch: Batch) -> Batch:
        return {"y": batch["x"] * np.float32("nan")}


@asynccontextmanager
async def running(*models: Model) -> AsyncIterator[Engine]:
    engine = Engine(Shelf(Doubler))
    hanging = [model for model in models if isinstance(model, Hanging)]
    try:
        for model in models:
            await engine.add(model)
        for each in hanging:
            each.gate.clear()
            each.noting = True
        yield engine
    finally:
        for each in hanging:
            each.gate.set()
        await engine.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  what is waited for happens in a thread
            await asyncio.sleep(0.001)


async def test_a_model_that_hangs_is_taken_out_and_others_go_on() -> None:
    threads = set(threading.enumerate())
    model, other = Hanging(), Doubler("other")
    async with running(model, other) as engine:
        stuck = asyncio.create_task(engine.submit("doubler", row(1), session="a"))
        await until(model.entered.is_set)
        waits = asyncio.create_task(engine.submit("doubler", row(2), session="b"))
        begun = time.monotonic()
        neighbour = asyncio.create_task(engine.submit("other", row(3), session="c"))
        for task in (stuck, waits):
            with pytest.raises(ModelFailed, match="taken out because a run had not ended after 0 s"):
                await task
        assert (await neighbour)["y"][0, 0] == 6
        assert time.monotonic() - begun < 20
        assert engine.statistics()["doubler"].state == "failed"
        assert list(engine.models()) == ["other"]
        await engine.load("doubler")  # another one of that name
        assert (await engine.submit("doubler", row(4), session="a"))["y"][0, 0] == 8
        assert model.closes == 0  # a thread is still inside
    await until(lambda: set(threading.enumerate()) <= threads)


async def test_patience_grows_with_what_a_run_is_given() -> None:
    model = Hanging()
    model.each = PATIENCE / 4
    async with running(model) as engine:
        model.gate.set()
        large = {"x": np.ones((8, 4), np.float32)}  # eight times the usual

        def slow(batch: Batch) -> Batch:
            time.sleep(model.each * len(batch["x"]))
            return {"y": batch["x"]}

        model.run = slow  # type: ignore[method-assign]
        assert (await engine.submit("doubler", large, session="a"))["y"].shape == (8, 4)
        assert engine.statistics()["doubler"].run_p50 > PATIENCE


@pytest.mark.parametrize("where", ["warm_up", "close"])
async def test_what_hangs_before_or_after_its_time_is_bounded(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    model, other = Hanging(where=where), Doubler("other")
    async with running(other) as engine:
        monkeypatch.setattr(engine_module, "LOADING" if where == "warm_up" else "CLOSING", PATIENCE)
        model.gate.clear()
        if where == "warm_up":
            with pytest.raises(ModelFailed, match="does not warm up: it has not ended"):
                await engine.add(model)
        else:
            await engine.add(model)
            await engine.unload("doubler")
        assert (await engine.submit("other", row(3), session="a"))["y"][0, 0] == 6
        assert "doubler" not in engine.models()
        model.gate.set()


async def test_others_run_while_a_model_warms_up() -> None:
    slow, other = Hanging(where="warm_up"), Doubler("other")
    async with running(other) as engine:
        slow.gate.clear()
        adding = asyncio.create_task(engine.add(slow))
        await until(slow.entered.is_set)
        assert (await engine.submit("other", row(3), session="a"))["y"][0, 0] == 6
        assert not adding.done()
        slow.gate.set()
        await adding
        assert set(engine.models()) == {"other", "doubler"}


async def test_too_large_a_batch_for_the_memory_goes_in_smaller_ones() -> None:
    model = Greedy(fixed=0.004)
    async with running(model) as engine:
        assert engine.statistics()["doubler"].batch_limit == 8
        model.noting = True
        model.gate.clear()
        asked = [asyncio.create_task(engine.submit("doubler", row(0), session="first"))]
        await until(model.entered.is_set)
        asked += [asyncio.create_task(engine.submit("doubler", row(value), session=f"s{value}")) for value in range(4)]
        await until(lambda: engine.statistics()["doubler"].waiting == 4)
        model.gate.set()
        assert [float((await task)["y"][0, 0]) for task in asked] == [0, 0, 2, 4, 6]
        found = engine.statistics()["doubler"]
        assert (found.batch_limit, found.failures, found.state) == (2, 0, "ready")


def test_what_libraries_say_when_memory_is_out() -> None:
    assert out_of_memory(MemoryError())
    assert out_of_memory(RuntimeError("std::bad_alloc"))
    assert out_of_memory(RuntimeError("[ONNXRuntimeError] : 1 : FAIL : Failed to allocate memory for requested buffer"))
    assert not out_of_memory(RuntimeError("invalid shape"))


async def test_broken_weights_are_noticed_before_anybody_sees_them() -> None:
    async with running() as engine:
        with pytest.raises(InvalidInput, match="answers its example with y that are no numbers"):
            await engine.add(Sick())
        assert engine.models() == {}


async def test_a_deadline_counts_while_another_model_hangs() -> None:
    model, other = Hanging(), Doubler("other")
    async with running(model, other) as engine:
        stuck = asyncio.create_task(engine.submit("doubler", row(1), session="a"))
        await until(model.entered.is_set)
        with pytest.raises(DeadlineMissed):
            await engine.submit("other", row(3), session="c", deadline=time.monotonic() + 0.02)
        with pytest.raises(ModelFailed):
            await stuck
