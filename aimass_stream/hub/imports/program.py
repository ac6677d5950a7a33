"""A model of TensorFlow or Keras as ONNX: run by the interpreter that has them, `program.py KIND MODEL ONNX JSON`.

Nothing of ours is imported. The sandbox is around this; besides, what is code of the sender's is refused before
anything is loaded: layers with functions in them, and operations that read or write files or call Python.
"""

from __future__ import annotations

import json
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

OPSET = 17
RUNS = 10
ACTS = {"PyFunc", "PyFuncStateless", "EagerPyFunc", "ReadFile", "WriteFile", "MatchingFiles", "ReaderReadV2",
        "TextLineReaderV2", "WholeFileReaderV2", "FixedLengthRecordReaderV2", "TFRecordReaderV2", "ImmutableConst",
        "PrintV2", "Print", "DebugIdentityV2", "DebugIdentityV3", "RemoteCall", "CompositeTensorVariantFromComponents"}
OURS = ("keras", "builtins")  # modules that layers may come from; "keras.src.models" as well as "keras"


class Refused(Exception):
    """What people are told."""


def main(kind: str, model: str, target: str, report: str) -> None:
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:2]))  # TensorFlow makes threads for all that it sees
    facts: dict[str, Any] = {}
    try:
        facts = _savedmodel(Path(model), target) if kind == "savedmodel" else _keras(Path(model), target)
    except Refused as error:
        facts = {"refused": str(error)}
        raise SystemExit(1) from None
    finally:
        Path(report).write_text(json.dumps(facts), encoding="utf-8")


def _keras(path: Path, target: str) -> dict[str, Any]:
    doubtful = sorted(set(_code_in(_config(path))))
    if doubtful:
        raise Refused(f"it has code of its own: {', '.join(doubtful[:3])}")
    import keras
    import tensorflow as tf

    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # whatever a wrong file leads to
        raise Refused(f"Keras can't read it: {str(error).splitlines()[0][:200]}") from None
    signature = [tf.TensorSpec([None, *each.shape[1:]], each.dtype, name=_name(each.name)) for each in model.inputs]
    function = tf.function(lambda *given: model(list(given) if len(given) > 1 else given[0], training=False),
                           input_signature=signature)
    return _written(function, signature, target, f"Keras {keras.__version__}")


def _config(path: Path) -> Any:
    """What the file says it is made of, read without making it."""
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as opened:
            return json.loads(opened.read("config.json"))
    import h5py

    with h5py.File(path) as file:
        told = file.attrs.get("model_config")
    if told is None:
        raise Refused("it has weights and no model: save it whole")
    return json.loads(told)


def _code_in(config: Any) -> Iterator[str]:
    left = [config]
    while left:
        node = left.pop()
        if isinstance(node, dict):
            kind, module = str(node.get("class_name", "")), node.get("module")
            if kind in ("Lambda", "__lambda__", "function") or (
                    isinstance(module, str) and module.partition(".")[0] not in OURS):
                yield kind or str(module)
            left.extend(node.values())
        elif isinstance(node, list):
            left.extend(node)


def _savedmodel(folder: Path, target: str) -> dict[str, Any]:
    import tensorflow as tf
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    told = SavedModel()
    try:
        told.ParseFromString((folder / "saved_model.pb").read_bytes())
    except Exception:
        raise Refused("saved_model.pb can't be read") from None
    graphs = [meta.graph_def for meta in told.meta_graphs]
    kinds = {node.op for graph in graphs for node in graph.node}
    kinds |= {node.op for graph in graphs for function in graph.library.function for node in function.node_def}
    if kinds & ACTS:
        raise Refused(f"it does more than compute: {', '.join(sorted(kinds & ACTS)[:3])}")
    try:
        model = tf.saved_model.load(str(folder))
    except Exception as error:
        raise Refused(f"TensorFlow can't read it: {str(error).splitlines()[0][:200]}") from None
    known = getattr(model, "signatures", {})
    if "serving_default" not in known:
        raise Refused(f"it has no signature serving_default; it has: {', '.join(known) or 'none'}")
    function = known["serving_default"]
    _, named = function.structured_input_signature
    signature = [tf.TensorSpec(spec.shape, spec.dtype, name=name) for name, spec in sorted(named.items())]
    names = [spec.name for spec in signature]
    called = tf.function(lambda *given: function(**dict(zip(names, given, strict=True))), input_signature=signature)
    facts = _written(called, signature, target, "SavedModel")
    assert model is not None  # its variables live as long as it does
    return facts


def _written(function: Any, signature: list[Any], target: str, what: str) -> dict[str, Any]:
    import tensorflow as tf
    import tf2onnx

    try:
        tf2onnx.convert.from_function(function, input_signature=signature, opset=OPSET, output_path=target)
    except Exception as error:
        raise Refused(f"tf2onnx can't write it: {str(error).splitlines()[0][:200]}") from None
    # answers of the original, which are held against those of the result where that runs
    facts = {"by": f"tf2onnx {tf2onnx.__version__}, TensorFlow {tf.__version__}", "of": what}
    return facts | {"trials": _trials(function, signature)}


def _trials(function: Any, signature: list[Any]) -> list[dict[str, Any]]:
    """Small runs of the original, as JSON."""
    import time

    import numpy as np
    import tensorflow as tf

    found: list[dict[str, Any]] = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        given = []
        for spec in signature:
            shape = [axis or (1 if place == 0 else 8) for place, axis in enumerate(spec.shape.as_list())]
            kind = spec.dtype.as_numpy_dtype
            given.append(rng.random(shape).astype(kind) if np.dtype(kind).kind == "f" else np.zeros(shape, kind))
        if sum(each.size for each in given) > 1 << 18:
            return found
        made = tf.nest.flatten(function(*map(tf.constant, given)))
        taken = []
        for _ in range(RUNS):
            at = time.perf_counter()
            tf.nest.flatten(function(*map(tf.constant, given)))
            taken.append(time.perf_counter() - at)
        found.append({"inputs": {spec.name: each.tolist() for spec, each in zip(signature, given, strict=True)},
                      "outputs": [each.numpy().tolist() for each in made], "ms": 1000 * sorted(taken)[RUNS // 2]})
    return found


def _name(name: str) -> str:
    return name.partition(":")[0].replace("/", "_") or "x"


if __name__ == "__main__":
    main(*sys.argv[1:])
