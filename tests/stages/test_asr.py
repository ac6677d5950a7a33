"""Stage asr in a session. PocketSphinx hears here, which is always there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from aimass_stream.errors import Busy, InvalidInput, NotFound
from aimass_stream.frames import Samples
from aimass_stream.spec import PipelineSpec

from ..support.options import settings
from ..support.server import serve
from ..support.session import CALLER, Collector, open_session, opened_node
from ..support.speech import speak
from ..support.talk import frames, padded, talk, words_of
from ..support.whisper import make

pytestmark = pytest.mark.anyio

SPHINX = {"stage": "asr", "engine": "pocketsphinx"}


@pytest.fixture(scope="module")
def speech() -> Samples:
    return padded(speak("The bell rang twice, and nine boats left the harbour."))


@pytest.fixture(scope="module")
def brief() -> Samples:
    return padded(speak("The bell rang twice."), after=0.9)


async def ended(sink: Collector, utterances: int = 1) -> None:
    await sink.until(lambda: sum(event.data["final"] for event in sink.typed("transcript.committed")) >= utterances)


async def test_words_come_as_events_as_text_and_as_a_transcript_and_the_sound_goes_on(speech: Samples) -> None:
    async with serve(settings()) as server, httpx.AsyncClient(base_url=server.url) as http:
        session, sink = await open_session(server.node, [{**SPHINX, "speaker": "Ann"}])
        said = await talk(session, speech)
        await ended(sink)
        await sink.until(lambda: len(sink.of("audio")) == len(said))
        assert [frame.pts for _, frame in sink.of("audio")] == [frame.pts for frame in said]
        assert all(out.samples is frame.samples for (_, out), frame in zip(sink.of("audio"), said, strict=True))
        (ready,) = sink.typed("hearing.ready")
        assert (ready.data["engine"], ready.data["languages"]) == ("pocketsphinx", ["en"])
        words = words_of(sink.events)
        assert len(words) >= 5
        assert " ".join(frame.text for _, frame in sink.of("text")) == " ".join(words)
        committed = [event for event in sink.typed("transcript.committed") if event.data["words"]]
        assert {event.data["speaker"] for event in committed} == {"Ann"}
        assert committed[0].pts == pytest.approx(committed[0].data["words"][0]["start"], abs=0.001)
        assert 0.2 <= committed[0].data["words"][0]["start"] <= 0.9
        partials = sink.typed("transcript.partial")
        assert partials
        assert partials[0].seq < committed[0].seq
        first, model = session.meter.words[0]
        assert (0 < first < 30, model) == (True, committed[0].data["model"])
        await server.state.usage.write()
        found = await server.state.usage.ledger.read("", "model", "day", 0, 1 << 40)
        assert [(each.value, each.sums["words"].count) for each in found if "words" in each.sums] == [
            (model, session.meter.utterances)]

        where = f"/v1/sessions/{session.id}/transcript"
        assert (await http.get(where)).json()["text"] == " ".join(words)
        await session.close("over")
        kept = {form: await http.get(where, params={"format": form}) for form in ("json", "srt", "vtt", "txt")}
        assert kept["txt"].text == " ".join(words) + "\n"
        assert kept["srt"].text.startswith("1\n00:00:00,")
        assert kept["vtt"].headers["content-type"] == "text/vtt; charset=utf-8"
        assert words[0] in kept["vtt"].text
        assert kept["json"].json()["utterances"][0]["speaker"] == "Ann"
        assert (await http.get(where, params={"format": "doc"})).status_code == 422
        assert (await http.get("/v1/sessions/s_none/transcript")).status_code == 404


async def test_silence_and_sounds_that_are_no_speech_have_no_words(brief: Samples) -> None:
    rng = np.random.default_rng(3)
    moments = np.arange(4 * 48_000) / 48_000
    chord = sum(np.sin(2 * np.pi * hertz * moments) for hertz in (220, 277, 330))
    music = (chord * 6000 * (0.6 + 0.4 * np.sin(2 * np.pi * 2 * moments))).astype(np.int16)[:, None]
    clipping = (np.sign(rng.normal(size=(2 * 48_000, 1))) * 32767).astype(np.int16)
    async with opened_node() as node:
        session, sink = await open_session(node, [{**SPHINX, "partials": False}])
        await talk(session, np.zeros((48_000, 1), np.int16))
        await sink.until(lambda: sink.typed("hearing.ready"))
        start = 48_000
        for sound in (np.zeros((48_000, 2), np.int16), clipping, music):
            await talk(session, sound, start=start)
            start += len(sound)
        assert len(words_of(sink.events)) <= 1
        await talk(session, brief[::6], start=start)  # 8 kHz declared as 48
        assert not sink.typed("stage.failed")
        await session.close("over")


async def test_what_can_not_be_heard_with_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    async with opened_node(max_listeners=1) as node:
        session, sink = await open_session(node, [])
        await talk(session, np.zeros((960, 1), np.int16))
        for wrong, told in (({"engine": "pocketsphinx", "language": "zh"}, "hears 'zh'"),
                            ({"model": "no such model"}, "there is no model"),
                            ({"engine": "pocketsphinx", "task": "translate"}, "translates")):
            with pytest.raises((InvalidInput, NotFound), match=told):
                await session.update(pipeline=[{"stage": "asr", **wrong}])
        assert session.spec.json() == []
        await session.update(pipeline=[SPHINX])
        with pytest.raises(Busy):
            await node.open(PipelineSpec.parse([SPHINX]), caller=CALLER, transport="test")
        assert not sink.typed("stage.failed")


async def test_a_model_that_can_not_be_loaded_is_told_and_the_sound_goes_on(tmp_path: Path) -> None:
    async with opened_node() as node:
        session, sink = await open_session(node, [{"stage": "asr", "engine": "whisper", "model": str(tmp_path)}])
        await talk(session, np.zeros((96_000, 1), np.int16))
        (failed,) = sink.typed("stage.failed")
        assert "lacks model.bin" in failed.data["detail"]
        assert sink.of("audio")
        await session.close("over")


async def test_the_engine_changes_in_a_pause_and_no_word_is_lost(brief: Samples, tmp_path: Path) -> None:
    folder = await asyncio.to_thread(make, tmp_path / "tiny")
    async with opened_node() as node:
        session, sink = await open_session(node, [SPHINX])
        session.push(frames(brief)[0])
        await sink.until(lambda: sink.typed("hearing.ready"))
        changes: list[asyncio.Task[Any]] = []

        def change(number: int) -> None:
            if number == 45:  # in the middle of the sentence
                other = [{"stage": "asr", "engine": "whisper", "model": str(folder)}]
                changes.append(asyncio.create_task(session.update(pipeline=other)))

        await talk(session, brief, start=960, each=change)
        await ended(sink)
        await sink.until(lambda: len(sink.typed("hearing.ready")) == 2)
        await asyncio.gather(*changes)
        assert [event.data["engine"] for event in sink.typed("hearing.ready")] == ["pocketsphinx", "whisper"]
        committed = sink.typed("transcript.committed")
        assert {event.data["engine"] for event in committed} == {"pocketsphinx"}
        assert words_of(sink.events)
        last = max(word["end"] for event in committed for word in event.data["words"])
        assert last > len(brief) / 48_000 - 1.3  # the sentence was heard to its end by whom had begun it
        await session.close("over")


async def test_two_tracks_are_two_speakers(brief: Samples) -> None:
    async with opened_node() as node:
        session, sink = await open_session(node, [SPHINX])
        await asyncio.gather(talk(session, brief, track="audio-0"), talk(session, brief, track="audio-1"))
        await ended(sink, 2)
        speakers = {event.data["speaker"] for event in sink.typed("transcript.committed")}
        assert speakers == {"audio-0", "audio-1"}
        assert "audio-1: " in session.transcript.text()
        await session.close("over")
