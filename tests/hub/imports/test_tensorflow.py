"""SavedModel and Keras become ONNX in an interpreter of their own: by a stand-in, and by TensorFlow on demand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from aimass_stream.errors import InvalidInput, Unavailable
from aimass_stream.hub.examine import examine
from aimass_stream.hub.imports import foreign, tensorflow, translated
from tests.support.model_files import linear

REAL = Path(os.environ.get("AIMASS_TEST_TENSORFLOW", "/nowhere"))  # a virtual environment: it takes a minute
TRIAL = {"inputs": {"x": [[1.0, 1.0, 1.0]]}, "outputs": [[[9.0, 12.5]]], "ms": 2.0}

# makes what is asked of it, or not: what it is to do lies beside the model
STAND_IN = """#!{python}
import json, pathlib, sys
kind, model, target, report = sys.argv[4:]
told = json.loads((pathlib.Path(model).parent.parent / "told.json").read_text())
pathlib.Path(report).write_text(json.dumps(told["report"]))
if told["onnx"]:
    pathlib.Path(target).write_bytes(bytes.fromhex(told["onnx"]))
sys.exit(told["status"])
"""

MAKES = """
import sys, keras, tensorflow as tf
keras.utils.set_random_seed(1)
layers = keras.layers
model = keras.Sequential([keras.Input((6, 6, 3), name="picture"), layers.Conv2D(4, 3, activation="relu"),
                          layers.Flatten(), layers.Dense(5, activation="softmax")])
model.save(sys.argv[1] + "/net.keras")
model.export(sys.argv[1] + "/saved", verbose=False)
keras.Sequential([keras.Input((4,)), layers.Lambda(lambda x: 2 * x)]).save(sys.argv[1] + "/acts.h5")
"""


def laid(folder: Path, **told: Any) -> tuple[Path, Path]:
    """A version's folder with a file of Keras, and the converters' folder with a stand-in that does what it is told."""
    place, converters = folder / "fish@1", folder / "converters"
    place.mkdir()
    with zipfile.ZipFile(place / "net.keras", "w") as archive:
        for name in ("config.json", "metadata.json"):
            archive.writestr(name, "{}")
    if told:
        (folder / "told.json").write_text(json.dumps({"report": {}, "onnx": "", "status": 0} | told))
        program = converters / "tensorflow" / "bin" / "python"
        program.parent.mkdir(parents=True)
        program.write_text(STAND_IN.format(python=sys.executable))
        program.chmod(0o755)
    return place, converters


def test_what_the_converter_makes_is_measured_and_tried(tmp_path: Path) -> None:
    place, converters = laid(tmp_path, onnx=linear().hex(), report={"by": "a stand-in", "trials": [TRIAL]})
    *_, last = examine(str(place), "", {"example": {"x": [[1, 1, 1]]}}, 1 << 30, converters=str(converters))
    result = json.loads(last)["result"]
    assert (result["state"], result["format"]) == ("ready", "onnx")
    told = result["facts"]["imported"]
    assert (told["format"], told["by"], told["latency_ms"]["before"]) == ("keras", "a stand-in", 2)
    assert (told["difference"]["max"], told["difference"]["mean"]) == (0.5, 0.25)
    assert told["size"]["after"] == len(linear())
    assert sorted(path.name for path in place.iterdir()) == ["model.onnx", "model.toml"]


@pytest.mark.parametrize(("told", "reason"), [
    ({"report": {"refused": "it has code of its own: Lambda"}, "status": 1},
     "into ONNX: it has code of its own: Lambda"),
    ({"status": 3}, "it ended with 3"), ({}, "it ended with 0"),
    ({"onnx": linear().hex(), "report": {"trials": [TRIAL | {"outputs": [[1.0]]}]}}, "of another shape"),
])
def test_what_the_converter_refuses(tmp_path: Path, told: dict[str, Any], reason: str) -> None:
    place, converters = laid(tmp_path, **{"status": 0, **told})
    with pytest.raises(InvalidInput, match=reason):
        translated(place, {}, converters)


def test_without_a_converter_the_command_to_install_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorflow, "find_spec", lambda _: None)
    place, converters = laid(tmp_path)
    with pytest.raises(Unavailable, match=r"python3 -m venv .*/tensorflow && .*pip install tensorflow tf2onnx"):
        translated(place, {}, converters)


def test_files_that_only_look_so(tmp_path: Path) -> None:
    for name, reason in (("net.keras", "no model of Keras"), ("net.h5", "no HDF5 file")):
        (tmp_path / name).write_bytes(b"PK\x03\x04 or something")
        with pytest.raises(InvalidInput, match=reason):
            foreign(tmp_path)
        (tmp_path / name).unlink()
    assert foreign(tmp_path) == ""


@pytest.mark.skipif(not (REAL / "bin" / "python").is_file(),
                    reason="AIMASS_TEST_TENSORFLOW names no environment with tensorflow and tf2onnx")
def test_models_that_tensorflow_made(tmp_path: Path) -> None:
    made, converters = tmp_path / "made", tmp_path / "converters"
    made.mkdir()
    converters.mkdir()
    (converters / "tensorflow").symlink_to(REAL)
    subprocess.run([REAL / "bin" / "python", "-c", MAKES, str(made)], check=True, capture_output=True)
    for number, (source, format) in enumerate((("net.keras", "keras"), ("saved", "savedmodel")), 1):
        place = tmp_path / f"fish@{number}"
        if (made / source).is_dir():
            (made / source).rename(place)
        else:
            place.mkdir()
            (made / source).rename(place / source)
        *_, last = examine(str(place), "", {}, 1 << 30, converters=str(converters))
        result = json.loads(last)["result"]
        assert (result["state"], result["facts"]["imported"]["format"]) == ("ready", format)
        assert result["facts"]["imported"]["difference"]["max"] < 1e-5
        assert result["manifest"]["inputs"][0]["shape"][1:] == [6, 6, 3]
        assert [path.name for path in place.iterdir() if path.name != "model.toml"] == ["model.onnx"]
    place = tmp_path / "fish@3"
    place.mkdir()
    (made / "acts.h5").rename(place / "acts.h5")
    with pytest.raises(InvalidInput, match="it has code of its own: Lambda"):
        translated(place, {}, converters)
