"""Transcriptions and translations as OpenAI's clients ask for them, over real sockets, with the offline recogniser."""

from __future__ import annotations

import asyncio
import functools
import json
import tempfile
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any

import httpx
import numpy as np
import pytest

from aimass_stream.api import audio, uploads
from aimass_stream.frames import Samples
from tests.support import recordings
from tests.support.options import settings
from tests.support.recordings import encoded, tone
from tests.support.server import Running, serve
from tests.support.speech import speak
from tests.support.waiting import until
from tests.support.whisper import make

pytestmark = pytest.mark.anyio

SAID = "one two three four five"  # which the offline recogniser understands
LIMIT = 3_000_000  # bytes of an upload


FILES: list[tuple[bytes, int, str]] = [
    (b"", 400, "clip.wav is empty"),
    (recordings.zipped(), 400, "no sound or video file"),
    (recordings.silent_film(), 400, "no sound in this file"),
    (recordings.wav(tone(1), told_channels=60_000), 400, ""),
    (recordings.wav(tone(1), told_rate=4_000_000_000), 400, ""),
    (bytes(LIMIT + 100_000), 413, f"at most {LIMIT} bytes"),
    (recordings.wav(tone(18), told_rate=1000), 413, "60 s are the most"),
]
FIELDS: list[tuple[dict[str, Any], int, str]] = [
    ({"model": "gpt-9"}, 404, "model"),
    ({"model": "/etc"}, 404, "model"),
    ({"model": "gpt-4o-transcribe-diarize"}, 400, "model"),
    ({"language": "klingon"}, 400, "language"),
    ({"language": "zh"}, 400, "language"),
    ({"response_format": "docx"}, 400, "response_format"),
    ({"response_format": "diarized_json"}, 400, "response_format"),
    ({"temperature": "hot"}, 400, "temperature"),
    ({"temperature": "nan"}, 400, "temperature"),
    ({"timestamp_granularities__": "word"}, 400, "timestamp_granularities"),
    ({"timestamp_granularities__": "hour", "response_format": "verbose_json"}, 400, "timestamp_granularities"),
    ({"stream": "perhaps"}, 400, "stream"),
    ({"stream": "true", "response_format": "srt"}, 400, "stream"),
    ({"prompt": "a" * 3000}, 400, "prompt"),
    ({"hotwords": "a," * 300}, 400, "hotwords"),
    ({"include__": "logprobs"}, 400, "include"),
    ({"colour": "red"}, 400, "colour"),
]


@functools.cache
def clip() -> Samples:
    """(n, 1) int16 at 48 kHz."""
    return speak(SAID)


@functools.cache
def spoken() -> bytes:
    return recordings.wav(clip(), 48_000)


@pytest.fixture(scope="module", autouse=True)
def made() -> None:
    """Outside of any event loop."""
    spoken()


@asynccontextmanager
async def served(**options: Any) -> AsyncIterator[tuple[Running, httpx.AsyncClient]]:
    options = {"max_upload": LIMIT, "max_audio_seconds": 60} | options
    async with serve(settings(**options)) as server, httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        yield server, http


async def _ask(http: httpx.AsyncClient, data: bytes, path: str = "transcriptions", **fields: Any) -> httpx.Response:
    given = {"model": "pocketsphinx"} | {name.replace("__", "[]"): value for name, value in fields.items()}
    return await http.post(f"/v1/audio/{path}", files={"file": ("clip.wav", data)}, data=given)


def _alike(text: str) -> float:
    """The share of what was said that is in the text: the offline recogniser may err."""
    words = text.lower().replace(".", "").split()
    return sum(word in words for word in SAID.split()) / len(SAID.split())


