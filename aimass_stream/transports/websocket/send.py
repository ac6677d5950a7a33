"""From frames to media messages: one sender a track. What a slow client can't take is dropped before it is encoded.

So what does arrive can always be decoded: the encoder never refers to a picture that was not sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from ... import events, metrics, wire
from ...codecs import pcm
from ...codecs.base import VideoEncoder
from ...codecs.opus import OpusEncoder
from ...frames import VIDEO_TIME_BASE, AudioFrame, VideoFrame, now
from ...metrics import Meter
from ...queues import BoundedQueue
from .flow import HIGH, Flow, Rate

MAX_WAIT = 1.0  # s of sound that may wait for a slow client
LONG_PAUSE = 2.0  # s without pictures after which the next one is a key frame
TELL_EVERY = 1.0  # s between two media.dropped events of a track


@dataclass(frozen=True, slots=True)
class Outlet:
    """What a sender needs of its connection."""

    meter: Meter
    executor: Executor
    flow: Flow
    send: Callable[[wire.Media], Awaitable[None]]
    acknowledged: Callable[[], Awaitable[None]]  # returns after the next acknowledgement
    event: Callable[[events.EventData, str], None]


class AudioSender:
    """Sound waits up to `MAX_WAIT`; then the oldest is skipped, counted, and the next carries the gap flag."""

    def __init__(self, outlet: Outlet, number: int, track: str, form: wire.AudioFormat, bitrate: int) -> None:
        self._outlet, self._number, self._track, self._form = outlet, number, track, form
        self._opus = OpusEncoder(form.bitrate or bitrate) if form.codec == "opus" else None
        self._converter = pcm.Converter(form.rate, form.channels)
        self._queue: BoundedQueue[AudioFrame] = BoundedQueue(1024, "skip_late", on_drop=self._skipped)
        self._waiting = 0.0  # s in the queue
        self._gap = False
        self._tally = Tally(outlet, track)

    def put(self, frame: AudioFrame) -> None:
        if not len(frame.samples):
            self._outlet.meter.drop(self._track, "audio", "empty")
            return
        self._queue.put_nowait(frame)
        self._waiting += frame.duration
        while self._waiting > MAX_WAIT and len(self._queue) > 1:
            self._skipped(self._queue.get_nowait()[0])

    def _skipped(self, frame: AudioFrame) -> None:
        self._waiting -= frame.duration
        self._gap = True
        self._tally.add("audio")

    def clear(self) -> None:
        self._queue.clear()
        self._waiting = 0.0

    async def run(self) -> None:
        outlet = self._outlet
        while True:
            while not outlet.flow.audio_may(now()):
                await outlet.acknowledged()
            frame, _ = await self._queue.get()
            self._waiting -= frame.duration
            begun = now()
            pieces = await self._encode(frame)
            encoded = now()
            metrics.ENCODE.labels(self._form.codec).observe(encoded - begun)
            outlet.meter.hop(self._track, "audio", "encode", encoded - begun)
            for pts, payload in pieces:
                gap, self._gap = self._gap or frame.gap > 0, False
                await outlet.send(wire.Media(self._form.number, self._number, pts, payload, gap=gap))
            outlet.meter.hop(self._track, "audio", "send", now() - encoded)
            outlet.meter.hop(self._track, "audio", "total", now() - frame.arrived)
            self._tally.settle()

    async def _encode(self, frame: AudioFrame) -> list[tuple[int, bytes]]:
        """pts and payload of each message."""
        if self._opus is None:
            converted = self._converter.convert(frame)
            return [] if converted is None else [(converted.pts, pcm.to_bytes(converted.samples))]
        mixed = frame.replace(samples=pcm.mix(frame.samples, self._form.channels))
        packets = await asyncio.get_running_loop().run_in_executor(self._outlet.executor, self._opus.encode, mixed)
        return [(packet.pts, packet.data) for packet in packets]


class VideoSender:
    """Keeps the newest two pictures: one would be lost to every hiccup of the encoder. Bitrate follows the client."""

    def __init__(self, outlet: Outlet, number: int, track: str, form: wire.VideoFormat, encoder: VideoEncoder,
                 rate: Rate) -> None:
        self._outlet, self._number, self._track, self._form = outlet, number, track, form
        self._encoder, self._rate = encoder, rate
        self._queue: BoundedQueue[VideoFrame] = BoundedQueue(2, "keep_newest", on_drop=self._overtaken)
        self._keyframe = True
        self._sending = False
        self._last = now()  # s, when a picture was last sent
        self._pts = self._clock = 0.0  # s, of the last picture: its own, and as told to the encoder
        self._step = 1 / 30  # s between pictures, smoothed
        self._tally = Tally(outlet, track)

    def put(self, frame: VideoFrame) -> None:
        self._queue.put_nowait(frame)

    def request_keyframe(self) -> None:
        self._keyframe = True

    def clear(self) -> None:
        self._queue.clear()

    def _overtaken(self, frame: VideoFrame) -> None:
        if self._sending:
            self._tally.add("video")
        else:
            self._outlet.meter.drop(self._track, "video", "encode_overload")

    async def run(self) -> None:
        outlet, loop = self._outlet, asyncio.get_running_loop()
        while True:
            frame, _ = await self._queue.get()
            if not self._room():
                self._tally.add("video")
                continue
            keyframe = self._keyframe or now() - self._last > LONG_PAUSE
            self._keyframe = False
            self._encoder.bitrate = self._rate.bitrate
            begun = now()
            encoded = await loop.run_in_executor(outlet.executor, self._encoder.encode, self._timed(frame), keyframe)
            done = now()
            metrics.ENCODE.labels(self._form.codec).observe(done - begun)
            outlet.meter.hop(self._track, "video", "encode", done - begun)
            if encoded is None:
                self._keyframe = keyframe
                continue
            self._sending = True
            pts = round(frame.pts * frame.time_base / VIDEO_TIME_BASE)
            await outlet.send(wire.Media(self._form.number, self._number, pts, encoded.data,
                                         keyframe=encoded.keyframe, rotation=frame.rotation))
            self._sending = False
            self._last = now()
            outlet.meter.hop(self._track, "video", "send", self._last - done)
            outlet.meter.hop(self._track, "video", "total", self._last - frame.arrived)
            self._tally.settle()

    def _timed(self, frame: VideoFrame) -> VideoFrame:
        """The frame on the encoder's own clock, which stands still while pictures are dropped: else the first one
        after a pause would be given the bits of all that were not sent."""
        step = frame.seconds - self._pts
        self._pts = frame.seconds
        self._clock += step if 0 < step < 2 * self._step else self._step
        if 0 < step < LONG_PAUSE:
            self._step += 0.1 * (min(step, 2 * self._step) - self._step)
        return frame.replace(pts=round(self._clock / VIDEO_TIME_BASE), time_base=VIDEO_TIME_BASE)

    def _room(self) -> bool:
        """Whether the client can take a picture now; adapts the bitrate to how far it is behind."""
        at, flow = now(), self._outlet.flow
        behind, delivered = flow.behind(at), flow.video_rate(at)
        if self._rate.look(behind, delivered, at):
            self._tell_bitrate("the client is behind" if behind > HIGH else "the client keeps up")
        if flow.video_may(at):
            return True
        if self._rate.fall(delivered, at):
            self._tell_bitrate("pictures had to be dropped")
        return False

    def _tell_bitrate(self, reason: str) -> None:
        self._outlet.event(events.BitrateChanged(bits_per_second=self._rate.bitrate, reason=reason), self._track)


class Tally:
    """Counts what was dropped and says so, at once and then at most every `TELL_EVERY` seconds."""

    def __init__(self, outlet: Outlet, track: str) -> None:
        self._outlet, self._track = outlet, track
        self._count = 0
        self._told = -TELL_EVERY

    def add(self, kind: str) -> None:
        self._outlet.meter.drop(self._track, kind, "slow_client")
        self._count += 1
        self.settle()

    def settle(self) -> None:
        """Tell what has not been told, if it is time."""
        if self._count and now() - self._told >= TELL_EVERY:
            count, self._count, self._told = self._count, 0, now()
            self._outlet.event(events.MediaDropped(frames=count, reason="slow_client"), self._track)
