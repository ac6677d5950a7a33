"""The processor's turns: who wakes to handle a packet gets one at once, also where others compute.

Linux (EEVDF, from 6.12) lets who has a processor keep it for a slice, about 3 ms, before somebody who wakes gets it,
also where that one is niced. A frame's journey wakes a dozen threads one after the other. Who asks for a shorter slice
(sched_setattr(2), `sched_runtime`) need not wait for that of another; it costs nobody any share of the processor.
"""

from __future__ import annotations

import ctypes
import os
import struct

SLICE = 100_000  # ns, the shortest there is
CALLS = {"x86_64": (314, 315), "aarch64": (274, 275)}  # sched_setattr, sched_getattr
ATTRIBUTES = struct.Struct("=IIQiIQQQII")  # <linux/sched/types.h>: size, policy, flags, nice, priority, runtime, ...
RUNTIME = 5  # its place among them


def be_prompt() -> bool:
    """For the calling thread and all that it starts from now on. False where that can't be had: older kernels ignore
    it, other systems don't know it."""
    if not hasattr(os, "sched_getscheduler") or os.uname().machine not in CALLS:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    put, get = CALLS[os.uname().machine]
    buffer = ctypes.create_string_buffer(ATTRIBUTES.size)
    if libc.syscall(get, 0, buffer, ATTRIBUTES.size, 0) != 0:
        return False
    attributes = list(ATTRIBUTES.unpack(buffer.raw))
    attributes[RUNTIME] = SLICE
    ctypes.memmove(buffer, ATTRIBUTES.pack(*attributes), ATTRIBUTES.size)
    return bool(libc.syscall(put, 0, buffer, 0) == 0)
