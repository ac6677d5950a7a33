"""Our websocket messages: what they mean, how they are written, how they are read. No input or output here.

A connection begins with a `Hello` from the client and a `Welcome` from the server. After that there are two
sorts of message each way: text messages are JSON objects with a `type`, binary messages are `Media`.

Everything that can't be read raises `InvalidMessage`, and nothing else. docs/api/websocket.md describes the
protocol for somebody who writes a client; a test checks its byte example against this file.
"""

from __future__ import annotations

import base64
import enum
import json
import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from .errors import InvalidMessage
from .frames import AUDIO_TIME_BASE, VIDEO_TIME_BASE, TextFrame, now

VERSION = 1
PROTOCOL = "aimass.v1"  # the websocket subprotocol
KEY_PROTOCOL = "aimass.key."  # + the API key in base64url without padding, for browsers, which can set no header

MAX_TEXT = 128 * 1024  # bytes of a text message: a pipeline has at most 64 KiB
MAX_PTS = 2**53 - 1  # ticks, either side of zero: what a JavaScript number holds exactly
MAX_SOUND = 1.0  # s of sound in one message

AUDIO_TRACK, VIDEO_TRACK = 0, 1  # the numbers of the two tracks a hello can open
TEXT_TRACK = "text-0"  # the only one a client can open
WORDS_TICK = Fraction(1, 1_000_000)  # s, of words' pts
CLOSE_BASE = 4000  # our close codes are this plus an HTTP status: 4401, 4404, 4429

HEADER = struct.Struct("!BBBxq")  # codec, flags, track, zero, pts: 12 bytes, big-endian


class Codec(enum.IntEnum):
    """First byte of a media message. Below 16 is sound, from 16 on is picture."""

    PCM_S16LE = 1  # interleaved samples, little-endian
    OPUS = 2  # one packet (RFC 6716)
    JPEG = 16  # one baseline or progressive picture; each is a key frame
    VP8 = 17  # one frame (RFC 6386)
    H264 = 18  # one access unit in Annex B form, parameter sets before each key frame

    @property
    def kind(self) -> Literal["audio", "video"]:
        return "audio" if self < 16 else "video"


class Flag(enum.IntFlag):
    """Second byte of a media message."""

    KEYFRAME = 1  # this picture can be decoded on its own
    GAP = 2  # frames of this track are missing just before this one
    TURN_90 = 4  # turn the picture 90 degrees clockwise before showing it ...
    TURN_180 = 8  # ... 180 degrees; both bits: 270


_FLAGS = sum(Flag)
_CODECS = {int(codec): codec for codec in Codec}


@dataclass(frozen=True, slots=True)
class Media:
    """One binary message: a piece of sound or one picture.

    `pts` counts in `Format.time_base` ticks: 1/rate s for PCM, 1/48000 s for Opus, 1/90000 s for pictures.
    All tracks of a connection share their zero, so equal times in seconds belong to the same moment.
    """

    codec: Codec
    track: int  # number, 0 to 255
    pts: int  # ticks
    payload: bytes
    keyframe: bool = False
    gap: bool = False
    rotation: Literal[0, 90, 180, 270] = 0  # degrees clockwise

    def encode(self) -> bytes:
        flags = self.rotation // 90 << 2 | self.gap << 1 | self.keyframe
        return HEADER.pack(self.codec, flags, self.track, self.pts) + self.payload

    @classmethod
    def decode(cls, data: bytes) -> Self:
        if len(data) < HEADER.size:
            raise InvalidMessage(f"a media message has at least {HEADER.size} bytes, this one has {len(data)}")
        number, flags, track, pts = HEADER.unpack_from(data)
        codec = _CODECS.get(number)
        if codec is None:
            raise InvalidMessage(f"there is no codec {number}", field="codec")
        if flags & ~_FLAGS or data[3]:
            raise InvalidMessage(f"flags are {flags:#04x} and byte 3 is {data[3]:#04x}: unknown bits are zero",
                                 field="flags")
        if not -MAX_PTS <= pts <= MAX_PTS:
            raise InvalidMessage(f"pts {pts} is beyond {MAX_PTS}", field="pts")
        if len(data) == HEADER.size:
            raise InvalidMessage("a media message without any payload", field="payload")
        turns: Any = (flags >> 2) * 90
        return cls(codec, track, pts, data[HEADER.size :], bool(flags & Flag.KEYFRAME), bool(flags & Flag.GAP), turns)


