"""Lip sync: the tracks of a session leave together although their stages take different times.

Each track's lag is what lies between capture and leaving the pipeline. The slowest track sets the pace;
the others are held back to it. Lags are compared on the sender's clock where all tracks know their capture
time (RTCP sender reports, RFC 3550 section 6.4.1), else by arrival.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from .frames import Frame, now
from .metrics import Meter

WINDOW = 60  # lags kept a track: 2 s of video, 1.2 s of sound
CALM = 0.012  # s: the pace moves only when it is off by more than this, so that sound is not stretched
LONGEST = 1.0  # s: nothing is held longer


class LipSync:
    def __init__(self, deliver: Callable[[Frame], None], meter: Meter) -> None:
        self._deliver = deliver
        self._meter = meter
        self._lags: dict[str, deque[float]] = {}
        self._knows_capture: dict[str, bool] = {}
        self._by_capture = False
        self._pace: float | None = None  # s: the lag every track should have
        self._timers: dict[str, deque[tuple[asyncio.TimerHandle, Frame]]] = {}
        self._due: dict[str, float] = {}  # track -> when its last frame goes

    def frame(self, frame: Frame) -> None:
        """Deliver this frame when its turn has come."""
        if frame.kind == "text":
            self._deliver(frame)
            return
        moment = now()
        self._knows_capture[frame.track] = frame.captured is not None
        by_capture = all(self._knows_capture.values())
        if by_capture != self._by_capture:  # the two clocks have nothing in common: start anew
            self._by_capture = by_capture
            self._lags.clear()
            self._pace = None
        lag = moment - (frame.captured if by_capture and frame.captured is not None else frame.arrived)
        self._lags.setdefault(frame.track, deque(maxlen=WINDOW)).append(lag)
        pace = max(sorted(kept)[int(len(kept) * 0.8)] for kept in self._lags.values() if kept)
        if self._pace is None or abs(pace - self._pace) > CALM:
            self._pace = pace
        wait = min(self._pace - lag, LONGEST)
        due = max(moment + max(wait, 0.0), self._due.get(frame.track, 0.0))
        self._due[frame.track] = due
        waiting = self._timers.setdefault(frame.track, deque(maxlen=256))
        if due <= moment and not waiting:
            self._deliver(frame)
            return
        if len(waiting) == waiting.maxlen:
            handle, _ = waiting.popleft()
            handle.cancel()
            self._meter.drop(frame.track, frame.kind, "lipsync_full")
        loop = asyncio.get_running_loop()
        waiting.append((loop.call_later(due - moment, self._fire, frame.track), frame))

    def _fire(self, track: str) -> None:
        waiting = self._timers[track]
        if waiting:
            _, frame = waiting.popleft()
            self._deliver(frame)

    def flush(self, *, deliver: bool = False) -> None:
        """Forget what is held, or deliver it now."""
        for waiting in self._timers.values():
            while waiting:
                handle, frame = waiting.popleft()
                handle.cancel()
                if deliver:
                    self._deliver(frame)
        self._lags.clear()
        self._knows_capture.clear()
        self._due.clear()
        self._pace = None
