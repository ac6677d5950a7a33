"""Turns: the user's sound becomes a message with its words, and is answered; in the protocol's order."""

from __future__ import annotations

import numpy as np
import pytest
from prometheus_client import REGISTRY

from aimass_stream import clips
from aimass_stream.codecs import g711
from aimass_stream.frames import now
from tests.support.chat_server import words
from tests.support.prompter import BROKEN
from tests.support.realtime import RATE, as_base64, silence, spoken

from .place import FIRST, REPLY, STORY, client, text_item

pytestmark = pytest.mark.anyio

QUESTION = "What is the weather like?"
HEARD = "what is the weather like"
LISTEN = {"input": {"transcription": {"model": "whisper-1"}}}
MANUAL = {"input": {"turn_detection": None, "transcription": {"model": "whisper-1"}}}
ANSWERED = ["response.created", "rate_limits.updated", "response.output_item.added", "conversation.item.added",
            "response.content_part.added", "response.output_audio_transcript.delta", "response.output_audio.delta",
            "response.output_audio.done", "response.output_audio_transcript.done", "response.content_part.done",
            "conversation.item.done", "response.output_item.done", "response.done"]


def once(kinds: list[str]) -> list[str]:
    """Events in the order of their first coming."""
    return list(dict.fromkeys(kinds))


