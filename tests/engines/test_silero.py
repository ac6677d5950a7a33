from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from faster_whisper.vad import get_vad_model

from aimass_stream.engines import silero
from aimass_stream.engines.silero import SileroVad
from aimass_stream.errors import InvalidInput
from aimass_stream.inference import CpuDevice, Engine, installed
from aimass_stream.inference.contract import SLOT
from aimass_stream.speech.audio import to_hearing
from aimass_stream.speech.words import Waveform

from ..support.known_words import RATE, said
from ..support.speech import SENTENCE

pytestmark = pytest.mark.anyio


def sound() -> Waveform:
    """(n, 512)"""
    wave = to_hearing(said(0.5, SENTENCE, 0.3)[0], RATE)
    return wave[: len(wave) // 512 * 512].reshape(-1, 512)


def opened() -> SileroVad:
    device = CpuDevice(threads=1)
    model = installed().open("silero-vad", device)
    device.close()
    assert isinstance(model, SileroVad)
    return model


def steps(model: SileroVad, windows: Waveform, slot: int = 0) -> Waveform:
    return np.asarray(model.run({"sound": windows, SLOT: np.full(len(windows), slot, np.int64)})["probability"])


def test_window_by_window_it_is_the_reference_over_the_whole_clip() -> None:
    windows = sound()
    reference = get_vad_model()(windows.reshape(-1))
    model = opened()
    one_by_one = np.concatenate([steps(model, windows[place : place + 1]) for place in range(len(windows))])
    model.reset(0)
    in_pieces = np.concatenate([steps(model, windows[:7]), steps(model, windows[7:50]), steps(model, windows[50:])])
    np.testing.assert_allclose(one_by_one, in_pieces, atol=1e-5)
    np.testing.assert_allclose(one_by_one[1:], reference[1:], atol=0.02)
    assert reference.max() > 0.95
    model.close()


def test_streams_in_one_batch() -> None:
    windows, model = sound(), opened()
    alone = steps(model, windows[:32])
    other = steps(model, windows[32:64], slot=1)
    for slot in (0, 1):
        model.reset(slot)
    found = []
    for begin in (0, 16):
        rows = np.concatenate([windows[begin : begin + 16], windows[32 + begin : 48 + begin]])
        batch = {"sound": rows, SLOT: np.repeat(np.array([0, 1], np.int64), 16)}
        found.append(model.run(batch)["probability"].reshape(2, 16))
    both = np.concatenate(found, axis=1)
    np.testing.assert_allclose(both[0], alone, atol=1e-5)
    np.testing.assert_allclose(both[1], other, atol=1e-5)
    model.close()


async def test_it_has_a_worker_of_its_own_and_keeps_up_with_many() -> None:
    engine = Engine(installed())
    await engine.load("silero-vad")
    loaded = engine.models()["silero-vad"]
    assert loaded.capabilities.light
    assert loaded.capabilities.slots >= 64
    assert engine.statistics()["silero-vad"].measured[1] < 0.01  # s for 0.032 s of sound
    await engine.close()


def test_another_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    device = CpuDevice(threads=1)
    monkeypatch.setattr(silero, "find_spec", lambda name: None)
    with pytest.raises(InvalidInput, match="not installed"):
        installed().open("silero-vad", device)
    golden = installed().get("golden-hour").file(".onnx")
    monkeypatch.setattr(silero, "weights", lambda: golden)
    with pytest.raises(InvalidInput, match="another Silero"):
        installed().open("silero-vad", device)
    device.close()
