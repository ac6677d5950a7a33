"""Networks of Caffe, TensorFlow (frozen graphs) and Darknet on OpenCV's own kernels, on the processor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput
from ..inference.contract import Batch, Capabilities
from ..inference.device import Device
from ..inference.loader import Entry
from ..inference.rows import independent

# by the suffix of the weights: that of the file which describes the layers, whether it must be there, and the reader
KINDS: dict[str, tuple[str, bool, Callable[..., Any]]] = {
    ".caffemodel": (".prototxt", True, lambda weights, layers: cv2.dnn.readNetFromCaffe(layers, weights)),
    ".weights": (".cfg", True, lambda weights, layers: cv2.dnn.readNetFromDarknet(layers, weights)),
    ".pb": (".pbtxt", False, lambda weights, *layers: cv2.dnn.readNetFromTensorflow(weights, *layers)),
}


class DnnModel:
    """The files of one framework, held against their manifest: its outputs are named like the layers that make them.

    It uses as many threads as OpenCV does elsewhere here: one.
    """

    def __init__(self, entry: Entry, device: Device) -> None:
        """Raises `InvalidInput` when the files are no network that runs here, or not the one of the manifest."""
        self.name, self.version = entry.name, entry.version
        self.inputs, self.outputs = entry.inputs, entry.outputs
        if entry.capabilities.stateful:
            raise InvalidInput("a model of this engine keeps no state between runs", field="capabilities.slots")
        self._net = _net(entry)
        self._gives = [spec.name for spec in entry.outputs]
        unknown = sorted(set(self._gives) - set(self._net.getLayerNames()))
        if unknown:
            ends = ", ".join(self._net.getUnconnectedOutLayersNames())
            raise InvalidInput(f"the network has no layer {unknown[0]!r}; it ends with {ends}", field="outputs")
        rows = entry.capabilities.batchable and independent(self.inputs, self.run, self.run)
        if not rows:
            self.inputs = tuple(replace(spec, shape=(spec.shape[0] or 1, *spec.shape[1:])) for spec in self.inputs)
        self.capabilities = Capabilities(batchable=rows, max_batch=entry.capabilities.max_batch if rows else 1,
                                         longest=entry.capabilities.longest)

    def warm_up(self) -> None:
        """Raises `InvalidInput` where what comes out has another shape than the manifest says."""
        made = self.run({spec.name: spec.zeros() for spec in self.inputs})
        for spec in self.outputs:
            spec.check(made[spec.name])

    def run(self, batch: Batch) -> Batch:
        """Raises `InvalidInput` for a shape that the network can't take."""
        try:
            for name, values in batch.items():
                self._net.setInput(values, name if len(batch) > 1 else "")  # one input may have any name
            made = self._net.forward(self._gives)
        except cv2.error as error:
            raise InvalidInput(f"{self.name}: {_first_line(error)}", field="inputs") from None
        return {name: np.array(values) for name, values in zip(self._gives, made, strict=True)}

    def reset(self, slot: int) -> None:
        """There is no state to forget."""

    def close(self) -> None:
        self._net = None


def _net(entry: Entry) -> Any:
    kinds = [suffix for suffix in KINDS if any(item.path.endswith(suffix) for item in entry.files)]
    if len(kinds) != 1:
        raise InvalidInput(f"{entry.name} must have one file of {', '.join(KINDS)}", field="files")
    described, needed, reader = KINDS[kinds[0]]
    files = [entry.file(kinds[0])]
    if needed or any(item.path.endswith(described) for item in entry.files):
        files.append(entry.file(described))
    try:
        net = reader(*map(_content, files))
        net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
        net.setPreferableTarget(cv2.dnn.DNN_TARGET_CPU)
    except (cv2.error, SystemError) as error:
        raise InvalidInput(f"OpenCV can't read these files: {_first_line(error)}", field="files") from None
    if net.empty():
        raise InvalidInput("OpenCV finds no layers in these files", field="files")
    return net


def _content(path: Path) -> NDArray[np.uint8]:
    return np.fromfile(path, np.uint8)  # OpenCV takes bytes as it takes a path, but not every path


def _first_line(error: BaseException) -> str:
    said = str(getattr(error, "err", "") or error).strip()
    return said.partition("\n")[0][:200] or type(error).__name__
