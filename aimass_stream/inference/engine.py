"""The inference engine: devices shared by all sessions, in batches where a measurement says that they pay.

There is no waiting window: whenever the device is free, what waits for the model whose turn it is goes in
together. Work past its deadline is dropped before it costs anything, sessions are served in turns, and a
model that keeps raising is taken out while the others go on. Models whose every run takes about a
millisecond (`Capabilities.light`: voice activity) have a worker of their own, so that they never stand behind
a long one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeVar, cast

import numpy as np

from ..errors import AimassError, Conflict, DeadlineMissed, InvalidInput, ModelFailed, NotFound, Unavailable
from .contract import SLOT, Batch, Model, check_inputs
from .device import CpuDevice, Device
from .loader import ModelStore
from .slots import Slots
from .statistics import ModelStatistics, Tally, best_batch, percentile
from .waiting import Request, Waiting

log = logging.getLogger(__name__)

T = TypeVar("T", bound="Shared")

FAILURES = 5  # in a row, then a model is taken out
PER_SESSION = 8  # requests of one session that may wait
REPEATS = 3  # runs of each batch size when a model is measured; the fastest counts
MEASURE_SECONDS = 0.5  # after that, no larger batch is measured


class Shared(Protocol):
    """Something that all sessions use and that ends with the engine: a voice's process, a pool of decoders."""

    async def close(self) -> None: ...


@dataclass(slots=True)
class _Desk:
    """What waits for one device, and the task that serves it."""

    device: Device
    waiting: Waiting
    work: asyncio.Event = field(default_factory=asyncio.Event)
    server: asyncio.Task[None] | None = None


@dataclass(slots=True)
class _Loaded:
    model: Model
    desk: _Desk
    measured: dict[int, float]
    limit: int  # rows put together
    slots: Slots
    tally: Tally = field(default_factory=Tally)
    failures: int = 0  # in a row
    failed: str = ""  # why it was taken out


