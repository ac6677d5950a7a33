"""A session that outlasts its server: what `aimass camera` sends into, because a meeting goes on without the server."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

from ..client import MediaSession, reconnect
from ..errors import AimassError, Busy, InvalidInput, NotFound, Unavailable
from ..frames import AudioFrame, TextFrame, VideoFrame, now

STEADY = 2.0  # s that a session has to last, or its end counts as one more failed try


class LastingSession(MediaSession):
    """One session after the other, each by `make`, of which only the first has to be there at once.

    A session comes back by itself while the server keeps it. Where it is gone, another one is begun, in growing steps
    of up to a second, for as long as it takes. What only a person can mend ends it: a refusal, or that somebody ended
    the session.
    """

    def __init__(self, make: Callable[[], MediaSession]) -> None:
        super().__init__()
        self._make = make
        self._session: MediaSession | None = None
        self._live: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        return self._session is not None and self._session.connected

    async def open(self) -> None:
        session = await self._begin()
        self._live = asyncio.create_task(self._last(session), name="aimass camera")

    async def _begin(self) -> MediaSession:
        session = self._make()
        await session.open()
        session.unsent = self.unsent
        self.id, self.resume_token, self._session = session.id, session.resume_token, session
        return session

    async def _last(self, session: MediaSession) -> None:
        try:
            pauses = reconnect.delays(math.inf)
            while True:
                since = now()
                await self._through(session)
                await self._leave()
                _judge(session.error)
                if now() - since > STEADY:
                    pauses = reconnect.delays(math.inf)
                session = await self._another(pauses)
                self.resumed += 1
        except AimassError as error:
            self._ended(error)
        finally:
            self._ended()

    async def _through(self, session: MediaSession) -> None:
        """Hand on what comes until the session ends."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._frames_of(session))
            both.create_task(self._events_of(session))

    async def _frames_of(self, session: MediaSession) -> None:
        async for frame in session.frames():
            await self._deliver(frame)

    async def _events_of(self, session: MediaSession) -> None:
        async for event in session.events():
            self._events.put_nowait(event)
            if event.type == "session.ended" and event.data["by"] == "request":
                session.error = InvalidInput(f"somebody ended the session: {event.data['reason']}")

    async def _another(self, pauses: Iterator[float]) -> MediaSession:
        while True:
            await asyncio.sleep(next(pauses))
            try:
                return await self._begin()
            except Busy as error:
                await asyncio.sleep(error.retry_after)
            except AimassError as error:
                _judge(error)

    async def send(self, frame: AudioFrame | VideoFrame | TextFrame) -> None:
        if self.closed:
            raise self.error or InvalidInput("the session is closed")
        session = self._session
        if session is None:
            self._cut(frame.track)
            return
        try:
            await session.send(frame)
        except AimassError:
            if not session.closed:
                raise
            self._cut(frame.track)

    async def control(self, message: dict[str, Any]) -> None:
        if self._session is None:
            raise Unavailable("the connection is cut")
        await self._session.control(message)

    async def close(self) -> None:
        self._frames.clear()
        self._readers = 0
        if self._live is not None:
            self._live.cancel()
            await asyncio.wait([self._live])
        await self._leave()
        self._ended()

    async def _leave(self) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        self.resumed += session.resumed
        with contextlib.suppress(AimassError):  # where it is gone, or its server is, there is nothing to end
            await session.close()


def _judge(error: AimassError | None) -> None:
    """Raise what another try would not mend."""
    gone = isinstance(error, NotFound) and error.field in ("resume", "session_id")
    if error is not None and not gone and not isinstance(error, Busy) and error.status < 500:
        raise error
