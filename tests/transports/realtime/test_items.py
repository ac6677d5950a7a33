"""Items: put in, looked at, cut and taken out, with the place that each has in the conversation."""

from __future__ import annotations

import base64
from typing import Any, cast

import numpy as np
import pytest

from aimass_stream.conversation.tools import Toolbox
from aimass_stream.node import Node
from aimass_stream.session import Session
from aimass_stream.transports.realtime.items import KEPT_SOUND, LONGEST_SOUND, Items
from aimass_stream.transports.realtime.line import Events, Place
from aimass_stream.transports.realtime.session import Configuration
from tests.support.realtime import RATE, Client, as_base64, silence, spoken, talking

from .place import FIRST, REPLY, client, server, text_item

pytestmark = pytest.mark.anyio


async def create(talk: Client, item: dict[str, Any], **fields: Any) -> dict[str, Any]:
    await talk.send("conversation.item.create", item=item, **fields)
    return await talk.until("conversation.item.added")


async def test_items_keep_their_ids_and_say_what_they_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(monkeypatch) as talk:
        first = await create(talk, text_item("One.", id="item_a"))
        assert (first["previous_item_id"], first["item"]["id"]) == (None, "item_a")
        assert first["item"] == {"id": "item_a", "object": "realtime.item", "type": "message", "status": "completed",
                                 "role": "user", "content": [{"type": "input_text", "text": "One."}]}
        assert (await talk.until("conversation.item.done"))["item"] == first["item"]
        third = await create(talk, text_item("Three.", id="item_c"))
        assert third["previous_item_id"] == "item_a"
        second = await create(talk, text_item("Two.", id="item_b"), previous_item_id="item_a")
        assert second["previous_item_id"] == "item_a"
        begin = await create(talk, text_item("Zero.", id="item_0"), previous_item_id="root")
        assert begin["previous_item_id"] is None
        own = await create(talk, text_item("Four."))
        assert own["item"]["id"].startswith("item_")
        assert own["previous_item_id"] == "item_c"


