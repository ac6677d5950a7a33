"""The style network as an ONNX graph without weights, which onnxruntime runs twice as fast on a CPU as torch does.

    image       (1, 3, h, w)  RGB, 0 to 1; continued by its `borders`
    before      (1, 2, c)     means and variances of an earlier picture, as `statistics` gave them
    share       (1,)          by how much this picture's own count; 1 for a first one, 0 to keep the earlier ones
    styled      (1, 3, h, w)
    statistics  (1, 2, c)     what this picture was normalised by

The weights are named like the torch network's and given to the session beside the graph
(`SessionOptions.add_external_initializers` with `style_shape.parts`): one graph of 15 KB serves all styles, and a new
style is a file of weights. For one picture at a time: a norm is a BatchNormalization whose mean and variance are made
by the graph, one pass over the data instead of two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from aimass_stream.architectures.style_shape import CELL, EPSILON, Sizes

OPSET, IR = 17, 8


def skeleton(parts: Mapping[str, NDArray[np.float32]], sizes: Sizes, rung: int) -> bytes:
    """The graph of a rung; of its weights only the shapes are used. It says nothing of halving and upsampling."""
    return _Writer({name: values.shape for name, values in parts.items()}, sizes, rung).write()


class _Writer:
    def __init__(self, shapes: dict[str, tuple[int, ...]], sizes: Sizes, rung: int) -> None:
        self.shapes, self.sizes, self.channels = shapes, sizes, sizes.channels(rung)
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.statistics: list[str] = []
        self.norms: list[int] = []  # channels

    def write(self) -> bytes:
        made = self._network("image")
        self._node("Concat", self.statistics, "statistics", axis=2)
        befores = [f"before{number}" for number in range(len(self.norms))]
        lengths = self._constant("lengths", self.norms)
        split = helper.make_node("Split", ["before", lengths], befores, axis=2)
        axes = [1, 3, "height", "width"]
        graph = helper.make_graph(
            [split, *self.nodes], "style",
            [_value("image", axes), _value("before", [1, 2, self.channels]), _value("share", [1])],
            [_value(made, axes), _value("statistics", [1, 2, self.channels])],
            [*self.constants, *(_outside(name, shape) for name, shape in self.shapes.items())])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
        return bytes(model.SerializeToString())

    def _network(self, picture: str) -> str:
        """`StyleNetwork.inner`, line by line."""
        fine = self._normed(self._conv(picture, "stem", stride=CELL), "stem_norm")
        x = self._normed(self._conv(fine, "down", stride=2), "down_norm")
        for number in range(self.sizes.blocks):
            block = f"blocks.{number}"
            y = self._conv(self._conv(x, f"{block}.spread1", depthwise=True), f"{block}.mix1")
            y = self._normed(y, f"{block}.norm")
            y = self._conv(self._conv(y, f"{block}.spread2", depthwise=True), f"{block}.mix2")
            x = self._node("Add", [x, y])
        x = self._normed(x, "trunk_norm")
        scales = helper.make_tensor("twice", TensorProto.FLOAT, [4], [1, 1, 2, 2])
        self.constants.append(scales)
        x = self._node("Resize", [self._conv(x, "up"), "", "twice"], mode="nearest", nearest_mode="floor",
                       coordinate_transformation_mode="asymmetric")
        x = self._node("Add", [x, fine])
        x = self._normed(self._conv(x, "merge"), "merge_norm")
        guided = self._node("Mul", [self._conv(picture, "guide", stride=CELL), self._conv(x, "gate")])
        painted = self._node("Add", [self._conv(x, "paint"), self._conv(guided, "detail")])
        return self._node("DepthToSpace", [self._node("Sigmoid", [painted])], "styled", blocksize=CELL, mode="CRD")

    def _conv(self, x: str, layer: str, *, stride: int = 1, depthwise: bool = False) -> str:
        outputs, _, kernel, _ = self.shapes[f"{layer}.weight"]
        return self._node("Conv", [x, f"{layer}.weight", f"{layer}.bias"], kernel_shape=[kernel, kernel],
                          strides=[stride, stride], pads=[(kernel - stride + 1) // 2] * 4,
                          group=outputs if depthwise else 1)

    def _normed(self, x: str, layer: str) -> str:
        """Its norm, and what is above zero."""
        number, (channels,) = len(self.norms), self.shapes[f"{layer}.gain"]
        self.norms.append(channels)
        row = self._constant(f"row{number}", [1, 1, channels])
        mean = self._node("ReduceMean", [x], axes=[2, 3], keepdims=0)  # (1, c)
        square = self._node("ReduceMean", [self._node("Mul", [x, x])], axes=[2, 3], keepdims=0)
        variance = self._node("Sub", [square, self._node("Mul", [mean, mean])])
        own = self._node("Concat", [self._node("Reshape", [mean, row]), self._node("Reshape", [variance, row])], axis=1)
        step = self._node("Mul", [self._node("Sub", [own, f"before{number}"]), "share"])
        used = self._node("Add", [f"before{number}", step])  # (1, 2, c)
        self.statistics.append(used)
        flat = self._node("Reshape", [used, self._constant(f"flat{number}", [-1])])
        both = [f"mean{number}", f"variance{number}"]
        halves = self._constant(f"halves{number}", [channels, channels])
        self.nodes.append(helper.make_node("Split", [flat, halves], both))
        return self._node("Relu", [self._node("BatchNormalization", [x, f"{layer}.gain", f"{layer}.shift", *both],
                                              epsilon=EPSILON)])

    def _node(self, kind: str, inputs: list[str], name: str = "", **attributes: Any) -> str:
        name = name or f"{kind}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def _constant(self, name: str, values: list[int]) -> str:
        self.constants.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name


def _outside(name: str, shape: tuple[int, ...]) -> Any:
    """A weight that the session is given."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "weights"), ("offset", "0"), ("length", str(4 * int(np.prod(shape))))):
        tensor.external_data.add(key=key, value=value)
    return tensor


def _value(name: str, axes: list[Any]) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, axes)
