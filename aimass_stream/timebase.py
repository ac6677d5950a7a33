"""One steady media clock per track, whatever a peer's timestamps do."""

from __future__ import annotations

from .frames import AudioFrame, Frame
from .metrics import Meter

JUMP = 2.0  # s: further off than this from where the clock should be is a new timeline, not jitter
LATE = 0.5  # s: a step back up to this is one late frame, which is dropped


class Timebase:
    """Rewrites `pts` so that each track runs on without a jump when a peer resumes or its clock leaps.

    While a peer's clock is sane its pts are passed through unchanged.
    """

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._tracks: dict[str, tuple[float, float, int]] = {}  # track -> (last pts s, its arrival, offset in ticks)
        self._new_peer: set[str] = set()  # tracks whose next frame may start a timeline of its own

    def new_peer(self) -> None:
        """Another peer feeds these tracks from now on: a step back is a new clock and not a late frame."""
        self._new_peer.update(self._tracks)

    def admit(self, frame: Frame) -> Frame | None:
        """The frame on our clock, or None if it is too late to be of use. Words are never too late."""
        if frame.kind == "text":
            return frame
        last = self._tracks.get(frame.track)
        if last is None:
            self._tracks[frame.track] = (frame.seconds, frame.arrived, 0)
            return frame
        last_pts, last_arrival, offset = last
        tick = frame.time_base.numerator / frame.time_base.denominator
        pts = (frame.pts + offset) * tick
        step, elapsed = pts - last_pts, max(0.0, frame.arrived - last_arrival)
        new_peer = frame.track in self._new_peer
        self._new_peer.discard(frame.track)
        if -LATE < step <= 0 and not new_peer:
            self._meter.drop(frame.track, frame.kind, "late")
            return None
        if step <= 0 or abs(step - elapsed) > JUMP:
            # a new timeline: go on from where the old one would be by now
            least = frame.duration if isinstance(frame, AudioFrame) else 0.001
            target = last_pts + max(elapsed, least)
            offset = round(target / tick) - frame.pts
            pts = target
            self._meter.drop(frame.track, frame.kind, "pts_jump", 0)
        self._tracks[frame.track] = (pts, frame.arrived, offset)
        return frame.replace(pts=frame.pts + offset) if offset else frame
