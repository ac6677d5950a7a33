"""The data channel of a peer (RFC 8831). "aimass": events out, control messages in, one JSON object each.

A channel of another label carries another protocol instead: see `Foreign`.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
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
BACKLOG = 4096  # events kept until the channel opens,
PATIENCE = 1024  # and how many of them may be results and statistics too
CROWDED = 64 * 1024  # bytes on their way, from which results and statistics are left out
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
    """One peer's. Events that come before it opens wait; those that are only news are the first to go."""

    def __init__(self, session: Session, push: Callable[[TextFrame], None], foreign: Foreign | None = None) -> None:
        self._session = session
        self._foreign = foreign
        self._push = push
        self._words = wire.Words()
        self._channel: Any = None
        self._backlog: deque[Event] = deque(maxlen=BACKLOG)
        self._controls: asyncio.Queue[object] = asyncio.Queue(MAX_CONTROLS)
        self.silent = foreign is not None  # there is none and none to come: events need not be kept for it
        self.dropped = 0  # events left out because the client does not keep up

    def opened(self, channel: Any) -> None:
        """A data channel of the peer's making; one with another label, or a second one, is closed."""
        label = LABEL if self._foreign is None else self._foreign.label
        if channel.label != label or self._channel is not None:
            log.info("session %s: data channel %r is of no use here", self._session.id, channel.label[:32])
            channel.close()
            return
        self._channel = channel
        channel.on("close", self._closed)
        if self._foreign is not None:
            channel.on("message", self._foreign.received)
            self._foreign.opened(self)
            return
        self.silent = False
        channel.on("message", self._received)
        backlog, self._backlog = self._backlog, deque(maxlen=BACKLOG)
        for event in backlog:
            self.send(event)

    def _closed(self) -> None:
        self._channel = None

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
        if self._foreign is not None:
            return
        channel = self._channel
        if channel is None or channel.readyState != "open":
            if self.silent:
                return
            if len(self._backlog) < PATIENCE or event.type not in EXPENDABLE:
                self._backlog.append(event)
            else:
                self.dropped += 1
            return
        waiting = channel.bufferedAmount
        if waiting > CROWDED and event.type in EXPENDABLE:
            self.dropped += 1
            return
        if waiting > HOPELESS:
            log.warning("session %s: the client reads no events, %d bytes wait: data channel closed",
                        self._session.id, waiting)
            channel.close()
            self._channel, self.silent = None, True
            return
        channel.send(json.dumps(event.json(), separators=(",", ":")))

    async def drain(self, seconds: float) -> None:
        """Wait until what was sent has left, or `seconds` are over."""
        channel = self._channel
        if channel is None or channel.readyState != "open" or not channel.bufferedAmount:
            return
        empty = asyncio.Event()
        channel.on("bufferedamountlow", empty.set)
        try:
            async with asyncio.timeout(seconds):
                await empty.wait()
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
        """Apply control messages in their order, until cancelled."""
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
