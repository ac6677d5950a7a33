"""A device runs one piece of work after another, on a worker of its own, away from the event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ..workers import Workers

T = TypeVar("T")

CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # cgroup v2: "<quota µs or max> <period µs>"
STATM = Path("/proc/self/statm")  # Linux: sizes of this process in pages; the second is what is resident


class Device(Protocol):
    """`run` and `launch` begin work in the order of the calls; `places` launched pieces may be under way at a time."""

    name: str  # "cpu", "cuda:0"
    threads: int  # that a model on it may use for one run
    places: int

    async def run(self, work: Callable[[], T]) -> T: ...
    async def launch(self, work: Callable[[], Callable[[], T]]) -> T:
        """`work` begins something on the worker; what it answers waits for the end, elsewhere if the device can."""
        ...

    def renew(self) -> None:
        """The worker is lost in work that doesn't end: another takes its place. What waited for it goes on there."""
        ...

    def used(self) -> int:
        """Bytes of its memory that this process has now; 0 where nobody tells."""
        ...

    def relieve(self) -> None:
        """Give back what is kept for later; after it ran out of memory. On the worker."""
        ...

    def describe(self) -> dict[str, Any]: ...
    def close(self) -> None:
        """Finish the work at hand and end; waits for it, unless it was lost."""
        ...


class Worker:
    """One thread that can be lost without taking its device along. Used on one event loop."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._workers = Workers(1, name)
        self._pending: set[Future[Any]] = set()

    async def run(self, work: Callable[[], T]) -> T:
        while True:
            workers = self._workers
            future = workers.submit(work)
            self._pending.add(future)
            try:
                return await asyncio.wrap_future(future)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if workers is self._workers or (task is not None and task.cancelling()):
                    raise  # the caller's own
            finally:
                self._pending.discard(future)

    def renew(self) -> None:
        lost, self._workers = self._workers, Workers(1, self._name)
        for future in list(self._pending):
            future.cancel()  # has no effect on what is at work
        lost.shutdown(wait=False)

    def close(self) -> None:
        self._workers.shutdown(wait=True)


class CpuDevice:
    """The machine's cores: one worker thread, and half of the cores for the arithmetic of one run.

    The other half is for codecs and the event loop, which have to be on time while a model computes.
    """

    places = 1

    def __init__(self, *, threads: int | None = None, name: str = "cpu") -> None:
        self.name = name
        self.threads = threads or max(1, cores() // 2)
        self._worker = Worker(f"aimass-{name}")

    async def run(self, work: Callable[[], T]) -> T:
        return await self._worker.run(work)

    async def launch(self, work: Callable[[], Callable[[], T]]) -> T:
        return await self._worker.run(lambda: work()())

    def renew(self) -> None:
        self._worker.renew()

    def used(self) -> int:
        try:
            return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, ValueError, IndexError):
            return 0

    def relieve(self) -> None:
        """Nothing is kept."""

    def describe(self) -> dict[str, Any]:
        return {"name": self.name, "kind": "cpu", "threads": self.threads, "cores": cores()}

    def close(self) -> None:
        self._worker.close()


def cores() -> int:
    """Cores this process may use: its affinity, cut by a container's quota."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    available = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    try:
        quota, period = CPU_QUOTA.read_text().split()
    except (OSError, ValueError):
        return available
    return available if quota == "max" else max(1, min(available, int(quota) // int(period)))
