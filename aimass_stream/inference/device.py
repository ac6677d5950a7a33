"""A device runs pieces of work away from the event loop, on workers of its own: one after another, or two at once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from ..workers import Workers

T = TypeVar("T")

CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # cgroup v2: "<quota µs or max> <period µs>"
PLACES = 2  # runs at once
STATM = Path("/proc/self/statm")  # Linux: sizes of this process in pages; the second is what is resident


class Device(Protocol):
    """`run` and `launch` begin work in the order of the calls; `places` launched pieces may be under way at a time."""

    name: str  # "cpu", "cuda:0"
    threads: int  # that a model on it may use for one run
    places: int
    workers: int  # more than one: launched pieces run beside each other, so they must be such as can

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
        # what was given to the thread, and the work itself in a list: whoever takes it out of there has it
        self._pending: dict[asyncio.Future[Any], list[Callable[[], Any]]] = {}

    @property
    def busy(self) -> bool:
        return bool(self._pending)

    async def run(self, work: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        while True:
            workers, done, given = self._workers, loop.create_future(), [work]
            self._pending[done] = given
            workers.post(_work, given, done, loop)
            try:
                return cast(T, await done)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if workers is self._workers or (task is not None and task.cancelling()):
                    raise  # the caller's own
            finally:
                given.clear()
                del self._pending[done]

    def renew(self) -> None:
        lost, self._workers = self._workers, Workers(1, self._name)
        for done, given in list(self._pending.items()):
            if _taken(given) is not None:  # what is at work stays there
                done.cancel()
        lost.shutdown(wait=False)

    def close(self) -> None:
        self._workers.shutdown(wait=True)


def _taken(given: list[Callable[[], Any]]) -> Callable[[], Any] | None:
    try:
        return given.pop()  # one thread gets it
    except IndexError:
        return None


def _work(given: list[Callable[[], Any]], done: asyncio.Future[Any], loop: asyncio.AbstractEventLoop) -> None:
    """In the thread."""
    work = _taken(given)
    if work is None:  # nobody waits any more, or another thread has it
        return
    result, failure = None, None
    try:
        result = work()
    except BaseException as error:
        failure = error
    with suppress(RuntimeError):  # the loop was closed meanwhile
        loop.call_soon_threadsafe(_settle, done, result, failure)


def _settle(done: asyncio.Future[Any], result: Any, failure: BaseException | None) -> None:
    if done.done():
        return
    if failure is None:
        done.set_result(result)
    else:
        done.set_exception(failure)


class CpuDevice:
    """The machine's cores: half of them for the arithmetic of one run, and two runs at once where so many are there.

    The other half is for codecs and the event loop, which have to be on time while a model computes. A second run
    takes it only while requests wait, and what runs at once has together no more threads than there are cores.
    """

    def __init__(self, *, threads: int | None = None, name: str = "cpu", places: int | None = None) -> None:
        self.name = name
        self.threads = threads or max(1, cores() // 2)
        self.places = self.workers = places or max(1, min(PLACES, cores() // self.threads))
        self._workers = [Worker(f"aimass-{name}{f'-{number}' if number else ''}") for number in range(self.workers)]

    async def run(self, work: Callable[[], T]) -> T:
        return await self._workers[0].run(work)

    async def launch(self, work: Callable[[], Callable[[], T]]) -> T:
        # the first one if it can be had: what the C library keeps for a thread stays in few threads
        worker = next((worker for worker in self._workers if not worker.busy), self._workers[0])
        return await worker.run(lambda: work()())

    def renew(self) -> None:
        for worker in self._workers:
            worker.renew()

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
        for worker in self._workers:
            worker.close()


def cores() -> int:
    """Cores this process may use: its affinity, cut by a container's quota."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    available = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    try:
        quota, period = CPU_QUOTA.read_text().split()
    except (OSError, ValueError):
        return available
    return available if quota == "max" else max(1, min(available, int(quota) // int(period)))
