"""Replies that are begun before the turn is over: in time where it was, thrown away where the user went on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from aimass_stream.frames import now
from tests.stages.test_assistant import talk
from tests.support import scripted as scripts
from tests.support.chat_server import chat_server, words
from tests.support.known_words import voice
from tests.support.scripted import Microphone, Scripted
from tests.support.session import opened_node

pytestmark = pytest.mark.anyio
scripted = scripts.scripted

FIRST, MORE = "tell me a story now", "and again tomorrow"
BREATH = 0.25  # s between them: the first sounds finished, and the reply to it is begun after 0.2 s


async def test_the_reply_is_there_when_the_turn_is_over(scripted: type[Scripted]) -> None:
    microphone = Microphone(5)
    microphone.say(1.0, "what time is it", voice("what time is it"))
    async with opened_node(fetch=False) as node:
        one = await talk(node, microphone)
        await one.run()
    (latency,) = one.typed("turn.latency")
    assert len(one.replies()) == 1
    assert (latency["brain"], latency["voice"]) == (0, 0)  # both were done in the silence that ended the turn


async def test_a_reply_that_was_begun_too_early_is_thrown_away(scripted: type[Scripted]) -> None:
    asked: list[tuple[str, float]] = []

    async def script(body: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        asked.append((body["messages"][-1]["content"], now()))
        async for delta in words("Once there was a harbour with twelve boats."):
            yield delta

    microphone = Microphone(6)
    first = microphone.say(1.0, FIRST, voice(FIRST))
    end = microphone.say(first + BREATH, MORE, voice(MORE))
    async with chat_server(script) as chat, opened_node(fetch=False, brain=chat.url) as node:
        one = await talk(node, microphone)
        await one.run()
        await one.sink.until(lambda: one.typed("turn.latency"))
    assert [text for text, _ in asked] == [FIRST, f"{FIRST} {MORE}"]
    assert asked[0][1] - one.begun < end  # while they still spoke
    assert [message["role"] for message in chat.requests[-1]["messages"]].count("assistant") == 0
    assert one.replies() == ["Once there was a harbour with twelve boats."]
    assert one.loud(0, end) == []
    assert one.typed("assistant.interrupted") == []
    assert [data["state"] for data in one.typed("assistant.state")][:2] == ["thinking", "speaking"]
