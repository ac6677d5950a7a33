"""What a model is: named tensors in, named tensors out, and what it can do.

Every tensor of a batchable model has its rows on the first axis; a caller sends one row or several, and the
engine puts the rows of several callers together. A stateful model keeps one state for each slot and finds,
beside its own inputs, which row belongs to which slot under the name `SLOT`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidInput

Batch: TypeAlias = dict[str, NDArray[Any]]

SLOT = "slot"  # int64 (n,): the slot of each row, given to stateful models by the engine
LONGEST = 5.0  # s
USUAL = 8  # length of a free axis in an example when the model does not say


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output. `shape` has None for free axes; `example` is a usual shape, to warm up with."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str = "float32"
    unit: str = ""  # for people: "RGB, 0 to 1", "Hz", "log mel energy"
    example: tuple[int, ...] | None = None

    def check(self, array: object) -> None:
        """Raises `InvalidInput` naming this tensor and what is wrong with it."""
        if not isinstance(array, np.ndarray):
            raise InvalidInput(f"{self.name} must be an array", field=self.name)
        if array.dtype != np.dtype(self.dtype):
            raise InvalidInput(f"{self.name} must be {self.dtype}, not {array.dtype}", field=self.name)
        if not self._fits(array.shape):
            wanted = "×".join("any" if axis is None else str(axis) for axis in self.shape)
            given = "×".join(map(str, array.shape)) or "a scalar"
            raise InvalidInput(f"{self.name} must have the shape {wanted}, not {given}", field=self.name)

    def _fits(self, shape: tuple[int, ...]) -> bool:
        if len(shape) != len(self.shape):
            return False
        for size, wanted in zip(shape, self.shape, strict=True):
            if size == 0 or (wanted is not None and wanted != size):
                return False
        return True

    @property
    def usual(self) -> tuple[int, ...]:
        return self.example or tuple(USUAL if axis is None else axis for axis in self.shape)

    def zeros(self, rows: int | None = None) -> NDArray[Any]:
        """An example of this tensor; with `rows`, that many on its first axis."""
        return np.zeros(self.usual if rows is None else (rows, *self.usual[1:]), self.dtype)


@dataclass(frozen=True, slots=True)
class Capabilities:
    batchable: bool = False  # rows of several callers may go in together
    max_batch: int = 1  # rows in one run
    fixed_shapes: bool = False  # every axis but the first is fixed
    slots: int = 0  # states it can hold at once; 0: it keeps none
    light: bool = False  # a run takes about a millisecond: it gets a worker that long runs don't hold up
    accelerated: bool = False  # it runs on the engine's accelerator; others on the processor
    longest: float = LONGEST  # s of a run on input of the usual size; one that takes longer hangs
    beside: bool = False  # `run` may be called while another one is under way, in another thread; it keeps no states
    apart: bool = False  # it runs in a process of its own, which nobody else has to wait for
    steady: bool = False  # how long a run takes follows from the shape of its input alone, whatever is in it

    @property
    def stateful(self) -> bool:
        return self.slots > 0


class Model(Protocol):
    """Built, warmed up and measured in a thread beside the others; from then on its methods are called on its device's
    worker. They may take their time, one call at a time; of `run` also several, where the model says so (`beside`).
    """

    name: str
    version: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    capabilities: Capabilities

    def warm_up(self) -> None:
        """Run once on example input, so that the first caller does not pay for it."""
        ...

    def run(self, batch: Batch) -> Batch: ...

    def reset(self, slot: int) -> None:
        """Forget the state of a slot; does nothing in a model without states."""
        ...

    def close(self) -> None: ...


class Launcher(Model, Protocol):
    """A model whose device has a time of its own: the next run can be begun while this one is on its way."""

    def launch(self, batch: Batch) -> Callable[[], Batch]:
        """Begin a run and don't wait for it; what is answered does, in another thread."""
        ...


def check_inputs(model: Model, inputs: Batch) -> int:
    """The rows in `inputs` (1 for a model that takes no batches); raises `InvalidInput` naming the tensor."""
    specs = model.inputs
    if len(inputs) != len(specs) or not all(spec.name in inputs for spec in specs):
        raise InvalidInput(f"{model.name} takes the inputs {', '.join(sorted(spec.name for spec in specs))}; "
                           f"given: {', '.join(sorted(inputs)) or 'none'}", field="inputs")
    for spec in specs:
        spec.check(inputs[spec.name])
    if not model.capabilities.batchable:
        return 1
    count = inputs[specs[0].name].shape[0]
    if any(array.shape[0] != count for array in inputs.values()):
        rows = sorted({array.shape[0] for array in inputs.values()})
        raise InvalidInput(f"the inputs of {model.name} differ in rows: {rows}", field="inputs")
    if count > model.capabilities.max_batch:
        raise InvalidInput(f"{model.name} takes at most {model.capabilities.max_batch} rows, not {count}",
                           field="inputs")
    return int(count)
