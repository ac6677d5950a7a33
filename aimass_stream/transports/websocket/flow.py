"""How far behind a client is, and what that means for it alone. No input or output, no clock of its own.

TCP hides a slow client behind megabytes of buffers, so the client acknowledges what it is done with. The age of
the oldest unacknowledged message, less the shortest acknowledgement time seen lately (the way there and back),
is how far it is behind.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from ...errors import InvalidMessage

MAX_BYTES = 512 * 1024  # unacknowledged, above which no more media is sent
MAX_MESSAGES = 2048  # the same in messages; keeps `Flow` itself bounded
MAX_TEXTS = 500  # unacknowledged text messages, above which further ones wait
VIDEO_BEHIND = 0.4  # s behind at which pictures stop
AUDIO_BEHIND = 1.0  # s behind at which sound stops too
BASE_WINDOW = 10.0  # s over which the shortest time is remembered


@dataclass(frozen=True, slots=True)
class _Sent:
    at: float  # s
    size: int  # bytes
    text: bool


class Flow:
    """What is on its way to one client. Times are seconds on any one monotonic clock."""

    def __init__(self) -> None:
        self._waiting: deque[_Sent] = deque(maxlen=8 * MAX_MESSAGES)
        self._acknowledged = 0
        self.sent = 0  # messages
        self.bytes = 0  # unacknowledged
        self.texts = 0  # unacknowledged
        self._base: float | None = None  # s, shortest in the running window
        self._base_before: float | None = None  # in the window before
        self._window_ends = 0.0

    def send(self, size: int, text: bool, at: float) -> None:
        """A message of `size` bytes leaves now."""
        self._waiting.append(_Sent(at, size, text))
        self.sent += 1
        self.bytes += size
        self.texts += text

    def acknowledge(self, received: int, at: float) -> None:
        """The client is done with the first `received` messages. Raises `InvalidMessage` where that can't be."""
        if not self._acknowledged <= received <= self.sent:
            raise InvalidMessage(f"received is {received}: it never falls (from {self._acknowledged}) "
                                 f"and is at most what was sent ({self.sent})", field="received")
        last = None
        for _ in range(received - self._acknowledged):
            last = self._waiting.popleft()
            self.bytes -= last.size
            self.texts -= last.text
        self._acknowledged = received
        if last is not None:
            self._measured(at - last.at, at)

    def _measured(self, delay: float, at: float) -> None:
        if at >= self._window_ends:
            self._base_before, self._base = self._base, None
            self._window_ends = at + BASE_WINDOW
        self._base = delay if self._base is None else min(delay, self._base)

    @property
    def base(self) -> float:
        """Seconds: the shortest time an acknowledgement took lately."""
        known = [value for value in (self._base, self._base_before) if value is not None]
        return min(known, default=0.0)

    def behind(self, at: float) -> float:
        """Seconds the client is behind what its line explains."""
        return max(0.0, at - self._waiting[0].at - self.base) if self._waiting else 0.0

    @property
    def _full(self) -> bool:
        return self.bytes > MAX_BYTES or len(self._waiting) > MAX_MESSAGES

    def video_may(self, at: float) -> bool:
        return not self._full and self.behind(at) <= VIDEO_BEHIND

    def audio_may(self, at: float) -> bool:
        return not self._full and self.behind(at) <= AUDIO_BEHIND

    @property
    def text_may(self) -> bool:
        return self.texts < MAX_TEXTS


HIGH, LOW = 0.15, 0.05  # s behind: above the first the bitrate falls, below the second it rises
FALL_AFTER, RISE_AFTER = 1.0, 2.0  # s in that state
FALL, RISE, DROP = 0.8, 1.1, 0.7  # factors


class Rate:
    """A video bitrate (bit/s) that follows how far behind the client is."""

    def __init__(self, start: int, low: int, high: int) -> None:
        self.low, self.high = min(low, high), high
        self.bitrate = max(self.low, min(start, high))
        self._high_since: float | None = None
        self._low_since: float | None = None
        self._fell = -FALL_AFTER

    def look(self, behind: float, at: float) -> bool:
        """Note how far behind the client is now; True if the bitrate changed."""
        if behind <= HIGH:
            self._high_since = None
        elif self._high_since is None:
            self._high_since = at
        if behind > LOW:
            self._low_since = None
        elif self._low_since is None:
            self._low_since = at
        if self._high_since is not None and at - self._high_since >= FALL_AFTER:
            self._high_since = at
            return self._set(FALL, at)
        if self._low_since is not None and at - self._low_since >= RISE_AFTER:
            self._low_since = at
            return self._set(RISE, at)
        return False

    def dropped(self, at: float) -> bool:
        """Pictures had to be dropped; True if the bitrate changed. At most one step a second."""
        return at - self._fell >= FALL_AFTER and self._set(DROP, at)

    def _set(self, factor: float, at: float) -> bool:
        if factor < 1:
            self._fell = at
            self._low_since = None
        before = self.bitrate
        self.bitrate = max(self.low, min(self.high, round(before * factor)))
        return self.bitrate != before
