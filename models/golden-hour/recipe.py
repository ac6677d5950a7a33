"""How "golden hour" is made: a small network learns the look of late sun from pictures that are drawn here.

    python models/golden-hour/recipe.py

trains it (numpy, under a minute on one core), writes ``model.onnx`` and what was measured into ``model.toml``.

The look is given by `teach`: dodged shadows, warm highlights, cool shadows and a glow around what is bright.
The network sees the picture at a quarter of its size to find out how the light falls (three dilated
convolutions), and then works on every pixel by itself with that light beside it, so edges stay as sharp
as they came and a picture of any size will do.

    image n×3×h×w ─┬─ pool 4 ─ conv 3→8 ─ conv 8→8 ─ conv 8→8 ─ 1×1 8→3 ─ resize ─┐
                   ├──────────────────────────────────────────────────────────────┴─ 1×1 6→16 ─ 1×1 16→3 ─┐
                   └────────────────────────────────────────────────────────────────────────────────────  + ─ clip
"""

from __future__ import annotations

import argparse
import hashlib
import re
import time
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from aimass_stream import clips

Array: TypeAlias = NDArray[np.float32]
Weights: TypeAlias = dict[str, Array]

HERE = Path(__file__).parent
HEIGHT, WIDTH = 120, 160  # px of a training picture
POOL = 4
LIGHT, HIDDEN, CHANNELS = 3, 16, 8  # onnxruntime is at its best with sixteen
DILATIONS = (1, 2, 4)
STEPS, BATCH, RATE = 700, 8, 5e-3
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


# pictures and the look ---------------------------------------------------------------------------------


def picture(rng: np.random.Generator) -> Array:
    """A drawn picture, RGB 0 to 1, (HEIGHT, WIDTH, 3): the moving scene, or shapes on a gradient."""
    if rng.random() < 0.4:
        scene = clips.draw(int(rng.integers(60_000)), 320, 240)
        pixels = cv2.resize(scene, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)[:, :, ::-1] / 255.0
    else:
        pixels = _shapes(rng)
    exposure, gamma = rng.uniform(0.6, 1.3), rng.uniform(0.6, 1.6)
    return np.asarray(np.clip((pixels * exposure) ** gamma, 0, 1), np.float32)


