"""Work that waits for a device: bounded for each session, and handed out in turns."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import Busy
from .contract import Batch


@dataclass(slots=True, eq=False)
class Request:
    """One caller's rows for one model."""

    model: str
    inputs: Batch
    rows: int
    session: str
    deadline: float | None  # s, monotonic: the latest moment at which it is worth starting
    since: float  # s, monotonic
    done: asyncio.Future[Batch]
    slot: int | None = None  # of a stateful model
    background: bool = False  # nobody waits for it: it gets the gaps
    spare: bool = False  # in the background, and cores that another run would leave free are nobody's
    timer: asyncio.TimerHandle | None = None

    @property
    def shapes(self) -> tuple[Any, ...]:
        """Equal for requests whose rows can be put together."""
        return tuple((name, array.shape[1:]) for name, array in sorted(self.inputs.items()))


class Waiting:
    """Requests by session, in the order of the sessions' turns. Whoever was served goes to the end.

    What waits in the background is handed out only when nothing else waits.
    """

    def __init__(self, per_session: int) -> None:
        self.per_session = per_session
        self._live: OrderedDict[str, deque[Request]] = OrderedDict()
        self._background: OrderedDict[str, deque[Request]] = OrderedDict()

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[Request]:
        return (request for turns in (self._live, self._background) for queue in turns.values() for request in queue)

    def _turns(self, request: Request) -> OrderedDict[str, deque[Request]]:
        return self._background if request.background else self._live

    def add(self, request: Request) -> None:
        """Raises `Busy` when the session has as many requests waiting as it may."""
        queue = self._turns(request).setdefault(request.session, deque(maxlen=self.per_session))
        if len(queue) >= self.per_session:
            raise Busy(f"{self.per_session} requests of this session are waiting already", retry_after=1)
        queue.append(request)

    def remove(self, request: Request) -> bool:
        """True if it was still waiting."""
        turns = self._turns(request)
        queue = turns.get(request.session)
        if queue is None or request not in queue:
            return False
        queue.remove(request)
        if not queue:
            del turns[request.session]
        return True

    def first(self, may: Callable[[Request], bool] = lambda request: True) -> Request | None:
        """The oldest request of the session whose turn it is, of those that may be begun now."""
        return next((request for request in self if may(request)), None)

    def take(self, limit: int, leader: Request | None = None) -> list[Request]:
        """The next batch, of at most `limit` rows unless the first request alone has more.

        The session whose turn it is leads, or that `leader`; the others add what fits beside its request, one each,
        and round again while there is room.
        """
        leader = leader or self.first()
        if leader is None:
            return []
        turns = self._turns(leader)
        batch = [leader]
        room = limit - leader.rows
        served = True
        while room > 0 and served:
            served = False
            for queue in turns.values():
                request = _fitting(queue, batch, room)
                if request is not None:
                    batch.append(request)
                    room -= request.rows
                    served = True
        for request in batch:
            self.remove(request)
        for session in dict.fromkeys(request.session for request in batch):
            if session in turns:
                turns.move_to_end(session)
        return batch


def _fitting(queue: deque[Request], batch: list[Request], room: int) -> Request | None:
    leader = batch[0]
    for request in queue:
        if request.model != leader.model or request in batch:
            continue
        if request.slot is not None and any(request.slot == other.slot for other in batch):
            return None  # a state takes one step at a time, and its steps keep their order
        if request.rows <= room and request.shapes == leader.shapes:
            return request
        if request.slot is not None:
            return None
    return None
