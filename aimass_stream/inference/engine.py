"""The inference engine: devices shared by all sessions, in batches where a measurement says that they pay.

There is no waiting window: whenever a device is free, what waits for the model whose turn it is goes in
together. Work past its deadline is dropped before it costs anything, sessions are served in turns, and work in
the background gets the gaps. A model that keeps raising, or whose run doesn't end, is taken out while the others go
on. Models whose every run takes about a millisecond (`Capabilities.light`: voice activity) have a worker of their
own, so that they never stand behind a long one; models that can't use an accelerator share the processor's.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, TypeVar, cast

from ..errors import AimassError, Conflict, DeadlineMissed, InvalidInput, ModelFailed, NotFound, Unavailable
from .batches import Answer, Run, out_of_memory
from .contract import Batch, Capabilities, Model, check_inputs
from .desks import Desk, Desks
from .device import CpuDevice, Device, Worker
from .inline import IN_A_ROW
from .loaded import Loaded
from .loader import ModelStore
from .patience import Hangs, watched
from .slots import Slots
from .statistics import ModelStatistics, Tally
from .waiting import Request
from .warming import Speed, measured

log = logging.getLogger(__name__)

T = TypeVar("T", bound="Shared")
R = TypeVar("R")

FAILURES = 5  # in a row, then a model is taken out
PER_SESSION = 8  # requests of one session that may wait
LOADING = 600.0  # s after which building a model, or warming it up, hangs
CLOSING = 10.0  # s after which ending one does


class Shared(Protocol):
    """Something that all sessions use and that ends with the engine: a voice's process, a pool of decoders."""

    async def close(self) -> None: ...


