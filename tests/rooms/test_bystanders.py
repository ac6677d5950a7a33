"""Who is not served is noticed by the assistant when they speak, and not listened to; in the real Janus."""

from __future__ import annotations

import pytest

from aimass_stream.client import Client
from aimass_stream.frames import Samples
from aimass_stream.ports import Caller
from tests.support.followed import Followed
from tests.support.janus import meeting
from tests.support.meeting import Voice
from tests.support.options import settings
from tests.support.server import serve
from tests.support.speech import speak
from tests.support.waiting import until

pytestmark = pytest.mark.anyio

GREETING = ("Good morning everybody. Twelve boats leave the harbour every day, and each one of them carries nets, "
            "ropes, and a lamp. They come back in the evening, when the market is closed and the streets are empty.")
OVER = "No no, please wait a moment, I have something else to say before that."


@pytest.fixture
def clip() -> Samples:
    return speak(OVER)


async def test_it_stops_for_who_waits_for_their_turn_and_has_no_words_of_them(clip: Samples) -> None:
    async with serve(settings()) as server, meeting() as held, Client(server.url) as client:
        ann, voice = await held.guest("Ann", Voice()), Voice()
        room = Followed(client, await client.rooms.join(
            held.url, held.room, max_participants=1, captions=False,
            assistant={"name": "Computer", "greeting": GREETING}))
        await held.guest("Bob", voice)
        await room.until("assistant.state", state="speaking")
        voice.say(clip)
        cut = await room.until("assistant.interrupted")
        assert cut["name"] == "Bob"
        assert GREETING.startswith(cut["heard"])
        assert cut["heard"] != GREETING
        shown = await room.show()
        assert (shown["Ann"]["state"], shown["Bob"]["state"]) == ("served", "waiting")
        assert len(server.node.sessions()) == 2  # Ann's, and the assistant's own
        assert {caption["name"] for caption in room.of("caption")} == {"Computer"}
        await ann.leave()
        held.guests.remove(ann)
        await room.until("participant.state", state="served", name="Bob")
        noticing = server.state.rooms.get(room.id, Caller("anyone"))._bystanders
        await until(lambda: not noticing._noticed)
        voice.say(clip)
        await room.until("caption", name="Bob", final=True)
        await client.rooms.leave(room.id)
        assert server.node.sessions() == []
