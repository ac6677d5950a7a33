"""Peers that come and go, and what a server keeps of them: nothing.

`churn` runs connect/disconnect cycles against a server in a process of its own, in every way a peer can leave;
`Footprint.of` reads that process's memory, threads and descriptors. The suite runs 200 cycles, soak 2,000.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

import av
import httpx
import psutil
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from aimass_stream.clips import draw

from .faults import Mute, sockets

# for the server: short, so that the peers that vanish are gone soon
ENVIRONMENT = {"AIMASS_PEER_SILENCE": "1", "AIMASS_RESUME_SECONDS": "0.1", "AIMASS_MAX_LOAD": "1",
               "AIMASS_MAX_LOOP_LAG": "10", "AIMASS_MAX_SESSIONS": "64"}
WAYS = ("close", "delete", "vanish", "close", "resume", "refused")


@dataclass(frozen=True)
class Footprint:
    """Of a process."""

    memory: int  # bytes, resident
    threads: int
    descriptors: int

    @classmethod
    def of(cls, pid: int) -> Self:
        """Now."""
        process = psutil.Process(pid)
        return cls(process.memory_info().rss, process.num_threads(), process.num_fds())


    @classmethod
    async def settled(cls, pid: int, within: Self | None = None, memory: int = 0) -> Self:
        """Once it is no more than `within` plus `memory` bytes, or after 4 s: what is freed is given back in time."""
        for _ in range(20):
            await asyncio.sleep(0.2)
            found = cls.of(pid)
            if within is not None and found.descriptors <= within.descriptors \
                    and found.memory <= within.memory + memory:
                break
        return found


@functools.cache
def key_frame() -> bytes:
    codec: Any = av.CodecContext.create("libvpx", "w")
    codec.width, codec.height, codec.pix_fmt, codec.time_base = 160, 120, "yuv420p", Fraction(1, 30)
    codec.options = {"deadline": "realtime", "lag-in-frames": "0"}
    picture = av.VideoFrame.from_ndarray(draw(1, 160, 120), format="bgr24").reformat(format="yuv420p")
    return b"".join(bytes(packet) for packet in codec.encode(picture))


class _Still(MediaStreamTrack):  # type: ignore[misc]
    """One key frame again and again, or one silent Opus packet: costs the client nothing."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self._count = 0

    async def recv(self) -> Any:
        if self.readyState != "live":
            raise MediaStreamError
        await asyncio.sleep(0.02)
        packet: Any = av.Packet(key_frame() if self.kind == "video" else b"\xf8\xff\xfe")
        step, clock = (1800, 90_000) if self.kind == "video" else (960, 48_000)
        packet.pts, packet.time_base = self._count * step, Fraction(1, clock)
        self._count += 1
        return packet


class _Arrival:
    """Stands where aiortc has its jitter buffer; decodes nothing and says when the first packet came."""

    def __init__(self, came: asyncio.Event) -> None:
        self._came = came

    def add(self, packet: Any) -> tuple[bool, None]:
        self._came.set()
        return False, None


class _NoNacks:
    missing: frozenset[int] = frozenset()

    def add(self, packet: Any) -> bool:
        return False


async def cycle(http: httpx.AsyncClient, way: str) -> None:
    """Connect, get a processed picture back, and leave in this way."""
    if way == "refused":
        assert (await http.post("/v1/webrtc/offer", json={"sdp": "v=0\r\n"})).status_code == 422
        return
    async with _peer() as peer:
        answer = await _connect(http, peer, {"pipeline": [{"stage": "mirror"}]})
        if way == "resume":
            async with _peer() as second:
                again = {"session_id": answer["session_id"], "resume_token": answer["resume_token"]}
                await _connect(http, second, again)
        elif way == "delete":
            await http.delete(f"/v1/sessions/{answer['session_id']}")
        elif way == "vanish":
            for protocol in sockets(peer):
                protocol.transport = Mute(protocol.transport)


@asynccontextmanager
async def _peer() -> AsyncIterator[Any]:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        yield peer
    finally:
        await peer.close()


async def _connect(http: httpx.AsyncClient, peer: Any, body: dict[str, Any]) -> dict[str, Any]:
    """Post an offer and wait for the first packet of a picture; the server's answer."""
    came = asyncio.Event()

    def on_track(track: Any) -> None:
        receiver = next(each for each in peer.getReceivers() if each.track is track)
        receiver._RTCRtpReceiver__jitter_buffer = _Arrival(came if track.kind == "video" else asyncio.Event())
        receiver._RTCRtpReceiver__nack_generator = _NoNacks() if track.kind == "video" else None

    peer.on("track", on_track)
    peer.addTrack(_Still("audio"))
    peer.addTrack(_Still("video"))
    peer.createDataChannel("aimass")
    await peer.setLocalDescription(await peer.createOffer())
    answer = await _post(http, {"sdp": peer.localDescription.sdp, **body})
    await peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
    async with asyncio.timeout(30):
        await came.wait()
    return answer


async def _post(http: httpx.AsyncClient, offer: dict[str, Any]) -> dict[str, Any]:
    while True:
        response = await http.post("/v1/webrtc/offer", json=offer)
        if response.status_code != 429:  # those before are not all gone yet
            response.raise_for_status()
            answer: dict[str, Any] = response.json()
            return answer
        await asyncio.sleep(0.1)


async def churn(url: str, count: int, *, together: int = 6) -> float:
    """`count` cycles, `together` at a time, then wait until no session is left. Answers seconds."""
    begun = time.monotonic()
    numbers = iter(range(count))
    async with httpx.AsyncClient(base_url=url, timeout=30, verify=False) as http:

        async def some() -> None:
            for number in numbers:
                await cycle(http, WAYS[number % len(WAYS)])

        async with asyncio.TaskGroup() as group:
            for _ in range(together):
                group.create_task(some())
        for _ in range(300):
            if not (await http.get("/v1/sessions")).json()["sessions"]:
                break
            await asyncio.sleep(0.1)
        else:
            raise TimeoutError("sessions are left")
    gc.collect()
    return time.monotonic() - begun
