"""Stages without a session: a real engine, and pictures given to them one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from typing import Any

from aimass_stream.frames import VIDEO_TIME_BASE, Picture, Pixels, VideoFrame
from aimass_stream.inference import Engine, ModelStore, installed
from aimass_stream.stages import Registry

from ..stages import Surroundings


class Around(Surroundings):
    """Of one stage. Work for threads is done in place, or by `threads`."""

    def __init__(self, engine: Engine, session: str = "alone", threads: Executor | None = None) -> None:
        super().__init__()
        self.engine, self.session = engine, session
        self.dropped: dict[str, int] = {}
        self._pool = threads

    def drop(self, reason: str, count: int = 1) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + count

    def run(self, function: Callable[..., Any], *arguments: Any) -> Awaitable[Any]:
        if self._pool is None:
            return super().run(function, *arguments)
        return asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)


@asynccontextmanager
async def engine(store: ModelStore | None = None) -> AsyncIterator[Engine]:
    made = Engine(store or installed())
    try:
        yield made
    finally:
        await made.close()


@asynccontextmanager
async def staged(name: str, around: Around, /, **given: Any) -> AsyncIterator[Any]:
    """A stage at work."""
    registry = Registry(entries=[])
    registry.load()
    params = registry.params(name)
    assert params is not None
    stage: Any = registry.create(name, params.model_validate(given))
    await stage.start(around)
    try:
        yield stage
    finally:
        await stage.close()


def frame(picture: Pixels, number: int = 0) -> VideoFrame:
    """Picture `number` at 30/s of (h, w, 3) BGR; an odd last row or column is left out."""
    return VideoFrame(pts=number * 3000, time_base=VIDEO_TIME_BASE, track="video-0", picture=Picture.from_bgr(picture))
