from __future__ import annotations

import asyncio
import functools
import hashlib
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from aimass_stream.errors import InvalidInput, InvalidPipeline
from aimass_stream.frames import Samples
from aimass_stream.inference import CpuDevice, Engine, FolderStore, installed

from ..support.context import REGISTRY, Context, audio, params, silence
from ..support.known_words import said

pytestmark = pytest.mark.anyio

GTCRN = Path(__file__).parents[3] / "shared" / "data" / "weights" / "gtcrn_simple.onnx"
needs_rnnoise = pytest.mark.skipif(find_spec("pyrnnoise") is None, reason="pyrnnoise is not installed")
needs_gtcrn = pytest.mark.skipif(not GTCRN.is_file(), reason="../shared/data/weights/gtcrn_simple.onnx is not here")

TEXT = "Nine boats left the harbour at dawn, and the bell rang twice."
MANIFEST = """
name = "enhancer"
version = "1"
title = "Enhancer"
task = "noise-suppression"
licence = "MIT"
sources = ["a test"]
engine = "aimass_stream.engines.enhancer:StreamingEnhancer"
[[files]]
path = "model.onnx"
size = {size}
sha256 = "{digest}"
[[inputs]]
name = "sound"
shape = ["hops", {hop}]
[[outputs]]
name = "clean"
shape = ["hops", {hop}]
[capabilities]
batchable = true
max_batch = 64
slots = {slots}
light = true
"""


def catalogue(folder: Path, graph: Path, *, hop: int = 256, slots: int = 8) -> Engine:
    """An engine whose catalogue has this graph as a model."""
    place = folder / "models" / "enhancer"
    place.mkdir(parents=True)
    shutil.copy(graph, place / "model.onnx")
    digest = hashlib.sha256(graph.read_bytes()).hexdigest()
    (place / "model.toml").write_text(MANIFEST.format(size=graph.stat().st_size, digest=digest, hop=hop, slots=slots))
    return Engine(FolderStore([folder / "models"]))


