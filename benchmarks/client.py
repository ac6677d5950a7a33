"""The client of every measurement: its own process, driven by JSON lines on stdin, answering on stdout.

    {"do": "open", "id": "a", "url": "http://127.0.0.1:8000/offer", "body": {}, "width": 640, ...}
    {"do": "report", "id": "a", "since": 12.3, "until": 22.3, "audio": true}
    {"do": "close", "id": "a"}

It is aiortc with two changes, the same for every server: it sends what was encoded beforehand, and it
decodes a picture as soon as its last packet is there. All times are seconds of CLOCK_MONOTONIC.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any
from urllib.parse import urlsplit

import av
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCSessionDescription,
)
from aiortc.codecs import CODECS
from aiortc.mediastreams import MediaStreamError

from . import media, sound
from .receive import Assembler, Feed, NoNack

now = time.monotonic
FAR = 8.0  # s; sound that is older than that when it comes back isn't recognised


@dataclass
class Order:
    """What a session is asked to be."""

    id: str
    url: str
    body: dict[str, Any] = field(default_factory=dict)
    width: int = 640
    height: int = 480
    live: bool = False  # encode live and answer picture losses (bad links); else send the clip
    audio: bool = True
    fec: bool = True
    rtt: float = 0.0  # s, as a client would know it from RTCP
    keep_audio: bool = True  # keep what comes back for `report`


class Sender(MediaStreamTrack):  # type: ignore[misc]
    """Hands packets to aiortc's sender at their time and notes when."""

    def __init__(self, kind: str, interval: float, ticks: int, base: Fraction) -> None:
        super().__init__()
        self.kind = kind
        self.interval = interval
        self.ticks = ticks
        self.base = base
        self.count = 0
        self.sent: list[tuple[int, float]] = []  # what was sent (picture's number, packet's index), when
        self._next: float | None = None

    def payload(self) -> tuple[int, bytes]:
        raise NotImplementedError

    async def recv(self) -> Any:
        if self.readyState != "live":
            raise MediaStreamError
        if self._next is None:
            self._next = now()
        wait = self._next - now()
        if wait > 0:
            await asyncio.sleep(wait)
        elif wait < -3 * self.interval:
            self._next = now()  # this process was held up: go on from here and don't send a burst
        self._next += self.interval
        what, data = self.payload()
        packet: Any = av.Packet(data)
        packet.pts, packet.time_base = self.count * self.ticks, self.base
        self.count += 1
        self.sent.append((what, now()))
        return packet


