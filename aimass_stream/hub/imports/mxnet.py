"""MXNet's symbol (JSON) and parameters as ONNX, without MXNet: it was archived in 2023, and its last wheel (1.9.1)
wants a NumPy that nothing here works with. Its common operators are translated one by one, as its documentation has
them.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InvalidInput, Unavailable
from ..manifests import _checked
from .params import LIST, read

OPSET = 17
INSTALL = "pip install 'aimass-stream[convert]'"
NEED = "a symbol does not tell what goes in: say its inputs, as {\"name\": \"data\", \"shape\": [\"n\", 3, 224, 224]}"
ACTIVATIONS = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "softrelu": "Softplus", "softsign": "Softsign"}
PLAIN = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "exp": "Exp", "sqrt": "Sqrt", "abs": "Abs",
         "elemwise_add": "Add", "_Plus": "Add", "_plus": "Add", "broadcast_add": "Add", "elemwise_sub": "Sub",
         "broadcast_sub": "Sub", "elemwise_mul": "Mul", "_mul": "Mul", "broadcast_mul": "Mul", "elemwise_div": "Div",
         "broadcast_div": "Div", "_copy": "Identity", "identity": "Identity", "Dropout": "Identity",
         "BlockGrad": "Identity", "add_n": "Sum", "ElementWiseSum": "Sum"}
SCALARS = {"_plus_scalar": "Add", "_PlusScalar": "Add", "_minus_scalar": "Sub", "_mul_scalar": "Mul",
           "_MulScalar": "Mul", "_div_scalar": "Div", "_power_scalar": "Pow"}


def missing() -> str:
    """The command that brings it, "" where all is here."""
    return "" if find_spec("onnx") is not None else INSTALL


def is_params(path: Path) -> bool:
    if path.suffix != ".params":
        return False
    with path.open("rb") as file:
        return int.from_bytes(file.read(8), "little") == LIST


def translate(folder: Path, told: dict[str, Any]) -> dict[str, Any]:
    """`model.onnx` in place of the two files. Raises `InvalidInput`, and `Unavailable` without the package onnx."""
    if missing():
        raise Unavailable(f"MXNet's models become ONNX by the package onnx: {INSTALL}", install=INSTALL)
    import onnx

    symbols, params = sorted(folder.glob("*.json")), sorted(folder.glob("*.params"))
    if len(symbols) != 1 or len(params) != 1:
        raise InvalidInput("a model of MXNet is a symbol (.json) and its parameters (.params)", field="files")
    if not told.get("inputs"):
        raise InvalidInput(NEED, field="manifest.inputs")
    inputs = _checked(told["inputs"], "inputs")
    try:
        symbol = json.loads(symbols[0].read_text(encoding="utf-8"))
        made = _Translation(symbol, read(params[0]), inputs).model()
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise InvalidInput(f"{symbols[0].name} is no symbol of MXNet: {type(error).__name__} {str(error)[:100]}",
                           field="files") from None
    onnx.save_model(made, str(folder / "model.onnx"))
    symbols[0].unlink()
    params[0].unlink()
    return {"by": "a reader of ours"}


class _Translation:
    def __init__(self, symbol: dict[str, Any], params: dict[str, Any], inputs: list[dict[str, Any]]) -> None:
        self.symbol, self.params = symbol, params
        self.inputs = {str(each["name"]): each["shape"] for each in inputs}
        self.nodes: list[Any] = []
        self.weights: dict[str, Any] = {}

    def model(self) -> Any:
        from onnx import TensorProto, helper, numpy_helper

        names: list[str] = []  # of what each node of the symbol gives
        for node in self.symbol["nodes"]:
            if any(output for _, output, *_ in node["inputs"]):
                raise InvalidInput(f"{str(node['name'])[:60]} takes what is not the first output of another operator, "
                                   "which can't be translated here", field="files")
            names.append(self._node(node, [names[place] for place, *_ in node["inputs"]]))
        missing = sorted(set(self.inputs) - set(names))
        if missing:
            raise InvalidInput(f"the symbol has no input {missing[0][:64]!r}", field="manifest.inputs")
        float_of = TensorProto.FLOAT
        graph = helper.make_graph(
            self.nodes, "mxnet",
            [helper.make_tensor_value_info(name, float_of, shape) for name, shape in self.inputs.items()],
            [helper.make_tensor_value_info(names[place], float_of, None) for place, *_ in self.symbol["heads"]],
            [numpy_helper.from_array(values, name) for name, values in self.weights.items()])
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9,
                                 producer_name="mxnet")

    def _node(self, node: dict[str, Any], takes: list[str]) -> str:
        op, name = str(node["op"]), str(node["name"])
        given = {key: _value(value) for key, value in (node.get("attrs") or node.get("attr") or node.get("param")
                                                       or {}).items()}
        if op == "null":
            if name in self.params and name not in self.inputs:
                self.weights[name] = np.ascontiguousarray(self.params[name], np.float32)
            elif name not in self.inputs and not name.endswith("label"):
                raise InvalidInput(f"the parameters have no {name[:64]}: it is an input that was not told, or missing",
                                   field="manifest.inputs")
            return name
        if op in PLAIN:
            return self.add(PLAIN[op], takes, name)
        if op in SCALARS:
            return self.add(SCALARS[op], [takes[0], self.constant(name, np.float32(given["scalar"]))], name)
        if op not in OPERATORS:
            raise InvalidInput(f"the operator {op[:60]!r} of MXNet can't be translated here", field="files")
        return OPERATORS[op](self, name, takes, given)

    def add(self, kind: str, inputs: list[str], name: str, **attributes: Any) -> str:
        from onnx import helper

        told = {key: value for key, value in attributes.items() if value is not None}
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **told))
        return name

    def constant(self, name: str, values: Any) -> str:
        self.weights[f"{name}.value"] = np.asarray(values)
        return f"{name}.value"


def _value(text: Any) -> Any:
    """"(3, 3)", "True", "relu"."""
    try:
        return ast.literal_eval(str(text))
    except (ValueError, SyntaxError):
        return str(text)


def _ends(pad: tuple[int, ...]) -> list[int]:
    return [*pad, *pad]


def _convolution(graph: _Translation, name: str, inputs: list[str], given: dict[str, Any]) -> str:
    kernel = given["kernel"]
    return graph.add("Conv", inputs, name, kernel_shape=list(kernel), group=given.get("num_group", 1),
                     pads=_ends(given.get("pad") or (0,) * len(kernel)),
                     strides=list(given.get("stride") or (1,) * len(kernel)),
                     dilations=list(given.get("dilate") or (1,) * len(kernel)))


def _dense(graph: _Translation, name: str, inputs: list[str], given: dict[str, Any]) -> str:
    if given.get("flatten", True):
        flat = graph.add("Flatten", inputs[:1], f"{name}.flat")
        return graph.add("Gemm", [flat, *inputs[1:]], name, transB=1)
    turned = graph.add("Transpose", inputs[1:2], f"{name}.turned", perm=[1, 0])
    bias = inputs[2:]
    made = graph.add("MatMul", [inputs[0], turned], f"{name}.product" if bias else name)
    return graph.add("Add", [made, *bias], name) if bias else made


def _norm(graph: _Translation, name: str, inputs: list[str], given: dict[str, Any]) -> str:
    if given.get("axis", 1) != 1:
        raise InvalidInput(f"{name[:60]} normalises along another axis than the first", field="files")
    if given.get("fix_gamma", True):
        graph.weights[inputs[1]] = np.ones_like(graph.weights[inputs[1]])
    return graph.add("BatchNormalization", inputs[:5], name, epsilon=float(given.get("eps", 1e-3)))


def _activation(graph: _Translation, name: str, inputs: list[str], given: dict[str, Any]) -> str:
    return graph.add(ACTIVATIONS[given["act_type"]], inputs, name)


def _leaky(graph: _Translation, name: str, inputs: list[str], given: dict[str, Any]) -> str:
    kind, slope = given.get("act_type", "leaky"), float(given.get("slope", 0.25))
    if kind == "prelu":
        values = graph.weights[inputs[1]]
        graph.weights[inputs[1]] = values.reshape(-1, 1, 1) if values.size > 1 else values
        return graph.add("PRelu", inputs, name)
    if kind not in ("leaky", "elu"):
        raise InvalidInput(f"the activation {str(kind)[:40]!r} of MXNet can't be translated here", field="files")
    return graph.add("LeakyRelu" if kind == "leaky" else "Elu", inputs[:1], name, alpha=slope)


def _pooling(graph: _Translation, name: str, inputs: list[str], given: dict[str, Any]) -> str:
    kind = given.get("pool_type", "max")
    if kind not in ("max", "avg"):
        raise InvalidInput(f"pooling by {str(kind)[:40]!r} can't be translated here", field="files")
    if given.get("global_pool", False):
        return graph.add("GlobalMaxPool" if kind == "max" else "GlobalAveragePool", inputs, name)
    kernel = given["kernel"]
    more = {"count_include_pad": int(given.get("count_include_pad", True))} if kind == "avg" else {}
    return graph.add("MaxPool" if kind == "max" else "AveragePool", inputs, name, kernel_shape=list(kernel),
                     strides=list(given.get("stride") or (1,) * len(kernel)),
                     pads=_ends(given.get("pad") or (0,) * len(kernel)),
                     ceil_mode=int(given.get("pooling_convention", "valid") == "full"), **more)


def _softmax(graph: _Translation, name: str, inputs: list[str], given: dict[str, Any]) -> str:
    channels = given.get("multi_output", False) or given.get("mode") == "channel"
    return graph.add("Softmax", inputs[:1], name, axis=1 if channels else given.get("axis", -1))


def _concat(graph: _Translation, name: str, inputs: list[str], given: dict[str, Any]) -> str:
    return graph.add("Concat", inputs, name, axis=given.get("dim", 1))


def _reshape(graph: _Translation, name: str, inputs: list[str], given: dict[str, Any]) -> str:
    shape = given["shape"]
    if given.get("reverse", False) or any(axis < -1 for axis in shape):
        raise InvalidInput(f"{name[:60]} is reshaped in a way that can't be translated here", field="files")
    return graph.add("Reshape", [inputs[0], graph.constant(name, np.array(shape, np.int64))], name)


def _transpose(graph: _Translation, name: str, inputs: list[str], given: dict[str, Any]) -> str:
    return graph.add("Transpose", inputs, name, perm=list(given["axes"]) if given.get("axes") else None)


def _flatten(graph: _Translation, name: str, inputs: list[str], _: dict[str, Any]) -> str:
    return graph.add("Flatten", inputs, name)


def _clip(graph: _Translation, name: str, inputs: list[str], given: dict[str, Any]) -> str:
    ends = [graph.constant(f"{name}.{key}", np.float32(given[key])) for key in ("a_min", "a_max")]
    return graph.add("Clip", [*inputs, *ends], name)


def _lrn(graph: _Translation, name: str, inputs: list[str], given: dict[str, Any]) -> str:
    return graph.add("LRN", inputs, name, size=given["nsize"], alpha=float(given.get("alpha", 1e-4)),
                     beta=float(given.get("beta", 0.75)), bias=float(given.get("knorm", 2)))


def _mean(graph: _Translation, name: str, inputs: list[str], given: dict[str, Any]) -> str:
    axis = given.get("axis")
    axes = None if axis in (None, ()) else [axis] if isinstance(axis, int) else list(axis)
    if given.get("exclude", False):
        raise InvalidInput(f"{name[:60]} is a mean that can't be translated here", field="files")
    return graph.add("ReduceMean", inputs, name, axes=axes, keepdims=int(given.get("keepdims", False)))


OPERATORS: dict[str, Callable[[_Translation, str, list[str], dict[str, Any]], str]] = {
    "Convolution": _convolution, "Convolution_v1": _convolution, "FullyConnected": _dense, "BatchNorm": _norm,
    "BatchNorm_v1": _norm, "Activation": _activation, "LeakyReLU": _leaky, "Pooling": _pooling,
    "Pooling_v1": _pooling, "SoftmaxOutput": _softmax, "softmax": _softmax, "SoftmaxActivation": _softmax,
    "Softmax": _softmax, "Concat": _concat, "concat": _concat, "Reshape": _reshape, "reshape": _reshape,
    "transpose": _transpose, "Flatten": _flatten, "flatten": _flatten, "clip": _clip, "LRN": _lrn, "mean": _mean}
