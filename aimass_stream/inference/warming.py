"""What is done with a model before its first caller comes: warmed up, tried, and measured."""

from __future__ import annotations

import time

import numpy as np

from ..errors import InvalidInput
from .contract import SLOT, Batch, Model

REPEATS = 3  # runs of each batch size when a model is measured; the fastest counts
MEASURE_SECONDS = 0.5  # after that, nothing more is measured


def prepare(model: Model) -> dict[int, float]:
    """Seconds of one run by batch size: 1, 2, 4... In a thread beside the device's worker, which goes on meanwhile.

    All sizes are tried, for gains are not even: two rows of a perceptron cost four times as much as one
    on a CPU (another kernel), and eight no more than two. Sizes take turns, so that what else happens on the machine
    happens to all of them. Raises `InvalidInput` when the model answers its example with what are no numbers.
    """
    model.warm_up()
    can = model.capabilities
    most = min(can.max_batch, can.slots or can.max_batch) if can.batchable else 1
    sizes = [2**power for power in range(most.bit_length())]
    measured: dict[int, float] = {}
    begun = time.perf_counter()
    for _ in range(REPEATS):
        for size in sizes:
            if measured and time.perf_counter() - begun > MEASURE_SECONDS:
                break
            measured[size] = min(_time(model, size), measured.get(size, float("inf")))
    for slot in range(min(can.slots, most)):
        model.reset(slot)
    return measured


def _time(model: Model, rows: int) -> float:
    batch = {spec.name: spec.zeros(rows if model.capabilities.batchable else None) for spec in model.inputs}
    if model.capabilities.stateful:
        batch[SLOT] = np.arange(rows, dtype=np.int64)
    begun = time.perf_counter()
    outputs = model.run(batch)
    seconds = time.perf_counter() - begun
    _check(model, outputs)
    return seconds


def _check(model: Model, outputs: Batch) -> None:
    for name, values in outputs.items():
        if values.dtype.kind == "f" and np.isnan(values).any():
            raise InvalidInput(f"{model.name} answers its example with {name} that are no numbers: its weights are "
                               "broken", field="files")
