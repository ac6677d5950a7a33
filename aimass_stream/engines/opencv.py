"""What OpenCV finds by itself, without weights of anybody's: Haar cascades, people by HOG, QR codes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput
from ..frames import Pixels
from ..inference.contract import Batch, Capabilities
from ..inference.device import Device
from ..inference.loader import Entry

Finder: TypeAlias = Callable[[Pixels], Batch]

STEP = 1.1  # between sizes that are tried
NEIGHBOURS = 3  # windows that have to agree
HALF = 5  # agreeing windows for a score of a half
CASCADES = Path(cv2.__file__).parent / "data"
WINDOW = (64, 128)  # px of HOG's window: width, height


class OpenCvFinder:
    """One finder, named by `finder` in the manifest's options, on a picture of any size."""

    def __init__(self, entry: Entry, device: Device) -> None:
        """Raises `InvalidInput` if there is no such finder, or OpenCV carries no such file."""
        self.name, self.version = entry.name, entry.version
        self.inputs, self.outputs = entry.inputs, entry.outputs
        self.capabilities = Capabilities(longest=entry.capabilities.longest)
        makers: dict[str, Callable[[dict[str, Any]], Finder]] = {"cascade": _cascade, "people": _people,
                                                                 "codes": _codes}
        finder = entry.options.get("finder")
        if finder not in makers:
            raise InvalidInput(f"finder must be one of {', '.join(makers)}", field="options.finder")
        self._find: Finder = makers[finder](entry.options)

    def warm_up(self) -> None:
        self.run({spec.name: spec.zeros() for spec in self.inputs})

    def run(self, batch: Batch) -> Batch:
        return self._find(batch["picture"])

    def reset(self, slot: int) -> None:
        """There is no state to forget."""

    def close(self) -> None:
        """Nothing is held."""


def _cascade(options: dict[str, Any]) -> Finder:
    """Viola and Jones' cascades. The score is how many windows agree, n / (n + 5): they know no probability."""
    path = CASCADES / str(options.get("file"))
    smallest = int(options.get("smallest", 24))
    if path.parent != CASCADES or not path.is_file():
        raise InvalidInput(f"OpenCV carries no cascade {path.name}", field="options.file")
    cascade = cv2.CascadeClassifier(str(path))

    def find(picture: Pixels) -> Batch:
        boxes, agreeing = cascade.detectMultiScale2(
            cv2.equalizeHist(picture), scaleFactor=STEP, minNeighbors=NEIGHBOURS, minSize=(smallest, smallest))
        counts = np.asarray(agreeing, np.float32).reshape(-1)
        return _answer(_corners(boxes), counts / (counts + HALF))

    return find


def _people(options: dict[str, Any]) -> Finder:
    """Dalal and Triggs' histograms of gradients with OpenCV's weights. The score is 1 - exp(-margin)."""
    hog = cv2.HOGDescriptor()
    hog.setSVMDetector(np.asarray(cv2.HOGDescriptor.getDefaultPeopleDetector(), np.float32))

    def find(picture: Pixels) -> Batch:
        if picture.shape[1] < WINDOW[0] or picture.shape[0] < WINDOW[1]:
            return _answer(_corners(()), np.zeros(0, np.float32))
        boxes, margins = hog.detectMultiScale(picture, winStride=(8, 8), padding=(8, 8), scale=1.05)
        return _answer(_corners(boxes), 1 - np.exp(-np.maximum(np.asarray(margins, np.float32).reshape(-1), 0)))

    return find


def _codes(options: dict[str, Any]) -> Finder:
    detector = cv2.QRCodeDetector()

    def find(picture: Pixels) -> Batch:
        try:
            _, texts, corners, _ = detector.detectAndDecodeMulti(picture)
        except cv2.error:  # it raises where a code's corners lie in one line; then there is none
            texts, corners = (), None
        points = np.asarray(corners if corners is not None else np.zeros((0, 4, 2)), np.float32)
        boxes = np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1)
        return _answer(boxes, np.ones(len(boxes), np.float32), points, tuple(texts))

    return find


def _corners(rectangles: Any) -> NDArray[np.float32]:
    """(n, 4) of left, top, right, bottom, of OpenCV's left, top, width, height."""
    boxes = np.asarray(rectangles, np.float32).reshape(-1, 4)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def _answer(boxes: NDArray[np.float32], scores: NDArray[np.float32], points: NDArray[np.float32] | None = None,
            texts: tuple[str, ...] = ()) -> Batch:
    return {"boxes": boxes, "scores": scores.astype(np.float32),
            "points": np.zeros((len(boxes), 0, 2), np.float32) if points is None else points,
            "texts": np.array(texts, object)}
