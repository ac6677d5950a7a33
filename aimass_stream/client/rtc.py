"""A session over WebRTC, by aiortc. Imported only when it is asked for: aiortc takes half a second to load.

aiortc's own receiving buffers add about 33 ms to pictures and 80 ms to sound; where that matters, use the
websocket or a browser.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Literal, Protocol, TypeAlias

import av
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError

from ..codecs import pcm
from ..errors import AimassError, InvalidInput, Unavailable
from ..frames import AUDIO_RATE, AUDIO_TIME_BASE, VIDEO_TIME_BASE, AudioFrame, Frame, Picture, TextFrame, VideoFrame
from ..queues import BoundedQueue
from . import reconnect
from .connection import body_of
from .session import MediaSession

CONNECT_TIMEOUT = 15.0  # s
PACKET = AUDIO_RATE // 50  # samples: 20 ms

Kind: TypeAlias = Literal["audio", "video"]
Outgoing: TypeAlias = "av.VideoFrame | av.AudioFrame | av.Packet[Any]"


class Server(Protocol):
    """What of `Client` is needed here."""

    async def config(self) -> dict[str, Any]: ...
    async def request(self, method: str, path: str, body: object = None) -> Any: ...
    async def delete(self, session_id: str) -> None: ...


class FrameTrack(MediaStreamTrack):  # type: ignore[misc]
    """What is put in goes out: av frames, or av packets that are encoded already."""

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        self.kind = kind
        self.first: float | None = None  # s, pts of the first frame that went out
        self._queue: BoundedQueue[Outgoing] = (
            BoundedQueue(2, "keep_newest") if kind == "video" else BoundedQueue(50, "skip_late"))

    def put(self, item: Outgoing) -> None:
        self._queue.put_nowait(item)

    async def recv(self) -> Outgoing:
        try:
            item, _ = await self._queue.get()
        except EOFError:
            raise MediaStreamError from None
        if self.first is None and item.pts is not None and item.time_base is not None:
            self.first = float(item.pts * item.time_base)
        return item

    def stop(self) -> None:
        super().stop()
        self._queue.close()


class RtcSession(MediaSession):
    """Sound goes out as 48 kHz Opus, pictures as the server prefers."""

    def __init__(self, client: Server, *, pipeline: list[dict[str, Any]] | None = None, sync: str | None = None,
                 latency_ms: int | None = None, audio: bool = True, video: bool = True, app: str | None = None,
                 parameters: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self._client = client
        wishes = (("pipeline", pipeline), ("sync", sync), ("latency_ms", latency_ms), ("app_id", app),
                  ("parameters", None if parameters is None else dict(parameters)))
        self._options = {key: value for key, value in wishes if value is not None}
        wanted: dict[Kind, bool] = {"audio": audio, "video": video}
        self._kinds = [kind for kind, on in wanted.items() if on]
        self._converter = pcm.Converter(AUDIO_RATE, 1)
        self._peer: RTCPeerConnection | None = None
        self._channel: Any = None
        self.out: dict[str, FrameTrack] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken = asyncio.Event()
        self._connected = False
        self._resume_seconds = 0.0
        self._main: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        return self._connected and not self.closed

    async def open(self) -> None:
        await self._connect()
        self._main = asyncio.create_task(self._live(), name="aimass rtc")

    async def _connect(self, resume: bool = False) -> None:
        config = await self._client.config()  # each time: what a TURN server takes may have ended
        self._resume_seconds = float(config.get("resume_seconds", 30))
        servers = [RTCIceServer(**server) for server in config.get("iceServers", [])]
        peer = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        self._peer, self._broken = peer, asyncio.Event()
        try:
            connected = self._prepare(peer, self._broken)
            await peer.setLocalDescription(await peer.createOffer())
            body: dict[str, Any] = {"sdp": peer.localDescription.sdp, "type": "offer"}
            body |= {"session_id": self.id, "resume_token": self.resume_token} if resume else self._options
            answer = await self._client.request("POST", "/v1/webrtc/offer", body)
            self.id, self.resume_token = answer["session_id"], answer["resume_token"]
            await peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await connected.wait()
        except BaseException as error:
            await peer.close()
            if isinstance(error, TimeoutError):
                raise Unavailable(f"no media connection within {CONNECT_TIMEOUT:g} s: is UDP blocked?") from error
            raise
        if peer.connectionState != "connected":
            await peer.close()
            raise Unavailable(f"the media connection {peer.connectionState}")
        self._connected = True

    def _prepare(self, peer: RTCPeerConnection, broken: asyncio.Event) -> asyncio.Event:
        """Tracks, the data channel and what happens; the event is set once it is decided whether it connects."""
        decided = asyncio.Event()
        for kind in self._kinds:
            self.out[kind] = FrameTrack(kind)
            peer.addTrack(self.out[kind])
        self._channel = peer.createDataChannel("aimass")
        self._channel.on("message", self._said)

        def changed() -> None:
            if peer.connectionState in ("connected", "failed", "closed"):
                decided.set()
            if peer.connectionState in ("failed", "closed"):
                broken.set()

        def came(track: MediaStreamTrack) -> None:
            task = asyncio.create_task(self._receive(track), name=f"aimass rtc {track.kind}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        peer.on("connectionstatechange", changed)
        peer.on("track", came)
        return decided

    async def _live(self) -> None:
        """Offer again when the connection breaks, until the session is over."""
        try:
            while True:
                await self._lost(self._broken)
                self._connected = False
                if self._over():
                    return
                if self._peer is not None:
                    await self._peer.close()  # what is silent may speak again
                await self._again()
                self.resumed += 1
        except AimassError as error:
            self._ended(error)
        finally:
            self._ended()

    def _over(self) -> bool:
        return self.closed

    async def _again(self) -> None:
        error: AimassError = Unavailable("the connection was cut")
        for delay in reconnect.delays(self._resume_seconds):
            await asyncio.sleep(delay)
            try:
                await self._connect(resume=True)
            except Unavailable as failed:
                error = failed
            else:
                return
        raise error

    def _said(self, message: str | bytes) -> None:
        self._heard = True
        if isinstance(message, str):
            event = json.loads(message)
            if isinstance(event, dict) and "seq" in event:
                self._happened(event)
                if event["type"] == "session.ended":
                    self._ended()

    async def _receive(self, track: MediaStreamTrack) -> None:
        name, out = f"{track.kind}-0", self.out.get(track.kind)
        while True:
            try:
                item = await track.recv()
            except MediaStreamError:
                return
            self._heard = True
            first = out.first if out is not None and out.first is not None else 0.0
            await self._deliver(_frame(item, name, first))

    async def send(self, frame: AudioFrame | VideoFrame | TextFrame) -> None:
        if isinstance(frame, TextFrame):
            raise InvalidInput("words do not travel over WebRTC here")
        track = self.out.get(frame.kind)
        if track is None:
            raise InvalidInput(f"this session was opened without {frame.kind}")
        if self.closed:
            raise self.error or InvalidInput("the session is closed")
        if not self._connected:
            self._cut(frame.track)
            return
        if isinstance(frame, VideoFrame):
            picture = frame.picture.av
            picture.pts, picture.time_base = frame.pts, frame.time_base
            track.put(picture)
            return
        converted = self._converter.convert(frame)
        for piece in _pieces(converted) if converted is not None else []:
            track.put(piece)

    async def control(self, message: dict[str, Any]) -> None:
        if self._channel is None or self._channel.readyState != "open":
            raise Unavailable("the data channel is not open")
        self._channel.send(body_of(message).decode())

    async def close(self) -> None:
        self._frames.clear()
        self._readers = 0
        self._ended()
        peer, self._peer = self._peer, None
        if self._main is not None:
            self._main.cancel()
            await asyncio.wait([self._main])
        if peer is not None:
            await peer.close()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self.id:
            try:
                await self._client.delete(self.id)
            except AimassError as error:
                if error.status != 404:
                    raise


def _pieces(frame: AudioFrame) -> list[av.AudioFrame]:
    """At most 20 ms each, which is what aiortc's Opus encoder is made for."""
    pieces = []
    for start in range(0, len(frame.samples), PACKET):
        samples = np.ascontiguousarray(frame.samples[start : start + PACKET]).reshape(1, -1)
        piece = av.AudioFrame.from_ndarray(samples, "s16", "mono")
        piece.sample_rate, piece.pts, piece.time_base = frame.rate, frame.pts + start, Fraction(1, frame.rate)
        pieces.append(piece)
    return pieces


def _frame(item: av.VideoFrame | av.AudioFrame, track: str, first: float) -> Frame:
    """aiortc counts from 0; `first` (s) is where this side's clock was."""
    seconds = float((item.pts or 0) * (item.time_base or VIDEO_TIME_BASE)) + first
    if isinstance(item, av.VideoFrame):
        return VideoFrame(pts=round(seconds / VIDEO_TIME_BASE), time_base=VIDEO_TIME_BASE, track=track,
                          picture=Picture.from_av(item))
    channels = len(item.layout.channels)
    samples = item.to_ndarray().reshape(-1, channels).astype(np.int16, copy=False)
    return AudioFrame(pts=round(seconds / AUDIO_TIME_BASE), time_base=AUDIO_TIME_BASE, track=track, samples=samples,
                      rate=item.sample_rate)
