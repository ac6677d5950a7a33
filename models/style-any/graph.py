"""The network for any style as an ONNX graph without weights; written beside the engine that runs it.

    python models/style-any/graph.py

    image     (1, 3, h, w)  RGB, 0 to 1; continued by its `borders`
    before    (1, 2, c)     means and deviations of an earlier picture, as `own` gave them
    share     (1,)          by how much this picture's own count; 1 for a first one, 0 to keep the earlier ones
    wanted    (1, 2, c)     a style: what `own` was of a picture in it, at strength 0
    strength  (1,)          0 to 1, the share of the way there
    styled    (1, 3, h, w)
    own       (1, 2, c)     what this picture had

An exchange is a BatchNormalization whose four numbers a channel are made by the graph: one pass over the data.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from aimass_stream.architectures.style_any_shape import LEAST_DEVIATION, AnySizes, shapes
from aimass_stream.architectures.style_shape import CELL

OPSET, IR = 17, 8
TARGET = Path(__file__).resolve().parent.parent.parent / "aimass_stream" / "engines" / "style" / "any.onnx"
UNUSED = ("usual",)  # what the file of weights has besides


def skeleton(sizes: AnySizes) -> bytes:
    return _Writer(sizes).write()


class _Writer:
    def __init__(self, sizes: AnySizes) -> None:
        self.sizes = sizes
        self.shapes = {name: shape for name, shape in sorted(shapes(sizes).items()) if name not in UNUSED}
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.own: list[str] = []

    def write(self) -> bytes:
        made = self._network("image")
        self._node("Concat", self.own, "own", axis=2)
        lengths = self._constant("lengths", list(self.sizes.exchanges))
        splits = [helper.make_node("Split", [name, lengths], [f"{name}{number}" for number in range(len(self.own))],
                                   axis=2) for name in ("before", "wanted")]
        axes, numbers = [1, 3, "height", "width"], [1, 2, self.sizes.channels]
        graph = helper.make_graph(
            [*splits, *self.nodes], "style",
            [_value("image", axes), _value("before", numbers), _value("share", [1]), _value("wanted", numbers),
             _value("strength", [1])],
            [_value(made, axes), _value("own", numbers)],
            [*self.constants, *(_outside(name, shape) for name, shape in self.shapes.items())])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
        return bytes(model.SerializeToString())

    def _network(self, picture: str) -> str:
        """`AnyStyleNetwork.inner`, line by line."""
        self.constants.append(numpy_helper.from_array(np.array([LEAST_DEVIATION**2], np.float32), "least"))
        fine = self._relu(self._conv(picture, "stem", stride=CELL))
        code = self._relu(self._conv(fine, "down", stride=2))
        for number in range(self.sizes.seeing):
            code = self._block(code, f"seeing.{number}", exchanged=False)
        fine, x = self._exchange(fine), self._exchange(code)
        for number in range(self.sizes.painting):
            x = self._block(x, f"painting.{number}")
        x = self._exchange(x)
        self.constants.append(helper.make_tensor("twice", TensorProto.FLOAT, [4], [1, 1, 2, 2]))
        x = self._node("Resize", [self._conv(x, "up"), "", "twice"], mode="nearest", nearest_mode="floor",
                       coordinate_transformation_mode="asymmetric")
        x = self._relu(self._exchange(self._conv(self._node("Add", [x, fine]), "merge")))
        x = self._block(x, "finish")
        guided = self._node("Mul", [self._conv(picture, "guide", stride=CELL), self._conv(x, "gate")])
        painted = self._node("Add", [self._conv(x, "paint"), self._conv(guided, "detail")])
        return self._node("DepthToSpace", [self._node("Sigmoid", [painted])], "styled", blocksize=CELL, mode="CRD")

    def _block(self, x: str, name: str, *, exchanged: bool = True) -> str:
        y = self._conv(self._conv(x, f"{name}.spread1", depthwise=True), f"{name}.mix1")
        y = self._relu(self._exchange(y) if exchanged else y)
        return self._node("Add", [x, self._conv(self._conv(y, f"{name}.spread2", depthwise=True), f"{name}.mix2")])

    def _exchange(self, x: str) -> str:
        number = len(self.own)
        channels = self.sizes.exchanges[number]
        row = self._constant(f"row{number}", [1, 1, channels])
        mean = self._node("ReduceMean", [x], axes=[2, 3], keepdims=0)  # (1, c)
        square = self._node("ReduceMean", [self._node("Mul", [x, x])], axes=[2, 3], keepdims=0)
        variance = self._relu(self._node("Sub", [square, self._node("Mul", [mean, mean])]))
        deviation = self._node("Sqrt", [self._node("Add", [variance, "least"])])
        seen = self._node("Concat", [self._node("Reshape", [mean, row]), self._node("Reshape", [deviation, row])],
                          axis=1)  # (1, 2, c)
        own = self._toward(f"before{number}", seen, "share")
        aim = self._toward(own, f"wanted{number}", "strength")
        self.own.append(own)
        (own_mean, own_deviation), (aim_mean, aim_deviation) = (self._halves(each, number) for each in (own, aim))
        variance = self._node("Mul", [own_deviation, own_deviation])
        return self._node("BatchNormalization", [x, aim_deviation, aim_mean, own_mean, variance], epsilon=1e-12)

    def _toward(self, one: str, other: str, share: str) -> str:
        return self._node("Add", [one, self._node("Mul", [self._node("Sub", [other, one]), share])])

    def _halves(self, values: str, number: int) -> tuple[str, str]:
        """Means and deviations, (c,) each."""
        channels = self.sizes.exchanges[number]
        flat = self._node("Reshape", [values, self._constant(f"flat{len(self.nodes)}", [-1])])
        both = f"{flat}_mean", f"{flat}_deviation"
        self.nodes.append(helper.make_node("Split", [flat, self._constant(f"halves{len(self.nodes)}",
                                                                          [channels, channels])], list(both)))
        return both

    def _conv(self, x: str, layer: str, *, stride: int = 1, depthwise: bool = False) -> str:
        outputs, _, kernel, _ = self.shapes[f"{layer}.weight"]
        return self._node("Conv", [x, f"{layer}.weight", f"{layer}.bias"], kernel_shape=[kernel, kernel],
                          strides=[stride, stride], pads=[(kernel - stride + 1) // 2] * 4,
                          group=outputs if depthwise else 1)

    def _relu(self, x: str) -> str:
        return self._node("Relu", [x])

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


if __name__ == "__main__":
    TARGET.write_bytes(skeleton(AnySizes()))
