"""The spoken assistant of a room: called by name, interrupted, echoed; in the real Janus, by the bundled voice."""

from __future__ import annotations

import asyncio
import json
import re
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from aimass_stream.client import Client
from aimass_stream.events import Event
from aimass_stream.frames import Frame, Samples
from tests.support.chat_server import Answer, chat_server, words
from tests.support.command import here
from tests.support.followed import Followed
from tests.support.janus import Guest, Running, meeting
from tests.support.meeting import Voice
from tests.support.options import settings
from tests.support.server import Running as Server
from tests.support.server import serve
from tests.support.speech import speak

pytestmark = pytest.mark.anyio

QUESTION = "Computer, what can you tell me about the boats?"
OTHERS = "I asked the computer yesterday about lunch."
OVER = "No no, please wait a moment, I have something else to say before that."
STORY = "Twelve boats leave the harbour every morning, and each one of them carries nets, ropes, and a lamp."
TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorials" / "captions-in-a-meeting.md"
TOLD = json.loads(re.findall(r"^```json\n(.*?)^```", TUTORIAL.read_text(), re.MULTILINE | re.DOTALL)[0])
LOUD = 300  # of a sample
SILENT = 2.4  # s from the notice of a speech until a listener hears no reply any more: three times what it takes


@pytest.fixture(scope="module")
def clips() -> dict[str, Samples]:
    return {text: speak(text) for text in (QUESTION, OTHERS, OVER)}


class Loudspeaker(Voice):
    """A microphone that has in it, beside what is said, all that the room plays; quieter."""

    def hear(self, frame: av.AudioFrame) -> None:
        sound = frame.to_ndarray().reshape(-1, len(frame.layout.channels)).mean(axis=1)[:, None]
        self._clip = np.concatenate([self._clip, (0.4 * sound).astype(np.int16)])


class Loudness:
    """When the assistant was loud last, s, monotonic."""

    def __init__(self, guest: Guest) -> None:
        self.last = 0.0
        guest.hears = self.hear

    def hear(self, frame: av.AudioFrame) -> None:
        if np.abs(frame.to_ndarray()).max() > LOUD:
            self.last = time.monotonic()


class Notices:
    """A `ports.Sink`: when a session told that somebody began to speak, s, monotonic."""

    def __init__(self) -> None:
        self.began: list[float] = []

    def frame(self, frame: Frame) -> None:
        """Not looked at."""

    def event(self, event: Event) -> None:
        if event.type == "speech.started":
            self.began.append(time.monotonic())

    def flush(self, track: str | None = None) -> None:
        """Nothing waits here."""

    async def close(self, reason: str) -> None:
        """Nothing is held."""


def said_to(chat: Any) -> list[str]:
    return [message["content"] for message in chat.requests[-1]["messages"] if message["role"] == "user"]


async def a_story(body: dict[str, Any]) -> Answer:
    async for delta in words(STORY):
        yield delta


async def test_it_answers_who_calls_it_and_stops_for_who_speaks(clips: dict[str, Samples]) -> None:
    running = await asyncio.to_thread(Running)
    try:
        async with chat_server(a_story) as chat, serve(settings(brain=chat.url)) as server, \
                Client(server.url) as client:
            room, number = await with_people(running, server, client, chat, clips)
            assert server.node.sessions() == []
            before = len(room.of("assistant.state", state="listening"))
            await asyncio.to_thread(running.start)
            async with meeting(running, room=number) as again:
                await room.until("assistant.state", before + 1, state="listening")
                ann = await again.guest("Ann")
                assert "Computer (AI Mass)" in await ann.others()
                refused = await asyncio.to_thread(here, "join", "janus", again.url, str(number), "--assistant", "?!",
                                                  "--server", server.url)
                assert (refused.code, "letters" in refused.err) == (1, True)
                await client.rooms.leave(room.id)
                await ann.alone()
                assert server.node.sessions() == []
    finally:
        await asyncio.to_thread(running.close)


async def with_people(running: Running, server: Server, client: Client, chat: Any, clips: dict[str, Samples]
                      ) -> tuple[Followed, int]:
    """Until Janus dies."""
    async with meeting(running) as held:
        mouths = {"Ann": Voice(), "Bob": Loudspeaker()}
        guests = {name: await held.guest(name, mouth) for name, mouth in mouths.items()}
        room = Followed(client, await client.rooms.join(held.url, held.room, assistant=TOLD["assistant"]))
        served = {name: await room.until("participant.state", state="served", name=name) for name in mouths}
        await room.until("assistant.reply", text=TOLD["assistant"]["greeting"], cut=False)
        ann, bob = guests["Ann"], guests["Bob"]
        loud = Loudness(bob)
        await bob.subscribe("Computer (AI Mass)")
        await bob.subscribe("AI Mass")

        mouths["Bob"].say(clips[OTHERS])  # to others
        assert "computer" in (await room.until("caption", final=True, name="Bob"))["text"].lower()
        assert room.of("assistant.addressed") == []

        mouths["Ann"].say(clips[QUESTION])
        assert (await room.until("assistant.addressed"))["name"] == "Ann"
        await room.until("assistant.state", 2, state="speaking")
        await bob.until(lambda: loud.last)
        assert [said.split(":")[0] for said in said_to(chat)] == ['"Bob"', '"Ann"']
        await ann.ask(request="configure", display="Anna")
        notices = Notices()
        server.node.get(served["Bob"]["session_id"]).add_sink(notices)
        mouths["Bob"].say(clips[OVER])
        cut = await room.until("assistant.interrupted")
        assert cut["name"] == "Bob"
        assert STORY.startswith(cut["heard"])
        assert cut["heard"] != STORY
        assert (await room.until("assistant.reply", cut=True))["name"] == "Ann"
        await room.until("caption", final=True, name="Bob", count=2)
        assert loud.last - notices.began[0] < SILENT
        captions = [json.loads(text) for _, text in bob.texts]
        assert [each["text"] for each in captions if each["name"] == "Computer" and each["final"]] == [cut["heard"]]

        bob.hears = mouths["Bob"].hear  # its own voice, out of a loudspeaker, while who asked leaves
        mouths["Ann"].say(clips[QUESTION])
        await room.until("assistant.state", 3, state="speaking")
        await ann.leave()
        held.guests.remove(ann)
        whole = await room.until("assistant.reply", 3)
        assert (whole["text"], whole["cut"], whole["name"]) == (STORY, False, "Anna")
        assert {each["name"] for each in room.of("assistant.addressed")} == {"Ann", "Anna"}
        assert len(room.of("assistant.interrupted")) == 1
        shown = (await client.rooms.show(room.id))["assistant"]
        assert (shown["name"], shown["state"], shown["answered"]) == ("Computer", "listening", 2)
        await asyncio.to_thread(running.kill)
        await room.until("room.waiting")
        assert len(room.of("caption", name="Bob", final=True)) == 2  # what came back were nobody's words
        held.guests.clear()
        await bob.leave()
        return room, held.room