async def test_every_format_says_the_same() -> None:
    async with served() as (_, http):
        answer = (await _ask(http, spoken())).json()
        assert _alike(answer["text"]) >= 0.6
        assert answer["engine"] == "pocketsphinx"
        assert answer["usage"]["type"] == "duration"
        verbose = (await _ask(http, spoken(), response_format="verbose_json",
                              timestamp_granularities__=["word", "segment"])).json()
        assert (verbose["task"], verbose["language"]) == ("transcribe", "english")
        assert verbose["duration"] == pytest.approx(len(clip()) / 48_000, abs=0.1)
        words = verbose["words"]
        assert " ".join(word["word"] for word in words) == verbose["text"] == answer["text"]
        assert all(0 <= word["start"] <= word["end"] <= verbose["duration"] + 0.1 for word in words)
        assert {"id", "seek", "start", "end", "text", "tokens", "temperature", "avg_logprob", "compression_ratio",
                "no_speech_prob"} == set(verbose["segments"][0])
        assert verbose["segments"][0]["avg_logprob"] is verbose["segments"][0]["no_speech_prob"] is None  # it has none
        assert 0 < verbose["segments"][0]["compression_ratio"] < 1.5
        plain = await _ask(http, spoken(), response_format="text")
        assert plain.text == answer["text"] + "\n"
        srt = await _ask(http, spoken(), response_format="srt")
        assert srt.text.startswith("1\n00:00:00,")
        assert " --> " in srt.text
        vtt = await _ask(http, spoken(), response_format="vtt", language="english")
        assert vtt.text.startswith("WEBVTT\n")
        assert vtt.headers["content-type"].startswith("text/vtt")


async def test_streamed_segments_come_as_events() -> None:
    gap = np.zeros((3 * 48_000, 1), np.int16)  # ends a piece
    twice = recordings.wav(np.concatenate([clip(), gap, clip()]), 48_000)
    async with served() as (_, http):
        whole = (await _ask(http, twice)).json()["text"]
        streamed = await _ask(http, twice, stream="true", progress="true")
    assert streamed.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line[6:]) for line in streamed.text.splitlines() if line]
    deltas = [event["delta"] for event in events if event["type"] == "transcript.text.delta"]
    assert len(deltas) >= 2
    assert "".join(deltas) == events[-1]["text"] == whole
    assert (events[-1]["engine"], events[-1]["model"]) == ("pocketsphinx", "pocketsphinx-en-us")
    assert events[-1]["type"] == "transcript.text.done"
    assert events[-1]["usage"]["seconds"] > 3
    progress = [event["seconds"] for event in events if event["type"] == "transcript.progress"]
    assert len(progress) >= 2
    assert progress == sorted(progress)
    assert 2 < progress[-1] <= events[-1]["usage"]["seconds"]


async def test_progress_comes_through_a_long_silence_before_anybody_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio, "PROGRESS_EVERY", 0.02)
    silence = np.zeros((50 * 16_000, 1), np.int16)
    late = recordings.wav(np.concatenate([silence, clip()[::3]]), 16_000)
    form = {"model": "pocketsphinx", "stream": "true", "progress": "true"}
    async with served() as (_, http), http.stream("POST", "/v1/audio/transcriptions", data=form,
                                                  files={"file": ("late.wav", late)}) as answer:
        assert answer.status_code == 200
        events = [json.loads(line[6:]) async for line in answer.aiter_lines() if line]
    kinds = [event["type"] for event in events]
    first = kinds.index("transcript.text.delta")
    before = [event["seconds"] for event in events[:first]]
    assert len(before) >= 3
    assert before == sorted(set(before))
    assert before[0] < 40
    assert events[0]["total"] == pytest.approx(50 + len(clip()) / 48_000, abs=0.1)
    assert kinds[-1] == "transcript.text.done"


async def test_a_client_that_hangs_up_in_the_middle_of_events_leaves_nothing_at_work() -> None:
    long = recordings.wav(np.tile(clip()[::3], (12, 1)), 16_000)
    form = {"model": "pocketsphinx", "stream": "true", "progress": "true"}
    async with served(max_listeners=1) as (server, http):
        async with http.stream("POST", "/v1/audio/transcriptions", data=form,
                               files={"file": ("long.wav", long)}) as answer:
            await anext(answer.aiter_lines())
        async with asyncio.timeout(30):
            while server.state.desk.taken:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert (await _ask(http, spoken())).status_code == 200


