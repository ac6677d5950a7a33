"""A caller on a loudspeaker does not interrupt the reply by its own echo: the server plays it, and takes it out again.

`conversation.echo` does that for a microphone and what was played beside it. Here the two run on clocks of their
own, the player's and the caller's; the offset between them is found once and kept for as long as something plays,
since the canceller learns the way of the echo with it.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from ...conversation.echo import EchoGuard
from ...frames import AUDIO_RATE, AUDIO_TIME_BASE, AudioFrame, Samples
from ...speech.audio import MOST_GAP
from ...speech.words import HEARING_RATE

INFINITE = float("inf")
KEPT = 2000  # frames of 20 ms that were played and whose echo has not come by yet
TAIL = 0.6  # s after a sound in which its echo may come
EARLY, LATE = 0.01, 0.1  # s that the microphone's clock may be off, while nothing plays
LOST = 0.5  # s, while something plays: its clock was set anew
WATCHED = 1.0  # s: frames are late or on time, never early, so of those of so long the earliest tells the clock


class Echo:
    """Of one call. Tell it what is `played` and `cleared`; `clean` is for each frame of the microphone."""

    def __init__(self) -> None:
        self.guard = EchoGuard()
        self._pieces: deque[tuple[int, Samples]] = deque(maxlen=KEPT)  # tick of the player's clock, samples
        self._end = 0  # tick at which the last sound ends
        self._offset: float | None = None  # s from the microphone's clock to the player's
        self._earliest = [INFINITE, INFINITE]  # the least offset seen in the last `WATCHED`, and in the one before
        self._turns = 0.0  # when these change places (s, monotonic)

    def played(self, samples: Samples, left: float, text: str = "") -> None:
        """(n, 1) at AUDIO_RATE that leave at this moment (s, monotonic), evenly paced. `text` begins with them."""
        at = round(left * AUDIO_RATE)
        self._pieces.append((at, samples))
        self._end = at + len(samples)
        if text:
            self.guard.said(text)

    def cleared(self, left: float) -> None:
        """What would have left after this moment is not played."""
        end = round(left * AUDIO_RATE)
        while self._pieces and self._pieces[-1][0] + len(self._pieces[-1][1]) > end:
            at, samples = self._pieces.pop()
            if at < end:
                self._pieces.append((at, samples[: end - at]))
        self._end = min(self._end, end)

    def clean(self, frame: AudioFrame) -> AudioFrame | None:
        """The frame without echo, 16 kHz mono; None while less than 20 ms have gathered."""
        offset = self._followed(frame)
        begin, count = round((frame.seconds + offset) * AUDIO_RATE), round(frame.duration * AUDIO_RATE)
        clean = self.guard.clean(frame, frame.replace(samples=self._at(begin, count), rate=AUDIO_RATE,
                                                      time_base=AUDIO_TIME_BASE, gap=0))
        pause = frame.gap / frame.rate - MOST_GAP  # what the canceller does not fill with silence
        return clean if clean is None or pause <= 0 else clean.replace(gap=round(pause * HEARING_RATE))

    def _followed(self, frame: AudioFrame) -> float:
        """The offset. It is not the exact one, which is part of the echo's way; but it has to stay."""
        seen = self._watched(frame)
        plays = frame.arrived * AUDIO_RATE < self._end + TAIL * AUDIO_RATE
        if self._offset is None:
            self._offset = seen
        off = seen - self._offset
        if abs(off) > LOST or (not plays and not -EARLY <= off <= LATE):
            self._offset = seen
        return self._offset

    def _watched(self, frame: AudioFrame) -> float:
        """The offset by those of the last frames that were on time."""
        seen = frame.arrived - frame.seconds - frame.duration
        if frame.arrived >= self._turns:
            self._earliest = [seen, self._earliest[0]]
            self._turns = frame.arrived + WATCHED
        self._earliest[0] = min(self._earliest[0], seen)
        return min(self._earliest)

    def _at(self, begin: int, count: int) -> Samples:
        """What was played from this tick on; silence where nothing was."""
        found: Samples = np.zeros((count, 1), np.int16)
        while self._pieces and self._pieces[0][0] + len(self._pieces[0][1]) < begin - AUDIO_RATE:
            self._pieces.popleft()
        for at, samples in self._pieces:
            start, end = max(at, begin), min(at + len(samples), begin + count)
            if start < end:
                found[start - begin : end - begin] = samples[start - at : end - at]
            elif at >= begin + count:
                break
        return found
