"""Freed memory goes back to the system."""

from __future__ import annotations

import ctypes
import sys
import threading

import psutil
import pytest

from aimass_stream.memory import give_back

PIECES, SIZE = 20_000, 4000  # 80 MB in pieces that the C library keeps to itself


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc keeps and returns memory this way")
def test_what_threads_have_freed_is_given_back() -> None:
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]

    def use() -> None:
        pieces = [libc.malloc(SIZE) for _ in range(PIECES)]
        for piece in pieces:
            ctypes.memset(piece, 1, SIZE)
        for piece in pieces[:-1]:  # the last one keeps the heap from shrinking by itself
            libc.free(piece)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    process = psutil.Process()
    before = process.memory_info().rss
    give_back()
    assert before - process.memory_info().rss > 40_000_000
