"""The built-in network: its recipe learns, its file is the recipe's network, and it makes its look of any size."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import onnxruntime
import pytest

from aimass_stream.inference import CpuDevice, Model, installed


@pytest.fixture(scope="module")
def recipe() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("golden_recipe", installed().get("golden-hour").folder / "recipe.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["golden_recipe"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["golden_recipe"]


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    device = CpuDevice()
    model = installed().open("golden-hour", device)
    yield model
    model.close()
    device.close()


def decibels(made: np.ndarray, wanted: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((made - wanted) ** 2)))


def test_it_makes_the_look_on_pictures_it_has_not_seen(recipe: ModuleType, model: Model) -> None:
    rng = np.random.default_rng(1234)
    images = np.stack([recipe.picture(rng) for _ in range(8)])
    wanted = np.stack([recipe.teach(image) for image in images])
    styled = np.concatenate([model.run({"image": np.ascontiguousarray(image.transpose(2, 0, 1))[None]})["styled"]
                             for image in images]).transpose(0, 2, 3, 1)
    assert 0 <= styled.min() < styled.max() <= 1
    assert decibels(styled, wanted) > decibels(images, wanted) + 6


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 2), (3, 5), (121, 163), (240, 320)])
def test_any_size_comes_back_in_its_size(model: Model, height: int, width: int) -> None:
    image = np.random.default_rng(1).random((2, 3, height, width)).astype(np.float32)
    assert model.run({"image": image})["styled"].shape == image.shape


def test_rows_of_a_batch_do_not_touch(model: Model) -> None:
    images = np.random.default_rng(2).random((3, 3, 60, 80)).astype(np.float32)
    together = model.run({"image": images})["styled"]
    alone = np.concatenate([model.run({"image": image[None]})["styled"] for image in images])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_the_recipe_learns(recipe: ModuleType, tmp_path: Path) -> None:
    manifest = (installed().get("golden-hour").folder / "model.toml").read_text(encoding="utf-8")
    (tmp_path / "model.toml").write_text(manifest, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(recipe.HERE / "recipe.py"), "--steps", "20", "--out", str(tmp_path)],
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(recipe.HERE.parent.parent)},
        capture_output=True, text=True, check=True)
    assert "PSNR" in done.stdout
    content = (tmp_path / "model.onnx").read_bytes()
    written = tomllib.loads((tmp_path / "model.toml").read_text(encoding="utf-8"))
    assert written["files"][0]["size"] == len(content)
    assert written["files"][0]["sha256"] == hashlib.sha256(content).hexdigest()
    assert written["card"]["psnr_db"] > written["card"]["psnr_untouched_db"] + 1


def test_the_file_is_the_network_of_the_recipe(recipe: ModuleType) -> None:
    weights = recipe.initial(np.random.default_rng(5))
    session = onnxruntime.InferenceSession(recipe.export(weights).SerializeToString(),
                                           providers=["CPUExecutionProvider"])
    image = np.random.default_rng(3).random((1, 45, 62, 3)).astype(np.float32)
    expected = np.clip(recipe.forward(weights, image)[0], 0, 1)
    made = session.run(None, {"image": np.ascontiguousarray(image.transpose(0, 3, 1, 2))})[0].transpose(0, 2, 3, 1)
    np.testing.assert_allclose(made, expected, atol=1e-4)


def test_the_gradients_are_those_of_the_loss(recipe: ModuleType) -> None:
    rng = np.random.default_rng(4)
    weights = recipe.initial(rng)
    images = rng.random((1, 13, 18, 3)).astype(np.float32)
    target = rng.random(images.shape).astype(np.float32)
    output, state = recipe.forward(weights, images)
    grads = recipe.backward(weights, state, 2 * (output - target))
    for name in weights:
        place = tuple(int(rng.integers(size)) for size in weights[name].shape)
        step = np.float32(1e-3)
        sums = []
        for sign in (1, -1):
            moved = {key: array.copy() for key, array in weights.items()}
            moved[name][place] += sign * step
            sums.append(float(np.sum((recipe.forward(moved, images)[0].astype(np.float64) - target) ** 2)))
        assert grads[name][place] == pytest.approx((sums[0] - sums[1]) / (2 * step), rel=0.05, abs=0.05), name
