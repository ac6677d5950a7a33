"""TFLite models on LiteRT's CPU kernels (XNNPACK): MediaPipe's, or those of a manifest's own ``.tflite`` file."""

from __future__ import annotations

import hashlib

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from ..errors import InvalidInput
from ..inference.contract import Batch, Capabilities, TensorSpec
from ..inference.device import Device
from ..inference.loader import Entry
from ..weights import npm


class LiteRtModel:
    """One file, held against its manifest. Its axes are fixed, so every run is one caller's."""

    def __init__(self, entry: Entry, device: Device) -> None:
        """Raises `InvalidInput` when the file is no model that runs here, or not the one of the manifest.

        Raises `Unavailable` when it lies in an npm package that is not installed.
        """
        self.name, self.version = entry.name, entry.version
        self.inputs, self.outputs = entry.inputs, entry.outputs
        if entry.capabilities.stateful or entry.capabilities.batchable:
            raise InvalidInput("a TFLite model here takes one row and keeps no state", field="capabilities")
        self.capabilities = Capabilities(fixed_shapes=True, light=entry.capabilities.light,
                                         longest=entry.capabilities.longest)
        # light models share a worker whose runs must stay short for the others: more threads would only wait there
        threads = 1 if entry.capabilities.light else device.threads
        self._interpreter = _interpreter(_content(entry), threads)
        self._takes = _compare("inputs", entry.inputs, self._interpreter.get_input_details())
        self._gives = _compare("outputs", entry.outputs, self._interpreter.get_output_details())

    def warm_up(self) -> None:
        self.run({spec.name: spec.zeros() for spec in self.inputs})

    def run(self, batch: Batch) -> Batch:
        for name, index in self._takes.items():
            self._interpreter.set_tensor(index, batch[name])
        self._interpreter.invoke()
        return {name: np.asarray(self._interpreter.get_tensor(index)) for name, index in self._gives.items()}

    def reset(self, slot: int) -> None:
        """There is no state to forget."""

    def close(self) -> None:
        self._interpreter = None


def _content(entry: Entry) -> bytes:
    wanted = entry.npm
    if wanted is None:
        return entry.file(".tflite").read_bytes()
    content = npm.read(wanted.package, wanted.version, wanted.path, wanted.member)
    if hashlib.sha256(content).hexdigest() != wanted.sha256:
        raise InvalidInput(f"{wanted.path} of {wanted.package} is another one than that of {wanted.version}, which "
                           f"{entry.name} means", field="npm")
    return content


def _interpreter(content: bytes, threads: int) -> Interpreter:
    try:
        interpreter = Interpreter(model_content=content, num_threads=threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise InvalidInput(f"LiteRT can't run this file: {str(error).strip().partition(chr(10))[0]}",
                           field="files") from None
    return interpreter


def _compare(what: str, specs: tuple[TensorSpec, ...], details: list[dict[str, object]]) -> dict[str, int]:
    """The file's index of every tensor of the manifest; raises `InvalidInput` where the two differ."""
    found = {str(detail["name"]): detail for detail in details}
    named = {spec.name for spec in specs}
    if (named != set(found)) if what == "inputs" else not named <= set(found):
        raise InvalidInput(f"the file's {what} are {', '.join(sorted(found))}; the manifest names "
                           f"{', '.join(sorted(named)) or 'none'}", field=what)
    for spec in specs:
        shape = tuple(int(axis) for axis in np.asarray(found[spec.name]["shape"]))
        dtype = np.dtype(found[spec.name]["dtype"]).name  # type: ignore[call-overload]
        if (shape, dtype) != (spec.shape, spec.dtype):
            raise InvalidInput(f"{spec.name} is {dtype} {list(shape)} in the file, {spec.dtype} {list(spec.shape)} "
                               "in the manifest", field=what)
    return {spec.name: int(str(found[spec.name]["index"])) for spec in specs}
