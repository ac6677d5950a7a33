"""A session's own threads, for codecs and other native work: as a `ThreadPoolExecutor`, at half its price.

`post` runs a function whose result it brings back itself (`loop.call_soon_threadsafe`); it makes no future, no
lock and no condition, which for work of a tenth of a millisecond cost more than the work. `submit` does.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class Workers(Executor):
    """Up to `count` threads, started when they are needed. `post` and `submit` are called on one thread."""

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        # bounded by its callers, each of whom has one piece of work inside at a time
        self._queue: queue.SimpleQueue[tuple[Callable[..., Any], tuple[Any, ...]] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._done: list[list[int]] = []  # for each thread, how much it has done: no lock is needed to count
        self._posted = 0
        self._closed = False

    def post(self, function: Callable[..., object], *arguments: Any) -> None:
        """Run this in a thread; what it raises is only logged. Raises `RuntimeError` after `shutdown`."""
        if self._closed:
            raise RuntimeError("these workers were shut down")
        self._posted += 1
        if len(self._threads) < self._count and self._posted - sum(done[0] for done in self._done) > len(self._threads):
            self._start()
        self._queue.put((function, arguments))

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        self.post(run)
        return future

    def _start(self) -> None:
        done = [0]
        thread = threading.Thread(target=self._work, args=(done,), name=f"{self._name}-{len(self._threads)}",
                                  daemon=True)
        self._threads.append(thread)
        self._done.append(done)
        thread.start()

    def _work(self, done: list[int]) -> None:
        while True:
            work = self._queue.get()
            if work is None:
                return
            function, arguments = work
            try:
                function(*arguments)
            except Exception:
                log.exception("work in a thread of %s failed", self._name)
            del work, function, arguments  # not kept until the next work comes
            done[0] += 1

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """No more work; what is queued is still done. With `wait`, join the threads."""
        if not self._closed:
            self._closed = True
            for _ in self._threads:
                self._queue.put(None)
        if wait:
            for thread in self._threads:
                thread.join()
