"""Frames to media messages and back, on the client's side. Synchronous: the session picks the thread."""

from __future__ import annotations

from .. import wire
from ..codecs import (
    AudioDecoder,
    AudioEncoder,
    Limits,
    VideoDecoder,
    VideoEncoder,
    audio_decoder,
    audio_encoder,
    pcm,
    video_decoder,
    video_encoder,
)
from ..errors import InvalidInput
from ..frames import AUDIO_RATE, AUDIO_TIME_BASE, VIDEO_TIME_BASE, AudioFrame, Frame, VideoFrame

LIMITS = Limits(8192, 8192)  # what a server sends is not hostile, but may be large
BITRATES = {"vp8": 2_500_000, "h264": 2_500_000, "jpeg": 20_000_000}  # bit/s to the server
AUDIO_BITRATE = 64_000  # bit/s of Opus


class Encoders:
    """One for each track that is sent."""

    def __init__(self, formats: wire.Formats) -> None:
        self._formats = formats
        self._keyframe = True
        self._opus: AudioEncoder | None = None
        self._picture: VideoEncoder | None = None
        self._converter: pcm.Converter | None = None

    def restart(self) -> None:
        """The next picture is a key frame."""
        self._keyframe = True

    def audio(self, frame: AudioFrame) -> list[wire.Media]:
        form = self._formats.audio
        if form is None:
            raise InvalidInput("this session was opened without sound")
        if form.codec == "opus":
            self._opus = self._opus or audio_encoder("opus", form.bitrate or AUDIO_BITRATE)
            packets = self._opus.encode(frame.replace(samples=pcm.mix(frame.samples, form.channels)))
            return [wire.Media(wire.Codec.OPUS, wire.AUDIO_TRACK, packet.pts, packet.data) for packet in packets]
        self._converter = self._converter or pcm.Converter(form.rate, form.channels)
        converted = self._converter.convert(frame)
        if converted is None:
            return []
        return [wire.Media(wire.Codec.PCM_S16LE, wire.AUDIO_TRACK, converted.pts, pcm.to_bytes(converted.samples))]

    def video(self, frame: VideoFrame) -> list[wire.Media]:
        form = self._formats.video
        if form is None:
            raise InvalidInput("this session was opened without pictures")
        if self._picture is None:
            self._picture = video_encoder(form.codec, form.bitrate or BITRATES[form.codec])
        keyframe, self._keyframe = self._keyframe, False
        encoded = self._picture.encode(frame, keyframe)
        if encoded is None:
            self._keyframe = keyframe
            return []
        return [wire.Media(form.number, wire.VIDEO_TRACK, encoded.pts, encoded.data, keyframe=encoded.keyframe,
                           rotation=frame.rotation)]


class Decoders:
    """One for each track that comes; `formats` are the server's."""

    def __init__(self, formats: wire.Formats | None = None) -> None:
        self._formats = formats or wire.Formats()
        self._pictures: dict[str, VideoDecoder] = {}
        self._sounds: dict[str, AudioDecoder] = {}

    def decode(self, media: wire.Media, track: str, arrived: float) -> list[Frame]:
        """Raises `InvalidMedia` when a key frame is needed."""
        if media.codec.kind == "audio":
            return [self._audio(media, track, arrived)]
        if track not in self._pictures:
            self._pictures[track] = video_decoder(media.codec.name, LIMITS)
        pictures = self._pictures[track].decode(media.payload, media.pts)
        return [VideoFrame(pts=media.pts, time_base=VIDEO_TIME_BASE, track=track, arrived=arrived, picture=picture,
                           rotation=media.rotation) for picture in pictures]

    def _audio(self, media: wire.Media, track: str, arrived: float) -> AudioFrame:
        form = self._formats.audio or wire.AudioFormat()
        if media.codec is wire.Codec.PCM_S16LE:
            return AudioFrame(pts=media.pts, time_base=form.time_base, track=track, arrived=arrived, rate=form.rate,
                              samples=pcm.from_bytes(media.payload, form.channels))
        if track not in self._sounds:
            self._sounds[track] = audio_decoder("opus", form.channels)
        return AudioFrame(pts=media.pts, time_base=AUDIO_TIME_BASE, track=track, arrived=arrived, rate=AUDIO_RATE,
                          samples=self._sounds[track].decode(media.payload))
