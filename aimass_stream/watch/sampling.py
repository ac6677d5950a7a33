"""A few inputs a second of each version, cut down to some hundred numbers: the loop pays microseconds for it.

What a table's columns, a picture, a text or any other tensor is described by are its features, each one number or many
for each input that was looked at.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from ..inference import Batch
from .histogram import Values

log = logging.getLogger(__name__)

RATE = 4.0  # a second, of one version
WAITING = 1024  # samples between two writings, of all versions
IDLE = 60.0  # s after which a version that is not asked is forgotten here
ROWS = 16  # of a table or of texts
COLUMNS = 32  # of what counts as a table
SIDE = 12  # px of a picture, in each direction
VALUES = 256  # of any other tensor
SMALLEST = 8  # px of a picture's sides
CHANNELS = (1, 3, 4)

Kind: TypeAlias = Literal["table", "picture", "text", "tensor"]


@dataclass(frozen=True, slots=True)
class Taken:
    """Of one input: rows by columns of a table, px by channels of a picture, lengths, or just values."""

    name: str
    kind: Kind
    values: np.ndarray[Any, Any]


class Sampler:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due: dict[str, float] = {}  # when the next one of a version may be taken
        self._waiting: deque[tuple[str, list[Taken]]] = deque(maxlen=WAITING)
        self.taken = self.left_out = 0  # since they were asked for

    def answered(self, model: str, inputs: Batch, _: Batch) -> None:
        """For `Engine.answered`; the model as the engine calls it."""
        now = self._clock()
        if now < self._due.get(model, 0.0):
            self.left_out += 1
            return
        self._due[model] = now + 1 / RATE
        if len(self._waiting) == WAITING:
            self.left_out += 1
            return
        try:
            found = [taken for name, array in inputs.items() if (taken := _take(name, array)) is not None]
        except Exception:  # whoever asked the model has nothing to do with this
            log.exception("an input of %s could not be looked at", model)
            return
        if found:
            self.taken += 1
            self._waiting.append((model, found))

    def take(self) -> dict[str, list[list[Taken]]]:
        """What came since the last time, by version."""
        found: dict[str, list[list[Taken]]] = {}
        while self._waiting:
            model, taken = self._waiting.popleft()
            found.setdefault(model, []).append(taken)
        now = self._clock()
        self._due = {model: due for model, due in self._due.items() if now - due < IDLE}
        return found


def _take(name: str, array: np.ndarray[Any, Any]) -> Taken | None:
    """A copy of some of it: what the caller does with its own from now on does not matter."""
    if not array.size:
        return None
    if array.dtype.kind in "OSU":
        return _lengths(name, array)
    if array.dtype.kind not in "fiub":
        return None
    shape = array.shape
    if array.ndim == 0 or (array.ndim == 1 and shape[0] <= ROWS):
        return Taken(name, "table", array.reshape(-1, 1).copy())
    if array.ndim == 2 and shape[1] <= COLUMNS:
        return Taken(name, "table", array[:ROWS].copy())
    if array.ndim >= 3:
        picture = array[0] if array.ndim == 4 else array
        if picture.ndim == 3:
            if picture.shape[2] in CHANNELS and min(picture.shape[:2]) >= SMALLEST:
                return Taken(name, "picture", _grid(picture).reshape(-1, picture.shape[2]))
            # of three axes, a first one of 1 is a row of something
            if picture.shape[0] in CHANNELS[array.ndim == 3 :] and min(picture.shape[1:]) >= SMALLEST:
                return Taken(name, "picture", _grid(picture.transpose(1, 2, 0)).reshape(-1, picture.shape[0]))
    if not array.flags.c_contiguous:
        array = array[0]  # a row of it, which is copied where it lies scattered, too
        if array.size > 1 << 16:
            return None
    return Taken(name, "tensor", array.reshape(-1)[:: math.ceil(array.size / VALUES)].copy())


def _grid(picture: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    high, wide = picture.shape[:2]
    return picture[:: math.ceil(high / SIDE), :: math.ceil(wide / SIDE)].copy(order="C")


def _lengths(name: str, array: np.ndarray[Any, Any]) -> Taken | None:
    lengths = [len(each) for each in array.reshape(-1)[:ROWS] if isinstance(each, str | bytes)]
    return Taken(name, "text", np.array(lengths, np.float64)) if lengths else None


def features(samples: Iterable[Iterable[Taken]]) -> dict[str, Values]:
    """The values of each feature by its name. Takes a while: in a thread."""
    parts: dict[str, list[Values]] = {}
    for taken in samples:
        for each in taken:
            values = each.values.astype(np.float64)
            for name, what in _described(each.name[:64], each.kind, values):
                parts.setdefault(name, []).append(np.atleast_1d(what))
    return {name: np.concatenate(found) for name, found in parts.items()}


def _described(name: str, kind: Kind, values: Values) -> Iterable[tuple[str, Any]]:
    if kind == "table":
        for column in range(values.shape[1]):
            yield name if values.shape[1] == 1 else f"{name}[{column}]", values[:, column]
        return
    if kind == "text":
        yield f"{name}.length", values
        return
    with np.errstate(all="ignore"):  # what is not a number shows as missing
        if kind == "picture":
            yield f"{name}.brightness", values.mean()
            yield f"{name}.contrast", values.mean(1).std()
            for channel in range(values.shape[1]):
                yield f"{name}.channel{channel}", values[:, channel]
        else:
            yield name, values
            yield f"{name}.mean", values.mean()
            yield f"{name}.spread", values.std()
