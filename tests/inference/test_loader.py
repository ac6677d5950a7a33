"""From folders to models, and everything a manifest can get wrong."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from aimass_stream.errors import InvalidInput, NotFound
from aimass_stream.inference import CpuDevice, FolderStore, installed
from aimass_stream.inference import device as device_module
from aimass_stream.inference.device import cores
from aimass_stream.inference.statistics import best_batch

BUILT_IN = "golden-hour"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of models with a copy of the built-in one."""
    shutil.copytree(installed().get(BUILT_IN).folder, tmp_path / BUILT_IN, ignore=shutil.ignore_patterns("*.pyc"))
    return tmp_path


def change(folder: Path, old: str, new: str) -> FolderStore:
    """The store, after a change in the manifest."""
    manifest = folder / BUILT_IN / "model.toml"
    text = manifest.read_text(encoding="utf-8")
    assert old in text
    manifest.write_text(text.replace(old, new), encoding="utf-8")
    return FolderStore([folder])


def test_the_built_in_models_can_be_listed_with_their_cards() -> None:
    entry = next(entry for entry in installed().entries() if entry.name == BUILT_IN)
    assert (entry.task, entry.licence, entry.version) == ("image-to-image", "Apache-2.0", "1")
    assert entry.sources
    assert entry.card["psnr_db"] > entry.card["psnr_untouched_db"]
    assert entry.inputs[0].shape == (None, 3, None, None)
    assert entry.inputs[0].zeros(2).shape == (2, 3, 240, 320)
    assert entry.file(".onnx").is_file()


def test_a_model_is_opened_from_a_folder_that_was_added_first(folder: Path) -> None:
    store = FolderStore([installed().folders[-1]])
    store.add(folder, folder)
    assert store.folders[0] == folder
    assert store.get(BUILT_IN).folder.parent == folder
    device = CpuDevice()
    model = store.open(BUILT_IN, device)
    assert (model.name, model.capabilities.batchable) == (BUILT_IN, True)
    model.close()
    device.close()


@pytest.mark.parametrize("name", ["../golden-hour", "golden-hour/../golden-hour", "/etc", "..", ".", "", "a" * 65,
                                  "Golden-Hour", "golden-hour\n", "nothing", "a..b"])
def test_names_that_lead_elsewhere_are_refused(folder: Path, name: str) -> None:
    with pytest.raises(NotFound, match="there are: golden-hour"):
        FolderStore([folder]).get(name)


@pytest.mark.parametrize(("old", "new", "field"), [
    ('name = "golden-hour"', 'name = "silver-hour"', "name"),
    ('version = "1"', "version = 1", "version"),
    ('title = "Golden hour"', "", "title"),
    ("[[inputs]]", "[inputs]", "inputs"),
    ('dtype = "float32"', 'dtype = "float33"', "inputs[0].dtype"),
    ("example = [1, 3, 240, 320]", "example = [1, 3]", "inputs[0].example"),
    ('shape = ["n", 3, "height", "width"]', "", "inputs[0].shape"),
    ('path = "model.onnx"', "path = 7", "files[0].path"),
    ("batchable = true", 'batchable = "yes"', "capabilities.batchable"),
    ("max_batch = 4", "max_batch = 0", "capabilities"),
    ('name = "golden-hour"', "name = ", None),
])
def test_what_is_wrong_with_a_manifest_is_named(folder: Path, old: str, new: str, field: str | None) -> None:
    store = change(folder, old, new)
    with pytest.raises(InvalidInput) as caught:
        store.get(BUILT_IN)
    assert caught.value.field == field
    assert store.entries() == []  # a broken one is left out of the list
    assert store.names() == [BUILT_IN]


@pytest.mark.parametrize(("old", "new", "complaint"), [
    ('path = "model.onnx"', 'path = "../model.onnx"', "outside"),
    ('path = "model.onnx"', 'path = "/etc/hostname"', "outside"),
    ('path = "model.onnx"', 'path = "other.onnx"', "missing"),
    ("size = 8", "size = 9", "bytes instead of"),
    ('sha256 = "', 'sha256 = "0', "SHA-256 differs"),
    ("aimass_stream.engines.onnx:OnnxModel", "os:system", "no engine"),
    ("aimass_stream.engines.onnx:OnnxModel", "aimass_stream.engines.nothing:Model", "can't be loaded"),
    ("aimass_stream.engines.onnx:OnnxModel", "aimass_stream.engines.onnx:Nothing", "can't be loaded"),
    ("aimass_stream.engines.onnx:OnnxModel", "aimass_stream.engines.onnx", "no engine"),
])
def test_what_is_wrong_with_a_model_is_said_when_it_is_opened(folder: Path, old: str, new: str, complaint: str) -> None:
    device = CpuDevice()
    with pytest.raises(InvalidInput, match=complaint):
        change(folder, old, new).open(BUILT_IN, device)
    device.close()


def test_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = folder / BUILT_IN / "model.onnx"
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "model.onnx"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)
    device = CpuDevice()
    with pytest.raises(InvalidInput, match="outside"):
        FolderStore([folder]).open(BUILT_IN, device)
    device.close()


def test_a_changed_manifest_is_read_again(folder: Path) -> None:
    store = FolderStore([folder])
    assert store.get(BUILT_IN) is store.get(BUILT_IN)
    change(folder, 'version = "1"', 'version = "1.0.1"')
    assert store.get(BUILT_IN).version == "1.0.1"


def test_the_manifest_means_the_shipped_file() -> None:
    entry = installed().get(BUILT_IN)
    content = entry.file(".onnx").read_bytes()
    assert [(file.size, file.sha256) for file in entry.files] == [(len(content), hashlib.sha256(content).hexdigest())]


@pytest.mark.parametrize(("measured", "best"), [
    ({}, 1),
    ({1: 1.0}, 1),
    ({1: 1.0, 2: 2.0, 4: 4.0}, 1),
    ({1: 1.0, 2: 1.9, 4: 3.8}, 1),  # 5 % is not worth the wait for the others
    ({1: 1.0, 2: 1.2, 4: 1.6, 8: 4.0}, 4),
    ({1: 1.0, 2: 1.0, 4: 1.0, 8: 1.95}, 4),  # as many rows a second in half the time
    ({1: 1.0, 2: 4.0, 4: 4.1, 8: 4.2}, 8),
])
def test_a_batch_has_to_pay(measured: dict[int, float], best: int) -> None:
    assert best_batch(measured) == best


@pytest.mark.parametrize(("quota", "most"), [("max 100000", 10_000), ("50000 100000", 1), ("200000 100000", 2),
                                             ("nonsense", 10_000)])
def test_a_containers_quota_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, most: int) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(device_module, "CPU_QUOTA", tmp_path / "cpu.max")
    assert 1 <= cores() <= most


def test_a_device_describes_itself() -> None:
    device = CpuDevice(threads=3)
    assert device.describe() == {"name": "cpu", "kind": "cpu", "threads": 3, "cores": cores()}
    device.close()
