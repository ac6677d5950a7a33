"""Conversations in real sessions: sound, voice activity, voices and pace are real; the words of most are scripted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from aimass_stream.conversation.guarded import NO_ANSWER
from aimass_stream.frames import AUDIO_RATE, AUDIO_TIME_BASE, AudioFrame, Samples, TextFrame, now
from aimass_stream.node import Node
from aimass_stream.session import Session
from tests.support import scripted as scripts
from tests.support.chat_server import chat_server, words
from tests.support.known_words import voice
from tests.support.scripted import Microphone, Scripted
from tests.support.session import Collector, open_session, opened_node, picture

pytestmark = pytest.mark.anyio
scripted = scripts.scripted

LOUD = 200
STORY = ("Twelve boats leave the harbour every morning, and each one of them carries nets, ropes, a lamp, and a bell "
         "that rings when the wind blows hard. In the evening they come back one after the other.")


class Kept(Collector):
    """Also keeps what a flush throws away: that has not been heard, but a test wants to see when it stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.flushes = 0

    def flush(self, track: str | None = None) -> None:
        self.flushes += 1


class Talk:
    """One conversation, from its greeting or first question on."""

    def __init__(self, session: Session, sink: Kept, microphone: Microphone) -> None:
        self.session, self.sink, self.microphone = session, sink, microphone
        self.begun = 0.0

    async def run(self, *, echo: tuple[float, float] | None = None, camera: bool = False) -> None:
        """The microphone's sound at its own pace, and a camera's pictures; `echo` (s, dB) is of the reply."""
        self.begun = now()
        played = np.zeros((len(self.microphone.samples) + AUDIO_RATE, 1), np.int16)
        for number in range(len(self.microphone.samples) // 960):
            await asyncio.sleep(max(0.0, self.begun + number * 0.02 - now()))
            at = number * 960
            samples = self.microphone.samples[at : at + 960]
            if echo is not None:
                for _, frame in self.sink.of("audio")[-50:]:
                    place = frame.pts - 0
                    played[place : place + len(frame.samples)] = frame.samples
                late = at - round(echo[0] * AUDIO_RATE)
                if late >= 0:
                    samples = (samples + played[late : late + 960] * 10 ** (echo[1] / 20)).astype(np.int16)
            self.session.push(self.frame(number, samples))
            if camera and number % 2 == 0:
                self.session.push(picture(number // 2, 25))
        await asyncio.sleep(0.05)

    def frame(self, number: int, samples: Samples) -> AudioFrame:
        return AudioFrame(samples=samples, pts=number * 960, time_base=AUDIO_TIME_BASE, track="audio-0")

    def typed(self, kind: str) -> list[dict[str, Any]]:
        return [event.data for event in self.sink.typed(kind)]

    def loud(self, begin: float, end: float) -> list[float]:
        """Media times of frames that sound."""
        return [frame.seconds for _, frame in self.sink.of("audio")
                if begin <= frame.seconds < end and np.abs(frame.samples.astype(int)).max() > LOUD]

    def replies(self) -> list[str]:
        found: dict[str, str] = {}
        for data in self.typed("assistant.reply"):
            found[data["turn"]] = found.get(data["turn"], "") + data["delta"]
        return list(found.values())

    def said(self) -> str:
        return " ".join(data["text"] for data in self.typed("speech.spoken"))


@pytest.fixture
async def node(scripted: type[Scripted]) -> AsyncIterator[Node]:
    """The detector and the voice are loaded: what is measured is the conversation."""
    async with opened_node(fetch=False) as node:
        first = await talk(node, Microphone(0.5), greeting="Yes.")
        await first.run()
        await first.sink.until(lambda: first.typed("hearing.ready"), 60)
        first.session.push(first.frame(25, first.microphone.samples[:960]))
        await first.sink.until(lambda: first.typed("assistant.reply"), 30)
        await first.session.close("warm")
        yield node


async def talk(node: Node, microphone: Microphone, *stages: dict[str, Any], **options: Any) -> Talk:
    session, old = await open_session(node, [{"stage": "assistant", **options}, *stages])
    session.remove_sink(old)
    sink = Kept()
    session.add_sink(sink)
    return Talk(session, sink, microphone)


async def test_a_question_is_answered_by_voice_and_the_turn_is_broken_down(node: Node) -> None:
    microphone = Microphone(6)
    end = microphone.say(1.0, "what is two plus two", voice("what is two plus two"))
    one = await talk(node, microphone)
    await one.run()
    assert one.replies() == ["That is 4."]
    assert one.said() == "That is 4."
    assert one.loud(0, end) == []  # the microphone does not come back
    assert len(one.loud(end, 6)) > 20
    frames = [frame for _, frame in one.sink.of("audio")]
    assert [frame.pts for frame in frames] == [n * 960 for n in range(len(frames))]
    (latency,) = one.typed("turn.latency")
    parts = [latency[name] for name in ("endpoint", "recognition", "brain", "voice", "wire")]
    assert all(part >= 0 for part in parts)
    assert latency["total"] == pytest.approx(sum(parts), abs=1)
    assert latency["total"] / 1000 == pytest.approx(one.loud(end, 6)[0] - end, abs=1)
    assert [data["state"] for data in one.typed("assistant.state")] == ["thinking", "speaking", "listening"]
    assert "".join(data["text"] + " " for data in one.typed("transcript.committed")).split() == [
        "what", "is", "two", "plus", "two"]
    texts = [(frame.track, frame.text) for _, frame in one.sink.frames if isinstance(frame, TextFrame)]
    assert ("assistant", "That is 4.") in texts
    (spoken,) = one.typed("speech.spoken")
    assert spoken["words"][0]["start"] == pytest.approx(one.loud(end, 6)[0], abs=0.1)


async def test_real_words_interrupt_a_murmur_and_a_cough_do_not(node: Node) -> None:
    """Three conversations at once: the same story, and something else said into it."""
    stop, murmur, cough = Microphone(8), Microphone(8), Microphone(8)
    began, later = 2.0, 4.5
    end = stop.say(began, "no what about tomorrow", voice("no, what about tomorrow"))
    assert end < later - 0.5  # the one script is for all: by then its words are over
    murmur.add(later, voice("uh huh"))
    burst = np.random.default_rng(5).normal(0, 1, AUDIO_RATE // 4) * np.exp(-np.arange(AUDIO_RATE // 4) / 3000)
    cough.add(later, (burst / np.abs(burst).max() * 15_000).astype(np.int16)[:, None])
    talks = [await talk(node, microphone, greeting=STORY) for microphone in (stop, murmur, cough)]
    await asyncio.gather(*(one.run() for one in talks))
    stopped, *others = talks

    (interrupted,) = stopped.typed("assistant.interrupted")
    assert STORY.startswith(interrupted["heard"][:20])
    assert 2 <= len(interrupted["heard"].split()) < 14
    assert max(stopped.loud(began - 0.5, began + 1)) - began < 0.8  # it is silent soon
    assert stopped.loud(end, end + 0.25) == []  # the answer may come 0.3 s after the last word
    assert stopped.sink.flushes >= 1
    assert stopped.replies()[1].startswith("Sorry, I can't help with that.")
    for one in others:
        assert one.typed("assistant.interrupted") == []
        assert one.loud(6.5, 8)  # the story goes on
        assert len(one.replies()) == 1


async def test_the_reply_in_the_microphone_is_nobody(node: Node) -> None:
    """Two rooms with loud loudspeakers; in one of them somebody speaks, too."""
    alone, together = Microphone(7), Microphone(7)
    together.say(4.0, "stop telling me stories", voice("stop telling me stories"))
    first, second = [await talk(node, microphone, greeting=STORY) for microphone in (alone, together)]
    await asyncio.gather(first.run(echo=(0.12, -8)), second.run(echo=(0.25, -14)))
    assert first.typed("assistant.interrupted") == []
    assert len(first.loud(5, 7)) > 50
    assert first.replies() == [STORY]
    (interrupted,) = second.typed("assistant.interrupted")
    assert max(second.loud(3.5, 5)) - 4.0 < 0.8
    assert STORY.startswith(interrupted["heard"][:20])


async def test_the_picture_is_changed_by_voice_and_a_timer_rings(node: Node) -> None:
    microphone = Microphone(10)
    microphone.say(0.8, "mirror the picture", voice("mirror the picture"))
    microphone.say(4.0, "set a timer for two seconds", voice("set a timer for two seconds"))
    one, unseen = await talk(node, microphone), await talk(node, microphone)
    await asyncio.gather(one.run(camera=True), unseen.run())
    assert unseen.session.spec.json() == [{"stage": "assistant"}]
    assert unseen.replies()[0] == "There is no picture here."
    assert [stage["stage"] for stage in one.session.spec.json()] == ["assistant", "mirror"]
    assert [(data["name"], data["ok"]) for data in one.typed("assistant.action")] == [("steer", True), ("timer", True)]
    assert one.replies() == ["Mirror is on.", "Timer set for 2 seconds.", "Your 2 second timer is done."]


async def test_a_language_model_answers_and_one_that_dies_is_told(scripted: type[Scripted]) -> None:
    async def script(body: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        if "napoleon" in body["messages"][-1]["content"]:
            async for delta in words("He was an emperor of the French, who lost in the end."):
                yield delta
        else:
            raise ConnectionError

    microphone = Microphone(9)
    microphone.say(1.0, "who was napoleon", voice("who was Napoleon"))
    microphone.say(6.0, "tell me a joke", voice("tell me a joke"))
    async with chat_server(script) as chat, opened_node(fetch=False, brain=chat.url, brain_timeout=1) as node:
        one = await talk(node, microphone, instructions="Be brief.")
        await one.run()
        await one.sink.until(lambda: len(one.replies()) == 2)
    assert one.replies() == ["He was an emperor of the French, who lost in the end.", NO_ANSWER]
    assert chat.requests[0]["messages"][0]["content"].startswith("Be brief.")
    assert [message["role"] for message in chat.requests[1]["messages"]] == ["system", "user", "assistant", "user"]


async def test_live_updates_and_what_is_missing(node: Node) -> None:
    microphone = Microphone(3)
    one = await talk(node, microphone, engine="emformer")
    await one.run()
    (failed,) = one.typed("stage.failed")
    assert failed["stage"] == "assistant"
    assert "emformer" in failed["detail"]
    assert len(one.sink.of("audio")) >= 100  # it goes on, deaf
    await one.session.patch_stage(0, {"engine": "auto", "brain": "offline", "interruptions": False,
                                      "language": "en-GB"})
    one.session.push(one.frame(200, microphone.samples[:960]))
    await one.sink.until(lambda: one.typed("hearing.ready"), 60)


async def test_with_whatever_recogniser_there_is() -> None:
    """Nothing scripted: an engine hears something of what is said, and something is answered."""
    microphone = Microphone(7)
    microphone.add(2.0, voice("what time is it"))
    async with opened_node(fetch=False) as node:
        first = await talk(node, Microphone(0.1))
        await first.run()
        await first.sink.until(lambda: first.typed("hearing.ready"), 60)  # loading a model takes its time
        await first.session.close("warm")
        one = await talk(node, microphone)
        await one.run()
        await one.sink.until(lambda: one.typed("turn.latency"), 30)
    (ready,) = one.typed("hearing.ready")
    assert ready["engine"] in ("whisper", "pocketsphinx", "emformer")
    assert one.typed("transcript.committed")
    assert one.said()
