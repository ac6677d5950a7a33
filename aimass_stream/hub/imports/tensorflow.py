"""SavedModel and Keras, by `program` in an interpreter that has TensorFlow and tf2onnx: they are too heavy, and too
particular about versions, to live beside everything else.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ...engines.onnx import TYPES
from ...errors import InvalidInput, Unavailable

PROGRAM = Path(__file__).with_name("program.py")
SECONDS = 500.0
THREADS = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3",
           "CUDA_VISIBLE_DEVICES": "", "TF_ENABLE_ONEDNN_OPTS": "0"}


def interpreter_in(folder: Path) -> str:
    """The program that is to be run, "" where there is none: in `folder`, or this one where it has TensorFlow."""
    own = folder / "bin" / "python"
    if own.is_file():
        return str(own)
    return sys.executable if find_spec("tensorflow") is not None and find_spec("tf2onnx") is not None else ""


def install(folder: Path) -> str:
    """The command that makes it."""
    return (f"python3 -m venv {folder} && {folder}/bin/pip install tensorflow tf2onnx "
            "(or pip install 'aimass-stream[tensorflow]')")


def translate(folder: Path, model: Path, kind: str, place: Path) -> dict[str, Any]:
    """Raises `InvalidInput` for what the converter refuses, `Unavailable` with the command where there is none."""
    interpreter = interpreter_in(place)
    if not interpreter:
        raise Unavailable(f"models of {'Keras' if kind == 'keras' else 'TensorFlow'} become ONNX by TensorFlow, which "
                          f"is not installed here: {install(place)}", install=install(place))
    made, told = folder.parent / "translated.onnx", folder.parent / "translated.json"
    try:
        ran = subprocess.run([interpreter, "-I", "-B", str(PROGRAM), kind, str(model), str(made), str(told)],
                             env=os.environ | THREADS, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise InvalidInput(f"TensorFlow was not done within {SECONDS:g} s", field="files") from None
    facts: dict[str, Any] = json.loads(told.read_text(encoding="utf-8")) if told.is_file() else {}
    told.unlink(missing_ok=True)
    if ran.returncode != 0 or not made.is_file():
        lines = ran.stderr.strip().splitlines()
        reason = facts.get("refused") or (lines[-1] if lines else f"it ended with {ran.returncode}")
        raise InvalidInput(f"TensorFlow can't turn this into ONNX: {str(reason)[:300]}", field="files")
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            shutil.rmtree(path)
        elif path == model or kind == "savedmodel":
            path.unlink()
    shutil.move(made, folder / "model.onnx")
    return facts | compared(folder / "model.onnx", facts.pop("trials", []))


def compared(path: Path, trials: list[dict[str, Any]]) -> dict[str, Any]:
    """The original's answers beside those of the result. Raises `InvalidInput` where these are no numbers."""
    if not trials:
        return {}
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    kinds = {each.name: TYPES.get(each.type, "float32") for each in session.get_inputs()}
    ones: list[Any] = []
    others: list[Any] = []
    taken: list[float] = []
    for trial in trials:
        batch = {name: np.asarray(values, kinds[name]) for name, values in trial["inputs"].items()}
        at = time.perf_counter()
        made = session.run(None, batch)
        taken.append(1000 * (time.perf_counter() - at))
        ones.extend(np.asarray(each, np.float64).ravel() for each in trial["outputs"])
        others.extend(np.asarray(each, np.float64).ravel() for each in made)
    one, other = np.concatenate(ones), np.concatenate(others)
    if one.shape != other.shape or not np.isfinite(other).all():
        raise InvalidInput("what the ONNX file answers is no number, or of another shape than the original's answer",
                           field="files")
    apart, scale = np.abs(one - other), float(np.sqrt((one @ one) * (other @ other)))
    return {"latency_ms": {"before": round(float(np.median([each["ms"] for each in trials])), 4),
                           "after": round(float(np.median(taken)), 4)},
            "difference": {"max": float(apart.max()), "mean": float(apart.mean()),
                           "cosine": round(min(1.0, float(one @ other) / scale), 9) if scale else 1.0}}
