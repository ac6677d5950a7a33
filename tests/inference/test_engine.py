"""The engine: batches, turns, deadlines, failures, states, and nothing left at the end."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from aimass_stream.errors import Busy, Conflict, DeadlineMissed, InvalidInput, ModelFailed, NotFound, Unavailable
from aimass_stream.inference import Batch, Engine
from tests.support.models import Adder, Doubler, Perceptron, Picky, Shelf, row

pytestmark = pytest.mark.anyio

FREE = 0.004  # s of a run, however many rows: batching pays


@asynccontextmanager
async def running(*models: Doubler, **options: Any) -> AsyncIterator[Engine]:
    engine = Engine(Shelf(Doubler, Picky), **options)
    for model in models:
        await engine.add(model)
        model.noting = True
    try:
        yield engine
    finally:
        for model in models:
            model.gate.set()
        await engine.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  what is waited for happens in a thread
            await asyncio.sleep(0.001)


@asynccontextmanager
async def occupied(engine: Engine, model: Doubler) -> AsyncIterator[None]:
    """The device is at work on one request until this ends."""
    model.gate.clear()
    first = asyncio.create_task(engine.submit(model.name, row(100), session="first"))
    await until(model.entered.is_set)
    yield
    model.gate.set()
    await first


def ask(engine: Engine, model: Doubler, value: float, session: str, **options: Any) -> asyncio.Task[Batch]:
    return asyncio.create_task(engine.submit(model.name, row(value), session=session, **options))


async def test_answers_and_counts() -> None:
    model = Doubler()
    async with running(model) as engine:
        outputs = await engine.submit("doubler", {"x": np.ones((3, 5), np.float32)}, session="a")
        assert outputs["y"].tolist() == [[2] * 5] * 3
        statistics = engine.statistics()["doubler"]
        assert (statistics.runs, statistics.rows, statistics.failures, statistics.drops) == (1, 3, 0, {})
        assert statistics.busy >= statistics.run_p50 > 0
        assert list(engine.models()) == ["doubler"]
    assert model.closes == 1


async def test_what_waits_goes_together_where_it_pays() -> None:
    model = Doubler(fixed=FREE)
    async with running(model) as engine:
        assert engine.statistics()["doubler"].batch_limit == 8
        async with occupied(engine, model):
            asked = [ask(engine, model, value, f"s{value}") for value in range(6)]
            await until(lambda: engine.statistics()["doubler"].waiting == 6)
        assert [float((await task)["y"][0, 0]) for task in asked] == [0, 2, 4, 6, 8, 10]
        assert model.seen == [[100], [0, 1, 2, 3, 4, 5]]
        assert engine.statistics()["doubler"].batch == 3.5


async def test_a_model_that_batching_slows_is_never_batched() -> None:
    model = Doubler(each=FREE)
    async with running(model) as engine:
        assert engine.statistics()["doubler"].batch_limit == 1
        async with occupied(engine, model):
            asked = [ask(engine, model, value, f"s{value}") for value in range(3)]
            await until(lambda: engine.statistics()["doubler"].waiting == 3)
        await asyncio.gather(*asked)
        assert model.seen == [[100], [0], [1], [2]]


async def test_a_weight_bound_network_is_measured_to_gain() -> None:
    model = await asyncio.to_thread(Perceptron)
    measured = []
    for _ in range(5):  # on a busy machine a measurement may go wrong; the next one need not
        async with running(model) as engine:
            measured.append(engine.statistics()["perceptron"])
        if measured[-1].batch_limit > 1:
            return
    pytest.fail(str([statistics.measured for statistics in measured]))


async def test_only_equal_shapes_go_together() -> None:
    model = Doubler(fixed=FREE)
    async with running(model) as engine:
        async with occupied(engine, model):
            asked = [asyncio.create_task(engine.submit("doubler", row(width, width), session=f"s{index}"))
                     for index, width in enumerate((4, 6, 4, 6))]
            await until(lambda: engine.statistics()["doubler"].waiting == 4)
        assert [(await task)["y"].shape for task in asked] == [(1, 4), (1, 6), (1, 4), (1, 6)]
        assert model.seen[1:] == [[4, 4], [6, 6]]


async def test_sessions_take_turns() -> None:
    model = Doubler(each=FREE)
    async with running(model) as engine:
        async with occupied(engine, model):
            asked = [ask(engine, model, value, "greedy") for value in range(5)]
            await until(lambda: engine.statistics()["doubler"].waiting == 5)
            asked += [ask(engine, model, 50, "b"), ask(engine, model, 60, "c")]
            await until(lambda: engine.statistics()["doubler"].waiting == 7)
        await asyncio.gather(*asked)
        assert [values[0] for values in model.seen[1:]] == [0, 50, 60, 1, 2, 3, 4]


async def test_what_is_in_the_background_gets_the_gaps() -> None:
    model = Doubler(fixed=FREE)
    async with running(model) as engine:
        async with occupied(engine, model):
            asked = [ask(engine, model, value, "job", background=True) for value in (1, 2)]
            await until(lambda: engine.statistics()["doubler"].waiting == 2)
            asked += [ask(engine, model, value, session) for value, session in ((50, "a"), (60, "b"))]
            await until(lambda: engine.statistics()["doubler"].waiting == 4)
        await asyncio.gather(*asked)
        assert model.seen == [[100], [50, 60], [1, 2]]  # and its rows are not put among theirs


async def test_past_its_deadline_work_is_dropped_before_the_device() -> None:
    model = Doubler()
    async with running(model) as engine:
        async with occupied(engine, model):
            begun = time.monotonic()
            with pytest.raises(DeadlineMissed):
                await engine.submit("doubler", row(1), session="a", deadline=begun + 0.02)
            assert time.monotonic() - begun < 10  # told at the deadline, not when the device is free
            with pytest.raises(DeadlineMissed):
                await engine.submit("doubler", row(2), session="a", deadline=begun - 1)
        assert (await engine.submit("doubler", row(3), session="a", deadline=time.monotonic() + 30))["y"][0, 0] == 6
        assert model.seen == [[100], [3]]
        assert engine.statistics()["doubler"].drops == {"deadline": 2}


async def test_a_session_has_a_bounded_number_waiting_and_a_cancelled_one_counts_no_more() -> None:
    model = Doubler()
    async with running(model, per_session=2) as engine:
        async with occupied(engine, model):
            asked = [ask(engine, model, value, "a") for value in (1, 2)]
            await until(lambda: engine.statistics()["doubler"].waiting == 2)
            with pytest.raises(Busy):
                await engine.submit("doubler", row(3), session="a")
            other = ask(engine, model, 4, "b")
            asked[0].cancel()
            await asyncio.wait([asked[0]])
            fifth = ask(engine, model, 5, "a")
            await until(lambda: engine.statistics()["doubler"].waiting == 3)
        await asyncio.gather(asked[1], other, fifth)
        assert sorted(value for values in model.seen for value in values) == [2, 4, 5, 100]
        assert engine.statistics()["doubler"].drops == {"full": 1, "cancelled": 1}


@pytest.mark.parametrize(("inputs", "complaint"), [
    ({}, "takes the inputs x"),
    ({"x": np.zeros((1, 4), np.float32), "z": np.zeros(1)}, "takes the inputs x"),
    ({"x": [[1.0]]}, "must be an array"),
    ({"x": np.zeros((1, 4))}, "must be float32, not float64"),
    ({"x": np.zeros(4, np.float32)}, "must have the shape any×any, not 4"),
    ({"x": np.zeros((0, 4), np.float32)}, "not 0×4"),
    ({"x": np.zeros((9, 4), np.float32)}, "at most 8 rows, not 9"),
])
async def test_wrong_inputs_are_named(inputs: Any, complaint: str) -> None:
    async with running(Doubler()) as engine:
        with pytest.raises(InvalidInput, match=complaint):
            await engine.submit("doubler", inputs, session="a")
        assert engine.statistics()["doubler"].runs == 0


async def test_one_bad_row_costs_its_neighbours_nothing() -> None:
    model = Picky("picky", fixed=FREE)
    async with running(model) as engine:
        async with occupied(engine, model):
            asked = [ask(engine, model, value, f"s{value}") for value in (1, -1, 2)]
            await until(lambda: engine.statistics()["picky"].waiting == 3)
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(results[1], ModelFailed)
        assert "a negative value" in str(results[1])
        assert [result["y"][0, 0] for result in results if isinstance(result, dict)] == [2, 4]
        assert engine.statistics()["picky"].failures == 1


async def test_a_model_that_keeps_failing_is_taken_out_and_can_be_loaded_again() -> None:
    model, other = Picky("doubler"), Picky("other")
    async with running(model, other) as engine:
        for _ in range(5):
            with pytest.raises(ModelFailed, match="negative"):
                await engine.submit("doubler", row(-1), session="a")
        with pytest.raises(ModelFailed, match="taken out after 5 failures"):
            await engine.submit("doubler", row(1), session="b")
        assert engine.statistics()["doubler"].state == "failed"
        assert (await engine.submit("other", row(1), session="b"))["y"][0, 0] == 2
        assert list(engine.models()) == ["other"]
        await engine.load("doubler")
        assert model.closes == 1
        assert (await engine.submit("doubler", row(4), session="b"))["y"][0, 0] == 8


async def test_states_belong_to_sessions_and_begin_anew() -> None:
    model = Adder(slots=2, fixed=FREE)
    async with running(model) as engine:

        async def add(value: float, session: str) -> float:
            return float((await engine.submit("adder", row(value), session=session))["y"][0, 0])

        assert [await add(1, "a"), await add(10, "b"), await add(2, "a"), await add(20, "b")] == [1, 10, 3, 30]
        with pytest.raises(Busy, match="all 2 states"):
            await add(1, "c")
        engine.forget("adder", "a")
        assert await add(5, "c") == 5
        async with occupied_adder(engine, model):
            steps = [asyncio.create_task(add(value, session)) for value in (1, 2, 3) for session in ("b", "c")]
            await until(lambda: engine.statistics()["adder"].waiting == 6)
        assert await asyncio.gather(*steps) == [31, 6, 33, 8, 36, 11]
        assert [len(values) for values in model.seen[-3:]] == [2, 2, 2]  # one step of each state in a batch


@asynccontextmanager
async def occupied_adder(engine: Engine, model: Adder) -> AsyncIterator[None]:
    model.entered.clear()
    model.gate.clear()
    first = asyncio.create_task(engine.submit("adder", row(0), session="b"))
    await until(model.entered.is_set)
    yield
    model.gate.set()
    await first


async def test_loading_is_shared_and_leaves_others_running() -> None:
    async with running(Doubler("other")) as engine:
        busy = [ask(engine, Doubler("other"), value, f"s{value}") for value in range(4)]
        await asyncio.gather(engine.load("doubler"), engine.load("doubler"), *busy)
        await engine.load("doubler")
        shelf = engine.store
        assert isinstance(shelf, Shelf)
        assert len(shelf.opened) == 1
        with pytest.raises(Conflict):
            await engine.add(Doubler())
        with pytest.raises(NotFound):
            await engine.load("nothing")
        with pytest.raises(NotFound):
            await engine.submit("nothing", row(1), session="a")


async def test_unloading_refuses_what_waits_and_finishes_what_runs() -> None:
    model, other = Doubler(), Doubler("other")
    async with running(model, other) as engine:
        model.gate.clear()
        first = ask(engine, model, 1, "a")
        await until(model.entered.is_set)
        waits, neighbour = ask(engine, model, 2, "b"), ask(engine, other, 3, "b")
        await until(lambda: engine.statistics()["doubler"].waiting == 1)
        unloading = asyncio.create_task(engine.unload("doubler"))
        with pytest.raises(Unavailable, match="unloaded"):
            await waits
        assert model.closes == 0
        model.gate.set()
        assert (await first)["y"][0, 0] == 2
        assert (await neighbour)["y"][0, 0] == 6
        await unloading
        assert model.closes == 1
        with pytest.raises(NotFound):
            await engine.unload("doubler")


async def test_loads_and_unloads_leave_nothing_behind() -> None:
    async with running() as engine:
        await engine.load("doubler")
        await engine.unload("doubler")  # the device's worker has begun
        await engine.load("doubler")
        before = set(threading.enumerate())
        for _ in range(20):
            await engine.unload("doubler")
            await engine.load("doubler")
        await until(lambda: set(threading.enumerate()) <= before)


async def test_close_refuses_what_waits_and_leaves_no_thread_and_no_task() -> None:
    threads, tasks = set(threading.enumerate()), asyncio.all_tasks()
    engine = Engine(Shelf(Doubler))
    model = Doubler()
    await engine.add(model)
    model.noting = True
    model.gate.clear()
    first = ask(engine, model, 1, "a")
    await until(model.entered.is_set)
    waits = ask(engine, model, 2, "a")
    await until(lambda: engine.statistics()["doubler"].waiting == 1)
    closing = asyncio.create_task(engine.close())
    with pytest.raises(Unavailable):
        await waits
    model.gate.set()
    await closing
    await asyncio.wait([first])
    await engine.close()
    with pytest.raises(Unavailable):
        await engine.load("doubler")
    await until(lambda: set(threading.enumerate()) <= threads)
    assert asyncio.all_tasks() <= tasks
