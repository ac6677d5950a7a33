"""What comes out of a session, as tracks of ours that are named after the participant.

One participant of ours publishes all of them, because a token opens the room to one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from livekit import rtc
from livekit.rtc.participant import PublishTrackError, UnpublishTrackError

from ...codecs.pcm import Converter
from ...events import Event
from ...frames import AUDIO_RATE, AudioFrame, Frame, VideoFrame
from ...queues import BoundedQueue
from ...session import Session
from ..ports import Kind, marked
from .media import sound_to_livekit, to_livekit

log = logging.getLogger(__name__)

PUBLISH_SECONDS = 10.0
FAREWELL_SECONDS = 2.0
LEAD_MS = 100  # of sound that the library holds; what is made faster than it plays waits here and can be taken back
MOST_SOUND = 6000  # frames: two minutes of 20 ms


class Sound:
    """Frames of any rate and channels to a track of LiveKit's, which paces them."""

    source_kind = rtc.TrackSource.SOURCE_MICROPHONE

    def __init__(self, session: Session) -> None:
        self.queue: BoundedQueue[AudioFrame] = BoundedQueue(
            MOST_SOUND, "skip_late", on_drop=lambda frame: session.meter.drop(frame.track, "audio", "output_full"))
        self._converter = Converter(AUDIO_RATE, 1)
        self._source = rtc.AudioSource(AUDIO_RATE, 1, queue_size_ms=LEAD_MS)

    def track(self, name: str, frame: AudioFrame) -> rtc.LocalTrack:
        return rtc.LocalAudioTrack.create_audio_track(name, self._source)

    async def send(self, frame: AudioFrame) -> None:
        """Returns when there is room for more."""
        sound = self._converter.convert(frame)
        if sound is not None and len(sound.samples):
            await self._source.capture_frame(sound_to_livekit(sound))

    def flush(self) -> None:
        self.queue.clear()
        self._source.clear_queue()

    async def close(self) -> None:
        await self._source.aclose()


class Pictures:
    """Frames to a track of LiveKit's: the newest, if the one before it is still being converted."""

    source_kind = rtc.TrackSource.SOURCE_CAMERA

    def __init__(self, session: Session) -> None:
        self.queue: BoundedQueue[VideoFrame] = BoundedQueue(
            1, "keep_newest", on_drop=lambda frame: session.meter.drop(frame.track, "video", "encoder_busy"))
        self._session = session
        self._source: rtc.VideoSource | None = None

    def track(self, name: str, frame: VideoFrame) -> rtc.LocalTrack:
        """LiveKit makes the bit rate by the size of the first picture."""
        self._source = self._source or rtc.VideoSource(frame.width, frame.height)
        return rtc.LocalVideoTrack.create_video_track(name, self._source)

    async def send(self, frame: VideoFrame) -> None:
        source = self._source
        assert source is not None
        with suppress(RuntimeError):  # the session is closing
            await asyncio.get_running_loop().run_in_executor(
                self._session.executor, lambda: source.capture_frame(to_livekit(frame)))

    def flush(self) -> None:
        """A picture is gone before it could be taken back."""

    async def close(self) -> None:
        if self._source is not None:
            await self._source.aclose()


class Outlet:
    """One track, which is published with its first frame."""

    def __init__(self, room: rtc.Room, name: str, media: Sound | Pictures) -> None:
        self.name = name
        self.media = media
        self._published: asyncio.Task[rtc.LocalTrackPublication] | None = None
        self._room = room
        self._changing = asyncio.Lock()

    async def run(self) -> None:
        while True:
            frame, _ = await self.media.queue.get()
            if self._published is None:
                await self._publish(frame)
            await self.media.send(frame)  # type: ignore[arg-type]  # each has a queue of its own kind

    async def _publish(self, frame: AudioFrame | VideoFrame) -> None:
        options = rtc.TrackPublishOptions(source=self.media.source_kind, simulcast=False)  # encoded once for everybody
        async with self._changing, asyncio.timeout(PUBLISH_SECONDS):
            track = self.media.track(self.name, frame)  # type: ignore[arg-type]
            self._published = asyncio.create_task(self._room.local_participant.publish_track(track, options))
            await asyncio.shield(self._published)  # LiveKit goes on publishing whoever waits

    def is_of(self, publication: rtc.LocalTrackPublication) -> bool:
        published = self._published
        return (published is not None and published.done() and not published.cancelled()
                and published.exception() is None and published.result() is publication)

    async def withdraw(self) -> None:
        """With the next frame it is published anew."""
        async with self._changing:
            published, self._published = self._published, None
            if published is None:
                return
            if not self._room.isconnected():
                published.cancel()
                return
            with suppress(PublishTrackError, UnpublishTrackError, TimeoutError):
                async with asyncio.timeout(FAREWELL_SECONDS):
                    await self._room.local_participant.unpublish_track((await published).sid)


class Published:
    """`ports.Shown`, and a sink of its session. Of each kind the session's first track is shown."""

    def __init__(self, room: rtc.Room, name: str, session: Session, kinds: Sequence[Kind]) -> None:
        self.ended = asyncio.Event()
        self.shown_out = False
        self._room = room
        self._session = session
        self._outlets = {f"{kind}-0": Outlet(room, marked(name), Sound(session) if kind == "audio" else
                                             Pictures(session)) for kind in kinds}
        self._tasks = [asyncio.create_task(each.run(), name=f"livekit {track}") for track, each in
                       self._outlets.items()]
        for task in self._tasks:
            task.add_done_callback(self._failed)
        room.on("local_track_unpublished", self._unpublished)
        room.on("participant_permissions_changed", self._permitted)
        session.add_sink(self)

    def _failed(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, PublishTrackError | TimeoutError):
            log.info("LiveKit does not publish: %s", getattr(error, "message", "no answer"))
        else:
            log.error("what a session makes can't be shown in LiveKit", exc_info=error)
        self.ended.set()

    def _unpublished(self, publication: rtc.LocalTrackPublication) -> None:
        if any(each.is_of(publication) for each in self._outlets.values()):
            self.ended.set()

    def _permitted(self, participant: rtc.Participant, permissions: object) -> None:
        if participant is self._room.local_participant and not participant.permissions.can_publish:
            self.shown_out = True
            self.ended.set()

    async def rename(self, name: str) -> None:
        for outlet in self._outlets.values():
            outlet.name = marked(name)
            await outlet.withdraw()

    # ports.Sink ------------------------------------------------------------------------------------

    def frame(self, frame: Frame) -> None:
        outlet = self._outlets.get(frame.track)
        if outlet is not None and not self.ended.is_set():
            outlet.media.queue.put_nowait(frame)  # type: ignore[arg-type]

    def event(self, event: Event) -> None:
        """Events go to the room by its captions."""

    def flush(self, track: str | None = None) -> None:
        for each, outlet in self._outlets.items():
            if track in (None, each):
                outlet.media.flush()

    async def close(self, reason: str = "") -> None:
        self.ended.set()
        self._session.remove_sink(self)
        self._room.off("local_track_unpublished", self._unpublished)
        self._room.off("participant_permissions_changed", self._permitted)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for outlet in self._outlets.values():
            await outlet.withdraw()
            await outlet.media.close()
