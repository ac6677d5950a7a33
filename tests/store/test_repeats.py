"""Answers kept by idempotency key: given again for a day, and never a second time done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from aimass_stream.errors import Busy, Conflict, InvalidInput
from aimass_stream.store import repeats
from aimass_stream.store.database import Database
from aimass_stream.store.repeats import KEPT, MOST_BODY, SECONDS, Answer, Repeats
from tests.support.clocks import Clock

pytestmark = pytest.mark.anyio

MADE = Answer(201, {"location": "/v1/things/1"}, b'{"id": 1}')


@asynccontextmanager
async def table(place: Path | str) -> AsyncIterator[tuple[Repeats, Clock]]:
    clock = Clock()
    async with Database(place) as database:
        yield Repeats(database, clock=clock), clock


async def test_an_answer_is_given_again_for_a_day(place: Path | str) -> None:
    async with table(place) as (kept, clock):
        assert await kept.claim("ada", "k", "print", "user_1") is None
        await kept.settle("ada", "k", MADE)
        clock.now += KEPT - 1
        assert await kept.claim("ada", "k", "print", "user_1") == MADE
        assert await kept.claim("bob", "k", "other") is None  # whose key it is not
        with pytest.raises(InvalidInput, match="another request"):
            await kept.claim("ada", "k", "other")
        clock.now += 1
        assert await kept.claim("ada", "k", "other") is None


async def test_of_many_at_once_one_does_it(place: Path | str) -> None:
    async with table(place) as (kept, clock):
        came = await asyncio.gather(*(kept.claim("ada", "k", "print") for _ in range(8)), return_exceptions=True)
        assert sum(each is None for each in came) == 1
        refused = [each for each in came if isinstance(each, Conflict)]
        assert [each.data["retry_after"] for each in refused] == [1] * 7
        clock.now += SECONDS  # the process was killed meanwhile, and nobody knows how far it came
        with pytest.raises(Conflict, match="look whether") as lost:
            await kept.claim("ada", "k", "print")
        assert "retry_after" not in lost.value.data


async def test_what_came_to_nothing_may_be_tried_again(place: Path | str) -> None:
    async with table(place) as (kept, _):
        assert await kept.claim("ada", "k", "print") is None
        await kept.release("ada", "k")
        assert await kept.claim("ada", "k", "another") is None
        await kept.settle("ada", "k", Answer(202, {}, b"x" * (MOST_BODY + 1)))
        await kept.release("ada", "k")  # late, and no longer true
        assert await kept.claim("ada", "k", "another") == Answer(202, {}, None)


async def test_one_caller_has_so_many_and_no_more(place: Path | str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "MOST", 3)
    async with table(place) as (kept, clock):
        for number in range(3):
            assert await kept.claim("ada", f"k{number}", "print") is None
        with pytest.raises(Busy):
            await kept.claim("ada", "one more", "print")
        assert await kept.claim("bob", "k", "print") is None
        clock.now += KEPT
        assert await kept.claim("ada", "one more", "print") is None


async def test_what_is_somebodys_own_is_told_and_erased(place: Path | str) -> None:
    async with table(place) as (kept, clock):
        await kept.claim("key_1", "k", "print", "user_1")
        await kept.claim("key_2", "k", "print", "user_2")
        assert await kept.export("user_1") == [
            {"key": "k", "status": None, "begun": clock.now, "expires": clock.now + KEPT}]
        await kept.erase("user_1")
        assert await kept.export("user_1") == []
        assert len(await kept.export("user_2")) == 1
