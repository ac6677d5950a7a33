"""The generated network says as many tokens a second as it is told, and its words lie where they should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aimass_stream.engines import faster_whisper
from aimass_stream.inference.device import CpuDevice
from aimass_stream.speech.words import HEARING_RATE, HearRequest, Hypothesis
from benchmarks.speech import generated, throughput
from benchmarks.speech.listeners import Ours
from benchmarks.speech.paced import Paced

SMALL = generated.Sizes(width=128, heads=2, layers=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "small"
    assert generated.write(folder, SMALL) > 51_865 * SMALL.width
    return folder


def test_it_says_its_words_in_order_at_their_pace_and_goes_on_behind_a_prefix(folder: Path) -> None:
    device = CpuDevice(threads=1)
    model = Paced(faster_whisper.entry("small", folder), device)
    words = generated.spoken_words()

    def heard(length: float, prefix: str = "") -> Hypothesis:
        sound = np.random.default_rng(1).normal(0, 0.1, round(length * HEARING_RATE)).astype(np.float32)
        row: Any = np.array([HearRequest(sound, language="en", prefix=prefix)], object)
        hypothesis: Hypothesis = model.run({"request": row})["hypothesis"][0]
        return hypothesis

    try:
        for length in (4, 7):
            said = heard(length).words
            assert [word.text for word in said] == words[: round(generated.RATE * length)]
            off = [abs(word.end - (place + 1) / generated.RATE) for place, word in enumerate(said)]
            assert max(off) < 0.4
        behind = heard(4, " ".join(words[:10])).words
        assert [word.text for word in behind] == words[10:16]
        assert behind[0].start == pytest.approx(10 / generated.RATE, abs=0.4)
    finally:
        model.close()
        device.close()


def test_one_row_for_each_length_and_a_whole_window_costs_more(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "WINDOWS", (2, 6))
    before = faster_whisper.STEP
    short, longer = throughput.passes(folder, 1, repeats=2)
    assert (short["tokens"], longer["tokens"]) == (8, 24)
    assert short["encode_padded_ms"] > 2 * short["encode_ms"]
    assert before == faster_whisper.STEP


@pytest.mark.parametrize(("behind", "slower", "keeps_up"), [(2.0, 0.0, True), (1.0, 0.2, False), (6.0, 0.0, False)])
def test_who_falls_behind_or_is_too_late_does_not_keep_up(behind: float, slower: float, keeps_up: bool) -> None:
    listener = Ours("", {})
    listener.lags = [(end, behind + slower * end) for end in np.arange(0.25, 12, 0.25)]
    found = throughput.figures([(12.0, listener)])
    assert found["words"] == 47
    assert found["keeps_up"] is keeps_up
    assert found["later"] == pytest.approx(slower * 8, abs=0.1)


def test_a_stream_whose_model_failed_does_not_keep_up() -> None:
    listener = Ours("", {})
    listener.lags = [(end, 1.0) for end in np.arange(0.25, 12, 0.25)]
    listener.failures = ["ModelFailed"]
    assert not throughput.figures([(12.0, listener)])["keeps_up"]
