"""A session's way out: one sink, one encoding for each track and codec, any number of viewers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from ...events import BitrateChanged, Event
from ...frames import Frame
from ...session import Session
from ...settings import Settings
from .audio_out import AudioEncoding
from .outbound import Outbound
from .timeline import Wallclock
from .video_out import VideoEncoding

log = logging.getLogger(__name__)


class Output:
    """A `ports.Sink` of its session from the first viewer to the session's end; made by `Outputs`."""

    def __init__(self, session: Session, settings: Settings, on_closed: Callable[[Output], None]) -> None:
        self.session = session
        self._settings = settings
        self._on_closed = on_closed
        self._clock = Wallclock()
        self._video: dict[tuple[str, str], VideoEncoding] = {}
        self._audio: dict[tuple[str, str], AudioEncoding] = {}
        session.on_keyframe_request(self.request_keyframe)
        session.add_sink(self)

    def add(self, track: str, outbound: Outbound) -> None:
        """Send `track` on this stream, in the format that it has negotiated."""
        assert outbound.format is not None
        key = (track, outbound.format.name)
        if outbound.kind == "video":
            if key not in self._video:
                self._video[key] = VideoEncoding(*key, session=self.session, settings=self._settings,
                                                 clock=self._clock, changed=self._bitrate_changed(track))
            self._video[key].add(outbound)
        else:
            if key not in self._audio:
                self._audio[key] = AudioEncoding(*key, session=self.session, settings=self._settings,
                                                 clock=self._clock)
            self._audio[key].add(outbound)

    def remove(self, outbound: Outbound) -> None:
        for encoding in self._encodings():
            encoding.remove(outbound)
            if not encoding.viewers:
                encoding.close()
        self._video = {key: each for key, each in self._video.items() if each.viewers}
        self._audio = {key: each for key, each in self._audio.items() if each.viewers}

    def _encodings(self) -> list[VideoEncoding | AudioEncoding]:
        return [*self._video.values(), *self._audio.values()]

    def _bitrate_changed(self, track: str) -> Callable[[int, str], None]:
        def tell(bits: int, reason: str) -> None:
            self.session.event(BitrateChanged(bits_per_second=bits, reason=reason), track=track)
        return tell

    def request_keyframe(self, track: str | None = None) -> None:
        """The client asked by a control message; None: on all tracks."""
        for encoding in self._video.values():
            if track in (None, encoding.track):
                encoding.request_keyframe()

    # ports.Sink ------------------------------------------------------------------------------------

    def frame(self, frame: Frame) -> None:
        if frame.kind == "video":
            for encoding in self._video.values():
                if encoding.track == frame.track:
                    encoding.frame(frame)
        elif frame.kind == "audio":
            for sound in self._audio.values():
                if sound.track == frame.track:
                    sound.frame(frame)

    def event(self, event: Event) -> None:
        """Events go by the peer's data channel."""

    def flush(self, track: str | None = None) -> None:
        for encoding in self._audio.values():
            if track in (None, encoding.track):
                encoding.flush()

    async def close(self, reason: str) -> None:
        for encoding in self._encodings():
            encoding.close()
        self._video.clear()
        self._audio.clear()
        self._on_closed(self)

    def stats(self) -> dict[str, Any]:
        return {f"{track}/{codec}": {"bitrate": encoding.bitrate, "viewers": encoding.viewers}
                for (track, codec), encoding in self._video.items()}


class Outputs:
    """The outputs of all sessions, made when somebody watches."""

    def __init__(self, settings: Settings, on_closed: Callable[[Session], None]) -> None:
        """`on_closed` is told when a session is over."""
        self._settings = settings
        self._on_closed = on_closed
        self._by_session: dict[str, Output] = {}

    def of(self, session: Session) -> Output:
        output = self._by_session.get(session.id)
        if output is None:
            output = self._by_session[session.id] = Output(session, self._settings, self._forget)
        return output

    def _forget(self, output: Output) -> None:
        self._by_session.pop(output.session.id, None)
        self._on_closed(output.session)

    def __len__(self) -> int:
        return len(self._by_session)