async def test_all_kinds_of_items_reach_the_language_model(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(monkeypatch) as (running, chat), talking(running.ws_url) as talk:
        await create(talk, {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Rhyme."}]})
        await create(talk, text_item("Hello."))
        await create(talk, {"type": "message", "role": "assistant",
                            "content": [{"type": "output_text", "text": "Good day."}]})
        await create(talk, {"type": "function_call", "name": "look", "arguments": "{}", "call_id": "c1"})
        await create(talk, {"type": "function_call_output", "call_id": "c1", "output": "rain"})
        await create(talk, {"type": "message", "role": "user", "content": [
            {"type": "input_audio", "audio": as_base64(b"\0" * 480), "transcript": "And now?"}]})
        await talk.send("response.create")
        await talk.until("response.done")
        messages = [(each["role"], each.get("content")) for each in chat.requests[0]["messages"]]
        assert ("system", "Rhyme.") in messages
        assert [each for each in messages if each[0] in ("user", "tool")] == [
            ("user", "Hello."), ("tool", "rain"), ("user", "And now?")]
        assert ("assistant", "Good day.") in messages


async def test_sound_in_an_item_is_heard_before_it_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(monkeypatch, "how deep is it") as (running, chat), talking(running.ws_url) as talk:
        await talk.configure(audio={"input": {"transcription": {"model": "any"}}})
        await create(talk, {"type": "message", "role": "user", "content": [
            {"type": "input_audio", "audio": as_base64(spoken("How deep is it?"))}]})
        await talk.send("response.create")
        told = await talk.until("conversation.item.input_audio_transcription.completed")
        assert told["transcript"] == "how deep is it"
        await talk.until("response.done")
        assert chat.requests[0]["messages"][-1]["content"] == "how deep is it"


async def test_an_item_comes_back_with_its_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(monkeypatch, "how deep is it") as talk:
        await talk.configure(audio={"input": {"transcription": {"model": "any"}}})
        clip = spoken("How deep is it?")
        await talk.say(clip)
        await talk.say(silence(1.2))
        reply = (await talk.until("response.done"))["response"]["output"][0]["id"]
        user = next(talk.of("input_audio_buffer.committed"))["item_id"]
        await talk.send("conversation.item.retrieve", item_id=user)
        item = (await talk.until("conversation.item.retrieved"))["item"]
        assert item["content"][0]["transcript"] == "how deep is it"
        sound = np.frombuffer(base64.b64decode(item["content"][0]["audio"]), "<i2")
        assert 0.8 < len(sound) / len(clip) < 2.2
        assert np.abs(sound).max() == pytest.approx(np.abs(clip).max(), rel=0.2)
        await talk.send("conversation.item.retrieve", item_id=reply)
        item = (await talk.until("conversation.item.retrieved"))["item"]
        kept = base64.b64decode(item["content"][0]["audio"])
        assert len(kept) == pytest.approx(len(talk.sound()), abs=4000)


async def test_a_truncated_reply_is_remembered_as_far_as_it_was_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(monkeypatch) as (running, chat), talking(running.ws_url) as talk:
        await create(talk, text_item("Hello."))
        await talk.send("response.create")
        reply = (await talk.until("response.done"))["response"]["output"][0]["id"]
        whole = len(talk.sound()) * 1000 // (2 * RATE)
        late = await talk.error("conversation.item.truncate", item_id=reply, content_index=0, audio_end_ms=whole + 99)
        assert (late["code"], late["param"]) == ("invalid_value", "audio_end_ms")
        await talk.send("conversation.item.truncate", item_id=reply, content_index=0, audio_end_ms=800)
        cut = await talk.until("conversation.item.truncated")
        assert (cut["item_id"], cut["content_index"], cut["audio_end_ms"]) == (reply, 0, 800)
        await talk.send("conversation.item.retrieve", item_id=reply)
        item = (await talk.until("conversation.item.retrieved"))["item"]
        heard = item["content"][0]["transcript"]
        assert item["status"] == "incomplete"
        assert heard
        assert REPLY.startswith(heard)
        assert len(heard) < len(REPLY)
        assert len(base64.b64decode(item["content"][0]["audio"])) == pytest.approx(0.8 * 2 * RATE, abs=2000)
        await create(talk, text_item("Go on."))
        await talk.send("response.create")
        await talk.until("response.done")
        assert chat.requests[1]["messages"][-2] == {"role": "assistant", "content": heard}


async def test_a_reply_may_be_truncated_while_it_is_made_and_cancelled_then(monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(monkeypatch) as talk:
        await create(talk, text_item("Tell me a story."))
        await talk.send("response.create")
        item_id = (await talk.until("response.output_audio.delta"))["item_id"]
        await talk.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=100)
        await talk.send("response.cancel")
        await talk.until("conversation.item.truncated")
        await talk.until("response.done")
        await talk.send("conversation.item.retrieve", item_id=item_id)
        item = (await talk.until("conversation.item.retrieved"))["item"]
        assert item["status"] == "incomplete"
        assert len(item["content"][0]["transcript"]) < len(FIRST)


async def test_what_is_deleted_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(monkeypatch) as (running, chat), talking(running.ws_url) as talk:
        await create(talk, text_item("A secret.", id="item_a"))
        await create(talk, text_item("Hello.", id="item_b"))
        await talk.send("conversation.item.delete", item_id="item_a")
        assert (await talk.until("conversation.item.deleted"))["item_id"] == "item_a"
        for what in ("delete", "retrieve"):
            error = await talk.error(f"conversation.item.{what}", item_id="item_a")
            assert error["code"] == f"item_{what}_invalid_item_id"
        await talk.send("response.create")
        await talk.until("response.done")
        assert "secret" not in str(chat.requests)
        added = [event["previous_item_id"] for event in talk.of("conversation.item.added")]
        assert added == [None, "item_a", "item_b"]


REFUSED: list[tuple[dict[str, Any], str, str | None]] = [
    ({"item": {"type": "message", "role": "user"}}, "missing_required_parameter", "item.content"),
    ({"item": {"type": "poem"}}, "invalid_value", "item"),
    ({"item": 7}, "invalid_type", "item"),
    ({}, "invalid_type", "item"),
    ({"item": text_item("x", role="king")}, "invalid_value", "item"),
    ({"item": text_item("x", id="i" * 65)}, "invalid_value", "item.id"),
    ({"item": text_item("x", id="item_there")}, "invalid_value", "item.id"),
    ({"item": text_item("x" * 70_000)}, "invalid_value", "item.content[0].text"),
    ({"item": text_item("x"), "previous_item_id": "item_none"}, "item_not_found", "previous_item_id"),
    ({"item": text_item("x"), "previous_item_id": 7}, "invalid_type", "previous_item_id"),
    ({"item": {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": "&&&"}]}},
     "invalid_value", "item.content[0].audio"),
    ({"item": {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": "data:,"}]}},
     "invalid_value", "item.content[0]"),
    ({"item": {"type": "function_call_output", "call_id": "none", "output": ""}}, "invalid_tool_call_id",
     "item.call_id"),
]


async def test_items_that_cannot_be_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(monkeypatch) as talk:
        await create(talk, text_item("Here.", id="item_there"))
        for fields, code, param in REFUSED:
            error = await talk.error("conversation.item.create", **fields)
            assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", code, param), fields
        for fields, param in (({"item_id": "item_there"}, "audio_end_ms"),
                              ({"item_id": "item_there", "audio_end_ms": -1}, "audio_end_ms"),
                              ({"item_id": "item_there", "audio_end_ms": 1, "content_index": 0}, "item_id"),
                              ({"audio_end_ms": 1}, "item_id")):
            assert (await talk.error("conversation.item.truncate", **fields))["param"] == param
        assert len(list(talk.of("conversation.item.added"))) == 1


def test_the_sound_of_one_long_reply_is_bounded() -> None:
    class Nowhere:
        def send(self, text: str) -> None:
            """Nobody reads it."""

        async def room(self) -> None:
            """There is always."""

    async def hear(item_id: str, data: bytes) -> None:
        """No item has sound of the client's."""

    items = Items(Place(cast(Node, None), cast(Session, None), Events(Nowhere()), Toolbox(), Configuration(),
                        microphone=False), hear)
    second = np.ones((22_050, 1), np.int16)
    for item_id in ("item_a", "item_b"):
        for _ in range(20 * 60):  # 53 MB, of a voice at 22 kHz
            items.keep_sound(item_id, second, 22_050)
    assert items.sound_size == 2 * 2 * LONGEST_SOUND * 22_050
    assert items.sound_size <= KEPT_SOUND
