"""The same clips are heard in short windows and in whole ones, and errors are counted over all words."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from aimass_stream.engines import faster_whisper
from benchmarks.speech import corpus, hearing, windows
from benchmarks.speech.corpus import Clip


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    return asyncio.run(corpus.read_alone(corpus.VOICES[:1], corpus.SENTENCES[:2]))


def test_clips_are_what_the_sentences_say_with_noise_so_far_below(clips: list[Clip]) -> None:
    assert [clip.text for clip in clips] == list(corpus.SENTENCES[:2])
    assert all(16_000 < len(clip.audio) < 8 * 16_000 for clip in clips)
    for clean, loud in zip(clips, corpus.noisy(clips), strict=True):
        noise = loud.audio - clean.audio
        assert 10 * np.log10(np.mean(clean.audio**2) / np.mean(noise**2)) == pytest.approx(10, abs=0.3)


def test_each_set_is_heard_in_both_ways(clips: list[Clip], monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = []
    encode = faster_whisper.FasterWhisper._encode

    def noted(self: faster_whisper.FasterWhisper, rows: list[faster_whisper._Row]) -> object:
        encoded = encode(self, rows)
        lengths.append(encoded.shape[1] / faster_whisper.TOKEN_RATE)
        return encoded

    monkeypatch.setattr(faster_whisper.FasterWhisper, "_encode", noted)
    monkeypatch.setattr(windows, "sets", lambda quick: {"some": clips})
    (row,) = windows.compared(hearing.MODEL, quick=True)
    assert lengths == [*(2 * np.ceil(len(clip.audio) / 32_000) for clip in clips), 30, 30]
    assert row["words"] == 23
    assert 0 <= row["steps"] <= 1.5
    assert "| some | 23 |" in windows.tell([row])


def test_errors_are_counted_over_all_words() -> None:
    silence = np.zeros(1, np.float32)
    said = [Clip(silence, "One two, three."), Clip(silence, "four")]
    assert windows.error_rate(said, ["one two three", "five"]) == pytest.approx(0.25)