def halving(folder: Path) -> Path:
    """A graph of GTCRN's kind: gives half of what it gets, and counts its steps in its cache."""
    column, cache = [1, 257, 1, 2], [1, 1]
    nodes = [helper.make_node("Mul", ["mix", "half"], ["enh"]),
             helper.make_node("Add", ["steps", "one"], ["steps_out"])]
    graph = helper.make_graph(
        nodes, "halving",
        [helper.make_tensor_value_info("mix", TensorProto.FLOAT, column),
         helper.make_tensor_value_info("steps", TensorProto.FLOAT, cache)],
        [helper.make_tensor_value_info("enh", TensorProto.FLOAT, column),
         helper.make_tensor_value_info("steps_out", TensorProto.FLOAT, cache)],
        [helper.make_tensor("half", TensorProto.FLOAT, [1], [0.5]),
         helper.make_tensor("one", TensorProto.FLOAT, [1, 1], [1.0])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = folder / "halving.onnx"
    onnx.save(model, path)
    return path


async def cleaned(samples: Samples, models: Engine | None = None, *, step: int = 960, rate: int = 48_000,
                  **given: Any) -> tuple[Samples, Context]:
    context = Context()
    context.engine = models
    stage: Any = REGISTRY.create("denoise", params("denoise", **given))
    await stage.start(context)
    pieces = []
    for at in range(0, len(samples), step):
        frame = audio(samples[at : at + step], pts=at, rate=rate)
        after: Any = await stage.process(frame)
        assert after.samples.shape == frame.samples.shape
        pieces.append(after.samples)
        await asyncio.sleep(0)  # a session's frames are 20 ms apart
    await stage.close()
    return np.concatenate(pieces), context


@functools.cache
def noisy(seconds_before: float = 1.0) -> tuple[Samples, Samples]:
    """Speech, and the same with white noise at 5 dB."""
    clean = said(seconds_before, TEXT, TEXT, 0.5)[0]
    clean = clean[: len(clean) // 9600 * 9600]
    wave = clean.astype(np.float64)
    noise = np.random.default_rng(7).standard_normal(wave.shape)
    noise *= np.sqrt(np.mean(wave**2) / np.mean(noise**2) / 10**0.5)
    mixed: Samples = np.clip(np.rint(wave + noise), -32768, 32767).astype(np.int16)
    return clean, mixed


async def apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """In a thread: a second of arithmetic would hold the loop."""
    return await asyncio.to_thread(function, *arguments)


def si_sdr(reference: Samples, estimate: Samples, delay: int) -> float:
    """Scale-invariant signal-to-distortion ratio in dB (Le Roux et al., 2019)."""
    r, e = reference[: len(reference) - delay, 0].astype(np.float64), estimate[delay:, 0].astype(np.float64)
    target = np.dot(r, e) / np.dot(r, r) * r
    return float(10 * np.log10(np.dot(target, target) / np.dot(e - target, e - target)))


def lag(before: Samples, after: Samples) -> int:
    """By how many samples `after` is later."""
    length = 2 * len(before)
    spectrum = np.fft.rfft(after[:, 0], length) * np.conj(np.fft.rfft(before[:, 0], length))
    return int(np.argmax(np.fft.irfft(spectrum)[:9600]))


async def test_the_gate_takes_away_steady_noise() -> None:
    clean, mixed = await apart(noisy)
    after, context = await cleaned(mixed, engine="gate")
    assert await apart(lag, clean, after) == 480
    assert await apart(si_sdr, clean, after, 480) > await apart(si_sdr, clean, mixed, 0) + 5
    pause = slice(24_000, 45_000)
    assert np.std(after[pause]) < np.std(mixed[pause]) * 0.3
    assert context.ran == []


@needs_rnnoise
async def test_rnnoise() -> None:
    clean, mixed = await apart(noisy)
    after, context = await cleaned(mixed, None, engine="rnnoise")
    assert await apart(lag, clean, after) == 960
    assert await apart(si_sdr, clean, after, 960) > await apart(si_sdr, clean, mixed, 0) + 3
    assert context.ran == []
    (await cleaned(mixed, None, step=9600, engine="rnnoise"))[1].ran.index("clean")  # long pieces go to a thread


@needs_gtcrn
async def test_gtcrn(tmp_path: Path) -> None:
    clean, mixed = await apart(noisy)
    engine = catalogue(tmp_path, GTCRN)
    after, _ = await cleaned(mixed, engine, engine="model")
    delay = await apart(lag, clean, after)
    assert delay == pytest.approx(0.037 * 48_000, abs=96)
    assert await apart(si_sdr, clean, after, delay) > await apart(si_sdr, clean, mixed, 0) + 3
    assert engine.statistics()["enhancer"].run_p50 < 0.05
    await engine.close()


@pytest.mark.parametrize("step", [960, 480, 333, 9600])
async def test_a_network_is_stepped_through_the_engine(step: int, tmp_path: Path) -> None:
    sound = (await apart(said, 0.2, "The bell rang twice", 0.2))[0]
    engine = catalogue(tmp_path, halving(tmp_path))
    after, _ = await cleaned(sound, engine, step=step, model="enhancer")
    delay = await apart(lag, sound, after)
    assert await apart(si_sdr, sound, after, delay) > 20
    assert np.std(after) == pytest.approx(np.std(sound) / 2, rel=0.03)
    assert engine._models["enhancer"].slots.held() == {}
    await engine.close()


async def test_every_stream_has_its_caches(tmp_path: Path) -> None:
    engine = catalogue(tmp_path, halving(tmp_path), slots=2)
    await engine.load("enhancer")
    model: Any = engine.models()["enhancer"]
    hops = np.random.default_rng(0).standard_normal((3, 256)).astype(np.float32)
    for state in ("a", "b", "a"):
        await engine.submit("enhancer", {"sound": hops}, session="s", state=state)
    assert sorted(model._caches[0].ravel().tolist()) == [3.0, 6.0]
    await engine.close()


@pytest.mark.parametrize(("engine", "needed"), [("gate", False), ("rnnoise", True)])
async def test_strength_mixes_what_came_in_at_the_same_time(engine: str, needed: bool) -> None:
    if needed and find_spec("pyrnnoise") is None:
        pytest.skip("pyrnnoise is not installed")
    _, mixed = await apart(noisy, 0.2)
    delay = 960 if needed else 480
    untouched, _ = await cleaned(mixed, None, engine=engine, strength=0)
    assert np.abs(untouched[delay:].astype(int) - mixed[:-delay]).max() <= 1
    full, _ = await cleaned(mixed, None, engine=engine)
    half, _ = await cleaned(mixed, None, engine=engine, strength=0.5)
    assert np.abs(half - (full / 2 + untouched / 2)).max() <= 2


async def test_auto_takes_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = "aimass_stream.stages.denoise.find_spec"
    monkeypatch.setattr(module, lambda name: None)
    engine = catalogue(tmp_path, halving(tmp_path))
    _, context = await cleaned(silence(960), engine)
    assert "enhancer" in engine.models()
    await engine.close()
    after, _ = await cleaned(silence(960), Engine(FolderStore([])))
    assert not after.any()
    with pytest.raises(InvalidPipeline, match="denoise"):
        await cleaned(silence(), None, engine="rnnoise")
    with pytest.raises(InvalidPipeline, match="there are: none"):
        await cleaned(silence(), None, engine="model")
    with pytest.raises(InvalidPipeline, match="no such"):
        await cleaned(silence(), Engine(installed()), model="golden-hour")
    assert context.drops == {}


async def test_another_engine_while_sound_comes(tmp_path: Path) -> None:
    context = Context()
    context.engine = catalogue(tmp_path, halving(tmp_path))
    stage: Any = REGISTRY.create("denoise", params("denoise", engine="gate"))
    await stage.start(context)
    await stage.process(audio(silence()))
    stage.update(params("denoise", engine="model"))
    after = await stage.process(audio(silence()))
    assert after.samples.shape == (960, 1)
    with pytest.raises(InvalidPipeline):
        stage.update(params("denoise", model="nothing"))
    await stage.close()
    await context.engine.close()


async def test_odd_sound() -> None:
    for engine in ("gate", *(["rnnoise"] if find_spec("pyrnnoise") else [])):
        stage: Any = REGISTRY.create("denoise", params("denoise", engine=engine))
        await stage.start(Context())
        for count, channels, rate in ((0, 1, 48_000), (1, 1, 8_000), (960, 2, 48_000), (0, 2, 48_000), (7, 6, 44_100),
                                      (5000, 1, 16_000), (3, 1, 500)):
            after = await stage.process(audio(silence(count, channels), rate=rate))
            assert after.samples.shape == (count, channels)
            assert not after.samples.any()
        await stage.close()


def no_hop(folder: Path) -> Engine:
    return catalogue(folder, halving(folder), hop=160)


def no_slots(folder: Path) -> Engine:
    return catalogue(folder, halving(folder), slots=0)


def another_graph(folder: Path) -> Engine:
    return catalogue(folder, installed().get("golden-hour").file(".onnx"))


@pytest.mark.parametrize(("make", "told"), [(no_hop, "256"), (no_slots, "slots"), (another_graph, "bins")])
def test_another_kind_of_model_is_refused(make: Callable[[Path], Engine], told: str, tmp_path: Path) -> None:
    engine, device = make(tmp_path), CpuDevice(threads=1)
    with pytest.raises(InvalidInput, match=told):
        engine.store.open("enhancer", device)
    device.close()
