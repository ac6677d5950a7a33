"""Piper's own loader and phonemes, with a voice made here: a graph shaped as its exports that hums each phoneme."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from aimass_stream.engines.piper import Piper, read
from aimass_stream.errors import InvalidInput, ModelFailed, Unavailable
from aimass_stream.frames import Samples
from aimass_stream.settings import Settings
from aimass_stream.speech.contract import Manner
from aimass_stream.speech.words import Word
from tests.support.options import settings
from tests.support.pulled import altered, listed

pytest.importorskip("piper")
import onnx
from onnx import TensorProto, helper

pytestmark = pytest.mark.anyio

HOP, RATE = 1024, 16_000  # samples of a phoneme, Hz
SYMBOLS = "_^$ abcdefghijklmnopqrstuvwxyz.,!?'ɐəɛɪʊɔæɑŋθðʃʒɹɡɚˈˌː"


def humming() -> onnx.ModelProto:
    """input (1, n), input_lengths (1,), scales (3,) -> output (1, 1, 1, m), as Piper's exports have it."""
    constants = {"one": [1], "two": [2], "shape": [1, 1, 1, -1]}
    numbers = [helper.make_tensor(name, TensorProto.INT64, [len(value)], value) for name, value in constants.items()]
    numbers += [helper.make_tensor("none", TensorProto.INT64, [], [0]),
                helper.make_tensor("next", TensorProto.INT64, [], [1]),
                helper.make_tensor("hop", TensorProto.FLOAT, [1], [HOP]),
                helper.make_tensor("step", TensorProto.FLOAT, [], [0.01])]
    steps = [("Cast", ["input"], "ids"), ("Slice", ["scales", "one", "two"], "length"),
             ("Mul", ["hop", "length"], "span"), ("Cast", ["span"], "count"), ("Squeeze", ["count"], "samples"),
             ("Range", ["none", "samples", "next"], "ramp"), ("Cast", ["ramp"], "time"),
             ("Unsqueeze", ["ids", "two"], "column"), ("Mul", ["column", "step"], "omega"),
             ("Mul", ["omega", "time"], "phase"), ("Sin", ["phase"], "wave"), ("Reshape", ["wave", "shape"], "output")]
    kinds = {"count": TensorProto.INT64}
    nodes = [helper.make_node(kind, takes, [gives], **(
        {"to": kinds.get(gives, TensorProto.FLOAT)} if kind == "Cast" else {})) for kind, takes, gives in steps]
    takes = [helper.make_tensor_value_info("input", TensorProto.INT64, [1, "n"]),
             helper.make_tensor_value_info("input_lengths", TensorProto.INT64, [1]),
             helper.make_tensor_value_info("scales", TensorProto.FLOAT, [3])]
    gives = [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 1, 1, "m"])]
    model = helper.make_model(helper.make_graph(nodes, "voice", takes, gives, numbers),
                              opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 9
    return model


def write(folder: Path, name: str = "en_US-hum-low", **changes: object) -> Settings:
    voices = folder / "voices"
    voices.mkdir(exist_ok=True)
    onnx.save(humming(), voices / f"{name}.onnx")
    config = {"audio": {"sample_rate": RATE}, "espeak": {"voice": "en-us"}, "language": {"code": "en_US"},
              "num_symbols": 256, "num_speakers": 1, "phoneme_id_map": {symbol: [index] for index, symbol in
                                                                        enumerate(SYMBOLS)}}
    (voices / f"{name}.onnx.json").write_text(json.dumps(config | changes))
    return settings(data_dir=folder)


@contextlib.asynccontextmanager
async def opened(options: Settings) -> AsyncIterator[Piper]:
    voice = await Piper.open(None, options)
    try:
        yield voice
    finally:
        await voice.close()


async def said(voice: Piper, text: str, manner: Manner) -> tuple[Samples, list[Word]]:
    pieces = [piece async for piece in voice.speak(text, manner)]
    return np.concatenate([piece.samples for piece in pieces]), [word for piece in pieces for word in piece.words]


async def test_a_voice_in_a_folder_speaks_with_words_speed_and_volume(tmp_path: Path) -> None:
    options = await asyncio.to_thread(write, tmp_path)
    assert Piper.unavailable(options) == ""
    assert Piper.languages(options) == ["en-US"]
    async with opened(options) as voice:
        assert [each.id for each in voice.voices()] == ["en_US-hum-low"]
        samples, words = await said(voice, "Nine boats left. The bell rang twice.", Manner())
        assert [word.text for word in words] == ["Nine", "boats", "left.", "The", "bell", "rang", "twice."]
        assert words[-1].end == pytest.approx(len(samples) / voice.rate, abs=0.01)
        assert np.abs(samples).max() > 30_000
        fast, _ = await said(voice, "Nine boats left. The bell rang twice.", Manner(speed=2, volume=0.5))
        assert len(fast) == pytest.approx(len(samples) / 2, rel=0.02)
        assert 14_000 < np.abs(fast).max() < 20_000


async def test_the_process_s_end_costs_one_utterance(tmp_path: Path) -> None:
    import os
    import signal

    options = await asyncio.to_thread(write, tmp_path)
    async with opened(options) as voice:
        speaking = voice.speak("One sentence. " * 20, Manner())
        await anext(speaking)
        os.kill(voice._desk.processes[0], signal.SIGKILL)
        with contextlib.suppress(ModelFailed):
            async for _ in speaking:
                pass
        samples, _ = await said(voice, "Another one.", Manner())
        assert len(samples) > 1000


async def test_voices_that_are_none_are_left_out_or_refused(tmp_path: Path) -> None:
    options = await asyncio.to_thread(write, tmp_path)
    folder = tmp_path / "voices"
    for name, text in (("a", "{"), ("b", "[]"), ("c", '{"audio": {"sample_rate": "x"}, "espeak": {"voice": "en"}}')):
        (folder / f"{name}.onnx").write_bytes(b"not onnx")
        (folder / f"{name}.onnx.json").write_text(text)
        assert read(folder / f"{name}.onnx.json") == []
    await asyncio.to_thread(write, tmp_path, "broken")
    (folder / "broken.onnx").write_bytes(b"not onnx")
    async with opened(options) as voice:
        assert [each.id for each in voice.voices()] == ["broken", "en_US-hum-low"]
        for wanted, field in ((Manner(voice="nobody"), "voice"), (Manner(voice="broken"), "voice"),
                              (Manner(language="de"), "language")):
            with pytest.raises(InvalidInput) as refused:
                await said(voice, "Hello.", wanted)
            assert refused.value.field == field
        assert len((await said(voice, "Hello.", Manner(voice="en_US-hum-low")))[0])


async def test_a_pulled_voice_that_was_changed_is_refused_when_it_is_loaded(tmp_path: Path) -> None:
    options = await asyncio.to_thread(write, tmp_path)
    place = (tmp_path / "voices").rename(tmp_path / "models") / "en_US-hum-low.onnx"
    await asyncio.to_thread(listed, place.parent)
    async with opened(options) as voice:
        assert len((await said(voice, "Hello.", Manner()))[0])
    altered(place)
    async with opened(options) as voice:
        with pytest.raises(InvalidInput, match="SHA-256 differs"):
            await said(voice, "Hello.", Manner())
        place.unlink()
        with pytest.raises(InvalidInput, match="missing"):
            await said(voice, "Hello.", Manner())


async def test_speakers_of_one_file_are_voices_and_no_voice_is_a_reason(tmp_path: Path) -> None:
    assert "no Piper voice" in Piper.unavailable(settings(data_dir=tmp_path))
    with pytest.raises(Unavailable):
        await Piper.open(None, settings(data_dir=tmp_path))
    await asyncio.to_thread(write, tmp_path, "two", num_speakers=2, speaker_id_map={"ann": 0, "bob": 1})
    found = read(tmp_path / "voices" / "two.onnx.json")
    assert [each.voice.id for each in found] == ["two#ann", "two#bob"]
    assert found[1].path.endswith("two.onnx#1")
