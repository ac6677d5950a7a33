"""ONNX models on onnxruntime: on the processor, or on a CUDA device where its provider is installed (unverified there).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnxruntime

from ...errors import InvalidInput
from ...inference.contract import Batch, Capabilities, TensorSpec
from ...inference.device import Device
from ...inference.loader import Entry
from ...inference.rows import independent
from .graph import external, freed
from .steady import steady

ERRORS_ONLY = 3  # onnxruntime's log level
CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64",
         "tensor(int8)": "int8", "tensor(int16)": "int16", "tensor(int32)": "int32", "tensor(int64)": "int64",
         "tensor(uint8)": "uint8", "tensor(bool)": "bool"}

Place: TypeAlias = tuple[str, int]  # kind of device, which one


class OnnxModel:
    """The model's one ``.onnx`` file, held against its manifest.

    Rows of several callers go in together when the graph leaves its first axis free. One that was exported with a
    batch of one is rewritten if its manifest calls it batchable, and stays as it is unless rows then come out as they
    did alone. Tensors in other files have to be files of the manifest, too.
    """

    def __init__(self, entry: Entry, device: Device) -> None:
        """Raises `InvalidInput` when the file is no model that runs here, or not the one of the manifest."""
        self.name, self.version = entry.name, entry.version
        self.inputs, self.outputs = entry.inputs, entry.outputs
        if entry.capabilities.stateful:
            raise InvalidInput("an ONNX model keeps no state between runs", field="capabilities.slots")
        file = entry.file(".onnx")
        elsewhere = _elsewhere(entry, file)
        self._session = _session(str(file), device)
        self._place: Place | None = _place(self._session, device)
        takes, gives = self._session.get_inputs(), self._session.get_outputs()
        _compare("inputs", entry.inputs, takes)
        _compare("outputs", entry.outputs, gives)
        self._output_names = [spec.name for spec in entry.outputs]
        rows = all(_free(argument) for argument in [*takes, *gives])
        if not rows:
            self.inputs = tuple(replace(spec, shape=tuple(_axes(argument)))
                                for spec, argument in zip(entry.inputs, _by_name(takes, entry.inputs), strict=True))
            rows = entry.capabilities.batchable and not elsewhere and self._rewritten(file, device)
        self.capabilities = Capabilities(
            batchable=rows and entry.capabilities.batchable, max_batch=entry.capabilities.max_batch if rows else 1,
            fixed_shapes=all(isinstance(axis, int) for argument in takes for axis in argument.shape[1:]),
            accelerated=self._place is not None, longest=entry.capabilities.longest, light=entry.capabilities.light,
            beside=self._place is None, steady=self._place is None and steady(file.read_bytes()))

    def _rewritten(self, file: Path, device: Device) -> bool:
        """Whether the graph takes any number of rows from now on."""
        try:
            session = _session(freed(file.read_bytes()), device)
        except InvalidInput:
            return False
        if not independent(self.inputs, self.run, lambda pair: self._answer(session, pair)):
            return False
        self._session = session
        self.inputs = tuple(replace(spec, shape=(None, *spec.shape[1:])) for spec in self.inputs)
        return True

    def warm_up(self) -> None:
        self.run({spec.name: spec.zeros() for spec in self.inputs})

    def run(self, batch: Batch) -> Batch:
        """Raises `InvalidInput` for a shape that the graph can't take."""
        return self._answer(self._session, batch)

    def _answer(self, session: Any, batch: Batch) -> Batch:
        try:
            values = (session.run(self._output_names, batch) if self._place is None else
                      bound(session, self._output_names, batch, self._place))
        except onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument as error:
            raise InvalidInput(f"{self.name}: {_first_line(error)}", field="inputs") from None
        return dict(zip(self._output_names, values, strict=True))

    def reset(self, slot: int) -> None:
        """There is no state to forget."""

    def close(self) -> None:
        self._session = None


def bound(session: Any, names: list[str], batch: Batch, place: Place) -> list[Any]:
    """A run by IO binding: inputs go to the device once, outputs stay there until all are fetched together."""
    binding = session.io_binding()
    for name, values in batch.items():
        there = onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(values), *place)
        binding.bind_ortvalue_input(name, there)
    for name in names:
        binding.bind_output(name, *place)
    session.run_with_iobinding(binding)
    found: list[Any] = binding.copy_outputs_to_cpu()
    return found


def _elsewhere(entry: Entry, file: Path) -> set[str]:
    """The other files with tensors; raises `InvalidInput` for one that the manifest doesn't list."""
    found = external(file.read_bytes())
    unlisted = sorted(found - {item.path for item in entry.files})
    if unlisted:
        raise InvalidInput(f"{file.name} has tensors in {unlisted[0][:100]}, which the manifest doesn't list",
                           field="files")
    return found


def _place(session: Any, device: Device) -> Place | None:
    return ("cuda", _number(device)) if CUDA in session.get_providers() else None


def _number(device: Device) -> int:
    return int(device.name.partition(":")[2] or 0)


def _session(model: str | bytes, device: Device) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = device.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY
    options.enable_mem_pattern = False  # it remembers a plan for every size of picture it ever saw, and gains nothing
    # a spinning worker waits for its next piece on a core that the codecs and the event loop need
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers: list[Any] = [CPU]
    if device.name.startswith("cuda") and CUDA in onnxruntime.get_available_providers():
        providers.insert(0, (CUDA, {"device_id": str(_number(device))}))
    try:
        return onnxruntime.InferenceSession(model, options, providers=providers)
    except Exception as error:  # onnxruntime has an exception class for each status and no base for them
        raise InvalidInput(f"onnxruntime can't run this file: {_first_line(error)}", field="files") from error


def _compare(what: str, specs: tuple[TensorSpec, ...], arguments: list[Any]) -> None:
    """Raises `InvalidInput` where manifest and graph differ."""
    graph = {argument.name for argument in arguments}
    named = {spec.name for spec in specs}
    if (named != graph) if what == "inputs" else not named <= graph:
        raise InvalidInput(f"the graph's {what} are {', '.join(sorted(graph))}; the manifest names "
                           f"{', '.join(sorted(named)) or 'none'}", field=what)
    for spec, argument in zip(specs, _by_name(arguments, specs), strict=True):
        dtype = TYPES.get(argument.type, argument.type)
        if dtype != spec.dtype:
            raise InvalidInput(f"{spec.name} is {dtype} in the graph, {spec.dtype} in the manifest", field=what)
        axes = _axes(argument)
        # a manifest may be narrower than its graph; a graph only on its first axis: it then takes one row at a time
        if len(axes) != len(spec.shape) or any(
                axis not in (None, wanted) and not (place == 0 and wanted is None)
                for place, (axis, wanted) in enumerate(zip(axes, spec.shape, strict=True))):
            raise InvalidInput(f"{spec.name} has the shape {argument.shape} in the graph, "
                               f"{list(spec.shape)} in the manifest", field=what)


def _by_name(arguments: list[Any], specs: tuple[TensorSpec, ...]) -> list[Any]:
    graph = {argument.name: argument for argument in arguments}
    return [graph[spec.name] for spec in specs]


def _axes(argument: Any) -> list[int | None]:
    return [axis if isinstance(axis, int) else None for axis in argument.shape]


def _free(argument: Any) -> bool:
    return bool(argument.shape) and not isinstance(argument.shape[0], int)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
