"""Memory that sessions leave behind goes back to the system.

The C library keeps what threads have freed, in an arena for each of them. Codecs come and go with sessions in
ever new threads, so without this a server's memory grows with every session for hours although nothing leaks.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import sys
from collections.abc import Callable


@functools.cache
def _trim() -> Callable[[int], int] | None:
    """glibc's malloc_trim, None elsewhere."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except AttributeError:
        return None
    trim.argtypes, trim.restype = [ctypes.c_size_t], ctypes.c_int
    return trim


def settle() -> None:
    """What was made up to now stays: the garbage collector need not look at it again.

    Call it once, when everything is imported and built. A full collection then looks at what sessions made and
    nothing else: it takes a millisecond instead of fifty on the event loop, and it comes often enough that
    sessions that are over, which always hold on to themselves in some circle, do not pile up.
    """
    gc.collect()
    gc.freeze()
    gc.collect()  # how often it is done depends on how many objects the last one saw


def collect() -> None:
    """Free what closed sessions still hold, where `settle` has made that quick; for a moment without sessions."""
    if gc.get_freeze_count():
        gc.collect()


def give_back() -> None:
    """Takes some milliseconds without the GIL: call it in a thread."""
    trim = _trim()
    if trim is not None:
        trim(0)
