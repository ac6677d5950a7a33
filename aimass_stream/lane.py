"""One lane of a pipeline: the frames of one track, through its stages, in order.

Every stage of a lane has a task of its own behind a bounded queue, so two stages of 20 ms still give 30
frames a second. A lane can be re-linked while frames flow: the head holds what arrives, what is inside
runs out, the links are set anew, and the head lets go.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from . import metrics
from .events import EventData, StageBypassed, StageFailed
from .frames import AudioFrame, Frame, Kind, VideoFrame, now
from .metrics import Meter
from .queues import BoundedQueue, Policy
from .settings import Settings
from .spec import StageSpec
from .stage import Result, Room, Rung, Stage
from .stage_base import even, resized

log = logging.getLogger(__name__)

FAILURES = 5  # in a row, then a stage is bypassed
RELINK_WAIT = 0.06  # s a change waits for frames inside the lane; a picture gap stays well under 100 ms
FADE = 240  # samples (5 ms at 48 kHz) that a frame after a gap fades in over, so that it does not click

# (policy, capacity in frames, s a frame may have waited when a newer one is there)
# Video: two frames released in one go by a jitter buffer are both worth showing; older ones are not.
QUEUES: dict[Kind, tuple[Policy, int, float]] = {
    "video": ("keep_newest", 4, 0.015),
    "audio": ("skip_late", 50, 0.2),
    "text": ("block", 4096, float("inf")),
}


# what a track of pictures can do with, when no stage can do with less any more
RATES = (Rung("every picture"), Rung("every second picture", "every second picture is left out", 1 / 2),
         Rung("every third picture", "two of three pictures are left out", 1 / 3))
LEAST_SIDE = 32  # px: smaller pictures are not shrunk for a stage


@dataclass(frozen=True)
class Surroundings:
    """What a lane needs of its pipeline."""

    meter: Meter
    spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]
    event: Callable[[EventData, Frame | None, str], None]
    route: Callable[[Frame, int], None]  # a frame for another lane, and the index it comes from
    output: Callable[[Frame], None]
    executor: Executor
    engine: Any
    session: str  # id
    settings: Settings
    flush: Callable[[str], None]  # throw away a track's sound that is on its way out
    pipeline: Callable[[], list[dict[str, Any]]]
    stages: Callable[[], list[dict[str, Any]]]  # all there are, described
    steer: Callable[[list[dict[str, Any]]], Awaitable[None]]
    kinds: Callable[[], frozenset[Kind]]  # that come in now
    room: Callable[[], Room | None]


class Runner:
    """One stage at work in one lane; it is also the `Context` its stage sees."""

    def __init__(self, lane: Lane, index: int, spec: StageSpec, params: BaseModel, stage: Stage) -> None:
        self.lane = lane
        self.index = index
        self.spec = spec
        self.params = params
        self.stage = stage
        self.track = lane.track
        self.engine = lane.around.engine
        self.session = lane.around.session
        self.settings = lane.around.settings
        self.next: Runner | None = None
        self.bypassed = False
        self.busy = False
        self.rung = 0  # that the governor wants; `at` is where the stage works
        self.ladder: tuple[Rung, ...] = tuple(getattr(stage, "ladder", ()))
        self.done = 0  # frames
        self.learnt = 0  # of those, whose cost admission knows
        self.cpu = 0.0  # s that the others used in threads
        self.beside_seconds = 0.0
        self._failures = 0
        self._missing = 0  # samples skipped since the last frame
        policy, capacity, self._stale = QUEUES[lane.kind]
        self.queue: BoundedQueue[Frame] = BoundedQueue(capacity, policy, on_drop=self._dropped)
        self._task: asyncio.Task[None] | None = None

    # what the stage may call -----------------------------------------------------------------------

    @property
    def room(self) -> Room | None:
        return self.lane.around.room()

    def emit(self, frame: Frame) -> None:
        self.lane.advance(self, frame)

    def event(self, data: EventData, frame: Frame | None = None) -> None:
        self.lane.around.event(data, frame, self.track)

    def drop(self, reason: str, count: int = 1) -> None:
        self.lane.around.meter.drop(self.track, self.lane.kind, f"{self.spec.name}:{reason}", count)

    def run(self, function: Callable[..., Any], *arguments: Any) -> Awaitable[Any]:
        return asyncio.get_running_loop().run_in_executor(self.lane.around.executor, self._counted, function, arguments)

    def _counted(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        begun = time.thread_time()
        try:
            return function(*arguments)
        finally:
            self.cpu += time.thread_time() - begun

    def beside(self, seconds: float) -> None:
        self.beside_seconds += seconds

    def first_words(self, seconds: float, model: str) -> None:
        self.lane.around.meter.first_words(seconds, model)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        return self.lane.around.spawn(work, f"{self.track}/{self.spec.name} {name}")

    def flush(self) -> None:
        self.lane.around.flush(self.track)

    def pipeline(self) -> list[dict[str, Any]]:
        return self.lane.around.pipeline()

    def stages(self) -> list[dict[str, Any]]:
        return self.lane.around.stages()

    def kinds(self) -> frozenset[Kind]:
        return self.lane.around.kinds()

    async def steer(self, pipeline: list[dict[str, Any]]) -> None:
        await self.lane.around.steer(pipeline)

    # what the lane calls ---------------------------------------------------------------------------

    async def start(self) -> None:
        """Raises whatever the stage raises: the change that wanted this stage is then refused."""
        await self.stage.start(self)
        self._task = self.lane.around.spawn(self._run(), f"{self.track}/{self.spec.name}")

    def update(self, params: BaseModel, spec: StageSpec, index: int) -> None:
        self.index, self.spec = index, spec
        if params != self.params or self.bypassed:
            self.params = params
            self.bypassed = False
            self._failures = 0
            try:
                self.stage.update(params)
            except Exception as error:
                self._failed(error)

    async def close(self) -> None:
        self.queue.close()
        lost = self.queue.clear()
        if lost:
            self.lane.around.meter.drop(self.track, self.lane.kind, f"{self.spec.name}:removed", lost)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        try:
            await self.stage.close()
        except Exception:
            log.exception("stage %s could not be closed", self.spec.name)
        self.lane.around.meter.forget(self.track, self.spec.name)

    @property
    def reach(self) -> range:
        """The rungs of its ladder that are of use now."""
        every = range(len(self.ladder))
        own = getattr(self.stage, "reach", None)
        found: range = own() if own is not None else every
        return found if found.stop <= every.stop else every

    @property
    def at(self) -> int:
        """The rung that the stage works at."""
        reach = self.reach
        return max(reach.start, min(self.rung, reach.stop - 1))

    @property
    def idle(self) -> bool:
        return not self.busy and not len(self.queue)

    async def _run(self) -> None:
        meter, kind = self.lane.around.meter, self.lane.kind
        while True:
            try:
                frame, waited = await self.queue.get()
            except EOFError:
                return
            while waited > self._stale and len(self.queue):
                self._dropped(frame)
                frame, waited = self.queue.get_nowait()
            metrics.QUEUE_AGE.labels(kind).observe(waited)
            if self._missing and isinstance(frame, AudioFrame):
                frame = frame.replace(gap=frame.gap + self._missing)
                self._missing = 0
            self.busy = True
            begun = now()
            result = await self._process(frame)
            meter.hop(self.track, kind, self.spec.name, waited + now() - begun)
            self.done += 1
            for item in _several(result):
                await self.lane.advance_waiting(self, item)
            self.busy = False
            self.lane.progress.set()

    async def _process(self, frame: Frame) -> Result:
        if self.bypassed:
            return frame
        try:
            scale = self.ladder[self.at].scale if self.ladder else 1.0
            if scale < 1 and isinstance(frame, VideoFrame):
                result = await self._process_small(frame, scale)
            else:
                result = await self.stage.process(frame)
        except Exception as error:
            self._failed(error)
            return frame
        self._failures = 0
        return result

    async def _process_small(self, frame: VideoFrame, scale: float) -> Result:
        """Give the stage a smaller picture and enlarge what comes back."""
        width, height = even(frame.width * scale), even(frame.height * scale)
        if min(width, height) < LEAST_SIDE:
            return await self.stage.process(frame)
        small = frame.replace(picture=await self.run(resized, frame.picture, width, height))
        found: list[Frame] = []
        for item in _several(await self.stage.process(small)):
            if isinstance(item, VideoFrame) and item.track == frame.track:
                whole = _enlarged((item.width, item.height), (width, height), (frame.width, frame.height))
                item = item.replace(picture=await self.run(resized, item.picture, *whole))
            found.append(item)
        return found

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        detail = f"{type(error).__name__}: {error}{_where(error)}"
        metrics.STAGE_FAILURES.labels(self.spec.name).inc()
        if self._failures <= 1:
            log.warning("stage %s failed", self.spec.name, exc_info=error)
        self.event(StageFailed(index=self.index, stage=self.spec.name, detail=detail, failures=self._failures))
        if self._failures >= FAILURES:
            self.bypassed = True
            self.event(StageBypassed(index=self.index, stage=self.spec.name, detail=detail))

    def _dropped(self, frame: Frame) -> None:
        if isinstance(frame, AudioFrame):
            self._missing += len(frame.samples) + frame.gap
        self.lane.around.meter.drop(self.track, self.lane.kind, f"{self.spec.name}:overload")


class Lane:
    """Made closed: frames wait at its head until the first `relink`, or until `open` where there are no stages."""

    def __init__(self, track: str, kind: Kind, around: Surroundings) -> None:
        self.track = track
        self.kind = kind
        self.around = around
        self.runners: list[Runner] = []
        policy, capacity, _ = QUEUES[kind]
        # while the lane is being linked, frames wait here with the index of the stage they come after
        self._held: BoundedQueue[tuple[Frame, int]] | None = BoundedQueue(capacity, policy, on_drop=self._held_dropped)
        self.progress = asyncio.Event()  # set whenever a stage is done with a frame
        self.rung = 0  # of RATES
        self._turn = 0
        self._last_pts: int | None = None

    def push(self, frame: Frame, after: int = -1) -> None:
        """A frame from outside this lane, to run through the stages whose index is over `after`."""
        if self.rung and after < 0 and self.kind == "video":
            self._turn += 1
            if self._turn % (self.rung + 1):
                self.around.meter.drop(self.track, self.kind, "governor")
                return
        if self._held is not None:
            self._held.put_nowait((frame, after))
            return
        for runner in self.runners:
            if runner.index > after:
                runner.queue.put_nowait(frame)
                return
        self._leave(frame)

    @property
    def at(self) -> int:
        return self.rung

    def advance(self, runner: Runner, frame: Frame) -> None:
        """A frame that `runner` is done with."""
        if frame.track != self.track or frame.kind != self.kind:
            self.around.route(frame, runner.index)
        elif runner.next is not None:
            runner.next.queue.put_nowait(frame)
        else:
            self._leave(frame)

    async def advance_waiting(self, runner: Runner, frame: Frame) -> None:
        """As `advance`; where the next queue is lossless and full, wait for it."""
        if runner.next is not None and runner.next.queue.policy == "block" and frame.track == self.track:
            await runner.next.queue.put(frame)
        else:
            self.advance(runner, frame)

    def open(self) -> None:
        """Let go of what waits at the head."""
        held, self._held = self._held, None
        while held:
            (frame, after), _ = held.get_nowait()
            self.push(frame, after)

    async def relink(self, runners: list[Runner], apply: Callable[[], None]) -> list[Runner]:
        """Put these started runners in place of the present ones; answers those no longer used."""
        if self._held is None:
            policy, capacity, _ = QUEUES[self.kind]
            self._held = BoundedQueue(capacity, policy, on_drop=self._held_dropped)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RELINK_WAIT):
                    await self._until_idle()
        removed = [runner for runner in self.runners if runner not in runners]
        apply()
        self.runners = runners
        for index, runner in enumerate(runners):
            runner.next = runners[index + 1] if index + 1 < len(runners) else None
        for runner in removed:  # what is still inside goes on behind its old place
            runner.next = next((kept for kept in runners if kept.index >= runner.index), None)
        self.open()
        return removed

    async def _until_idle(self) -> None:
        while not all(runner.idle for runner in self.runners):
            self.progress.clear()
            await self.progress.wait()

    def flush(self) -> None:
        for runner in self.runners:
            runner.queue.clear()
            flushed = getattr(runner.stage, "flushed", None)  # stages that make sound of their own have it
            if flushed is not None:
                flushed()

    def _leave(self, frame: Frame) -> None:
        if frame.kind != "text":
            if self._last_pts is not None and frame.pts < self._last_pts:
                self.around.meter.drop(self.track, self.kind, "out_of_order")
                return
            self._last_pts = frame.pts
        if isinstance(frame, AudioFrame) and frame.gap:
            frame = frame.replace(samples=_fade_in(frame.samples))
            metrics.CONCEALED.labels("fade").inc(frame.gap)
        self.around.output(frame)

    def _held_dropped(self, item: tuple[Frame, int]) -> None:
        self.around.meter.drop(self.track, self.kind, "relink")


def _where(error: Exception) -> str:
    """The line of somebody's own stage that failed; nothing for stages of ours or of installed packages."""
    ours = str(Path(__file__).parent)
    for place in reversed(traceback.extract_tb(error.__traceback__)):
        if not place.filename.startswith((ours, sys.prefix, sys.base_prefix, "<")):
            return f" ({Path(place.filename).name}, line {place.lineno})"
    return ""


def _enlarged(size: tuple[int, int], small: tuple[int, int], whole: tuple[int, int]) -> tuple[int, int]:
    """The size for what a stage made of a small picture; it may have turned or cut it."""
    if size in (small, small[::-1]):
        return whole if size == small else whole[::-1]
    return even(size[0] * whole[0] / small[0]), even(size[1] * whole[1] / small[1])


def _several(result: Result) -> list[Frame]:
    if result is None:
        return []
    return list(result) if isinstance(result, list | tuple) else [result]  # type: ignore[list-item]


def _fade_in(samples: np.ndarray[Any, np.dtype[np.int16]]) -> np.ndarray[Any, np.dtype[np.int16]]:
    count = min(FADE, len(samples))
    faded = samples.copy()
    faded[:count] = (faded[:count] * np.linspace(0, 1, count)[:, None]).astype(np.int16)
    return faded
