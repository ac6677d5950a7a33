"""One run for several callers: their rows are joined, and what comes back is shared out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

import numpy as np

from .contract import SLOT, Batch, Model
from .waiting import Request

Answer: TypeAlias = tuple[list[Batch], float]  # each caller's rows; s it took

MEMORY = ("out of memory", "failed to allocate memory", "bad_alloc", "bad allocation")  # how libraries say it


class Run:
    """A batch on its way through a device; `begun` tells that the worker has come to it."""

    def __init__(self, model: Model, requests: Sequence[Request], resets: Sequence[int]) -> None:
        self.model, self.requests, self.resets = model, requests, resets
        self.begun = False

    @property
    def patience(self) -> float:
        """s after which it hangs: what the model says of its usual input, and in proportion more for a larger one."""
        shares = [sum(request.inputs[spec.name].size for request in self.requests) / max(1, math.prod(spec.usual))
                  for spec in self.model.inputs]
        return self.model.capabilities.longest * max(1.0, *shares)

    def __call__(self) -> Callable[[], Answer]:
        """On the device's worker."""
        self.begun = True
        begun = time.perf_counter()
        for slot in self.resets:
            self.model.reset(slot)
        inputs = self._inputs()
        launch = getattr(self.model, "launch", None)
        if launch is None:
            return partial(self._shared_out, self.model.run(inputs), time.perf_counter() - begun)
        return partial(self._finished, launch(inputs), begun)

    def _inputs(self) -> Batch:
        requests = self.requests
        inputs = requests[0].inputs
        if len(requests) > 1:
            inputs = {name: np.concatenate([request.inputs[name] for request in requests]) for name in inputs}
        if self.model.capabilities.stateful:
            slots = np.array([request.slot for request in requests], np.int64)
            inputs = inputs | {SLOT: np.repeat(slots, [request.rows for request in requests])}
        return inputs

    def _finished(self, finish: Callable[[], Batch], begun: float) -> Answer:
        outputs = finish()
        return self._shared_out(outputs, time.perf_counter() - begun)

    def _shared_out(self, outputs: Batch, seconds: float) -> Answer:
        requests = self.requests
        if len(requests) == 1:
            return [outputs], seconds
        rows = sum(request.rows for request in requests)
        for name, array in outputs.items():
            if len(array) != rows:
                raise ValueError(f"{name} has {len(array)} rows for {rows} of input")
        ends = np.cumsum([request.rows for request in requests])
        return [{name: array[end - request.rows : end] for name, array in outputs.items()}
                for request, end in zip(requests, ends, strict=True)], seconds


def out_of_memory(error: BaseException) -> bool:
    said = str(error).lower()
    return isinstance(error, MemoryError) or any(words in said for words in MEMORY)