class Picture(Sender):
    def __init__(self, order: Order) -> None:
        super().__init__("video", 1 / media.FPS, 90_000 // media.FPS, media.VIDEO_BASE)
        self._camera = media.Camera(order.width, order.height) if order.live else None
        self._clip = [] if order.live else media.video(order.width, order.height)
        self._place = 0
        self.key_wanted = False
        self.key_requests = 0

    def want_key(self) -> None:
        self.key_requests += 1
        self.key_wanted = True

    def payload(self) -> tuple[int, bytes]:
        key, self.key_wanted = self.key_wanted, False
        if self._camera is not None:
            return self.count & 0xFFFF, self._camera.next(self.count & 0xFFFF, key or self.count == 0)
        # the clip has one key frame: when one is wanted it starts again
        self._place = 0 if key or self._place >= len(self._clip) else self._place
        number, self._place = self._place, self._place + 1
        return number, self._clip[number]


class Sound(Sender):
    def __init__(self, order: Order) -> None:
        super().__init__("audio", 0.02, sound.PACKET, media.AUDIO_BASE)
        self._clip = media.audio(order.fec)

    def payload(self) -> tuple[int, bytes]:
        return self.count, self._clip[self.count % len(self._clip)]


class Session:
    def __init__(self, order: Order) -> None:
        self.order = order
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.picture = Picture(order)
        self.sound = Sound(order)
        self.times: dict[str, float] = {}
        self.shown: list[tuple[int, float]] = []  # pictures: number, when decoded
        self.heard: list[tuple[int, float, bytes]] = []  # audio packets: sequence number, when, payload
        self.bytes = 0
        self.unreadable = 0
        self.answer: dict[str, Any] = {}
        self._decoder: Any = av.CodecContext.create("libvpx", "r")
        self._decoder.thread_count = 1
        self._assembler = Assembler(self._show, rtt=order.rtt)
        self._receiver: Any = None
        self._ssrc: int | None = None
        self._timer: asyncio.Task[None] | None = None

    async def open(self) -> dict[str, Any]:
        if self.order.audio:  # first, where Pipecat expects it
            self.pc.addTrack(self.sound)
        sender = self.pc.addTrack(self.picture)
        sender._send_keyframe = self.picture.want_key
        video = next(one for one in self.pc.getTransceivers() if one.kind == "video")
        codecs = RTCRtpReceiver.getCapabilities("video").codecs
        video.setCodecPreferences([codec for codec in codecs if codec.mimeType in ("video/VP8", "video/rtx")])
        self.pc.createDataChannel("text")
        self.pc.on("track", self._track)
        self.pc.on("connectionstatechange", self._changed)
        await self.pc.setLocalDescription(await self.pc.createOffer())
        described = self.pc.localDescription
        self.times["post"] = now()
        self.answer = await post(self.order.url, {"sdp": described.sdp, "type": described.type, **self.order.body})
        self.times["answer"] = now()
        await self.pc.setRemoteDescription(RTCSessionDescription(self.answer["sdp"], self.answer["type"]))
        self._timer = asyncio.create_task(self._tick())
        return {key: self.answer[key] for key in ("session_id",) if key in self.answer}

    def _changed(self) -> None:
        self.times.setdefault(self.pc.connectionState, now())

    def _track(self, track: MediaStreamTrack) -> None:
        receiver = next(one for one in self.pc.getReceivers() if one.track is track)
        if track.kind == "video":
            self._receiver = receiver
            receiver._RTCRtpReceiver__nack_generator = NoNack()
            receiver._RTCRtpReceiver__jitter_buffer = Feed(self._video_packet)
        else:
            receiver._RTCRtpReceiver__jitter_buffer = Feed(self._audio_packet)

    def _video_packet(self, packet: Any) -> None:
        self._ssrc = packet.ssrc
        self.bytes += len(packet.payload)
        self._assembler.add(packet.sequence_number, packet.payload, packet._data, bool(packet.marker), now())

    def _audio_packet(self, packet: Any) -> None:
        self.times.setdefault("first_audio", now())
        self.heard.append((packet.sequence_number, now(), packet.payload if self.order.keep_audio else b""))

    def _show(self, data: bytes) -> None:
        try:
            frames = self._decoder.decode(av.Packet(data))
        except av.FFmpegError:
            self.unreadable += 1
            return
        for frame in frames:
            number = media.number_of(frame)
            if number is None:
                self.unreadable += 1
                continue
            self.times.setdefault("first_video", now())
            self.shown.append((number, now()))

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(0.01)
            again, key = self._assembler.tick(now())
            if self._receiver is None or self._ssrc is None:
                continue
            if again:
                await self._receiver._send_rtcp_nack(self._ssrc, again)
            if key:
                await self._receiver._send_rtcp_pli(self._ssrc)

    def report(self, since: float, until: float, audio: bool) -> dict[str, Any]:
        """What came back between two moments; with `audio` also what became of the sound."""
        times, delays, numbers = delays_of(self.picture.sent, self.shown)
        inside = (times >= since) & (times < until)
        result: dict[str, Any] = {
            "state": self.pc.connectionState, "times": self.times, "unreadable": self.unreadable,
            "bytes": self.bytes, "key_requests_got": self.picture.key_requests,
            "key_requests_sent": self._assembler.key_requests, "asked_again": self._assembler.asked,
            "given_up": self._assembler.given_up, "frames_sent": sum(since <= t < until for _, t in self.picture.sent),
            "video": {"at": _rounded(times[inside]), "delay": _rounded(delays[inside]),
                      "number": numbers[inside].tolist()},
        }
        if audio and self.order.keep_audio and any(one[1] >= since - FAR for one in self.heard):
            result["audio"] = self._sound_report(since, until)
        return result

    def _sound_report(self, since: float, until: float) -> dict[str, Any]:
        first = max(0, sum(when < since - FAR for _, when in self.sound.sent))
        said = self.sound.sent[first:]
        packets, arrived = _in_order([one for one in self.heard if one[1] >= since - FAR])
        sent = np.array([when for _, when in said])
        clip = media.audio(self.order.fec)
        reference = media.decode_audio([clip[index % len(clip)] for index, _ in said])
        found = sound.listen(reference, sent, media.decode_audio(packets), arrived, look_back=FAR)
        inside = (found.arrived >= since) & (found.arrived < until)
        asked = (found.sent >= since) & (found.sent < until)
        here = inside & found.right
        return {
            "at": _rounded(found.arrived[here]), "delay": _rounded(found.delay[here]),
            "received": int(inside.sum()), "right": int(here.sum()), "sent": int(asked.sum()),
            "excused": int((asked & found.excused).sum()),
            "missed": int((asked & ~found.excused & ~found.came_back).sum()),
        }

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self.pc.close()


def delays_of(sent: list[tuple[int, float]],
              shown: list[tuple[int, float]]) -> tuple[Any, Any, Any]:
    """When each picture was shown, how long after its latest sending before that, and its number."""
    by_number: dict[int, list[float]] = {}
    for number, when in sent:
        by_number.setdefault(number, []).append(when)
    times, delays, numbers = [], [], []
    for number, when in shown:
        earlier = [one for one in by_number.get(number, ()) if one <= when]
        if earlier:
            times.append(when)
            delays.append(when - earlier[-1])
            numbers.append(number)
    return np.array(times), np.array(delays), np.array(numbers, np.int64)


def _in_order(heard: list[tuple[int, float, bytes]]) -> tuple[list[bytes | None], Any]:
    """Audio packets by sequence number, None and NaN where one is missing."""
    places: dict[int, tuple[float, bytes]] = {}
    highest = heard[0][0]
    for sequence, when, payload in heard:
        number = highest + ((sequence - highest + 0x8000) & 0xFFFF) - 0x8000
        highest = max(highest, number)
        places.setdefault(number, (when, payload))
    span = range(min(places), max(places) + 1)
    packets = [places[number][1] if number in places else None for number in span]
    return packets, np.array([places[number][0] if number in places else np.nan for number in span])


def _rounded(values: Any) -> list[float]:
    return [round(float(value), 5) for value in values]


async def post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    """A JSON POST without an HTTP library: its cost would show in the time to the first frame."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    payload = json.dumps(body).encode()
    writer.write(f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
                 f"Content-Length: {len(payload)}\r\nConnection: close\r\n\r\n".encode() + payload)
    await writer.drain()
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = next((int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-length")),
                  None)
    text = await (reader.readexactly(length) if length is not None else reader.read())
    writer.close()
    if not 200 <= int(head.split()[1]) < 300:
        raise ConnectionError(f"answered {head.splitlines()[0].partition(' ')[2]}: {_detail(text)}")
    answer: dict[str, Any] = json.loads(text)
    return answer


def _detail(text: bytes) -> str:
    """What a refusal says, from problem+json (RFC 9457) or plain text."""
    try:
        return str(json.loads(text)["detail"])
    except (ValueError, KeyError, TypeError):
        return text[:300].decode(errors="replace")


class Host:
    """All sessions of this process, and the orders that come in."""

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}

    async def do(self, message: dict[str, Any]) -> dict[str, Any]:
        what = message.pop("do")
        if what == "open":
            order = Order(**message)
            session = self.sessions[order.id] = Session(order)
            return await asyncio.wait_for(session.open(), 20)
        if what == "report":
            return self.sessions[message["id"]].report(message["since"], message["until"], message["audio"])
        if what == "close":
            await self.sessions.pop(message["id"]).close()
            return {}
        if what == "load":
            return {"cpu": time.process_time(), "at": now()}
        raise ValueError(f"no such order: {what}")


async def main() -> None:
    logging.getLogger("aiortc").setLevel(logging.ERROR)
    CODECS["audio"][0].parameters = {"minptime": 10, "useinbandfec": 1}  # what a browser's offer says
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    host = Host()
    sys.stdout.write("{}\n")
    sys.stdout.flush()
    while line := await reader.readline():
        try:
            reply = await host.do(json.loads(line))
        except Exception as error:  # told to whoever asked, who decides
            reply = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()
    for session in host.sessions.values():
        await session.close()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        os.sched_setaffinity(0, {int(sys.argv[1])})
    asyncio.run(main())
