"""The network for any style: what is exchanged, what stays, and that its recipe learns."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from aimass_stream import clips  # noqa: E402
from aimass_stream.architectures.style_any import AnyStyleNetwork, Exchange  # noqa: E402
from aimass_stream.architectures.style_any_shape import AnySizes, shapes  # noqa: E402

ROOT = Path(__file__).parent.parent.parent
SHARED = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def network() -> AnyStyleNetwork:
    torch.manual_seed(3)
    made = AnyStyleNetwork()
    made.eval()
    return made


def scene(number: int = 40, width: int = 96, height: int = 72) -> Tensor:
    drawn = clips.draw(number, width, height)[:, :, ::-1]
    return torch.from_numpy(np.ascontiguousarray(drawn)).permute(2, 0, 1)[None].float() / 255


def own(network: AnyStyleNetwork, picture: Tensor) -> Tensor:
    exchange = Exchange()
    network(picture, exchange)
    return exchange.own


def test_its_weights_are_those_that_the_engine_asks_for(network: AnyStyleNetwork) -> None:
    assert {name: tuple(values.shape) for name, values in network.state_dict().items()} == shapes(AnySizes())


def test_what_is_exchanged_has_the_wanted_statistics(network: AnyStyleNetwork) -> None:
    with torch.inference_mode():
        x = torch.randn(1, network.sizes.fine, 20, 30)
        wanted = torch.rand(1, 2, network.sizes.channels) + 0.5
        made = Exchange(wanted)(x)
        some = Exchange(wanted, 0.25)
        part = some(x)
        variance, mean = torch.var_mean(made, (2, 3), correction=0)
    fine = slice(0, network.sizes.fine)
    assert torch.allclose(mean, wanted[:, 0, fine], atol=1e-3)
    assert torch.allclose(variance.sqrt(), wanted[:, 1, fine], atol=1e-3)
    assert torch.allclose(part.mean((2, 3)), x.mean((2, 3)) + 0.25 * (mean - x.mean((2, 3))), atol=1e-3)


def test_a_picture_in_its_own_style_is_what_it_is(network: AnyStyleNetwork) -> None:
    with torch.inference_mode():
        picture, other = scene(), scene(900) * 0.3
        plain = network(picture)
        assert torch.allclose(network(picture, Exchange(own(network, picture))), plain, atol=1e-4)
        assert not torch.allclose(network(picture, Exchange(own(network, other))), plain, atol=0.02)
        assert torch.allclose(network(picture, Exchange(own(network, other), 0.0)), plain, atol=1e-5)


def test_gradients_reach_every_weight(network: AnyStyleNetwork) -> None:
    copy = AnyStyleNetwork()
    numbers = own(copy, scene(900))
    copy(scene(), Exchange(numbers)).square().mean().backward()
    for name, weight in copy.named_parameters():
        assert weight.grad is not None, name
        assert bool(torch.isfinite(weight.grad).all()), name


def test_a_flat_picture_stays_flat() -> None:
    torch.manual_seed(7)
    network = AnyStyleNetwork()
    with torch.no_grad():
        for weight in network.parameters():
            weight += 0.02 * torch.randn_like(weight)  # as training might leave them
        flat = torch.tensor([0.8, 0.3, 0.1])[:, None, None].expand(1, 3, 448, 448)

        def pattern() -> float:
            """Far from the borders, which are seen."""
            return float(network(flat)[0, :, 208:240, 208:240].std((1, 2)).max())

        before = pattern()
        network.level()
        assert before > 1e-3
        assert pattern() < 0.05 * before


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The recipe's modules, which are programs of their own."""
    pytest.importorskip("safetensors")
    folder = ROOT / "models" / "style-any"
    known = set(sys.modules)
    monkeypatch.syspath_prepend(str(folder))
    yield importlib.import_module("training")
    for name in set(sys.modules) - known:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def test_styles_are_drawn_in_many_manners(recipe: Any) -> None:
    textures = importlib.import_module("textures")
    rng = np.random.default_rng(2)
    shown = textures.tones(rng, 96)
    made = [maker(rng, shown, textures.palette(rng)) for maker in dict.fromkeys(textures.MAKERS)]
    assert len(made) >= 9
    for picture in made:
        assert picture.shape == (96, 96, 3)
        assert np.isfinite(picture).all()
        assert picture.std() > 0.01


def test_a_few_steps_of_the_recipe_teach_the_encoder(
        recipe: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if not (SHARED / "weights" / "squeezenet1_0.safetensors").exists():
        pytest.skip("../shared/data/weights/squeezenet1_0.safetensors is not here")
    for name, value in {"SIZE": 64, "WARM_UP": 1, "DISTILLED_ALONE": 14}.items():
        monkeypatch.setattr(recipe, name, value)
    trainer = recipe.Trainer(SHARED, 16, styles=2)
    picture = torch.nn.functional.interpolate(scene(), (64, 64))

    def loss() -> float:
        with torch.no_grad():
            return float(trainer.heads.loss(trainer.network.seen(picture)[1], trainer.eyes(picture)))

    before, told = loss(), []
    trainer.run(tmp_path / "checkpoint.pt", lambda trainer: told.append((trainer.step, loss())))
    assert [step for step, _ in told] == list(range(1, 17))
    assert told[13][1] < 0.9 * before
    assert np.isfinite(trainer.losses).all()
    assert trainer.losses[0] > 0  # of the last two steps, in which it painted
    again = recipe.Trainer(SHARED, 16, styles=1)
    again.load(tmp_path / "checkpoint.pt")
    assert again.step == 16
    assert all(torch.equal(one, other) for one, other in zip(
        again.network.parameters(), trainer.network.parameters(), strict=True))
