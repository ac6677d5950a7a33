"""More and more sessions against one server, until they come back too late; and what it was that gave out."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from .. import clips, wire
from ..client import Client
from ..codecs import audio_encoder, video_encoder
from ..errors import AimassError, Unavailable
from ..frames import AUDIO_TIME_BASE, VIDEO_TIME_BASE, AudioFrame, Picture, VideoFrame, now
from .latency import percentile
from .load_worker import FPS, PACKET, save

CLIP_SECONDS = 4
SETTLE = 1.5  # s after new sessions before anything is measured
LOST = 0.05  # share of pictures that may be missing
PER_WORKER = {"ws": 8, "webrtc": 3}  # sessions in one child process, before another is started
ANSWER = 20.0  # s for a worker to answer


@dataclass(frozen=True, slots=True)
class Step:
    """One rung: so many sessions, and how they fared. Times in ms, CPU in cores."""

    sessions: int
    p50: float
    p95: float
    p99: float
    lost: float  # share of pictures that did not come back
    server_cpu: float | None
    load_cpu: float
    machine: float  # share of all cores of this machine that was in use, by whomever
    loop_lag: float
    drops: dict[str, int]
    refused: list[str]

    def holds(self, bound: float) -> bool:
        return not self.refused and self.p95 <= bound and self.lost <= LOST

    def json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass
class Ramp:
    client: Client
    pipeline: list[dict[str, Any]]
    transport: str = "ws"
    bound: float = 150  # ms, p95
    most: int = 32
    step: int = 1
    seconds: float = 5
    width: int = 640
    height: int = 480
    audio: bool = True
    verify: bool = True
    steps: list[Step] = field(default_factory=list)

    async def run(self, clip: Path, tell: Callable[[Step], None]) -> int:
        """How many sessions held; `tell` is called after each rung. `clip` is a file to write."""
        await asyncio.to_thread(save, clip, await asyncio.to_thread(make_clip, self.width, self.height, self.audio))
        workers: list[_Worker] = []
        try:
            held = 0
            while held < self.most:
                target = min(held + self.step, self.most)
                await self._grow(workers, target - held, clip)
                self.steps.append(await self._measure(workers, target))
                tell(self.steps[-1])
                if not self.steps[-1].holds(self.bound):
                    return held
                held = target
            return held
        finally:
            await asyncio.gather(*(worker.stop() for worker in workers))

    async def _grow(self, workers: list[_Worker], count: int, clip: Path) -> None:
        for _ in range(count):
            if not workers or workers[-1].sessions >= PER_WORKER[self.transport]:
                workers.append(await _Worker.start(self._options(clip)))
            await workers[-1].add()

    def _options(self, clip: Path) -> dict[str, Any]:
        return {"url": self.client.url, "api_key": self.client.api_key, "verify": self.verify, "clip": str(clip),
                "transport": self.transport, "pipeline": self.pipeline}

    async def _measure(self, workers: list[_Worker], sessions: int) -> Step:
        await asyncio.sleep(SETTLE)
        await asyncio.gather(*(worker.measure() for worker in workers))  # forgets what was before
        before, begun, client_before = await self._server(), now(), sum(worker.cpu for worker in workers)
        psutil.cpu_percent()
        await asyncio.sleep(self.seconds)
        machine = psutil.cpu_percent() / 100
        answers = await asyncio.gather(*(worker.measure() for worker in workers))
        after, took = await self._server(), now() - begun
        players = [player for answer in answers for player in answer["players"]]
        latencies = sorted(value for player in players for value in player["latencies"]) or [float("inf")]
        sent, back = (sum(player[key] for player in players) for key in ("sent", "back"))
        drops = {key: count - before.drops.get(key, 0) for key, count in after.drops.items()}
        return Step(
            sessions=sessions, p50=percentile(latencies, 50), p95=percentile(latencies, 95),
            p99=percentile(latencies, 99), lost=round(max(0.0, 1 - back / sent), 4) if sent else 1.0,
            server_cpu=None if after.cpu is None or before.cpu is None else round((after.cpu - before.cpu) / took, 2),
            load_cpu=round((sum(worker.cpu for worker in workers) - client_before) / took, 2),
            machine=round(machine, 3), loop_lag=after.lag,
            drops={key: count for key, count in drops.items() if count > 0},
            refused=[reason for answer in answers for reason in answer["refused"]])

    async def _server(self) -> _Server:
        text, ready = await asyncio.gather(self.client.metrics(), self.client.ready())
        return _Server.read(text, float(ready["loop_lag_ms"]))

    def limit(self) -> str:
        """What the last rung broke on, as far as can be told from here."""
        last = self.steps[-1]
        if last.holds(self.bound):
            return f"nothing yet: all {last.sessions} sessions held"
        if last.refused:
            return f"the server refused: {last.refused[0]}"
        cores = os.cpu_count() or 1
        if last.machine > 0.9:
            server = f"the server uses {last.server_cpu} and " if self.client.local else ""
            return f"this machine's processor is full: {server}the load {last.load_cpu} of {cores} cores"
        if last.loop_lag > 20:
            return f"the server's event loop: it runs {last.loop_lag:.0f} ms late"
        if last.drops:
            worst = max(last.drops, key=lambda key: last.drops[key])
            return f"dropped frames: {worst} ({last.drops[worst]} times in {self.seconds:g} s)"
        return f"delay alone: p95 {last.p95:.0f} ms is over {self.bound:g} ms; a stage may be slow by itself"


@dataclass(frozen=True, slots=True)
class _Server:
    """Counters of the server process."""

    cpu: float | None  # s used so far
    drops: dict[str, int]
    lag: float  # ms

    @classmethod
    def read(cls, text: str, lag: float) -> _Server:
        from prometheus_client.parser import text_string_to_metric_families

        cpu, drops = None, {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == "process_cpu_seconds_total":
                    cpu = sample.value
                elif sample.name == "aimass_drops_total":
                    drops[f"{sample.labels['kind']}/{sample.labels['reason']}"] = int(sample.value)
        return cls(cpu, drops, lag)


class _Worker:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.sessions = 0
        self.cpu = 0.0  # s

    @classmethod
    async def start(cls, options: dict[str, Any]) -> _Worker:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "aimass_stream.cli.load_worker", stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, limit=2**24)
        worker = cls(process)
        await worker._say(options)
        await worker.measure()  # it is up
        return worker

    async def _say(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            await self._process.stdin.drain()
        except ConnectionError:
            raise Unavailable("a load process ended; its message is above") from None

    async def add(self) -> None:
        self.sessions += 1
        await self._say({"add": 1})

    async def measure(self) -> dict[str, Any]:
        await self._say({"measure": True})
        assert self._process.stdout is not None
        async with asyncio.timeout(ANSWER):
            line = await self._process.stdout.readline()
        if not line:
            raise Unavailable("a load process ended; its message is above")
        answer: dict[str, Any] = json.loads(line)
        self.cpu = answer["cpu"]
        return answer

    async def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(5):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


def make_clip(width: int, height: int, audio: bool) -> list[wire.Media]:
    """Four seconds of our clip in VP8 and of a tone in Opus: encoded once, so that the load costs little."""
    encoder, messages = video_encoder("VP8", 1_000_000), []
    for number in range(CLIP_SECONDS * FPS):
        frame = VideoFrame(pts=number * 3000, time_base=VIDEO_TIME_BASE, track="video-0",
                           picture=Picture.from_bgr(clips.draw(number, width, height)))
        encoded = encoder.encode(frame)
        if encoded is None:
            raise AimassError("the clip could not be encoded")
        messages.append(wire.Media(wire.Codec.VP8, wire.VIDEO_TRACK, encoded.pts, encoded.data,
                                   keyframe=encoded.keyframe))
    if audio:
        tone, opus = clips.tone(CLIP_SECONDS), audio_encoder("opus", 64_000)
        for start in range(0, len(tone), PACKET):
            sound = AudioFrame(pts=start, time_base=AUDIO_TIME_BASE, track="audio-0",
                               samples=tone[start : start + PACKET])
            messages += [wire.Media(wire.Codec.OPUS, wire.AUDIO_TRACK, packet.pts, packet.data)
                         for packet in opus.encode(sound)]
    return messages
