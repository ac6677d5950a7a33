"""One small network in the file formats of three frameworks, each written byte by byte: y = w x + b, pixel by pixel.

Field numbers are those of caffe.proto and of TensorFlow's graph.proto, attr_value.proto and tensor.proto.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

WEIGHTS: Floats = np.linspace(0, 1, 6, dtype=np.float32).reshape(2, 3)  # from three channels to two
BIAS: Floats = np.array([0.5, -1], np.float32)
SIDE = 8  # px


def answer(x: Floats) -> Floats:
    """(n, 2, h, w) of (n, 3, h, w)."""
    return np.asarray(np.einsum("oc,nchw->nohw", WEIGHTS, x) + BIAS[:, None, None], np.float32)


def varint(value: int) -> bytes:
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def text(number: int, value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def whole(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


# Darknet ---------------------------------------------------------------------------------------------

DARKNET_CFG = f"""[net]
batch=1
width={SIDE}
height={SIDE}
channels=3

[convolutional]
filters=2
size=1
stride=1
pad=0
activation=linear
"""


def darknet_weights(weights: Floats = WEIGHTS) -> bytes:
    """Version 0.2.5, pictures seen, then for each layer its biases and its weights."""
    return struct.pack("<iiiq", 0, 2, 5, 0) + BIAS.tobytes() + weights.astype("<f4").tobytes()


def yolo_cfg() -> str:
    """The same, with 18 channels for three anchors of one class, read by a YOLO layer."""
    return DARKNET_CFG.replace("filters=2", "filters=18") + """
[yolo]
mask = 0,1,2
anchors = 2,2, 4,4, 6,6
classes=1
num=3
"""


def yolo_weights(biases: Floats) -> bytes:
    """18 biases; nothing of the picture gets through."""
    return struct.pack("<iiiq", 0, 2, 5, 0) + biases.astype("<f4").tobytes() + bytes(4 * 18 * 3)


# Caffe -----------------------------------------------------------------------------------------------

PROTOTXT = f"""name: "small"
input: "data"
input_shape {{ dim: 1 dim: 3 dim: {SIDE} dim: {SIDE} }}
layer {{
  name: "mixed" type: "Convolution" bottom: "data" top: "mixed"
  convolution_param {{ num_output: 2 kernel_size: 1 }}
}}
"""


def caffemodel() -> bytes:
    def blob(values: Floats, *shape: int) -> bytes:
        dims = b"".join(map(varint, shape))
        return text(7, text(7, text(1, dims)) + text(5, values.astype("<f4").tobytes()))

    layer = text(1, "mixed") + text(2, "Convolution") + text(3, "data") + text(4, "mixed")
    layer += blob(WEIGHTS, 2, 3, 1, 1) + blob(BIAS, 2) + text(106, whole(1, 2) + whole(4, 1))
    return text(1, "small") + text(100, layer)


# TensorFlow ------------------------------------------------------------------------------------------

FLOAT, INT32 = 1, 3


def frozen_graph() -> bytes:
    def attribute(name: str, value: bytes) -> bytes:
        return text(5, text(1, name) + text(2, value))

    def node(name: str, kind: str, *inputs: str, **attributes: bytes) -> bytes:
        return text(1, text(1, name) + text(2, kind) + b"".join(text(3, each) for each in inputs)
                    + b"".join(attribute(key, value) for key, value in attributes.items()))

    def constant(name: str, values: Floats) -> bytes:
        shape = text(2, b"".join(text(2, whole(1, size)) for size in values.shape))
        tensor = whole(1, FLOAT) + shape + text(4, values.astype("<f4").tobytes())
        return node(name, "Const", dtype=whole(6, FLOAT), value=text(8, tensor))

    kernel = WEIGHTS.T.reshape(1, 1, 3, 2)  # height, width, from, to
    ones = text(1, text(3, varint(1) * 4))  # a list of four
    return b"".join([
        node("picture", "Placeholder", dtype=whole(6, FLOAT)),
        constant("kernel", kernel), constant("shift", BIAS),
        node("mixed", "Conv2D", "picture", "kernel", T=whole(6, FLOAT), strides=ones, padding=text(2, "VALID"),
             data_format=text(2, "NHWC")),
        node("moved", "BiasAdd", "mixed", "shift", T=whole(6, FLOAT), data_format=text(2, "NHWC"))])
