"""Who comes in, what a session begins with, and how it is changed."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from aimass_stream.ports import Caller
from aimass_stream.transports.realtime.secrets import MOST, Secrets
from aimass_stream.transports.realtime.session import Configuration
from tests.support.realtime import silence, spoken, talking
from tests.support.waiting import until

from .place import client, server, text_item

pytestmark = pytest.mark.anyio

KEY = "a-key-of-ours"


async def refused(url: str, **options: Any) -> tuple[int, dict[str, str], str]:
    """How the handshake was refused."""
    with pytest.raises(InvalidStatus) as caught:
        async with connect(url, proxy=None, **options):
            pass
    response = caught.value.response
    return response.status_code, dict(response.headers), (response.body or b"").decode()


async def test_the_key_comes_by_header_or_by_subprotocol(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(monkeypatch, api_key=KEY) as (running, _):
        url = f"{running.ws_url}/v1/realtime"
        for options in ({}, {"additional_headers": {"Authorization": "Bearer wrong-key"}},
                        {"subprotocols": ["realtime", "openai-insecure-api-key.wrong-key"]},
                        {"additional_headers": {"Authorization": "Bearer ek_unknown"}}):
            status, _, body = await refused(url, **options)
            assert status == 401
            assert "error" in body
        async with talking(running.ws_url, additional_headers={"Authorization": f"Bearer {KEY}"}):
            pass
        protocols = ["realtime", f"openai-insecure-api-key.{KEY}", "openai-beta.realtime-v1"]
        async with talking(running.ws_url, subprotocols=protocols) as talk:
            assert talk.websocket.subprotocol == "realtime"
        assert (await refused(url, additional_headers={"Authorization": f"Bearer {KEY}"},
                              origin="https://elsewhere.example"))[0] == 403
        await until(lambda: not running.node.sessions())


async def test_a_full_server_says_so_before_the_handshake(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(monkeypatch, max_listeners=1) as (running, _), talking(running.ws_url) as talk:
        status, headers, body = await refused(f"{running.ws_url}/v1/realtime")
        assert status == 429
        assert int(headers["retry-after"]) > 0
        assert "Try again later" in body
        await talk.send("response.cancel")
        assert (await talk.until("error"))["error"]["code"] == "response_cancel_not_active"  # this one goes on


async def test_client_secrets_carry_a_configuration_for_some_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(monkeypatch, api_key=KEY) as (running, _), httpx.AsyncClient(base_url=running.url) as http:
        body = {"expires_after": {"anchor": "created_at", "seconds": 10},
                "session": {"type": "realtime", "instructions": "Be kind.", "audio": {"output": {"voice": "coral"}}}}
        assert (await http.post("/v1/realtime/client_secrets", json=body)).status_code == 401
        http.headers["Authorization"] = f"Bearer {KEY}"
        made = (await http.post("/v1/realtime/client_secrets", json=body)).json()
        assert made["value"].startswith("ek_")
        assert abs(made["expires_at"] - time.time() - 10) < 9
        assert made["session"]["instructions"] == "Be kind."
        assert made["session"]["type"] == "realtime"
        for _ in range(2):  # more than one session
            async with talking(running.ws_url, subprotocols=["realtime", f"openai-insecure-api-key.{made['value']}"],
                               ) as talk:
                session = talk.events[0]["session"]
                assert session["instructions"] == "Be kind."
                assert session["audio"]["output"]["voice"] == "coral"
        usual = (await http.post("/v1/realtime/client_secrets")).json()
        assert abs(usual["expires_at"] - time.time() - 600) < 60
        for wrong in ({"expires_after": {"seconds": 9}}, {"expires_after": {"seconds": 7201}},
                      {"session": {"tools": 7}}, {"session": {"audio": {"input": {"format": {"type": "mp3"}}}}}):
            assert (await http.post("/v1/realtime/client_secrets", json=wrong)).status_code == 422


def test_secrets_expire_and_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets, caller = Secrets(), Caller("anyone")
    first = secrets.make(Configuration(), caller, 10)
    assert secrets.get(first.value) is first
    moment = time.time()
    monkeypatch.setattr(time, "time", lambda: moment + 11)
    with pytest.raises(Exception, match="expired"):
        secrets.get(first.value)
    for _ in range(MOST + 10):
        secrets.make(Configuration(), caller)
    assert len(secrets) == MOST


async def test_what_a_session_begins_with_and_how_parts_of_it_change(monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(monkeypatch) as talk:
        session = talk.events[0]["session"]
        assert (session["type"], session["object"], session["model"]) == ("realtime", "realtime.session", "test")
        assert session["id"].startswith("sess_")
        assert session["output_modalities"] == ["audio"]
        assert "aimass" not in session
        detection = session["audio"]["input"]["turn_detection"]
        assert detection == {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300,
                             "silence_duration_ms": 500, "idle_timeout_ms": None, "create_response": True,
                             "interrupt_response": True}
        changed = await talk.configure(instructions="Be kind.", audio={"input": {"turn_detection": {
            "type": "server_vad", "threshold": 0.7, "create_response": None}}})
        assert changed["audio"]["input"]["turn_detection"] == detection | {"threshold": 0.7}
        again = await talk.configure(audio={"output": {"speed": 1.2, "voice": {"id": "cedar"}},
                                            "input": {"turn_detection": {"type": "semantic_vad"}}},
                                     tracing="auto", truncation={"type": "retention_ratio", "retention_ratio": 0.8},
                                     something_new=True)
        assert again["instructions"] == "Be kind."
        assert again["audio"]["output"] == {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "cedar",
                                            "speed": 1.2}
        assert again["audio"]["input"]["turn_detection"] == {
            "type": "semantic_vad", "eagerness": "auto", "create_response": True, "interrupt_response": True}
        assert again["tracing"] == "auto"
        assert "something_new" not in again
        off = await talk.configure(audio={"input": {"turn_detection": None, "transcription": None}}, instructions=None)
        assert off["audio"]["input"]["turn_detection"] is None
        assert off["instructions"] == "Be kind."


REFUSED: list[tuple[Any, str, str]] = [
    (None, "missing_required_parameter", "session"),
    (7, "invalid_type", "session"),
    ({"type": "dream"}, "invalid_value", "session.type"),
    ({"audio": {"input": {"format": {"type": "audio/pcm", "rate": 8000}}}}, "invalid_value",
     "session.audio.input.format.rate"),
    ({"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 7}}}}, "invalid_value",
     "session.audio.input.turn_detection.threshold"),
    ({"audio": {"output": {"voice": "nobody at all"}}}, "invalid_value", "session.audio.output.voice"),
    ({"audio": {"output": {"speed": 9}}}, "invalid_value", "session.audio.output.speed"),
    ({"output_modalities": []}, "invalid_value", "session.output_modalities"),
    ({"tools": [{"type": "function"}]}, "missing_required_parameter", "session.tools[0].name"),
    ({"instructions": "x" * 70_000}, "invalid_value", "session.instructions"),
    ({"aimass": {"pipeline": [{"stage": "no such"}]}}, "invalid_value", "pipeline[0].stage"),
]


async def test_a_change_that_cannot_be_is_refused_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(monkeypatch) as talk:
        for session, code, param in REFUSED:
            given = {} if session is None else {"session": session}
            if isinstance(session, dict) and "instructions" not in session:
                session["instructions"] = "half of it"
            error = await talk.error("session.update", **given)
            assert (error["code"], error["param"]) == (code, param), session
        assert (await talk.configure())["instructions"] == ""


async def test_a_session_that_only_transcribes(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(monkeypatch, "one two") as (running, chat), talking(
            running.ws_url, "?intent=transcription") as talk:
        session = talk.events[0]["session"]
        assert (session["type"], session["object"]) == ("transcription", "realtime.transcription_session")
        assert set(session["audio"]) == {"input"}
        await talk.send("session.update", session={"type": "transcription", "audio": {"input": {
            "transcription": {"model": "whisper-1", "language": "en"}}}})
        await talk.until("session.updated")
        await talk.say(spoken("One, two."))
        await talk.say(silence(1.2))
        told = await talk.until("conversation.item.input_audio_transcription.completed")
        assert told["transcript"] == "one two"
        assert (await talk.error("response.create"))["code"] == "invalid_value"
        assert not chat.requests


async def test_our_own_events_come_to_those_who_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(monkeypatch) as talk:
        await talk.send("conversation.item.create", item=text_item("Hello."))
        await talk.send("response.create")
        await talk.until("response.done")
        assert not [kind for kind in talk.kinds if kind.startswith("aimass")]
        session = await talk.configure(aimass={"events": True, "pipeline": [{"stage": "gain", "db": -3}]})
        assert session["aimass"]["events"] is True
        while (event := (await talk.until("aimass.event"))["event"])["type"] != "session.stats":
            pass
        assert event["seq"] > 0


async def test_a_session_ends_with_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(monkeypatch) as (running, _):
        async with talking(running.ws_url) as talk:
            [session] = running.node.sessions()
            assert (session.transport, session.listens) == ("realtime", True)
            await talk.send("conversation.item.create", item=text_item("Tell me a story."))
            await talk.send("response.create")
            await talk.until("response.output_audio.delta")
        await until(lambda: not running.node.sessions())
        assert session.state == "closed"


async def test_a_server_that_stops_says_goodbye(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(monkeypatch) as (running, _), talking(running.ws_url) as talk:
        await running.node.drain(0.1)
        await talk.websocket.wait_closed()
        assert talk.websocket.close_code == 1001
        status, _, _ = await refused(f"{running.ws_url}/v1/realtime")
        assert status == 503

