"""What must not get through: datagrams from strangers, garbage, and pictures over the limits."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from fractions import Fraction
from typing import Any

import av
import pytest
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from aimass_stream.clips import draw, tone
from aimass_stream.codecs import audio_encoder
from aimass_stream.frames import AUDIO_TIME_BASE, AudioFrame
from tests.support.options import settings
from tests.support.rtc import Camera, Client, Microphone
from tests.support.server import serve

pytestmark = pytest.mark.anyio

NONSENSE = [b"", b"\x00", b"\x80", b"\x16", b"\x00" * 20, b"\x00\x01" + b"\xff" * 18, b"\x80\x60" + bytes(8),
            b"\xff" * 100, b"\x90\x60" + bytes(10), b"\x80\xc8\x00\x01", b"\x41" * 30, b"\x80" + bytes(1600),
            b"\x01\x01\x00\x04\x21\x12\xa4\x42" + bytes(12) + b"\x00\x20\x00\x00",
            b"\x16\xfe\xfd" + bytes(40), *(os.urandom(size) for size in (1, 12, 60, 1200))]


TONE = tone(0.02)


async def camera(**options: Any) -> Camera:
    return await asyncio.to_thread(Camera, 320, 240, **options)


async def test_nonsense_from_strangers_and_from_the_peer_itself_changes_nothing() -> None:
    async with serve() as server, Client(server.url, camera=await camera(), microphone=Microphone()) as client:
        await client.connect()
        await client.until(lambda: len(client.pictures) > 5)
        answer = client.pc.remoteDescription.sdp
        addresses = re.findall(r"a=candidate:\S+ 1 udp \d+ ([\d.]+) (\d+) typ host", answer)
        assert addresses
        stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        ice = client.pc.sctp.transport.transport._connection
        pair = ice._nominated[1]
        for datagram in NONSENSE:
            for host, port in addresses:
                stranger.sendto(datagram, (host, int(port)))
            pair.protocol.transport._sock.sendto(datagram, pair.remote_addr)
        stranger.close()
        await client.more(pictures=15, sounds=20)
        stats = server.node.get(client.session_id).stats().transport
        assert stats["datagrams_refused"] >= len(NONSENSE)
        assert server.node.get(client.session_id).state == "live"


class Stammering(Microphone):
    """Every fifth packet of its Opus is empty."""

    def __init__(self) -> None:
        super().__init__()
        self._encoder = audio_encoder("opus", 32_000)

    async def recv(self) -> Any:
        await super().recv()
        pts = self.count * 960
        (encoded,) = self._encoder.encode(AudioFrame(pts=pts, time_base=AUDIO_TIME_BASE, track="", samples=TONE))
        packet: Any = av.Packet(b"" if self.count % 5 == 0 else encoded.data)
        packet.pts, packet.time_base = pts, AUDIO_TIME_BASE
        return packet


async def test_empty_payloads_never_reach_a_decoder() -> None:
    async with serve() as server, Client(server.url, camera=await camera(), microphone=Stammering()) as client:
        await client.connect()
        await client.more(pictures=20, sounds=50)
        session = server.node.get(client.session_id)
        assert session.state == "live"
        assert session.stats().transport["in"]["audio-0"]["made_up_samples"]["plc"] > 0


class Crafted(MediaStreamTrack):  # type: ignore[misc]
    """VP8 frames of our making, 30 a second."""

    kind = "video"

    def __init__(self, frames: list[bytes]) -> None:
        super().__init__()
        self.frames = frames
        self.count = 0

    async def recv(self) -> Any:
        if self.readyState != "live":
            raise MediaStreamError
        await asyncio.sleep(1 / 30)
        packet: Any = av.Packet(self.frames[self.count % len(self.frames)])
        packet.pts, packet.time_base = self.count * 3000, Fraction(1, 90_000)
        self.count += 1
        return packet


def vp8(sizes: list[tuple[int, int]]) -> list[bytes]:
    """A key frame of each size."""
    frames = []
    for number, (width, height) in enumerate(sizes):
        codec: Any = av.CodecContext.create("libvpx", "w")
        codec.width, codec.height, codec.pix_fmt, codec.time_base = width, height, "yuv420p", Fraction(1, 30)
        codec.options = {"deadline": "realtime", "cpu-used": "-8", "lag-in-frames": "0"}
        picture = av.VideoFrame.from_ndarray(draw(number, width, height), format="bgr24").reformat(format="yuv420p")
        frames.append(b"".join(bytes(packet) for packet in codec.encode(picture)))
    return frames


async def refused(server: Any, client: Client, track: Crafted, reason: str) -> None:
    """The track is refused for this reason and said so; the session and its sound go on."""
    client.pc.addTrack(track)
    await client.connect()
    await client.until(lambda: client.event("media.refused"))
    event = client.event("media.refused")
    assert event is not None
    assert event["data"]["reason"] == reason
    await client.more(sounds=20)
    assert server.node.get(client.session_id).meter.drops[f"video-0/{reason}"] > 0
    track.stop()


async def test_a_key_frame_of_8192_pixels_in_112_kilobytes_is_never_decoded() -> None:
    bomb = b"\x10\x00\x00\x9d\x01\x2a\x00\x20\x00\x20" + bytes(112_000)
    async with serve() as server, Client(server.url, microphone=Microphone()) as client:
        await refused(server, client, Crafted([bomb]), "picture_size")
        assert "decode" not in server.node.get(client.session_id).meter.hops.get("video-0", {})


async def test_a_size_that_changes_with_every_picture_is_not_followed_for_long() -> None:
    frames = await asyncio.to_thread(vp8, [(160 + 16 * step, 128) for step in range(12)])
    async with serve() as server, Client(server.url, microphone=Microphone()) as client:
        await refused(server, client, Crafted(frames), "size_changes")


async def test_too_many_pictures_a_second() -> None:
    frames = await asyncio.to_thread(vp8, [(160, 128)])
    async with serve(settings(max_fps=10)) as server, Client(server.url, microphone=Microphone()) as client:
        await refused(server, client, Crafted(frames), "fps")