class Message(BaseModel):
    """Base of all text messages."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, serialize_by_alias=True,
                              validate_by_alias=True, allow_inf_nan=False)

    @classmethod
    def decode(cls, value: object) -> Self:
        """From a decoded JSON object; raises `InvalidMessage` naming the field."""
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            first = error.errors()[0]
            path = ".".join(str(part) for part in first["loc"])
            detail = first["msg"].removeprefix("Value error, ")
            raise InvalidMessage(f"{path}: {detail}" if path else detail, field=path or None) from None

    def json_object(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude_none=True)

    def encode(self) -> str:
        return dump(self.json_object())


Short: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class AudioFormat(Message):
    codec: Literal["pcm_s16le", "opus"] = "pcm_s16le"
    rate: int = Field(default=48_000, ge=4_000, le=192_000, description="Hz; Opus is always 48000")
    channels: int = Field(default=1, ge=1, le=2)
    bitrate: int | None = Field(default=None, ge=6_000, le=510_000, description="bit/s of Opus from the server")

    @model_validator(mode="after")
    def _opus_clock(self) -> Self:
        if self.codec == "opus" and self.rate != 48_000:
            raise ValueError("the rate of opus is 48000 here, whatever was recorded")
        return self

    @property
    def number(self) -> Codec:
        return Codec.OPUS if self.codec == "opus" else Codec.PCM_S16LE

    @property
    def time_base(self) -> Fraction:
        return AUDIO_TIME_BASE if self.codec == "opus" else Fraction(1, self.rate)


class VideoFormat(Message):
    codec: Literal["jpeg", "vp8", "h264"] = "jpeg"
    bitrate: int | None = Field(default=None, ge=30_000, le=50_000_000, description="bit/s from the server, at most")

    @property
    def number(self) -> Codec:
        return {"jpeg": Codec.JPEG, "vp8": Codec.VP8, "h264": Codec.H264}[self.codec]

    @property
    def time_base(self) -> Fraction:
        return VIDEO_TIME_BASE


class Formats(Message):
    """What goes one way. A kind that is left out does not travel that way."""

    audio: AudioFormat | None = None
    video: VideoFormat | None = None


class Resume(Message):
    """Comes back to a session after a cut connection."""

    session_id: Short
    token: Short = Field(repr=False)
    last_seq: int = Field(default=0, ge=0, le=MAX_PTS, description="seq of the last event that arrived")


class Hello(Message):
    """The client's first message."""

    type: Literal["hello"] = "hello"
    version: Literal[1] = 1
    pipeline: list[Any] | None = Field(default=None, max_length=1024, description="checked by the session")
    sync: Literal["lowest", "lips"] | None = None
    latency_ms: int | None = Field(default=None, description="ms that are promised; checked by the session")
    app_id: Short | None = Field(default=None, description="the id or slug of an app, in place of a pipeline")
    parameters: dict[str, Any] | None = Field(default=None, max_length=64, description="those that the app exposes")
    formats_in: Formats = Field(default_factory=Formats, alias="in", description="client to server")
    formats_out: Formats | None = Field(default=None, alias="out", description="server to client; left out: as `in`")
    token: Short | None = Field(default=None, repr=False, description="the API key, where no header can be set")
    resume: Resume | None = None

    @model_validator(mode="after")
    def _resume_keeps_pipeline(self) -> Self:
        changes = (self.pipeline, self.sync, self.latency_ms, self.app_id, self.parameters)
        if self.resume is not None and any(each is not None for each in changes):
            raise ValueError("a resumed session keeps its pipeline, sync and latency_ms: change them with "
                             "session.update")
        return self

    @property
    def answered(self) -> Formats:
        """What the server is asked to send."""
        return self.formats_in if self.formats_out is None else self.formats_out


