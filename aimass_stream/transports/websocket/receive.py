"""From media messages to frames: one receiver a track, decoding off the loop, refusing with a reason."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from ... import metrics, wire
from ...codecs import pcm
from ...codecs.base import VideoDecoder
from ...codecs.opus import OpusDecoder
from ...errors import InvalidMedia
from ...frames import AUDIO_RATE, AUDIO_TIME_BASE, VIDEO_TIME_BASE, AudioFrame, Frame, Samples, VideoFrame, now
from ...metrics import Meter
from ...queues import BoundedQueue

WAITING_PICTURES = 8  # encoded, before the decoder
WAITING_PACKETS = 100  # 2 s of Opus
LONGEST_GAP = 2.0  # s of missing sound that are told to the pipeline; further on it is a new timeline
ASK_EVERY = 0.5  # s between two requests for a key frame


@dataclass(frozen=True, slots=True)
class Inlet:
    """What a receiver needs of its connection."""

    meter: Meter
    executor: Executor
    push: Callable[[Frame], None]
    refuse: Callable[[str, str, str], None]  # track, reason, detail: counted, and told to the client
    ask_keyframe: Callable[[str], None]  # track


class Receiver(Protocol):
    def put(self, media: wire.Media) -> None: ...
    async def run(self) -> None: ...


class Pace:
    """Lets `rate` items a second through, and short bursts."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._burst = max(8.0, rate / 4)
        self._tokens = self._burst
        self._at = now()

    def allows(self) -> bool:
        at = now()
        self._tokens = min(self._burst, self._tokens + (at - self._at) * self._rate)
        self._at = at
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class PcmReceiver:
    """Samples need no decoder: they go on at once."""

    def __init__(self, inlet: Inlet, track: str, form: wire.AudioFormat) -> None:
        self._inlet, self._track, self._form = inlet, track, form
        self._gap = Gap(form.rate)

    def put(self, media: wire.Media) -> None:
        form = self._form
        if len(media.payload) > wire.MAX_SOUND * form.rate * form.channels * 2:
            self._inlet.refuse(self._track, "too_long", f"a message holds at most {wire.MAX_SOUND:g} s of sound")
            return
        try:
            samples = pcm.from_bytes(media.payload, form.channels)
        except InvalidMedia as error:
            self._inlet.refuse(self._track, error.data["reason"], error.detail)
            return
        self._inlet.push(_sound(self._track, media.pts, form.time_base, samples, form.rate, self._gap, now()))

    async def run(self) -> None:
        """Nothing runs beside."""


class OpusReceiver:
    def __init__(self, inlet: Inlet, track: str, form: wire.AudioFormat) -> None:
        self._inlet, self._track = inlet, track
        self._decoder = OpusDecoder(form.channels)
        self._gap = Gap(AUDIO_RATE)
        self._queue: BoundedQueue[tuple[wire.Media, float]] = BoundedQueue(WAITING_PACKETS, "skip_late",
                                                                          on_drop=self._dropped)

    def put(self, media: wire.Media) -> None:
        self._queue.put_nowait((media, now()))

    def _dropped(self, item: tuple[wire.Media, float]) -> None:
        self._inlet.meter.drop(self._track, "audio", "decode_overload")

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            (media, arrived), _ = await self._queue.get()
            try:
                samples = await loop.run_in_executor(self._inlet.executor, self._decoder.decode, media.payload)
            except InvalidMedia as error:
                self._inlet.refuse(self._track, error.data["reason"], error.detail)
                continue
            _decoded(self._inlet.meter, self._track, "audio", "opus", now() - arrived)
            self._inlet.push(_sound(self._track, media.pts, AUDIO_TIME_BASE, samples, AUDIO_RATE, self._gap, arrived))


class VideoReceiver:
    """Pictures over the frame rate and those the decoder has no time for are dropped up to the next key frame."""

    def __init__(self, inlet: Inlet, track: str, codec: str, decoder: Callable[[], VideoDecoder],
                 max_fps: float) -> None:
        self._inlet, self._track, self._codec = inlet, track, codec
        self._make = decoder
        self._decoder = decoder()
        self._pace = Pace(max_fps)
        self._max_fps = max_fps
        self._lost = False  # something is missing before the next picture
        self._asked = 0.0  # s, when a key frame was last asked for
        self._queue: BoundedQueue[tuple[wire.Media, float]] = BoundedQueue(WAITING_PICTURES, "keep_newest",
                                                                          on_drop=self._dropped)

    def put(self, media: wire.Media) -> None:
        if self._pace.allows():
            self._queue.put_nowait((media, now()))
        else:
            self._lose()
            self._inlet.refuse(self._track, "frame_rate", f"more than {self._max_fps:g} pictures a second")

    def _dropped(self, item: tuple[wire.Media, float]) -> None:
        self._lose()
        self._inlet.meter.drop(self._track, "video", "decode_overload")

    def _lose(self) -> None:
        """One is missing: what comes up to the next key frame is of no use, so that is asked for at once and not when
        the decoder, which is late already, has got so far."""
        self._lost = True
        self._ask()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            (media, arrived), _ = await self._queue.get()
            if self._lost and self._codec != "jpeg":
                # a new decoder takes nothing but a key frame, so nothing is decoded onto the wrong picture
                self._decoder.close()
                self._decoder = self._make()
            self._lost = False
            try:
                pictures = await loop.run_in_executor(self._inlet.executor, self._decoder.decode, media.payload,
                                                      media.pts)
            except InvalidMedia as error:
                self._refused(error)
                continue
            _decoded(self._inlet.meter, self._track, "video", self._codec, now() - arrived)
            for picture in pictures:
                self._inlet.push(VideoFrame(pts=media.pts, time_base=VIDEO_TIME_BASE, track=self._track,
                                            arrived=arrived, captured=media.pts / VIDEO_TIME_BASE.denominator,
                                            picture=picture, rotation=media.rotation))

    def _refused(self, error: InvalidMedia) -> None:
        self._inlet.refuse(self._track, error.data.get("reason", "garbage"), error.detail)
        self._ask()

    def _ask(self) -> None:
        if self._codec != "jpeg" and now() - self._asked >= ASK_EVERY:
            self._asked = now()
            self._inlet.ask_keyframe(self._track)


class Gap:
    """Counts the samples missing between two pieces of sound, from their pts."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._expected: int | None = None

    def before(self, pts: int, samples: int) -> int:
        missing = 0 if self._expected is None else pts - self._expected
        self._expected = pts + samples
        return missing if 0 < missing <= LONGEST_GAP * self._rate else 0


def _sound(track: str, pts: int, time_base: Fraction, samples: Samples, rate: int, gap: Gap,
           arrived: float) -> AudioFrame:
    return AudioFrame(pts=pts, time_base=time_base, track=track, arrived=arrived, captured=float(pts * time_base),
                      samples=samples, rate=rate, gap=gap.before(pts, len(samples)))


def _decoded(meter: Meter, track: str, kind: str, codec: str, seconds: float) -> None:
    metrics.DECODE.labels(codec).observe(seconds)
    meter.hop(track, kind, "decode", seconds)
