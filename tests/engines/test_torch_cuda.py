"""On a card: what it makes is what the processor makes, recorded or not, and two runs may be under way at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from aimass_stream.inference import CpuDevice, Engine
from aimass_stream.inference.cuda import CudaDevice, open_device
from tests.support import torch_models
from tests.support.models import Doubler, row
from tests.support.torch_models import SIDE

torch = pytest.importorskip("torch")
from aimass_stream.engines.torch_network import TorchNetwork  # noqa: E402  there is torch, then

pytestmark = [pytest.mark.anyio, pytest.mark.gpu,
              pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")]

# convolutions in TF32 keep ten bits of a number; through five blocks that is less than a grey level of a picture
NEAR = 4e-3
LEVELS = 1


@pytest.fixture
def device() -> Iterator[CudaDevice]:
    device = CudaDevice()
    yield device
    device.close()


def images(rows: int) -> np.ndarray:
    return np.random.default_rng(5).random((rows, 3, SIDE, SIDE)).astype(np.float32)


@pytest.mark.parametrize("options", ['architecture = "style"', 'architecture = "style"\ngraphs = false',
                                     'architecture = "style"\ncompile = "inductor"\ngraphs = false'])
@pytest.mark.timeout(300)
def test_a_card_makes_what_the_processor_makes(tmp_path: Path, device: CudaDevice, options: str) -> None:
    store = torch_models.write(tmp_path, fixed=True, options=options)
    card, processor = store.open("painter", device), store.open("painter", CpuDevice())
    assert isinstance(card, TorchNetwork)
    card.warm_up()
    assert bool(card._graphs) == ("graphs" not in options)
    for rows in (1, 2, 3, 4):  # three rows go in a graph of four
        x = images(rows)
        np.testing.assert_allclose(card.run({"image": x})["styled"], processor.run({"image": x})["styled"], atol=NEAR)
    card.close()


def test_pictures_agree_within_a_level(tmp_path: Path, device: CudaDevice) -> None:
    store = torch_models.write(tmp_path, pictures=True)
    bgr = np.random.default_rng(6).integers(0, 256, (2, 40, 56, 3), np.uint8)
    made = [store.open("painter", place).run({"image": bgr})["styled"].astype(int) for place in (device, CpuDevice())]
    assert np.abs(made[0] - made[1]).max() <= LEVELS


async def test_sessions_share_the_card_while_others_have_the_processor(tmp_path: Path) -> None:
    engine = Engine(torch_models.write(tmp_path, fixed=True), CudaDevice())
    try:
        await engine.load("painter")
        await engine.add(Doubler())
        assert {name: each.device for name, each in engine.statistics().items()} == {
            "painter": "cuda:0", "doubler": "cpu"}
        assert engine.statistics()["painter"].memory > 0
        x = images(8)
        asked = [engine.submit("painter", {"image": x[at : at + 1]}, session=f"s{at}") for at in range(8)]
        asked.append(engine.submit("doubler", row(2), session="a"))
        *made, doubled = await asyncio.gather(*asked)
        alone = [await engine.submit("painter", {"image": x[at : at + 1]}, session="a") for at in range(8)]
        for one, other in zip(made, alone, strict=True):
            np.testing.assert_allclose(one["styled"], other["styled"], atol=NEAR)
        assert doubled["y"][0, 0] == 4
        before = engine.device.used()
        await engine.unload("painter")
        assert engine.device.used() < before
    finally:
        await engine.close()


def test_auto_takes_the_card() -> None:
    device = open_device("auto")
    assert device.describe()["kind"] == "cuda"
    device.close()
