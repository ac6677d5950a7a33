"""A session without a network: frames pushed in, whatever comes out collected."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np

from aimass_stream import clips
from aimass_stream.events import Event
from aimass_stream.frames import AUDIO_TIME_BASE, VIDEO_TIME_BASE, AudioFrame, Frame, Picture, VideoFrame, now
from aimass_stream.inference import Engine, installed
from aimass_stream.node import Node
from aimass_stream.ports import Caller
from aimass_stream.session import Session
from aimass_stream.spec import PipelineSpec
from aimass_stream.stages import Registry

from .options import settings

CALLER = Caller("test")
SMALL = Picture.from_bgr(clips.draw(0, 160, 120))


class Collector:
    """A sink that remembers, with the moment each thing came."""

    def __init__(self) -> None:
        self.frames: list[tuple[float, Frame]] = []
        self.events: list[Event] = []
        self.closed: str | None = None
        self._news = asyncio.Event()

    def frame(self, frame: Frame) -> None:
        self.frames.append((now(), frame))
        self._news.set()

    def event(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    def flush(self, track: str | None = None) -> None:
        self.frames.clear()

    async def close(self, reason: str) -> None:
        self.closed = reason
        self._news.set()

    def of(self, kind: str) -> list[tuple[float, Any]]:
        return [(at, frame) for at, frame in self.frames if frame.kind == kind]

    def typed(self, event: str) -> list[Event]:
        return [each for each in self.events if each.type == event]

    async def until(self, condition: Callable[[], object], seconds: float = 30) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                self._news.clear()
                await self._news.wait()


class Idle:
    """A source that stays until it is cancelled or told to leave; frames are pushed by hand."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    async def run(self, push: Callable[[Frame], None]) -> None:
        await self.gone.wait()

    def stats(self) -> dict[str, Any]:
        return {}


def picture(n: int, fps: float = 30, *, track: str = "video-0", image: Picture = SMALL) -> VideoFrame:
    return VideoFrame(pts=round(n * 90_000 / fps), time_base=VIDEO_TIME_BASE, track=track, picture=image)


def sound(n: int, *, track: str = "audio-0") -> AudioFrame:
    samples = np.full((960, 1), 1000, np.int16)
    return AudioFrame(pts=n * 960, time_base=AUDIO_TIME_BASE, track=track, samples=samples)


@asynccontextmanager
async def opened_node(registry: Registry | None = None, **options: Any) -> AsyncIterator[Node]:
    engine = Engine(installed())
    stages = registry or Registry()
    await asyncio.to_thread(stages.load)
    node = Node(settings(**options), stages, engine)
    await node.start()
    try:
        yield node
    finally:
        await node.close()
        await engine.close()


async def open_session(node: Node, pipeline: object = None, **options: Any) -> tuple[Session, Collector]:
    session = await node.open(PipelineSpec.parse(pipeline), caller=CALLER, transport="test", **options)
    sink = Collector()
    await session.attach(Idle(), sink)
    return session, sink


async def play(session: Session, seconds: float, *, fps: float = 30, start: int = 0, audio: bool = True) -> float:
    """Push pictures (and sound) in real time, with pts that follow the clock.

    Answers the longest that the machine kept us waiting, s: on a busy one a gap is not always the code's.
    """
    begun, stall = now(), 0.0
    video_n = audio_n = start
    while (passed := now() - begun) < seconds:
        while video_n - start <= passed * fps:
            session.push(picture(video_n, fps))
            video_n += 1
        while audio and audio_n - start <= passed * 50:
            session.push(sound(audio_n))
            audio_n += 1
        due = now() + 0.004
        await asyncio.sleep(0.004)
        stall = max(stall, now() - due)
    return stall
