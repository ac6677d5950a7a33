"""What clients send by mistake or malice, and clients that do not read: each gets its error and costs only itself."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

from aimass_stream.hearing.recognizers import open_recognizer
from aimass_stream.transports.realtime import connection as lines
from tests.support.chat_server import Answer, words
from tests.support.realtime import Client, as_base64, silence, spoken, talking
from tests.support.waiting import until

from .place import client, server, text_item

pytestmark = pytest.mark.anyio


async def raw(talk: Client, message: str | bytes) -> dict[str, Any]:
    await talk.websocket.send(message)
    return (await talk.until("error"))["error"]  # type: ignore[no-any-return]


async def test_what_is_no_event_is_said_so_and_the_session_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(monkeypatch) as talk:
        for message in ("{", "7", "[]", '"hello"', "[" * 5000, b"\x00\xff", ""):
            error = await raw(talk, message)
            assert (error["type"], error["code"], error["event_id"]) == ("invalid_request_error", "invalid_json", None)
        missing = await raw(talk, "{}")
        assert (missing["code"], missing["param"]) == ("missing_required_parameter", "type")
        for kind in ("session.create", "response.create ", 7, None, {"a": 1}, "x" * 5000):
            error = await raw(talk, json.dumps({"type": kind, "event_id": "e1"}))
            assert error["param"] == "type"
            assert len(error["message"]) < 800
            assert error["event_id"] == "e1"
        assert (await raw(talk, json.dumps({"type": "x", "event_id": {"no": "text"}})))["event_id"] is None
        assert (await talk.configure())["type"] == "realtime"


async def test_sound_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(monkeypatch) as talk:
        for audio in ("&&&&", "AAA", "A===", "ÄÖÜ", 7, None, ["AAAA"]):
            error = await talk.error("input_audio_buffer.append", audio=audio)
            assert error["param"] == "audio"
            assert error["code"] in ("invalid_value", "invalid_type")
        assert (await talk.error("input_audio_buffer.append"))["param"] == "audio"
        for data in (b"", b"\x01", b"\x01\x02\x03"):  # halves of samples wait for the other half
            await talk.send("input_audio_buffer.append", audio=as_base64(data))
        empty = await talk.error("input_audio_buffer.commit")
        assert empty["code"] == "input_audio_buffer_commit_empty"
        assert "100ms" in empty["message"]
        assert (await talk.error("output_audio_buffer.clear"))["code"] == "invalid_value"


async def test_a_commit_of_nothing_or_next_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(monkeypatch, "yes") as talk:
        await talk.configure(audio={"input": {"turn_detection": None}})
        assert (await talk.error("input_audio_buffer.commit"))["code"] == "input_audio_buffer_commit_empty"
        await talk.say(silence(0.09))
        error = await talk.error("input_audio_buffer.commit")
        assert "90.00ms" in error["message"]
        await talk.say(silence(0.02))
        await talk.send("input_audio_buffer.commit")
        await talk.until("input_audio_buffer.committed")
        assert (await talk.error("input_audio_buffer.commit"))["code"] == "input_audio_buffer_commit_empty"


async def test_a_message_that_is_too_long_ends_the_connection_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(monkeypatch, max_message=64 * 1024) as (running, _), talking(running.ws_url) as other:
        async with talking(running.ws_url) as talk:
            await talk.send("input_audio_buffer.append", audio=as_base64(bytes(60_000)))
            with pytest.raises(ConnectionClosed) as closed:
                await talk.until("error")
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1009
        await until(lambda: len(running.node.sessions()) == 1)
        assert (await other.configure())["type"] == "realtime"


async def test_events_out_of_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything was said or asked for; each is answered, none harms what comes after."""
    async with client(monkeypatch, "hello") as talk:
        for kind, fields, code in (
                ("conversation.item.truncate", {"item_id": "x", "content_index": 0, "audio_end_ms": 0},
                 "item_truncate_invalid_item_id"),
                ("conversation.item.delete", {"item_id": "x"}, "item_delete_invalid_item_id"),
                ("conversation.item.retrieve", {"item_id": "x"}, "item_retrieve_invalid_item_id"),
                ("conversation.item.retrieve", {}, "missing_required_parameter"),
                ("conversation.item.create", {"item": {"type": "function_call_output", "call_id": "c", "output": ""}},
                 "invalid_tool_call_id"),
                ("response.cancel", {}, "response_cancel_not_active"),
                ("input_audio_buffer.commit", {}, "input_audio_buffer_commit_empty")):
            assert (await talk.error(kind, **fields))["code"] == code
        await talk.send("input_audio_buffer.clear")
        await talk.until("input_audio_buffer.cleared")
        await talk.send("response.create")  # of an empty conversation
        assert (await talk.until("response.done"))["response"]["status"] == "completed"
        await talk.say(spoken("Hello."))
        await talk.say(silence(1.2))
        await talk.until("response.done")


