"""Bounded queues between stages, each with a stated policy for the moment it is full.

- keep_newest: the oldest item is dropped and counted (video).
- skip_late:   the oldest item is dropped and counted, and `on_skip` lets the next one carry the gap (audio).
- block:       nothing is dropped; `put` waits (text, files).

One writer side and one reader, on one event loop. `put_nowait` never waits; with `block` it raises
`asyncio.QueueFull`, because a caller that can't wait must decide itself what to lose.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias, TypeVar

from .frames import now

T = TypeVar("T")
Policy: TypeAlias = Literal["keep_newest", "skip_late", "block"]


@dataclass(frozen=True, slots=True)
class Statistics:
    depth: int
    capacity: int
    dropped: int
    oldest_age: float  # s


class BoundedQueue(Generic[T]):
    def __init__(self, capacity: int, policy: Policy, *, on_drop: Callable[[T], None] | None = None) -> None:
        if capacity < 1:
            raise ValueError("capacity must be at least 1")
        self.capacity = capacity
        self.policy = policy
        self.dropped = 0
        self._on_drop = on_drop
        # bounded by hand and not by maxlen: a dropped item has to be counted and shown to on_drop
        self._items: deque[tuple[float, T]] = deque(maxlen=capacity + 1)
        self._readable: asyncio.Future[None] | None = None
        self._writable: deque[asyncio.Future[None]] = deque(maxlen=1024)
        self._closed = False

    def __len__(self) -> int:
        return len(self._items)

    @property
    def closed(self) -> bool:
        return self._closed

    def statistics(self) -> Statistics:
        age = now() - self._items[0][0] if self._items else 0.0
        return Statistics(len(self._items), self.capacity, self.dropped, age)

    def put_nowait(self, item: T) -> None:
        if self._closed:
            return
        if len(self._items) >= self.capacity:
            if self.policy == "block":
                raise asyncio.QueueFull
            _, old = self._items.popleft()
            self.dropped += 1
            if self._on_drop is not None:
                self._on_drop(old)
        self._items.append((now(), item))
        if self._readable is not None and not self._readable.done():
            self._readable.set_result(None)

    async def put(self, item: T) -> None:
        while self.policy == "block" and len(self._items) >= self.capacity and not self._closed:
            waiter = asyncio.get_running_loop().create_future()
            self._writable.append(waiter)
            await waiter
        self.put_nowait(item)

    def get_nowait(self) -> tuple[T, float]:
        """The next item and the seconds it waited; raises `asyncio.QueueEmpty`."""
        if not self._items:
            raise asyncio.QueueEmpty
        since, item = self._items.popleft()
        self._wake_writer()
        return item, now() - since

    async def get(self) -> tuple[T, float]:
        """The next item and the seconds it waited. After `close`, what is left and then `EOFError`."""
        while not self._items:
            if self._closed:
                raise EOFError
            self._readable = asyncio.get_running_loop().create_future()
            try:
                await self._readable
            finally:
                self._readable = None
        return self.get_nowait()

    def clear(self) -> int:
        """Throw everything away; answers how many items that were."""
        count = len(self._items)
        self._items.clear()
        self._wake_writer()
        return count

    def close(self) -> None:
        """No more items go in; what is inside can still be read."""
        self._closed = True
        if self._readable is not None and not self._readable.done():
            self._readable.set_result(None)
        while self._writable:
            self._wake_writer()

    def _wake_writer(self) -> None:
        while self._writable:
            waiter = self._writable.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
