"""Tacotron 2 with weights of chance: no words, but the whole way from a file to sound."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aimass_stream.engines.tacotron2 import SYMBOLS, Tacotron2, altered, estimated
from aimass_stream.errors import InvalidInput, Unavailable
from aimass_stream.inference import Engine, installed
from aimass_stream.settings import Settings
from aimass_stream.speech.contract import Manner
from tests.support.options import settings
from tests.support.pulled import altered as changed
from tests.support.pulled import listed

torchaudio = pytest.importorskip("torchaudio")
import torch  # noqa: E402  there is one, then

pytestmark = pytest.mark.anyio

SMALL = {"symbol_embedding_dim": 16, "encoder_embedding_dim": 16, "decoder_rnn_dim": 16, "attention_rnn_dim": 16,
         "attention_hidden_dim": 8, "prenet_dim": 8, "postnet_embedding_dim": 16}
WAVERNN = {"upsample_scales": [2, 2, 2], "hop_length": 8, "n_res_block": 1, "n_rnn": 8, "n_fc": 8, "n_hidden": 8,
           "n_output": 8}


def write(folder: Path, *, wavernn: bool = False) -> Settings:
    voice = folder / "models" / "chance"
    voice.mkdir(parents=True)
    torch.manual_seed(1)
    state = torchaudio.models.Tacotron2(n_symbol=len(SYMBOLS), **SMALL).state_dict()
    state["decoder.gate_layer.bias"] += 9  # it ends at once: a step takes its time
    torch.save(state, voice / "tacotron2.pth")
    (voice / "config.json").write_text(json.dumps({"tacotron2": SMALL, "wavernn": WAVERNN}))
    if wavernn:
        network = torchaudio.models.WaveRNN(n_classes=256, kernel_size=5, n_freq=80, **WAVERNN)
        torch.save(network.state_dict(), voice / "wavernn.pth")
    return settings(data_dir=folder)


@contextlib.asynccontextmanager
async def opened(options: Settings) -> AsyncIterator[Tacotron2]:
    engine = Engine(installed())
    try:
        yield await Tacotron2.open(engine, options)
    finally:
        await engine.close()


@pytest.mark.parametrize("wavernn", [False, True])
async def test_text_becomes_sound_with_estimated_words(tmp_path: Path, wavernn: bool) -> None:
    options = await asyncio.to_thread(write, tmp_path, wavernn=wavernn)
    async with opened(options) as voice:
        assert voice.voices()[0].languages == ("en-US",)
        spoken = [piece async for piece in voice.speak("5 km.", Manner())]
    assert spoken[0].samples.dtype == np.int16
    assert spoken[0].samples.shape[1] == 1
    assert len(spoken[0].samples) > (60 if wavernn else 500)
    assert [word.text for word in spoken[0].words] == ["5", "km."]
    assert spoken[0].words[-1].end == pytest.approx(len(spoken[0].samples) / voice.rate)


async def test_other_voices_and_languages_are_refused(tmp_path: Path) -> None:
    options = await asyncio.to_thread(write, tmp_path)
    async with opened(options) as voice:
        for manner, field in ((Manner(voice="bob"), "voice"), (Manner(language="de"), "language")):
            with pytest.raises(InvalidInput) as refused:
                await anext(voice.speak("Hello.", manner))
            assert refused.value.field == field
        assert [piece async for piece in voice.speak("...!", Manner())] == []


async def test_files_that_are_something_else_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    none = settings(data_dir=tmp_path)
    assert "tacotron2.pth" in Tacotron2.unavailable(none)
    with pytest.raises(Unavailable):
        async with opened(none):
            pass
    options = await asyncio.to_thread(write, tmp_path)
    state: dict[str, Any] = {"embedding.weight": torch.zeros(3, 3)}
    torch.save(state, tmp_path / "models" / "chance" / "tacotron2.pth")
    with pytest.raises(InvalidInput, match="no Tacotron 2"):
        async with opened(options):
            pass


@pytest.mark.parametrize("name", ["tacotron2.pth", "wavernn.pth", "config.json"])
async def test_pulled_weights_that_were_changed_are_refused_when_they_are_loaded(tmp_path: Path, name: str) -> None:
    options = await asyncio.to_thread(write, tmp_path, wavernn=True)
    folder = tmp_path / "models" / "chance"
    await asyncio.to_thread(listed, folder)
    async with opened(options) as voice:
        assert voice.voices()
    changed(folder / name)
    with pytest.raises(InvalidInput, match=f"{name} is not the file that the manifest means"):
        async with opened(options):
            pass


def test_manner_is_a_filters_work() -> None:
    moments = np.arange(22_050) / 22_050
    tone = (np.sin(2 * np.pi * 220 * moments) * 10_000).astype(np.int16)[:, None]
    fast = altered(tone, Manner(speed=2.0, pitch=1.5, volume=0.5))
    assert len(fast) == pytest.approx(len(tone) / 2, rel=0.05)
    spectrum = np.abs(np.fft.rfft(fast[2000:8000, 0] * np.hanning(6000)))
    assert np.argmax(spectrum) * 22_050 / 6000 == pytest.approx(330, rel=0.02)
    assert np.abs(fast[2000:8000]).max() == pytest.approx(5000, rel=0.1)
    assert [word.end for word in estimated("ab cd", 2.0)] == [1.0, 2.0]
