"""A WebRTC client for tests and benchmarks: stock aiortc that sends numbered pictures and beeps and reads them back.

Only its receiving side is touched: aiortc holds every picture until the next one begins and the first four
packets of sound, which would be most of what is measured. `quicken` puts our video jitter buffer, and for sound
none at all, in their place; what remains is one encoder, one decoder and two hops between threads.

    async with Client(server.url, camera=Camera(), microphone=Microphone()) as client:
        await client.connect([{"stage": "mirror"}])
        await client.until(lambda: len(client.pictures) > 60)
        print(client.video_delays(), client.audio_delays())
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Self

import anyio._backends._asyncio  # noqa: F401  httpx would import it in its first request, which takes 50 ms
import av
import httpx
import numpy as np
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from aimass_stream import clips
from aimass_stream.transports.webrtc.jitter import VideoJitterBuffer

BEEP_EVERY = 25  # frames of 20 ms
LOUD = 2000  # peak of int16 from which a piece of sound belongs to a beep


class Camera(MediaStreamTrack):  # type: ignore[misc]
    """`clips.draw` pictures 0, 1, ... in real time; after `cycle` of them the numbers begin again."""

    kind = "video"

    def __init__(self, width: int = 640, height: int = 480, fps: float = 30, cycle: int = 90) -> None:
        super().__init__()
        self.fps = fps
        self.sent: dict[int, float] = {}  # number -> when it last went to the encoder, s, monotonic
        self.count = 0
        self._frames = [av.VideoFrame.from_ndarray(clips.draw(n, width, height, fps), format="bgr24")
                        .reformat(format="yuv420p") for n in range(cycle)]
        self._start: float | None = None

    async def recv(self) -> av.VideoFrame:
        if self.readyState != "live":
            raise MediaStreamError
        if self._start is None:
            self._start = time.monotonic()
        await asyncio.sleep(max(0.0, self._start + self.count / self.fps - time.monotonic()))
        number = self.count % len(self._frames)
        frame = self._frames[number]
        frame.pts, frame.time_base = round(self.count * 90_000 / self.fps), Fraction(1, 90_000)
        frame.pict_type = av.video.frame.PictureType.NONE
        self.count += 1
        self.sent[number] = time.monotonic()
        return frame


class Microphone(MediaStreamTrack):  # type: ignore[misc]
    """Silence with a beep of 20 ms twice a second, in frames of 20 ms, mono, 48 kHz. `always` is one long tone."""

    kind = "audio"

    def __init__(self, *, always: bool = False) -> None:
        super().__init__()
        self.count = 0
        self.beeps: deque[float] = deque(maxlen=10_000)  # when each went to the encoder, s, monotonic
        tone = clips.tone(1.0, 1000, -6)
        self._tone = [self._frame(tone[n * 960 : (n + 1) * 960]) for n in range(50)]
        self._silence = self._frame(np.zeros((960, 1), np.int16))
        self._always = always
        self._start: float | None = None

    @staticmethod
    def _frame(samples: np.ndarray[Any, np.dtype[np.int16]]) -> av.AudioFrame:
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = 48_000
        return frame

    async def recv(self) -> av.AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        if self._start is None:
            self._start = time.monotonic()
        await asyncio.sleep(max(0.0, self._start + self.count * 0.02 - time.monotonic()))
        beep = self.count % BEEP_EVERY == BEEP_EVERY - 1
        frame = self._tone[self.count % 50] if beep or self._always else self._silence
        frame.pts, frame.time_base = self.count * 960, Fraction(1, 48_000)
        self.count += 1
        if beep:
            self.beeps.append(time.monotonic())
        return frame


class _QuickVideo:
    """Stands where aiortc has its JitterBuffer: pictures come out with their last packet."""

    def __init__(self, receiver: Any) -> None:
        self._receiver = receiver
        self._buffer = VideoJitterBuffer("VP8", max_fps=1000)
        self._ready: deque[JitterFrame] = deque(maxlen=64)

    def add(self, packet: Any) -> tuple[bool, JitterFrame | None]:
        now = time.monotonic()
        buffer = self._buffer
        frames = buffer.add(packet.sequence_number, packet.timestamp, bool(packet.marker), packet.payload, now)
        pli = False
        if buffer.wakeup <= now:
            actions = buffer.poll(now)
            frames += actions.frames
            pli = actions.pli
            if actions.nacks:
                task = asyncio.ensure_future(self._receiver._send_rtcp_nack(packet.ssrc, actions.nacks))
                _TASKS.add(task)
                task.add_done_callback(_TASKS.discard)
        self._ready.extend(JitterFrame(data=frame.data, timestamp=frame.timestamp & 0xFFFFFFFF) for frame in frames)
        return pli, self._ready.popleft() if self._ready else None


_TASKS: set[asyncio.Future[None]] = set()


class _QuickAudio:
    def add(self, packet: Any) -> tuple[bool, JitterFrame | None]:
        return False, JitterFrame(data=packet._data, timestamp=packet.timestamp) if packet._data else None


class _NoNacks:
    missing: frozenset[int] = frozenset()

    def add(self, packet: Any) -> bool:
        return False


def quicken(receiver: Any) -> None:
    """Take the waiting out of an aiortc receiver; call at its "track" event. VP8 and Opus."""
    if receiver.track.kind == "video":
        receiver._RTCRtpReceiver__jitter_buffer = _QuickVideo(receiver)
        receiver._RTCRtpReceiver__nack_generator = _NoNacks()
    else:
        receiver._RTCRtpReceiver__jitter_buffer = _QuickAudio()


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture that came back."""

    number: int | None
    at: float  # s, monotonic
    delay: float | None  # s since it went to the sender's encoder
    width: int
    height: int
    pts: int  # 90 kHz


