"""Streaming speech enhancement by an ONNX graph that is stepped spectrum by spectrum (GTCRN and its like).

The graph takes one column of a short-time Fourier transform, (1, bins, 1, 2) with real and imaginary part, and caches
of fixed shapes that begin with zeros; it gives the column enhanced and the caches for the next step, in the same
order. Window: square root of Hann, half of it a hop. Whatever its names are, the order and the shapes have to fit.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ..errors import InvalidInput
from ..inference.contract import SLOT, Batch
from ..inference.device import Device
from ..inference.loader import Entry

ERRORS_ONLY = 3  # onnxruntime's log level

Floats = NDArray[np.float32]


class StreamingEnhancer:
    """Each slot is one stream. A graph has one batch row, so streams are stepped one after another.

    `sound` (k, hop) gives `clean` (k, hop), one hop late.
    """

    def __init__(self, entry: Entry, device: Device) -> None:
        """Raises `InvalidInput` when the graph is not one of this kind, or the manifest's hop is another."""
        self.name, self.version = entry.name, entry.version
        self.inputs, self.outputs, self.capabilities = entry.inputs, entry.outputs, entry.capabilities
        self._session = _session(str(entry.file(".onnx")))
        takes, gives = self._session.get_inputs(), self._session.get_outputs()
        shapes = [tuple(argument.shape) for argument in takes]
        fixed = all(isinstance(axis, int) for shape in shapes for axis in shape)
        column = len(shapes[0]) == 4 and (shapes[0][0], shapes[0][2:]) == (1, (1, 2))
        if not fixed or not column or len(gives) != len(takes):
            raise InvalidInput(f"the graph takes {shapes}, not (1, bins, 1, 2) and caches that it gives back",
                               field="files")
        self._hop = shapes[0][1] - 1
        if [spec.name for spec in entry.inputs] != ["sound"] or entry.inputs[0].shape[1:] != (self._hop,):
            raise InvalidInput(f"the input must be sound, (hops, {self._hop})", field="inputs")
        self._names = [argument.name for argument in takes]
        self._made = [argument.name for argument in gives]
        slots = entry.capabilities.slots
        if not slots:
            raise InvalidInput("a streaming model needs slots", field="capabilities.slots")
        self._window = np.sin(np.pi * np.arange(2 * self._hop) / (2 * self._hop)).astype(np.float32)
        self._before = np.zeros((slots, self._hop), np.float32)
        self._tail = np.zeros((slots, self._hop), np.float32)
        self._caches = [np.zeros((slots, *shape), np.float32) for shape in shapes[1:]]

    def warm_up(self) -> None:
        self.run({"sound": np.zeros((1, self._hop), np.float32), SLOT: np.zeros(1, np.int64)})
        self.reset(0)

    def run(self, batch: Batch) -> Batch:
        """Rows that stand together and have the same slot are hops of one stream, in their order."""
        sound, slots = batch["sound"], batch[SLOT]
        clean = np.empty_like(sound)
        borders = [0, *(np.flatnonzero(np.diff(slots)) + 1).tolist(), len(sound)]
        for begin, end in pairwise(borders):
            for row in range(begin, end):
                clean[row] = self._step(int(slots[begin]), sound[row])
        return {self.outputs[0].name: clean}

    def _step(self, slot: int, hop: Floats) -> Floats:
        spectrum = np.fft.rfft(np.concatenate([self._before[slot], hop]) * self._window)
        self._before[slot] = hop
        column = np.stack([spectrum.real, spectrum.imag], axis=-1).astype(np.float32)[None, :, None, :]
        caches = [cache[slot] for cache in self._caches]
        enhanced, *left = self._session.run(self._made, dict(zip(self._names, [column, *caches], strict=True)))
        for cache, value in zip(self._caches, left, strict=True):
            cache[slot] = value
        wave = np.fft.irfft(enhanced[0, :, 0, 0] + 1j * enhanced[0, :, 0, 1]).astype(np.float32) * self._window
        out = self._tail[slot] + wave[: self._hop]
        self._tail[slot] = wave[self._hop :]
        return np.asarray(out, np.float32)

    def reset(self, slot: int) -> None:
        for state in (self._before, self._tail, *self._caches):
            state[slot] = 0

    def close(self) -> None:
        self._session = None


def _session(path: str) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # a step is too small to be shared out
    options.log_severity_level = ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has an exception class for each status and no base for them
        raise InvalidInput(f"onnxruntime can't run this file: {str(error).partition(chr(10))[0]}",
                           field="files") from error
