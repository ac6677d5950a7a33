"""A session: one source, one pipeline and its sinks, in one task group. It ends cleanly or it ends whole."""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Literal, TypeAlias

from . import events, metrics
from .errors import AimassError, Forbidden, InvalidInput, InvalidMessage
from .events import EndedBy, Event, EventData
from .frames import Frame, VideoFrame, now
from .lipsync import LipSync
from .metrics import Meter
from .pipeline import Pipeline
from .ports import Application, Caller, Sink, Source
from .promise import LOOK, Promise, lift
from .settings import Settings
from .spec import PipelineSpec, StageSpec, latency_of
from .speech.transcript import Transcript
from .stage import Room
from .stages import Registry
from .timebase import Timebase
from .vision.sightings import Sightings
from .workers import Workers

log = logging.getLogger(__name__)

Sync: TypeAlias = Literal["lowest", "lips"]
State: TypeAlias = Literal["waiting", "live", "closed"]

EVENT_LOG = 4096  # events kept for a peer that comes back; per-frame results and statistics are most of them
EVENT_AGE = 60.0  # s beyond the time a session waits for its peer: older ones have reached whoever could miss them
THREADS = 4  # a session's own: decode and encode of picture and sound, and its stages' native work
FIRST_PEER = 10.0  # s that a new session waits for its peer at least
STATS_EVERY = 1.0  # s


