"""PaddleOCR's small networks, which lie inside the wheel of rapidocr-onnxruntime; its own code is not run.

A manifest's ``[options]`` name the ``file`` in that package and its ``sha256``.
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from ..errors import InvalidInput, Unavailable
from ..inference.contract import Batch, Capabilities
from ..inference.device import Device
from ..inference.loader import Entry
from ..vision.text import spelled

PACKAGE, FOLDER = "rapidocr_onnxruntime", "models"
LETTERS = "character"  # the key under which the reader's file lists what it can read
ERRORS_ONLY = 3  # onnxruntime's log level


class _Network:
    """One file with one input and one output, on onnxruntime's CPU provider; every run is one caller's."""

    def __init__(self, entry: Entry, device: Device) -> None:
        """Raises `Unavailable` without the wheel, `InvalidInput` when its file is not that of the manifest."""
        self.name, self.version = entry.name, entry.version
        self.inputs, self.outputs = entry.inputs, entry.outputs
        self.capabilities = Capabilities(longest=entry.capabilities.longest)
        self._session = _session(_content(entry), device.threads)
        if len(self._session.get_inputs()) != 1 or len(self._session.get_outputs()) != 1:
            raise InvalidInput("one input and one output are expected", field="options.file")
        self._takes = self._session.get_inputs()[0].name

    def warm_up(self) -> None:
        self.run({spec.name: spec.zeros() for spec in self.inputs})

    def run(self, batch: Batch) -> Batch:
        return {self.outputs[0].name: self._answer(batch)}

    def reset(self, slot: int) -> None:
        """There is no state to forget."""

    def close(self) -> None:
        self._session = None

    def _answer(self, batch: Batch) -> Any:
        return self._session.run(None, {self._takes: batch[self.inputs[0].name]})[0]


class LineFinder(_Network):
    """A picture (1, 3, h, w) in, a map (1, 1, h, w) of chances out."""


class LineReader(_Network):
    """Strips (n, 3, 48, w) in; what they say and how sure that is, out."""

    def __init__(self, entry: Entry, device: Device) -> None:
        super().__init__(entry, device)
        told = self._session.get_modelmeta().custom_metadata_map.get(LETTERS, "")
        self._letters = ["", *told.splitlines(), " "]  # the first class is none, the last a space
        classes = self._session.get_outputs()[0].shape[-1]
        if classes != len(self._letters):
            raise InvalidInput(f"the file lists {len(self._letters) - 2} letters for {classes} classes",
                               field="options.file")

    def run(self, batch: Batch) -> Batch:
        found = spelled(np.asarray(self._answer(batch), np.float32), self._letters)
        return {"texts": np.array([text for text, _ in found], object),
                "scores": np.array([score for _, score in found], np.float32)}


def _content(entry: Entry) -> bytes:
    named, digest = str(entry.options.get("file", "")), entry.options.get("sha256")
    package = find_spec(PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise Unavailable(f"{entry.name} lies in the package rapidocr-onnxruntime, which is not installed: "
                          "run `pip install rapidocr-onnxruntime`", package="rapidocr-onnxruntime")
    folder = Path(package.submodule_search_locations[0]) / FOLDER
    path = folder / named
    if path.parent != folder or not path.is_file():
        raise InvalidInput(f"rapidocr-onnxruntime carries no {path.name}", field="options.file")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise InvalidInput(f"{path.name} of rapidocr-onnxruntime is another one than {entry.name} means",
                           field="options.sha256")
    return content


def _session(content: bytes, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY
    options.enable_mem_pattern = False  # inputs have many sizes, and it would keep a plan for each
    options.enable_cpu_mem_arena = False  # it would keep the memory of the largest picture there ever was
    # a spinning worker waits for its next piece on a core that the codecs and the event loop need
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
