"""A participant's microphone and camera, as the source of a session."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Any

from livekit import rtc

from ...events import Event
from ...frames import AUDIO_RATE, Frame, now
from ...metrics import Meter
from .media import I420, SoundClock, video_frame

log = logging.getLogger(__name__)

FRAME_MS = 20
AUDIO, VIDEO = rtc.TrackKind.KIND_AUDIO, rtc.TrackKind.KIND_VIDEO


class Heard:
    """`ports.Line`, and source and sink of its session: LiveKit sends the tracks once they are subscribed to.

    The library's own queues have no bound here: it drops from bounded ones without a word. What comes is pushed at
    once, and the session's queues are bounded and count.
    """

    def __init__(self, room: rtc.Room, publications: Sequence[rtc.RemoteTrackPublication], meter: Meter) -> None:
        self.ended = asyncio.Event()
        self._room = room
        self._publications = {each.sid: each for each in publications}
        self._meter = meter
        self._begin = now()
        self._push: Callable[[Frame], None] = lambda frame: None
        self._reading: dict[str, asyncio.Task[None]] = {}
        self._handlers: tuple[tuple[rtc.room.EventTypes, Callable[..., None]], ...] = (
            ("track_subscribed", self._subscribed), ("track_unsubscribed", self._unsubscribed),
            ("track_unpublished", self._unpublished), ("track_subscription_failed", self._failed))

    # ports.Source ----------------------------------------------------------------------------------

    async def run(self, push: Callable[[Frame], None]) -> None:
        self._push = push
        for event, handler in self._handlers:
            self._room.on(event, handler)
        try:
            for publication in self._publications.values():
                publication.set_subscribed(True)
                if publication.track is not None:  # it was left from another session
                    self._subscribed(publication.track, publication)
            await self.ended.wait()
        finally:
            await self._stop()

    def stats(self) -> dict[str, Any]:
        return {"reading": len(self._reading)}

    async def _stop(self) -> None:
        self.ended.set()
        for event, handler in self._handlers:
            self._room.off(event, handler)
        reading, self._reading = list(self._reading.values()), {}
        for task in reading:
            task.cancel()
        if reading:
            await asyncio.wait(reading)
        for publication in self._publications.values():
            publication.set_subscribed(False)

    # tracks ----------------------------------------------------------------------------------------

    def _subscribed(self, track: rtc.RemoteTrack, publication: rtc.RemoteTrackPublication) -> None:
        if publication.sid in self._publications and publication.sid not in self._reading:
            read = self._read_sound if publication.kind == AUDIO else self._read_pictures
            task = asyncio.create_task(read(track), name=f"livekit {publication.sid}")
            self._reading[publication.sid] = task
            task.add_done_callback(self._read)

    def _read(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a track of LiveKit can't be read", exc_info=error)
            self.ended.set()

    def _unsubscribed(self, track: rtc.RemoteTrack, publication: rtc.RemoteTrackPublication) -> None:
        task = self._reading.pop(publication.sid, None)
        if task is not None:
            task.cancel()

    def _unpublished(self, publication: rtc.RemoteTrackPublication) -> None:
        """Also where the library connects anew: the same track is another publication then."""
        if publication.sid in self._publications:
            self.ended.set()

    def _failed(self, participant: rtc.RemoteParticipant, sid: str, error: object) -> None:
        if sid in self._publications:
            log.info("LiveKit does not send the track %s: %s", sid, str(error)[:200])
            self.ended.set()

    async def _read_sound(self, track: rtc.RemoteTrack) -> None:
        clock = SoundClock("audio-0", self._begin)
        stream = rtc.AudioStream(track, sample_rate=AUDIO_RATE, num_channels=1, frame_size_ms=FRAME_MS)
        async with contextlib.aclosing(stream):
            async for event in stream:
                self._push(clock.frame(event.frame, now()))

    async def _read_pictures(self, track: rtc.RemoteTrack) -> None:
        stream = rtc.VideoStream(track, format=I420)
        async with contextlib.aclosing(stream):
            async for event in stream:
                frame = video_frame(event, "video-0", self._begin, now())
                if frame is None:
                    self._meter.drop("video-0", "video", "garbage")
                else:
                    self._push(frame)

    # ports.Sink ------------------------------------------------------------------------------------

    def frame(self, frame: Frame) -> None:
        """What comes out is shown by a line of its own, if at all."""

    def event(self, event: Event) -> None:
        """Events go to the room by its captions."""

    def flush(self, track: str | None = None) -> None:
        """Nothing waits here."""

    async def close(self, reason: str = "") -> None:
        self.ended.set()
