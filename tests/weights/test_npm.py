"""Models inside npm packages: where they are looked for, and what is said when they are not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aimass_stream.errors import InvalidInput, Unavailable
from aimass_stream.weights import npm

FILES = [{"filename": "/third_party/a/small.tflite", "start": 2, "end": 5},
         {"filename": "/third_party/a/large.tflite", "start": 5, "end": 10}]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An npm package @made/up with one file and packed assets."""
    monkeypatch.setattr(npm, "folders", lambda: [tmp_path / "none", tmp_path])
    folder = tmp_path / "@made" / "up"
    folder.mkdir(parents=True)
    (folder / "package.json").write_text('{"name": "@made/up"}')
    (folder / "faces.tflite").write_bytes(b"faces")
    (folder / "assets.data").write_bytes(b"0123456789")
    (folder / "assets_loader.js").write_text(
        f"var Module = {{}}; (function() {{ loadPackage({json.dumps({'files': FILES})});\n }})();")
    return folder


def test_a_file_and_one_of_the_packed_assets(package: Path) -> None:
    assert npm.read("@made/up", "1.0", "faces.tflite") == b"faces"
    assert npm.read("@made/up", "1.0", "assets.data", "small.tflite") == b"234"
    assert npm.read("@made/up", "1.0", "assets.data", "large.tflite") == b"56789"


def test_a_package_that_is_not_installed_comes_with_the_command(
        package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unavailable, match=r"@made/down is not installed: run `npm ci --omit=dev` in web/"):
        npm.read("@made/down", "1.0", "faces.tflite")
    monkeypatch.setattr(npm, "SOURCES", tmp_path)  # as where a wheel was installed
    with pytest.raises(Unavailable, match=r"run `npm install --prefix .*aimass_stream @made/down@1\.0`"):
        npm.read("@made/down", "1.0", "faces.tflite")


@pytest.mark.parametrize(("path", "member", "told"), [
    ("bodies.tflite", "", "has no bodies.tflite"),
    ("faces.tflite", "small.tflite", "has no faces_loader.js"),
    ("assets.data", "medium.tflite", "names no place of medium.tflite"),
])
def test_a_file_that_is_not_in_the_package(package: Path, path: str, member: str, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        npm.read("@made/up", "1.0", path, member)


@pytest.mark.parametrize("loader", [
    "", "loadPackage({broken});", 'loadPackage({"files": 3});',
    'loadPackage({"files": [{"filename": "/small.tflite"}]});',
    'loadPackage({"files": [{"filename": "/small.tflite", "start": 5, "end": 11}]});',
    'loadPackage({"files": [{"filename": "/small.tflite", "start": -2, "end": 3}]});',
])
def test_a_loader_that_names_no_place(package: Path, loader: str) -> None:
    (package / "assets_loader.js").write_text(loader)
    with pytest.raises(InvalidInput, match="names no place"):
        npm.read("@made/up", "1.0", "assets.data", "small.tflite")
