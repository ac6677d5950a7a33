"""Pickles as joblib writes them: the numbers of arrays lie between their steps, so that nobody else can read on.

Their steps are followed with inert stand-ins for whatever they name, and nothing of it is called. For the sandbox.
"""

from __future__ import annotations

import math
import pickle
from typing import IO, Any, ClassVar

import numpy as np

from ...errors import InvalidInput
from .pickles import acts

MARK = b"joblib.numpy_pickle"
WRAPPER = "joblib.numpy_pickle.NumpyArrayWrapper"
MOST = 2_000_000  # stand-ins
NESTED = 16


class _Stand:
    """In place of anything that a pickle names, and of what would be made by it."""

    said = ""

    def __init__(self, *given: Any, **_: Any) -> None:
        self.given = given
        self.state: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        self.state = state if isinstance(state, dict) else {}

    def _nothing(self, *_: Any) -> None:
        return None

    append = extend = add = update = __setitem__ = _nothing


class _Reader(pickle._Unpickler):
    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)

    def __init__(self, file: IO[bytes], named: set[str], depth: int = 0) -> None:
        super().__init__(file, encoding="latin-1")
        self._named, self._from, self._depth = named, file, depth

    def find_class(self, module: str, name: str) -> Any:
        self._named.add(f"{module}.{name}")
        if len(self._named) > MOST:
            raise pickle.UnpicklingError("it names too much")
        return type("Stand", (_Stand,), {"said": f"{module}.{name}"})

    def persistent_load(self, pid: Any) -> Any:
        return _Stand()

    def get_extension(self, code: int) -> None:
        raise pickle.UnpicklingError("it has extensions")

    def load_build(self) -> None:
        pickle._Unpickler.load_build(self)  # type: ignore[attr-defined]
        stand = self.stack[-1]  # type: ignore[attr-defined]
        if isinstance(stand, _Stand) and stand.said == WRAPPER:
            self._skip(stand.state)

    dispatch[pickle.BUILD[0]] = load_build

    def _skip(self, told: dict[str, Any]) -> None:
        """The numbers of an array; where it has objects, a pickle of its own is in their place."""
        kind = np.dtype(str(told["dtype"].given[0]))
        if kind.hasobject:
            if self._depth >= NESTED:
                raise pickle.UnpicklingError("its arrays lie too deep in each other")
            _Reader(self._from, self._named, self._depth + 1).load()
            return
        if told.get("numpy_array_alignment_bytes") is not None:
            self._from.seek(self._from.read(1)[0], 1)
        self._from.seek(kind.itemsize * math.prod(map(int, told["shape"])), 1)


def calls(file: IO[bytes]) -> list[str]:
    """What it names, as `pickles.calls`. Raises `InvalidInput`."""
    named: set[str] = set()
    try:
        _Reader(file, named).load()
    except Exception as error:  # a broken pickle raises whatever its steps lead to
        raise InvalidInput(f"the pickle is broken: {type(error).__name__}: {str(error)[:100]}", field="files") from None
    return sorted(named, key=lambda name: (not acts(name), name))
