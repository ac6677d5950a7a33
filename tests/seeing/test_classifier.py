"""Networks that classify: preprocessing and labels as their manifests say, and manifests that are wrong."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # noqa: F401  its import takes a while: not inside a test
import pytest

from aimass_stream.errors import InvalidInput, InvalidPipeline, ModelFailed
from aimass_stream.frames import Pixels
from aimass_stream.inference import CpuDevice, FolderStore
from aimass_stream.seeing.classifier import Class, Classifier, choose
from tests.support import small_networks


def classified(folder: Path, picture: Pixels, **given: Any) -> dict[str, float]:
    """What the real network says of a BGR picture, by label."""
    small_networks.colours(folder, **given)
    store, device = FolderStore([folder]), CpuDevice(threads=1)
    classifier = Classifier(store.get("colours"))
    model = store.open("colours", device)
    batch, _, _ = classifier.input.prepare(picture)
    chances = classifier.read(model.run(batch))
    model.close()
    device.close()
    return {label: float(chance) for label, chance in zip(classifier.labels, chances, strict=True)}


def plain(blue: int, green: int, red: int, height: int = 90, width: int = 160) -> Pixels:
    return np.full((height, width, 3), (blue, green, red), np.uint8)


@pytest.mark.parametrize(("colour", "label"), [((0, 0, 255), "red"), ((0, 200, 0), "green"), ((90, 0, 0), "blue")])
def test_channels_are_in_the_order_the_network_wants(tmp_path: Path, colour: tuple[int, int, int], label: str) -> None:
    chances = classified(tmp_path, plain(*colour))
    assert max(chances, key=lambda each: chances[each]) == label
    assert sum(chances.values()) == pytest.approx(1, abs=1e-5)


def test_a_mean_and_scale_for_each_channel(tmp_path: Path) -> None:
    one = {"mean": [255, 0, 0], "scale": [255, 255, 51], "activation": "sigmoid"}
    chances = classified(tmp_path, plain(51, 0, 255), options=one)  # logits 10 * (0, 0, 1)
    assert [chances["red"], chances["green"]] == pytest.approx([0.5, 0.5], abs=0.01)
    assert chances["blue"] > 0.999


def test_the_middle_is_looked_at_or_all_of_it(tmp_path: Path) -> None:
    sides = plain(0, 0, 255, 100, 300)
    sides[:, 100:200] = (0, 255, 0)  # green in the middle
    assert classified(tmp_path, sides)["green"] > 0.99
    (tmp_path / "all").mkdir()
    everywhere = classified(tmp_path / "all", sides, options={"fit": "stretch"})
    assert everywhere["red"] > everywhere["green"]
    (tmp_path / "border").mkdir()
    ring = plain(0, 0, 255, 100, 100)
    ring[7:93, 7:93] = (0, 255, 0)
    assert classified(tmp_path / "border", ring, options={"crop": 0.8})["green"] > 0.999


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (2000, 3), (64, 64)])
def test_pictures_of_any_size(tmp_path: Path, shape: tuple[int, int]) -> None:
    assert classified(tmp_path, plain(255, 0, 0, *shape))["blue"] > 0.99


def test_the_likeliest_first_and_none_below_the_threshold(tmp_path: Path) -> None:
    small_networks.colours(tmp_path)
    classifier = Classifier(FolderStore([tmp_path]).get("colours"))
    chances = np.array([0.2, 0.7, 0.1], np.float32)
    assert [each.label for each in classifier.best(chances, 3, 0)] == ["green", "red", "blue"]
    assert [each.label for each in classifier.best(chances, 2, 0.5)] == ["green"]
    assert Class("green", 0.69999).json() == {"label": "green", "score": 0.7}


@pytest.mark.parametrize(("options", "told"), [
    ({"labels": ["red", "green"]}, "answers 3 classes, and its list has 2 labels"),
    ({"labels": []}, "labels must be a list"), ({"labels": "nothing.txt"}, "labels must be a list"),
    ({"activation": "magic"}, "activation is one of"), ({"mean": "dark"}, "mean is a number or a list of three"),
    ({"mean": [1, 2]}, "mean is a number or a list of three"), ({"scale": [1, 0, 1]}, "scale is a number"),
    ({"crop": 2}, "crop is a number"), ({"fit": "crooked"}, "fit is one of"),
])
def test_a_manifest_that_is_wrong(tmp_path: Path, options: dict[str, Any], told: str) -> None:
    small_networks.colours(tmp_path, options=options)
    with pytest.raises(InvalidInput, match=told):
        Classifier(FolderStore([tmp_path]).get("colours"))


def test_labels_from_a_file(tmp_path: Path) -> None:
    small_networks.colours(tmp_path, options={"labels": "labels.txt"})
    words = b"rouge\nvert\n\nbleu\n"
    manifest = tmp_path / "colours" / "model.toml"
    (tmp_path / "colours" / "labels.txt").write_bytes(words)
    listed = (f'[[files]]\npath = "labels.txt"\nsize = {len(words)}\nsha256 = "{hashlib.sha256(words).hexdigest()}"\n'
              "[[inputs]]")
    manifest.write_text(manifest.read_text().replace("[[inputs]]", listed, 1))
    assert Classifier(FolderStore([tmp_path]).get("colours")).labels == ("rouge", "vert", "bleu")


def test_weights_that_are_broken_and_graphs_of_another_shape(tmp_path: Path) -> None:
    (tmp_path / "nan").mkdir()
    small_networks.colours(tmp_path / "nan", weights=np.full((3, 3), np.nan, np.float32))
    classifier = Classifier(FolderStore([tmp_path / "nan"]).get("colours"))
    with pytest.raises(ModelFailed, match="no numbers"):
        classifier.read({"logits": np.full((1, 3), np.nan, np.float32)})
    with pytest.raises(ModelFailed, match="answers 1×4, and its list has 3 labels"):
        classifier.read({"logits": np.zeros((1, 4), np.float32)})
    small_networks.colours(tmp_path, shape=[1, 3, 1])  # the graph says 1×3
    device = CpuDevice(threads=1)
    with pytest.raises(InvalidInput):
        FolderStore([tmp_path]).open("colours", device)
    device.close()


def test_which_one(tmp_path: Path) -> None:
    store = FolderStore([tmp_path])
    with pytest.raises(InvalidPipeline, match="there is no model for classification: put a folder with a network"):
        choose(store)
    small_networks.colours(tmp_path)
    small_networks.colours(tmp_path, "clothes", task="attributes")
    assert choose(store).name == "colours"
    assert choose(store, "", "attributes").name == "clothes"
    with pytest.raises(InvalidPipeline, match="there is no model 'x' for classification; there are: colours"):
        choose(store, "x")
