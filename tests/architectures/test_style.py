"""The style network: its rungs, its statistics, its way to full size and to onnxruntime."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402
from torch.nn import functional  # noqa: E402

from aimass_stream import clips  # noqa: E402
from aimass_stream.architectures.style import (  # noqa: E402
    Statistics,
    StyleNetwork,
    halve,
    repaint,
    upsample,
)
from aimass_stream.architectures.style_shape import RUNGS, borders, parts  # noqa: E402

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def network() -> StyleNetwork:
    torch.manual_seed(3)
    network = StyleNetwork()
    network.eval()
    return network


def scene(width: int = 128, height: int = 96, number: int = 40) -> Tensor:
    drawn = clips.draw(number, width, height)[:, :, ::-1]
    return torch.from_numpy(np.ascontiguousarray(drawn)).permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize(("height", "width"), [(1, 1), (9, 7), (91, 123), (96, 128)])
@pytest.mark.parametrize("rung", range(len(RUNGS)))
def test_a_picture_of_any_size_keeps_it(network: StyleNetwork, rung: int, height: int, width: int) -> None:
    with torch.inference_mode():
        made = repaint(network, torch.rand(2, 3, height, width), rung)
    assert made.shape == (2, 3, height, width)
    assert float(made.min()) >= 0
    assert float(made.max()) <= 1


def test_rungs_share_their_weights_and_have_their_own_norms(network: StyleNetwork) -> None:
    state = {name: values.numpy() for name, values in network.state_dict().items()}
    narrow = parts(state, network.sizes, 1)
    assert narrow["blocks.2.mix1.weight"].shape == (32, 32, 1, 1)
    assert np.array_equal(narrow["blocks.2.mix1.weight"], state["blocks.2.mix1.weight"][:32, :32])
    copy = StyleNetwork()
    copy.load_state_dict(network.state_dict())
    with torch.no_grad():
        for name, values in copy.named_parameters():
            if name.endswith(("gain", "shift")):
                values[0] += 1  # the widest rung's
            elif name.startswith("blocks") and "mix" in name and name.endswith("weight"):
                values[32:] += 1  # channels that the narrow rung has not
        picture = scene()
        assert torch.equal(copy(picture, 1), network(picture, 1))
        assert not torch.allclose(copy(picture, 0), network(picture, 0), atol=0.01)


def test_the_rows_of_a_batch_do_not_touch_each_other(network: StyleNetwork) -> None:
    pictures = torch.cat([scene(), scene(number=900)])
    with torch.inference_mode():
        assert torch.allclose(network(pictures)[1:], network(pictures[1:]), atol=1e-5)


def test_statistics_are_told_and_taken(network: StyleNetwork) -> None:
    bright, dark = scene(), 0.3 * scene(number=900)
    first, second = Statistics(), Statistics()
    with torch.inference_mode():
        lit, plain = network(bright, 0, first), network(dark, 0, second)
        assert first.taken.shape == (1, 2, network.sizes.channels(0))
        kept = network(bright, 0, Statistics(first.taken, 0.0))
        mixed = Statistics(first.taken, 0.25)
        network(dark, 0, mixed)
        under = network(dark, 0, Statistics(first.taken, 0.0))
    assert torch.allclose(kept, lit, atol=1e-5)
    stem = slice(0, network.sizes.fine)  # later norms see what the first ones left
    between = first.taken + 0.25 * (second.taken - first.taken)
    assert torch.allclose(mixed.taken[:, :, stem], between[:, :, stem], atol=1e-5)
    assert not torch.allclose(under, plain, atol=0.02)


def test_upsampling_follows_the_edges_of_the_full_picture() -> None:
    picture = scene(256, 192)
    with torch.inference_mode():
        toned = picture * torch.tensor([0.6, 0.9, 0.4])[:, None, None] + 0.1  # a style that is only colours
        small = halve(toned)
        guided = upsample(small, picture)
        plain = functional.interpolate(small, picture.shape[2:], mode="bilinear")
    assert float((guided - toned).abs().mean()) < 0.5 * float((plain - toned).abs().mean())


def test_a_flat_picture_stays_flat() -> None:
    torch.manual_seed(7)
    network = StyleNetwork()
    with torch.no_grad():
        for weight in network.parameters():
            weight += 0.1 * torch.randn_like(weight)  # as training might leave them
    flat = torch.tensor([0.8, 0.3, 0.1])[:, None, None].expand(1, 3, 256, 256)
    with torch.inference_mode():
        grid = float(network(flat)[0, :, 112:144, 112:144].std((1, 2)).max())  # far from the borders, which are seen
        network.level()
        level = float(network(flat)[0, :, 112:144, 112:144].std((1, 2)).max())
    assert grid > 0.02
    assert level < 1e-4


def test_gradients_reach_every_weight() -> None:
    network = StyleNetwork()
    picture = scene(64, 48)
    sum((repaint(network, picture, rung).square().mean() for rung in range(len(RUNGS))), torch.zeros(())).backward()
    for name, weight in network.named_parameters():
        if "mix" in name and name.endswith("bias") and "mix1" in name:
            continue  # a norm takes the mean away again
        assert weight.grad is not None, name
        assert bool(torch.isfinite(weight.grad).all()), name
        assert float(weight.grad.abs().max()) > 0, name


def test_it_learns_a_look_in_all_rungs() -> None:
    torch.manual_seed(5)
    network = StyleNetwork().to(memory_format=torch.channels_last)
    adam = torch.optim.Adam(network.parameters(), 5e-3)
    pictures = torch.cat([scene(64, 48, number) for number in (3, 500)])
    wanted = 1 - pictures.flip(1)  # negative, with red and blue exchanged

    def losses() -> list[Tensor]:
        return [(repaint(network, pictures, rung) - wanted).square().mean() for rung in range(len(RUNGS))]

    before = [float(loss.detach()) for loss in losses()]
    for _ in range(14):
        adam.zero_grad()
        sum(losses(), torch.zeros(())).backward()
        adam.step()
        network.level()
    for begun, ended in zip(before, losses(), strict=True):
        assert float(ended.detach()) < 0.6 * begun
    with torch.inference_mode():
        wide, half = (repaint(network, pictures, rung) for rung in (0, 2))
    assert np.corrcoef(wide.flatten().numpy(), half.flatten().numpy())[0, 1] > 0.8


@pytest.mark.parametrize("rung", range(len(RUNGS)))
def test_onnxruntime_paints_the_same(network: StyleNetwork, rung: int, graph: Any) -> None:
    own = parts({name: values.numpy() for name, values in network.state_dict().items()}, network.sizes, rung)
    written = graph.skeleton(own, network.sizes, rung)
    assert len(written) < 20_000
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_external_initializers(list(own), [onnxruntime.OrtValue.ortvalue_from_numpy(part)
                                                  for part in own.values()])
    session = onnxruntime.InferenceSession(written, options, providers=["CPUExecutionProvider"])
    picture = scene()
    framed = functional.pad(picture, borders(96, 128), mode="replicate")
    before = 0.5 + torch.rand(1, 2, network.sizes.channels(rung))
    for share in (1.0, 0.25):
        statistics = Statistics(before, share)
        with torch.inference_mode():
            wanted = network.inner(framed, rung, statistics)
        styled, taken = session.run(["styled", "statistics"], {
            "image": framed.numpy(), "before": before.numpy(), "share": np.array([share], np.float32)})
        assert np.abs(styled - wanted.numpy()).max() < 1e-4
        assert np.abs(taken - statistics.taken.numpy()).max() < 1e-3


@pytest.fixture
def graph(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module beside the recipe that writes the network for onnxruntime."""
    folder = ROOT / "models" / "styles"
    known = set(sys.modules)
    monkeypatch.syspath_prepend(str(folder))
    yield importlib.import_module("graph")
    for name in set(sys.modules) - known:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
