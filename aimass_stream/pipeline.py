"""A running pipeline: one lane a track, changed live and whole or not at all."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Executor
from typing import Any

from pydantic import BaseModel

from .errors import AimassError, InvalidPipeline
from .events import EventData, StageFailed
from .frames import Frame, Kind, now
from .lane import Lane, Runner, Surroundings
from .metrics import Meter
from .settings import Settings
from .spec import PipelineSpec, StageSpec
from .stage import Room
from .stages import Registry

log = logging.getLogger(__name__)

MAX_LANES = 16  # tracks of one session
PRESENT = 5.0  # s that a kind of frames counts as being there; the slowest still picture comes oftener


class Pipeline:
    """`push` takes frames in; `output` gets them back. All on one event loop."""

    def __init__(
        self,
        spec: PipelineSpec,
        registry: Registry,
        *,
        meter: Meter,
        output: Callable[[Frame], None],
        event: Callable[[EventData, Frame | None, str], None],
        spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]],
        executor: Executor,
        engine: Any,
        session: str,
        settings: Settings,
        flush: Callable[[str], None],
        steer: Callable[[list[dict[str, Any]]], Awaitable[None]],
        room: Callable[[], Room | None],
    ) -> None:
        """Raises `InvalidPipeline`."""
        self.registry = registry
        self.spec = spec
        self._params = spec.validate(registry.params, registry.names)
        self._around = Surroundings(meter, spawn, event, self._route, output, executor, engine, session, settings,
                                    flush, lambda: self.spec.json(), registry.describe, steer, self.kinds, room)
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._last: dict[Kind, float] = {}  # when a frame of it came
        self._changing = asyncio.Lock()
        self._closed = False

    def push(self, frame: Frame) -> None:
        """Take a frame in; never waits."""
        self._route(frame, -1)

    def lanes(self) -> list[Lane]:
        return list(self._lanes.values())

    def kinds(self) -> frozenset[Kind]:
        """What comes in now, or is made by a stage: a camera that was switched off is no picture any more."""
        oldest = now() - PRESENT
        return frozenset(kind for kind, moment in self._last.items() if moment > oldest)

    async def update(self, spec: PipelineSpec, *, rebuild: str | None = None) -> None:
        """Run `spec` from now on. Refused whole with `InvalidPipeline`: then nothing has changed.

        Stages found in both lists (by `id`, else by name and order) keep their state and get their new
        parameters; new ones are started before the first frame sees them. Stages named `rebuild` are all new.
        """
        params = spec.validate(self.registry.params, self.registry.names)
        async with self._changing:
            if self._closed:
                return
            plans: list[tuple[Lane, list[tuple[Runner, int]]]] = []
            started: list[Runner] = []
            try:
                for lane in self.lanes():  # one that comes meanwhile waits, and gets what is decided here
                    plans.append((lane, await self._plan(lane, spec, params, started, rebuild)))
            except Exception as error:
                for runner in started:
                    await runner.close()
                if isinstance(error, AimassError):
                    raise
                log.warning("a stage could not be started", exc_info=error)
                raise InvalidPipeline(f"a stage could not be started: {error}", field="pipeline") from error
            self.spec, self._params = spec, params
            removed: list[Runner] = []
            for lane, plan in plans:
                apply = functools.partial(_apply, plan, spec, params)
                removed += await lane.relink([runner for runner, _ in plan], apply)
            for runner in removed:
                await runner.close()

    async def rebuild(self, name: str) -> None:
        """Build every running stage of this name anew (its code changed), keeping its parameters."""
        if any(stage.name == name for stage in self.spec.stages):
            await self.update(self.spec, rebuild=name)

    def flush(self, track: str | None = None) -> None:
        """Throw away everything inside, or the sound of one track (barge-in)."""
        for lane in self._lanes.values():
            if track is None or (lane.track == track and lane.kind == "audio"):
                lane.flush()

    async def close(self) -> None:
        async with self._changing:
            self._closed = True
            for lane in self.lanes():
                for runner in lane.runners:
                    await runner.close()
                lane.runners = []

    def _route(self, frame: Frame, after: int) -> None:
        if self._closed:
            return
        self._last[frame.kind] = now()
        key = (frame.track, frame.kind)
        lane = self._lanes.get(key)
        if lane is None:
            if len(self._lanes) >= MAX_LANES:
                self._around.meter.drop(frame.track, frame.kind, "too_many_tracks")
                return
            lane = self._lanes[key] = Lane(frame.track, frame.kind, self._around)
            if self.spec.stages or self._changing.locked():
                self._around.spawn(self._open(lane), f"open {frame.track}")
            else:
                lane.open()
        lane.push(frame, after)

    async def _open(self, lane: Lane) -> None:
        """Link a new lane; a stage that can't start is left out and named."""
        async with self._changing:
            runners = []
            for index, (spec, params) in enumerate(zip(self.spec.stages, self._params, strict=True)):
                try:
                    runner = self._runner(lane, index, spec, params)
                    if runner is not None:
                        await runner.start()
                        runners.append(runner)
                except Exception as error:
                    log.warning("stage %s could not be started", spec.name, exc_info=error)
                    self._around.event(StageFailed(index=index, stage=spec.name, detail=str(error), failures=1),
                                       None, lane.track)
            for runner in await lane.relink(runners, lambda: None):  # a change may have come before
                await runner.close()

    async def _plan(self, lane: Lane, spec: PipelineSpec, params: list[BaseModel],
                    started: list[Runner], rebuild: str | None) -> list[tuple[Runner, int]]:
        free = [runner for runner in lane.runners if runner.spec.name != rebuild]
        plan = []
        for index, stage in enumerate(spec.stages):
            runner = next((old for old in free if _same(old.spec, stage)), None)
            if runner is not None and stage.track in (None, lane.track):
                free.remove(runner)
                plan.append((runner, index))
                continue
            runner = self._runner(lane, index, stage, params[index])
            if runner is not None:
                await runner.start()
                started.append(runner)
                plan.append((runner, index))
        return plan

    def _runner(self, lane: Lane, index: int, spec: StageSpec, params: BaseModel) -> Runner | None:
        if spec.track not in (None, lane.track):
            return None
        stage = self.registry.create(spec.name, params)
        return Runner(lane, index, spec, params, stage) if lane.kind in stage.accepts else None


def _apply(plan: list[tuple[Runner, int]], spec: PipelineSpec, params: list[BaseModel]) -> None:
    for runner, index in plan:
        runner.update(params[index], spec.stages[index], index)


def _same(old: StageSpec, new: StageSpec) -> bool:
    return old.name == new.name and old.id == new.id
