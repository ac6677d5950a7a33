"""What is done with a model before its first caller comes: warmed up, tried, and measured."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from ..errors import InvalidInput
from .contract import SLOT, Batch, Model

REPEATS = 3  # measurements of each batch size; the fastest counts
MEASURE_SECONDS = 0.5  # after that, nothing more is measured
IN_A_ROW = 0.03  # s of runs one after another, where two go on at once: they don't begin in the same moment


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds by batch size: of one run, and in which two runs are done that go on at once; empty where they can't."""

    alone: dict[int, float]
    beside: dict[int, float] = field(default_factory=dict)


async def measured(model: Model, thread: Callable[[Callable[[], Any]], Awaitable[Any]], *, two: bool) -> Speed:
    """Warm a model up, try it and measure it in threads beside the device's workers, which go on meanwhile; also `two`
    runs at once, in turns with single ones. Raises what `prepare` raises.
    """
    first: dict[int, float] = await thread(partial(prepare, model))
    if not two:
        return Speed(first)
    speed = Speed({}, {})
    begun = time.perf_counter()
    for _ in range(REPEATS):
        for rows, about in first.items():
            if speed.beside and time.perf_counter() - begun > MEASURE_SECONDS:
                break
            work = partial(_runs, model, rows, max(1, round(IN_A_ROW / about)))
            for count, found in ((1, speed.alone), (2, speed.beside)):
                spans = await asyncio.gather(*(thread(work) for _ in range(count)), return_exceptions=True)
                found[rows] = min(_seconds(spans), found.get(rows, float("inf")))
    return speed


def _seconds(spans: Sequence[Any]) -> float:
    """Of one run in each thread, of what `_runs` answered or raised there."""
    for each in spans:
        if isinstance(each, BaseException):
            raise each
    seconds: float = max(end for _, end, _ in spans) - min(begin for begin, _, _ in spans)
    return seconds / int(spans[0][2])


def prepare(model: Model) -> dict[int, float]:
    """Seconds of one run by batch size: 1, 2, 4... In a thread beside the device's workers.

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


def _runs(model: Model, rows: int, count: int) -> tuple[float, float, int]:
    """Begin and end (s) of so many runs one after another, while another thread does the same."""
    begun = time.perf_counter()
    for _ in range(count):
        _time(model, rows)
    return begun, time.perf_counter(), count


def _check(model: Model, outputs: Batch) -> None:
    for name, values in outputs.items():
        if values.dtype.kind == "f" and np.isnan(values).any():
            raise InvalidInput(f"{model.name} answers its example with {name} that are no numbers: its weights are "
                               "broken", field="files")
