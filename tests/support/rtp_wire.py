"""What an outbound RTP stream sends, kept in memory and taken apart."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aimass_stream.frames import now
from aimass_stream.transports.webrtc import rtp
from aimass_stream.transports.webrtc.formats import Format, Formats
from aimass_stream.transports.webrtc.outbound import Outbound
from aimass_stream.transports.webrtc.payload import vp8_piece

FORMATS = {"VP8": Format(96, "VP8", 90_000, 97), "H264": Format(98, "H264", 90_000, 99),
           "opus": Format(111, "opus", 48_000)}


@dataclass(frozen=True)
class Sent:
    """One picture or one packet of sound."""

    timestamp: int  # RTP
    data: bytes
    keyframe: bool
    at: float  # s, monotonic


class Viewer:
    """An open outbound stream in a format; `sent` is what it carried."""

    def __init__(self, name: str) -> None:
        self.outbound = Outbound("audio" if name == "opus" else "video")
        self.sent: list[Sent] = []
        self._name = name
        self._pieces: list[bytes] = []
        self._news = asyncio.Event()
        self.outbound.open(Formats((FORMATS[name],)), "cname", self._carry)

    def _carry(self, packet: bytes) -> bool:
        _, second, _, timestamp, _ = rtp.HEADER.unpack_from(packet)
        payload = rtp.payload_of(packet)
        assert payload
        if self._name == "opus":
            self.sent.append(Sent(timestamp, payload, False, now()))
        else:
            self._pieces.append(vp8_piece(payload).data if self._name == "VP8" else payload)
            if second < 128:
                return True
            data = b"".join(self._pieces)
            self._pieces = []
            self.sent.append(Sent(timestamp, data, self._name == "VP8" and not data[0] & 1, now()))
        self._news.set()
        return True

    async def until(self, count: int, seconds: float = 30) -> None:
        """Wait until so much was sent."""
        async with asyncio.timeout(seconds):
            while len(self.sent) < count:
                self._news.clear()
                await self._news.wait()