async def test_a_spoken_question_is_transcribed_and_answered_in_the_order_of_the_protocol(
        monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(monkeypatch, HEARD) as talk:
        await talk.configure(audio=LISTEN)
        await talk.say(spoken(QUESTION))
        await talk.say(silence(1.2))
        done = await talk.until("response.done")
        kinds = talk.kinds[2:]
        spoke = [kind for kind in kinds[: kinds.index("response.created")] if not kind.endswith("delta")]
        assert spoke == ["input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped",
                         "input_audio_buffer.committed", "conversation.item.added", "conversation.item.done",
                         "conversation.item.input_audio_transcription.completed"]
        assert once(kinds[kinds.index("response.created"):]) == ANSWERED
        item_ids = {event["item_id"] for event in talk.events if event["type"].startswith("input_audio_buffer")}
        assert len(item_ids) == 1
        [deltas, completed] = ["".join(event["delta"] for event in talk.of(
            "conversation.item.input_audio_transcription.delta")), next(talk.of(
                "conversation.item.input_audio_transcription.completed"))]
        assert deltas == completed["transcript"] == HEARD
        assert completed["usage"]["type"] == "duration"
        assert 0.5 < completed["usage"]["seconds"] < 3
        started, stopped = (next(talk.of(f"input_audio_buffer.speech_{what}")) for what in ("started", "stopped"))
        assert started["audio_start_ms"] < 300
        assert 1000 < stopped["audio_end_ms"] < 3000
        answer = done["response"]
        assert (answer["status"], answer["status_details"]["type"]) == ("completed", "completed")
        [item] = answer["output"]
        assert item["content"] == [{"type": "output_audio", "transcript": REPLY}]
        added = list(talk.of("conversation.item.added"))
        assert [event["previous_item_id"] for event in added] == [None, next(iter(item_ids))]
        assert answer["usage"]["input_token_details"]["audio_tokens"] > 5
        said = np.frombuffer(talk.sound(item["id"]), "<i2")
        assert len(said) / RATE > 1.5
        assert np.abs(said).max() > 3000
        assert answer["usage"]["output_token_details"]["audio_tokens"] == pytest.approx(20 * len(said) / RATE, abs=2)


async def test_where_the_time_of_a_turn_went_is_told_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(monkeypatch, HEARD) as talk:
        await talk.configure(aimass={"events": True})
        before = REGISTRY.get_sample_value("aimass_turn_seconds_count", {"part": "total"}) or 0
        began = now()
        await talk.say(spoken(QUESTION))
        await talk.say(silence(1.2))  # all at once: none of the silence is waited for
        response = (await talk.until("response.created"))["response"]["id"]
        first = await talk.until("response.output_audio.delta")
        passed = (now() - began) * 1000
        await talk.until("response.done")
        await talk.send("response.create")  # nobody asked: there is no latency to tell
        await talk.until("response.done")
        [told] = [event["event"]["data"] for event in talk.of("aimass.event")
                  if event["event"]["type"] == "turn.latency"]
        parts = [told[part] for part in ("endpoint", "recognition", "brain", "voice", "wire")]
        assert told["turn"] == response == first["response_id"]
        assert all(part >= 0 for part in parts)
        assert 0 < told["total"] < passed
        assert told["total"] == pytest.approx(sum(parts), abs=1)
        assert told["brain"] > 0
        assert REGISTRY.get_sample_value("aimass_turn_seconds_count", {"part": "total"}) == before + 1


async def test_words_are_only_told_where_they_were_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(monkeypatch, HEARD) as talk:
        await talk.say(spoken(QUESTION))
        await talk.say(silence(1.2))
        await talk.until("response.done")
        assert not [kind for kind in talk.kinds if "transcription" in kind]
        user = next(talk.of("conversation.item.added"))["item"]
        assert user["content"] == [{"type": "input_audio", "transcript": None}]


async def test_a_cough_is_a_message_without_words_and_is_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(monkeypatch, "", HEARD) as talk:
        await talk.configure(audio=LISTEN)
        for _ in range(2):
            await talk.say(spoken(QUESTION))
            await talk.say(silence(1.2))
        await talk.until("response.done")
        told = [event["transcript"] for event in talk.of("conversation.item.input_audio_transcription.completed")]
        assert told == ["", HEARD]
        assert talk.kinds.count("response.created") == 1


async def test_a_recogniser_that_fails_is_told_with_the_item_and_the_session_goes_on(
        monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(monkeypatch, BROKEN, HEARD) as talk:
        await talk.configure(audio=LISTEN)
        await talk.say(spoken(QUESTION))
        await talk.say(silence(1.2))
        failed = await talk.until("conversation.item.input_audio_transcription.failed")
        assert failed["error"]["code"] == "transcription_failed"
        assert failed["item_id"] == next(talk.of("input_audio_buffer.committed"))["item_id"]
        await talk.say(spoken(QUESTION))
        await talk.say(silence(1.2))
        await talk.until("response.done")


async def test_without_turn_detection_a_turn_is_what_lies_between_two_commits(
        monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(monkeypatch, "one two", "three") as talk:
        session = await talk.configure(audio=MANUAL)
        assert session["audio"]["input"]["turn_detection"] is None
        clip = spoken(QUESTION)
        await talk.say(clip)
        await talk.send("input_audio_buffer.commit")
        await talk.say(clip[: RATE // 2])
        await talk.send("input_audio_buffer.commit")
        await talk.send("response.create")
        await talk.until("response.done")
        assert "input_audio_buffer.speech_started" not in talk.kinds
        committed = list(talk.of("input_audio_buffer.committed"))
        assert [event["previous_item_id"] for event in committed] == [None, committed[0]["item_id"]]
        told = {event["item_id"]: event["transcript"] for event in talk.of(
            "conversation.item.input_audio_transcription.completed")}
        assert told == {committed[0]["item_id"]: "one two", committed[1]["item_id"]: "three"}


async def test_what_is_cleared_is_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(monkeypatch, "lost", "kept") as talk:
        await talk.configure(audio=MANUAL)
        await talk.say(spoken(QUESTION))
        await talk.send("input_audio_buffer.clear")
        await talk.until("input_audio_buffer.cleared")
        assert (await talk.error("input_audio_buffer.commit"))["code"] == "input_audio_buffer_commit_empty"
        await talk.say(spoken(QUESTION))
        await talk.send("input_audio_buffer.commit")
        told = await talk.until("conversation.item.input_audio_transcription.completed")
        assert told["transcript"] in ("kept", "lost")  # whether the lost sound had reached the recogniser is chance
        assert talk.kinds.count("input_audio_buffer.committed") == 1


async def test_speaking_into_a_reply_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(monkeypatch, HEARD) as talk:
        await talk.send("conversation.item.create", item=text_item("Tell me a story."))
        await talk.send("response.create")
        await talk.until("response.output_audio.delta")
        await talk.say(spoken(QUESTION))
        done = await talk.until("response.done")
        assert done["response"]["status"] == "cancelled"
        assert done["response"]["status_details"] == {"type": "cancelled", "reason": "turn_detected", "error": None}
        [item] = done["response"]["output"]
        assert item["status"] == "incomplete"
        assert item["content"][0]["transcript"].startswith(FIRST)
        assert len(item["content"][0]["transcript"]) < len(STORY)
        tail = talk.kinds[talk.kinds.index("input_audio_buffer.speech_started"):]
        assert tail[: tail.index("response.done")] == [
            "input_audio_buffer.speech_started", "response.output_audio.done", "response.output_audio_transcript.done",
            "response.content_part.done", "conversation.item.done", "response.output_item.done"]
        await talk.say(silence(1.2))
        assert (await talk.until("response.done"))["response"]["status"] == "completed"


async def test_a_reply_may_be_spoken_over_and_turns_left_unanswered(monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(monkeypatch, HEARD, HEARD) as talk:
        detection = {"type": "server_vad", "interrupt_response": False, "create_response": False}
        await talk.configure(audio={"input": {"turn_detection": detection}})
        await talk.send("conversation.item.create", item=text_item("Tell me a story."))
        await talk.send("response.create")
        await talk.until("response.output_audio.delta")
        await talk.say(spoken(QUESTION))
        await talk.say(silence(1.2))
        await talk.until("input_audio_buffer.committed")
        await talk.send("response.cancel")
        done = await talk.until("response.done")
        assert done["response"]["status_details"]["reason"] == "client_cancelled"
        assert talk.kinds.count("response.created") == 1


async def test_a_pause_in_a_sentence_is_not_its_end_by_the_words(monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(monkeypatch, "i would like to have and") as talk:
        await talk.configure(audio={"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "high"}}})
        clip = spoken("I would like to have")
        for part in (clip, silence(0.7), clip, silence(2.5)):
            await talk.say(part)
        await talk.until("response.done")
        assert talk.kinds.count("input_audio_buffer.speech_started") == 1


@pytest.mark.parametrize(("kind", "law"), [("audio/pcmu", "mu"), ("audio/pcma", "a")])
async def test_telephone_sound_both_ways(kind: str, law: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(monkeypatch, HEARD) as talk:
        form = {"type": kind}
        session = await talk.configure(audio={"input": {"format": form}, "output": {"format": form}})
        assert session["audio"]["input"]["format"] == session["audio"]["output"]["format"] == form
        clip = np.concatenate([spoken(QUESTION, rate=8000), silence(1.2, 8000)])
        data = g711.encode(clip, "mu" if law == "mu" else "a")
        for begin in range(0, len(data), 800):
            await talk.send("input_audio_buffer.append", audio=as_base64(data[begin : begin + 800]))
        await talk.until("response.done")
        said = g711.decode(talk.sound(), "mu" if law == "mu" else "a")
        assert 1.5 < len(said) / 8000 < 6
        assert np.abs(said).max() > 3000


async def test_noise_reduction_is_a_stage_before_the_ears(monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(monkeypatch, HEARD) as talk:
        audio = {"input": {"noise_reduction": {"type": "near_field"}}}
        session = await talk.configure(audio=audio, aimass={"events": True})
        assert session["audio"]["input"]["noise_reduction"]["type"] == "near_field"
        await talk.say(spoken(QUESTION), chunk=0.5)
        await talk.say(silence(1.5), chunk=0.5)
        await talk.until("response.done")
        off = await talk.configure(audio={"input": {"noise_reduction": None}})
        assert off["audio"]["input"]["noise_reduction"] is None
        pipelines = [event["event"]["data"]["pipeline"] for event in talk.of("aimass.event")
                     if event["event"]["type"] == "session.updated"]
        assert pipelines[-1] == []


async def test_a_long_silence_of_the_user_is_answered_where_that_was_asked_for(
        monkeypatch: pytest.MonkeyPatch) -> None:
    async with client(monkeypatch, HEARD, answers=lambda body: words("Yes?")) as talk:
        detection = {"type": "server_vad", "idle_timeout_ms": 1000}
        await talk.configure(audio={"input": {"turn_detection": detection}})
        await talk.send("response.create")
        await talk.until("response.done")
        timeout = await talk.until("input_audio_buffer.timeout_triggered")
        assert timeout["audio_end_ms"] >= timeout["audio_start_ms"] >= 0
        committed = await talk.until("input_audio_buffer.committed")
        assert committed["item_id"] == timeout["item_id"]
        await talk.until("response.done")


async def test_noise_and_music_end_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(1).integers(-32768, 32767, (2 * RATE, 1)).astype(np.int16)
    async with client(monkeypatch) as talk:
        await talk.say(noise)
        await talk.say(clips.tone(2.0, 440, -3, rate=RATE))
        await talk.send("conversation.item.create", item=text_item("Hello."))
        await talk.send("response.create")
        assert (await talk.until("response.done"))["response"]["status"] in ("completed", "cancelled")
