"""When a frame was captured, on its sender's clock (RFC 3550 section 6.4.1), and that clock on ours.

Each track's RTP timestamps start anywhere. Sender reports tie them to the sender's NTP clock, which all of its
tracks share; so do ours, outbound, with the time of capture instead of the time of sending.
"""

from __future__ import annotations

import time

from ...frames import Frame, now
from . import rtp

STEP = 0.05  # s: a report that is further off than this starts the mapping anew, else it nudges it
NUDGE = 0.125
WINDOW = 50  # pieces of sound, which are compared with those before: did all of them come later?
GAP = 0.1  # s: by so much


class Timeline:
    """One received track: its RTP timestamps to seconds on the sender's clock. Wraps may be counted or not."""

    def __init__(self, clock: int) -> None:
        self._clock = clock  # Hz
        self._last: int | None = None  # ticks
        self._offset: float | None = None  # s on the sender's clock where the ticks are 0
        self._usual: float | None = None  # s, the least from capture to arrival of a window, on two clocks
        self._late: list[float] = []  # the same of the frames since

    def restart(self) -> None:
        """Another SSRC goes on: its timestamps have nothing to do with the old ones."""
        self._last = self._offset = None
        self._settle()

    def report(self, ntp: int, timestamp: int) -> None:
        """A sender report says what its clock showed at `timestamp`."""
        if ntp == 0 or self._last is None:
            return
        offset = rtp.from_ntp(ntp) - self._ticks(timestamp, self._last) / self._clock
        if self._offset is None or abs(offset - self._offset) > STEP:
            self._offset = offset
            self._settle()
        else:
            self._offset += NUDGE * (offset - self._offset)

    def captured(self, timestamp: int) -> float | None:
        """s on the sender's clock for a frame, None before its first report."""
        self._last = timestamp if self._last is None else self._ticks(timestamp, self._last)
        return None if self._offset is None else self._last / self._clock + self._offset

    def heard(self, timestamp: int, arrived: float) -> float | None:
        """The same for sound, which arrived at that moment: its timestamps count samples, so they stand still while a
        device gives none, and the next report may be seconds away."""
        captured = self.captured(timestamp)
        if captured is None or self._offset is None:
            return None
        self._late.append(arrived - captured)
        if len(self._late) < WINDOW:
            return captured
        least = min(self._late)
        self._late.clear()
        if self._usual is None or abs(least - self._usual) <= GAP:
            self._usual = least
            return captured
        self._offset += least - self._usual
        return captured + least - self._usual

    def _settle(self) -> None:
        self._usual = None
        self._late.clear()

    @staticmethod
    def _ticks(timestamp: int, near: int) -> int:
        return near + ((timestamp - near + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)


class Wallclock:
    """The common clock of what a session sends: seconds since 1970 for our sender reports.

    Frames whose sender told its clock are placed by capture, others by arrival. Where the two meet, the first
    frame with a capture time decides how they lie to each other, once for all tracks of the session.
    """

    def __init__(self) -> None:
        self._epoch = time.time() - now()  # s to add to the monotonic clock
        self._offset: float | None = None  # s to add to the sender's clock

    def at(self, frame: Frame) -> float:
        arrived = frame.arrived + self._epoch
        if frame.captured is None:
            return arrived
        if self._offset is None or abs(frame.captured + self._offset - arrived) > 10:
            self._offset = arrived - frame.captured
        return frame.captured + self._offset
