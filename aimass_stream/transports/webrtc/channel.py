"""The data channel of a peer (RFC 8831). "aimass": events out, control messages in, one JSON object each.

A channel of another label carries another protocol instead: see `Foreign`.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ... import wire
from ...errors import AimassError, Busy, InvalidMessage, TooLarge
from ...events import ErrorEvent, Event
from ...frames import TextFrame
from ...session import Session

log = logging.getLogger(__name__)

LABEL = "aimass"
MAX_MESSAGE = 64 * 1024  # bytes of one control message
MAX_CONTROLS = 64  # control messages waiting for their turn
PATIENCE = 1024  # events that happen while those before them are sent, above which results and statistics are left out
ROOM = 32 * 1024  # bytes on their way, up to which missed events are sent
CROWDED = 64 * 1024  # and from which results and statistics are left out
HOPELESS = 2 * 1024 * 1024  # and from which the channel is closed
EXPENDABLE = frozenset({"frame.result", "session.stats", "audio.level"})


@dataclass(frozen=True, slots=True)
class Foreign:
    """Another protocol over a peer: texts by a data channel of this label, and the sound of this track sent back.

    `received` gets every message, on the loop; `opened` is told once when texts can be sent, `gone` when the peer is.
    """

    label: str
    track: str
    received: Callable[[str | bytes], None]
    opened: Callable[[Channel], None]
    gone: Callable[[str], None]


class Channel:
    """One peer's. What happens before it opens waits in the session's log, and leaves in its order when it does.

    After that, events that are only news are the first to go when the client does not keep up.
    """

    def __init__(self, session: Session, push: Callable[[TextFrame], None], foreign: Foreign | None = None) -> None:
        self._session = session
        self._foreign = foreign
        self._push = push
        self._words = wire.Words()
        self._channel: Any = None
        self._controls: asyncio.Queue[object] = asyncio.Queue(MAX_CONTROLS)
        self._last: int | None = None  # seq of the last event that was sent, or that its client had before
        self._behind = True  # others come before the next event
        self._opened = asyncio.Event()
        self._low = asyncio.Event()
        self.dropped = 0  # events left out because the client does not keep up

    def opened(self, channel: Any) -> None:
        """A data channel of the peer's making; one with another label, or a second one, is closed."""
        label = LABEL if self._foreign is None else self._foreign.label
        if channel.label != label or self._channel is not None:
            log.info("session %s: data channel %r is of no use here", self._session.id, channel.label[:32])
            channel.close()
            return
        self._channel = channel
        channel.on("close", lambda: self._closed(channel))
        channel.on("bufferedamountlow", self._low.set)
        if self._foreign is not None:
            channel.on("message", self._foreign.received)
            self._foreign.opened(self)
            return
        channel.on("message", self._received)
        self._opened.set()

    def _closed(self, channel: Any) -> None:
        if channel is self._channel:
            self._channel, self._behind = None, True
            self._low.set()

    # out -------------------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Bytes that were sent and have not left."""
        channel = self._channel
        return 0 if channel is None else int(channel.bufferedAmount)

    def send_text(self, text: str) -> None:
        """One message of another protocol. The one who sends looks at `waiting`."""
        channel = self._channel
        if channel is not None and channel.readyState == "open":
            channel.send(text)

    def send(self, event: Event) -> None:
        """At once, where all before it was; else `run` takes it out of the session's log in its turn."""
        if self._last is None:
            self._last = event.seq - 1
        if not self._behind and self._open:
            self._put(event, left_out=self.waiting > CROWDED and event.type in EXPENDABLE)

    @property
    def _open(self) -> bool:
        return self._channel is not None and self._channel.readyState == "open"

    def _put(self, event: Event, *, left_out: bool) -> None:
        self._last = event.seq
        if left_out:
            self.dropped += 1
        elif self.waiting > HOPELESS:
            log.warning("session %s: the client reads no events, %d bytes wait: data channel closed",
                        self._session.id, self.waiting)
            self._channel.close()
            self._closed(self._channel)
        else:
            self._channel.send(json.dumps(event.json(), separators=(",", ":")))

    async def _catch_up(self) -> None:
        """Send all that its client has missed no faster than it leaves, then what happened meanwhile."""
        hurry = False
        while await self._room(ROOM):
            events = [] if self._last is None else self._session.events_after(self._last)
            if not events:
                self._behind = False
                return
            hurry = hurry and len(events) > PATIENCE
            for event in events:
                assert self._last is not None
                if event.seq <= self._last:
                    continue  # `drain` sent it meanwhile, or `run` did
                self.dropped += event.seq - self._last - 1  # they were too long in the log
                self._put(event, left_out=hurry and event.type in EXPENDABLE)
                if not await self._room(ROOM):
                    return
            hurry = True

    async def _room(self, most: int) -> bool:
        """Once `most` bytes wait at most; False where there is no open channel any more."""
        await asyncio.sleep(0)  # thousands of events may be on their way: others get their turn in between
        while self._open and self.waiting > most:
            self._low.clear()
            self._channel.bufferedAmountLowThreshold = most
            await self._low.wait()
        return self._open

    async def drain(self, seconds: float) -> None:
        """Wait until what was sent has left, or `seconds` are over."""
        try:
            async with asyncio.timeout(seconds):
                if self._behind:
                    await self._catch_up()
                await self._room(0)
        except TimeoutError:
            log.debug("session %s: the last events may not have arrived", self._session.id)

    # in --------------------------------------------------------------------------------------------

    def _received(self, message: str | bytes) -> None:
        try:
            self._controls.put_nowait(_parse(message))
        except asyncio.QueueFull:
            self._refuse(InvalidMessage(f"more than {MAX_CONTROLS} control messages are waiting"))
        except (InvalidMessage, TooLarge) as error:
            self._refuse(error)

    def _refuse(self, error: AimassError) -> None:
        self._session.event(ErrorEvent(status=error.status, title=error.title, detail=error.detail, field=error.field))

    async def run(self) -> None:
        """Send what was missed when the channel opens, and apply control messages in their order, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._run_controls())
            while True:
                await self._opened.wait()
                self._opened.clear()
                await self._catch_up()

    async def _run_controls(self) -> None:
        while True:
            message = await self._controls.get()
            if isinstance(message, dict) and message.get("type") == "text":
                self._say(message)
            else:
                await self._session.control(message)

    def _say(self, message: dict[str, Any]) -> None:
        try:
            self._push(self._words.frame(wire.Text.decode(message)))
        except asyncio.QueueFull:
            self._refuse(Busy("the pipeline has no room for more words now"))
        except InvalidMessage as error:
            self._refuse(error)


def _parse(message: str | bytes) -> object:
    """Raises `InvalidMessage` or `TooLarge`."""
    if not isinstance(message, str):
        raise InvalidMessage("control messages are JSON text, not binary")
    if len(message) > MAX_MESSAGE:
        raise TooLarge(f"a control message has at most {MAX_MESSAGE} bytes")
    try:
        return json.loads(message)
    except (ValueError, RecursionError):
        raise InvalidMessage("a control message is one JSON object") from None