async def test_many_files_are_one_batch_and_a_bad_one_spoils_only_itself() -> None:
    opus = await asyncio.to_thread(encoded, speak(SAID), 48_000, "webm", "libopus")
    files = [("file", ("a.wav", spoken())), ("file", ("b.mp3", recordings.zipped())), ("file", ("c.webm", opus))]
    async with served() as (_, http):
        answer = await http.post("/v1/audio/transcriptions", files=files, data={"model": "pocketsphinx"})
        first, second, third = answer.json()["data"]
        assert (answer.json()["object"], first["file"], third["file"]) == ("list", "a.wav", "c.webm")
        assert _alike(first["text"]) >= 0.6
        assert _alike(third["text"]) >= 0.4
        assert second["error"]["type"] == "invalid_request_error"
        assert "no sound or video file" in second["error"]["message"]
        refused = await http.post("/v1/audio/transcriptions", files=files, data={"response_format": "srt"})
        assert refused.status_code == 400


async def test_a_file_that_is_none_is_a_clear_error() -> None:
    async with served() as (_, http):
        for data, status, said in FILES:
            answer = await _ask(http, data)
            assert answer.status_code == status, answer.text
            assert said in answer.json()["error"]["message"]
            assert answer.json()["error"]["param"] == "file"
        for name in ("", "pocketsphinx-en-us", "en-us", "pocketsphinx/en-us"):  # the last two: its former name
            nothing = (await _ask(http, recordings.wav(tone(1)), model=name)).json()
            assert (nothing["text"], nothing["engine"], nothing["model"]) == ("", "pocketsphinx", "pocketsphinx-en-us")


async def test_ten_hours_are_refused_at_once_and_a_header_that_lies_is_not_believed() -> None:
    silence = await asyncio.to_thread(recordings.long_flac, 10)
    async with served(max_upload=64 << 20, max_audio_seconds=4 * 3600) as (_, http):
        async with asyncio.timeout(30):
            answer = await _ask(http, silence)
        assert answer.status_code == 413
        assert "36000 s of sound" in answer.json()["error"]["message"]
        lying = recordings.wav(clip(), 48_000, told_bytes=0xFFFFFFFF)
        assert _alike((await _ask(http, lying)).json()["text"]) >= 0.6


async def test_a_wrong_field_is_named() -> None:
    async with served() as (_, http):
        for fields, status, param in FIELDS:
            answer = await _ask(http, spoken(), **fields)
            assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)
            assert answer.json()["error"]["message"]


async def test_bodies_that_are_no_forms() -> None:
    async with served() as (_, http):
        path = "/v1/audio/transcriptions"
        form = {"content-type": "multipart/form-data; boundary=b"}
        assert (await http.post(path, json={"file": "x"})).status_code == 415
        assert (await http.post(path)).status_code == 415
        assert (await http.post(path, content=b"garbage", headers=form)).status_code == 400
        assert (await http.post(path, content=b"--b\r\nno header", headers=form)).status_code == 400
        assert (await http.post(path, content=b"x", headers={"content-type": "multipart/form-data"})).status_code == 400
        text = b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\ntext\r\n--b--\r\n'
        assert "send it as a file" in (await http.post(path, content=text, headers=form)).json()["error"]["message"]
        none = await http.post(path, files={"model": (None, "whisper-1")})
        assert none.json()["error"]["param"] == "file"


async def test_what_does_not_translate_says_so() -> None:
    async with served() as (_, http):
        answer = await _ask(http, spoken(), "translations")
        assert answer.status_code in (400, 404)
        assert "translate" in answer.json()["error"]["message"]
        assert (await _ask(http, spoken(), "translations", language="fr")).json()["error"]["param"] == "language"


async def test_a_model_that_cannot_translate_is_named_by_its_field(tmp_path: Path) -> None:
    english = await asyncio.to_thread(make, tmp_path / "english")
    async with served(hearing_model=str(english)) as (_, http):
        answer = await _ask(http, spoken(), "translations", model="whisper-1")
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")
        assert "hears English only" in answer.json()["error"]["message"]