def _shapes(rng: np.random.Generator) -> NDArray[Any]:
    corners = rng.random((2, 2, 3)).astype(np.float32)
    pixels = cv2.resize(corners, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    for _ in range(int(rng.integers(3, 12))):
        colour = [float(part) for part in rng.random(3)]
        centre = (int(rng.integers(WIDTH)), int(rng.integers(HEIGHT)))
        if rng.random() < 0.5:
            cv2.circle(pixels, centre, int(rng.integers(2, 40)), colour, -1, cv2.LINE_AA)
        else:
            points = np.array(centre) + rng.integers(-45, 45, (4, 2))
            cv2.fillPoly(pixels, [points.astype(np.int32)], colour, cv2.LINE_AA)
    if rng.random() < 0.5:
        pixels = cv2.GaussianBlur(pixels, (0, 0), float(rng.uniform(0.5, 8)))
    return np.asarray(np.clip(pixels + rng.normal(0, rng.uniform(0, 0.05), pixels.shape), 0, 1))


def teach(pixels: Array) -> Array:
    """The look itself, at the scale of the training pictures."""
    luma = pixels @ LUMA
    light = cv2.GaussianBlur(luma, (0, 0), 7)[..., None]
    lifted = pixels * (1 + 0.55 * (0.5 - light))
    warmth = np.clip(lifted @ LUMA, 0, 1)[..., None]
    warm = lifted * (1 - warmth + warmth * np.array([1.15, 0.965, 0.80], np.float32))
    cool = (1 - warmth) ** 3 * np.array([0.03, 0.01, 0.09], np.float32)
    glow = cv2.GaussianBlur(np.maximum(luma - 0.55, 0), (0, 0), 9)[..., None] * np.array([0.95, 0.5, 0.2], np.float32)
    toned = warm + cool + glow
    grey = (toned @ LUMA)[..., None]
    vivid = grey + 1.12 * (toned - grey)
    curved = vivid + 0.12 * np.sin(2 * np.pi * (np.clip(vivid, 0, 1) - 0.5)) / 2
    return np.asarray(np.clip(curved, 0, 1), np.float32)


# the network, forwards and backwards; channels last, pictures n×h×w×c --------------------------------------


def initial(rng: np.random.Generator) -> Weights:
    def layer(inputs: int, outputs: int, gain: float = 1.0) -> Array:
        return np.asarray(rng.normal(size=(inputs, outputs)) * gain * np.sqrt(2 / inputs), np.float32)

    weights: Weights = {"point1": layer(3 + LIGHT, HIDDEN), "point2": layer(HIDDEN, 3, 0.1)}
    for index, inputs in enumerate((3, CHANNELS, CHANNELS)):
        weights[f"conv{index}"] = layer(9 * inputs, CHANNELS)
    weights["light"] = layer(CHANNELS, LIGHT)
    return weights | {f"{name}.bias": np.zeros(array.shape[1], np.float32) for name, array in weights.items()}


def taps(features: Array, dilation: int) -> Array:
    """The nine neighbours of every cell, zeros outside: n×h×w×c to n×h×w×9c, in the order of a 3×3 kernel."""
    height, width = features.shape[1:3]
    padded = np.pad(features, ((0, 0), (dilation, dilation), (dilation, dilation), (0, 0)))
    parts = [padded[:, y * dilation : y * dilation + height, x * dilation : x * dilation + width]
             for y in range(3) for x in range(3)]
    return np.concatenate(parts, axis=3)


def untaps(gradient: Array, dilation: int) -> Array:
    """The transpose of `taps`."""
    n, height, width, channels = gradient.shape
    padded = np.zeros((n, height + 2 * dilation, width + 2 * dilation, channels // 9), np.float32)
    for index, part in enumerate(np.split(gradient, 9, axis=3)):
        y, x = divmod(index, 3)
        padded[:, y * dilation : y * dilation + height, x * dilation : x * dilation + width] += part
    return padded[:, dilation:-dilation, dilation:-dilation]


def widening(size: int, cells: int) -> Array:
    """size×cells: linear interpolation from cells to pixels, as ONNX's Resize with half-pixel centres."""
    at = np.clip((np.arange(size) + 0.5) * cells / size - 0.5, 0, cells - 1)
    left = np.minimum(at.astype(int), max(cells - 2, 0))
    matrix = np.zeros((size, cells), np.float32)
    matrix[np.arange(size), left] = 1 - (at - left)
    matrix[np.arange(size), np.minimum(left + 1, cells - 1)] += at - left
    return matrix


def forward(weights: Weights, images: Array) -> tuple[Array, list[Any]]:
    """What the network makes of n×h×w×3 (not yet clipped), and what `backward` needs."""
    n, height, width, _ = images.shape
    padded = np.pad(images, ((0, 0), (0, -height % POOL), (0, -width % POOL), (0, 0)), mode="edge")
    cells = padded.reshape(n, padded.shape[1] // POOL, POOL, padded.shape[2] // POOL, POOL, 3).mean((2, 4))
    kept: list[Any] = []
    features = cells
    for index, dilation in enumerate(DILATIONS):
        neighbours = taps(features, dilation)
        features = np.maximum(neighbours @ weights[f"conv{index}"] + weights[f"conv{index}.bias"], 0)
        kept.append((neighbours, features))
    light = features @ weights["light"] + weights["light.bias"]
    rows, columns = widening(height, cells.shape[1]), widening(width, cells.shape[2])
    wide = np.einsum("yh,nhwc,xw->nyxc", rows, light, columns, optimize=True)
    seen = np.concatenate([images, wide], axis=3)
    hidden = np.maximum(seen @ weights["point1"] + weights["point1.bias"], 0)
    output = images + hidden @ weights["point2"] + weights["point2.bias"]
    return output, [kept, rows, columns, seen, hidden]


def backward(weights: Weights, state: list[Any], gradient: Array) -> Weights:
    """Gradients of the weights from that of the output."""
    kept, rows, columns, seen, hidden = state
    grads: Weights = {}

    def linear(name: str, inputs: Array, outer: Array) -> Array:
        flat = outer.reshape(-1, outer.shape[-1])
        grads[name] = inputs.reshape(-1, inputs.shape[-1]).T @ flat
        grads[f"{name}.bias"] = flat.sum(0)
        return outer @ weights[name].T

    inner = linear("point2", hidden, gradient) * (hidden > 0)
    wide = linear("point1", seen, inner)[..., 3:]
    cells = np.einsum("yh,nyxc,xw->nhwc", rows, wide, columns, optimize=True)
    inner = linear("light", kept[-1][1], cells)
    for index in reversed(range(len(DILATIONS))):
        neighbours, features = kept[index]
        inner = untaps(linear(f"conv{index}", neighbours, inner * (features > 0)), DILATIONS[index])
    return grads


def train(steps: int = STEPS, seed: int = 1) -> tuple[Weights, list[float]]:
    """Adam with a falling rate on mean squared error; answers the weights and the loss of every step."""
    rng = np.random.default_rng(seed)
    weights = initial(rng)
    first = {name: np.zeros_like(array) for name, array in weights.items()}
    second = {name: np.zeros_like(array) for name, array in weights.items()}
    losses = []
    for step in range(1, steps + 1):
        images = np.stack([picture(rng) for _ in range(BATCH)])
        output, state = forward(weights, images)
        error = np.asarray(output - np.stack([teach(image) for image in images]), np.float32)
        losses.append(float(np.mean(error**2)))
        rate = RATE * 0.5 * (1 + np.cos(np.pi * step / steps))
        for name, grad in backward(weights, state, np.float32(2 / error.size) * error).items():
            first[name] = 0.9 * first[name] + 0.1 * grad
            second[name] = 0.99 * second[name] + 0.01 * grad**2
            mean, spread = first[name] / (1 - 0.9**step), second[name] / (1 - 0.99**step)
            weights[name] = (weights[name] - rate * mean / (np.sqrt(spread) + 1e-8)).astype(np.float32)
    return weights, losses


# the file ----------------------------------------------------------------------------------------------


def export(weights: Weights) -> onnx.ModelProto:
    """The same network as an ONNX graph, channels first, any number of pictures of any size."""
    nodes: list[Any] = []
    constants: Weights | dict[str, NDArray[Any]] = {}

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(name: str, value: Any, dtype: Any = np.int64) -> str:
        constants[name] = np.ascontiguousarray(np.array(value, dtype))
        return name

    def conv(name: str, inputs: str, kernel: Array, relu: bool, **attributes: Any) -> str:
        constant(f"{name}.kernel", kernel, np.float32)
        constant(f"{name}.bias", weights[f"{name}.bias"], np.float32)
        output = node("Conv", [inputs, f"{name}.kernel", f"{name}.bias"], f"{name}.sum", **attributes)
        return node("Relu", [output], f"{name}.out") if relu else output

    shape = node("Shape", ["image"], "shape")
    size = node("Slice", [shape, constant("two", [2]), constant("four", [4])], "size")
    missing = node("Mod", [node("Neg", [size], "negative"), constant("pool", [POOL])], "missing")
    pads = node("Concat", [constant("zeros", [0] * 6), missing], "pads", axis=0)
    features = node("AveragePool", [node("Pad", ["image", pads], "padded", mode="edge")], "cells",
                    kernel_shape=[POOL, POOL], strides=[POOL, POOL])
    for index, dilation in enumerate(DILATIONS):
        kernel = weights[f"conv{index}"]  # (9·in, out), taps first
        kernel = kernel.reshape(3, 3, -1, CHANNELS).transpose(3, 2, 0, 1)
        features = conv(f"conv{index}", features, kernel, True, dilations=[dilation] * 2, pads=[dilation] * 4)
    light = conv("light", features, weights["light"].T[:, :, None, None], False)
    rows = node("Slice", [shape, constant("zero", [0]), constant("one", [1])], "rows")
    sizes = node("Concat", [rows, constant("channels", [LIGHT]), size], "sizes", axis=0)
    wide = node("Resize", [light, "", "", sizes], "wide", mode="linear", coordinate_transformation_mode="half_pixel")
    seen = node("Concat", ["image", wide], "seen", axis=1)
    hidden = conv("point1", seen, weights["point1"].T[:, :, None, None], True)
    change = conv("point2", hidden, weights["point2"].T[:, :, None, None], False)
    added = node("Add", ["image", change], "added")
    node("Clip", [added, constant("low", 0, np.float32), constant("high", 1, np.float32)], "styled")
    axes = ["n", 3, "height", "width"]
    graph = helper.make_graph(
        nodes, "golden-hour", [helper.make_tensor_value_info("image", TensorProto.FLOAT, axes)],
        [helper.make_tensor_value_info("styled", TensorProto.FLOAT, axes)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def quality(weights: Weights, count: int = 64, seed: int = 99) -> tuple[float, float]:
    """dB over drawn pictures that were not trained on: PSNR to the look, of the network and of doing nothing."""
    rng = np.random.default_rng(seed)
    images = np.stack([picture(rng) for _ in range(count)])
    wanted = np.stack([teach(image) for image in images])
    output = np.clip(forward(weights, images)[0], 0, 1)
    return tuple(float(-10 * np.log10(np.mean((made - wanted) ** 2))) for made in (output, images))  # type: ignore[return-value]


def write(folder: Path, weights: Weights, seconds: float) -> tuple[float, float]:
    """``model.onnx``, and its size, hash and measurements in ``model.toml``; answers its `quality`."""
    content = export(weights).SerializeToString()
    (folder / "model.onnx").write_bytes(content)
    made, untouched = quality(weights)
    facts = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest(), "psnr_db": round(made, 1),
             "psnr_untouched_db": round(untouched, 1), "training_seconds": round(seconds),
             "parameters": sum(array.size for array in weights.values())}
    text = (folder / "model.toml").read_text(encoding="utf-8")
    for key, value in facts.items():
        shown = f'"{value}"' if isinstance(value, str) else str(value)
        text = re.sub(rf"^{key} = .*$", f"{key} = {shown}", text, count=1, flags=re.MULTILINE)
    (folder / "model.toml").write_text(text, encoding="utf-8")
    return made, untouched


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train the golden-hour network and write its files.")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--out", type=Path, default=HERE, help="a folder with this model's model.toml")
    options = parser.parse_args()
    begun = time.monotonic()
    trained, history = train(options.steps)
    print(f"loss {history[0]:.5f} -> {np.mean(history[-20:]):.5f}")
    made_db, untouched_db = write(options.out, trained, time.monotonic() - begun)
    print(f"PSNR {made_db:.1f} dB; untouched {untouched_db:.1f} dB")
