"""One sound track, encoded once in 20 ms packets and sent to any number of viewers."""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from ... import codecs, metrics
from ...codecs import AudioEncoder, EncodedAudio
from ...frames import AUDIO_TIME_BASE, AudioFrame, now
from ...session import Session
from ...settings import Settings
from .outbound import Outbound, Report
from .timeline import Wallclock

log = logging.getLogger(__name__)

LEAD = 0.1  # s: sound may leave this much ahead of its time; what a synthesizer makes faster waits here
LONGEST = 120.0  # s of sound that waits at most
JUMP = 0.1  # s between the end of one frame and the next that make it new sound
REANCHOR = 1.0  # s: later than this against its own clock is a new beginning


class AudioEncoding:
    """`frame` takes sound on the loop; the encoder works in the session's executor, in order.

    Live sound passes at once. Sound that comes faster than it plays (a reply from a synthesizer) is paced by
    its pts, so that `flush` can still take back nearly all of what nobody has heard yet.
    """

    def __init__(self, track: str, codec: str, *, session: Session, settings: Settings, clock: Wallclock) -> None:
        self.track = track
        self.codec = codec
        self._session = session
        self._settings = settings
        self._clock = clock
        self._encode_times = metrics.ENCODE.labels(codec)
        self._loop = asyncio.get_running_loop()
        self._encoder: AudioEncoder | None = None
        self._viewers: dict[Outbound, float] = {}  # -> share of packets lost
        self._queue: deque[AudioFrame] = deque(maxlen=8192)
        self._queued = 0.0  # s
        self._busy = self._closed = self._failing = False
        self._timer: asyncio.TimerHandle | None = None
        self._anchor: tuple[float, float] | None = None  # (pts s, arrival) that pacing counts from
        self._end = 0.0  # pts s at which the sound that has left ends

    @property
    def viewers(self) -> int:
        return len(self._viewers)

    def add(self, outbound: Outbound) -> None:
        self._viewers[outbound] = 0.0

        def report(report: Report) -> None:
            if outbound in self._viewers:
                # in-band copies are wanted at once, and for a while after the losses
                self._viewers[outbound] = max(report.fraction_lost, 0.8 * self._viewers[outbound])

        outbound.on_report = report

    def remove(self, outbound: Outbound) -> None:
        self._viewers.pop(outbound, None)

    def frame(self, frame: AudioFrame) -> None:
        if not self._viewers or not len(frame.samples):
            return
        if self._queued + frame.duration > LONGEST or len(self._queue) == self._queue.maxlen:
            self._session.meter.drop(self.track, "audio", "output_full")
            return
        self._queue.append(frame)
        self._queued += frame.duration
        self._advance()

    def flush(self) -> None:
        """Throw away what has not been encoded."""
        self._queue.clear()
        self._queued = 0.0
        self._anchor = None

    def _advance(self) -> None:
        if self._busy or not self._queue or not self._viewers:
            return
        wait = self._wait(self._queue[0])
        if wait > 0:
            if self._timer is None:
                self._timer = self._loop.call_later(wait, self._wake)
            return
        frame = self._queue.popleft()
        self._end += frame.duration
        self._queued = max(0.0, self._queued - frame.duration)
        loss = round(100 * max(self._viewers.values()))
        self._busy = True
        try:
            self._session.executor.post(self._work, frame, loss, now())
        except RuntimeError:  # the session is closing
            self._busy = False

    def _wake(self) -> None:
        self._timer = None
        self._advance()

    def _wait(self, frame: AudioFrame) -> float:
        """Seconds until this frame may leave."""
        moment = frame.seconds
        if self._anchor is None:
            self._anchor = (moment, frame.arrived)
        elif abs(moment - self._end) > JUMP:  # new sound, which follows the old one at once
            pts, arrival = self._anchor
            self._anchor = (moment, max(frame.arrived, arrival + self._end - pts))
        self._end = moment
        pts, arrival = self._anchor
        ahead = (moment - pts) - (frame.arrived - arrival)
        if ahead > LEAD:
            return frame.arrived + ahead - LEAD - now()
        if ahead < -REANCHOR:
            self._anchor = (moment, frame.arrived)
        else:  # follow the sender's clock, which drifts against ours
            self._anchor = (pts, arrival - ahead / 64)
        return 0.0

    def _work(self, frame: AudioFrame, loss: int, since: float) -> None:
        """In a thread of the session."""
        packets: list[EncodedAudio] = []
        try:
            if self._encoder is None:
                self._encoder = codecs.audio_encoder(self.codec, self._settings.audio_bitrate)
            self._encoder.loss_percent = loss
            packets = self._encoder.encode(frame)
            self._failing = False
        except Exception as error:  # whatever a stage made of the sound: the next piece may be sound
            if not self._failing:
                log.warning("%s of session %s can't be encoded", self.track, self._session.id, exc_info=error)
            self._failing = True
        try:
            self._loop.call_soon_threadsafe(self._done, frame, packets, since, now())
        except RuntimeError:  # the loop is closed
            return

    def _done(self, frame: AudioFrame, packets: list[EncodedAudio], since: float, encoded: float) -> None:
        self._busy = False
        if self._closed:
            self._free()
            return
        self._advance()
        if not packets:
            return
        self._encode_times.observe(encoded - since)
        captured = self._clock.at(frame)
        begin = round(frame.pts * frame.time_base / AUDIO_TIME_BASE)
        for packet in packets:
            moment = captured + (packet.pts - begin) / 48_000
            for outbound in self._viewers:
                outbound.send((packet.data,), packet.pts, moment)
        meter, moment = self._session.meter, now()
        meter.hop(self.track, "audio", "encode", encoded - since)
        meter.hop(self.track, "audio", "send", moment - encoded)
        meter.hop(self.track, "audio", "total", moment - frame.arrived)

    def close(self) -> None:
        self._viewers.clear()
        self.flush()
        if self._timer is not None:
            self._timer.cancel()
        self._closed = True
        self._free()

    def _free(self) -> None:
        if self._encoder is not None and not self._busy:
            self._encoder.close()
            self._encoder = None