async def test_a_model_that_is_not_here_says_how_to_get_it() -> None:
    async with served() as (_, http):
        answer = await _ask(http, spoken(), model="whisper-base.en")
        assert (answer.status_code, answer.json()["error"]["param"]) == (404, "model")
        assert "aimass models pull whisper-base.en" in answer.json()["error"]["message"]
        engines = (await http.get("/v1/models")).json()["engines"]
        gone = [each["engine"] for each in engines if each["purpose"] == "hearing" and not each["available"]]
        told = (await _ask(http, spoken(), model="gpt-9")).json()["error"]["message"]
        assert "pocketsphinx" in told
        assert not any(name in told for name in gone)


async def test_no_more_uploads_are_worked_on_than_the_settings_allow() -> None:
    async with served(max_listeners=1) as (_, http):
        answers = await asyncio.gather(*(_ask(http, spoken()) for _ in range(4)))
        codes = sorted(answer.status_code for answer in answers)
        assert codes[0] == 200
        assert codes[-1] == 429
        busy = next(answer for answer in answers if answer.status_code == 429)
        assert busy.headers["retry-after"]
        assert busy.json()["error"]["type"] == "rate_limit_error"
        assert (await _ask(http, spoken())).status_code == 200


async def test_a_client_that_hangs_up_leaves_nothing_at_work() -> None:
    long = recordings.wav(np.tile(clip(), (6, 1)), 48_000)
    async with served(max_listeners=1) as (server, http):
        asking = asyncio.create_task(_ask(http, long))
        desk = None
        async with asyncio.timeout(30):
            while desk is None or not desk.taken:
                await asyncio.sleep(0.01)
                desk = getattr(server.server.config.app.state, "desk", None)  # type: ignore[union-attr]
            asking.cancel()
            while desk.taken:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert (await _ask(http, spoken())).status_code == 200


async def test_a_client_that_hangs_up_while_its_file_is_made_leaves_none_open(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    opening, may = threading.Event(), threading.Event()
    opened: list[IO[bytes]] = []

    def slow(folder: Path) -> IO[bytes]:
        opening.set()
        assert may.wait(10)
        opened.append((folder / "samples").open("w+b"))
        return opened[0]

    monkeypatch.setattr(uploads, "_nameless", slow)
    desk = uploads.Desk(settings(data_dir=tmp_path))
    with (tmp_path / "clip.wav").open("w+b") as file:
        entering = asyncio.create_task(desk.decoded(uploads.Upload("clip.wav", file)).__aenter__())
        assert await asyncio.to_thread(opening.wait, 10)
        entering.cancel()
        await asyncio.wait([entering])
        may.set()
        await until(lambda: opened and opened[0].closed)


async def test_a_client_that_hangs_up_while_its_file_moves_to_the_disk_leaves_none_open() -> None:
    moving, may = threading.Event(), threading.Event()

    class Slow(tempfile.SpooledTemporaryFile[bytes]):
        def rollover(self) -> None:
            moving.set()
            assert may.wait(10)
            super().rollover()

    with Slow() as file:
        file.write(b"sound")
        asking = asyncio.create_task(uploads.on_disk(file))
        assert await asyncio.to_thread(moving.wait, 10)
        asking.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        assert not asking.done()  # whoever closes the file has to wait
        may.set()
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert file.closed


async def test_an_upload_that_stalls_gives_its_place_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "STALLED", 1.0)
    async with served(max_listeners=1) as (_, http):
        reader, writer = await asyncio.open_connection("127.0.0.1", http.base_url.port)
        writer.write(b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n"
                     b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n")
        await writer.drain()
        async with asyncio.timeout(30):
            assert b" 408 " in await reader.readline()
        writer.close()
        assert (await _ask(http, recordings.wav(tone(1)))).status_code == 200


async def test_the_key_is_asked_for() -> None:
    async with served(api_key="a key for tests") as (_, http):
        answer = await _ask(http, spoken())
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "invalid_api_key"
