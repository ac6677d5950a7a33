"""Stock clients of the Realtime protocol, unmodified: a clip goes in; transcript, reply and interruption come out.

The recogniser is the best that is here without any network; half of its words right are enough for these tests.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jiwer
import pytest

from aimass_stream.speech.normal import normalise
from tests.support.chat_server import Answer, ChatServer, call, chat_server, words
from tests.support.options import settings
from tests.support.realtime import spoken
from tests.support.server import serve

from .running import run, stock

pytestmark = [pytest.mark.anyio, stock, pytest.mark.timeout(300)]

KEY = "a-key-of-ours"
QUESTION, INTERRUPTION = "What is two plus three?", "What is ten minus four?"
REPLY, OPENED = "It is a fine day, and the boats are out.", "The front door is open now."
FIRST = "This is sentence number 1 of a long story."
STORY = " ".join(FIRST.replace("1", str(number)) for number in range(1, 40))


def script(body: dict[str, Any]) -> Answer:
    last = body["messages"][-1]
    text = str(last.get("content"))
    if last["role"] == "tool":
        return words(OPENED)
    if "story" in text:
        return words(STORY, 0.1)
    if "Open" in text:
        return call("open_door", {"door": "front"})
    return words(REPLY)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("clips")
    for name, text in (("question", QUESTION), ("interruption", INTERRUPTION)):
        (folder / name).write_bytes(spoken(text).tobytes())
    return folder / "question", folder / "interruption"


@asynccontextmanager
async def conversing() -> AsyncIterator[tuple[str, ChatServer]]:
    """A server with a language model that says what it is told to."""
    async with chat_server(script) as chat, serve(settings(brain=chat.url, api_key=KEY, fetch=False)) as server:
        yield server.url, chat


def wrong(heard: str, said: str) -> float:
    """Word error rate."""
    return float(jiwer.wer(normalise(said), normalise(heard)))


async def test_openai_python(clips: tuple[Path, Path]) -> None:
    async with conversing() as (url, chat):
        told = await run("openai_realtime.py", url, KEY, *clips)
    question, cut, after, called, done = (told[name] for name in ("question", "interrupted", "after", "called",
                                                                  "done"))
    assert wrong(question["transcript"], QUESTION) <= 0.5
    assert question["reply"] == REPLY
    assert question["sound"] > 48_000  # a second at least
    assert question["kinds"][0] == "session.created"
    assert question["tokens"][0] > 0
    assert (cut["status"], cut["reason"]) == ("cancelled", "turn_detected")
    assert cut["reply"].startswith(FIRST)
    assert len(cut["reply"]) < len(STORY) / 2
    assert "conversation.item.truncated" in after["kinds"]
    assert after["transcript"]
    assert called["calls"] == [["open_door", {"door": "front"}, "call_1"]]
    assert done["reply"] == OPENED
    [system, *_] = chat.requests[0]["messages"]
    assert "Be brief." in system["content"]
    assert chat.requests[0]["tools"][0]["function"]["name"] == "open_door"
    remembered = [message["content"] for message in chat.requests[2]["messages"] if message["role"] == "assistant"]
    assert FIRST.startswith(remembered[-1])  # the rest was cut off: half a second of it was heard
    assert len(remembered[-1]) < len(FIRST)


async def test_openai_agents(clips: tuple[Path, Path]) -> None:
    async with conversing() as (url, _):
        told = await run("openai_agents.py", url, KEY, *clips)
    question, cut, after, tool, done = (told[name] for name in ("question", "interrupted", "after", "tool", "done"))
    assert [each["errors"] for each in (question, cut, after, done)] == [[], [], [], []]
    assert wrong(question["transcript"], QUESTION) <= 0.5
    assert question["history"] == [["user", question["transcript"], "completed"], ["assistant", REPLY, "completed"]]
    assert question["sound"] > 48_000
    assert cut["kinds"][-1] == "audio_interrupted"
    assert after["transcript"]
    assert after["history"][3][2] == "incomplete"
    assert STORY.startswith(after["history"][3][1])
    assert tool["door"] == "front"
    assert done["history"][-1][:2] == ["assistant", OPENED]


async def test_pipecat(clips: tuple[Path, Path]) -> None:
    async with conversing() as (url, _):
        told = await run("pipecat_realtime.py", url, KEY, *clips)
    question, cut, after = told["question"], told["interrupted"], told["after"]
    assert wrong(question["transcript"], QUESTION) <= 0.5
    assert question["reply"] == REPLY
    assert question["interim"] > 0
    assert question["sound"] > 48_000
    assert cut["reply"].startswith(FIRST)
    assert len(cut["reply"]) < len(STORY) / 2
    assert after["transcript"]
    assert after["reply"] == REPLY
    assert told["tool"]["door"] == "front"
    assert told["done"]["reply"] == OPENED