class Session:
    """Made by `Node.open`. All calls are made on the event loop."""

    def __init__(
        self,
        spec: PipelineSpec,
        *,
        registry: Registry,
        engine: Any,
        caller: Caller,
        transport: str,
        sync: Sync = "lowest",
        settings: Settings,
        hears: bool = False,
        may_listen: Callable[[], None] = lambda: None,
        may_run: Callable[[Session, PipelineSpec], None] = lambda session, spec: None,
        pin: Callable[[Session, PipelineSpec], PipelineSpec] = lambda session, spec: spec,
        latency_ms: int = 0,
        on_closed: Callable[[Session], None] = lambda session: None,
        post: Callable[[str, str, Event], None] = lambda url, session, event: None,
        app: Application | None = None,
        room: Callable[[], Room | None] = lambda: None,
    ) -> None:
        self.id = "s_" + secrets.token_urlsafe(16)
        self.resume_token = secrets.token_urlsafe(32)
        self.caller = caller
        self.transport = transport
        self.app = app  # that it was begun by: then only what that exposes can be set
        self.failures = 0  # of its stages, and of the session itself
        self.created = time.time()
        self.held: Sequence[str] = ()  # versions of the hub that its transport uses, besides those in its pipeline
        self.meter = Meter()
        self.sync: Sync = sync
        self.state: State = "waiting"
        self.executor = Workers(THREADS, self.id[:8])
        self._hears = hears
        self._may_listen = may_listen
        self._may_run = may_run
        self._pin = pin
        self.promise: Promise | None = None
        self._latency_ms = latency_ms
        self._keeping: asyncio.Task[None] | None = None
        self._resume_seconds = settings.resume_seconds
        self._on_closed = on_closed
        self._post = post  # an event to a URL
        self._tasks: set[asyncio.Task[None]] = set()
        self._group: asyncio.TaskGroup | None = None
        self._stop = asyncio.Event()
        self._main: asyncio.Task[None] | None = None
        self._reason = "closed"
        self._ended_by: EndedBy = "server"
        self._source: Source | None = None
        self._source_task: asyncio.Task[None] | None = None
        self._peer: Sink | None = None
        self._attaching = asyncio.Lock()
        self._sinks: list[Sink] = []
        self._log: deque[tuple[float, Event]] = deque(maxlen=EVENT_LOG)  # with the time of each
        self._seq = 0
        self.transcript = Transcript()
        self.sightings = Sightings()
        self.shown: dict[str, VideoFrame] = {}  # by track, the picture that left last; gone with the session
        self._keyframe_callbacks: list[Callable[[str | None], None]] = []
        self._waiting: asyncio.TimerHandle | None = None
        self._timebase = Timebase(self.meter)
        self._lipsync = LipSync(self._deliver, self.meter)
        self.pipeline = Pipeline(spec, registry, meter=self.meter, output=self._output, event=self._stage_event,
                                 spawn=self.spawn, executor=self.executor, engine=engine, session=self.id,
                                 settings=settings, flush=self.flush, steer=self._steer, room=room)

    @property
    def spec(self) -> PipelineSpec:
        return self.pipeline.spec

    @property
    def latency_ms(self) -> int | None:
        """ms that are promised."""
        return self._latency_ms or None

    @property
    def listens(self) -> bool:
        """True while speech is recognised here, by a stage or (`hears`) by the transport."""
        return self._hears or self._has_ears(self.spec)

    def _has_ears(self, spec: PipelineSpec) -> bool:
        return any(self.pipeline.registry.listens(stage.name) for stage in spec.stages)

    def resumes_by(self, token: str | None) -> bool:
        """Whether this is its resume token."""
        return hmac.compare_digest((token or "").encode(errors="replace"), self.resume_token.encode())

    @property
    def sinks(self) -> list[Sink]:
        return list(self._sinks)

    # life ------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin; the session waits for its peer. Called once, by the node."""
        ready = asyncio.Event()
        self._main = asyncio.create_task(self._run(ready), name=f"session {self.id}")
        await ready.wait()
        self._promise_latency(self._latency_ms)
        self.event(events.SessionCreated(session_id=self.id, resume_token=self.resume_token, pipeline=self.spec.json(),
                                         sync=self.sync, latency_ms=self.latency_ms))
        self._wait_for_peer(max(self._resume_seconds, FIRST_PEER))

    async def _run(self, ready: asyncio.Event) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                group.create_task(self._tell_stats())
                ready.set()
                await self._stop.wait()
                await self._shut()
                raise _Ended  # the quickest way to end a task group whole
        except* _Ended:
            pass
        except* Exception as errors:
            log.error("session %s failed", self.id, exc_info=errors)
            self._reason, self._ended_by = "internal error", "server"
            self.failures += 1
            await self._shut()
        finally:
            self._group = None
            self._end_promise()
            await asyncio.to_thread(self.executor.shutdown)
            self.state = "closed"
            self.shown.clear()
            self._on_closed(self)

    async def _shut(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
        if self.state != "closed":
            self.state = "closed"
            self.event(events.SessionEnded(reason=self._reason, by=self._ended_by))
        await self._end_source()
        self._lipsync.flush()
        sinks, self._sinks, self._peer = self._sinks, [], None
        for sink in sinks:
            await sink.close(self._reason)
        await self.pipeline.close()

    async def close(self, reason: str, by: EndedBy = "server") -> None:
        """End the session and wait until nothing of it is left. May be called again and from its own tasks."""
        if not self._stop.is_set():
            self._reason, self._ended_by = reason, by
            self._stop.set()
        if self._main is not None and asyncio.current_task() not in {self._main, *self._tasks}:
            await asyncio.wait([self._main])

    def drain(self, seconds: float) -> None:
        """Tell the client that the server stops in `seconds`. Without a peer the session ends now."""
        self.event(events.SessionClosing(reason="the server is stopping", seconds=seconds))
        self._resume_seconds = 0
        if self.state == "waiting":
            self._reason = "the server is stopping"
            self._stop.set()

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """A task that ends with the session at the latest; if it fails, the session ends."""
        if self._group is None:
            work.close()
            raise InvalidInput("the session is closed")
        task = self._group.create_task(work, name=f"{self.id[:8]} {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # peers -----------------------------------------------------------------------------------------

    async def attach(self, source: Source, sink: Sink, *, last_seq: int = 0) -> None:
        """Let this peer feed the session and get its results; one that was attached before is closed.

        The sink first gets every event after `last_seq`, the last one that its client has seen.
        """
        async with self._attaching:  # of two that come back at once, the second takes over from the first
            await self._attach(source, sink, last_seq)

    async def _attach(self, source: Source, sink: Sink, last_seq: int) -> None:
        if self.state == "closed" or self._stop.is_set():
            await sink.close("the session is closed")
            return
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        old, self._peer = self._peer, sink
        await self._end_source()
        if old is not None and old is not sink:
            self.remove_sink(old)
            await old.close("another peer took over")
        for event in self.events_after(last_seq):
            sink.event(event)
        self.add_sink(sink)
        self._timebase.new_peer()
        self._source = source
        self.state = "live"
        self._source_task = self.spawn(self._feed(source), "source")

    async def _feed(self, source: Source) -> None:
        try:
            await source.run(self.push)
        except AimassError as error:
            self._error(error, None)
        except Exception:
            log.exception("the source of session %s failed", self.id)
        if self._source is source and not self._stop.is_set():
            self._source = self._source_task = None
            peer, self._peer = self._peer, None
            # before the old one is closed, which may take a while: a new one may come meanwhile
            self._wait_for_peer(self._resume_seconds)
            if peer is not None:
                self.remove_sink(peer)
                await peer.close("the peer is gone")

    async def _end_source(self) -> None:
        task, self._source_task, self._source = self._source_task, None, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            await asyncio.wait([task])

    def _wait_for_peer(self, seconds: float) -> None:
        self.state = "waiting"
        self._waiting = asyncio.get_running_loop().call_later(seconds, self._give_up)

    def _give_up(self) -> None:
        self._reason = "the peer did not come back"
        self._stop.set()

    def add_sink(self, sink: Sink) -> None:
        if sink not in self._sinks:
            self._sinks.append(sink)

    def remove_sink(self, sink: Sink) -> None:
        if sink in self._sinks:
            self._sinks.remove(sink)

    # media -----------------------------------------------------------------------------------------

    def push(self, frame: Frame) -> None:
        """A frame from the source."""
        admitted = self._timebase.admit(frame)
        if admitted is not None:
            self.pipeline.push(admitted)

    def _output(self, frame: Frame) -> None:
        if self.sync == "lips":
            self._lipsync.frame(frame)
        else:
            self._deliver(frame)

    def _deliver(self, frame: Frame) -> None:
        if isinstance(frame, VideoFrame):
            self.shown[frame.track] = frame
        for sink in self._sinks:
            sink.frame(frame)
        if frame.notes:
            self.event(events.FrameResult(notes=frame.notes), track=frame.track, pts=frame.seconds)

    def flush(self, track: str | None = None) -> None:
        """Barge-in: throw away everything on its way out, or the sound of one track."""
        self.pipeline.flush(track)
        if track is None or self.sync == "lips":
            self._lipsync.flush()
        for sink in self._sinks:
            sink.flush(track)

    def on_keyframe_request(self, callback: Callable[[str | None], None]) -> None:
        """Call this when the client asks for a key frame of a track (None: of all)."""
        self._keyframe_callbacks.append(callback)

    # changes ---------------------------------------------------------------------------------------

    async def update(self, *, pipeline: object = None, sync: object = None, latency_ms: object = None,
                     parameters: object = None, request_id: str | None = None) -> None:
        """Change the pipeline, or exposed parameters of its app, the way of syncing, the promised latency (0: none).
        Refused whole: `InvalidInput` names the field.

        Raises `Forbidden` for the pipeline of an app; `Busy` when speech is to be recognised and as many sessions as
        may have that already, and when another session's latency could not be kept.
        """
        bound = latency_of(latency_ms)
        if parameters is not None:
            pipeline = self._with(parameters, pipeline)
        elif pipeline is not None:
            self._own_pipeline()
        await self._update(pipeline, sync, latency_ms, bound)
        self.tell_update(request_id)

    async def _update(self, pipeline: object, sync: object, latency_ms: object, bound: int) -> None:
        if sync not in (None, "lowest", "lips"):
            raise InvalidInput("'sync' is 'lowest' or 'lips'", field="sync")
        if pipeline is not None:
            spec = self._pin(self, PipelineSpec.parse(pipeline))
            if self._has_ears(spec) and not self.listens:
                self._may_listen()
            self._may_run(self, spec)
            await self.pipeline.update(spec)
        if sync is not None and sync != self.sync:
            self.sync = sync
            self._lipsync.flush(deliver=True)
        if latency_ms is not None and bound != self._latency_ms:
            self._promise_latency(bound)

    def _with(self, parameters: object, pipeline: object) -> list[dict[str, Any]]:
        """Raises `InvalidInput`."""
        if self.app is None:
            raise InvalidInput("'parameters' are those of an app, and this session is of none", field="parameters")
        if pipeline is not None:
            raise InvalidInput("give either 'pipeline' or 'parameters'", field="parameters")
        return self.app.set(self.spec, parameters).json()

    def _own_pipeline(self) -> None:
        """Raises `Forbidden` where the pipeline is an app's."""
        if self.app is not None:
            raise Forbidden("this session is an app's: set its 'parameters'", field="pipeline")

    def tell_update(self, request_id: str | None = None) -> None:
        """What runs now."""
        self.event(events.SessionUpdated(pipeline=self.spec.json(), sync=self.sync, latency_ms=self.latency_ms,
                                         request_id=request_id))

    def _promise_latency(self, latency_ms: int) -> None:
        self._end_promise()
        self._latency_ms = latency_ms
        if latency_ms:
            self.promise = Promise(latency_ms, self.pipeline, self.meter,
                                   lambda data, track: self.event(data, track=track))
            metrics.PROMISED.inc()
            self._keeping = self.spawn(self._keep(self.promise), "promised latency")
        else:
            lift(self.pipeline)

    def _end_promise(self) -> None:
        if self.promise is not None:
            self.promise = None
            metrics.PROMISED.dec()
        if self._keeping is not None:
            self._keeping.cancel()
            self._keeping = None

    async def _keep(self, promise: Promise) -> None:
        while True:
            await asyncio.sleep(LOOK)
            promise.look(now())

    async def _steer(self, pipeline: list[dict[str, Any]]) -> None:
        await self._update(pipeline, None, None, 0)  # by a stage of the pipeline itself, which may
        self.tell_update()

    async def patch_stage(self, index: object, params: object, request_id: str | None = None) -> None:
        """Change some parameters of one stage."""
        stages = list(self.spec.stages)
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(stages):
            raise InvalidInput(f"there is no stage {index!r}: the pipeline has {len(stages)}", field="index")
        if not isinstance(params, dict):
            raise InvalidInput("'params' is an object", field="params")
        old = stages[index]
        stages[index] = StageSpec(old.name, {**old.params, **params}, old.id, old.track)
        await self.update(pipeline=PipelineSpec(tuple(stages)).json(), request_id=request_id)

    async def control(self, message: object) -> None:
        """One JSON control message from the client. What is wrong with it comes back as an ``error`` event."""
        request_id = message.get("id") if isinstance(message, dict) else None
        request_id = request_id if isinstance(request_id, str) else None
        try:
            await self._control(message, request_id)
        except AimassError as error:
            self._error(error, request_id)

    async def _control(self, message: object, request_id: str | None) -> None:
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise InvalidMessage("a control message is a JSON object with a 'type'", field="type")
        match message["type"]:
            case "session.update":
                await self.update(pipeline=message.get("pipeline"), sync=message.get("sync"),
                                  latency_ms=message.get("latency_ms"), parameters=message.get("parameters"),
                                  request_id=request_id)
            case "stage.update":
                await self.patch_stage(message.get("index"), message.get("params"), request_id)
            case "keyframe.request":
                track = message.get("track")
                for callback in self._keyframe_callbacks:
                    callback(track if isinstance(track, str) else None)
            case "output.flush":
                track = message.get("track")
                self.flush(track if isinstance(track, str) else None)
            case "session.close":
                self._reason, self._ended_by = "closed by the client", "client"
                self._stop.set()
            case other:
                raise InvalidMessage(f"there is no control message {other[:64]!r}", field="type")

    # events ----------------------------------------------------------------------------------------

    def event(self, data: EventData, *, track: str | None = None, pts: float | None = None) -> None:
        """Number an event, remember it for a peer that comes back, and send it to every sink."""
        self._seq += 1
        event = Event(data.type, self._seq, pts, track, data.model_dump(mode="json"))
        if isinstance(data, events.StageFailed):
            self.failures += 1
        if isinstance(data, events.TranscriptCommitted):
            self.transcript.add(data)
        self.sightings.add(data, track, pts)
        moment = now()
        self._log.append((moment, event))
        while self._log[0][0] < moment - self._resume_seconds - EVENT_AGE:
            self._log.popleft()
        for sink in self._sinks:
            sink.event(event)
        if isinstance(data, events.RuleFired) and data.webhook:
            self._post(data.webhook, self.id, event)

    def events_after(self, seq: int) -> list[Event]:
        """The events a peer that last saw `seq` has missed; the oldest may be gone (seq tells)."""
        return [event for _, event in self._log if event.seq > seq]

    def _stage_event(self, data: EventData, frame: Frame | None, track: str) -> None:
        self.event(data, track=track, pts=None if frame is None else frame.seconds)

    def _error(self, error: AimassError, request_id: str | None) -> None:
        self.event(events.ErrorEvent(status=error.status, title=error.title, detail=error.detail,
                                     field=error.field, request_id=request_id))

    def stats(self) -> events.SessionStats:
        return events.SessionStats(hops=self.meter.summary(), drops=dict(self.meter.drops),
                                   transport=self._source.stats() if self._source is not None else {},
                                   latency=None if self.promise is None else self.promise.stats())

    async def _tell_stats(self) -> None:
        while True:
            await asyncio.sleep(STATS_EVERY)
            if self._sinks:
                self.event(self.stats())

    def json(self) -> dict[str, Any]:
        """What REST shows of a session; no secrets."""
        return {"id": self.id, "state": self.state, "transport": self.transport, "caller": self.caller.name,
                "created": self.created, "pipeline": self.spec.json(), "sync": self.sync,
                "latency_ms": self.latency_ms, "app_id": None if self.app is None else self.app.id}


class _Ended(Exception):
    """Ends the task group of a session that is done."""
