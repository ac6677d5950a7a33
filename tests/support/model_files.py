"""Small models as files, and what people do to such files."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Floats = NDArray[np.float32]

MATRIX: Floats = np.array([[1, 2], [3, 4], [5, 6]], np.float32)


def linear(matrix: Floats = MATRIX, *, domain: str = "", operator: str = "MatMul", external: str = "",
           offset: int = 0, rows: str | int = "n", opset: int = 17, bias: float = 0) -> bytes:
    """ONNX: y (n, 2) = x (n, 3) times the matrix, plus `bias`."""
    weights = numpy_helper.from_array(matrix, "matrix")
    if external:
        weights.ClearField("raw_data")
        weights.data_location = TensorProto.EXTERNAL
        for key, value in (("location", external), ("offset", str(offset)), ("length", str(matrix.nbytes))):
            weights.external_data.add(key=key, value=value)
    nodes = [helper.make_node(operator, ["x", "matrix"], ["made"], domain=domain, name="times"),
             helper.make_node("Add", ["made", "bias"], ["y"], name="plus")]
    graph = helper.make_graph(
        nodes, "linear", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [rows, matrix.shape[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [rows, matrix.shape[1]])],
        [weights, numpy_helper.from_array(np.array([bias], np.float32), "bias")])
    opsets = [helper.make_opsetid("", opset), *([helper.make_opsetid(domain, 1)] if domain else [])]
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    return bytes(model.SerializeToString())


def safetensors(tensors: dict[str, Floats], **changed: Any) -> bytes:
    """A file of these; `changed` is put into what its header says of each."""
    header, body = {}, b""
    for name, values in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(values.shape),
                        "data_offsets": [len(body), len(body) + values.nbytes]} | changed
        body += values.tobytes()
    told = json.dumps(header).encode()
    return len(told).to_bytes(8, "little") + told + body


def ctranslate2(spec: str = "WhisperSpec", *, claimed: int = 0) -> bytes:
    """The binary of a model with one variable, which claims `claimed` further bytes."""
    def word(text: str) -> bytes:
        return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"

    values = np.arange(6, dtype=np.float32)
    head = struct.pack("<I", 6) + word(spec) + struct.pack("<II", 3, 1)
    variable = word("encoder/weight") + struct.pack("<BIIBI", 2, 2, 3 + claimed // 8, 0, 24 + claimed)
    return head + variable + values.tobytes() + struct.pack("<I", 0)


def zipped(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()
