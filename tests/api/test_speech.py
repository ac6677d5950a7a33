"""POST /v1/audio/speech and GET /v1/audio/voices, over real sockets, against what a player makes of the answer."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import av
import httpx
import numpy as np
import pytest

from aimass_stream.codecs.speech_files import FILE_RATE, MEDIA_TYPES
from aimass_stream.frames import Samples
from tests.support.options import settings
from tests.support.server import Running, serve

pytestmark = pytest.mark.anyio

TEXT = "Nine boats left the harbour at dawn, and the bell rang twice."
LONG = " ".join(f"This is sentence number {number} of a long text that is read aloud." for number in range(40))


@pytest.fixture
async def server() -> AsyncIterator[Running]:
    async with serve(settings()) as running:
        yield running


@pytest.fixture
async def client(server: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=20) as client:
        yield client


def decoded(data: bytes, form: str) -> Samples:
    """Mono int16 at FILE_RATE, by FFmpeg."""
    if form == "pcm":
        return np.frombuffer(data, "<i2").astype(np.int16)[:, None]
    with av.open(io.BytesIO(data), "r") as container:
        resampler = av.AudioResampler("s16", "mono", FILE_RATE)
        pieces = [out.to_ndarray().reshape(-1) for frame in container.decode(audio=0)
                  for out in resampler.resample(frame)]
        pieces += [out.to_ndarray().reshape(-1) for out in resampler.resample(None)]
    return np.concatenate(pieces).astype(np.int16)[:, None]


def loud(samples: Samples) -> float:
    """Seconds in which something is to be heard, in pieces of 20 ms."""
    count = FILE_RATE // 50
    pieces = samples[: len(samples) // count * count, 0].astype(np.float64).reshape(-1, count)
    return float(np.count_nonzero(np.sqrt((pieces**2).mean(1)) > 300) * 0.02)


async def test_every_format_can_be_played_and_has_the_whole_text(client: httpx.AsyncClient) -> None:
    for form in MEDIA_TYPES:
        answer = await client.post("/v1/audio/speech", json={"model": "tts-1", "input": TEXT, "voice": "alloy",
                                                             "response_format": form})
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == MEDIA_TYPES[form]
        samples = await asyncio.to_thread(decoded, answer.content, form)
        assert 3 < len(samples) / FILE_RATE < 4.5, form
        assert loud(samples) > 2, form


async def test_a_long_text_begins_while_most_of_it_is_not_spoken_yet(client: httpx.AsyncClient) -> None:
    await client.post("/v1/audio/speech", json={"input": "Ready."})
    begun, first, size = time.perf_counter(), 0.0, 0
    wanted = {"input": LONG, "response_format": "pcm"}
    async with client.stream("POST", "/v1/audio/speech", json=wanted) as answer:
        async for data in answer.aiter_raw():
            first = first or time.perf_counter() - begun
            size += len(data)
    all_of_it = time.perf_counter() - begun
    assert size / 2 / FILE_RATE > 60
    assert first < all_of_it / 2


async def test_server_sent_events_bring_the_same_sound(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/audio/speech", json={"input": TEXT, "stream_format": "sse",
                                                         "response_format": "pcm"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line.removeprefix("data: ")) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert {event["type"] for event in events[:-1]} == {"speech.audio.delta"}
    assert events[-1]["type"] == "speech.audio.done"
    assert events[-1]["usage"]["total_tokens"] > 0
    sound = b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
    assert loud(decoded(sound, "pcm")) > 2


async def test_speed_changes_how_long_it_takes(client: httpx.AsyncClient) -> None:
    lengths = []
    for speed in (0.5, 1.0, 2.0):
        answer = await client.post("/v1/audio/speech", json={"input": TEXT, "speed": speed, "response_format": "pcm"})
        lengths.append(len(answer.content))
    assert lengths[0] > 1.6 * lengths[1] > 2.6 * lengths[2]


async def test_ssml_is_read_and_pauses(client: httpx.AsyncClient) -> None:
    async def length(text: str) -> float:
        answer = await client.post("/v1/audio/speech", json={"input": text, "input_type": "ssml",
                                                             "response_format": "pcm"})
        assert answer.status_code == 200, answer.text
        return len(answer.content) / 2 / FILE_RATE

    short = await length("<speak>One. <break time='100ms'/> Two.</speak>")
    assert await length("<speak>One. <break time='1100ms'/> Two.</speak>") - short == pytest.approx(1.0, abs=0.1)


WRONG: list[tuple[dict[str, Any], int, str]] = [
    ({"input": ""}, 400, "input"),
    ({}, 400, "input"),
    ({"input": "Hello", "voice": "nobody"}, 400, "voice"),
    ({"input": "Hello", "voice": "en-us+nobody"}, 400, "voice"),
    ({"input": "Hello", "language": "tlh-x"}, 400, "language"),
    ({"input": "Hello", "response_format": "midi"}, 400, "response_format"),
    ({"input": "Hello", "speed": 40}, 400, "speed"),
    ({"input": "Hello", "speed": "quick"}, 400, "speed"),
    ({"input": "Hello", "spead": 1.5}, 400, "spead"),
    ({"input": "a" * 5000}, 413, "input"),
    ({"input": "<speak>broken", "input_type": "ssml"}, 400, "input"),
    ({"input": "plain < text", "input_type": "ssml"}, 400, "input"),
    ({"input": '<!DOCTYPE speak [<!ENTITY a "aaaa">]><speak>&a;</speak>', "input_type": "ssml"}, 400, "input"),
]


async def test_what_is_wrong_is_said_in_openais_words_and_in_ours(client: httpx.AsyncClient) -> None:
    for body, status, param in WRONG:
        answer = await client.post("/v1/audio/speech", json=body)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        told = answer.json()
        assert told["error"]["param"] == told["field"] == param
        assert told["error"]["message"] == told["detail"]
        assert told["error"]["type"] == "invalid_request_error"
        assert told["status"] == status


async def test_a_megabyte_of_text_and_bodies_that_are_no_json_are_refused(client: httpx.AsyncClient) -> None:
    large = await client.post("/v1/audio/speech", json={"input": "word " * 210_000})
    assert large.status_code == 413
    assert large.json()["error"]["code"] == "too_large"
    broken = await client.post("/v1/audio/speech", content=b"{", headers={"content-type": "application/json"})
    assert broken.status_code == 400
    assert broken.json()["error"]["message"].startswith("the body is not JSON")


async def test_control_characters_and_angle_brackets_are_plain_text(client: httpx.AsyncClient) -> None:
    text = json.dumps({"input": "One\0 \7two \u202ethree <four> \x1b[31mfive", "response_format": "pcm"})
    kind = {"content-type": "application/json"}
    answer = await client.post("/v1/audio/speech", content=text, headers=kind)
    assert answer.status_code == 200, answer.text
    assert loud(decoded(answer.content, "pcm")) > 1
    half = await client.post("/v1/audio/speech", content='{"input": "\\ud83d"}', headers=kind)  # half a character
    assert half.status_code == 400
    assert half.json()["error"]["param"] == "input"


async def test_a_text_without_a_word_is_an_empty_file(client: httpx.AsyncClient) -> None:
    for form in MEDIA_TYPES:
        answer = await client.post("/v1/audio/speech", json={"input": "...", "response_format": form})
        assert answer.status_code == 200
        assert len(answer.content) < 10_000  # of which FLAC leaves 8 KiB free for tags


async def test_a_client_that_leaves_in_the_middle_costs_nobody_anything(client: httpx.AsyncClient) -> None:
    for _ in range(3):
        async with client.stream("POST", "/v1/audio/speech", json={"input": LONG}) as answer:
            await anext(answer.aiter_raw())
    whole = await client.post("/v1/audio/speech", json={"input": TEXT, "response_format": "pcm"})
    assert loud(decoded(whole.content, "pcm")) > 2


async def test_the_voices_are_listed_and_every_name_stands_for_one(client: httpx.AsyncClient) -> None:
    told = (await client.get("/v1/audio/voices")).json()
    listed = {voice["id"]: voice for voice in told["voices"]}
    assert told["engine"] in {voice["engine"] for voice in told["voices"]}
    assert {"en-us", "en-gb", "cmn", "en-us+f3"} <= set(listed)
    assert listed["cmn"]["languages"][0] == "cmn"
    names = "alloy ash ballad coral echo sage shimmer verse marin cedar"
    assert set(names.split()) <= set(told["names"])
    assert set(told["names"].values()) <= set(listed)
    assert len(set(told["names"].values())) == len(told["names"])
    engines = {engine["engine"]: engine for engine in told["engines"]}
    assert engines["espeak"]["available"]
    assert engines["espeak"]["languages"][0].startswith("en")
    assert "cmn" in engines["espeak"]["languages"]
    assert all(engine["available"] or engine["reason"] for engine in told["engines"])


async def test_mandarin_is_spoken(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/audio/speech", json={"input": "你好，今天天气很好。", "response_format": "pcm"})
    assert loud(decoded(answer.content, "pcm")) > 1.2


async def test_a_key_is_asked_for_where_one_is_set() -> None:
    async with serve(settings(api_key="secret-key")) as running, httpx.AsyncClient(base_url=running.url) as client:
        answer = await client.post("/v1/audio/speech", json={"input": TEXT})
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "invalid_api_key"
