"""A device runs one piece of work at a time, on a worker of its own, away from the event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # cgroup v2: "<quota µs or max> <period µs>"


class Device(Protocol):
    """`run` calls are served in their order; a model's work never runs beside another's on one device."""

    name: str  # "cpu", "cuda:0"
    threads: int  # that a model on it may use for one run

    async def run(self, work: Callable[[], T]) -> T: ...
    def describe(self) -> dict[str, Any]: ...
    def close(self) -> None:
        """Finish the work at hand and end; waits for it."""
        ...


class CpuDevice:
    """The machine's cores: one worker thread, and half of the cores for the arithmetic of one run.

    The other half is for codecs and the event loop, which have to be on time while a model computes.
    """

    def __init__(self, *, threads: int | None = None, name: str = "cpu") -> None:
        self.name = name
        self.threads = threads or max(1, cores() // 2)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix=f"aimass-{name}")

    async def run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, work)

    def describe(self) -> dict[str, Any]:
        return {"name": self.name, "kind": "cpu", "threads": self.threads, "cores": cores()}

    def close(self) -> None:
        self._worker.shutdown(wait=True, cancel_futures=True)


def cores() -> int:
    """Cores this process may use: its affinity, cut by a container's quota."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    available = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    try:
        quota, period = CPU_QUOTA.read_text().split()
    except (OSError, ValueError):
        return available
    return available if quota == "max" else max(1, min(available, int(quota) // int(period)))
