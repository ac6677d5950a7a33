"""ONNX models on onnxruntime's CPU provider."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import onnxruntime

from ..errors import InvalidInput
from ..inference.contract import Batch, Capabilities, TensorSpec
from ..inference.device import Device
from ..inference.loader import Entry

ERRORS_ONLY = 3  # onnxruntime's log level
TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64",
         "tensor(int8)": "int8", "tensor(int16)": "int16", "tensor(int32)": "int32", "tensor(int64)": "int64",
         "tensor(uint8)": "uint8", "tensor(bool)": "bool"}


class OnnxModel:
    """The model's one ``.onnx`` file, held against its manifest.

    Rows of several callers go in together only when the graph itself leaves its first axis free: a file that
    was exported with a batch of one stays at one, whatever its manifest says.
    """

    def __init__(self, entry: Entry, device: Device) -> None:
        """Raises `InvalidInput` when the file is no model that runs here, or not the one of the manifest."""
        self.name, self.version = entry.name, entry.version
        self.inputs, self.outputs = entry.inputs, entry.outputs
        if entry.capabilities.stateful:
            raise InvalidInput("an ONNX model keeps no state between runs", field="capabilities.slots")
        self._session = _session(str(entry.file(".onnx")), device.threads)
        takes, gives = self._session.get_inputs(), self._session.get_outputs()
        _compare("inputs", entry.inputs, takes)
        _compare("outputs", entry.outputs, gives)
        free = all(_free(argument) for argument in [*takes, *gives])
        if not free:
            self.inputs = tuple(replace(spec, shape=tuple(_axes(argument)))
                                for spec, argument in zip(entry.inputs, _by_name(takes, entry.inputs), strict=True))
        self.capabilities = Capabilities(
            batchable=free and entry.capabilities.batchable,
            max_batch=entry.capabilities.max_batch if free else 1,
            fixed_shapes=all(isinstance(axis, int) for argument in takes for axis in argument.shape[1:]))
        self._output_names = [spec.name for spec in entry.outputs]

    def warm_up(self) -> None:
        self.run({spec.name: spec.zeros() for spec in self.inputs})

    def run(self, batch: Batch) -> Batch:
        """Raises `InvalidInput` for a shape that the graph can't take."""
        try:
            values = self._session.run(self._output_names, batch)
        except onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument as error:
            raise InvalidInput(f"{self.name}: {_first_line(error)}", field="inputs") from None
        return dict(zip(self._output_names, values, strict=True))

    def reset(self, slot: int) -> None:
        """There is no state to forget."""

    def close(self) -> None:
        self._session = None


def _session(path: str, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY
    options.enable_mem_pattern = False  # it remembers a plan for every size of picture it ever saw, and gains nothing
    # a spinning worker waits for its next piece on a core that the codecs and the event loop need
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
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
