"""What happens in a room, numbered and kept for a while, so that it can be followed and taken up again."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ..frames import now
from .ports import Participant

KEPT = 2048  # events of a room

Type: TypeAlias = Literal["room.joined", "room.waiting", "room.ended", "participant.joined", "participant.renamed",
                          "participant.left", "participant.state", "caption", "assistant.state",
                          "assistant.addressed", "assistant.reply", "assistant.interrupted", "assistant.resumed",
                          "assistant.dropped"]


@dataclass(frozen=True, slots=True)
class RoomEvent:
    """`data` as docs/api/rooms.md has it for each type."""

    seq: int  # from 1, without gaps
    at: float  # s since 1970
    type: Type
    data: dict[str, Any]


class RoomLog:
    """Of one room. Nobody is waited for: a follower who is slower than `KEPT` events misses some, and `seq` tells."""

    def __init__(self) -> None:
        self.over = False
        self.seq = 0
        self._events: deque[RoomEvent] = deque(maxlen=KEPT)
        self._news = asyncio.Event()
        self._followers = 0
        self._since = now()  # nobody has followed, where nobody does

    @property
    def unfollowed(self) -> float:
        """s for which nobody has followed."""
        return 0.0 if self._followers else now() - self._since

    def tell(self, type: Type, participant: Participant | None = None, **data: Any) -> RoomEvent:
        who = {} if participant is None else {"participant": participant.id, "name": participant.name}
        self.seq += 1
        event = RoomEvent(self.seq, time.time(), type, who | data)
        self._events.append(event)
        self.over = self.over or type == "room.ended"
        news, self._news = self._news, asyncio.Event()
        news.set()
        return event

    async def follow(self, after: int, alive: float) -> AsyncGenerator[RoomEvent | None]:
        """Every event behind `after`, until the room is over; None after `alive` s without one. Close it."""
        self._followers += 1
        try:
            async for event in self._behind(after, alive):
                yield event
        finally:
            self._followers -= 1
            self._since = now()

    async def _behind(self, after: int, alive: float) -> AsyncIterator[RoomEvent | None]:
        while True:
            news = self._news
            for event in [event for event in self._events if event.seq > after]:
                after = event.seq
                yield event
            if self.over:
                return
            if news is self._news:
                try:
                    async with asyncio.timeout(alive):
                        await news.wait()
                except TimeoutError:
                    yield None