class Engine:
    """Made anywhere; used on one event loop. `close` leaves no thread and no task behind."""

    def __init__(self, store: ModelStore, device: Device | None = None, *, per_session: int = PER_SESSION) -> None:
        self.store = store
        self.device: Device = device or CpuDevice()
        self._models: dict[str, Loaded] = {}
        self._loading: dict[str, asyncio.Task[None]] = {}
        self._desks = Desks(self.device, per_session)
        # idle ones, the last used first: what the C library keeps for each thread would go up and down with new ones
        self._loaders: list[Worker] = []
        self._shared: dict[str, asyncio.Task[Any]] = {}
        self._closed = False
        self._inline = 0  # runs on the loop since it had a turn, about
        self.answered: Callable[[str, Batch, Batch], None] | None = None  # is told of each: model, inputs, outputs

    # models ----------------------------------------------------------------------------------------

    async def load(self, name: str, make: Callable[[], Model] | None = None) -> None:
        """Make sure that the model is ready; callers at the same time share one load.

        `make` builds, in a thread, a model of this name that is in no store. A model that was taken out is loaded
        anew. Raises `NotFound`, or `InvalidInput` with what is wrong, or `ModelFailed`.
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
        before = self.device.used()
        await self._add(await self._beside(make, f"{name} could not be built"), before)

    async def _beside(self, work: Callable[[], R], what: str) -> R:
        """In a thread beside the devices' workers, which go on meanwhile."""
        worker = self._loaders.pop() if self._loaders else Worker("aimass-load")
        try:
            return await watched(worker.run(work), LOADING, lambda: True)
        except Hangs:
            worker.renew()
            raise ModelFailed(f"{what}: it has not ended after {LOADING:.0f} s") from None
        finally:
            self._loaders.append(worker)

    def _loading_done(self, task: asyncio.Task[None]) -> None:
        self._loading = {name: other for name, other in self._loading.items() if other is not task}
        if not task.cancelled():
            task.exception()  # told to whoever waits; asyncio need not complain when nobody does any more

    async def add(self, model: Model) -> None:
        """Warm up a model, measure whether batches pay, and take requests for it from now on."""
        await self._add(model, self.device.used())

    async def _add(self, model: Model, before: int) -> None:
        """`before` is what the device had in use before the model was built."""
        if self._closed:
            raise Unavailable("the inference engine is closed")
        if model.name in self._models:
            raise Conflict(f"the model {model.name!r} is loaded already")
        desk = self._desks.of(model)
        try:
            speed = await self._prepared(model, desk)
            if model.name in self._models:
                raise Conflict(f"the model {model.name!r} was loaded meanwhile")
        except Exception as error:
            await self._end(desk, model)
            if isinstance(error, AimassError):
                raise
            raise ModelFailed(f"{model.name} does not run on {desk.device.name}: {error}") from error
        tally = Tally(memory=max(0, self.device.used() - before))
        loaded = self._models[model.name] = Loaded(model, desk, speed, Slots(model.capabilities.slots), tally)
        log.info("model %s %s is ready on %s, %d runs at once of %d rows: %s", model.name, model.version,
                 desk.device.name, loaded.at_once, loaded.limit, speed)

    async def _prepared(self, model: Model, desk: Desk) -> Speed:
        can = model.capabilities
        return await measured(model, partial(self._beside, what=f"{model.name} does not warm up"),
                              two=can.beside and not can.stateful and desk.device.workers > 1)

    async def unload(self, name: str) -> None:
        """End a model: what waits for it fails with `Unavailable`, what runs is finished first."""
        loaded = self._models.pop(name, None)
        if loaded is None:
            raise NotFound(f"the model {name!r} is not loaded")
        self._refuse(lambda request: request.model == name, Unavailable(f"the model {name!r} was unloaded"))
        await self._release(loaded)
        self._leave(loaded.desk)

    async def renew(self, name: str) -> None:
        """Let all sessions go on with the files that the model has now, from the next batch on; they are loaded beside
        the ones in use, which stay if that fails. States begin anew. Nothing is done for what is not loaded.

        Raises as `load`; `Conflict` where the model takes other inputs or can do other things than before.
        """
        if name not in self._models:
            return
        before = self.device.used()
        model = await self._beside(partial(self.store.open, name, self.device), f"{name} could not be built")
        try:
            speed = await self._prepared(model, self._desks.of(model))
            old = self._models.get(name)
            if old is None or (old.model.inputs, _kind(old.model)) != (model.inputs, _kind(model)):
                raise Conflict(f"{name} is another kind of model now: it is used by sessions that load it anew")
        except BaseException:  # a cancelled renewal leaves no model behind, too
            await self._end(self._desks.of(model), model)
            raise
        self._models[name] = Loaded(model, old.desk, speed, old.slots,
                                     Tally(memory=max(0, self.device.used() - before)))
        log.info("model %s is renewed", name)
        await self._release(old)

    async def _release(self, loaded: Loaded) -> None:
        if not loaded.closed:
            loaded.closed = True
            await loaded.idle.wait()
            if not loaded.lost:
                await self._end(loaded.desk, loaded.model)

    async def _end(self, desk: Desk, model: Model) -> None:
        begun = False

        def close() -> None:
            nonlocal begun
            begun = True
            model.close()

        try:
            await watched(desk.device.run(close), CLOSING, lambda: begun)
        except Hangs:
            log.error("model %s can't be closed: its thread on %s is lost", model.name, desk.device.name)
            desk.device.renew()
        except Exception:
            log.exception("model %s could not be closed", model.name)
        self._leave(desk)

    def _leave(self, desk: Desk) -> None:
        if all(other.desk is not desk for other in self._models.values()):
            self._desks.leave(desk)

    def models(self) -> dict[str, Model]:
        """What is loaded and takes requests."""
        return {name: loaded.model for name, loaded in self._models.items() if not loaded.failed}

    def model(self, name: str) -> Model | None:
        """One of those."""
        loaded = self._models.get(name)
        return None if loaded is None or loaded.failed else loaded.model

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
                     state: str | None = None, background: bool = False, spare: bool = False) -> Batch:
        """Run a loaded model on `inputs`; its outputs by name, with as many rows.

        `deadline` (s, `time.monotonic`) is the latest moment at which this is worth starting: past it
        `DeadlineMissed` is raised. `state` names the state of a stateful model, by default the session's. What
        nobody waits for goes in the `background`: it starts only when nothing else waits for the device, and nothing
        is under way unless cores are `spare` (no session needs them).
        Raises `InvalidInput` naming a tensor, `Busy` when too much of this session waits already,
        `ModelFailed` when the model raised or was taken out, `NotFound` when it is not loaded.
        """
        loaded = self._ready(model)
        rows, now = check_inputs(loaded.model, inputs), time.monotonic()
        if rows <= loaded.inline.rows and (deadline is None or deadline >= now):
            at_once = self._run_inline(loaded, inputs, rows)
            if at_once is not None:
                await self._pause()
                return at_once
        request = Request(model, inputs, rows, session, deadline, now, asyncio.get_running_loop().create_future(),
                          background=background, spare=spare)
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
            outputs = await request.done
            if self.answered is not None:
                self.answered(model, inputs, outputs)
            return outputs
        finally:
            if request.timer is not None:
                request.timer.cancel()
            if loaded.desk.waiting.remove(request):
                loaded.tally.drop("cancelled")

    def short(self, model: str) -> bool:
        """Whether `at_once` may have an answer."""
        loaded = self._models.get(model)
        return loaded is not None and loaded.inline.rows > 0 and not loaded.failed and not self._closed

    def at_once(self, model: str, inputs: Batch) -> Batch | None:
        """As `submit`, where the run is so short that it is made on the loop; who calls sees to it that others get
        turns. None where it is not, or fails. Raises `InvalidInput`."""
        loaded = self._ready(model)
        rows = check_inputs(loaded.model, inputs)
        return self._run_inline(loaded, inputs, rows) if rows <= loaded.inline.rows else None

    async def _pause(self) -> None:
        """Who asks again and again would never let go of the loop: after a few runs all others get a turn."""
        self._inline = (self._inline + 1) % IN_A_ROW
        if self._inline == 0:
            await asyncio.sleep(0)

    def _run_inline(self, loaded: Loaded, inputs: Batch, rows: int) -> Batch | None:
        done = loaded.inline.run(inputs)
        if done is None:
            return None
        outputs, seconds = done
        loaded.failures = 0
        loaded.tally.ran(rows, seconds, [0.0], time.monotonic(), seconds)
        if self.answered is not None:
            self.answered(loaded.model.name, inputs, outputs)
        return outputs

    def forget(self, model: str, state: str) -> None:
        """Give a stateful model's slot back, when its stream has ended."""
        loaded = self._models.get(model)
        slot = loaded.slots.release(state) if loaded is not None else None
        if slot is not None:
            self._refuse(lambda request: request.model == model and request.slot == slot,
                         Unavailable(f"the state {state!r} of {model} was given back"))

    def _ready(self, name: str) -> Loaded:
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
                _fail([request], error)

    # the devices -----------------------------------------------------------------------------------

    def _serve(self, desk: Desk) -> None:
        desk.work.set()
        if not desk.servers:
            desk.servers = [asyncio.create_task(self._run(desk), name=f"inference on {desk.device.name}, {place}")
                            for place in range(desk.device.places)]

    async def _run(self, desk: Desk) -> None:
        while not self._closed and not desk.over:
            await desk.work.wait()
            first = desk.waiting.first(partial(self._may_begin, desk))
            if first is None:
                desk.work.clear()
                continue
            loaded = self._models[first.model]
            batch = self._punctual(desk.waiting.take(loaded.limit, first))
            if batch:
                desk.under_way.append(loaded)
                try:
                    await self._run_batch(loaded, batch)
                finally:
                    desk.under_way.remove(loaded)
                    desk.work.set()  # what could not go beside this one

    def _may_begin(self, desk: Desk, request: Request) -> bool:
        """Where runs go on beside each other, at most one is of a model that does not gain by that."""
        if desk.device.workers < 2 or not desk.under_way:
            return True
        return (not request.background or request.spare) and (
            self._models[request.model].at_once > 1 or all(other.at_once > 1 for other in desk.under_way))

    def _punctual(self, batch: list[Request]) -> list[Request]:
        """What is still worth starting; timers may fire late on a busy loop."""
        moment = time.monotonic()
        late = [request for request in batch if request.deadline is not None and request.deadline < moment]
        for request in late:
            self._miss(request)
        return [request for request in batch if request not in late and not request.done.done()]

    async def _run_batch(self, loaded: Loaded, batch: list[Request]) -> None:
        if loaded.failed or loaded.closed:  # while it was its turn
            _fail(batch, ModelFailed(loaded.failed or f"{loaded.model.name} was unloaded"))
            return
        desk, begun = loaded.desk, time.monotonic()
        run = Run(loaded.model, batch, [r.slot for r in batch if r.slot is not None and loaded.slots.freshen(r.slot)])
        try:
            results, seconds = await self._launched(loaded, run)
        except Hangs:
            desk.device.renew()
            loaded.closed = loaded.lost = True  # nobody can end it
            self._take_out(loaded, batch, f"because a run had not ended after {run.patience:.0f} s")
        except Exception as error:
            await self._failed(loaded, batch, error)
        else:
            now = time.monotonic()
            loaded.failures = 0
            loaded.tally.ran(sum(request.rows for request in batch), seconds, [begun - r.since for r in batch],
                             now, min(seconds, now - desk.free_since))
            desk.free_since = now
            for request, result in zip(batch, results, strict=True):
                if not request.done.done():
                    request.done.set_result(result)

    async def _launched(self, loaded: Loaded, run: Run) -> Answer:
        loaded.running += 1
        loaded.idle.clear()
        try:
            return await watched(loaded.desk.device.launch(run), run.patience, lambda: run.begun)
        finally:
            loaded.running -= 1
            if not loaded.running:
                loaded.idle.set()

    async def _failed(self, loaded: Loaded, batch: list[Request], error: Exception) -> None:
        name = loaded.model.name
        if out_of_memory(error):
            loaded.limit = max(1, sum(request.rows for request in batch) // 2)
            await loaded.desk.device.run(loaded.desk.device.relieve)
        if len(batch) > 1 and not loaded.model.capabilities.stateful:
            for request in batch:  # one bad input must not cost its neighbours theirs
                await self._run_batch(loaded, [request])
            return
        if isinstance(error, InvalidInput) or type(error) is Unavailable:  # the caller's fault, or not its time
            _fail(batch, error)
            return
        loaded.failures += 1
        loaded.tally.failures += 1
        log.warning("model %s failed, %d in a row", name, loaded.failures, exc_info=error)
        said = f"{type(error).__name__}: {error}"
        if loaded.failures < FAILURES:
            _fail(batch, ModelFailed(f"{name}: {said}"))
        else:
            self._take_out(loaded, batch, f"after {FAILURES} failures in a row: {said}")
            await self._release(loaded)  # others may need its memory

    def _take_out(self, loaded: Loaded, batch: list[Request], why: str) -> None:
        name = loaded.model.name
        loaded.failed = f"{name} was taken out {why}"
        log.error("model %s", loaded.failed)
        _fail(batch, ModelFailed(loaded.failed))
        self._refuse(lambda request: request.model == name, ModelFailed(loaded.failed))

    # ----------------------------------------------------------------------------------------------

    def statistics(self) -> dict[str, ModelStatistics]:
        """By model, everything since it was loaded."""
        waiting = [request.model for desk in self._desks for request in desk.waiting]
        return {name: loaded.tally.statistics(
            name=name, version=loaded.model.version, device=loaded.desk.device.name,
            state="failed" if loaded.failed else "ready", measured=dict(loaded.speed.alone),
            batch_limit=loaded.limit, at_once=loaded.at_once, waiting=waiting.count(name))
            for name, loaded in self._models.items()}

    async def close(self) -> None:
        """Refuse what waits, finish what runs, end every model, what is shared and the devices. May be called again."""
        if self._closed:
            return
        self._closed = True
        self._refuse(lambda _: True, Unavailable("the inference engine was closed"))
        if self._loading:
            await asyncio.wait(list(self._loading.values()))
        for desk in self._desks:
            if desk.servers:
                desk.work.set()
                await asyncio.wait(desk.servers)
        for task in self._shared.values():
            await asyncio.wait([task])
            if not task.cancelled() and task.exception() is None:
                await task.result().close()
        for loaded in self._models.values():
            await self._release(loaded)
        self._models.clear()
        for desk in self._desks:
            desk.device.close()
        for worker in self._loaders:
            worker.close()


def _kind(model: Model) -> Capabilities:
    return replace(model.capabilities, steady=False)  # whether a thread is asked is nobody else's business


async def _await(open: Callable[[], Awaitable[T]]) -> T:
    return await open()


def _fail(requests: list[Request], error: Exception) -> None:
    for request in requests:
        if not request.done.done():
            request.done.set_exception(error)