@dataclass(slots=True)
class Heard:
    """A piece of sound that came back."""

    at: float
    peak: int
    samples: int
    pts: int  # 48 kHz


@dataclass
class Client:
    """One peer of a server at `url`. Without camera and microphone it asks to receive what `receive` names."""

    url: str
    camera: Camera | None = None
    microphone: Microphone | None = None
    receive: tuple[str, ...] = ()
    channel: bool = True
    headers: dict[str, str] = field(default_factory=dict)
    servers: list[RTCIceServer] = field(default_factory=list)
    pictures: list[Seen] = field(default_factory=list)
    sounds: list[Heard] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    session_id: str = ""
    resume_token: str = ""

    def __post_init__(self) -> None:
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=self.servers))
        self.data: Any = None
        # without verifying: reading the list of authorities takes 40 ms, and there is nothing to verify
        self.http = httpx.AsyncClient(base_url=self.url, headers=self.headers, timeout=20, verify=False)
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self.pc.on("track", self._on_track)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def offer(self) -> str:
        """The SDP of an offer with all candidates."""
        for track in (self.microphone, self.camera):
            if track is not None:
                self.pc.addTrack(track)
        for kind in self.receive:
            self.pc.addTransceiver(kind, direction="recvonly")
        if self.channel:
            self.data = self.pc.createDataChannel("aimass")
            self.data.on("message", self._on_message)
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return str(self.pc.localDescription.sdp)

    async def accept(self, sdp: str) -> None:
        await self.pc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))

    async def connect(self, pipeline: list[dict[str, Any]] | None = None, **body: Any) -> None:
        """Offer, post, accept. Raises `httpx.HTTPStatusError` when the server refuses."""
        given = {"sdp": await self.offer(), "type": "offer", **body}
        if pipeline is not None:
            given["pipeline"] = pipeline
        response = await self.http.post("/v1/webrtc/offer", json=given)
        response.raise_for_status()
        answer = response.json()
        self.session_id, self.resume_token = answer["session_id"], answer["resume_token"]
        await self.accept(answer["sdp"])

    def send(self, message: object) -> None:
        """A control message."""
        self.data.send(message if isinstance(message, str | bytes) else json.dumps(message))

    async def until(self, condition: Callable[[], object], seconds: float = 30) -> None:
        """Wait until something that came makes `condition` true."""
        async with asyncio.timeout(seconds):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def more(self, pictures: int = 0, sounds: int = 0, seconds: float = 30) -> None:
        """Wait until so many more pictures and pieces of sound came back."""
        pictures, sounds = len(self.pictures) + pictures, len(self.sounds) + sounds
        await self.until(lambda: len(self.pictures) >= pictures and len(self.sounds) >= sounds, seconds)

    def event(self, kind: str) -> dict[str, Any] | None:
        """The last event of a type."""
        return next((event for event in reversed(self.events) if event["type"] == kind), None)

    async def close(self) -> None:
        await self.http.aclose()
        for task in self._tasks:
            task.cancel()
        await asyncio.to_thread(lambda: None)  # let the decoder threads' last callbacks in
        await self.pc.close()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for track in (self.camera, self.microphone):
            if track is not None:
                track.stop()

    # what came back --------------------------------------------------------------------------------

    def _on_message(self, message: str) -> None:
        self.events.append(json.loads(message))
        self._news.set()

    def _on_track(self, track: Any) -> None:
        receiver = next(each for each in self.pc.getReceivers() if each.track is track)
        quicken(receiver)
        task = asyncio.ensure_future(self._watch(track) if track.kind == "video" else self._listen(track))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _watch(self, track: Any) -> None:
        try:
            while True:
                frame = await track.recv()
                at = time.monotonic()
                luma = np.frombuffer(frame.planes[0], np.uint8).reshape(frame.height, -1)[:, : frame.width]
                number = clips.read_number(luma)
                sent = self.camera.sent.get(number) if self.camera is not None and number is not None else None
                self.pictures.append(Seen(number, at, None if sent is None else at - sent, frame.width, frame.height,
                                          frame.pts))
                self._news.set()
        except MediaStreamError:
            return

    async def _listen(self, track: Any) -> None:
        try:
            while True:
                frame = await track.recv()
                samples = frame.to_ndarray()
                self.sounds.append(Heard(time.monotonic(), int(np.abs(samples.astype(np.int32)).max(initial=0)),
                                         frame.samples, frame.pts))
                self._news.set()
        except MediaStreamError:
            return

    def video_delays(self, skip: int = 15) -> list[float]:
        """s, in the order of arrival, without the first pictures."""
        return [seen.delay for seen in self.pictures[skip:] if seen.delay is not None]

    def audio_delays(self) -> list[float]:
        """s from a beep's way into the encoder to the first loud piece of sound that came back."""
        onsets = [after.at for before, after in zip(self.sounds, self.sounds[1:], strict=False)
                  if before.peak < LOUD <= after.peak]
        delays, beeps = [], list(self.microphone.beeps) if self.microphone is not None else []
        for onset in onsets:
            earlier = [beep for beep in beeps if beep <= onset]
            if earlier and onset - earlier[-1] < 0.4:
                delays.append(onset - earlier[-1])
        return delays


def percentile(values: list[float], share: float) -> float:
    """The value that `share` (0 to 1) of `values` do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