class Engine:
    """Made anywhere; used on one event loop. `close` leaves no thread and no task behind."""

    def __init__(self, store: ModelStore, device: Device | None = None, *, per_session: int = PER_SESSION) -> None:
        self.store = store
        self.device: Device = device or CpuDevice()
        self._models: dict[str, _Loaded] = {}
        self._loading: dict[str, asyncio.Task[None]] = {}
        self._desk = _Desk(self.device, Waiting(per_session))
        self._light = _Desk(CpuDevice(threads=1, name="cpu-light"), Waiting(per_session))
        self._shared: dict[str, asyncio.Task[Any]] = {}
        self._closed = False

    # models ----------------------------------------------------------------------------------------

    async def load(self, name: str, make: Callable[[], Model] | None = None) -> None:
        """Make sure that the model is ready; callers at the same time share one load.

        `make` builds, in a thread, a model of this name that is in no store. A model that was taken out is loaded
        anew. Raises `NotFound`, or `InvalidInput` with what is wrong.
        """
        if self._closed:
            raise Unavailable("the inference engine is closed")
        loaded = self._models.get(name)
        if loaded is not None and not loaded.failed:
            return
        if name not in self._loading:
            task = asyncio.create_task(self._load(name, make or partial(self.store.open, name, self.device)),
                                       name=f"load model {name}")
            self._loading[name] = task
            task.add_done_callback(self._loading_done)
        await asyncio.shield(self._loading[name])

    async def _load(self, name: str, make: Callable[[], Model]) -> None:
        if name in self._models:
            await self.unload(name)
        reader = ThreadPoolExecutor(1, thread_name_prefix="aimass-load")
        try:
            model = await asyncio.get_running_loop().run_in_executor(reader, make)
        finally:
            reader.shutdown(wait=False)
        await self.add(model)

    def _loading_done(self, task: asyncio.Task[None]) -> None:
        self._loading = {name: other for name, other in self._loading.items() if other is not task}
        if not task.cancelled():
            task.exception()  # told to whoever waits; asyncio need not complain when nobody does any more

    async def add(self, model: Model) -> None:
        """Warm up a model, measure whether batches pay, and take requests for it from now on."""
        if self._closed:
            raise Unavailable("the inference engine is closed")
        if model.name in self._models:
            raise Conflict(f"the model {model.name!r} is loaded already")
        desk = self._light if model.capabilities.light else self._desk
        try:
            await desk.device.run(model.warm_up)
            measured = await self._measure(model, desk.device)
            if model.name in self._models:
                raise Conflict(f"the model {model.name!r} was loaded meanwhile")
        except Exception as error:
            await desk.device.run(model.close)
            if isinstance(error, AimassError):
                raise
            raise ModelFailed(f"{model.name} does not run on {desk.device.name}: {error}") from error
        slots = Slots(model.capabilities.slots)
        self._models[model.name] = _Loaded(model, desk, measured, best_batch(measured), slots)
        log.info("model %s %s is ready: %s", model.name, model.version, ", ".join(
            f"batch {size} {seconds * 1000:.1f} ms" for size, seconds in measured.items()))

    async def unload(self, name: str) -> None:
        """End a model: what waits for it fails with `Unavailable`, what runs is finished first."""
        loaded = self._models.pop(name, None)
        if loaded is None:
            raise NotFound(f"the model {name!r} is not loaded")
        self._refuse(lambda request: request.model == name, Unavailable(f"the model {name!r} was unloaded"))
        await loaded.desk.device.run(loaded.model.close)  # the device keeps the order, so a running batch comes before

    async def _measure(self, model: Model, device: Device) -> dict[int, float]:
        """Seconds of one run by batch size: 1, 2, 4... Other work gets the device between the runs.

        All sizes are tried, for gains are not even: two rows of a perceptron cost four times as much as one
        on a CPU (another kernel), and eight no more than two.
        """
        can = model.capabilities
        most = min(can.max_batch, can.slots or can.max_batch) if can.batchable else 1
        measured: dict[int, float] = {}
        size, spent = 1, 0.0
        while size <= most and spent < MEASURE_SECONDS:
            times = [await device.run(partial(_time, model, size)) for _ in range(REPEATS)]
            measured[size] = min(times)
            spent += sum(times)
            size *= 2
        for slot in range(model.capabilities.slots):
            await device.run(partial(model.reset, slot))
        return measured

    def models(self) -> dict[str, Model]:
        """What is loaded and takes requests."""
        return {name: loaded.model for name, loaded in self._models.items() if not loaded.failed}

    async def share(self, name: str, open: Callable[[], Awaitable[T]]) -> T:
        """What goes by this name, made by the first caller for all; it is closed with the engine.

        If making it fails, the error is the caller's and the next caller tries again.
        """
        if self._closed:
            raise Unavailable("the inference engine is closed")
        if name not in self._shared:
            self._shared[name] = asyncio.create_task(_await(open), name=f"open {name}")
        task = self._shared[name]
        try:
            return cast(T, await asyncio.shield(task))
        except Exception:
            if self._shared.get(name) is task:
                del self._shared[name]
            raise

    # requests --------------------------------------------------------------------------------------

    async def submit(self, model: str, inputs: Batch, *, session: str, deadline: float | None = None,
                     state: str | None = None) -> Batch:
        """Run a loaded model on `inputs`; its outputs by name, with as many rows.

        `deadline` (s, `time.monotonic`) is the latest moment at which this is worth starting: past it
        `DeadlineMissed` is raised. `state` names the state of a stateful model, by default the session's.
        Raises `InvalidInput` naming a tensor, `Busy` when too much of this session waits already,
        `ModelFailed` when the model raised or was taken out, `NotFound` when it is not loaded.
        """
        loaded = self._ready(model)
        request = Request(model, inputs, check_inputs(loaded.model, inputs), session, deadline, time.monotonic(),
                          asyncio.get_running_loop().create_future())
        if loaded.slots.count:
            request.slot = loaded.slots.acquire(state or session)
        try:
            loaded.desk.waiting.add(request)
        except Exception:
            loaded.tally.drop("full")
            raise
        self._serve(loaded.desk)
        if deadline is not None:
            delay = max(0.0, deadline - time.monotonic())
            request.timer = asyncio.get_running_loop().call_later(delay, self._expire, request)
        try:
            return await request.done
        finally:
            if request.timer is not None:
                request.timer.cancel()
            if loaded.desk.waiting.remove(request):
                loaded.tally.drop("cancelled")

    def forget(self, model: str, state: str) -> None:
        """Give a stateful model's slot back, when its stream has ended."""
        loaded = self._models.get(model)
        slot = loaded.slots.release(state) if loaded is not None else None
        if slot is not None:
            self._refuse(lambda request: request.model == model and request.slot == slot,
                         Unavailable(f"the state {state!r} of {model} was given back"))

    def _ready(self, name: str) -> _Loaded:
        if self._closed:
            raise Unavailable("the inference engine is closed")
        loaded = self._models.get(name)
        if loaded is None:
            raise NotFound(f"the model {name!r} is not loaded")
        if loaded.failed:
            raise ModelFailed(loaded.failed)
        return loaded

    def _expire(self, request: Request) -> None:
        if any(desk.waiting.remove(request) for desk in self._desks):
            self._miss(request)

    def _miss(self, request: Request) -> None:
        if not request.done.done():
            self._models[request.model].tally.drop("deadline")
            waited = time.monotonic() - request.since
            request.done.set_exception(DeadlineMissed(f"{request.model}: not started within {waited * 1000:.0f} ms"))

    def _refuse(self, which: Callable[[Request], bool], error: Exception) -> None:
        for desk in self._desks:
            for request in [request for request in desk.waiting if which(request)]:
                desk.waiting.remove(request)
                if not request.done.done():
                    request.done.set_exception(error)

    # the devices -----------------------------------------------------------------------------------

    @property
    def _desks(self) -> tuple[_Desk, _Desk]:
        return self._desk, self._light

    def _serve(self, desk: _Desk) -> None:
        desk.work.set()
        if desk.server is None or desk.server.done():
            desk.server = asyncio.create_task(self._run(desk), name=f"inference on {desk.device.name}")

    async def _run(self, desk: _Desk) -> None:
        while not self._closed:
            await desk.work.wait()
            first = desk.waiting.first()
            if first is None:
                desk.work.clear()
                continue
            loaded = self._models[first.model]
            batch = self._punctual(desk.waiting.take(loaded.limit))
            if batch:
                await self._run_batch(loaded, batch)

    def _punctual(self, batch: list[Request]) -> list[Request]:
        """What is still worth starting; timers may fire late on a busy loop."""
        moment = time.monotonic()
        late = [request for request in batch if request.deadline is not None and request.deadline < moment]
        for request in late:
            self._miss(request)
        return [request for request in batch if request not in late and not request.done.done()]

    async def _run_batch(self, loaded: _Loaded, batch: list[Request]) -> None:
        begun = time.monotonic()
        resets = [r.slot for r in batch if r.slot is not None and loaded.slots.freshen(r.slot)]
        try:
            results, seconds = await loaded.desk.device.run(partial(_execute, loaded.model, batch, resets))
        except Exception as error:
            if len(batch) > 1 and not loaded.model.capabilities.stateful:
                for request in batch:  # one bad input must not cost its neighbours theirs
                    await self._run_batch(loaded, [request])
            else:
                self._failed(loaded, batch, error)
            return
        loaded.failures = 0
        loaded.tally.ran(sum(request.rows for request in batch), seconds, [begun - r.since for r in batch])
        for request, result in zip(batch, results, strict=True):
            if not request.done.done():
                request.done.set_result(result)

    def _failed(self, loaded: _Loaded, batch: list[Request], error: Exception) -> None:
        name = loaded.model.name
        if isinstance(error, InvalidInput):  # the caller's fault, not the model's
            answer: Exception = error
        else:
            loaded.failures += 1
            loaded.tally.failures += 1
            log.warning("model %s failed, %d in a row", name, loaded.failures, exc_info=error)
            answer = ModelFailed(f"{name}: {type(error).__name__}: {error}")
        for request in batch:
            if not request.done.done():
                request.done.set_exception(answer)
        if loaded.failures >= FAILURES:
            loaded.failed = f"{name} was taken out after {FAILURES} failures in a row: {type(error).__name__}: {error}"
            self._refuse(lambda request: request.model == name, ModelFailed(loaded.failed))

    # ----------------------------------------------------------------------------------------------

    def statistics(self) -> dict[str, ModelStatistics]:
        """By model, everything since it was loaded."""
        waiting = [request.model for desk in self._desks for request in desk.waiting]
        return {name: _statistics(loaded, waiting.count(name)) for name, loaded in self._models.items()}

    async def close(self) -> None:
        """Refuse what waits, finish what runs, end every model, what is shared and the devices. May be called again."""
        if self._closed:
            return
        self._closed = True
        self._refuse(lambda _: True, Unavailable("the inference engine was closed"))
        if self._loading:
            await asyncio.wait(list(self._loading.values()))
        for desk in self._desks:
            if desk.server is not None:
                desk.work.set()
                await asyncio.wait([desk.server])
        for task in self._shared.values():
            await asyncio.wait([task])
            if not task.cancelled() and task.exception() is None:
                await task.result().close()
        for loaded in self._models.values():
            await loaded.desk.device.run(loaded.model.close)
        self._models.clear()
        for desk in self._desks:
            desk.device.close()


