"""Silero's voice activity detector: the ONNX file that faster-whisper carries, stepped for many streams.

The graph takes windows of 512 samples with the 64 before them, and an LSTM's state of shape (1, 1, 128): its
first axis is time, so one run is one stream. A run takes about 0.1 ms; streams are stepped one after another.
"""

from __future__ import annotations

from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ..errors import InvalidInput
from ..inference.contract import SLOT, Batch
from ..inference.device import Device
from ..inference.loader import Entry

WINDOW = 512  # samples at 16 kHz
CONTEXT = 64  # samples before a window that the graph wants to see, too
STATE = (1, 1, 128)
ERRORS_ONLY = 3  # onnxruntime's log level

Floats = NDArray[np.float32]


class SileroVad:
    """Each slot is one stream with the sound before its next window and the network's state."""

    def __init__(self, entry: Entry, device: Device) -> None:
        """Raises `InvalidInput` when faster-whisper's file is missing or another one than this is written for."""
        self.name, self.version = entry.name, entry.version
        self.inputs, self.outputs, self.capabilities = entry.inputs, entry.outputs, entry.capabilities
        self._session = _session(weights())
        takes = {argument.name: list(argument.shape) for argument in self._session.get_inputs()}
        if set(takes) != {"input", "h", "c"} or takes["input"][1:] != [WINDOW + CONTEXT] or takes["h"] != list(STATE):
            raise InvalidInput(f"this faster-whisper carries another Silero: it takes {takes}", field="files")
        slots = entry.capabilities.slots
        self._before = np.zeros((slots, CONTEXT), np.float32)
        self._h = np.zeros((slots, *STATE), np.float32)
        self._c = np.zeros((slots, *STATE), np.float32)

    def warm_up(self) -> None:
        self.run({"sound": np.zeros((1, WINDOW), np.float32), SLOT: np.zeros(1, np.int64)})
        self.reset(0)

    def run(self, batch: Batch) -> Batch:
        """Rows that stand together and have the same slot are windows of one stream, in their order."""
        sound, slots = batch["sound"], batch[SLOT]
        found = np.empty(len(sound), np.float32)
        borders = [0, *(np.flatnonzero(np.diff(slots)) + 1).tolist(), len(sound)]
        for begin, end in pairwise(borders):
            found[begin:end] = self._step(int(slots[begin]), sound[begin:end])
        return {"probability": found}

    def _step(self, slot: int, windows: Floats) -> Floats:
        tails = np.concatenate([self._before[slot][None], windows[:, -CONTEXT:]])
        takes = {"input": np.concatenate([tails[:-1], windows], axis=1), "h": self._h[slot], "c": self._c[slot]}
        probability, self._h[slot], self._c[slot] = self._session.run(["speech_probs", "hn", "cn"], takes)
        self._before[slot] = tails[-1]
        return np.asarray(probability, np.float32)

    def reset(self, slot: int) -> None:
        for state in (self._before, self._h, self._c):
            state[slot] = 0

    def close(self) -> None:
        self._session = None


def weights() -> Path:
    """The file inside faster-whisper, found without importing that; raises `InvalidInput`."""
    found = find_spec("faster_whisper")
    folder = Path(found.origin).parent / "assets" if found is not None and found.origin else None
    files = sorted(folder.glob("silero_vad*.onnx")) if folder is not None else []
    if not files:
        raise InvalidInput("faster-whisper, which carries Silero's file, is not installed", field="files")
    return files[-1]


def _session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY
    options.enable_mem_pattern = False  # windows come in any number
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
