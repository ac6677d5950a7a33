"""One received picture track: from RTP payloads to pictures for the pipeline."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from ... import codecs, metrics
from ...codecs import VideoDecoder
from ...errors import InvalidMedia
from ...events import MediaRefused
from ...frames import VIDEO_TIME_BASE, Frame, Picture, VideoFrame, now
from ...session import Session
from ...settings import Settings
from .estimate import Estimator
from .formats import Format
from .inbound import Inbound
from .jitter import EncodedFrame, VideoJitterBuffer
from .timeline import Timeline

log = logging.getLogger(__name__)

PENDING = 8  # pictures that wait for the decoder; more, and it starts again at a key frame
SIZES_PER_SECOND = 2.0  # changes of size that are followed in the long run
SIZES_AT_ONCE = 6.0
TELL_EVERY = 5.0  # s between two media.refused events for the same reason
REFUSED = {
    "picture_size": "a picture is larger than allowed",
    "fps": "there are more pictures a second than allowed",
    "size_changes": "the size of the picture changes too often",
}

NEVER = float("inf")
EARLY = 0.0005  # s that a timer may fire before its time: loops count in milliseconds

JITTER_DEPTH = metrics.JITTER_DEPTH.labels("video")

Push = Callable[[Frame], None]


class VideoIn:
    """Packets of `inbound` go through the jitter buffer on the loop and are decoded in the session's executor."""

    def __init__(self, track: str, inbound: Inbound, session: Session, settings: Settings, push: Push) -> None:
        self.track = track
        self.inbound = inbound
        self._session = session
        self._settings = settings
        self._push = push
        self._loop = asyncio.get_running_loop()
        self._limits = codecs.Limits(settings.max_width, settings.max_height)
        self._timeline = Timeline(90_000)
        self._format: Format | None = None
        self._buffer: VideoJitterBuffer | None = None
        self._decoder: VideoDecoder | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = NEVER
        self._pending: deque[EncodedFrame] = deque(maxlen=PENDING)
        self._busy = False
        self._closed = False
        self._counted: dict[str, int] = {}
        self._told: dict[str, float] = {}
        self._origin: int | None = None  # RTP timestamp of the first picture, whose pts is 0
        self._size = (0, 0)
        self._size_allowance, self._size_at = SIZES_AT_ONCE, now()
        self.decoded = 0
        inbound.estimator = Estimator(settings.start_bitrate, settings.min_bitrate, settings.max_bitrate)
        inbound.deliver = self._packet
        inbound.on_restart = self._restart
        inbound.on_sender_report = self._timeline.report

    # packets ---------------------------------------------------------------------------------------

    def _packet(self, form: Format, sequence: int, timestamp: int, marker: bool, payload: bytes,
                arrived: float) -> None:
        buffer = self._buffer
        if buffer is None or form is not self._format:
            buffer = self._open(form)
        frames = buffer.add(sequence, timestamp, marker, payload, arrived)
        if frames:
            self._release(frames)
        self._arm(buffer.wakeup)

    def _open(self, form: Format) -> VideoJitterBuffer:
        """The first packet, or the sender went over to another codec."""
        self._format = form
        self._decode_times = metrics.DECODE.labels(form.name)
        self._timeline.restart()
        self._pending.clear()
        self._decoder = None
        self._buffer = VideoJitterBuffer(form.name.upper(), deadline=self._settings.video_deadline,
                                         limits=self._limits, max_fps=self._settings.max_fps)
        self._counted = {}
        return self._buffer

    def _restart(self) -> None:
        self._timeline.restart()
        if self._buffer is not None:
            self._buffer.reset()

    def _arm(self, due: float) -> None:
        if due == self._timer_due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        self._timer = self._loop.call_later(max(0.0, due - now()), self._wake) if due < NEVER else None

    def _wake(self) -> None:
        self._timer = None
        self._timer_due = NEVER
        buffer = self._buffer
        if buffer is None or self._closed:
            return
        moment = now() + EARLY
        if buffer.wakeup <= moment:
            actions = buffer.poll(moment)
            if actions.frames:
                self._release(actions.frames)
            if actions.nacks:
                self.inbound.nack(actions.nacks)
            if actions.pli:
                self.inbound.pli()
        self._arm(buffer.wakeup)

    # pictures --------------------------------------------------------------------------------------

    def _release(self, frames: Sequence[EncodedFrame]) -> None:
        moment, meter = now(), self._session.meter
        for frame in frames:
            meter.hop(self.track, "video", "jitter", moment - frame.arrived)
            JITTER_DEPTH.observe(moment - frame.first_arrived)
            if len(self._pending) == PENDING:
                meter.drop(self.track, "video", "decoder_busy", PENDING)
                self._pending.clear()
                self._need_keyframe()
            if self._pending or self._busy:
                self._pending.append(frame)
            else:
                self._decode(frame)

    def _need_keyframe(self) -> None:
        buffer = self._buffer
        if buffer is not None:
            buffer.request_keyframe(now())
            self._arm(buffer.wakeup)

    def _decode(self, frame: EncodedFrame) -> None:
        assert self._format is not None
        self._busy = True
        try:
            self._session.executor.post(self._work, frame, self._format, now())
        except RuntimeError:  # the session is closing
            self._busy = False

    def _work(self, frame: EncodedFrame, form: Format, since: float) -> None:
        """In a thread of the session."""
        pictures: list[Picture] = []
        error: Exception | None = None
        try:
            decoder = self._decoder
            if decoder is None:
                decoder = self._decoder = codecs.video_decoder(form.name, self._limits)
            pictures = decoder.decode(frame.data, frame.timestamp)
        except InvalidMedia as raised:
            error = raised
        except Exception as raised:
            log.warning("%s of session %s can't be decoded", self.track, self._session.id, exc_info=raised)
            error, self._decoder = raised, None
        try:
            self._loop.call_soon_threadsafe(self._done, frame, form, pictures, error, since, now())
        except RuntimeError:  # the loop is closed
            return

    def _done(self, frame: EncodedFrame, form: Format, pictures: list[Picture], error: Exception | None,
              since: float, decoded: float) -> None:
        self._busy = False
        if self._closed:
            self._free()
            return
        if self._pending:
            self._decode(self._pending.popleft())
        if form is not self._format:
            self._decoder = None
            return
        meter = self._session.meter
        if error is not None:
            reason = str(error.data.get("reason", "decode")) if isinstance(error, InvalidMedia) else "decode"
            meter.drop(self.track, "video", reason)
            if reason != "picture_size":
                self._need_keyframe()
            else:
                self._refuse(reason)
            return
        self._decode_times.observe(decoded - since)
        meter.hop(self.track, "video", "decode", decoded - since)
        self.decoded += 1
        for picture in pictures:
            if self._size_follows(picture):
                if self._origin is None:
                    self._origin = frame.timestamp
                self._push(VideoFrame(pts=frame.timestamp - self._origin, time_base=VIDEO_TIME_BASE, track=self.track,
                                      arrived=frame.arrived, captured=self._timeline.captured(frame.rtp_timestamp),
                                      picture=picture))

    def _size_follows(self, picture: Picture) -> bool:
        """False for a picture whose size is one change too many: each makes every stage and encoder start anew."""
        size = (picture.width, picture.height)
        if size == self._size:
            return True
        moment = now()
        self._size_allowance = min(SIZES_AT_ONCE,
                                   self._size_allowance + (moment - self._size_at) * SIZES_PER_SECOND)
        self._size_at = moment
        if self._size_allowance < 1:
            self._session.meter.drop(self.track, "video", "size_changes")
            self._refuse("size_changes")
            return False
        self._size_allowance -= 1
        self._size = size
        return True

    # once a second ---------------------------------------------------------------------------------

    def tick(self) -> None:
        """Carry the buffer's counts over into the session's."""
        buffer = self._buffer
        if buffer is None:
            return
        for reason, count in (*buffer.dropped.items(), *((f"packet_{name}", count) for name, count
                                                         in buffer.dropped_packets.items())):
            news = count - self._counted.get(reason, 0)
            if news:
                self._counted[reason] = count
                self._session.meter.drop(self.track, "video", reason, news)
                if reason in REFUSED:
                    self._refuse(reason)

    def _refuse(self, reason: str) -> None:
        moment = now()
        if moment - self._told.get(reason, -TELL_EVERY) >= TELL_EVERY:
            self._told[reason] = moment
            limits = self._settings
            self._session.event(MediaRefused(
                reason=reason, detail=f"{REFUSED[reason]}; the limits are {limits.max_width}x{limits.max_height} "
                f"px at {limits.max_fps:g} pictures a second"), track=self.track)

    def stats(self) -> dict[str, Any]:
        buffer = self._buffer
        return {**self.inbound.stats(), "codec": self._format.name if self._format is not None else None,
                "width": self._size[0], "height": self._size[1], "decoded": self.decoded,
                **({"jitter_buffer": buffer.stats()} if buffer is not None else {})}

    def close(self) -> None:
        self._closed = True
        self._pending.clear()
        self._buffer = None
        self.inbound.deliver = lambda *_: None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._free()

    def _free(self) -> None:
        """The decoder's memory goes now, and not when the garbage collector finds it."""
        if self._decoder is not None and not self._busy:
            self._decoder.close()
            self._decoder = None