async def _await(open: Callable[[], Awaitable[T]]) -> T:
    return await open()


def _execute(model: Model, batch: list[Request], resets: list[int]) -> tuple[list[Batch], float]:
    """On the device's worker: join the rows, run, and share out the rows of what comes back."""
    begun = time.perf_counter()
    for slot in resets:
        model.reset(slot)
    inputs = batch[0].inputs
    if len(batch) > 1:
        inputs = {name: np.concatenate([request.inputs[name] for request in batch]) for name in inputs}
    if model.capabilities.stateful:
        inputs = inputs | {SLOT: np.repeat(np.array([r.slot for r in batch], np.int64), [r.rows for r in batch])}
    outputs = model.run(inputs)
    if len(batch) == 1:
        return [outputs], time.perf_counter() - begun
    rows = sum(request.rows for request in batch)
    for name, array in outputs.items():
        if len(array) != rows:
            raise ValueError(f"{name} has {len(array)} rows for {rows} of input")
    ends = np.cumsum([request.rows for request in batch])
    results = [{name: array[end - request.rows : end] for name, array in outputs.items()}
               for request, end in zip(batch, ends, strict=True)]
    return results, time.perf_counter() - begun


def _time(model: Model, rows: int) -> float:
    """Seconds of one run on example input; on the device's worker."""
    batch = {spec.name: spec.zeros(rows if model.capabilities.batchable else None) for spec in model.inputs}
    if model.capabilities.stateful:
        batch[SLOT] = np.arange(rows, dtype=np.int64)
    begun = time.perf_counter()
    model.run(batch)
    return time.perf_counter() - begun


def _statistics(loaded: _Loaded, waiting: int) -> ModelStatistics:
    tally = loaded.tally
    return ModelStatistics(
        name=loaded.model.name, version=loaded.model.version, state="failed" if loaded.failed else "ready",
        measured=dict(loaded.measured), batch_limit=loaded.limit, waiting=waiting,
        runs=tally.runs, rows=tally.rows, failures=tally.failures, drops=dict(tally.drops), busy=tally.busy,
        batch=sum(tally.batches) / len(tally.batches) if tally.batches else 0.0,
        wait_p50=percentile(tally.waits, 0.5), wait_p95=percentile(tally.waits, 0.95),
        run_p50=percentile(tally.times, 0.5), run_p95=percentile(tally.times, 0.95))
