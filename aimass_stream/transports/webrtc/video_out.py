"""One picture track, encoded once and sent to any number of viewers."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from ... import codecs, metrics
from ...codecs import VideoEncoder
from ...codecs.base import video_pts
from ...frames import VideoFrame, now
from ...session import Session
from ...settings import Settings
from .bitrate import Rate
from .outbound import Outbound
from .payload import h264_payloads, vp8_payloads
from .timeline import Wallclock

log = logging.getLogger(__name__)

KEYFRAME_EVERY = 0.3  # s between key frames on request, however many viewers ask
STILL = 0.2  # s without a picture after which the last one is sent again to a viewer who waits for a key frame
BITRATE_NEWS = 0.25  # a change by more than this share is told
BITS_PER_PIXEL = 0.12  # of a picture at 30 a second; more is hard to see and costs the encoder time

Changed = Callable[[int, str], None]  # bit/s, why


@dataclass(slots=True)
class _Viewer:
    rate: Rate
    waiting: bool = True  # for a key frame


class VideoEncoding:
    """`frame` takes pictures on the loop; the encoder works in the session's executor, one picture at a time.

    While it is busy the newest picture waits and older ones are dropped and counted. Viewers share the
    packets; each has its own RTP stream. The bit rate is that of the slowest viewer.
    """

    def __init__(self, track: str, codec: str, *, session: Session, settings: Settings, clock: Wallclock,
                 changed: Changed) -> None:
        self.track = track
        self.codec = codec
        self._session = session
        self._settings = settings
        self._clock = clock
        self._changed = changed
        self._encode_times = metrics.ENCODE.labels(codec)
        self._loop = asyncio.get_running_loop()
        self._encoder: VideoEncoder | None = None
        self._picture = secrets.randbits(15)
        self._viewers: dict[Outbound, _Viewer] = {}
        self._busy = self._closed = self._failing = False
        self._next: VideoFrame | None = None
        self._last: VideoFrame | None = None
        self._since = 0.0  # when the last picture came
        self._keyframe_wanted = False
        self._keyframe_at = -1e9  # when the last one was asked for
        self._still: asyncio.TimerHandle | None = None
        self._pts = -1  # of the last picture sent
        self._told = 0
        self._size = (0, 0)
        self._enough = settings.max_bitrate  # bit/s that pictures of this size can use
        self.bitrate = settings.start_bitrate

    # viewers ---------------------------------------------------------------------------------------

    @property
    def viewers(self) -> int:
        return len(self._viewers)

    def add(self, outbound: Outbound) -> None:
        """Send to this stream from its next key frame on."""
        settings = self._settings
        start = max(settings.start_bitrate, self.bitrate if self._viewers else 0)
        viewer = _Viewer(Rate(start, settings.min_bitrate, settings.max_bitrate))
        self._viewers[outbound] = viewer
        outbound.on_keyframe_request = self.request_keyframe

        def report(report: object) -> None:
            viewer.rate.report(report)  # type: ignore[arg-type]
            self._adapt()

        def estimate(bits: int) -> None:
            viewer.rate.estimate(bits)
            self._adapt()

        outbound.on_report, outbound.on_estimate = report, estimate
        self._adapt()
        self.request_keyframe()

    def remove(self, outbound: Outbound) -> None:
        self._viewers.pop(outbound, None)
        self._adapt()

    def request_keyframe(self) -> None:
        """The next picture is a key frame; at most one every 0.3 s."""
        self._keyframe_wanted = True
        if self._still is None:
            self._still = self._loop.call_later(STILL, self._repeat)

    def _repeat(self) -> None:
        """Somebody waits for a key frame; if nothing moves, encode the last picture once more."""
        self._still = None
        last, moment = self._last, now()
        if last is None or not self._keyframe_wanted or not self._viewers:
            return
        due = max(self._since + STILL, self._keyframe_at + KEYFRAME_EVERY)
        if due > moment or self._busy:
            self._still = self._loop.call_later(max(due - moment, STILL / 10), self._repeat)
            return
        idle = moment - self._since
        self._start(last.replace(pts=last.pts + round(idle / last.time_base), arrived=moment,
                                 captured=None if last.captured is None else last.captured + idle))

    def _adapt(self) -> None:
        if not self._viewers:
            return
        slowest = min((viewer.rate for viewer in self._viewers.values()), key=lambda rate: rate.target)
        self.bitrate = min(slowest.target, self._enough)
        if not self._told:
            self._told = self.bitrate
        elif abs(self.bitrate - self._told) > BITRATE_NEWS * self._told:
            self._told = self.bitrate
            self._changed(self.bitrate, slowest.reason)

    # pictures --------------------------------------------------------------------------------------

    def frame(self, frame: VideoFrame) -> None:
        self._last, self._since = frame, now()
        if not self._viewers:
            return
        if self._busy:
            if self._next is not None:
                self._session.meter.drop(self.track, "video", "encoder_busy")
            self._next = frame
            return
        self._start(frame)

    def _start(self, frame: VideoFrame) -> None:
        moment = now()
        if (frame.width, frame.height) != self._size:
            self._size = (frame.width, frame.height)
            self._enough = max(self._settings.min_bitrate, round(BITS_PER_PIXEL * 30 * frame.width * frame.height))
            self._adapt()
        keyframe = self._keyframe_wanted and moment - self._keyframe_at >= KEYFRAME_EVERY
        if keyframe:
            self._keyframe_wanted = False
            self._keyframe_at = moment
        self._busy = True
        try:
            self._session.executor.post(self._work, frame, keyframe, self.bitrate, moment)
        except RuntimeError:  # the session is closing
            self._busy = False

    def _work(self, frame: VideoFrame, keyframe: bool, bitrate: int, since: float) -> None:
        """In a thread of the session."""
        payloads: list[bytes] = []
        try:
            if self._encoder is None:
                self._encoder = codecs.video_encoder(self.codec, bitrate)
            self._encoder.bitrate = bitrate
            encoded = self._encoder.encode(frame, keyframe)
            if encoded is not None:
                payloads, keyframe = self._packetize(encoded.data), encoded.keyframe
            self._failing = False
        except Exception as error:  # whatever a stage made of the picture: the next one may be sound
            if not self._failing:
                log.warning("%s of session %s can't be encoded", self.track, self._session.id, exc_info=error)
            self._failing = True
        try:
            self._loop.call_soon_threadsafe(self._done, frame, payloads, keyframe, since, now())
        except RuntimeError:  # the loop is closed
            return

    def _packetize(self, data: bytes) -> list[bytes]:
        if self.codec.upper() == "H264":
            return h264_payloads(data)
        self._picture = (self._picture + 1) & 0x7FFF
        return vp8_payloads(data, self._picture)

    def _done(self, frame: VideoFrame, payloads: list[bytes], keyframe: bool, since: float, encoded: float) -> None:
        self._busy = False
        if self._closed:
            self._free()
            return
        waiting, self._next = self._next, None
        if waiting is not None and self._viewers:
            self._start(waiting)
        meter = self._session.meter
        if not payloads:
            meter.drop(self.track, "video", "not_encoded")
            return
        self._encode_times.observe(encoded - since)
        meter.hop(self.track, "video", "encode", encoded - since)
        self._send(frame, payloads, keyframe)
        moment = now()
        meter.hop(self.track, "video", "send", moment - encoded)
        meter.hop(self.track, "video", "total", moment - frame.arrived)

    def _send(self, frame: VideoFrame, payloads: list[bytes], keyframe: bool) -> None:
        self._pts = max(video_pts(frame), self._pts + 1)
        captured = self._clock.at(frame)
        for outbound, viewer in self._viewers.items():
            if viewer.waiting and not keyframe:
                continue
            viewer.waiting = False
            outbound.send(payloads, self._pts, captured)

    def close(self) -> None:
        self._viewers.clear()
        self._next = self._last = None
        if self._still is not None:
            self._still.cancel()
        self._closed = True
        self._free()

    def _free(self) -> None:
        """The encoder's memory goes now, and not when the garbage collector finds it: it is several megabytes."""
        if self._encoder is not None and not self._busy:
            self._encoder.close()
            self._encoder = None

