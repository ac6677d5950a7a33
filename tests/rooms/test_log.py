"""What happens in a room, followed."""

from __future__ import annotations

import asyncio

import pytest

from aimass_stream.frames import now
from aimass_stream.rooms.log import KEPT, RoomLog
from aimass_stream.rooms.ports import Participant, named

pytestmark = pytest.mark.anyio


async def test_followers_begin_where_they_say_and_end_with_the_room() -> None:
    log, ann = RoomLog(), Participant("1", "Ann")
    log.tell("room.joined")
    log.tell("participant.joined", ann)

    async def follow(after: int) -> list[int]:
        return [event.seq async for event in log.follow(after, 60) if event is not None]

    followers = [asyncio.create_task(follow(after)) for after in (0, 1, 2)]
    await asyncio.sleep(0)
    log.tell("caption", ann, text="one")
    log.tell("room.ended", reason="over")
    assert await asyncio.gather(*followers, follow(3), follow(9)) == [[1, 2, 3, 4], [2, 3, 4], [3, 4], [4], []]


async def test_a_quiet_room_gives_signs_of_life() -> None:
    log = RoomLog()
    events = log.follow(0, 0.01)
    assert await anext(events) is None
    log.tell("room.joined")
    news = await anext(events)
    assert news is not None
    assert news.type == "room.joined"
    await events.aclose()


async def test_it_is_known_for_how_long_nobody_has_followed() -> None:
    log = RoomLog()
    begun = now()
    log.tell("room.joined")
    followers = [log.follow(0, 60), log.follow(0, 60)]
    assert log.unfollowed > 0
    for each in followers:
        await anext(each)
    await followers[0].aclose()
    assert log.unfollowed == 0
    between = now()
    await followers[1].aclose()
    assert 0 < log.unfollowed <= now() - between < now() - begun


async def test_what_is_kept_is_bounded_and_numbers_tell_what_is_missing() -> None:
    log = RoomLog()
    for _ in range(KEPT + 10):
        log.tell("caption")
    log.tell("room.ended")
    seen = [event.seq async for event in log.follow(0, 60) if event is not None]
    assert seen == list(range(12, KEPT + 12))


def test_names_are_text() -> None:
    assert named("<b>Ann</b>\n\x1b[31m") == "<b>Ann</b>  [31m"
    assert len(named("x" * 10_000)) == 128
    assert {named(value) for value in (None, 7, "", " \n", ["x"])} == {"somebody"}
