"""From a model's files, and what its sender says of them, to a ``model.toml``. For the sandbox.

What files tell themselves (ONNX, skops, CTranslate2) need not be said; inputs of networks for OpenCV and of our own
architectures have to be.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ..engines import ENGINES
from ..errors import InvalidInput
from ..inference.contract import TensorSpec
from ..inference.loader import DTYPES, MANIFEST, MANIFEST_BYTES
from .formats import Found

KEYS = ("engine", "options", "inputs", "outputs", "capabilities", "card", "sources", "description", "example",
        "title", "task", "licence")
# which engines may run files of a format; the first by itself
RUNS = {"onnx": ("onnx",), "safetensors": ("torch", "style"), "ctranslate2": (), "caffe": ("dnn",),
        "tensorflow": ("dnn",), "darknet": ("dnn",), "skops": ("sklearn",)}
HEAR = [{"name": "request", "shape": ["n"], "dtype": "object", "unit": "HearRequest"}]
HEARD = [{"name": "hypothesis", "shape": ["n"], "dtype": "object", "unit": "Hypothesis"}]
BARE = re.compile(r"[A-Za-z0-9_-]+")  # keys that TOML takes without marks around them
NET_INPUTS = "OpenCV can't tell what a network takes: say its inputs, as {\"name\": ..., \"shape\": [1, 3, 224, 224]}"


def merged(folder: Path, given: dict[str, Any]) -> dict[str, Any]:
    """What the folder's own ``model.toml`` says, which is taken away, with what was sent beside it before that."""
    path, table = folder / MANIFEST, {}
    if path.is_file():
        if path.stat().st_size > MANIFEST_BYTES:
            raise InvalidInput(f"{MANIFEST} is larger than {MANIFEST_BYTES} bytes", field="files")
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidInput(f"{MANIFEST} is not TOML: {error}", field="files") from None
        path.unlink()
    unknown = sorted(set(given) - {*KEYS})
    if unknown:
        raise InvalidInput(f"a manifest says nothing of {unknown[0][:40]!r}; it may say: {', '.join(KEYS)}",
                           field=f"manifest.{unknown[0][:40]}")
    return {key: value for key, value in table.items() if key in KEYS} | given


def manifest_of(name: str, found: Found, folder: Path, told: dict[str, Any]) -> dict[str, Any]:
    """Raises `InvalidInput` naming the field that is wrong or missing."""
    engine = _engine(found, told.get("engine", ""))
    inputs, outputs = _tensors(engine, folder, told)
    if engine != ENGINES["code"]:  # which tells in its cell what it takes
        _examples(inputs, told.get("example"))
    base, _, number = name.partition("@")
    capabilities = dict(told.get("capabilities") or {})
    if engine == ENGINES["dnn"]:
        capabilities = {"batchable": True, "max_batch": 32} | capabilities  # the engine looks whether that is true
    elif engine == "aimass_stream.engines.faster_whisper:FasterWhisper":
        capabilities = {"batchable": True, "max_batch": 8}
    return {
        "name": name, "version": number, "title": told.get("title") or base, "task": told.get("task") or found.task,
        "licence": told.get("licence") or "unknown", "sources": list(told.get("sources") or ["uploaded"]),
        "description": told.get("description") or "", "engine": engine, "options": _options(found, told),
        "capabilities": capabilities, "card": dict(told.get("card") or {}), "inputs": inputs, "outputs": outputs,
        "files": list(_files(folder))}


def _engine(found: Found, asked: str) -> str:
    if found.code:
        return ENGINES["code"]
    allowed = [ENGINES[each] for each in RUNS[found.format]] or [found.engine]
    wanted = ENGINES.get(asked, asked) or ENGINES.get(found.engine, found.engine)
    if wanted not in allowed:
        runs = " or ".join(RUNS[found.format]) or allowed[0]
        raise InvalidInput(f"files of {found.format} are run by {runs}, not by {asked[:80]!r}", field="manifest.engine")
    return wanted


def _options(found: Found, told: dict[str, Any]) -> dict[str, Any]:
    options = dict(told.get("options") or {})
    if not found.code:
        return options
    runnable = [found.facts["file"], *found.facts.get("others", ())]
    file = options.get("file", found.facts["file"])
    if file not in runnable or (len(runnable) > 1 and "file" not in options):
        raise InvalidInput(f"options.file says which one is the model: {', '.join(runnable)[:300]}",
                           field="manifest.options.file")
    return options | {"format": found.format, "file": file}


