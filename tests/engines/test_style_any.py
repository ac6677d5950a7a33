"""The network that paints after any picture, on onnxruntime: styles as numbers, sizes, rungs, slots; odd pictures."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from aimass_stream import clips
from aimass_stream.architectures.style_any_shape import AnySizes, shapes
from aimass_stream.engines.style.any import FACTORS, GRAPH, NUMBERS, AnyStyle
from aimass_stream.engines.style.weights import read
from aimass_stream.errors import InvalidInput
from aimass_stream.frames import Pixels
from aimass_stream.inference import CpuDevice, FolderStore
from aimass_stream.inference.contract import SLOT, check_inputs
from tests.support import styles

ROOT = Path(__file__).parent.parent.parent
WIDE, NARROW, HALF = range(3)
SHARED = ROOT.parent / "shared" / "data"
Floats = NDArray[np.float32]
SCENE = clips.draw(40, 128, 96)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> AnyStyle:
    return AnyStyle(styles.write_any(tmp_path_factory.mktemp("styles")), CpuDevice(threads=1))


def ask(network: AnyStyle, picture: Pixels, style: Floats | None = None, *, rung: int = WIDE, share: float = 1.0,
        strength: float = 1.0, slot: int = 0) -> dict[str, Any]:
    given = np.zeros(NUMBERS, np.float32) if style is None else style
    inputs = {"picture": picture, "rung": np.array([rung]), "share": np.array([share], np.float32), "style": given,
              "strength": np.array([strength if style is not None else 0.0], np.float32)}
    assert check_inputs(network, inputs) == 1
    return network.run(inputs | {SLOT: np.array([slot])})


def learned(network: AnyStyle, picture: Pixels) -> Floats:
    return np.asarray(ask(network, picture, slot=9)["own"], np.float32)


def gap(one: NDArray[Any], other: NDArray[Any]) -> float:
    return float(np.abs(one.astype(float) - other).mean())


def texture(seed: int, size: int = 96) -> Pixels:
    return np.asarray(np.random.default_rng(seed).integers(0, 256, (size, size, 3)), np.uint8)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (9, 7), (91, 123)])
@pytest.mark.parametrize("rung", range(len(FACTORS)))
def test_a_picture_of_any_size_keeps_it(network: AnyStyle, rung: int, height: int, width: int) -> None:
    picture = np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)
    before, style = picture.copy(), learned(network, texture(1))
    kept = style.copy()
    made = ask(network, picture, style, rung=rung)["styled"]
    assert (made.shape, made.dtype.name) == (picture.shape, "uint8")
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(style, kept)


def test_what_is_painted_has_the_wanted_statistics(network: AnyStyle) -> None:
    """The more, the greater the strength; none of it at none."""
    style = learned(network, texture(1))
    plain = ask(network, SCENE)
    assert gap(ask(network, SCENE, style, strength=0.0)["styled"], plain["styled"]) == 0
    full, some = ask(network, SCENE, style), ask(network, SCENE, style, strength=0.3)
    assert gap(full["styled"], plain["styled"]) > gap(some["styled"], plain["styled"]) > 0.5
    itself = ask(network, SCENE, learned(network, SCENE))
    assert gap(itself["styled"], plain["styled"]) < 2  # a picture in its own style is what it is


def test_statistics_are_kept_by_slot_and_smoothed(network: AnyStyle) -> None:
    style, dark = learned(network, texture(1)), clips.draw(900, 128, 96) // 3
    alone = ask(network, dark, style, slot=1)["own"]
    ask(network, SCENE, style, slot=2)
    kept = ask(network, dark, style, share=0.0, slot=2)["own"]
    mixed = [ask(network, dark, style, share=0.3, slot=2)["own"] for _ in range(24)]
    fine = slice(0, AnySizes().fine)  # later ones see what the first left
    first = kept[:, fine] + 0.3 * (alone[:, fine] - kept[:, fine])
    np.testing.assert_allclose(mixed[0][:, fine], first, atol=1e-4)
    assert gap(mixed[-1], alone) < 0.01 * gap(kept, alone)
    network.reset(2)
    assert gap(ask(network, dark, style, share=0.0, slot=2)["own"], alone) < 1e-4
    ask(network, SCENE, style, slot=2)
    assert gap(ask(network, dark, style, rung=HALF, share=0.0, slot=2)["own"],
               ask(network, dark, style, rung=HALF, slot=3)["own"]) < 1e-4  # another rung's are no use


def test_after_a_flat_picture_there_is_still_something_to_see(tmp_path: Path) -> None:
    usual = {"usual": np.ones(AnySizes().channels, np.float32)}
    network = AnyStyle(styles.write_any(tmp_path, styles.safetensors(styles.any_weights() | usual)),
                       CpuDevice(threads=1))
    for flat in (np.full((64, 64, 3), 90, np.uint8), np.zeros((1, 1, 3), np.uint8)):
        style = learned(network, flat)
        assert float(style[1].max()) < 0.2
        made = ask(network, SCENE, style)["styled"]
        assert float(made.std((0, 1)).max()) > 2


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"rung": 3}, "rungs 0 to 2"), ({"share": -0.1}, "share is from 0 to 1"),
    ({"strength": float("nan")}, "strength is from 0 to 1"),
    ({"style": np.full(NUMBERS, np.inf, np.float32)}, "no finite numbers"),
]


@pytest.mark.parametrize(("given", "told"), WRONG)
def test_what_there_is_not_is_refused(network: AnyStyle, given: dict[str, Any], told: str) -> None:
    style = given.pop("style", np.zeros(NUMBERS, np.float32))
    with pytest.raises(InvalidInput, match=told):
        ask(network, SCENE, style, **given)


def _without(name: str) -> bytes:
    return styles.safetensors({other: values for other, values in styles.any_weights().items() if other != name})


BROKEN: list[tuple[Callable[[], bytes], str]] = [
    (lambda: b"\xff" * 64, "no safetensors file"),
    (lambda: styles.safetensors(styles.weights()), "where a style network has"),
    (lambda: _without("usual"), "usual is none where a style network has"),
    (lambda: styles.safetensors(styles.any_weights() | {"stem.bias": np.full(32, np.nan, np.float32)}), "no finite"),
]


@pytest.mark.parametrize(("data", "told"), BROKEN)
def test_weights_that_are_none_are_refused(tmp_path: Path, data: Callable[[], bytes], told: str) -> None:
    entry = styles.write_any(tmp_path, data())
    with pytest.raises(InvalidInput, match=told):
        AnyStyle(entry, CpuDevice(threads=1))


def test_it_paints_what_the_torch_network_paints(network: AnyStyle) -> None:
    torch = pytest.importorskip("torch")
    architecture = importlib.import_module("aimass_stream.architectures.style_any")
    twin = architecture.AnyStyleNetwork()
    twin.load_state_dict({name: torch.from_numpy(values) for name, values in styles.any_weights().items()})
    picture = clips.draw(40, 123, 91)
    image, style = (torch.from_numpy(each[:, :, ::-1].copy()).permute(2, 0, 1)[None].float() / 255
                    for each in (picture, texture(1)))
    with torch.inference_mode():
        seen = architecture.Exchange()
        twin(style, seen)
        numbers = seen.own.clone()
        numbers[:, 1] = numbers[:, 1].maximum(0.25 * twin.usual)
        wanted = 255 * twin(image, architecture.Exchange(numbers, 0.7))[0].permute(1, 2, 0).numpy()[:, :, ::-1]
    found = learned(network, texture(1))
    np.testing.assert_allclose(found, seen.own[0].numpy(), atol=1e-3)
    assert np.abs(ask(network, picture, found, strength=0.7)["styled"] - wanted).max() < 1


def test_the_shipped_graph_is_the_one_that_the_recipe_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx")
    monkeypatch.syspath_prepend(str(ROOT / "models" / "style-any"))
    sys.modules.pop("graph", None)
    graph = importlib.import_module("graph")
    try:
        assert graph.skeleton(AnySizes()) == GRAPH.read_bytes()
    finally:
        sys.modules.pop("graph")


def test_a_painting_gives_its_colours(tmp_path: Path) -> None:
    """The trained weights, on a painting that they have never seen: what comes out is nearer to its colours."""
    store = FolderStore([ROOT / "models"])
    if "style-any" not in store.names():
        pytest.skip("models/style-any is not here")
    network = AnyStyle(store.get("style-any"), CpuDevice(threads=1))
    assert sum(int(np.prod(shape)) for shape in shapes(AnySizes()).values()) * 4 < 2 << 20
    y, x = np.mgrid[:192, :192]
    stripes = np.where(((x + y) // 6 % 2)[..., None] == 1, [20, 40, 200], [40, 130, 240]).astype(np.uint8)
    scene = clips.draw(40, 320, 240)
    made = ask(network, scene, learned(network, stripes))["styled"]
    assert gap(made.mean((0, 1)), stripes.mean((0, 1))) < 0.6 * gap(scene.mean((0, 1)), stripes.mean((0, 1)))
    assert gap(ask(network, scene)["styled"], scene) < 0.4 * gap(made, scene)  # by itself it is painted as it is
    weights = read(store.get("style-any").file(".safetensors"))
    fine = AnyStyle(styles.write_any(tmp_path, styles.safetensors(weights | {"up.weight": 0 * weights["up.weight"]})),
                    CpuDevice(threads=1))
    assert gap(ask(fine, scene, learned(fine, stripes))["styled"], made) > 2  # the coarse cells have their say, too
