"""Models of frameworks that nothing here runs: SavedModel and Keras by TensorFlow's own converter in an interpreter of
its own, MXNet by a reader of ours. What comes of them is ONNX. For the sandbox.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from ...errors import InvalidInput
from . import mxnet, tensorflow

HDF5 = b"\x89HDF\r\n\x1a\n"
SAVED_MODEL = "saved_model.pb"
KERAS_PARTS = {"config.json", "metadata.json"}


def kinds(converters: Path) -> list[dict[str, str]]:
    """What becomes ONNX when it is uploaded; `install` is the command to be run before, "" where nothing is missing."""
    place = converters / "tensorflow"
    brings = "" if tensorflow.interpreter_in(place) else tensorflow.install(place)
    return [{"format": "savedmodel", "files": "saved_model.pb, variables/...", "install": brings},
            {"format": "keras", "files": ".keras, .h5", "install": brings},
            {"format": "mxnet", "files": "-symbol.json, .params", "install": mxnet.missing()}]


def foreign(folder: Path) -> str:
    """"savedmodel", "keras", "mxnet", or "" for what is none of these."""
    if (folder / SAVED_MODEL).is_file():
        return "savedmodel"
    files = [path for path in folder.iterdir() if path.is_file()]
    if any(_is_keras(path) for path in files):
        return "keras"
    return "mxnet" if any(mxnet.is_params(path) for path in files) else ""


def translated(folder: Path, told: dict[str, Any], converters: Path) -> dict[str, Any]:
    """The model there as `model.onnx`, in place of its files; what is told of that, {} where there was nothing to do.
    `converters` is where interpreters with other frameworks are.

    Raises `InvalidInput` for what can't be translated, `Unavailable` with the command to install what is missing.
    """
    kind = foreign(folder)
    if not kind:
        return {}
    before = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if kind == "mxnet":
        facts = mxnet.translate(folder, told)
    else:
        model = folder if kind == "savedmodel" else next(path for path in sorted(folder.iterdir()) if _is_keras(path))
        facts = tensorflow.translate(folder, model, kind, converters / "tensorflow")
    after = sum(path.stat().st_size for path in folder.rglob("*.onnx"))
    return {"imported": {"format": kind, "size": {"before": before, "after": after}} | facts}


def _is_keras(path: Path) -> bool:
    if path.suffix not in (".keras", ".h5", ".hdf5"):
        return False
    with path.open("rb") as file:
        head = file.read(8)
    if path.suffix != ".keras":
        if head != HDF5:
            raise InvalidInput(f"{path.name} is no HDF5 file", field="files")
        return True
    names: set[str] = set()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as opened:
            names = set(opened.namelist())
    if not names >= KERAS_PARTS:
        raise InvalidInput(f"{path.name} is no model of Keras", field="files")
    return True
