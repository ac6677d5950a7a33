"""A WebRTC client of the Realtime protocol: stock aiortc with a clip for a microphone and a data channel."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import Any

import av
import httpx
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from aimass_stream.frames import Samples
from tests.support.realtime import WAIT
from tests.support.rtc import quicken

STEP = 960  # samples of 20 ms
ECHO_DELAY = 7200  # samples, 150 ms
LOUD = 1000  # of int16: somebody speaks


class Voice(MediaStreamTrack):  # type: ignore[misc]
    """Silence, and what `say` was given, in real time."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._sound = np.zeros((0, 1), np.int16)
        self._count = 0
        self._start: float | None = None
        self.loudspeaker: float | None = None  # what is played comes back so loud; None: it does not
        self._echo = np.zeros((0, 1), np.int32)  # at the microphone's next samples
        self.stalled = 0.0  # s that this machine kept it waiting, at most
        self._ahead: int | None = None  # from the times of what is played to those of the microphone, in samples

    def play(self, samples: Samples, pts: int) -> None:
        """(n, 1) int16 at 48 kHz are heard ECHO_DELAY after the first of it came."""
        if self.loudspeaker is None:
            return
        if self._ahead is None:
            self._ahead = self._count * STEP + ECHO_DELAY - pts
        at = pts + self._ahead - self._count * STEP
        if at >= 0:
            missing = at + len(samples) - len(self._echo)
            self._echo = np.concatenate([self._echo, np.zeros((max(0, missing), 1), np.int32)])
            self._echo[at : at + len(samples)] += (samples * self.loudspeaker).astype(np.int32)

    def say(self, samples: Samples) -> None:
        """(n, 1) int16 at 48 kHz."""
        self._sound = np.concatenate([self._sound, samples])

    async def recv(self) -> av.AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        self._start = time.monotonic() if self._start is None else self._start
        await asyncio.sleep(max(0.0, self._start + self._count * 0.02 - time.monotonic()))
        self.stalled = max(self.stalled, time.monotonic() - self._start - self._count * 0.02)
        piece, self._sound = self._sound[:STEP], self._sound[STEP:]
        piece = np.concatenate([piece, np.zeros((STEP - len(piece), 1), np.int16)])
        echo, self._echo = self._echo[:STEP], self._echo[STEP:]
        piece = np.clip(piece + np.pad(echo, ((0, STEP - len(echo)), (0, 0))), -32768, 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(piece.reshape(1, -1), "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, self._count * STEP, Fraction(1, 48_000)
        self._count += 1
        return frame


class Call:
    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.voice = Voice()
        self.heard: list[tuple[float, int]] = []  # when each piece of sound came (s, monotonic), and its peak
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.connection.addTrack(self.voice)
        self.channel = self.connection.createDataChannel("oai-events")
        self.open = asyncio.Event()
        self.channel.on("open", self.open.set)
        self.channel.on("message", self._received)
        self.connection.on("track", self._track)
        self._news = asyncio.Event()
        self._read = 0
        self._listening: asyncio.Task[None] | None = None

    def _received(self, message: str) -> None:
        self.events.append(json.loads(message))
        self._news.set()

    def _track(self, track: MediaStreamTrack) -> None:
        quicken(next(each for each in self.connection.getReceivers() if each.track is track))
        self._listening = asyncio.create_task(self._listen(track))

    async def _listen(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            sound = frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, :1]
            self.heard.append((time.monotonic(), int(np.abs(sound).max())))
            self.voice.play(sound, frame.pts)

    async def offer(self) -> str:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return str(self.connection.localDescription.sdp)

    async def accept(self, answer: str) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        async with asyncio.timeout(WAIT):
            await self.open.wait()

    def send(self, kind: str, **fields: Any) -> None:
        self.channel.send(json.dumps({"type": kind, **fields}))

    async def until(self, kind: str, seconds: float = WAIT) -> dict[str, Any]:
        async with asyncio.timeout(seconds):
            while True:
                while self._read < len(self.events):
                    self._read += 1
                    if self.events[self._read - 1]["type"] == kind:
                        return self.events[self._read - 1]
                self._news.clear()
                await self._news.wait()

    @property
    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]

    @property
    def loud(self) -> list[float]:
        """When sound came in which somebody speaks."""
        return [moment for moment, peak in self.heard if peak > LOUD]

    async def close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
        await self.connection.close()


@asynccontextmanager
async def calling(url: str, session: dict[str, Any] | None = None, **headers: str) -> AsyncIterator[Call]:
    """A call that is connected; with `session` by a form, else by raw SDP."""
    call = Call()
    try:
        offer = await call.offer()
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as http:
            if session is None:
                response = await http.post("/v1/realtime/calls?model=test", content=offer,
                                           headers={"Content-Type": "application/sdp"})
            else:
                response = await http.post("/v1/realtime/calls", files={
                    "sdp": (None, offer, "application/sdp"), "session": (None, json.dumps(session),
                                                                         "application/json")})
        assert response.status_code == 201, response.text
        assert response.headers["content-type"].startswith("application/sdp")
        assert response.headers["location"].startswith("/v1/realtime/calls/s_")
        await call.accept(response.text)
        yield call
    finally:
        await call.close()
