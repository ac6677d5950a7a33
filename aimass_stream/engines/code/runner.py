"""What runs in the cell: loads a model that is code, and runs it as it is asked. It knows nothing of the server.

Messages, both ways: four bytes of length (little), JSON, then the bytes of the tensors that it names, in their
order. Standard library at first; torch, scikit-learn and the like are imported before the cell is sealed, and the
model's file is touched after that.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import pickle
import sys
from collections.abc import Callable, Sequence
from typing import Any

TORCH = "torch is missing on this server: pip install 'aimass-stream[torch]'"
SKLEARN = "scikit-learn is missing on this server: pip install 'aimass-stream[sklearn]'"
MEMORY = "it needs more memory than it may have"
TEXTS = (".py", ".json", ".txt", ".toml", ".yaml", ".yml", ".csv")  # beside the model: laid where it can open them
TEXT_BYTES = 1 << 20
PEEK = 1 << 20  # bytes of a pickle in which the names of libraries are looked for
CALLERS = (ValueError, TypeError, IndexError, KeyError)  # what a model raises where its input is to blame


class Refused(Exception):
    """The file is not what can be run, told in a sentence."""


def main(told: dict[str, Any], seal: Callable[[int], None]) -> None:
    asks, answers = os.dup(0), os.dup(1)
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)  # what the model prints, nobody reads
    try:
        load = _prepared(told)
        _lay_out(told["files"])
        seal(told["memory_bytes"])
        model = load()
        said = {"ways": told["ways"], "inputs": model.inputs, "outputs": model.outputs, "labels": model.labels}
    except Refused as error:
        said = {"error": str(error)}
    except MemoryError:
        said = {"error": MEMORY}
    except BaseException as error:
        said = {"error": _told(error)}
    _say(answers, said)
    os.dup2(null, 2)  # until now it told what a crash was
    while "error" not in said:
        _answer(asks, answers, model)


def _answer(asks: int, answers: int, model: Any) -> None:
    import numpy as np

    asked = json.loads(_exactly(asks, int.from_bytes(_exactly(asks, 4), "little")))
    values = []
    for each in asked["tensors"]:
        array: Any = np.empty(each["shape"], each["dtype"])
        view = memoryview(array.reshape(-1).view(np.uint8))
        while view:
            view = view[_some(os.readv(asks, [view])) :]
        values.append(array)
    said: dict[str, Any] = {}
    made: list[Any] = []
    try:
        made = [np.ascontiguousarray(each) for each in model.run(values)]
        said = {"tensors": [{"shape": list(each.shape), "dtype": str(each.dtype)} for each in made]}
    except MemoryError:
        said = {"error": MEMORY, "kind": "model"}
    except Exception as error:
        said = {"error": _told(error), "kind": "input" if isinstance(error, CALLERS) else "model"}
    _say(answers, said, made if "tensors" in said else ())


def _some(count: int) -> int:
    if not count:
        os._exit(0)  # the server has ended
    return count


def _say(answers: int, told: dict[str, Any], arrays: Sequence[Any] = ()) -> None:
    body = json.dumps(told).encode()
    for part in (len(body).to_bytes(4, "little") + body, *(array.reshape(-1).view("u1").data for array in arrays)):
        view = memoryview(part)
        while view:
            view = view[os.write(answers, view) :]


def _exactly(end: int, size: int) -> bytes:
    read = b""
    while len(read) < size:
        piece = os.read(end, size - len(read))
        _some(len(piece))
        read += piece
    return read


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:500]


# loading -----------------------------------------------------------------------------------------------


def _prepared(told: dict[str, Any]) -> Callable[[], Any]:
    """What loads it, once all is imported that it needs."""
    number = next(each["number"] for each in told["files"] if each["path"] == told["file"])
    os.lseek(number, 0, os.SEEK_SET)  # whoever had it before left it somewhere
    file = os.fdopen(number, "rb", closefd=False)
    head, peeked = os.pread(number, 4, 0), os.pread(number, PEEK, 0)
    kind = told["format"]
    if kind == "pickle" and (head == b"PK\x03\x04" or b"torch" in peeked):
        kind = "module"
    importlib.import_module("numpy")
    if kind in ("torchscript", "pt2", "module"):
        torch = _torch(told["threads"])
        if kind == "pt2":
            importlib.import_module("torch.export")
        return lambda: _torch_model(torch, kind, file)
    if kind == "skops":
        _sklearn()
        return lambda: Estimator(_skops(importlib.import_module("skops.io"), file))
    joblib: Any = None
    if b"sklearn" in peeked:
        _sklearn()
    if b"sklearn" in peeked or b"joblib" in peeked:
        with contextlib.suppress(ImportError):
            joblib = importlib.import_module("joblib")
    return lambda: _any(joblib.load(file) if joblib is not None else pickle.load(file))


def _torch(threads: int) -> Any:
    try:
        import torch
    except ImportError:
        raise Refused(TORCH) from None
    torch.set_num_threads(threads)
    torch.nn.Linear(1, 1)(torch.zeros(1, 1))  # its kernels, and the threads that it keeps
    return torch


def _sklearn() -> None:
    try:
        for name in ("ensemble", "linear_model", "pipeline"):
            importlib.import_module(f"sklearn.{name}")
    except ImportError:
        raise Refused(SKLEARN) from None


def _lay_out(files: Sequence[dict[str, Any]]) -> None:
    """Text that came along, in the scratch folder: modules are imported from there."""
    here = os.getcwd()
    if not os.access(here, os.W_OK):
        return
    for each in files:
        if each["path"].endswith(TEXTS) and each["size"] <= TEXT_BYTES:
            target = os.path.join(here, each["path"])
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "wb") as file:
                file.write(os.pread(each["number"], each["size"], 0))
    sys.path.append(here)


def _torch_model(torch: Any, kind: str, file: Any) -> Any:
    if kind == "torchscript":
        return Network(torch, torch.jit.load(file, map_location="cpu").eval())
    if kind == "pt2":
        program = torch.export.load(io.BytesIO(file.read()))
        return Network(torch, program.module(), *_signature(program))
    found = torch.load(file, map_location="cpu", weights_only=False)
    if isinstance(found, torch.nn.Module):
        return Network(torch, found.eval())
    return _any(found)


def _skops(skops: Any, file: Any) -> Any:
    content = file.read()
    return skops.loads(content, trusted=skops.get_untrusted_types(data=content))


def _any(found: Any) -> Any:
    if callable(getattr(found, "predict", None)) and hasattr(found, "n_features_in_"):
        return Estimator(found)
    if callable(found):
        return Function(found)
    raise Refused(f"{type(found).__name__} predicts nothing, and can't be called")


# models ------------------------------------------------------------------------------------------------


class Network:
    """A module of torch, with what its file says of its inputs."""

    def __init__(self, torch: Any, module: Any, inputs: Any = None, outputs: Any = None) -> None:
        self.torch, self.module, self.inputs, self.outputs = torch, module, inputs, outputs
        self.labels: list[str] = []

    def run(self, values: list[Any]) -> list[Any]:
        with self.torch.inference_mode():
            made = self.module(*(self.torch.from_numpy(each) for each in values))
        return [each.detach().cpu().numpy() for each in _flat(made)]


class Estimator:
    """As `engines.sklearn` has it: `prediction`, the number of a class or float32; `probability` of each class."""

    def __init__(self, estimator: Any) -> None:
        import numpy as np

        self.np, self.estimator = np, estimator
        features = int(estimator.n_features_in_)
        self.inputs: Any = [{"name": "x", "shape": ["n", features], "dtype": "float32", "example": [1, features]}]
        self.labels = self.classes = [str(each) for each in getattr(estimator, "classes_", ())]
        self.chances = callable(getattr(estimator, "predict_proba", None))
        if not self.classes:
            wide = np.asarray(estimator.predict(np.zeros((1, features), np.float32))).shape[1:]
            self.outputs: Any = [{"name": "prediction", "shape": ["n", *map(int, wide)]}]
            return
        self.outputs = [{"name": "prediction", "shape": ["n"], "dtype": "int64", "unit": "number of the label"}]
        if self.chances:
            self.outputs.append({"name": "probability", "shape": ["n", len(self.classes)]})

    def run(self, values: list[Any]) -> list[Any]:
        np, estimator = self.np, self.estimator
        if not self.classes:
            return [np.asarray(estimator.predict(values[0]), np.float32)]
        if not self.chances:
            found = list(estimator.classes_)
            return [np.array([found.index(each) for each in estimator.predict(values[0])], np.int64)]
        chances = np.asarray(estimator.predict_proba(values[0]), np.float32)
        return [np.argmax(chances, 1).astype(np.int64), chances]


class Function:
    """Something that is called with arrays and gives arrays."""

    inputs: Any = None
    outputs: Any = None
    labels = ()

    def __init__(self, called: Callable[..., Any]) -> None:
        self.called = called

    def run(self, values: list[Any]) -> list[Any]:
        import numpy as np

        return [np.asarray(each) for each in _flat(self.called(*values))]


def _flat(made: Any) -> list[Any]:
    if isinstance(made, dict):
        return list(made.values())
    return list(made) if isinstance(made, list | tuple) else [made]


def _signature(program: Any) -> tuple[Any, Any]:
    """What an exported program takes and gives, by the tensors that it was made with."""
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    for node in program.graph.nodes:
        if node.op == "output":
            values |= {each.name: each.meta.get("val") for each in node.args[0] if hasattr(each, "meta")}
    sides = []
    for names in (program.graph_signature.user_inputs, program.graph_signature.user_outputs):
        side = []
        for name in names:
            value = values.get(name)
            if value is None or not hasattr(value, "shape"):
                return None, None
            shape = [axis if type(axis) is int else str(axis) for axis in value.shape]
            side.append({"name": str(name), "shape": shape, "dtype": str(value.dtype).removeprefix("torch.")})
        sides.append(side)
    return sides[0], sides[1]
