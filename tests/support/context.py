"""A stage's surroundings without a pipeline: what it emits, tells and drops is kept; threads are real."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from pydantic import BaseModel

from aimass_stream import clips
from aimass_stream.events import EventData
from aimass_stream.frames import (
    AUDIO_TIME_BASE,
    VIDEO_TIME_BASE,
    AudioFrame,
    Frame,
    Kind,
    Picture,
    Samples,
    VideoFrame,
    now,
)
from aimass_stream.settings import Settings
from aimass_stream.stage import Room
from aimass_stream.stages import Registry

REGISTRY = Registry(entries=[])
REGISTRY.load()
EXECUTOR = ThreadPoolExecutor(1, thread_name_prefix="stage-test")


class Context:
    track = "video-0"
    session = "s_test"
    engine: Any = None
    settings = Settings()
    rung = 0
    room: Room | None = None

    def __init__(self) -> None:
        self.worked_beside = 0.0  # s
        self.emitted: list[tuple[float, Frame]] = []  # with the moment each came
        self.events: list[tuple[EventData, Frame | None]] = []
        self.drops: dict[str, int] = {}
        self.words: list[tuple[float, str]] = []  # s to the first words of an utterance, and the model
        self.ran: list[str] = []  # what went to a thread
        self.tasks: set[asyncio.Task[None]] = set()  # beside the frames
        self.flushes = 0
        self.running: list[dict[str, Any]] = []  # what `pipeline` answers
        self._news = asyncio.Event()

    def emit(self, frame: Frame) -> None:
        self.emitted.append((now(), frame))
        self._news.set()

    def event(self, data: EventData, frame: Frame | None = None) -> None:
        self.events.append((data, frame))

    def drop(self, reason: str, count: int = 1) -> None:
        self.drops[reason] = self.drops.get(reason, 0) + count

    def run(self, function: Callable[..., Any], *arguments: Any) -> Awaitable[Any]:
        self.ran.append(getattr(function, "__name__", repr(function)))
        return asyncio.get_running_loop().run_in_executor(EXECUTOR, function, *arguments)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def first_words(self, seconds: float, model: str) -> None:
        self.words.append((seconds, model))

    def beside(self, seconds: float) -> None:
        self.worked_beside += seconds

    def flush(self) -> None:
        self.flushes += 1

    def pipeline(self) -> list[dict[str, Any]]:
        return self.running

    def stages(self) -> list[dict[str, Any]]:
        return REGISTRY.describe()

    def kinds(self) -> frozenset[Kind]:
        return frozenset({"audio", "video"})

    async def steer(self, pipeline: list[dict[str, Any]]) -> None:
        self.running = pipeline

    async def until_emitted(self, count: int, seconds: float = 30) -> None:
        async with asyncio.timeout(seconds):
            while len(self.emitted) < count:
                self._news.clear()
                await self._news.wait()


def params(name: str, **given: Any) -> BaseModel:
    model = REGISTRY.params(name)
    assert model is not None
    return model.model_validate(given)


async def started(name: str, **given: Any) -> tuple[Any, Context]:
    """A stage of ours at work."""
    stage, context = REGISTRY.create(name, params(name, **given)), Context()
    await stage.start(context)
    return stage, context


async def once(name: str, frame: Frame, **given: Any) -> Any:
    """What a fresh stage answers for one frame."""
    stage, _ = await started(name, **given)
    answer = await stage.process(frame)
    await stage.close()
    return answer


def video(number: int = 0, width: int = 640, height: int = 480, *, picture: Picture | None = None,
          **fields: Any) -> VideoFrame:
    """A drawn picture with its number, in the form a decoder gives it; or another picture."""
    if picture is None:
        picture = Picture.from_av(Picture.from_bgr(clips.draw(number, width, height)).av)
    given: dict[str, Any] = {"pts": number * 3000, "time_base": VIDEO_TIME_BASE, "track": "video-0"}
    return VideoFrame(picture=picture, **(given | fields))


def audio(samples: Samples, pts: int = 0, rate: int = 48_000) -> AudioFrame:
    return AudioFrame(samples=samples, pts=pts, time_base=AUDIO_TIME_BASE, track="audio-0", rate=rate)


def silence(count: int = 960, channels: int = 1) -> Samples:
    return np.zeros((count, channels), np.int16)
