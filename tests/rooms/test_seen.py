"""What a stage sees of the room that its session is of: who is there, and what the others said; in the real Janus."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from aimass_stream.client import Client
from aimass_stream.events import Event
from aimass_stream.frames import Samples
from aimass_stream.functions import AudioFrame, Room, stage
from aimass_stream.stages import Registry
from tests.support.followed import Followed
from tests.support.janus import meeting
from tests.support.meeting import Voice
from tests.support.options import settings
from tests.support.server import serve
from tests.support.speech import speak
from tests.support.waiting import until

pytestmark = pytest.mark.anyio


@stage
def overhears(frame: AudioFrame, room: Room | None = None) -> AudioFrame:
    """Notes who said what last, of the others."""
    if room is not None:
        names = {person.id: person.name for person in room.people}
        others = [caption for caption in room.captions if caption.participant != room.me]
        frame.notes["overhears"] = {
            "room": room.name, "me": names.get(room.me), "people": sorted(names.values()),
            "last": f"{others[-1].speaker}: {others[-1].text}" if others else None}
    return frame


def noted(log: list[Event]) -> dict[str, object] | None:
    return next((each.data["notes"]["overhears"] for each in reversed(log) if each.type == "frame.result"), None)


@pytest.fixture
def clip() -> Samples:
    return speak("Nine boats left.")


@pytest.fixture
def registry() -> Registry:
    """Loaded before a loop runs."""
    registry = Registry(entries=[])
    registry.load()
    registry.add("overhears", overhears)
    return registry


async def heard(room: Followed, voice: Voice, clip: Samples) -> dict[str, object]:
    """Its caption. Nobody misses a word here for good: what a busy machine loses of it is said again."""
    while True:
        voice.say(clip)
        with suppress(TimeoutError):
            async with asyncio.timeout(20):
                return await room.until("caption", final=True)


async def test_a_stage_reads_who_is_there_and_the_others_last_words(clip: Samples, registry: Registry) -> None:
    async with serve(settings(), registry=registry) as server, meeting() as held, Client(server.url) as client:
        voice = Voice()
        ann = await held.guest("Ann", voice)
        await held.guest("Bob", Voice())
        room = Followed(client, await client.rooms.join(
            held.url, held.room, pipeline=[{"stage": "asr"}, {"stage": "overhears"}], captions=False))
        served = {name: await room.until("participant.state", state="served", name=name) for name in ("Ann", "Bob")}
        sessions = {name: server.node.get(told["session_id"]) for name, told in served.items()}
        said = await heard(room, voice, clip)
        seen = {"room": str(held.room), "me": "Bob", "people": ["Ann", "Bob"], "last": f"Ann: {said['text']}"}
        await until(lambda: noted(sessions["Bob"].events_after(0)) == seen)
        await until(lambda: noted(sessions["Ann"].events_after(0)) == seen | {"me": "Ann", "last": None})
        await ann.ask(request="configure", display="Anna")
        await until(lambda: noted(sessions["Ann"].events_after(0)) == {
            **seen, "me": "Anna", "people": ["Anna", "Bob"], "last": None})
        await client.rooms.leave(room.id)
