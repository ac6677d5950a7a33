"""The engine torch: our style network from its manifest, alone, in batches, from pictures, and what doesn't fit."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from aimass_stream.engines import ENGINES
from aimass_stream.errors import InvalidInput, ModelFailed
from aimass_stream.inference import CpuDevice, Engine
from aimass_stream.inference.loader import _engine
from tests.support import styles, torch_models
from tests.support.torch_models import SIDE

torch = pytest.importorskip("torch")
from aimass_stream.architectures.style import StyleNetwork  # noqa: E402  there is torch, then
from aimass_stream.engines.torch_network import TorchNetwork  # noqa: E402

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def network() -> StyleNetwork:
    network = StyleNetwork()
    network.load_state_dict({name: torch.from_numpy(values) for name, values in styles.weights().items()})
    network.eval()
    return network


def painted(network: StyleNetwork, x: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return np.asarray(network(torch.from_numpy(x)))


def images(rows: int, height: int = SIDE, width: int = SIDE) -> np.ndarray:
    return np.random.default_rng(5).random((rows, 3, height, width)).astype(np.float32)


def test_the_table_leads_to_the_engine() -> None:
    assert _engine(ENGINES["torch"]) is TorchNetwork


async def test_sessions_share_batches_and_get_what_the_network_makes(tmp_path: Path, network: StyleNetwork) -> None:
    engine = Engine(torch_models.write(tmp_path))
    x = images(4, 24, 40)
    try:
        await engine.load("painter")
        wanted = await asyncio.to_thread(painted, network, x)
        asked = [engine.submit("painter", {"image": x[row : row + 1]}, session=f"s{row}") for row in range(4)]
        for row, made in enumerate(await asyncio.gather(*asked)):
            np.testing.assert_allclose(made["styled"], wanted[row : row + 1], atol=1e-4)
        together = await engine.submit("painter", {"image": x}, session="a")
        np.testing.assert_allclose(together["styled"], wanted, atol=1e-4)
        assert engine.models()["painter"].capabilities.accelerated is False
    finally:
        await engine.close()


def test_pictures_go_in_and_out_as_they_are(tmp_path: Path, network: StyleNetwork) -> None:
    device = CpuDevice(threads=1)
    model = torch_models.write(tmp_path, pictures=True, fixed=True).open("painter", device)
    model.warm_up()
    assert model.capabilities.fixed_shapes
    bgr = np.random.default_rng(6).integers(0, 256, (2, SIDE, SIDE, 3), np.uint8)
    bgr.flags.writeable = False  # as some frames are
    planes = np.ascontiguousarray(bgr[..., ::-1].transpose(0, 3, 1, 2), np.float32) / 255
    wanted = painted(network, planes).transpose(0, 2, 3, 1)[..., ::-1] * 255
    made = model.run({"image": bgr})["styled"]
    assert (made.dtype.name, made.shape) == ("uint8", bgr.shape)
    assert np.abs(made - wanted).max() <= 0.51
    assert torch.get_num_threads() == 1
    model.close()
    device.close()


def test_a_server_imports_torch_before_its_sessions_come_only_where_a_model_wants_it(tmp_path: Path) -> None:
    torch_models.write(tmp_path)
    code = ("import sys, pathlib; from aimass_stream.inference import FolderStore; "
            "FolderStore([pathlib.Path(path) for path in sys.argv[1:]]).prepare(); print('torch' in sys.modules)")
    for folders, wanted in (([str(tmp_path)], "True"), ([], "False")):
        done = subprocess.run([sys.executable, "-c", code, *folders], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == wanted


@pytest.mark.parametrize(("data", "options", "complaint"), [
    (b"", "", "no safetensors file"),
    (styles.safetensors({"stem.bias": np.full(16, np.nan, np.float32)}), "", r"stem\.bias has values that are no"),
    (styles.safetensors({"stem.bias": np.zeros(16, np.float32)}), "", "not those of this network: .* Missing key"),
    (styles.safetensors(styles.weights() | {"stem.bias": np.zeros(17, np.float32)}), "", "size mismatch for stem.bias"),
    (None, 'architecture = "os:system"', "architecture must be one of style"),
    (None, "graphs = false", "architecture must be one of style"),
    (None, 'architecture = "style"\n[options.arguments]\ncolours = 3', "not those of this network: .*colours"),
])
def test_what_does_not_fit_is_named(tmp_path: Path, data: bytes | None, options: str, complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        torch_models.write(tmp_path, data=data, options=options).open("painter", CpuDevice(threads=1))


@pytest.mark.parametrize("outputs", ['["n", 4, "height", "width"]', '["n", 3]'])
async def test_outputs_other_than_the_manifests_are_told_at_loading(tmp_path: Path, outputs: str) -> None:
    engine = Engine(torch_models.write(tmp_path, outputs=outputs))
    try:
        with pytest.raises((InvalidInput, ModelFailed), match="styled must have the shape"):
            await engine.load("painter")
    finally:
        await engine.close()