class Track(Message):
    """A track the server sends, by the number its media messages carry."""

    type: Literal["track"] = "track"
    number: int = Field(ge=0, le=255)
    track: Short
    kind: Literal["audio", "video"]


class Welcome(Message):
    """The server's answer to a hello."""

    type: Literal["hello"] = "hello"
    version: Literal[1] = 1
    session_id: Short
    resume_token: Short = Field(repr=False)
    resumed: bool = False
    missed_events: int = Field(default=0, ge=0, description="of a resumed session, no longer in its log")
    resume_seconds: float = Field(default=30, ge=0, description="s a dropped connection is waited for")
    formats_in: Formats = Field(alias="in")
    formats_out: Formats = Field(alias="out")
    tracks: list[Track] = []


class Ack(Message):
    """The client has dealt with this many messages from the server, text and binary, the hello included."""

    type: Literal["ack"] = "ack"
    received: int = Field(ge=0, le=MAX_PTS)


class KeyframeRequest(Message):
    """Please make the next picture a key frame. Goes both ways; without a track it means all."""

    type: Literal["keyframe.request"] = "keyframe.request"
    track: Short | None = None
    id: Short | None = None


class Text(Message):
    """Words, either way: a `TextFrame`. From a client they are always on the track ``text-0``."""

    type: Literal["text"] = "text"
    text: str = Field(max_length=MAX_TEXT)
    track: Short = TEXT_TRACK
    pts: float | None = Field(default=None, description="s")
    final: bool = True


class Words:
    """What one client says, as frames, each behind the one before. Without a pts it is of the moment it came."""

    def __init__(self) -> None:
        self._last = -(2**62)  # pts

    def frame(self, said: Text) -> TextFrame:
        """Raises `InvalidMessage` for any track but ``text-0``."""
        if said.track != TEXT_TRACK:
            raise InvalidMessage(f"words from a client are on the track {TEXT_TRACK}", field="track")
        at = round((said.pts if said.pts is not None else now()) / WORDS_TICK)
        self._last = max(at, self._last + 1)  # two words of one moment: both count
        return TextFrame(pts=self._last, time_base=WORDS_TICK, track=said.track, text=said.text, captured=said.pts,
                         final=said.final)


def dump(value: dict[str, Any]) -> str:
    """Compact JSON, all ASCII."""
    return json.dumps(value, separators=(",", ":"))


def load(text: str) -> dict[str, Any]:
    """The JSON object of a text message, with its `type` checked to be there."""
    if len(text) > MAX_TEXT:
        raise InvalidMessage(f"a text message is at most {MAX_TEXT} bytes")
    try:
        value = json.loads(text, parse_constant=_no_constant)
        if "\\u" in text:  # half a surrogate pair is JSON but no text: it could not be written again
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise InvalidMessage(f"not JSON: {error}") from None
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise InvalidMessage("a text message is a JSON object with a 'type'", field="type")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def key_protocol(api_key: str) -> str:
    """The API key as a websocket subprotocol."""
    return KEY_PROTOCOL + base64.urlsafe_b64encode(api_key.encode()).rstrip(b"=").decode()


def key_of(protocols: list[str]) -> str | None:
    """The API key among the subprotocols a client offers; raises `InvalidMessage` where it can't be read."""
    for protocol in protocols:
        if protocol.startswith(KEY_PROTOCOL):
            encoded = protocol[len(KEY_PROTOCOL) :]
            try:
                return base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True).decode()
            except ValueError:
                raise InvalidMessage("the key's subprotocol is not base64url") from None
    return None

