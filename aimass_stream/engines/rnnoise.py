"""RNNoise (Valin, 2018), the library that the package pyrnnoise carries, called directly.

That package's own modules would bring a plotting library into the process; its shared object is all that is used.
"""

from __future__ import annotations

import ctypes
import functools
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import Unavailable

RATE = 48_000  # Hz
HOP = 480  # samples
DELAY = 960  # samples: a hop of overlap and one of look-ahead; measured
FULL = 32768.0  # the library takes floats in the range of int16

FLOATS = ctypes.POINTER(ctypes.c_float)


class RnNoise:
    """One channel at 48 kHz in hops of 10 ms, which take about 0.3 ms each; the interpreter is free meanwhile."""

    rate, hop, delay = RATE, HOP, DELAY

    def __init__(self) -> None:
        """Raises `Unavailable`."""
        self._library = _library()
        self._state = self._library.rnnoise_create(None)

    def clean(self, hops: NDArray[np.float32]) -> NDArray[np.float32]:
        """(k, 480) in, (k, 480) out, 960 samples late; -1 to 1."""
        takes, gives = np.ascontiguousarray(hops * FULL, np.float32), np.empty(hops.shape, np.float32)
        for given, made in zip(takes, gives, strict=True):
            self._library.rnnoise_process_frame(self._state, made.ctypes.data_as(FLOATS), given.ctypes.data_as(FLOATS))
        return np.asarray(gives / FULL, np.float32)

    def close(self) -> None:
        state, self._state = self._state, None
        if state is not None:
            self._library.rnnoise_destroy(state)


def available() -> bool:
    return _file() is not None


def _file() -> Path | None:
    found = find_spec("pyrnnoise")  # looks for it without importing it
    if found is None or not found.origin:
        return None
    names = ("librnnoise.so", "librnnoise.dylib", "rnnoise.dll")
    return next((path for name in names if (path := Path(found.origin).parent / name).is_file()), None)


@functools.cache
def _library() -> ctypes.CDLL:
    path = _file()
    if path is None:
        raise Unavailable("RNNoise is not installed: pip install 'aimass-stream[denoise]'")
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise Unavailable(f"RNNoise can't be loaded: {error}") from error
    library.rnnoise_create.restype = ctypes.c_void_p
    library.rnnoise_create.argtypes = [ctypes.c_void_p]
    library.rnnoise_destroy.argtypes = [ctypes.c_void_p]
    library.rnnoise_process_frame.restype = ctypes.c_float
    library.rnnoise_process_frame.argtypes = [ctypes.c_void_p, FLOATS, FLOATS]
    if library.rnnoise_get_frame_size() != HOP:
        raise Unavailable(f"this RNNoise takes {library.rnnoise_get_frame_size()} samples at once, not {HOP}")
    return library
