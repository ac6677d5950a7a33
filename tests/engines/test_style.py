"""Styles on onnxruntime: sizes, rungs, statistics in slots, the way back to full size; and weights that are not."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aimass_stream import clips
from aimass_stream.architectures.style_shape import RUNGS, Sizes, parts
from aimass_stream.engines.style import Style, graph_of
from aimass_stream.errors import InvalidInput
from aimass_stream.frames import Pixels
from aimass_stream.inference import CpuDevice, Engine, FolderStore
from aimass_stream.inference.contract import SLOT
from aimass_stream.painting.upsample import halved, upsampled
from tests.support import styles

ROOT = Path(__file__).parent.parent.parent
WIDE, NARROW, HALF = range(3)


@pytest.fixture(scope="module")
def style(tmp_path_factory: pytest.TempPathFactory) -> Style:
    return Style(styles.write(tmp_path_factory.mktemp("styles"), "style-chance"), CpuDevice(threads=1))


def paint(style: Style, picture: Pixels, rung: int = WIDE, share: float = 1.0, slot: int = 0) -> Pixels:
    return np.asarray(style.run(inputs(picture, rung, share) | {SLOT: np.array([slot])})["styled"])


def inputs(picture: Pixels, rung: int = WIDE, share: float = 1.0) -> dict[str, Any]:
    return {"picture": picture, "rung": np.array([rung]), "share": np.array([share], np.float32)}


def gap(one: Pixels, other: Pixels) -> float:
    return float(np.abs(one.astype(int) - other).mean())


@pytest.mark.parametrize(("height", "width"), [(1, 1), (9, 7), (91, 123), (96, 128)])
@pytest.mark.parametrize("rung", range(len(RUNGS)))
def test_a_picture_of_any_size_keeps_it(style: Style, rung: int, height: int, width: int) -> None:
    picture = np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)
    before = picture.copy()
    made = paint(style, picture, rung)
    assert (made.shape, made.dtype.name) == (picture.shape, "uint8")
    np.testing.assert_array_equal(picture, before)


def test_it_paints_what_the_torch_network_paints(style: Style) -> None:
    torch = pytest.importorskip("torch")
    architecture = importlib.import_module("aimass_stream.architectures.style")
    network = architecture.StyleNetwork()
    network.load_state_dict({name: torch.from_numpy(values) for name, values in styles.weights().items()})
    for width, height in ((128, 96), (123, 91)):
        picture = clips.draw(40, width, height)
        image = torch.from_numpy(picture[:, :, ::-1].copy()).permute(2, 0, 1)[None].float() / 255
        for rung in range(len(RUNGS)):
            with torch.inference_mode():
                wanted = 255 * architecture.repaint(network, image, rung)[0].permute(1, 2, 0).numpy()[:, :, ::-1]
            made = np.abs(paint(style, picture, rung) - wanted)
            if not RUNGS[rung].half:
                assert made.max() < 1
            elif width % 2 == 0:  # torch's stretches an odd side; here cells stay on the pixels they were made of
                assert made.mean() < 1


def test_the_shipped_graphs_are_those_that_the_recipe_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx")
    monkeypatch.syspath_prepend(str(ROOT / "models" / "styles"))
    graph = importlib.import_module("graph")
    try:
        for number, rung in enumerate(RUNGS):
            own = dict(sorted(parts(styles.weights(), Sizes(), number).items()))
            assert graph.skeleton(own, Sizes(), number) == graph_of(rung).read_bytes()
    finally:
        sys.modules.pop("graph")


def test_statistics_are_kept_by_slot_and_smoothed(style: Style) -> None:
    bright, dark = clips.draw(40, 128, 96), clips.draw(900, 128, 96) // 3
    alone = paint(style, dark, slot=1)
    paint(style, bright, slot=2)
    kept = paint(style, dark, share=0.0, slot=2)
    mixed = [paint(style, dark, share=0.3, slot=2) for _ in range(24)]
    assert gap(kept, alone) > 3
    assert gap(mixed[0], alone) < gap(kept, alone)
    assert gap(mixed[-1], alone) < 1  # it has come there
    assert gap(paint(style, dark, share=0.3, slot=1), alone) < 0.1  # nobody else's
    style.reset(2)
    assert gap(paint(style, dark, share=0.0, slot=2), alone) < 0.1
    paint(style, bright, WIDE, slot=2)
    assert gap(paint(style, dark, HALF, 0.0, 2), paint(style, dark, HALF, 1.0, 3)) < 0.1  # another rung's are no use


def test_a_part_is_painted_as_in_the_whole_when_statistics_stay(style: Style) -> None:
    picture = clips.draw(40, 320, 240)
    whole = paint(style, picture)
    part = paint(style, np.ascontiguousarray(picture[16:208, 64:256]), share=0.0)
    assert gap(part[64:-64, 64:-64], whole[80:144, 128:192]) < 1


def test_upsampling_follows_the_edges_of_the_full_picture() -> None:
    picture = clips.draw(40, 256, 192)
    toned = np.asarray(picture * np.array([0.4, 0.9, 0.6]) + 25, np.float32)  # a style that is only colours
    small = halved(toned.astype(np.uint8))
    planes = np.ascontiguousarray(small.transpose(2, 0, 1)[::-1] / 255, np.float32)
    plain = small.repeat(2, 0).repeat(2, 1)
    assert gap(upsampled(planes, halved(picture), picture), toned.astype(np.uint8)) < 0.5 * gap(
        plain, toned.astype(np.uint8))


@pytest.mark.anyio
async def test_sessions_share_a_style_and_keep_their_statistics(tmp_path: Path) -> None:
    styles.write(tmp_path, "style-chance")
    engine = Engine(FolderStore([tmp_path]))
    await engine.load("style-chance")
    bright, dark = clips.draw(40, 64, 48), clips.draw(900, 64, 48) // 3
    first = (await engine.submit("style-chance", inputs(dark), session="a"))["styled"]
    await engine.submit("style-chance", inputs(bright), session="b")
    again = (await engine.submit("style-chance", inputs(dark, share=0.5), session="a"))["styled"]
    other = (await engine.submit("style-chance", inputs(dark, share=0.5), session="b"))["styled"]
    assert gap(first, again) < 0.1
    assert gap(first, other) > 1
    for wrong, told in ((inputs(dark, 3), "rungs 0 to 2"), (inputs(dark, 0, float("nan")), "from 0 to 1"),
                        (inputs(dark.astype(np.float32)), "picture must be uint8")):
        with pytest.raises(InvalidInput, match=told):
            await engine.submit("style-chance", wrong, session="a")
    await engine.close()


def _with(name: str, value: Any) -> bytes:
    return styles.safetensors(styles.weights() | {name: value})


def _without(name: str) -> bytes:
    return styles.safetensors({other: values for other, values in styles.weights().items() if other != name})


BROKEN: list[tuple[Callable[[], bytes], str]] = [
    (lambda: b"", "no safetensors file"),
    (lambda: b"\xff" * 64, "no safetensors file"),
    (lambda: (5).to_bytes(8, "little") + b"[1,2]", "no safetensors file"),
    (lambda: styles.safetensors(styles.weights())[:-4], r"the tensor detail|the tensor \S+ is not told"),
    (lambda: _with("stem.bias", np.full(16, np.nan, np.float32)), r"stem\.bias has values that are no finite"),
    (lambda: _with("stem.bias", np.zeros(17, np.float32)), r"stem\.bias is 17 where a style network has 16"),
    (lambda: _with("hat.bias", np.zeros(2, np.float32)), r"hat\.bias is 2 where a style network has none"),
    (lambda: _without("paint.weight"), r"paint\.weight is none where a style network has 48×16×3×3"),
]


@pytest.mark.parametrize(("data", "told"), BROKEN)
def test_weights_that_are_none_are_refused(tmp_path: Path, data: Callable[[], bytes], told: str) -> None:
    entry = styles.write(tmp_path, "style-broken", data())
    with pytest.raises(InvalidInput, match=told):
        Style(entry, CpuDevice(threads=1))


def test_a_card_with_other_rungs_is_refused(tmp_path: Path) -> None:
    manifest = styles.write(tmp_path, "style-chance").folder / "model.toml"
    manifest.write_text(manifest.read_text().replace('"narrow", ', ""))
    entry = FolderStore([tmp_path]).get("style-chance")
    with pytest.raises(InvalidInput, match="rungs"):
        Style(entry, CpuDevice(threads=1))
