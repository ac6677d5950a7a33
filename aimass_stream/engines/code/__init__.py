"""Models that are code: TorchScript, exported programs (.pt2), pickles of torch and of scikit-learn.

Here is but a proxy: the model runs in a cell, a child without network, files or rights (`sandbox.cells`). Nothing is
believed of what comes back: numbers, names, shapes and sizes are checked, and no answer is waited for longer than the
manifest's `longest` says. A child that ends is started again after a while, some times; a fault costs its own callers
an error, and others nothing.

::

    engine = "aimass_stream.engines.code:CodeModel"
    [options]
    format = "torchscript"      # pt2, pickle, skops
    file = "model.pt"
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InvalidInput, ModelFailed, SandboxError, Unavailable
from ...inference.contract import Batch, Capabilities, TensorSpec
from ...inference.device import Device
from ...inference.loader import Entry
from ...sandbox.cells import Cell, CellLimits
from .fates import FATES
from .wire import ask, heard

log = logging.getLogger(__name__)

RUNNER = Path(__file__).with_name("runner.py")
FORMATS = ("torchscript", "pt2", "pickle", "skops")
LIMITS = CellLimits()
LOADING = 120.0  # s that imports and the model's loading may take
MEMORY, TIMES = 2 << 30, 4  # bytes that it may have besides its libraries, and so many times its files' size
SHARE = 0.8  # of the time that the engine waits for a run: so that this end is the first to notice


class CodeModel:
    """Inputs go in the manifest's order, and so do outputs. What the manifest leaves open, the model's file tells."""

    def __init__(self, entry: Entry, device: Device) -> None:
        """Raises `InvalidInput` for a file that can't be run, `Unavailable` where nothing can be closed off."""
        self.name, self.version = entry.name, entry.version
        if entry.capabilities.stateful:
            raise InvalidInput("a model that is code keeps no state between runs", field="capabilities.slots")
        self.capabilities: Capabilities = replace(entry.capabilities, fixed_shapes=False, light=False, apart=True)
        self._entry, self._threads = entry, device.threads
        self._lock = threading.Lock()
        self._cell: Cell | None = None
        self._starting: Cell | None = None
        self._closed, self._over = threading.Event(), ""
        self.inputs, self.outputs = entry.inputs, entry.outputs
        FATES.admit(self.name)
        self._opened = ExitStack()  # for as long as it may be started again
        self._files = {each.path: self._opened.enter_context((entry.folder / each.path).open("rb"))
                       for each in entry.files}
        try:
            told = self._start()
        except SandboxError as error:
            FATES.ended(self.name)
            self.close()
            raise InvalidInput(f"it could not be loaded: {error.detail}", field="files") from None
        except BaseException:
            self.close()
            raise
        self.inputs = entry.inputs or _specs(told.get("inputs"), "inputs")
        self.outputs = entry.outputs or _specs(told.get("outputs"), "outputs")
        self.ways = [str(each)[:40] for each in told.get("ways") or ()]
        labels = entry.options.get("labels") or told.get("labels")
        self.labels = [str(each)[:200] for each in labels[:10_000]] if isinstance(labels, list) else []
        if not self.inputs:
            self.close()
            raise InvalidInput("its file does not tell what it takes: say its inputs", field="manifest.inputs")

    # the child -------------------------------------------------------------------------------------

    def _start(self) -> dict[str, Any]:
        """Raises `SandboxError`, `InvalidInput` and `Unavailable`."""
        entry, options = self._entry, self._entry.options
        if options.get("format") not in FORMATS:
            raise InvalidInput(f"format is one of {', '.join(FORMATS)}", field="options.format")
        if options.get("file") not in self._files:
            raise InvalidInput("file names the model among the files", field="options.file")
        sizes = {each.path: each.size for each in entry.files}
        with self._lock:  # while it is held nobody closes the files, whose numbers would become another's
            if self._closed.is_set():
                raise Unavailable(f"{self.name} was closed")
            numbers = {path: file.fileno() for path, file in self._files.items()}
            told = {"format": options["format"], "file": options["file"], "threads": self._threads,
                    "files": [{"path": path, "size": sizes[path], "number": numbers[path]} for path in numbers],
                    "memory_bytes": MEMORY + TIMES * sum(sizes.values())}
            cell = self._starting = Cell(RUNNER, told, LIMITS, list(numbers.values()), self.name)
        try:
            said, _ = heard(cell, time.monotonic() + LOADING, most=0)
            if "error" in said:
                raise InvalidInput(f"it could not be loaded: {said['error']}", field="files")
        except BaseException:
            cell.close()
            raise
        cell.rest()
        with self._lock:
            self._starting = None
            if not self._closed.is_set():
                self._cell = cell
                return said
        cell.close()
        raise Unavailable(f"{self.name} was closed")

    def _lost(self, cell: Cell, why: str) -> None:
        """The child is of no use any more: another takes its place after a while."""
        with self._lock:
            if self._cell is not cell:
                return
            self._cell = None
        cell.close()
        FATES.ended(self.name)
        log.warning("the process of model %s is ended: %s", self.name, why)
        threading.Thread(target=self._again, name=f"aimass-again-{self.name}", daemon=True).start()

    def _again(self) -> None:
        while not self._closed.is_set():
            wait = FATES.wait(self.name)
            if wait is None:
                self._over = f"{self.name} ended too often: it is not started any more for now"
                return
            if self._closed.wait(wait):
                return
            try:
                self._start()
                return
            except Unavailable as error:
                self._over = error.detail
                return
            except (SandboxError, InvalidInput) as error:
                FATES.ended(self.name)
                log.warning("model %s does not start again: %s", self.name, error)

    # runs ------------------------------------------------------------------------------------------

    def warm_up(self) -> None:
        made = self.run({spec.name: spec.zeros() for spec in self.inputs})
        for spec in self.outputs:
            spec.check(made[spec.name])

    def run(self, batch: Batch) -> Batch:
        """Raises `InvalidInput` for what the model refuses, `ModelFailed` for what it does wrong, and `Unavailable`
        while it is being started again."""
        cell = self._cell
        if cell is None:
            if self._over:
                raise ModelFailed(self._over)
            wait = FATES.wait(self.name) or 0.0
            raise Unavailable(f"{self.name} has ended and is being started again", retry_after=1 + round(wait))
        values = [batch[spec.name] for spec in self.inputs]
        deadline = time.monotonic() + SHARE * self._patience(batch)
        try:
            cell.wake()
            ask(cell, values, deadline)
            said, made = heard(cell, deadline)
            cell.rest()
        except SandboxError as error:
            self._lost(cell, error.detail)
            raise ModelFailed(f"{self.name}: {error.detail}; it is being started again") from None
        if "error" in said:
            kind = InvalidInput if said.get("kind") == "input" else ModelFailed
            raise kind(f"{self.name}: {said['error']}")
        return self._checked(made, len(values[0]) if values[0].ndim else 1)

    def _patience(self, batch: Batch) -> float:
        shares = (batch[spec.name].size / max(1, int(np.prod(spec.usual))) for spec in self.inputs)
        return self.capabilities.longest * max(1.0, *shares)

    def _checked(self, made: list[np.ndarray[Any, Any]], rows: int) -> Batch:
        """Outputs by name. Raises `ModelFailed` for what is not as the manifest says."""
        if not self.outputs:  # the first run tells
            free = self.inputs[0].shape[0] is None
            self.outputs = tuple(TensorSpec(
                "output" if len(made) == 1 else f"output_{number}",
                tuple(None if not place and free and length == rows else length
                      for place, length in enumerate(each.shape)), str(each.dtype)) for number, each in enumerate(made))
        if len(made) != len(self.outputs):
            raise ModelFailed(f"{self.name} gives {len(made)} outputs; {len(self.outputs)} are those of its manifest")
        found = {spec.name: values for spec, values in zip(self.outputs, made, strict=True)}
        for spec in self.outputs:
            try:
                spec.check(found[spec.name])
            except InvalidInput as error:
                raise ModelFailed(f"{self.name} gives what its manifest does not say: {error.detail}") from None
            if self.capabilities.batchable and len(found[spec.name]) != rows:
                raise ModelFailed(f"{self.name} gives {len(found[spec.name])} rows for {rows}")
        return found

    def reset(self, slot: int) -> None:
        """There is no state to forget."""

    def close(self) -> None:
        """The child is killed, also one that is just being started."""
        self._closed.set()
        with self._lock:
            cells, self._cell = [self._cell, self._starting], None
            self._opened.close()
        for cell in cells:
            if cell is not None:
                cell.close()


def _specs(told: Any, field: str) -> tuple[TensorSpec, ...]:
    """Of what the child says of its model, which may be anything."""
    if not isinstance(told, list):
        return ()
    found = []
    for each in told[:64]:
        shape = each.get("shape") if isinstance(each, dict) else None
        if not isinstance(shape, list) or not isinstance(each.get("name"), str) or len(shape) > 8:
            raise InvalidInput(f"what the file says of its {field} can't be read", field="files")
        axes = tuple(axis if type(axis) is int and 0 < axis < 1 << 31 else None for axis in shape)
        example = tuple(axis for axis in each.get("example") or () if type(axis) is int and 0 < axis < 1 << 31)
        found.append(TensorSpec(each["name"][:64], axes, str(each.get("dtype", "float32"))[:16],
                                str(each.get("unit", ""))[:64], example if len(example) == len(axes) else None))
    return tuple(found)


__all__ = ["CodeModel"]
