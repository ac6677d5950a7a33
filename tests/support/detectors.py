"""Folders of models for detectors: public weights beside the project, and graphs that answer what a test says."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from .sights import shared

FASTESTDET = {"head": "fastestdet", "labels": "coco", "fit": "stretch", "colour": "bgr"}
RFB = {"head": "rfb", "labels": ["face"], "fit": "stretch", "mean": 127, "scale": 128}
YUNET = {"head": "yunet", "labels": ["face"], "colour": "bgr", "scale": 1}
YUNET_OUTPUTS = {f"{kind}_{stride}": [1, (320 // stride) ** 2, columns] for stride in (8, 16, 32)
                 for kind, columns in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10))}


def shelve(folder: Path, name: str, content: bytes, inputs: dict[str, list[int]], outputs: dict[str, list[int]],
           options: dict[str, Any], task: str = "detection") -> None:
    """Write a model's folder: its graph and a manifest."""
    (folder / name).mkdir()
    (folder / name / "model.onnx").write_bytes(content)
    lines = [f'name = "{name}"', 'version = "1"', f'title = "{name}"', f'task = "{task}"', 'licence = "MIT"',
             'sources = ["a test"]', 'engine = "aimass_stream.engines.onnx:OnnxModel"',
             "[[files]]", 'path = "model.onnx"', f"size = {len(content)}",
             f'sha256 = "{hashlib.sha256(content).hexdigest()}"']
    for kind, specs in (("inputs", inputs), ("outputs", outputs)):
        for tensor, shape in specs.items():
            lines += [f"[[{kind}]]", f'name = "{tensor}"', f"shape = {shape}"]
    lines += ["[options]", *(f"{key} = {json.dumps(value)}" for key, value in options.items())]
    (folder / name / "model.toml").write_text("\n".join(lines), encoding="utf-8")


def fastestdet(folder: Path) -> None:
    shelve(folder, "fastestdet", shared("weights", "FastestDet.onnx").read_bytes(), {"input.1": [1, 3, 352, 352]},
           {"758": [1, 85, 22, 22]}, FASTESTDET)


def rfb(folder: Path) -> None:
    shelve(folder, "rfb", shared("weights", "version-RFB-320_simplified.onnx").read_bytes(),
           {"input": [1, 3, 240, 320]}, {"scores": [1, 4420, 2], "boxes": [1, 4420, 4]}, RFB, "face-detection")


def yunet(folder: Path) -> None:
    shelve(folder, "yunet", shared("weights", "yunet_n_320_320.onnx").read_bytes(), {"input": [1, 3, 320, 320]},
           YUNET_OUTPUTS, YUNET, "face-detection")


def constant(folder: Path, name: str, answer: NDArray[np.float32], options: dict[str, Any], *, width: int = 320,
             height: int = 320) -> None:
    """A detector that answers this, plus the darkest value of its input, which is 0 for pictures with black in them."""
    graph = helper.make_graph(
        [helper.make_node("ReduceMin", ["images"], ["least"], keepdims=0),
         helper.make_node("Add", ["answer", "least"], ["output0"])], name,
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, height, width])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, list(answer.shape))],
        [numpy_helper.from_array(answer, "answer")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    shelve(folder, name, model.SerializeToString(), {"images": [1, 3, height, width]},
           {"output0": list(answer.shape)}, options)
