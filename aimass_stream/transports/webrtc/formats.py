"""What an m-section negotiated, as plain data: payload types, SSRCs, extension numbers."""

from __future__ import annotations

from dataclasses import dataclass, field

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"


@dataclass(frozen=True, slots=True)
class Format:
    """One codec of an m-section."""

    payload_type: int
    name: str  # "VP8", "H264", "opus"
    clock: int  # Hz
    rtx: int | None = None  # payload type of its retransmissions


@dataclass(frozen=True, slots=True)
class Formats:
    """One m-section. The first codec is the one we send."""

    codecs: tuple[Format, ...]
    mid: str = ""
    ssrc: int | None = None  # of the peer's stream, where its SDP names it
    rtx_ssrc: int | None = None
    mid_id: int = 0  # header extension numbers; 0: not negotiated
    send_time_id: int = 0
    by_payload_type: dict[int, tuple[Format, bool]] = field(init=False, hash=False, compare=False)

    def __post_init__(self) -> None:
        table = {codec.payload_type: (codec, False) for codec in self.codecs}
        table |= {codec.rtx: (codec, True) for codec in self.codecs if codec.rtx is not None}
        object.__setattr__(self, "by_payload_type", table)

    @property
    def primary(self) -> Format:
        return self.codecs[0]
