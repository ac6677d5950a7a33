"""The native codec libraries that travel inside PyAV's wheel, opened with ctypes.

PyAV drives libvpx and libopus but leaves out what a live session needs: a new bit rate without a key frame,
in-band error correction, concealment. The libraries themselves have all of it, and are in memory already.
ctypes releases the GIL during every call.
"""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path

import av

from ..errors import Unavailable

# auditwheel (Linux), delvewheel (Windows), delocate (macOS)
FOLDERS = ("../av.libs", "../pyav.libs", ".dylibs", "../av.dylibs", ".")


def find(name: str) -> Path | None:
    """The file of library `name` ("vpx", "opus") beside the installed PyAV."""
    package = Path(av.__file__).parent
    for folder in FOLDERS:
        for pattern in (f"lib{name}-*", f"lib{name}.*", f"lib{name}*", f"{name}*"):
            for path in sorted((package / folder).glob(pattern)):
                if any(part in (".so", ".dylib", ".dll") for part in path.suffixes):
                    return path.resolve()
    return None


@functools.cache
def load(name: str) -> ctypes.CDLL:
    """Library `name`, opened once. Raises `Unavailable` when PyAV's wheel doesn't bring it."""
    path = find(name)
    if path is None:
        raise Unavailable(f"lib{name} was not found beside PyAV {av.__version__}: install av from its wheel", part=name)
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise Unavailable(f"lib{name} of PyAV {av.__version__} can't be opened: {error}", part=name) from error


def symbols(library: ctypes.CDLL, *names: str) -> list[str]:
    """Those of `names` that the library does not export."""
    return [name for name in names if not hasattr(library, name)]
