"""Turns and batches, over whatever arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from aimass_stream.errors import Busy
from aimass_stream.inference.slots import Slots
from aimass_stream.inference.waiting import Request, Waiting


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


arrivals = some.lists(some.tuples(some.sampled_from("abc"), some.sampled_from(["m", "n"]), some.integers(1, 3),
                                  some.integers(1, 2), some.booleans()), max_size=24)


@settings(deadline=None)  # a busy machine is no fault of the queue
@given(arrivals, some.integers(1, 5))
def test_everything_is_served_once_in_fair_and_equal_batches(
        loop: asyncio.AbstractEventLoop, arrivals: list[tuple[str, str, int, int, bool]], limit: int) -> None:
    waiting = Waiting(per_session=24)
    requests = []
    for number, (session, model, rows, width, stateful) in enumerate(arrivals):
        request = Request(f"{model}{stateful:d}", {"x": np.zeros((rows, width))}, rows, session, None, number,
                          loop.create_future(), slot=ord(session) if stateful else None)
        waiting.add(request)
        requests.append(request)
    served: list[Request] = []
    while len(waiting):
        present = list(dict.fromkeys(request.session for request in waiting))
        batch = waiting.take(limit)
        assert batch[0].session == present[0]  # whose turn it was
        assert len({request.model for request in batch}) == 1
        assert len({request.shapes for request in batch}) == 1
        assert sum(request.rows for request in batch) <= max(limit, batch[0].rows)
        slots = [request.slot for request in batch if request.slot is not None]
        assert len(set(slots)) == len(slots)
        later = list(dict.fromkeys(request.session for request in waiting))
        unserved = [session for session in present if session not in {request.session for request in batch}]
        assert later[: len(unserved)] == unserved  # nobody was overtaken
        served += batch
    assert sorted(request.since for request in served) == [request.since for request in requests]
    for stream in {(request.model, request.slot) for request in requests if request.slot is not None}:
        steps = [request.since for request in served if (request.model, request.slot) == stream]
        assert steps == sorted(steps)


def test_a_session_may_not_fill_the_queue(loop: asyncio.AbstractEventLoop) -> None:
    waiting = Waiting(per_session=2)
    requests = [Request("m", {"x": np.zeros((1, 1))}, 1, "a", None, 0, loop.create_future()) for _ in range(3)]
    waiting.add(requests[0])
    waiting.add(requests[1])
    with pytest.raises(Busy):
        waiting.add(requests[2])
    assert waiting.remove(requests[0])
    assert not waiting.remove(requests[0])
    waiting.add(requests[2])
    assert len(waiting) == 2
    assert Waiting(1).take(4) == []


def test_slots_are_lent_returned_and_made_fresh_once() -> None:
    slots = Slots(2)
    first, second = slots.acquire("a"), slots.acquire("b")
    assert {first, second} == {0, 1}
    assert slots.acquire("a") == first
    assert slots.freshen(first)
    assert not slots.freshen(first)
    with pytest.raises(Busy):
        slots.acquire("c")
    assert slots.release("a") == first
    assert slots.release("a") is None
    assert slots.acquire("c") == first
    assert slots.freshen(first)
    assert slots.held() == {"b": second, "c": first}