def _tensors(engine: str, folder: Path, told: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    inputs, outputs = told.get("inputs"), told.get("outputs")
    if engine == ENGINES["onnx"]:
        takes, gives = _of_onnx(_only(folder, ".onnx"))
    elif engine == ENGINES["sklearn"]:
        takes, gives = _of_estimator(_only(folder, ".skops"))
    elif engine == ENGINES["dnn"]:
        if not inputs:
            raise InvalidInput(NET_INPUTS, field="manifest.inputs")
        takes, gives = inputs, outputs or _of_network(folder, inputs)
    elif engine == ENGINES["code"]:
        return _checked(inputs or [], "inputs"), _checked(outputs or [], "outputs")
    elif engine.endswith(":FasterWhisper"):
        return HEAR, HEARD
    elif not inputs or not outputs:
        raise InvalidInput("weights alone do not tell what a network takes and gives: say inputs and outputs",
                           field="manifest.inputs" if not inputs else "manifest.outputs")
    else:
        takes, gives = inputs, outputs
    return _checked(inputs or takes, "inputs"), _checked(outputs or gives, "outputs")


def _checked(tensors: Any, field: str) -> list[dict[str, Any]]:
    found = []
    for place, each in enumerate(tensors if isinstance(tensors, list) else [None]):
        where = f"manifest.{field}[{place}]"
        named = isinstance(each, dict) and isinstance(each.get("name"), str) and isinstance(each.get("shape"), list)
        if not named:
            raise InvalidInput(f"{where} is told by a name and a shape", field=where)
        if any(type(axis) not in (int, str) or axis in (0, "") for axis in each["shape"]):
            raise InvalidInput(f"{where}.shape has lengths, and words for axes of any length", field=f"{where}.shape")
        if each.get("dtype", "float32") not in DTYPES:
            raise InvalidInput(f"{where}.dtype is one of {', '.join(DTYPES)}", field=f"{where}.dtype")
        found.append({key: each[key] for key in ("name", "shape", "dtype", "unit", "example") if each.get(key)})
    return found


def _examples(inputs: list[dict[str, Any]], example: Any) -> None:
    """Usual shapes are those of the example, where one was sent."""
    if example is None:
        return
    if not isinstance(example, dict) or set(example) != {each["name"] for each in inputs}:
        raise InvalidInput(f"an example has a value for each of {', '.join(each['name'] for each in inputs)}",
                           field="manifest.example")
    for each in inputs:
        given = array_of(example[each["name"]], each)
        free = tuple(axis if isinstance(axis, int) else None for axis in each["shape"])
        TensorSpec(each["name"], free, each.get("dtype", "float32")).check(given)
        if given.shape:
            each["example"] = list(given.shape)


def array_of(value: Any, tensor: dict[str, Any]) -> np.ndarray[Any, Any]:
    """JSON as the tensor takes it. Raises `InvalidInput`."""
    try:
        return np.asarray(value, tensor.get("dtype", "float32"))
    except (ValueError, TypeError, OverflowError):
        raise InvalidInput(f"the example of {tensor['name'][:64]} is no array of {tensor.get('dtype', 'float32')}",
                           field="manifest.example") from None


def _of_onnx(path: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    import onnxruntime

    from ..engines.onnx import TYPES

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has an exception class for each status and no base for them
        raise InvalidInput(f"onnxruntime can't run this file: {str(error).strip().partition(chr(10))[0][:300]}",
                           field="files") from None
    sides: list[list[dict[str, Any]]] = []
    for side in (session.get_inputs(), session.get_outputs()):
        found = []
        for each in side:
            if each.type not in TYPES:
                raise InvalidInput(f"{each.name[:64]} is of the type {each.type}, which is not taken", field="files")
            shape = [axis if type(axis) is int and axis > 0 else str(axis or f"axis{place}")[:64]
                     for place, axis in enumerate(each.shape)]
            found.append({"name": each.name, "shape": shape, "dtype": TYPES[each.type]})
        sides.append(found)
    return sides[0], sides[1]


def _of_estimator(path: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    from ..engines.sklearn import load, specs

    told = []
    for side in specs(load(path)):
        told.append([{"name": each.name, "dtype": each.dtype, "shape": [axis or "n" for axis in each.shape]}
                     for each in side])
    return told[0], told[1]


def _of_network(folder: Path, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Its ends, and their shapes when zeros go in."""
    import cv2

    from ..engines.dnn import KINDS

    weights = next(path for path in sorted(folder.iterdir()) if path.suffix in KINDS)
    beside = sorted(folder.glob(f"*{KINDS[weights.suffix][0]}"))[:1]
    try:
        net = KINDS[weights.suffix][2](*(np.fromfile(path, np.uint8) for path in (weights, *beside)))
        for each in _checked(inputs, "inputs"):
            shape = each.get("example") or [axis if isinstance(axis, int) else 1 for axis in each["shape"]]
            net.setInput(np.zeros(shape, np.float32), each["name"] if len(inputs) > 1 else "")
        names = list(net.getUnconnectedOutLayersNames())
        made = net.forward(names)
    except (cv2.error, SystemError) as error:
        raise InvalidInput(f"OpenCV can't run these files: {str(error).strip()[:200]}", field="files") from None
    return [{"name": name, "shape": ["n", *values.shape[1:]]} for name, values in zip(names, made, strict=True)]


def _only(folder: Path, suffix: str) -> Path:
    return next(path for path in sorted(folder.rglob(f"*{suffix}")))


def _files(folder: Path) -> Iterable[dict[str, Any]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != MANIFEST:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            yield {"path": path.relative_to(folder).as_posix(), "size": path.stat().st_size, "sha256": digest}


def toml(manifest: dict[str, Any]) -> str:
    """The manifest as a file."""
    return "".join(f"{_key(key)} = {_value(value)}\n" for key, value in manifest.items())


def _key(key: Any) -> str:
    return str(key) if BARE.fullmatch(str(key)) else _value(str(key))


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):  # a JSON string is a TOML basic string, but for one sign
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_value(each)}" for key, each in value.items()) + "}"
    raise InvalidInput(f"a manifest can't say {str(value)[:40]!r}", field="manifest")
