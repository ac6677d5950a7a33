"""A child process of `aimass load`: sessions that play a clip encoded beforehand, and measure what comes back.

Commands come as JSON lines on stdin, answers go as JSON lines to stdout.
"""

from __future__ import annotations

import asyncio
import json
import random
import struct
import sys
import time
from collections import OrderedDict
from fractions import Fraction
from pathlib import Path
from typing import Any

from .. import wire
from ..client import Client, StreamSession
from ..errors import AimassError
from ..frames import AUDIO_TIME_BASE, VIDEO_TIME_BASE, VideoFrame, now

FPS = 30
PACKET = 960  # samples at 48 kHz
WAITED_FOR = 300  # pictures that are remembered as sent: 10 s

_LENGTH = struct.Struct("!I")


def save(path: Path, messages: list[wire.Media]) -> None:
    """A clip as wire messages, each behind its length."""
    path.write_bytes(b"".join(_LENGTH.pack(len(data)) + data for data in (media.encode() for media in messages)))


def load(path: Path) -> list[wire.Media]:
    data, at, messages = path.read_bytes(), 0, []
    while at < len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        messages.append(wire.Media.decode(data[at + 4 : at + 4 + length]))
        at += 4 + length
    return messages


class Player:
    """One session. It plays the clip round and round; a clip begins with a key frame."""

    def __init__(self, clip: list[wire.Media]) -> None:
        self._pictures = [media for media in clip if media.codec.kind == "video"]
        self._packets = [media for media in clip if media.codec.kind == "audio"]
        self._on_way: OrderedDict[int, float] = OrderedDict()
        self.sent = self.back = 0
        self.latencies: list[float] = []  # s

    async def run(self) -> None:
        raise NotImplementedError

    async def send(self, media: wire.Media) -> None:
        raise NotImplementedError

    def came(self, pts: int, at: float) -> None:
        """A picture with this pts is back."""
        left = self._on_way.pop(pts, None)
        if left is not None:
            self.back += 1
            self.latencies.append(at - left)

    def take(self) -> dict[str, Any]:
        """What was measured since the last time."""
        taken = {"sent": self.sent, "back": self.back, "latencies": [round(s * 1000, 2) for s in self.latencies]}
        self.sent = self.back = 0
        self.latencies.clear()
        return taken

    async def _play(self) -> None:
        begun, picture, packet = now(), 0, 0
        while True:
            video_due = begun + picture / FPS
            audio_due = begun + packet * PACKET / 48_000 if self._packets else float("inf")
            await asyncio.sleep(max(0.0, min(video_due, audio_due) - now()))
            if audio_due < video_due:
                media = self._packets[packet % len(self._packets)]
                await self.send(wire.Media(media.codec, media.track, packet * PACKET, media.payload))
                packet += 1
                continue
            media = self._pictures[picture % len(self._pictures)]
            pts = picture * VIDEO_TIME_BASE.denominator // FPS
            self._on_way[pts] = now()
            while len(self._on_way) > WAITED_FOR:
                self._on_way.popitem(last=False)
            self.sent += 1
            await self.send(wire.Media(media.codec, media.track, pts, media.payload, keyframe=media.keyframe))
            picture += 1


class StreamPlayer(Player):
    def __init__(self, client: Client, pipeline: list[dict[str, Any]], clip: list[wire.Media]) -> None:
        super().__init__(clip)
        self._session: StreamSession = client.stream(
            pipeline=pipeline, video="vp8", audio="opus" if self._packets else None, on_media=self._media)

    def _media(self, media: wire.Media, arrived: float) -> None:
        if media.codec.kind == "video":
            self.came(media.pts, arrived)

    async def send(self, media: wire.Media) -> None:
        await self._session.send_media(media)

    async def run(self) -> None:
        async with self._session:
            await self._play()


class RtcPlayer(Player):
    def __init__(self, client: Client, pipeline: list[dict[str, Any]], clip: list[wire.Media]) -> None:
        from ..client.rtc import RtcSession

        super().__init__(clip)
        self._session = RtcSession(client, pipeline=pipeline, audio=bool(self._packets))

    async def send(self, media: wire.Media) -> None:
        import av

        packet = av.Packet(media.payload)
        video = media.codec.kind == "video"
        packet.pts, packet.time_base = media.pts, Fraction(VIDEO_TIME_BASE if video else AUDIO_TIME_BASE)
        self._session.out["video" if video else "audio"].put(packet)

    async def run(self) -> None:
        async with self._session:
            listening = asyncio.create_task(self._listen())
            try:
                await self._play()
            finally:
                listening.cancel()

    async def _listen(self) -> None:
        async for frame in self._session.frames():
            if isinstance(frame, VideoFrame):
                self.came(frame.pts, frame.arrived)


class Worker:
    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._clip = load(Path(options["clip"]))
        self._players: dict[Player, asyncio.Task[None]] = {}
        self._refused: list[str] = []

    async def run(self) -> None:
        options = self._options
        async with Client(options["url"], options["api_key"], verify=options["verify"]) as client:
            loop = asyncio.get_running_loop()
            while line := await loop.run_in_executor(None, sys.stdin.readline):
                command = json.loads(line)
                for _ in range(command.get("add", 0)):
                    await self._add(client)
                if command.get("measure"):
                    self._answer()
            for task in self._players.values():
                task.cancel()
            if self._players:
                await asyncio.wait(self._players.values())

    async def _add(self, client: Client) -> None:
        kind = StreamPlayer if self._options["transport"] == "ws" else RtcPlayer
        player = kind(client, self._options["pipeline"], self._clip)
        await asyncio.sleep(random.random() / FPS)  # sessions do not all send at the same moment
        self._players[player] = asyncio.create_task(self._run(player))

    async def _run(self, player: Player) -> None:
        try:
            await player.run()
        except AimassError as error:
            self._refused.append(f"{error.status} {error.detail}")

    def _answer(self) -> None:
        taken = [player.take() for player in self._players]
        answer = {"cpu": time.process_time(), "refused": self._refused, "alive": sum(
            not task.done() for task in self._players.values()), "players": taken}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(Worker(json.loads(sys.stdin.readline())).run())
