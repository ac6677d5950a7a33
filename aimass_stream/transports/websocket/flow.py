"""How far behind a client is, and what that means for it alone. No input or output, no clock of its own.

TCP hides a slow client behind megabytes of buffers, so the client acknowledges what it is done with. It is behind
by the age of the oldest unacknowledged message, less the shortest acknowledgement time seen lately (the way there
and back); or, once that is noticeable, by the time that everything on its way will take at the pace of the last
second. The first only tells what has already happened: with it alone, twice too much is sent before anything is
noticed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ...errors import InvalidMessage

MAX_BYTES = 512 * 1024  # unacknowledged, above which no more media is sent
MAX_MESSAGES = 2048  # the same in messages; keeps `Flow` itself bounded
MAX_TEXTS = 500  # unacknowledged text messages, above which further ones wait
VIDEO_BEHIND = 0.4  # s behind at which pictures stop
AUDIO_BEHIND = 1.0  # s behind at which sound stops too
BASE_WINDOW = 10.0  # s over which the shortest time is remembered


RATE_WINDOW = 1.0  # s over which the pace of the client is measured
NOTICEABLE = 0.1  # s late, from which on that pace is used to look ahead
MAX_DRAIN = 5.0  # s, further ahead nobody can look

Sort: TypeAlias = Literal["text", "audio", "video"]


@dataclass(frozen=True, slots=True)
class _Sent:
    at: float  # s
    size: int  # bytes
    sort: Sort


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
        self._delivered: deque[tuple[float, int, int]] = deque(maxlen=256)  # when, bytes, those of pictures
        self._began: float | None = None  # s, first message

    def send(self, size: int, sort: Sort, at: float) -> None:
        """A message of `size` bytes leaves now."""
        self._waiting.append(_Sent(at, size, sort))
        self._began = at if self._began is None else self._began
        self.sent += 1
        self.bytes += size
        self.texts += sort == "text"

    def acknowledge(self, received: int, at: float) -> None:
        """The client is done with the first `received` messages. Raises `InvalidMessage` where that can't be."""
        if not self._acknowledged <= received <= self.sent:
            raise InvalidMessage(f"received is {received}: it never falls (from {self._acknowledged}) "
                                 f"and is at most what was sent ({self.sent})", field="received")
        last, total, pictures = None, 0, 0
        for _ in range(received - self._acknowledged):
            last = self._waiting.popleft()
            total += last.size
            self.texts -= last.sort == "text"
            pictures += last.size if last.sort == "video" else 0
        self._acknowledged = received
        self.bytes -= total
        if last is not None:
            self._measured(at - last.at, at)
            self._delivered.append((at, total, pictures))

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
        if not self._waiting:
            return 0.0
        late = at - self._waiting[0].at - self.base
        if late < NOTICEABLE:
            return max(0.0, late)
        pace = sum(size for when, size, _ in self._delivered if at - when <= RATE_WINDOW) / self._window(at)
        return max(late, min(self.bytes / pace, MAX_DRAIN) - self.base) if pace else late

    def video_rate(self, at: float) -> float:
        """bit/s of pictures that the client was done with in the last second."""
        return 8 * sum(size for when, _, size in self._delivered if at - when <= RATE_WINDOW) / self._window(at)

    def _window(self, at: float) -> float:
        """Seconds that rates are measured over: the last one, or all of a young connection."""
        return min(RATE_WINDOW, max(0.1, at - (self._began or 0.0)))

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
FALL, RISE = 0.8, 1.1  # factors
LEAST, SHARE = 0.5, 0.9  # one step goes down by half at most, and to this share of what was delivered


class Rate:
    """A video bitrate (bit/s) that follows how far behind the client is."""

    def __init__(self, start: int, low: int, high: int) -> None:
        self.low, self.high = min(low, high), high
        self.bitrate = max(self.low, min(start, high))
        self._high_since: float | None = None
        self._low_since: float | None = None
        self._fell = float("-inf")

    def look(self, behind: float, delivered: float, at: float) -> bool:
        """Note how far behind the client is and what it took (bit/s); True if the bitrate changed."""
        if behind <= HIGH:
            self._high_since = None
        elif self._high_since is None:
            self._high_since = at
        if behind > LOW:
            self._low_since = None
        elif self._low_since is None:
            self._low_since = at
        if self._high_since is not None and at - self._high_since >= FALL_AFTER:
            return self.fall(delivered, at)
        if self._low_since is not None and at - self._low_since >= RISE_AFTER:
            self._low_since = at
            return self._set(self.bitrate * RISE)
        return False

    def fall(self, delivered: float, at: float) -> bool:
        """Go down, at most one step a second; True if the bitrate changed. Called when pictures are dropped."""
        if at - self._fell < FALL_AFTER:
            return False
        self._fell = self._high_since = at
        self._low_since = None
        return self._set(max(self.bitrate * LEAST, min(self.bitrate * FALL, delivered * SHARE)))

    def _set(self, wanted: float) -> bool:
        before = self.bitrate
        self.bitrate = max(self.low, min(self.high, round(wanted)))
        return self.bitrate != before
