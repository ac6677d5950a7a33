"""What all sessions share beside models, and the worker of its own that light models have."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest

from aimass_stream.errors import Unavailable
from aimass_stream.inference import Capabilities, Engine
from tests.support.models import Doubler, Shelf, row

pytestmark = pytest.mark.anyio


class Helper:
    def __init__(self) -> None:
        self.closed = False

    async def close(self) -> None:
        self.closed = True


async def test_what_is_shared_is_made_once_and_ends_with_the_engine() -> None:
    engine, made = Engine(Shelf()), []

    async def open_helper() -> Helper:
        await asyncio.sleep(0)
        made.append(Helper())
        return made[-1]

    first, second = await asyncio.gather(engine.share("helper", open_helper), engine.share("helper", open_helper))
    assert first is second
    assert len(made) == 1
    await engine.close()
    assert made[0].closed
    with pytest.raises(Unavailable):
        await engine.share("helper", open_helper)


async def test_a_failure_to_make_it_is_told_and_tried_again() -> None:
    engine, tries = Engine(Shelf()), 0

    async def open_helper() -> Helper:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise OSError("not yet")
        return Helper()

    with pytest.raises(OSError, match="not yet"):
        await engine.share("helper", open_helper)
    assert isinstance(await engine.share("helper", open_helper), Helper)
    await engine.close()


async def test_a_light_model_does_not_wait_behind_a_long_run() -> None:
    slow, light = Doubler("slow"), Doubler("light")
    light.capabilities = Capabilities(batchable=True, max_batch=4, light=True)
    engine = Engine(Shelf())
    await engine.add(slow)
    await engine.add(light)
    slow.noting = True
    slow.gate.clear()
    long = asyncio.create_task(engine.submit("slow", row(1), session="a"))
    async with asyncio.timeout(30):
        while not slow.entered.is_set():  # noqa: ASYNC110  it happens in a thread
            await asyncio.sleep(0.001)
        begun = time.monotonic()
        answer = await engine.submit("light", row(2), session="b")
    assert time.monotonic() - begun < 10
    assert np.all(next(iter(answer.values())) == 4)
    assert not long.done()
    slow.gate.set()
    await long
    await engine.close()
