"""Realtime by WebRTC: a call to a real server, with aiortc as the client."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest

from tests.support.realtime_call import Call, calling
from tests.support.speech import speak
from tests.support.waiting import until
from tests.transports.realtime.place import FIRST, STORY, server, text_item

pytestmark = pytest.mark.anyio

KEY = "a-key-of-ours"
STALL = 0.15  # s, after which no room sounds as it did: what came too late was not played
SESSION = {"type": "realtime", "instructions": "Be kind.", "audio": {"input": {"transcription": {"model": "any"}}}}


async def test_a_call_is_answered_in_speech_and_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    question, stop = speak("Tell me a story."), speak("Wait a moment, please.")
    async with server(monkeypatch, "tell me a story", "wait a moment") as (running, chat), calling(
            running.url, {**SESSION, "aimass": {"events": True}}) as call:
        assert (await call.until("session.created"))["session"]["instructions"] == "Be kind."
        call.voice.say(question)
        await call.until("output_audio_buffer.started")
        await until(lambda: len(call.loud) > 60)  # a second and more of it has been heard
        assert "response.output_audio.delta" not in call.kinds
        call.voice.say(stop)
        await call.until("input_audio_buffer.speech_started")
        cleared = await call.until("output_audio_buffer.cleared")
        cut = await call.until("conversation.item.truncated")
        await call.until("input_audio_buffer.speech_stopped")
        stopped = time.monotonic()
        assert stopped - max(moment for moment in call.loud if moment < stopped) > 0.2  # it was not talked over
        await call.until("output_audio_buffer.started")
        assert cleared["response_id"] == next(event["response"]["id"] for event in call.events
                                              if event["type"] == "response.created")
        assert cut["audio_end_ms"] > 900
        latencies = [event["event"]["data"] for event in call.events if event["type"] == "aimass.event"
                     and event["event"]["type"] == "turn.latency"]
        assert next(each["turn"] for each in latencies) == cleared["response_id"]
        assert all(300 < each["total"] < 30_000 and each["endpoint"] > 250 for each in latencies)
        heard = [each["content"] for each in chat.requests[1]["messages"] if each["role"] == "assistant"]
        assert heard[0].startswith(FIRST[:20])
        assert STORY.startswith(heard[0])
        assert len(heard[0]) < 200


async def test_a_caller_on_a_loudspeaker_does_not_interrupt_the_reply_but_by_speaking(
        monkeypatch: pytest.MonkeyPatch) -> None:
    stop = speak("Wait a moment, please.")
    async with server(monkeypatch, "this is sentence number") as (running, _), calling(running.url, SESSION) as call:
        call.voice.loudspeaker = 0.5
        call.send("conversation.item.create", item=text_item("Tell me a story."))
        call.send("response.create")
        await call.until("output_audio_buffer.started")
        await until(lambda: len(call.loud) > 200 or "input_audio_buffer.speech_started" in call.kinds)
        if "input_audio_buffer.speech_started" in call.kinds and call.voice.stalled > STALL:
            pytest.skip(f"this machine is too busy: the loudspeaker stood still for {call.voice.stalled:.2f} s")
        assert "input_audio_buffer.speech_started" not in call.kinds  # in four seconds and more
        assert "output_audio_buffer.cleared" not in call.kinds
        call.voice.say(stop)
        await call.until("input_audio_buffer.speech_started")
        await call.until("output_audio_buffer.cleared")
        heard = await call.until("conversation.item.input_audio_transcription.completed")
        assert heard["transcript"] == ""  # what the reply had just said is nobody's turn
        call.send("session.update", session={"type": "realtime"})
        await call.until("session.updated")
        assert call.kinds.count("response.created") == 1


async def test_raw_sdp_and_events_by_the_data_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(monkeypatch) as (running, _), calling(running.url) as call:
        assert (await call.until("session.created"))["session"]["model"] == "test"
        call.send("session.update", session={"type": "realtime", "instructions": "Be brief."})
        assert (await call.until("session.updated"))["session"]["instructions"] == "Be brief."
        call.send("input_audio_buffer.append", audio="AAAA")
        assert (await call.until("error"))["error"]["code"] == "invalid_value"
        call.send("conversation.item.create", item=text_item("Hello."))
        call.send("response.create")
        done = await call.until("response.done")
        assert done["response"]["status"] == "completed"
        await call.until("output_audio_buffer.stopped")
        kinds = call.kinds
        assert kinds.index("output_audio_buffer.started") > kinds.index("response.content_part.added")
        assert kinds.index("output_audio_buffer.stopped") > kinds.index("response.done")
        spoken = call.loud[-1] - call.loud[0]
        assert 1.0 < spoken < 20
        call.send("conversation.item.retrieve", item_id=done["response"]["output"][0]["id"])
        assert "audio" not in (await call.until("conversation.item.retrieved"))["item"]["content"][0]


async def test_a_client_may_silence_a_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(monkeypatch) as (running, _), calling(running.url) as call:
        call.send("conversation.item.create", item=text_item("Tell me a story."))
        call.send("response.create")
        await call.until("output_audio_buffer.started")
        await until(lambda: len(call.loud) > 20)
        call.send("output_audio_buffer.clear")
        await call.until("output_audio_buffer.cleared")
        assert (await call.until("conversation.item.truncated"))["audio_end_ms"] > 200
        quiet = time.monotonic()
        call.send("conversation.item.create", item=text_item("Hello."))
        call.send("response.create")
        await call.until("output_audio_buffer.started")
        begun = time.monotonic()
        assert not [moment for moment in call.loud if quiet + 0.5 < moment < begun - 0.1]


async def test_a_call_that_ends_takes_its_session_along(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(monkeypatch) as (running, _):
        async with calling(running.url) as call:
            [session] = running.node.sessions()
            assert (session.transport, session.listens) == ("realtime", True)
            await call.until("session.created")
        await until(lambda: not running.node.sessions())
        async with calling(running.url) as call, httpx.AsyncClient(base_url=running.url) as http:
            [session] = running.node.sessions()
            assert (await http.post(f"/v1/realtime/calls/{session.id}/hangup")).status_code == 200
            assert (await http.post(f"/v1/realtime/calls/{session.id}/hangup")).status_code == 404
        assert not running.node.sessions()


async def test_offers_that_cannot_be_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(monkeypatch, api_key=KEY, max_listeners=1) as (running, _), httpx.AsyncClient(
            base_url=running.url) as http:
        call = Call()
        offer = await call.offer()
        sdp = {"Content-Type": "application/sdp"}
        assert (await http.post("/v1/realtime/calls", content=offer, headers=sdp)).status_code == 401
        made = (await http.post("/v1/realtime/client_secrets", headers={"Authorization": f"Bearer {KEY}"},
                                json={"session": SESSION})).json()
        http.headers["Authorization"] = f"Bearer {made['value']}"

        async def status(**request: Any) -> int:
            return (await http.post("/v1/realtime/calls", **request)).status_code

        assert await status(content="hello", headers=sdp) == 422
        assert await status(content=b"\xff" * 100, headers=sdp) == 422
        assert await status(content="v=0" + "x" * 100_000, headers=sdp) == 413
        assert await status(json={"sdp": offer}) == 415
        assert await status(files={"session": (None, "{}")}) == 422
        assert await status(files={"sdp": (None, offer), "session": (None, "{")}) == 422
        assert await status(files={"sdp": (None, offer), "session": (None, json.dumps({"tools": 7}))}) == 422
        assert await status(files={"sdp": (None, "x" * 100_000)}) == 413
        assert await status(content=offer, headers=sdp | {"Content-Type": "multipart/form-data"}) == 400
        assert not running.node.sessions()
        assert await status(content=offer, headers=sdp) == 201  # by the client secret
        full = await http.post("/v1/realtime/calls", content=offer, headers=sdp)
        assert full.status_code == 429
        assert int(full.headers["retry-after"]) > 0
        await call.close()


async def test_an_event_that_is_too_long_ends_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(monkeypatch, max_message=2048) as (running, _), calling(running.url) as call:
        call.send("conversation.item.create", item=text_item("x" * 3000))
        await until(lambda: not running.node.sessions())
