"""What a live session looks like from the client's side, whatever it travels over."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, Self

from ..errors import AimassError, Unavailable
from ..events import Event
from ..frames import AudioFrame, Frame, TextFrame, VideoFrame
from ..queues import BoundedQueue
from .problems import error_from

WAITING_FRAMES = 16
WAITING_EVENTS = 1024  # then the oldest are dropped
ANSWER_TIMEOUT = 10.0  # s for a session.updated
SILENCE = 5  # s without anything, after which a connection is lost; a server tells its statistics each second


class MediaSession(abc.ABC):
    """Open it with `async with`. `id` and `resume_token` are known from then on.

    Frames wait for whoever iterates `frames()`, and with them the server, which then adapts to this client. While
    nobody does, only the newest are kept. `events()` keeps the last 1024.
    """

    def __init__(self) -> None:
        self.id = ""
        self.resume_token = ""
        self.dropped = 0  # frames that were not sent or not kept on this side
        self.unsent: Counter[str] = Counter()  # frames by track: those of `dropped` that a cut connection did not take
        self.resumed = 0  # times the connection was cut and came back
        self.error: AimassError | None = None  # why the session ended, if it did not end well
        self.last_seq = 0  # of the events so far
        self._frames: BoundedQueue[Frame] = BoundedQueue(WAITING_FRAMES, "block")
        self._events: BoundedQueue[Event] = BoundedQueue(WAITING_EVENTS, "keep_newest")
        self._readers = 0
        self._answers: dict[str, asyncio.Future[Event]] = {}
        self._requests = itertools.count(1)
        self._heard = False  # something came in the last second

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @abc.abstractmethod
    async def open(self) -> None:
        """Connect. Raises what the server refuses with, `Unavailable` when nobody answers."""

    @abc.abstractmethod
    async def send(self, frame: AudioFrame | VideoFrame | TextFrame) -> None:
        """Send one frame; returns when it is on its way. While the connection is cut, frames are dropped."""

    @abc.abstractmethod
    async def control(self, message: dict[str, Any]) -> None:
        """Send a control message as it is. Raises `Unavailable` without a connection."""

    @abc.abstractmethod
    async def close(self) -> None:
        """End the session, here and on the server."""

    @property
    def closed(self) -> bool:
        return self._frames.closed

    @property
    def connected(self) -> bool:
        """Whether what is sent now is on its way, and not dropped."""
        return not self.closed

    async def _lost(self, broken: asyncio.Event) -> None:
        """Until the connection is `broken`, or silent: ICE and TCP take half a minute to see that nobody is there.

        While frames wait for their reader, so does what is behind them.
        """
        silent = 0
        while silent < SILENCE:  # counted, because this process may have been asleep
            self._heard = False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await broken.wait()
                    return
            stuck = self._readers and len(self._frames) >= WAITING_FRAMES
            silent = 0 if self._heard or stuck else silent + 1

    async def update(self, *, pipeline: list[dict[str, Any]] | None = None, sync: str | None = None,
                     latency_ms: int | None = None) -> Event:
        """Change the session; answers its ``session.updated``. Raises what the server refuses with."""
        change = {"type": "session.update", "pipeline": pipeline, "sync": sync, "latency_ms": latency_ms}
        return await self._ask({key: value for key, value in change.items() if value is not None})

    async def update_stage(self, index: int, **params: Any) -> Event:
        """Change parameters of one stage."""
        return await self._ask({"type": "stage.update", "index": index, "params": params})

    async def request_keyframe(self, track: str | None = None) -> None:
        await self.control({"type": "keyframe.request", **({"track": track} if track else {})})

    async def _ask(self, message: dict[str, Any]) -> Event:
        request = f"r{next(self._requests)}"
        answer: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        self._answers[request] = answer
        try:
            await self.control(message | {"id": request})
            async with asyncio.timeout(ANSWER_TIMEOUT):
                event = await answer
        except TimeoutError:
            raise Unavailable(f"no answer within {ANSWER_TIMEOUT:g} s") from None
        finally:
            del self._answers[request]
        if event.type == "error":
            raise error_from(int(event.data["status"]), event.data)
        return event

    async def frames(self) -> AsyncIterator[Frame]:
        """Processed frames as they come, until the session ends."""
        self._readers += 1
        try:
            while True:
                try:
                    frame, _ = await self._frames.get()
                except EOFError:
                    return
                yield frame
        finally:
            self._readers -= 1
            if not self._readers:
                self._frames.clear()  # lets a waiting connection read on

    async def events(self) -> AsyncIterator[Event]:
        """Events as they come, each once and in order, until the session ends."""
        while True:
            try:
                event, _ = await self._events.get()
            except EOFError:
                return
            yield event

    async def _deliver(self, frame: Frame) -> None:
        if not self._readers and len(self._frames) >= WAITING_FRAMES:
            self._frames.get_nowait()
            self.dropped += 1
        await self._frames.put(frame)

    def _cut(self, track: str) -> None:
        """A frame of this track could not be sent: the connection is cut."""
        self.dropped += 1
        self.unsent[track] += 1

    def _happened(self, message: dict[str, Any]) -> None:
        """An event came in."""
        event = Event(message["type"], message["seq"], message.get("pts"), message.get("track"), message["data"])
        if event.seq <= self.last_seq:
            return
        self.last_seq = event.seq
        answer = self._answers.get(str(event.data.get("request_id")))
        if answer is not None and not answer.done():
            answer.set_result(event)
        self._events.put_nowait(event)

    def _ended(self, error: AimassError | None = None) -> None:
        """No more frames and events will come."""
        if error is not None and self.error is None:
            self.error = error
        self._frames.close()
        self._events.close()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(error or Unavailable("the session ended"))
