"""What a session sees of a transport, and what a transport sees of who may do what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from .events import Event
from .frames import Frame


class Source(Protocol):
    """Where frames come from. `run` returns when the peer is gone; cancelling it closes the peer."""

    async def run(self, push: Callable[[Frame], None]) -> None: ...
    def stats(self) -> dict[str, Any]: ...


class Sink(Protocol):
    """Where results go. Calls are made on the loop and return at once; the sink bounds its own queues."""

    def frame(self, frame: Frame) -> None: ...
    def event(self, event: Event) -> None: ...
    def flush(self, track: str | None = None) -> None:
        """Throw away what has not been sent yet (barge-in)."""
        ...

    async def close(self, reason: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking, as far as limits and logs care."""

    name: str
    address: str = ""


class Authorizer(Protocol):
    """Says who may come in. Raises `Unauthorized` or `Forbidden`."""

    def authorize(self, authorization: str | None, *, address: str = "", token: str | None = None) -> Caller:
        """`authorization` is the header's value; `token` the same secret where no header can be set."""
        ...
