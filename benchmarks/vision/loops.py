"""The plain way to run a detector's ONNX file: read a picture, make it small, run, decode, suppress; nothing of ours.

Everything here is written for these three files only, from what their projects say of them, with NumPy and OpenCV;
`onnxruntime` has its default options, but that its threads do not spin: beside other work that would stop it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from aimass_stream.frames import Pixels

from .labelled import SHARED

Array: TypeAlias = NDArray[np.float32]
Row: TypeAlias = tuple[int, float, tuple[float, float, float, float]]  # class; score; left, top, right, bottom in px
Decoded: TypeAlias = tuple[Array, Array, NDArray[np.int64]]  # boxes in px of the picture, scores, classes


def fastestdet(run: Callable[[Array], list[Array]], picture: Pixels, threshold: float) -> Decoded:
    """By its example for onnxruntime, with the score that its C++ example has."""
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (352, 352), interpolation=cv2.INTER_AREA)
    [output] = run((small.transpose(2, 0, 1)[None] / 255).astype(np.float32))
    grid = output[0]  # (85, 22, 22)
    classes = grid[5:].argmax(0)
    scores = grid[0] ** 0.6 * grid[5:].max(0) ** 0.4
    rows, columns = np.nonzero(scores > threshold)
    chosen = grid[:, rows, columns]
    middle = np.stack([(columns + np.tanh(chosen[1])) / 22, (rows + np.tanh(chosen[2])) / 22], 1)
    half = 0.5 / (1 + np.exp(-chosen[3:5].T))
    boxes = np.hstack([middle - half, middle + half]) * [width, height, width, height]
    return np.asarray(boxes, np.float32), scores[rows, columns], classes[rows, columns]


def rfb(run: Callable[[Array], list[Array]], picture: Pixels, threshold: float) -> Decoded:
    """SSD's offsets from squares of three, two, two and three sizes at each place of four maps."""
    height, width = picture.shape[:2]
    small = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), (320, 240))
    scores, offsets = run(((small.transpose(2, 0, 1)[None].astype(np.float32) - 127) / 128).astype(np.float32))
    squares = _squares()
    kept = scores[0, :, 1] > threshold
    rows, squares = offsets[0, kept], squares[kept]
    middle = squares[:, :2] + 0.1 * rows[:, :2] * squares[:, 2:]
    half = squares[:, 2:] * np.exp(0.2 * rows[:, 2:]) / 2
    boxes = np.hstack([middle - half, middle + half]) * [width, height, width, height]
    return np.asarray(boxes, np.float32), scores[0, kept, 1], np.zeros(int(kept.sum()), np.int64)


@functools.cache
def _squares() -> Array:
    """(4420, 4): middle and size in shares of 320x240."""
    made = []
    for stride, sizes in ((8, (10, 16, 24)), (16, (32, 48)), (32, (64, 96)), (64, (128, 192, 256))):
        for row in range(-(-240 // stride)):
            for column in range(320 // stride):
                made += [[(column + 0.5) * stride / 320, (row + 0.5) * stride / 240, size / 320, size / 240]
                         for size in sizes]
    return np.array(made, np.float32)


def yunet(run: Callable[[Array], list[Array]], picture: Pixels, threshold: float) -> Decoded:
    """The picture whole, at the top left of the square."""
    height, width = picture.shape[:2]
    scale = 320 / max(height, width)
    small = cv2.resize(picture, (round(width * scale), round(height * scale)))
    square = np.zeros((320, 320, 3), np.uint8)
    square[: small.shape[0], : small.shape[1]] = small
    outputs = run(np.ascontiguousarray(square.transpose(2, 0, 1)[None], np.float32))
    boxes, scores = [], []
    for number, stride in enumerate((8, 16, 32)):  # cls, obj, bbox and kps, of three strides each
        sure, there, places = (outputs[3 * kind + number].reshape(-1, outputs[3 * kind + number].shape[-1])
                               for kind in range(3))
        score = np.sqrt(sure[:, 0] * there[:, 0])
        cells = np.arange(len(score))
        kept = score > threshold
        corner = np.stack([cells % (320 // stride), cells // (320 // stride)], 1)[kept]
        middle, half = (places[kept, :2] + corner) * stride, np.exp(places[kept, 2:]) * stride / 2
        boxes.append(np.hstack([middle - half, middle + half]) / scale)
        scores.append(score[kept])
    found = np.concatenate(boxes)
    return np.asarray(found, np.float32), np.concatenate(scores), np.zeros(len(found), np.int64)


class Loop:
    """One file, one picture at a time."""

    def __init__(self, path: Path, decode: Callable[..., Decoded], outputs: Sequence[str], overlap: float) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._decode, self._outputs, self._overlap = decode, outputs, overlap

    def __call__(self, picture: Pixels, threshold: float) -> list[Row]:
        """The surest first."""
        boxes, scores, classes = self._decode(self._run, picture, threshold)
        height, width = picture.shape[:2]
        boxes = np.clip(boxes, 0, [width, height, width, height])
        sized = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])
        kept = cv2.dnn.NMSBoxesBatched(sized.tolist(), scores.tolist(), classes.tolist(), threshold, self._overlap)
        found: list[Row] = []
        for number in kept:
            x0, y0, x1, y1 = (float(value) for value in boxes[number])
            found.append((int(classes[number]), float(scores[number]), (x0, y0, x1, y1)))
        return found

    def _run(self, tensor: Array) -> list[Array]:
        answer: list[Array] = self._session.run(self._outputs, {self._input: tensor})
        return answer


WEIGHTS = SHARED / "weights"
YUNET_OUTPUTS = tuple(f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in (8, 16, 32))