async def test_sound_faster_than_it_can_be_heard_waits_and_is_heard_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(monkeypatch, *(str(number) for number in range(8))) as (running, _), talking(
            running.ws_url) as talk:
        await talk.configure(audio={"input": {"transcription": {"model": "any"}, "turn_detection": {
            "type": "server_vad", "create_response": False}}})
        clip = np.concatenate([spoken("What is the weather like?"), silence(1.2)])
        await talk.say(np.concatenate([clip] * 8), chunk=10.0)  # 20 s in pieces of 10
        told = [(await talk.until("conversation.item.input_audio_transcription.completed"))["transcript"]
                for _ in range(8)]
        assert told == [str(number) for number in range(8)]
        assert running.node.sessions()[0].stats().drops == {}


async def test_a_client_that_stops_reading_amid_a_reply_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(body: dict[str, Any]) -> Answer:
        return words(" ".join(f"This is sentence number {number} of a very long story." for number in range(300)))

    monkeypatch.setattr(lines, "STALL", 1.0)
    async with server(monkeypatch, answers=endless) as (running, _), talking(running.ws_url) as other:
        async with talking(running.ws_url, max_queue=4, ping_interval=None) as dead:
            mine = next(each for each in running.node.sessions() if each is not running.node.sessions()[0])
            await dead.send("conversation.item.create", item=text_item("Tell me a story."))
            await dead.send("response.create")
            await dead.until("response.output_audio.delta")
            waiting = 0
            async with asyncio.timeout(30):
                while mine.state != "closed":  # it reads nothing any more
                    waiting = max(waiting, mine.stats().transport.get("waiting_characters", 0))
                    await other.send("response.cancel")
                    await other.until("error")
                    await asyncio.sleep(0.02)
            assert 0 < waiting < lines.MOST
        assert (await other.configure())["type"] == "realtime"


async def test_a_flood_of_events_costs_its_sender_only(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(monkeypatch) as (running, _), talking(running.ws_url) as flood, talking(
            running.ws_url) as other:
        for _ in range(600):
            await flood.send("conversation.item.create", item=text_item("x"))
        await flood.send("input_audio_buffer.clear")
        await other.configure(instructions="Be kind.")
        await flood.until("input_audio_buffer.cleared", 30)
        assert flood.kinds.count("conversation.item.added") == 600
        last = list(flood.of("conversation.item.added"))[-1]
        first = next(flood.of("conversation.item.added"))
        await flood.send("conversation.item.retrieve", item_id=last["item"]["id"])
        await flood.until("conversation.item.retrieved")
        gone = await flood.error("conversation.item.retrieve", item_id=first["item"]["id"])
        assert gone["code"] == "item_retrieve_invalid_item_id"  # only the newest are kept


async def test_silence_for_minutes_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(monkeypatch, "hello") as talk:
        await talk.say(silence(180), chunk=10.0)
        await talk.say(spoken("Hello."))
        await talk.say(silence(1.0))
        started = await talk.until("input_audio_buffer.speech_started", 30)
        assert 179_000 < started["audio_start_ms"] < 181_000
        await talk.until("response.done")
        assert talk.kinds.count("input_audio_buffer.speech_started") == 1




async def test_a_slow_recogniser_does_not_cost_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pings are answered behind all the sound that was sent: reading must not wait for the ears."""
    asleep = asyncio.Event()

    async def slowly(*arguments: Any, **options: Any) -> Any:
        await asleep.wait()
        return await open_recognizer(*arguments, **options)

    monkeypatch.setattr("aimass_stream.transports.realtime.input_audio.open_recognizer", slowly)
    async with server(monkeypatch, "hello") as (running, _), talking(running.ws_url) as talk:
        await talk.say(np.concatenate([spoken("Hello."), silence(30)]), chunk=0.1)
        pong = await talk.websocket.ping()
        async with asyncio.timeout(30):
            await pong
        asleep.set()
        await talk.until("response.done")
