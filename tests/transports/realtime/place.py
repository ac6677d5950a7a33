"""A server whose recogniser hears what a test says it does, and a language model that says what a test says it does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from aimass_stream.hearing.recognizers import RECOGNIZERS
from tests.support import prompter
from tests.support.chat_server import Answer, ChatServer, Script, call, chat_server, words
from tests.support.options import settings
from tests.support.realtime import Client, talking
from tests.support.server import Running, serve

REPLY = "The boats are out, and the sea is calm."
FIRST = "This is sentence number 1 of a long story."
STORY = " ".join(FIRST.replace("1", str(number)) for number in range(1, 40))


def script(body: dict[str, Any]) -> Answer:
    """A reply; a story, slowly; a call of the first function there is."""
    last = body["messages"][-1]
    text = str(last.get("content")).lower()
    if last["role"] == "tool":
        return words("It is done.")
    if "story" in text:
        return words(STORY, 0.05)
    if "door" in text and body.get("tools"):
        return call(body["tools"][0]["function"]["name"], {"door": "front"})
    return words(REPLY)


@asynccontextmanager
async def server(monkeypatch: pytest.MonkeyPatch, *heard: str, answers: Script = script,
                 **options: Any) -> AsyncIterator[tuple[Running, ChatServer]]:
    """`heard`: what the recogniser hears in the next utterances."""
    monkeypatch.setitem(RECOGNIZERS, "prompted", "tests.support.prompter:Prompted")
    prompter.SCRIPT.clear()
    prompter.SCRIPT.extend(heard)
    async with chat_server(answers) as chat:
        given: dict[str, Any] = {"hearing": "prompted", "brain": chat.url}
        async with serve(settings(**(given | options))) as running:
            yield running, chat


@asynccontextmanager
async def client(monkeypatch: pytest.MonkeyPatch, *heard: str, **options: Any) -> AsyncIterator[Client]:
    """A client of such a server, greeted."""
    async with server(monkeypatch, *heard, **options) as (running, _), talking(running.ws_url) as joined:
        yield joined


def text_item(text: str, **fields: Any) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}], **fields}
